# SPDX-License-Identifier: BSD-2-Clause
"""cpio archives in the "newc" format, the form of the kernel's RAM disks.

An archive depends only on the names, the contents and the execute bits that
went in: members are sorted, owned by root and dated 1970, so that two builds
of the same tree are equal to the byte.
"""

import os
import stat

MAGIC = b"070701"
TRAILER = "TRAILER!!!"


class Archive:
    """Collects members and returns them as one archive."""

    def __init__(self):
        self._members = {}

    def __contains__(self, guest):
        return clean(guest) in self._members

    def add_dir(self, guest):
        """Add a folder and the folders above it."""
        guest = clean(guest)
        while guest:
            self._members.setdefault(guest, (stat.S_IFDIR | 0o755, b""))
            guest = os.path.dirname(guest)

    def add_bytes(self, guest, data, executable=False):
        """Add a file with the given contents; a later one replaces an earlier."""
        guest = clean(guest)
        if not guest:
            raise ValueError("a file needs a name")
        if stat.S_ISDIR(self._members.get(guest, (0,))[0]):
            raise ValueError("/%s is a folder already" % guest)
        self.add_dir(os.path.dirname(guest))
        mode = stat.S_IFREG | (0o755 if executable else 0o644)
        self._members[guest] = (mode, data)

    def add_path(self, host, guest):
        """Add a file, a symbolic link or a folder with all below it."""
        info = os.stat(host)
        if stat.S_ISDIR(info.st_mode):
            self.add_dir(guest)
            for name in sorted(os.listdir(host)):
                below = os.path.join(host, name)
                if os.path.islink(below):
                    self.add_link(os.path.join(guest, name), os.readlink(below))
                else:
                    self.add_path(below, os.path.join(guest, name))
        elif stat.S_ISREG(info.st_mode):
            with open(host, "rb") as file:
                self.add_bytes(guest, file.read(), bool(info.st_mode & 0o111))
        else:
            raise ValueError("%s is neither a file nor a folder" % host)

    def add_link(self, guest, target):
        """Add a symbolic link."""
        guest = clean(guest)
        self.add_dir(os.path.dirname(guest))
        self._members[guest] = (stat.S_IFLNK | 0o777, os.fsencode(target))

    def bytes(self):
        """Return the whole archive."""
        parts = []
        for number, name in enumerate(sorted(self._members), 1):
            mode, data = self._members[name]
            parts.append(_member(number, mode, name, data))
        parts.append(_member(0, 0, TRAILER, b""))
        return b"".join(parts)


def clean(guest):
    """Return the member name of a guest path: no leading slash, no dots."""
    return os.path.normpath("/" + guest).lstrip("/")


def _pad(data):
    return data + b"\0" * (-len(data) % 4)


def _member(number, mode, name, data):
    raw = os.fsencode(name) + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(raw), 0)
    header = MAGIC + b"".join(b"%08x" % field for field in fields)
    return _pad(header + raw) + _pad(data)


def names(data):
    """Yield (member name, mode) of every member of an archive."""
    at = 0
    while True:
        if data[at:at + 6] != MAGIC:
            raise ValueError("not a newc archive at offset %d" % at)
        mode, size, length = (int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16)
                              for i in (1, 6, 11))
        name = os.fsdecode(data[at + 110:at + 110 + length - 1])
        if name == TRAILER:
            return
        yield name, mode
        at += (110 + length + 3) & ~3
        at += (size + 3) & ~3
