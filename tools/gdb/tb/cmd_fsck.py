# SPDX-License-Identifier: BSD-2-Clause
"""fsck: the invariants of docs/invariants.md, looked at from outside.

The kernel's own fsck() takes proc_lock and parks the CPUs. Here the machine stands where it was
stopped, and a structure whose lock is held may be halfway through a change. So only what is at rest
is checked, and what was not is counted:

 T, P   if proc_lock is free; what a p_lock or vm_lock covers if that is free, too
 L, R   if the LWP's lock is free, and its CPU is outside of all spin-lock sections; L9, L10 look at
        what locks of turnstile chains cover: if all CPUs are
"""

import gdb

from . import cpus, kern, model, pages
from .kern import addr, plural


PRI_IDLE = LWPCTL_CPU_NONE = -1


class Broken(Exception):
    """A predicate does not hold; the text begins with its letter."""


def check(holds, text, *args):
    if not holds:
        raise Broken(text % args if args else text)


class Fsck(kern.Command):
    """Check the kernel's invariants, as far as they are at rest: `fsck`.

Nothing is called or changed in the machine. Checked: the letters of docs/invariants.md, and order
and counts of the regions of each address space. What a held lock covers is not looked at and
counted as skipped."""

    name = "fsck"

    def run(self, words):
        if words:
            self.usage("")
        self.good = self.skipped = 0
        self.bad = []
        self.everywhere = cpus.cpus()
        self.spinning = {c.index for c in self.everywhere if c.spins}
        self.current = {c.curlwp for c in self.everywhere}
        self.everybody = [model.Lwp(ptr) for ptr in model.every_lwp()]
        self.by_address = {l.addr: l for l in self.everybody}
        self.lwplocks = {addr(c.v["ci_spc"]["spc_lwplock"].address) for c in self.everywhere
                         if c.spc is not None}
        self.runqlocks = {addr(c.v["ci_spc"]["spc_mutex"].address) for c in self.everywhere
                          if c.spc is not None}
        self.syncobj_park = addr(kern.symbol("syncobj_park").address)
        for l in self.everybody:
            self.one(self.lwp, l, self.quiet(l))
        for cpu in self.everywhere:
            if cpu.online and cpu.spc is not None:
                self.one(self.cpu, cpu, not cpu.spins and not int(
                    cpu.spc["spc_mutex"]["sl_word"]))
        if model.mutex_owner(kern.symbol("proc_lock"))[0]:
            print("proc_lock is held: ids and processes are not looked at")
            self.skipped += 1
        else:
            self.table = model.IdTable()
            self.one(self.ids, self.table, True)
            for name, walk in zip(("allproc", "zombproc"), model.proc_walks()):
                for ptr in walk:
                    p = model.Proc(ptr)
                    self.one(lambda p, n=name: self.proc(p, n == "zombproc"), p, True)
                if walk.broken:
                    self.bad.append("%s %s" % (name, walk.broken))
        for text in self.bad:
            print("VIOLATED " + text)
        print("%s good, %d violated, %d skipped (their lock is held)" % (
            plural(self.good, "object"), len(self.bad), self.skipped))

    def one(self, function, thing, at_rest):
        if not at_rest:
            self.skipped += 1
            return
        try:
            function(thing)
            self.good += 1
        except Broken as error:
            self.bad.append(str(error))
        except gdb.MemoryError as error:
            self.bad.append("%s: %s" % (thing, error))

    # --- LWPs and CPUs -----------------------------------------------------------

    def quiet(self, l):
        """Nobody is changing l: its lock is free, its CPU in no spin-lock section."""
        try:
            return not int(kern.deref(l.v["l_mutex"])["sl_word"]) and l.cpu not in self.spinning
        except gdb.MemoryError:
            return True

    @staticmethod
    def on_list(head, entry):
        """Is the entry on the list? A broken list is a violation, whatever it is about."""
        walk = kern.Walk(head, "struct list", "next")
        found = any(addr(ptr) == entry for ptr in walk)
        check(found or not walk.broken, "list at %#x: %s" % (addr(head.address), walk.broken))
        return found

    def member(self, l, name):
        return l.addr + kern.offset(l.v.type, name)

    def lwp(self, l):
        who, v = "lid %d" % l.lid, l.v
        check(l.sane, "L8: lwp %#x: magic %#x" % (l.addr, int(v["l_magic"])))
        check(not l.state.startswith("?"), "L1: %s: state %d", who, l.stat)
        m = addr(v["l_mutex"])
        spc = v["l_cpu"]["ci_spc"]
        if l.state == "RUN":
            qpri = int(v["l_qpri"])
            check(m == addr(spc["spc_mutex"].address), "L1: %s RUN: its lock is not cpu%d's "
                  "spc_mutex", who, l.cpu)
            check(not l.running, "L3: %s RUN is RUNNING", who)
            check(0 <= qpri < kern.constant("PRI_COUNT") and self.on_list(
                spc["spc_queue"][qpri], self.member(l, "l_runq")),
                "L3: %s RUN is not on queue %d of cpu%d", who, qpri, l.cpu)
            check(qpri == l.priority, "L3: %s on queue %d, effective priority %d", who, qpri,
                  l.priority)
        elif l.state == "SLEEP":
            queue = addr(v["l_sleepq"])
            if queue:
                check(m not in self.lwplocks | self.runqlocks, "L1: %s SLEEP on a queue: its lock is "
                      "a CPU's", who)
                check(self.on_list(v["l_sleepq"].dereference(), self.member(l, "l_sleepchain")),
                      "L4: %s (%s) is not on its sleep queue", who, l.wmesg)
                self.sorted(l, who, queue)
            else:
                check(m in self.lwplocks, "L1: %s SLEEP without a queue: no lwplock", who)
            check(l.wchan, "L4: %s SLEEP without wchan", who)
        elif l.state == "ONPROC":
            check(m == addr(spc["spc_lwplock"].address), "L1: %s ONPROC: not cpu%d's lwplock",
                  who, l.cpu)
            check(l.addr in self.current, "L7: %s ONPROC runs nowhere", who)
        else:
            check(m in self.lwplocks or l.wchan, "L1: %s %s: lock is no lwplock", who, l.state)
        check(l.running == (l.addr in self.current), "L2: %s %s: RUNNING %d, current %d", who,
              l.state, l.running, l.addr in self.current)
        if not l.wchan:
            check(not addr(v["l_sleepq"]), "L4: %s has a sleep queue but no wchan", who)
            check(not l.flag & kern.constant("LW_SINTR"), "L5: %s: SINTR without wchan", who)
        self.lwpctl(l, who)
        affinity = addr(v["l_affinity"])
        check(l.state == "IDL" or addr(v["l_target_cpu"]) or not affinity
              or affinity >> l.cpu & 1, "L12: %s %s is of cpu%d, allowed are %#x", who, l.state,
              l.cpu, affinity)
        if l.state not in ("IDL", "ZOMB"):
            self.scheduling_class(l, who)
        if l.state == "SUSPENDED":
            check(l.flag & kern.constant("LW_WSUSPEND") and not l.wchan,
                  "P6: %s is SUSPENDED, its flags are %#x, it waits for %#x", who, l.flag, l.wchan)
        if l.state == "SLEEP" and addr(v["l_syncobj"]) == self.syncobj_park:
            check(not l.flag & (kern.constant("LW_UNPARKED") | kern.constant("LW_CANCELLED")),
                  "L14: %s is parked with a token, its flags are %#x", who, l.flag)
        if l.state == "IDL" and not l.idle and not l.lid and not l.kstack:
            # l_life_begin to l_life_end
            first, last = self.member(l, "l_pflag"), self.member(l, "l_magic")
            check(not any(kern.read(first, last - first)) and not addr(
                v["l_sigpend"]["sp_set"]), "L13: lwp %#x is free, and something is left of its "
                "life", l.addr)
        self.lwp_priority(l, who)

    def sorted(self, l, who, queue):
        """On its queue: who comes next is not more urgent."""
        after = addr(l.v["l_sleepchain"]["next"])
        if after == queue:
            return
        after = model.Lwp(kern.pointer(after - kern.offset(l.v.type, "l_sleepchain"), "struct lwp"))
        check(l.sleep_priority >= after.sleep_priority,
              "S1: %s sleeps at priority %d before lid %d at %d", who, l.sleep_priority, after.lid,
              after.sleep_priority)

    @staticmethod
    def lwpctl(l, who):
        """What its place in the memory of its process says. In the switch it may be of before."""
        if not addr(l.v["l_lwpctl"]):
            return
        check(l.state != "ZOMB", "L16: %s ZOMB: a dead LWP has a lwpctl place", who)
        told = int(l.v["l_lwpctl"]["lc_curcpu"])
        check(told == (l.cpu if l.running else LWPCTL_CPU_NONE),
              "L16: %s %s: lwpctl names cpu%d, it is %s cpu%d", who, l.state, told,
              "on" if l.running else "off", l.cpu)

    @staticmethod
    def scheduling_class(l, who):
        """Its own priority is one of its class. Kernel threads have any."""
        if l.in_kernel_process:
            return
        own, fixed = int(l.v["l_priority"]), addr(l.v["l_pridue"]) == kern.MASK
        rtprio = int(l.v["l_class"]["sc_rtprio"])
        if l.policy in ("FIFO", "RR"):
            check(own == kern.constant("PRI_USER_RT") + rtprio - 1 and fixed,
                  "L15: %s has priority %d, is real time %d", who, own, rtprio)
        else:
            check(kern.constant("PRI_USER") <= own <= kern.constant("PRI_USER_MAX") and not fixed
                  and rtprio == 0, "L15: %s has priority %d in time sharing", who, own)

    def lwp_priority(self, l, who):
        v = l.v
        lenders = addr(v["l_pi_lenders"]["next"]) != self.member(l, "l_pi_lenders")
        if l.state in ("ZOMB", "IDL") and not l.idle and not l.running:
            check(addr(v["l_runq"]["next"]) in (0, self.member(l, "l_runq")),
                  "L6: %s %s is on a run queue", who, l.state)
            check(not addr(v["l_ts"]) or not addr(v["l_ts"]["ts_obj"]),
                  "L6: %s %s: its turnstile is active", who, l.state)
            check(not lenders, "L6: %s %s has lenders", who, l.state)
            # (0: it was never made)
            check(addr(v["l_pifutexes"]["next"]) in (0, self.member(l, "l_pifutexes")),
                  "L6: %s %s holds locks that others wait for", who, l.state)
        if self.spinning:
            return
        if l.wchan and addr(v["l_syncobj"]["so_owner"]):
            check(addr(v["l_ts"]["ts_obj"]) == l.wchan,
                  "L10: %s waits for %#x with a turnstile of %#x", who, l.wchan,
                  addr(v["l_ts"]["ts_obj"]))
        if not lenders:
            check(int(v["l_inheritedprio"]) == -1, "L9: %s: inherited priority %d without a lender",
                  who, int(v["l_inheritedprio"]))

    def cpu(self, cpu):
        spc, who = cpu.spc, "cpu%d" % cpu.index
        count = mcount = 0
        highest = PRI_IDLE
        bound = kern.constant("LW_BOUND")
        queues = cpu.v["ci_spc"]["spc_queue"]
        size = queues.type.target().sizeof
        for pri in range(kern.constant("PRI_COUNT")):
            bit = addr(spc["spc_bitmap"][pri >> 6]) >> (pri & 63) & 1
            empty = addr(spc["spc_queue"][pri]["next"]) == addr(queues.address) + pri * size
            check(bit != empty, "R1: %s queue %d: bit %d", who, pri, bit)
            if empty:
                continue
            highest = pri
            walk = kern.Walk(queues[pri], "struct lwp", "l_runq")
            for ptr in walk:
                l = model.Lwp(ptr)
                count += 1
                mcount += not l.flag & bound
                check(l.state == "RUN" and addr(l.v["l_cpu"]) == cpu.addr,
                      "R3: %s queue %d: lid %d is %s on cpu%d", who, pri, l.lid, l.state, l.cpu)
            check(not walk.broken, "R3: %s queue %d: %s", who, pri, walk.broken)
        check(int(spc["spc_maxpri"]) == highest, "R2: %s: maxpri %d, is %d", who,
              int(spc["spc_maxpri"]), highest)
        check((int(spc["spc_count"]), int(spc["spc_mcount"])) == (count, mcount),
              "R3: %s: count %d/%d, are %d/%d", who, int(spc["spc_count"]),
              int(spc["spc_mcount"]), count, mcount)
        l = self.by_address.get(cpu.curlwp)
        check(l is not None and l.running, "L2: %s: its current LWP is not RUNNING", who)
        pri = int(spc["spc_curpriority"])
        if l.idle:
            check(pri == PRI_IDLE, "R4: %s idle at priority %d", who, pri)
            return
        if l.state == "ONPROC" and not int(spc["spc_lwplock"]["sl_word"]):
            check(pri == l.priority, "R4: %s: priority %d, lid %d has %d", who, pri, l.lid,
                  l.priority)
        check(highest <= pri or int(cpu.v["ci_want_resched"]),
              "R5: %s: queue %d waits behind %d, no resched", who, highest, pri)

    # --- Ids and processes -----------------------------------------------------------

    def ids(self, table):
        self.free_list(table)
        self.occupants(table)
        self.groups(table)

    def in_table(self, ptr):
        """Does the entry of a process's PID lead to it, or to its lead LWP?"""
        entry = self.table.find(int(ptr["p_pid"]))
        if entry is None:
            return False
        return addr(entry.object if entry.kind == model.PROC
                    else entry.object["l_proc"]) == addr(ptr)

    def occupants(self, table):
        proc0 = addr(kern.symbol("proc0").address)
        # PID 1 is made by the first LWP, after others.
        check(table.entries[0].slot == addr(kern.symbol("lwp0").address)
              and (table.entries[1].pid == 1 or not addr(kern.symbol("initproc"))),
              "T11: entry 0 or 1 has changed")
        for e in table.entries[1:]:
            if e.kind == model.PROC:
                p = e.object
                check(int(p["p_pid"]) == e.pid and model.Proc(p).state != "IDL",
                      "T3: entry of id %d: process %#x has pid %d", e.pid, addr(p), int(p["p_pid"]))
            elif e.kind == model.LWP:
                l = e.object
                check(int(l["l_magic"]) == kern.constant("LWP_MAGIC") and int(l["l_lid"]) == e.pid,
                      "T4: entry of id %d: lwp %#x has lid %d", e.pid, addr(l), int(l["l_lid"]))
                check(addr(l["l_proc"]) == proc0 or self.in_table(l["l_proc"]),
                      "T4: lid %d: its process %#x is not in the table", e.pid, addr(l["l_proc"]))

    @staticmethod
    def groups(table):
        seen = {}               # address of a session -> [id, groups counted, groups with members]
        for e in table.entries[1:]:
            if not e.pgrp:
                continue
            group = kern.pointer(e.pgrp, "struct pgrp")
            id_, session = int(group["pg_id"]), group["pg_session"]
            check(id_ & table.mask == e.index and e.pid in (0, id_),
                  "T7: entry %d with id %d: group %d", e.index, e.pid, id_)
            walk = kern.Walk(group["pg_members"], "struct proc", "p_pglist")
            members = [p.dereference() for p in walk]
            check(not walk.broken, "P10: members of group %d: %s", id_, walk.broken)
            check(members or id_ == int(session["s_sid"]),
                  "T7: group %d is empty, and no session's", id_)
            check(all(addr(p["p_pgrp"]) == e.pgrp for p in members),
                  "P10: a member of group %d does not know", id_)
            jobc = sum(bool(p["p_jobc"]) for p in members)
            check(jobc == int(group["pg_jobc"]), "P10: group %d: jobc %d, are %d", id_,
                  int(group["pg_jobc"]), jobc)
            known = seen.setdefault(
                addr(session), [int(session["s_sid"]), int(session["s_refs"]), 0])
            known[2] += bool(members)
        for sid, refs, groups in seen.values():
            check(refs == groups, "P10: session %d: groups %d, are %d", sid, refs, groups)

    @staticmethod
    def free_list(table):
        mask, busy = table.mask, 0
        for e in table.entries[1:]:
            if e.kind == model.FREE:
                check(not e.pid, "T5: free entry %d has a pid", e.index)
                if e.pgrp:
                    busy += 1
                    check(not e.slot >> 1 & mask, "T8: free entry %d with a group is linked",
                          e.index)
                continue
            busy += 1
            check(e.kind == model.RESERVED or e.pid & mask == e.index,
                  "T2: pid %d does not belong to entry %d", e.pid, e.index)
        check(busy == table.count, "T6: count %d, are %d busy", table.count, busy)
        at, length = table.next_free, 1
        while at != table.last_free:
            check(length <= mask and at <= mask, "T5: the free list has a cycle (entry %d)", at)
            e = table.entries[at]
            check(e.kind == model.FREE and not e.pgrp and not e.pid,
                  "T5: entry %d on the free list is not free", at)
            at, length = e.slot >> 1 & mask, length + 1
        check(not table.entries[at].slot >> 1 & mask, "T5: the tail %d is linked", at)
        check(length + table.count + 1 == mask + 1,
              "T6: free list and count do not add up to the size")

    def proc(self, p, on_zombies):
        who, v = "pid %d" % p.pid, p.v
        zombie = on_zombies and p.state == "ZOMB"
        proc0 = addr(kern.symbol("proc0").address)
        initproc = addr(kern.symbol("initproc"))
        entry = self.table.find(p.pid)
        held = self.in_table(p.ptr) and not (zombie and entry.kind != model.PROC)
        check(p.addr == proc0 or held, "%s: %s is not in the table", "T10" if zombie else "T9", who)
        ancestor, depth = p, 0
        while ancestor.addr not in (proc0, initproc):
            check(addr(ancestor.v["p_pptr"]) and depth < 100000, "P9: %s: no way to init", who)
            ancestor, depth = model.Proc(ancestor.v["p_pptr"]), depth + 1
        dead, walk = 0, p.children()
        reaper = kern.enum_name("exit_mode", int(kern.symbol("exit_mode")), "EXIT_") == "REAPER"
        for ptr in walk:
            c = model.Proc(ptr)
            check(addr(c.v["p_pptr"]) == p.addr and int(c.v["p_ppid"]) == p.pid, "P8: pid %d is on the list of %s, has parent %d",
                  c.pid, who, c.parent)
            report = kern.enum_name("proc_report", int(c.v["p_report"]), "REPORT_")
            # With a reaper, what is DEAD has not been shown to the parent yet.
            dead += (c.state == "ZOMB" or (c.state == "DEAD" and not reaper)
                     or report != "NONE")
            check(report == "NONE" or c.state in ("IDL", "ACTIVE", "STOP"),
                  "P8: pid %d is dying and is to be reported as %s", c.pid, report)
        check(not walk.broken, "P8: children of %s: %s", who, walk.broken)
        check(dead == int(v["p_nstopchild"]), "P8: %s: nstopchild %d, are %d", who,
              int(v["p_nstopchild"]), dead)
        check(addr(v["p_pgrp"]) or p.addr == proc0, "P10: %s is in no group", who)
        if addr(v["p_pgrp"]):
            check(self.on_list(v["p_pgrp"]["pg_members"], p.addr + kern.offset(
                v.type, "p_pglist")), "P10: %s is not in its group", who)
            self.jobc(p, who)
        if addr(v["p_vforklwp"]):
            check(addr(v["p_vforklwp"]["l_vforkchild"]) == p.addr and addr(
                v["p_vforklwp"]["l_proc"]) == addr(v["p_pptr"]), "P11: %s: vfork parent", who)
        if model.mutex_owner(v["p_lock"])[0]:
            self.skipped += 1
        else:
            self.proc_lwps(p, who)
        if zombie:
            check(int(v["p_nlwps"]) == 1 and int(v["p_nrlwps"]) == 0 and p.kernel
                  and not addr(v["p_fd"]) and not list(p.children()), "P7: zombie %s keeps something", who)
        elif not p.kernel:
            self.regions(p, who)

    @staticmethod
    def jobc(p, who):
        parent = p.v["p_pptr"]["p_pgrp"]
        counts = (p.state not in ("ZOMB", "DEAD") and addr(parent)
                  and addr(parent) != addr(p.v["p_pgrp"])
                  and addr(parent["pg_session"]) == addr(p.v["p_pgrp"]["pg_session"]))
        check(bool(counts) == bool(p.v["p_jobc"]), "P10: %s is counted wrongly in its group", who)

    def proc_lwps(self, p, who):
        exiting, walk = kern.constant("LPR_EXITING"), p.lwps()
        lwps = [model.Lwp(ptr) for ptr in walk]
        check(not walk.broken, "P1: LWPs of %s: %s", who, walk.broken)
        for l in lwps:
            check(addr(l.v["l_proc"]) == p.addr, "P2: lid %d is linked to %s", l.lid, who)
            entry = self.table.find(l.lid)
            check(entry is not None and entry.kind == model.LWP and addr(entry.object) == l.addr
                  or p.state == "ZOMB" or l.lid == 0, "P2: lid %d of %s is not in the table",
                  l.lid, who)
        dead = sum(l.state == "ZOMB" for l in lwps)
        gone = sum(l.state == "ZOMB" or bool(int(l.v["l_prflag"]) & exiting) for l in lwps)
        run = sum(l.state in ("RUN", "ONPROC", "SLEEP", "IDL") for l in lwps)
        for field, count in (("p_nlwps", len(lwps)), ("p_nzlwps", gone),
                             ("p_nlive", len(lwps) - dead), ("p_nrlwps", run)):
            check(int(p.v[field]) == count, "P1: %s: %s %d, are %d", who, field[2:],
                  int(p.v[field]), count)
        self.lwp_waits(p, who, lwps, dead)
        check(lwps or p.state == "IDL", "P4: %s has no LWP", who)
        flag, ending = int(p.v["p_flag"]), kern.constant("PK_KILLED") | kern.constant("PK_EXITING")
        check(p.state != "STOP" or flag & kern.constant("PK_STOP"), "P6: %s is STOP, not PK_STOP",
              who)
        for l in lwps:
            check(p.state != "STOP" or flag & ending or l.state in ("STOP", "SUSPENDED", "ZOMB")
                  or int(l.v["l_prflag"]) & exiting, "P6: %s is STOP, lid %d is %s", who, l.lid,
                  l.state)
            check(l.state != "STOP" or flag & kern.constant("PK_STOP"),
                  "P6: lid %d is STOP, %s is not", l.lid, who)
        owner = addr(p.v["p_single"])
        if owner and p.state != "ZOMB":
            check(any(l.addr == owner and l.state != "ZOMB" for l in lwps)
                  and kern.enum_name("single_mode", int(p.v["p_singlemode"]), "SINGLE_") != "NONE",
                  "P12: %s: lwp %#x owns its single-threading and is not of it, or dead", who,
                  owner)
        if kern.enum_name("single_mode", int(p.v["p_singlemode"]), "SINGLE_") == "EXIT" \
                and addr(p.v["p_single"]):
            for l in lwps:
                check(l.addr == addr(p.v["p_single"]) or l.state == "ZOMB"
                      or l.flag & kern.constant("LW_WEXIT")
                      or int(l.v["l_prflag"]) & exiting, "P5: %s exits, lid %d need not", who, l.lid)

    def lwp_waits(self, p, who, lwps, dead):
        """The dead, on the list that fits; marks and counts of _lwp_wait."""
        listed = 0
        for field, detached in (("p_deadlwps", True), ("p_zlwps", False)):
            walk = kern.Walk(p.ptr[field], "struct lwp", "l_free")
            for ptr in walk:
                l = model.Lwp(ptr)
                listed += 1
                check(l.state == "ZOMB" and bool(int(l.v["l_prflag"]) & kern.constant(
                    "LPR_DETACHED")) == detached, "P3: %s: lid %d %s is on %s", who, l.lid,
                    l.state, field)
            check(not walk.broken, "P3: %s of %s: %s", field, who, walk.broken)
        check(listed == dead or p.state in ("ZOMB", "DEAD")
              or listed < dead <= listed + int(p.v["p_nreap"]), "P3: %s: %d dead LWPs, %d on its lists", who,
              dead, listed)
        for l in lwps:
            waiter = int(l.v["l_waiter"])
            if not waiter:
                continue
            entry = self.table.find(waiter)
            check(entry is not None and entry.kind == model.LWP
                  and addr(entry.object["l_proc"]) == p.addr
                  and int(entry.object["l_waitingfor"]) == l.lid,
                  "L11: lid %d is marked by lid %d, which does not wait for it", l.lid, waiter)
        waits = sum(int(l.v["l_waitingfor"]) != 0 for l in lwps)
        check(waits == int(p.v["p_nlwpwait"]), "P1: %s: nlwpwait %d, are %d", who,
              int(p.v["p_nlwpwait"]), waits)

    def regions(self, p, who):
        space = pages.AddressSpace(p)
        if addr(space.vm["vm_lock"]["rw_word"]):
            self.skipped += 1
            return
        found, broken = space.regions()
        check(not broken, "%s: regions: %s", who, broken)
        end = 0
        for region in found:
            check(end <= addr(region["vr_start"]) < addr(region["vr_end"]),
                  "%s: region at %#x is out of order", who, addr(region["vr_start"]))
            end = addr(region["vr_end"])
        count = int(space.vm["vm_regions"]["rs_count"])
        check(len(found) == count, "%s: %d regions, counted as %d", who, len(found), count)


Fsck()
