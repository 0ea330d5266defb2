# SPDX-License-Identifier: BSD-2-Clause
"""locks: which are held, by whom, since where.

A debug kernel links what a CPU (spin locks) or an LWP (mutexes) holds. A release kernel keeps only
the lock words: then the locks that can be named are looked at one by one.
"""

import gdb

from . import cpus, frames, kern, model
from .kern import addr, plural

MAX = 64                        # locks held by one holder
SPIN_TABLES = ("sleepq_locks", "chains", "futex_buckets", "owner_locks")     # arrays of things with a spin lock


def chain(head, link, type_name):
    """Locks linked from a holder: yields structs; a string when the list is broken."""
    at, seen = addr(head), set()
    while at:
        if at in seen or len(seen) >= MAX:
            yield "list %s" % ("comes back" if at in seen else "is longer than %d" % MAX)
            return
        seen.add(at)
        try:
            lock = kern.at(at, type_name)
        except gdb.MemoryError:
            yield "list leads to %#x" % at
            return
        yield lock
        at = addr(lock[link])


def mutexes(everybody, processes):
    """Mutexes that can be found without a list, by address: proc_lock, of processes, waited for."""
    found = {addr(kern.symbol("proc_lock").address)}
    for p in processes:
        found.add(p.addr + kern.offset(p.v.type, "p_lock"))
        if not p.kernel:
            found.add(addr(p.v["p_vmspace"])
                      + kern.offset(kern.ctype("struct vmspace"), "vm_ptlock"))
    found.update(l.wchan for l in everybody if l.kind == "TURNSTILE")
    return found


def held_mutexes(everybody=None, processes=None):
    """(struct mutex, owner's address, waiters bit) of every mutex found held, and notes."""
    everybody = model.lwps() if everybody is None else everybody
    processes = model.procs()[0] if processes is None else processes
    locks, notes = {}, []
    for l in everybody:
        if kern.has_field(l.v, "l_locks"):
            for lock in chain(l.v["l_locks"], "mtx_next", "struct mutex"):
                if isinstance(lock, str):
                    notes.append("(mutexes of %s: %s)" % (l, lock))
                else:
                    locks[addr(lock.address)] = lock
    for address in mutexes(everybody, processes):
        if address not in locks:
            try:
                locks[address] = kern.at(address, "struct mutex")
            except gdb.MemoryError:
                notes.append("(mutex at %#x cannot be read)" % address)
    held = []
    for address in sorted(locks):
        owner, waiters = model.mutex_owner(locks[address])
        if owner:
            held.append((locks[address], owner, waiters))
    return held, notes


def spin_locks(everywhere):
    """(name, struct spinlock) of the spin locks that lie in known places."""
    for cpu in everywhere:
        if cpu.spc is not None:
            for field in ("spc_mutex", "spc_lwplock"):
                yield "%s of cpu%d" % (field, cpu.index), cpu.v["ci_spc"][field]
    for table in SPIN_TABLES:
        if not kern.has_symbol(table):
            continue
        array = kern.symbol(table)
        array.fetch_lazy()
        first, last = array.type.range()
        for i in range(first, last + 1):
            for field in array[i].type.fields():
                if field.type.strip_typedefs().tag == "spinlock":
                    yield "%s[%d]" % (table, i), array[i][field]


class Locks(kern.Command):
    """List the locks that are held: `locks`.

For a mutex its owner and who waits; for a spin lock the CPU. Where it was taken is kept by the
debug kernel only. A release kernel's spin locks have no holder, and of its mutexes only those of
processes, proc_lock, and those that somebody waits for can be found."""

    name = "locks"

    def run(self, words):
        if words:
            self.usage("")
        self.everybody, self.processes = model.lwps(), model.procs()[0]
        count = self.spin() + self.adaptive() + self.shared()
        if count == 0:
            print("no lock is held")

    def spin(self):
        everywhere, count = cpus.cpus(), 0
        if everywhere and kern.has_field(everywhere[0].v, "ci_spinlocks"):
            for cpu in everywhere:
                for lock in chain(cpu.v["ci_spinlocks"], "sl_next", "struct spinlock"):
                    if isinstance(lock, str):
                        print("(spin locks of cpu%d: %s)" % (cpu.index, lock))
                        continue
                    count += 1
                    print("spin  %#x %s: cpu%d, taken at %s" % (
                        addr(lock.address), model.lock_name(lock, "sl"), cpu.index,
                        model.taken_at(lock, "sl")))
        else:
            for name, lock in spin_locks(everywhere):
                if int(lock["sl_word"]):
                    count += 1
                    print("spin  %#x %s" % (addr(lock.address), name))
            for cpu in everywhere:
                if cpu.spins:
                    print("cpu%d holds %s" % (cpu.index, plural(cpu.spins, "spin lock")))
        for thread in cpus.threads(self.everybody):
            if thread.cpu is None or not cpus.in_kernel(thread.pc) or thread.lwp is None:
                continue
            spin = frames.innermost_spin(thread.lwp, thread)
            if spin is not None:
                print("cpu%d, %s, spins for %s %#x" % (
                    thread.cpu.index, thread.lwp,
                    "mutex" if spin[0].startswith("mutex") else "spin lock", addr(spin[1])))
        return count

    def adaptive(self):
        held, notes = held_mutexes(self.everybody, self.processes)
        by_address = {l.addr: l for l in self.everybody}
        for lock, owner, waiters in held:
            address = addr(lock.address)
            name = model.whose(address, self.processes) or model.lock_name(lock, "mtx")
            where = model.taken_at(lock, "mtx")
            print("mutex %#x %s: %s%s" % (
                address, name, by_address.get(owner, "lwp %#x" % owner),
                ", taken at " + where if where else ""))
            asleep = [str(l) for l in self.everybody
                      if l.wchan == address and l.kind == "TURNSTILE"]
            if asleep:
                print("      waited for by %s" % ", ".join(asleep))
            elif waiters:
                print("      its waiters bit is set, nobody sleeps on it")
        for note in notes:
            print(note)
        return len(held)

    def shared(self):
        """The rwlocks that LWPs say they hold (debug kernel), and those that somebody sleeps for."""
        found = {}
        for l in self.everybody:
            if kern.has_field(l.v, "l_rwholds"):
                holds = l.v["l_rwholds"]
                for i in range(holds.type.range()[1] + 1):
                    if addr(holds[i]["rwh_lock"]):
                        found.setdefault(addr(holds[i]["rwh_lock"]), []).append(
                            (l, kern.place(addr(holds[i]["rwh_pc"]))))
        for l in self.everybody:
            if l.kind == "RWLOCK":
                found.setdefault(l.wchan, [])
        for address in sorted(found):
            lock = kern.at(address, "struct rwlock")
            owner, readers = model.rwlock_state(lock)
            print("rwlock %#x %s: %s" % (
                address, model.whose(address, self.processes) or model.lock_name(lock, "rw"),
                "written" if owner else plural(readers, "reader")))
            for l, where in found[address]:
                print("      held by %s, taken at %s" % (l, where))
            asleep = [str(l) for l in self.everybody
                      if l.wchan == address and l.kind == "RWLOCK"]
            if asleep:
                print("      waited for by %s" % ", ".join(asleep))
        return len(found)


Locks()
