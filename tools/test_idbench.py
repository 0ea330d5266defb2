# SPDX-License-Identifier: BSD-2-Clause
"""The comparison of id tables (docs/idbench.md): it builds, runs, and what must be exact is."""

import os
import re
import subprocess
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LINE = re.compile(r"^(\S+) (-?\d+(?:\.\d+)?) (\S+) (\d+)$")
OPERATIONS = ("alloc", "free", "find-hit", "find-miss", "get", "worst")


def run(program):
    """Return what the program prints at 100 ids as {(name, unit): value}."""
    path = os.path.join("build/idbench", program)
    subprocess.run(["make", path], cwd=TOP, check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run([os.path.join(TOP, path), "100"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True, check=True, timeout=200)
    found = [LINE.match(line) for line in done.stdout.splitlines()]
    assert found and all(found), done.stdout
    return {(line.group(1), line.group(3)): float(line.group(2)) for line in found}


class IdBenchTest(unittest.TestCase):

    def test_steps(self):
        rows = run("steps")
        for design in ("table", "bitmap"):
            for operation in OPERATIONS:
                self.assertGreater(rows["%s-1e2-%s" % (operation, design), "insn"], 10)
        self.assertEqual(rows["find-hit-1e2-table", "locked"], 0)
        self.assertEqual(rows["find-hit-1e2-bitmap", "locked"], 2)
        self.assertEqual(rows["alloc-1e2-table", "locked"], 2)
        self.assertEqual(rows, run("steps"), "two runs differ")

    def test_lines(self):
        rows = run("lines")
        self.assertEqual(rows["find-hit-1e2-table", "dirty"], 0)
        self.assertEqual(rows["find-hit-1e2-bitmap", "dirty"], 1)
        self.assertGreater(rows["worst-1e2-table", "lines"], 64 * 24 // 64)

    def test_time(self):
        rows = run("time")
        for design in ("table", "bitmap"):
            for operation in OPERATIONS:
                self.assertGreater(rows["%s-1e2-%s" % (operation, design), "ns"], 0)


if __name__ == "__main__":
    unittest.main()
