# SPDX-License-Identifier: BSD-2-Clause
"""LWPs, processes, ids, and locks. Objects are read when they are made and do not follow the machine."""

import contextlib

import gdb

from . import kern
from .kern import addr, deref, text

# SCHED_* of the ABI, which gives the numbers of Linux for ever.
POLICIES = {0: "OTHER", 1: "FIFO", 2: "RR", 3: "BATCH", 5: "IDLE"}


class Lwp:
    """A struct lwp as it was when it was read."""

    def __init__(self, ptr):
        self.ptr, self.addr = ptr, addr(ptr)
        self.v = deref(ptr)
        self.lid = int(self.v["l_lid"])
        self.stat = int(self.v["l_stat"])
        self.state = kern.enum_name("lwp_state", self.stat, "LS_")
        self.flag = int(self.v["l_flag"])
        self.running = bool(self.v["l_running"])
        self.name = text(self.v["l_name"])
        self.wchan = addr(self.v["l_wchan"])
        self.kstack = addr(self.v["l_kstack"])

    @property
    def sane(self):
        return int(self.v["l_magic"]) == kern.constant("LWP_MAGIC")

    @property
    def idle(self):
        return bool(self.flag & kern.constant("LW_IDLE"))

    @property
    def user(self):
        """Has a user half."""
        return not self.flag & kern.constant("LW_SYSTEM") and addr(self.v["l_proc"]) != addr(
            kern.symbol("proc0").address)

    @property
    def in_kernel_process(self):
        return bool(int(self.v["l_proc"]["p_flag"]) & kern.constant("PK_SYSTEM"))

    @property
    def sched_class(self):
        """FIFO50, RR1, nice-5, batch0, idle. That of a kernel thread says nothing."""
        if not self.user:
            return "kernel"
        c = self.v["l_class"]
        if self.policy in ("FIFO", "RR"):
            return "%s%d" % (self.policy, int(c["sc_rtprio"]))
        if self.policy == "IDLE":
            return "idle"
        return "%s%d" % ("batch" if self.policy == "BATCH" else "nice", int(c["sc_nice"]))

    @property
    def cpu(self):
        try:
            return int(deref(self.v["l_cpu"])["ci_index"])
        except gdb.MemoryError:
            return -1

    @property
    def pid(self):
        try:
            return int(self.v["l_proc"]["p_pid"])
        except gdb.MemoryError:
            return -1

    @property
    def proc(self):
        return Proc(self.v["l_proc"])

    @property
    def priority(self):
        """lwp_eprio()."""
        pri, boosted = int(self.v["l_priority"]), kern.constant("PRI_KERNEL")
        if self.v["l_kpribase"] and pri < boosted:
            pri = boosted + (pri >> 1)
        return max(pri, int(self.v["l_inheritedprio"]))

    @property
    def sleep_priority(self):
        """lwp_sleeppri()."""
        first = kern.constant("PRI_USER_RT")
        return self.priority if self.priority >= first else kern.constant("PRI_USER")

    @property
    def policy(self):
        """OTHER, FIFO, RR, BATCH, IDLE."""
        number = int(self.v["l_class"]["sc_policy"])
        return POLICIES.get(number, "?%d" % number)

    @property
    def wmesg(self):
        return text(self.v["l_wmesg"], 16) if self.wchan else ""

    @property
    def kind(self):
        """What it sleeps on: CV, FUTEX, TURNSTILE, PARK."""
        if not self.wchan or not addr(self.v["l_syncobj"]):
            return ""
        try:
            return kern.enum_name("sobj_kind", int(deref(self.v["l_syncobj"])["so_kind"]), "SOBJ_")
        except gdb.MemoryError:
            return "?"

    def __str__(self):
        return "lid %d (%s)" % (self.lid, self.name)


class Proc:
    """A struct proc as it was when it was read."""

    def __init__(self, ptr):
        self.ptr, self.addr = ptr, addr(ptr)
        self.v = deref(ptr)
        self.pid = int(self.v["p_pid"])
        self.state = kern.enum_name("proc_state", int(self.v["p_stat"]), "PS_")
        self.name = text(self.v["p_comm"])

    @property
    def parent(self):
        try:
            return int(self.v["p_pptr"]["p_pid"]) if addr(self.v["p_pptr"]) else -1
        except gdb.MemoryError:
            return -1

    @property
    def kernel(self):
        """Has no address space of its own."""
        return addr(self.v["p_vmspace"]) in (0, addr(kern.symbol("vmspace_kernel").address))

    @property
    def stop_signal(self):
        """The one that stopped it or is about to, else 0."""
        stop = int(self.v["p_flag"]) & kern.constant("PK_STOP")
        return int(self.v["p_stopsig"]) if stop else 0

    @property
    def group(self):
        """(id of its group, of its session); -1 where there is none."""
        try:
            if addr(self.v["p_pgrp"]):
                group = deref(self.v["p_pgrp"])
                return int(group["pg_id"]), int(group["pg_session"]["s_sid"])
        except gdb.MemoryError:
            pass
        return -1, -1

    def lwps(self):
        """Its LWPs, as a Walk."""
        return kern.Walk(self.ptr["p_lwps"], "struct lwp", "l_sibling")

    def children(self):
        return kern.Walk(self.ptr["p_children"], "struct proc", "p_sibling")

    def __str__(self):
        return "pid %d (%s)" % (self.pid, self.name)


# --- Ids --------------------------------------------------------------------------

FREE, PROC, LWP, RESERVED = "free", "process", "LWP", "reserved"


class IdEntry:
    """One entry of the table."""

    def __init__(self, index, v):
        self.index = index
        self.slot, self.pid, self.pgrp = addr(v["slot"]), int(v["pid"]), addr(v["pgrp"])
        if self.slot & kern.constant("IDT_FREE"):
            self.kind = FREE
        elif self.slot & kern.constant("IDT_PROC"):
            self.kind = PROC
        else:
            self.kind = LWP if self.slot else RESERVED

    @property
    def object(self):
        """A pointer to what the entry holds."""
        type_ = {LWP: "struct lwp", PROC: "struct proc"}[self.kind]
        return kern.pointer(self.slot & ~kern.constant("IDT_PROC"), type_)


class IdTable:
    """The whole table, read at once."""

    def __init__(self):
        self.v = kern.symbol("idtable")
        array = self.v["array"]
        self.mask = int(array["mask"])
        if self.mask & (self.mask + 1) or self.mask >= kern.constant("IDT_MAX"):
            raise gdb.GdbError("the id table's mask is %#x: no power of two less one" % self.mask)
        entries = array["entry"].address.cast(gdb.lookup_type("struct id_entry").pointer())
        table = deref(entries.cast(entries.dereference().type.array(self.mask).pointer()))
        self.entries = [IdEntry(i, table[i]) for i in range(self.mask + 1)]
        # Entry 0 is lwp0's for ever; its pid is 0 as in a free one.
        self.count, self.limit = int(self.v["count"]), int(self.v["limit"])
        self.next_free, self.last_free = int(self.v["next_free"]), int(self.v["last_free"])

    def find(self, id_):
        """The entry of an id that is in use, or None."""
        entry = self.entries[id_ & self.mask] if id_ >= 0 else None
        return entry if entry and entry.kind in (LWP, PROC) and entry.pid == id_ else None


# --- Finding ------------------------------------------------------------------------

def every_lwp():
    """Pointers to every struct lwp ever made."""
    ptr, seen = kern.symbol("lwp_all"), set()
    while addr(ptr) and addr(ptr) not in seen and len(seen) < kern.LIMIT:
        seen.add(addr(ptr))
        yield ptr
        try:
            ptr = ptr["l_allnext"]
        except gdb.MemoryError:
            return


def lwps():
    """All LWPs that exist: by id, idle ones (no id but 0) first."""
    found = []
    ids = None
    for ptr in every_lwp():
        try:
            l = Lwp(ptr)
        except gdb.MemoryError:
            continue
        if l.state == "IDL" and not l.idle and not l.running:
            if ids is None:
                ids = {e.slot for e in IdTable().entries if e.kind == LWP}
            if l.addr not in ids:
                continue        # free memory
        found.append(l)
    return sorted(found, key=lambda l: (l.lid, l.cpu))


def find_lwp(lid):
    """The LWP with an id; raises when there is none."""
    entry = IdTable().find(lid)
    if entry is not None and entry.kind == LWP:
        return Lwp(entry.object)
    for ptr in every_lwp():     # on its way into or out of the table
        with contextlib.suppress(gdb.MemoryError):
            l = Lwp(ptr)
            if l.lid == lid and (l.state != "IDL" or l.idle or l.running):
                return l
    raise gdb.GdbError("there is no LWP %d; `lwps` lists them" % lid)


def proc_walks():
    """The lists of processes, as Walks."""
    return [kern.Walk(kern.symbol(name), "struct proc", "p_list")
            for name in ("allproc", "zombproc")]


def procs():
    """All processes by id, and notes on broken lists."""
    found, notes = {}, []
    for name, walk in zip(("allproc", "zombproc"), proc_walks()):
        for ptr in walk:
            with contextlib.suppress(gdb.MemoryError):
                found[addr(ptr)] = Proc(ptr)
        if walk.broken:
            notes.append("(%s %s)" % (name, walk.broken))
    # What is moving between the lists is in the table, or has an LWP.
    for entry in IdTable().entries:
        with contextlib.suppress(gdb.MemoryError):
            if entry.kind == PROC:
                found.setdefault(addr(entry.object), Proc(entry.object))
            elif entry.kind == LWP:
                ptr = entry.object["l_proc"]
                if addr(ptr) not in found:
                    found[addr(ptr)] = Proc(ptr)
    return sorted(found.values(), key=lambda p: p.pid), notes


def find_proc(pid):
    """The process with an id; raises when there is none."""
    entry = IdTable().find(pid)
    if entry is not None:
        p = Proc(entry.object) if entry.kind == PROC else Lwp(entry.object).proc
        if p.pid == pid:
            return p
        raise gdb.GdbError("%d is an LWP of process %d" % (pid, p.pid))
    for p in procs()[0]:
        if p.pid == pid:
            return p
    raise gdb.GdbError("there is no process %d; `procs` lists them" % pid)


# --- Locks -----------------------------------------------------------------------

def mutex_owner(mutex):
    """(address of the owner or 0, waiters bit) of a struct mutex."""
    word = addr(mutex["mtx_word"])
    bit = kern.constant("MTX_WAITERS")
    return word & ~bit, bool(word & bit)


def rwlock_state(lock):
    """(address of the writer or 0, number of readers) of a struct rwlock."""
    word, writer = addr(lock["rw_word"]), kern.constant("RW_WRITER")
    first = kern.constant("RW_READER1")
    return (word & ~(first - 1), 0) if word & writer else (0, word // first)


def lock_name(lock, prefix):
    """Name of a spin lock or mutex: its own in a debug kernel, else of what it lies in."""
    if kern.has_field(lock, prefix + "_name"):
        name = text(lock[prefix + "_name"])
        if name:
            return name
    return kern.name_of(addr(lock.address)) or "?"


def taken_at(lock, prefix):
    """Where a lock was taken, by what the debug kernel keeps; "" if it does not."""
    for field in (prefix + "_pc", prefix + "_where"):
        if kern.has_field(lock, field) and addr(lock[field]):
            return kern.place(addr(lock[field]))
    return ""


def whose(address, processes=None):
    """What a mutex or condition variable belongs to: `p_lock of pid 5`, or a symbol's name."""
    for p in processes if processes is not None else procs()[0]:
        size = p.v.type.sizeof
        if p.addr <= address < p.addr + size:
            for field in p.v.type.fields():
                if p.addr + field.bitpos // 8 == address:
                    return "%s of pid %d" % (field.name, p.pid)
        if addr(p.v["p_vmspace"]) == address:
            return "vm_lock of pid %d" % p.pid
    return kern.name_of(address)
