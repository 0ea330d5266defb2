# SPDX-License-Identifier: BSD-2-Clause
"""A process as an inferior of its own.

What the process has in memory and the user registers of its LWPs are written into a core file, which
gdb opens beside the program's ELF file: so its threads, frames, and variables are looked at as those
of any program, symbols of the kernel and of programs never mix, and the machine is not touched. It
is a picture of the moment: once the machine has run, the next command makes a new one.
"""

import atexit
import contextlib
import glob
import os
import shutil
import struct
import tempfile

import gdb

from . import cpus, kern, model, pages, userframes
from .kern import addr

ORDER = ("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx",
         "rsi", "rdi", "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds",
         "es", "fs", "gs")
NT_PRSTATUS = 1
PT_LOAD, PT_NOTE = 1, 4
FOLDERS = ("build/user/bin", "build/user/test", "build/user/bench")
COMM = 15                       # characters of a process's name

_state = {"folder": None, "turn": 0}
_made = {}                      # pid -> Snapshot
_named = {}                     # name of a process -> the ELF file that was given for it


# --- Which program ---------------------------------------------------------------

def candidates(name):
    """Files that may be the program called name."""
    paths = [_named[name]] if name in _named else []
    paths += [path for path in os.environ.get("THREADBARE_PROGRAMS", "").split(":") if path]
    paths += [os.path.join(kern.TOP, folder, name) for folder in FOLDERS] + [name]
    if len(name) == COMM:       # perhaps cut off
        for folder in FOLDERS:
            paths += sorted(glob.glob(os.path.join(kern.TOP, folder, glob.escape(name) + "*")))
    for path in paths:
        if (path == _named.get(name) or os.path.basename(path)[:COMM] == name[:COMM]) \
                and os.path.isfile(path):
            yield path


def matches(path, space):
    """Does the memory of a process hold this program? Its entry point's code is compared."""
    try:
        with open(path, "rb") as file:
            data = file.read()
        if data[:5] != b"\x7fELF\x02":
            return False
        entry, phoff = struct.unpack_from("<QQ", data, 24)
        size, count = struct.unpack_from("<HH", data, 54)
        for i in range(count):
            kind, _, off, va, _, filesz = struct.unpack_from("<IIQQQQ", data, phoff + i * size)
            if kind == PT_LOAD and va <= entry < va + filesz:
                want = data[off + entry - va:][:min(64, va + filesz - entry)]
                return space.read(entry, len(want)) == want
    except (OSError, struct.error, gdb.MemoryError):
        pass
    return False


def program_of(proc, space):
    """The ELF file of a process, or None."""
    return next((p for p in candidates(proc.name) if matches(p, space)), None)


# --- The core file ---------------------------------------------------------------

def _prstatus(proc, lwp, registers):
    values = dict(registers)
    values.update(cs=kern.constant("SEL_UCODE"), ss=kern.constant("SEL_UDATA"))
    desc = struct.pack("<iiihxxQQiiii64x", 0, 0, 0, 0, 0, 0, lwp.lid, proc.parent, 0, 0)
    desc += struct.pack("<27Q", *(values.get(name, 0) or 0 for name in ORDER))
    desc += struct.pack("<i4x", 0)
    return struct.pack("<III8s", 5, len(desc), NT_PRSTATUS, b"CORE") + desc


def _runs(space, regions, program):
    """[(va, bytes)] of what is in memory, neighbours joined."""
    runs, left = [], pages.MAX_PAGES
    spans = [(addr(r["vr_start"]), addr(r["vr_end"]), int(r["vr_prot"])) for r in regions]
    for start, end, prot in spans:
        if program and not prot & 2:
            continue            # never written: the ELF file has it
        for va, physical in space.resident(start, end, left):
            try:
                data = kern.read(kern.constant("PHYSMAP_BASE") + physical, 4096)
            except gdb.MemoryError:
                continue
            left -= 1
            if runs and runs[-1][0] + len(runs[-1][1]) == va:
                runs[-1][1].extend(data)
            else:
                runs.append((va, bytearray(data)))
    return runs


def _write(path, notes, runs):
    header = 64 + 56 * (1 + len(runs))
    at = header + len(notes)
    table = struct.pack("<IIQQQQQQ", PT_NOTE, 0, header, 0, 0, len(notes), 0, 4)
    for va, data in runs:
        table += struct.pack("<IIQQQQQQ", PT_LOAD, 7, at, va, 0, len(data), len(data), 1)
        at += len(data)
    with open(path, "wb") as file:
        file.write(struct.pack("<4sBBB9xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 4, 62, 1, 0, 64, 0, 0,
                               64, 56, 1 + len(runs), 0, 0, 0) + table + notes)
        for _, data in runs:
            file.write(data)


class Snapshot:
    """One process as a gdb inferior; .lids are those of its threads."""

    def __init__(self, proc, program=None):
        space = pages.AddressSpace(proc)
        self.pid, self.turn = proc.pid, _state["turn"]
        if program is not None:
            _named[proc.name] = program
        self.program = program or program_of(proc, space)
        self.note = None
        regions, broken = space.regions()
        notes, self.lids = b"", []
        everybody = model.lwps()
        threads = {t.lwp.addr: t for t in cpus.threads(everybody) if t.lwp is not None}
        for l in everybody:
            if addr(l.v["l_proc"]) != proc.addr or l.state == "ZOMB":
                continue
            with contextlib.suppress(gdb.MemoryError):
                found = pages.user_registers(l, threads.get(l.addr))
                if found is not None and found[0]["rip"]:
                    notes += _prstatus(proc, l, found[0])
                    self.lids.append(l.lid)
        if not self.lids:
            raise gdb.GdbError("%s has no LWP that was in user mode yet" % proc)
        if broken:
            self.note = "its regions: " + broken
        if _state["folder"] is None:
            _state["folder"] = tempfile.mkdtemp(prefix="threadbare-gdb-")
            atexit.register(shutil.rmtree, _state["folder"], True)
        # Kept while it is open: gdb closes files now and then, and opens them again.
        self.path = os.path.join(_state["folder"], "core.%d.%d" % (proc.pid, self.turn))
        _write(self.path, notes, _runs(space, regions, self.program))
        self.inferior = self._open()

    def _open(self):
        before = {inferior.num for inferior in gdb.inferiors()}
        gdb.execute("add-inferior -no-connection", to_string=True)
        inferior = next(i for i in gdb.inferiors() if i.num not in before)
        with kern.selection_kept(), _quiet():
            # Through the machine interface: that selects the inferior without a word.
            gdb.execute('interpreter-exec mi "-file-exec-and-symbols --thread-group i%d %s"'
                        % (inferior.num, self.program or ""), to_string=True)
            gdb.execute("core-file %s" % self.path, to_string=True)
        userframes.SCANNED.add(inferior.num)
        return inferior

    def select(self, lid=None):
        """Make it gdb's current inferior, and an LWP its current thread."""
        kern.select_inferior(self.inferior)
        for thread in self.inferior.threads():
            if thread.ptid[1] == lid:
                thread.switch()

    def close(self):
        """Forget it. => it is not selected"""
        if self.inferior.is_valid():
            with _quiet(), contextlib.suppress(gdb.error):
                with kern.selection_kept():
                    kern.select_inferior(self.inferior)
                    gdb.execute("core-file", to_string=True)
                gdb.execute("remove-inferiors %d" % self.inferior.num, to_string=True)
        with contextlib.suppress(OSError):
            os.unlink(self.path)


@contextlib.contextmanager
def _quiet():
    """No questions, no warnings about thread libraries."""
    saved = {name: gdb.parameter(name) for name in ("confirm", "auto-load libthread-db")}
    try:
        for name in saved:
            gdb.execute("set %s off" % name, to_string=True)
        yield
    finally:
        for name, value in saved.items():
            gdb.execute("set %s %s" % (name, "on" if value else "off"), to_string=True)


def of(proc, program=None):
    """The Snapshot of a process, made anew if the machine has run since."""
    old = _made.get(proc.pid)
    if old is not None and old.turn == _state["turn"] and old.inferior.is_valid() \
            and program in (None, old.program):
        return old
    sweep()
    _made[proc.pid] = Snapshot(proc, program)
    return _made[proc.pid]


def sweep():
    """Close what is stale, but for the inferior that is selected."""
    for pid, snapshot in list(_made.items()):
        if gdb.selected_inferior().num != snapshot.inferior.num:
            snapshot.close()
            del _made[pid]


def _stopped(_):
    _state["turn"] += 1


gdb.events.stop.connect(_stopped)
gdb.events.cont.connect(_stopped)
