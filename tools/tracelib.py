# SPDX-License-Identifier: BSD-2-Clause
"""Reads the kernel's trace out of the machine's memory.

tools/run --trace gives QEMU memory that it can read itself. When the machine
has stopped, however it did, the rings are where the kernel left them:
`trace_root`, a symbol of the kernel, leads to them; see <kernel/trace.h>,
whose structures are unpacked here. Nothing has to be written by a kernel
that may just have panicked, and a machine that hangs can be looked at, too.
"""

import bisect
import collections
import struct
import subprocess

IMAGE = 0xffffffff80000000      # KIMAGE_BASE: the kernel's image
MAGIC = b"TBtrace\0"
VERSION = 2
MAXCPUS = 64
ROOT = struct.Struct("<8sIIQQQQQIIQQQ")
RING = struct.Struct("<QQIIQ32Q")
RING_STRIDE = (RING.size + 63) // 64 * 64
TABLE = struct.Struct("<QQQ")
EVENT = struct.Struct("<QIBBBBiIQ")
NAME = struct.Struct("<QIiiiQ16s16s")
LOW_4G = 4 << 30
PC_LOW_MAX = 0xe0000000         # QEMU's pc: with more memory ...
PC_LOW = 0xc0000000             # ... only so much is below 4 GiB

Event = collections.namedtuple("Event", "cycles cpu type arg intr lid a b")
Name = collections.namedtuple("Name", "cycles lid pid ppid proc lname comm")


class NoTrace(Exception):
    """There is no trace in the machine's memory; the text tells why."""


class Symbols:
    """The kernel's symbols, from its ELF file."""

    def __init__(self, elf):
        out = subprocess.run(["nm", "-n", elf], stdout=subprocess.PIPE, text=True, check=True)
        rows = [line.split() for line in out.stdout.splitlines()]
        rows = [(int(r[0], 16), r[1], r[2]) for r in rows if len(r) == 3]
        self._all = [r for r in rows if r[0] >= IMAGE and not r[2].startswith(".")]
        self._addresses = [r[0] for r in self._all]
        self.by_name = {r[2]: r[0] for r in self._all}

    def function(self, address):
        """Return the name of the function that holds address, or None."""
        i = bisect.bisect_right(self._addresses, address) - 1
        if i < 0 or self._all[i][1] not in "tTwW":
            return None
        return self._all[i][2].partition(".")[0]

    def variable(self, address):
        """Return name or name+offset of the variable that holds address, or None."""
        i = bisect.bisect_right(self._addresses, address) - 1
        if i < 0 or self._all[i][1] not in "bBdDrR" or address - self._all[i][0] > 1 << 16:
            return None
        offset = address - self._all[i][0]
        return self._all[i][2] + ("+%#x" % offset if offset else "")


class Memory:
    """The machine's RAM, by the kernel's addresses."""

    def __init__(self, ram):
        self._ram = ram
        self.physmap = None

    def physical(self, address, size):
        if len(self._ram) >= PC_LOW_MAX and address >= PC_LOW:
            if address < LOW_4G:
                raise NoTrace("%#x is not memory" % address)
            address += PC_LOW - LOW_4G
        if address + size > len(self._ram):
            raise NoTrace("%#x is outside of memory" % address)
        return self._ram[address:address + size]

    def read(self, va, size):
        if va >= IMAGE:
            return self.physical(va - IMAGE, size)
        if self.physmap is not None and va >= self.physmap:
            return self.physical(va - self.physmap, size)
        raise NoTrace("%#x is no address of the kernel's image or direct map" % va)

    def string(self, va, limit=64):
        if va == 0:
            return ""
        try:
            data = self.read(va, limit)
        except NoTrace:
            return ""
        return _text(data)


def _text(data):
    return data.split(b"\0", 1)[0].decode("ascii", "replace")


class Ring:
    """One ring: its slots in the order in which they were written."""

    def __init__(self, memory, va):
        self.head, self.mask, self.size, self.perchunk, _, *self.chunks = RING.unpack(
            memory.read(va, RING.size))
        self._memory = memory
        self.broken = 0         # slots whose writer was stopped half way

    def slots(self):
        """Yield the bytes of each valid slot."""
        if self.size == 0:
            return
        count = self.mask + 1
        chunks = [self._memory.read(self.chunks[i], self.perchunk * self.size)
                  for i in range(count // self.perchunk)]
        for number in range(max(0, self.head - count), self.head):
            slot = number & self.mask
            chunk, offset = divmod(slot, self.perchunk)
            data = chunks[chunk][offset * self.size:(offset + 1) * self.size]
            if struct.unpack_from("<I", data, 8)[0] != (number + 1) & 0xffffffff:
                self.broken += 1
                continue
            yield data

    @property
    def overrun(self):
        return max(0, self.head - self.mask - 1) if self.size else 0


class Raw:
    """The trace as the kernel wrote it.

    events: of all CPUs in the order of time; names: likewise; lost: for each
    CPU how many events were overwritten; first: for each CPU the time of its
    first event.
    """

    def __init__(self, ram, elf):
        self.symbols = Symbols(elf)
        self.memory = Memory(ram)
        root = self.symbols.by_name.get("trace_root")
        if root is None:
            raise NoTrace("%s knows no trace" % elf)
        (magic, version, self.ncpu, self.hz, self.base, self.memory.physmap, self.classes,
         self.started, _, ntables, tables, rings, names) = ROOT.unpack(
             self.memory.read(root, ROOT.size))
        if magic != MAGIC:
            raise NoTrace("the trace was never switched on")
        if version != VERSION or not 0 < self.ncpu <= MAXCPUS:
            raise NoTrace("the trace is of another version (%d)" % version)
        self.tables = dict(self._table(tables + i * TABLE.size) for i in range(ntables))
        self._read_names(names)
        self._read_events(rings)

    def _table(self, va):
        name, pointers, count = TABLE.unpack(self.memory.read(va, TABLE.size))
        words = struct.unpack("<%dQ" % count, self.memory.read(pointers, 8 * count))
        return self.memory.string(name), [self.memory.string(w) for w in words]

    def _read_names(self, va):
        ring = Ring(self.memory, va)
        self.names = []
        for data in ring.slots():
            cycles, _, lid, pid, ppid, proc, lname, comm = NAME.unpack(data)
            self.names.append(Name(cycles, lid, pid, ppid, proc, _text(lname), _text(comm)))
        self.names.sort(key=lambda n: n.cycles)
        self.names_lost = ring.overrun

    def _read_events(self, va):
        types = self.tables["event"]
        self.events, self.lost, self.first, self.broken = [], [], [], 0
        for cpu in range(self.ncpu):
            ring = Ring(self.memory, va + cpu * RING_STRIDE)
            mine = []
            for data in ring.slots():
                cycles, _, kind, arg, intr, _, lid, a, b = EVENT.unpack(data)
                if kind >= len(types):      # the memory of a kernel that went wrong
                    self.broken += 1
                    continue
                mine.append(Event(cycles, cpu, types[kind], arg, intr, lid, a, b))
            self.lost.append(ring.overrun)
            self.broken += ring.broken
            self.first.append(min((e.cycles for e in mine), default=None))
            self.events += mine
        self.events.sort(key=lambda e: e.cycles)

    def word(self, table, number):
        words = self.tables.get(table, [])
        return words[number] if number < len(words) and words[number] else str(number)
