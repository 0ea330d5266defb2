# SPDX-License-Identifier: BSD-2-Clause
"""Kernel frames of any LWP as gdb's own frames.

A switched-out LWP has left what arch_switch() pushed, struct switch_frame, where l_md.md_rsp
points. gdb has no thread for it. So for a while an unwinder claims that the caller of the
innermost frame of the selected thread is the caller of that arch_switch(): from there on gdb
unwinds, names, and prints as ever. No register of the machine is written.
"""

import contextlib
import re

import gdb
import gdb.unwinder

from . import asmframes, cpus, kern  # asmframes: for its unwinder
from .kern import addr

MAX_FRAMES = 100
SAVED = {"sf_r15": "r15", "sf_r14": "r14", "sf_r13": "r13", "sf_r12": "r12", "sf_rbx": "rbx",
         "sf_rbp": "rbp", "sf_rip": "rip"}


class _Id:
    """What gdb takes for a frame id."""

    def __init__(self, sp, pc):
        self.sp = gdb.Value(sp).cast(gdb.lookup_type("unsigned long"))
        self.pc = gdb.Value(pc).cast(gdb.lookup_type("unsigned long"))


class View(gdb.unwinder.Unwinder):
    """Shows another stack behind the selected thread's innermost frame."""

    def __init__(self):
        super().__init__("threadbare-lwp")
        self.registers, self.real = None, None

    def __call__(self, pending):
        if self.registers is None:
            return None
        pc, sp = cpus.register(pending, "rip"), cpus.register(pending, "rsp")
        if (pc, sp) != self.real:
            return None
        # Below the stack shown, so that gdb finds the frames in good order.
        info = pending.create_unwind_info(_Id(self.registers["rsp"] - 16, pc))
        for name, value in self.registers.items():
            info.add_saved_register(
                name, gdb.Value(value).cast(gdb.lookup_type("unsigned long")))
        return info

    @contextlib.contextmanager
    def shown(self, registers):
        """Let the frames of `registers` follow frame 0 for a while."""
        frame = gdb.newest_frame()
        self.real = cpus.register(frame, "rip"), cpus.register(frame, "rsp")
        self.registers = registers
        gdb.invalidate_cached_frames()
        try:
            yield
        finally:
            self.registers = None
            gdb.invalidate_cached_frames()


VIEW = View()
gdb.unwinder.register_unwinder(None, VIEW, replace=True)


def switched_registers(lwp):
    """Registers of a switched-out LWP as of the return of arch_switch()."""
    sp = addr(lwp.v["l_md"]["md_rsp"])
    frame = kern.at(sp, "struct switch_frame")
    registers = {name: addr(frame[field]) for field, name in SAVED.items()}
    registers["rsp"] = sp + frame.type.sizeof
    return registers


def _walk(first):
    frame, count = first, 0
    while frame is not None and frame.pc() != 0 and count < MAX_FRAMES:
        yield frame
        count += 1
        try:
            frame = frame.older()
        except gdb.error as error:
            print("    (%s)" % error)
            return


def _show(number, frame):
    frame.select()
    out = gdb.execute("with print frame-info location -- frame", to_string=True)
    print(re.sub(r"^#\d+ *", "#%-3d" % number, out.rstrip()))


def kernel_frames(lwp, visit=_show, thread=None):
    """Call visit(number, frame) for each kernel frame of an LWP.

    Returns why there is none, or None. `thread`: what cpus.thread_of() said.
    """
    with kern.selection_kept():
        if thread is not None:
            if not cpus.in_kernel(thread.pc):
                return None     # in user mode
            thread.thread.switch()
            for number, frame in enumerate(_walk(gdb.newest_frame())):
                visit(number, frame)
            return None
        # One that is RUNNING without a thread is in the switch: not loaded yet, or saved already.
        if not lwp.kstack:
            return "it has no kernel stack any more"
        try:
            registers = switched_registers(lwp)
        except gdb.MemoryError:
            return "its saved stack pointer leads nowhere"
        if not cpus.kstack_holds(lwp, registers["rsp"]):
            return "its saved stack pointer %#x is not in its kernel stack" % registers["rsp"]
        if registers["rip"] == kern.code("lwp_trampoline"):
            begin = kern.name_of(registers["rbx"])
            return "it has not run yet%s" % ("; it will begin in " + begin if begin else "")
        if gdb.selected_thread() is None:
            next(iter(gdb.selected_inferior().threads())).switch()
        with VIEW.shown(registers):
            frame = gdb.newest_frame()
            while frame is not None and frame.type() == gdb.INLINE_FRAME:
                frame = frame.older()
            first = frame.older() if frame is not None else None
            if first is None:
                return "gdb cannot unwind its stack"
            for number, frame in enumerate(_walk(first)):
                visit(number, frame)
    return None


def innermost_spin(lwp, thread):
    """The lock that an LWP on a CPU spins for: (function, gdb.Value of its `m`), or None."""
    found = []

    def visit(_, frame):
        function = frame.function()
        if not found and function is not None and function.name in (
                "spin_lock_slow", "mutex_lock_slow"):
            with contextlib.suppress(ValueError, gdb.error):
                value = frame.read_var("m")
                if not value.is_optimized_out:
                    found.append((function.name, value))

    kernel_frames(lwp, visit, thread)
    return found[0] if found else None
