# SPDX-License-Identifier: BSD-2-Clause
"""trace: the last events of the kernel's per-CPU rings (docs/trace.md), by what DWARF says of them."""

import gdb

from . import cpus, kern
from .kern import addr, plural

INVOLUNTARY = 0x80              # TRACE_INVOLUNTARY of a switch


class Ring:
    """One struct trace_ring: trace_slot() of <kernel/trace.h>."""

    def __init__(self, v):
        self.v = v
        self.head, self.mask = addr(v["tr_head"]), addr(v["tr_mask"])
        self.size, self.perchunk = int(v["tr_size"]), int(v["tr_perchunk"])

    def slot(self, number):
        index = number & self.mask
        chunk = addr(self.v["tr_chunk"][index // self.perchunk])
        return chunk + index * self.size

    def last(self, count):
        """The last events; what was overwritten or is half written is not among them."""
        for number in range(max(0, self.head - min(count, self.mask + 1)), self.head):
            event = kern.at(self.slot(number), "struct trace_event")
            if addr(event["te_seq"]) == number + 1 & 0xffffffff:
                yield event


def words(event):
    """An event in words: `lid 5 SWITCH SLEEP a=1 b=0x...`."""
    kind = kern.enum_name("trace_type", int(event["te_type"]), "TR_")
    found = ["lid %d" % int(event["te_lid"]), kind]
    for name in ("arg", "a", "b"):
        value = addr(event["te_" + name])
        if name == "arg" and kind in ("SWITCH", "STATE"):
            found.append(kern.enum_name("lwp_state", value & ~INVOLUNTARY, "LS_"))
            if value & INVOLUNTARY:
                found.append("involuntary")
        else:
            found.append("%s=%s" % (name, "%#x" % value if value > 99999 else value))
    if int(event["te_intr"]):
        found.append("(in an interrupt)")
    return " ".join(found)


class Trace(kern.Command):
    """Show the last events of the kernel's trace: `trace [N]`, the last N (20) of all CPUs by time.

What an event's arg, a and b are stands at its name in <kernel/trace.h>. The command takes the place
of gdb's own of that name, which is about tracepoints."""

    name = "trace"

    def run(self, argv):
        if len(argv) > 1:
            self.usage("[N]")
        count = self.number(argv[0], "a count") if argv else 20
        if kern.ctype("struct trace_ring") is None:
            raise gdb.GdbError("this kernel has no trace: it knows no struct trace_ring")
        table, events, written, lost = kern.symbol("trace_rings"), [], 0, 0
        for cpu in cpus.cpus():
            value = table[cpu.index]
            value.fetch_lazy()
            ring = Ring(value)
            if ring.size == 0 or ring.perchunk == 0:
                continue
            written += ring.head
            lost += max(0, ring.head - ring.mask - 1)
            events += [(addr(e["te_cycles"]), cpu.index, e) for e in ring.last(max(count, 0))]
        if not written:
            raise gdb.GdbError("nothing was traced: boot with the option trace=all (docs/trace.md)")
        root = kern.symbol("trace_root")
        hz, base = addr(root["tr_hz"]), addr(root["tr_base"])
        events.sort(key=lambda item: item[:2])
        for cycles, index, event in events[-count:] if count > 0 else []:
            stamp = (cycles - base) * 10**9 // hz if hz else cycles
            print("%4d.%09d cpu%-2d %s" % (*divmod(stamp, 10**9), index, words(event)))
        print("%s written, %d of them overwritten" % (plural(written, "event"), lost))


Trace()
