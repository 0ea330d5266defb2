# SPDX-License-Identifier: BSD-2-Clause
"""Puts the source line behind each address of the kernel in a report."""

import os
import re
import shutil
import subprocess

ADDRESS = re.compile(r"0x(ffffffff8[0-9a-f]{7})\b(?: [\w.]+\+0x[0-9a-f]+)?")


def annotate(lines, elf):
    """Return the lines of a report with "(file:line)" behind addresses of code; as they are without addr2line."""
    found = sorted({m.group(1) for line in lines for m in ADDRESS.finditer(line)})
    tool = shutil.which("addr2line")
    if not found or not tool or not elf or not os.path.exists(elf):
        return lines
    # A return address may be that of the next line.
    asked = ["%x" % (int(address, 16) - 1) for address in found]
    try:
        done = subprocess.run([tool, "-e", elf, *asked], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return lines
    places = dict(zip(found, done.stdout.splitlines()))

    def add(match):
        place = places.get(match.group(1), "?").split(" ")[0]
        if place.startswith("?") or place.endswith(("?", ":0")):
            return match.group(0)
        return "%s (%s)" % (match.group(0), re.sub(r"^.*/(?=(?:kernel|arch|boot)/)", "", place))

    return [ADDRESS.sub(add, line) for line in lines]
