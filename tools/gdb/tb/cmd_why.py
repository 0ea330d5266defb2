# SPDX-License-Identifier: BSD-2-Clause
"""why: what an LWP waits for, and what that waits for, to the end or around."""

import gdb

from . import cmd_queues, cpus, frames, kern, model, pages
from .kern import addr, plural

MAX_CHAIN = 50
FUTEX_TID = 0x3fffffff          # the owner's id in the word of a robust or checking user lock
MUSL_WAITED = 0x80000010        # word of musl's mutex of the default type, locked and waited for


class Why(kern.Command):
    """Tell why an LWP does not run: `why LID`.

Follows it through the owner of the mutex that it sleeps or spins on, the vfork child, the LWP that
single-threads its process, the owner in a user lock's futex word (a guess: said so), to an LWP that
runs, is queued, or waits for an event that no one LWP owes. A cycle is marked."""

    name = "why"

    def run(self, words):
        if len(words) != 1:
            self.usage("LID")
        self.everybody = model.lwps()
        self.by_address = {l.addr: l for l in self.everybody}
        self.processes = model.procs()[0]
        self.threads = cpus.threads(self.everybody)
        l = model.find_lwp(self.number(words[0], "an id"))
        chain = []
        while l is not None and len(chain) < MAX_CHAIN:
            if l.addr in chain:
                print("%s%s: CYCLE: that is where this began" % (
                    "  " * len(chain), l) if chain[0] == l.addr else "%s%s: CYCLE of %d LWPs" % (
                        "  " * len(chain), l, len(chain) - chain.index(l.addr)))
                return
            text, following = self.reason(l)
            print("%s%s %s: %s" % ("  " * len(chain), l, l.state, text))
            chain.append(l.addr)
            l = following

    def reason(self, l):
        """(why l does not go on, the LWP that it depends on or None)."""
        thread = next((t for t in self.threads if t.lwp and t.lwp.addr == l.addr), None)
        if l.idle and l.running:
            return "idles on cpu%d: nothing else is there to run" % l.cpu, None
        if l.wchan and l.state in ("SLEEP", "SUSPENDED"):
            return self.sleep(l)
        if l.state == "STOP" and not l.running:
            return self.stop(l), None
        if l.state == "RUN":
            return self.queued(l)
        if l.running:
            return self.on_cpu(l, thread)
        if l.state == "IDL":
            return ("an idle LWP, not needed now" if l.idle else "is being made or freed"), None
        if l.state == "ZOMB":
            return "is dead; %s" % (
                "its process frees it" if l.v["l_prflag"] & kern.constant("LPR_DETACHED")
                else "its parent has not waited for it" if l.proc.state == "ZOMB"
                else "waits to be collected"), None
        return "stays so until it is continued", None

    def stop(self, l):
        what = "its process is stopped by signal %d, until SIGCONT" % l.proc.stop_signal
        return what + (" (it %s then)" % self.sleep(l)[0] if l.wchan else "")

    def queued(self, l):
        ahead = [o for o in self.everybody
                 if o.state == "ONPROC" and o.cpu == l.cpu and o.addr != l.addr]
        what = "can run, queued on cpu%d at priority %d" % (l.cpu, int(l.v["l_qpri"]))
        if ahead:
            what += " behind %s at %d" % (ahead[0], ahead[0].priority)
        return what, None

    def on_cpu(self, l, thread):
        if thread is None:
            return "runs on cpu%d" % l.cpu, None
        if not cpus.in_kernel(thread.pc):
            return "runs in user mode on cpu%d" % l.cpu, None
        spin = frames.innermost_spin(l, thread)
        if spin is None:
            return "runs in the kernel on cpu%d" % l.cpu, None
        try:
            lock = kern.deref(spin[1])
        except gdb.MemoryError:
            return "spins on cpu%d for a lock that cannot be read" % l.cpu, None
        if spin[0] == "mutex_lock_slow":
            what, owner = self.mutex(lock)
            return "spins on cpu%d for %s" % (l.cpu, what), owner
        what = "spins on cpu%d for spin lock %s" % (l.cpu, model.lock_name(lock, "sl"))
        if kern.has_field(lock, "sl_cpu") and int(lock["sl_cpu"]):
            holder = int(lock["sl_cpu"]) - 1
            what += ", held by cpu%d since %s" % (holder, model.taken_at(lock, "sl"))
            return what, next((t.lwp for t in self.threads if t.cpu and t.cpu.index == holder),
                              None)
        return what, None

    def mutex(self, lock):
        address = addr(lock.address)
        name = model.whose(address, self.processes) or model.lock_name(lock, "mtx")
        owner, _ = model.mutex_owner(lock)
        if not owner:
            return "mutex %s, which is free: about to be woken" % name, None
        where = model.taken_at(lock, "mtx")
        holder = self.by_address.get(owner)
        return "mutex %s, held by %s%s" % (
            name, holder or "%#x" % owner, " since " + where if where else ""), holder

    def sleep(self, l):
        limit = cmd_queues.until(l)
        limit = ", " + limit if limit else ""
        if l.kind == "TURNSTILE":
            try:
                what, owner = self.mutex(kern.at(l.wchan, "struct mutex"))
            except gdb.MemoryError:
                what, owner = "a mutex that cannot be read", None
            return "waits for " + what, owner
        if l.kind == "RWLOCK":
            lock = kern.at(l.wchan, "struct rwlock")
            name = model.whose(l.wchan, self.processes) or model.lock_name(lock, "rw")
            owner, readers = model.rwlock_state(lock)
            holder = self.by_address.get(owner)
            return "waits for rwlock %s, held by %s" % (
                name, holder or "%d for reading" % readers), holder
        if l.kind == "PIFUTEX":
            lock = kern.at(l.wchan, "struct pifutex")
            holder = self.by_address.get(addr(lock["pf_owner"]))
            return "waits for the lock of a program at %#x%s" % (
                int(lock["pf_key"]["fk_off"]),
                ", held by %s" % holder if holder else "") + limit, holder
        if l.kind == "FUTEX":
            what, owner = self.futex(l)
            return what + limit, owner
        if l.kind in ("PAUSE", "PARK"):
            signal = " or a signal comes" if l.flag & kern.constant("LW_SINTR") else ""
            return "sleeps (%s)%s%s" % (
                l.wmesg, limit or " until somebody wakes it", signal), None
        return self.event(l, limit)

    def event(self, l, limit):
        """A condition variable: of some it is known who will signal it."""
        what = "waits (%s) on %s%s" % (l.wmesg, cmd_queues.waits_for(l, self.processes), limit)
        p = l.proc
        base = p.addr
        field = next((f.name for f in p.v.type.fields() if base + f.bitpos // 8 == l.wchan), "")
        if field == "p_vforkcv" and addr(l.v["l_vforkchild"]):
            child = model.Proc(l.v["l_vforkchild"])
            return "waits for its vfork child %s to exec or exit" % child, self.lead(child)
        if field == "p_waitcv":
            children = [model.Proc(ptr) for ptr in p.children()]
            alive = [c for c in children if c.state not in ("ZOMB", "DEAD")]
            text = "waits for a child: %s alive" % plural(len(alive), "child").replace(
                "childs", "children")
            if alive:
                text += ": " + ", ".join(str(c) for c in alive[:5])
                text += ", ..." if len(alive) > 5 else ""
            return text, self.lead(alive[0]) if len(alive) == 1 else None
        if field in ("p_boundarycv", "p_lwpcv") and addr(p.v["p_single"]):
            owner = self.by_address.get(addr(p.v["p_single"]))
            if owner is not None and owner.addr != l.addr:
                return "is parked (%s) while %s single-threads its process" % (
                    l.wmesg, owner), owner
            others = [model.Lwp(ptr) for ptr in p.lwps() if addr(ptr) != l.addr]
            others = [o for o in others if o.state != "ZOMB"]
            return "single-threads its process, waits for %s" % (
                ", ".join(str(o) for o in others[:5]) or "nobody any more"), \
                others[0] if len(others) == 1 else None
        return what, None

    def lead(self, p):
        """The only LWP of a process, or None."""
        members = [addr(ptr) for ptr in p.lwps()]
        alive = [self.by_address[a] for a in members
                 if a in self.by_address and self.by_address[a].state != "ZOMB"]
        return alive[0] if len(alive) == 1 else None

    def futex(self, l):
        what = "waits for futex word %#x" % l.wchan
        try:
            word = int.from_bytes(pages.AddressSpace(l.proc).read(l.wchan, 4), "little")
        except gdb.MemoryError:
            return what + ", which is not in memory", None
        what += " (now %#x)" % word
        owner = next((o for o in self.everybody if o.lid == word & FUTEX_TID and o.pid == l.pid
                      and o.addr != l.addr), None)
        if word == MUSL_WAITED:
            return what + ": a locked mutex of musl's default type, which keeps no owner%s" % (
                ", or another lock, of %s" % owner if owner else ""), None
        if owner is None:
            return what, None
        return what + "; if that is a lock with its owner's id, %s has it" % owner, owner


Why()
