# SPDX-License-Identifier: BSD-2-Clause
"""Pretty-printers: lists, id slots, states, flags, times, locks; and $lwp(), $proc().

A struct lwp, struct proc or struct schedstate is printed field by field, with states and flags by
name. `print/r` shows any value as it is.
"""

import contextlib

import gdb
import gdb.printing

from . import kern, model
from .kern import addr, seconds

SHOWN = 20                      # entries of a list


class Text:
    """A value that is one word."""

    def __init__(self, word):
        self.word = word

    def to_string(self):
        return self.word


def safely(make):
    """Call make(); a note instead of an error from unreadable memory."""
    try:
        return make()
    except gdb.MemoryError as error:
        return "<%s>" % error


def list_text(v):
    if addr(v["next"]) == 0:
        return "{on no list}"
    if not v.address:
        return "{next = %#x, prev = %#x}" % (addr(v["next"]), addr(v["prev"]))
    if addr(v["next"]) == addr(v.address):
        return "{empty}"
    walk, count = kern.Walk(v, "struct list", "next", 1000), 0
    first = []
    for ptr in walk:
        count += 1
        if count <= SHOWN:
            first.append("%#x" % addr(ptr))
    return "{%d others: %s%s%s}" % (
        count, ", ".join(first), ", ..." if count > SHOWN else "",
        "; " + walk.broken if walk.broken else "")


def lwp_text(ptr):
    if addr(ptr) == 0:
        return "0x0"
    l = model.Lwp(ptr)
    if not l.sane:
        return "%#x <no struct lwp>" % addr(ptr)
    return "%#x <lid %d of pid %d, %s%s>" % (
        addr(ptr), l.lid, l.pid, l.state, " " + l.wmesg if l.wmesg else "")


def proc_text(ptr):
    if addr(ptr) == 0:
        return "0x0"
    p = model.Proc(ptr)
    return "%#x <pid %d %s, %s>" % (addr(ptr), p.pid, p.name, p.state)


def mutex_text(v):
    owner, waiters = model.mutex_owner(v)
    name = model.text(v["mtx_name"]) + " " if kern.has_field(v, "mtx_name") else ""
    if owner == 0:
        return "{%sfree}" % name
    where = model.taken_at(v, "mtx")
    who = safely(lambda: str(model.Lwp(kern.pointer(owner, "struct lwp"))))
    return "{%sheld by %s%s%s}" % (
        name, who, ", taken at " + where if where else "", ", waited for" if waiters else "")


def spinlock_text(v):
    name = model.text(v["sl_name"]) + " " if kern.has_field(v, "sl_name") else ""
    if int(v["sl_word"]) == 0:
        return "{%sfree}" % name
    if not kern.has_field(v, "sl_cpu"):
        return "{held}"
    return "{%sheld by cpu%d, taken at %s}" % (name, int(v["sl_cpu"]) - 1,
                                               model.taken_at(v, "sl"))


def slot_text(v):
    entry = model.IdEntry(0, v)
    what = entry.kind
    if entry.kind in (model.LWP, model.PROC):
        what = "%s %d" % (entry.kind, entry.pid)
    elif entry.kind == model.FREE:
        what = "free, next %#x" % (entry.slot >> 1)
    return "{%s%s}" % (what, ", group %#x" % entry.pgrp if entry.pgrp else "")


def condvar_text(v):
    return "{%s, waiters %s}" % (model.text(v["cv_wmesg"], 8), list_text(v["cv_waiters"]))


def cpuset_text(v):
    bits = addr(v)
    return "{%s}" % ", ".join(str(i) for i in range(64) if bits >> i & 1)


class Fields:
    """A struct with some fields said in words."""

    def __init__(self, v):
        self.v = v

    def to_string(self):
        return "struct " + self.v.type.strip_typedefs().tag

    def children(self):
        prefix = {"l_flag": "LW_", "l_prflag": "LPR_", "l_pflag": "LP_", "p_flag": "PK_",
                  "vr_flags": "VR_"}
        for field in self.v.type.strip_typedefs().fields():
            value = self.v[field]
            if field.name in prefix:
                names = kern.flag_names(prefix[field.name], int(value))
                value = "{%s}" % ", ".join(names)
            elif field.name in ("l_stat", "p_stat", "p_singlemode"):
                tag, start = {"l_stat": ("lwp_state", "LS_"), "p_stat": ("proc_state", "PS_"),
                              "p_singlemode": ("single_mode", "SINGLE_")}[field.name]
                value = kern.enum_name(tag, int(value), start)
            elif field.name == "vr_prot" or field.name == "vr_maxprot":
                value = prot_text(int(value))
            yield field.name or "<anonymous>", value


def prot_text(bits):
    return "".join(c if bits >> i & 1 else "-" for i, c in enumerate("rwx"))


STRUCTS = {"list": list_text, "mutex": mutex_text, "spinlock": spinlock_text,
           "id_entry": slot_text, "condvar": condvar_text}
POINTERS = {"lwp": lwp_text, "proc": proc_text}
TYPEDEFS = {"nsec_t": lambda v: "never" if addr(v) == kern.MASK else seconds(addr(v)),
            "cpuset_t": cpuset_text}
FIELDS = ("lwp", "proc", "vm_region")


def lookup(v):
    """The printer of a value, or None."""
    type_ = v.type
    if type_.name in TYPEDEFS and type_.code == gdb.TYPE_CODE_TYPEDEF:
        return Text(safely(lambda: TYPEDEFS[type_.name](v)))
    type_ = type_.strip_typedefs()
    if type_.code == gdb.TYPE_CODE_STRUCT:
        if type_.tag in FIELDS:
            return Fields(v)
        if type_.tag in STRUCTS:
            return Text(safely(lambda: STRUCTS[type_.tag](v)))
    elif type_.code == gdb.TYPE_CODE_PTR:
        target = type_.target().strip_typedefs()
        if target.code == gdb.TYPE_CODE_STRUCT and target.tag in POINTERS:
            text = safely(lambda: POINTERS[target.tag](v))
            return Text(text if not text.startswith("<") else "%#x %s" % (addr(v), text))
    return None


def printer(v):
    """As lookup(), but for the kernel only, and never an error of ours in the middle of gdb's output."""
    try:
        if gdb.selected_inferior().num != kern.kernel_inferior().num:
            return None
        return lookup(v)
    except (gdb.error, gdb.GdbError, KeyError, ValueError):
        return None


printer.name, printer.enabled = "threadbare", True
gdb.printing.register_pretty_printer(None, printer, replace=True)


def _id(form, ids):
    """The one argument of a function, a number."""
    try:
        (number,) = ids
        return int(number)
    except (ValueError, gdb.error):
        raise gdb.GdbError("usage: " + form) from None


class LwpFunction(gdb.Function):
    """$lwp(LID): the struct lwp of an id, as a pointer. In expressions: print $lwp(5)->l_wmesg"""

    def __init__(self):
        super().__init__("lwp")

    def invoke(self, *ids):
        with kern.in_kernel():
            kern.require_booted()
            return model.find_lwp(_id("$lwp(LID)", ids)).ptr


class ProcFunction(gdb.Function):
    """$proc(PID): the struct proc of an id, as a pointer. In expressions: print *$proc(1)"""

    def __init__(self):
        super().__init__("proc")

    def invoke(self, *ids):
        with kern.in_kernel():
            kern.require_booted()
            return model.find_proc(_id("$proc(PID)", ids)).ptr


with contextlib.suppress(gdb.error):
    LwpFunction()
    ProcFunction()
