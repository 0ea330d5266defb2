# SPDX-License-Identifier: BSD-2-Clause
"""runq, sleepq."""

import gdb

from . import cpus, kern, model
from .kern import addr, plural


class Runq(kern.Command):
    """Show each CPU and its run queue: `runq`.

Who runs, at which priority; whether a reschedule is wanted; spin locks held; and who waits, most
urgent first. A bit of the bitmap that disagrees with its list is told: halfway through an insertion
that is so."""

    name = "runq"

    def run(self, words):
        if words:
            self.usage("")
        everybody = model.lwps()
        where = {t.cpu.index: t for t in cpus.threads(everybody) if t.cpu is not None}
        for cpu in cpus.cpus():
            self.show(cpu, {l.addr: l for l in everybody}, where.get(cpu.index))

    def show(self, cpu, lwps, thread):
        line = "cpu%d%s: " % (cpu.index, "" if cpu.online else " (offline)")
        current = lwps.get(cpu.curlwp)
        line += "runs %s" % current if current else "runs %#x" % cpu.curlwp
        if thread is not None:
            line += ", in the kernel" if cpus.in_kernel(thread.pc) else ", in user mode"
        if cpu.spins:
            line += ", %s held" % plural(cpu.spins, "spin lock")
        if int(cpu.v["ci_want_resched"]):
            line += ", resched wanted (%#x)" % int(cpu.v["ci_want_resched"])
        print(line)
        if cpu.spc is None:
            print("    no run queue yet")
            return
        spc = cpu.spc
        print("    priority %d, %d queued (%d may move), highest %d, %s" % (
            int(spc["spc_curpriority"]), int(spc["spc_count"]), int(spc["spc_mcount"]),
            int(spc["spc_maxpri"]), "spc_mutex held" if int(spc["spc_mutex"]["sl_word"])
            else "spc_mutex free"))
        queues = spc["spc_queue"]
        first, last = queues.type.range()
        base = addr(cpu.v["ci_spc"]["spc_queue"].address)
        size = queues.type.target().sizeof
        for pri in range(last, first - 1, -1):
            bit = addr(spc["spc_bitmap"][pri >> 6]) >> (pri & 63) & 1
            empty = addr(queues[pri]["next"]) == base + pri * size
            if not empty:
                self.queue(cpu.v["ci_spc"]["spc_queue"][pri], pri)
            if bit == empty:
                print("    %4d  bitmap says %s" % (pri, "somebody" if bit else "nobody"))

    @staticmethod
    def queue(head, pri):
        walk = kern.Walk(head, "struct lwp", "l_runq")
        names = []
        for ptr in walk:
            try:
                names.append(str(model.Lwp(ptr)))
            except gdb.MemoryError:
                names.append("%#x" % addr(ptr))
        print("    %4d  %s%s" % (pri, ", ".join(names),
                                 " (list %s)" % walk.broken if walk.broken else ""))


def waits_for(l, processes=None):
    """What a sleeper's wait channel is, in words."""
    if l.kind == "FUTEX":
        return "futex word at %#x" % l.wchan
    if l.kind == "PAUSE":
        return "nothing but time or a signal"
    if l.kind == "PARK":
        return "an unpark"
    what = "mutex" if l.kind == "TURNSTILE" else "condition variable"
    try:
        if l.kind == "TURNSTILE":
            mutex = kern.at(l.wchan, "struct mutex")
            name = model.lock_name(mutex, "mtx")
            own = model.whose(l.wchan, processes)
            name = own or (name if name != "?" else "at %#x" % l.wchan)
        else:
            name = model.whose(l.wchan, processes) or "at %#x" % l.wchan
    except gdb.MemoryError:
        name = "at %#x" % l.wchan
    return "%s %s" % (what, name)


def until(l):
    """The time limit of a sleep, or ""."""
    timeout = l.v["l_timeout"]
    if not int(timeout["co_pending"]):
        return ""
    return "until %s" % kern.seconds(addr(timeout["co_when"]))


class Sleepq(kern.Command):
    """Show who sleeps on what: `sleepq`.

Sleepers are grouped by what they wait for and stand in the order of its queue, who is woken first
in front. `!`: a signal or exit does not end the sleep. A time is on the monotonic clock."""

    name = "sleepq"

    def run(self, words):
        if words:
            self.usage("")
        sleepers = [l for l in model.lwps() if l.wchan]
        processes = model.procs()[0]
        groups = {}
        for l in sleepers:
            groups.setdefault((l.wchan, addr(l.v["l_sleepq"])), []).append(l)
        for (wchan, queue), members in groups.items():
            print("%#x %s: %s" % (wchan, members[0].wmesg, waits_for(members[0], processes)))
            order, note = self.order(queue)
            members.sort(key=lambda l: order.get(l.addr, len(order)))
            for l in members:
                sig = " " if l.flag & kern.constant("LW_SINTR") else "!"
                missing = "" if not queue or l.addr in order else " (not on the queue)"
                state = "" if l.state == "SLEEP" else " (%s)" % l.state
                print(("   %s %-28s pid %-6d pri %-4d %s%s%s" % (
                    sig, l, l.pid, l.priority, until(l), state, missing)).rstrip())
            if note:
                print("    (queue %s)" % note)
        print(plural(len(sleepers), "sleeper"))

    @staticmethod
    def order(queue):
        """Positions on a sleep queue by address, and how the queue is broken."""
        if not queue:
            return {}, None
        head = kern.pointer(queue, "struct list").dereference()
        try:
            walk = kern.Walk(head, "struct lwp", "l_sleepchain")
            return {addr(ptr): i for i, ptr in enumerate(walk)}, walk.broken
        except gdb.MemoryError as error:
            return {}, str(error)


Runq()
Sleepq()
