# SPDX-License-Identifier: BSD-2-Clause
"""trace: the last events of the kernel's per-CPU rings.

Rings are decoded by what DWARF says of them, so that a new event or field needs no change here. A
ring is a struct trace_ring with an array (or a pointer to one) of a struct that has a time stamp,
a counter of all events written, and perhaps a mask or size. An event is printed field by field; a
field whose name an enum of the same name as its type, or `enum trace_type`, explains is named.
"""

import gdb

from . import cpus, kern
from .kern import addr, plural

TIMES = ("time", "tsc", "when", "ts", "stamp")
HEADS = ("head", "next", "count", "seq", "pos", "write")
SIZES = ("mask", "size", "entries", "slots")
TYPES = ("type", "kind", "event", "id")


def suffix(name):
    """`te_time` -> `time`."""
    return name.split("_", 1)[1] if "_" in name else name


def pick(type_, names):
    """The first field that is called so behind its prefix, or None."""
    fields = {suffix(field.name): field.name for field in type_.fields() if field.name}
    return next((fields[name] for name in names if name in fields), None)


class Ring:
    """One CPU's ring, as far as its type can be understood."""

    def __init__(self, v):
        self.v, self.events = v, None
        for field in v.type.strip_typedefs().fields():
            type_ = field.type.strip_typedefs()
            if type_.code in (gdb.TYPE_CODE_ARRAY, gdb.TYPE_CODE_PTR):
                target = type_.target().strip_typedefs()
                if target.code == gdb.TYPE_CODE_STRUCT and pick(target, TIMES):
                    self.events, self.event_type, self.array = v[field], target, type_
        head = pick(v.type.strip_typedefs(), HEADS)
        if self.events is None or head is None:
            raise gdb.GdbError("struct trace_ring is not of a form that this command knows; "
                               "`print` shows it, tools/trace decodes it")
        self.head = addr(v[head])
        self.size = self._size()

    def _size(self):
        if self.array.code == gdb.TYPE_CODE_ARRAY and self.array.range()[1] >= 0:
            return self.array.range()[1] + 1
        name = pick(self.v.type.strip_typedefs(), SIZES)
        if name is not None:
            return addr(self.v[name]) + (1 if suffix(name) == "mask" else 0)
        for name in ("TRACE_RING_SIZE", "TRACE_ENTRIES", "TRACE_EVENTS"):
            try:
                return kern.constant(name)
            except gdb.GdbError:
                continue
        raise gdb.GdbError("how many events a struct trace_ring has is not known")

    def last(self, count):
        """The last events, oldest first; what was overwritten is not among them."""
        for i in range(max(0, self.head - min(count, self.size)), self.head):
            event = self.events[i % self.size]
            event.fetch_lazy()
            yield event


def rings():
    """(CPU index, struct trace_ring) wherever they are kept: in struct cpu or in an array."""
    for cpu in cpus.cpus():
        for field in cpu.v.type.fields():
            type_ = field.type.strip_typedefs()
            value = cpu.v[field]
            if type_.code == gdb.TYPE_CODE_PTR and type_.target().strip_typedefs().tag == "trace_ring":
                if addr(value):
                    yield cpu.index, kern.deref(value)
            elif type_.code == gdb.TYPE_CODE_STRUCT and type_.tag == "trace_ring":
                yield cpu.index, value
    for name in ("trace_rings", "trace_ring", "rings"):
        if not kern.has_symbol(name):
            continue
        array = kern.symbol(name)
        if array.type.strip_typedefs().code != gdb.TYPE_CODE_ARRAY:
            continue
        for cpu in cpus.cpus():
            value = array[cpu.index]
            if value.type.strip_typedefs().code == gdb.TYPE_CODE_PTR:
                if not addr(value):
                    continue
                value = kern.deref(value)
            if value.type.strip_typedefs().tag == "trace_ring":
                yield cpu.index, value


def event_words(event):
    """An event without its time: `SWITCH lid=5 ...`."""
    words = []
    kind = pick(event.type, TYPES)
    for field in event.type.fields():
        if not field.name or suffix(field.name) in TIMES:
            continue
        value = event[field]
        if field.name == kind:
            tag = value.type.strip_typedefs()
            enum = tag if tag.code == gdb.TYPE_CODE_ENUM else kern.ctype("enum trace_type") or \
                kern.ctype("enum trace_event")
            names = {f.enumval: f.name for f in enum.fields()} if enum is not None else {}
            words.insert(0, names.get(int(value), "event %d" % int(value)))
        else:
            words.append("%s=%s" % (suffix(field.name), value))
    return " ".join(words)


class Trace(kern.Command):
    """Show the last events of the kernel's trace: `trace [N]`, the last N (20) of all CPUs by time.

Overwritten events are counted at the end."""

    name = "trace"

    def run(self, words):
        if len(words) > 1:
            self.usage("[N]")
        count = self.number(words[0], "a count") if words else 20
        if kern.ctype("struct trace_ring") is None:
            raise gdb.GdbError("this kernel has no trace: it knows no struct trace_ring")
        found, events, total, lost = list(rings()), [], 0, 0
        if not found:
            raise gdb.GdbError("tracing is off: no CPU has a ring (kernel option trace=)")
        for index, value in found:
            ring = Ring(value)
            total += ring.head
            lost += max(0, ring.head - ring.size)
            stamp = pick(ring.event_type, TIMES)
            events += [(addr(event[stamp]), index, event) for event in ring.last(count)]
        events.sort(key=lambda item: item[:2])
        for stamp, index, event in events[-count:] if count > 0 else []:
            print("%20d  cpu%-2d %s" % (stamp, index, event_words(event)))
        print("%s written, %d of them overwritten" % (plural(total, "event"), lost))


Trace()
