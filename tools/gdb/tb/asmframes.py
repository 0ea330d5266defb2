# SPDX-License-Identifier: BSD-2-Clause
"""Frames of the kernel's assembly where the tables of dwarf.inc say nothing.

Entry code before its frame is complete, and after it is taken down: the processor's part of the
frame, RIP CS RFLAGS RSP SS, is found by its selector. From user mode the walk ends there.
Leaf functions and arch_switch(): the return address is the first word on the stack that lies behind
a direct call of the function.
"""

import gdb
import gdb.unwinder

from . import cpus, kern, userframes

ENTRY = ("trap_entry", "irq_entry", "ist_entry", "trap_kernel_ret", "irq_kernel_ret",
         "trap_ist_ret")
FRAME = ("trap_kernel_frame", "irq_kernel_frame", "trap_ist_frame")
OUTERMOST = ("syscall_entry", "user_exit", "lwp_trampoline", "ap_entry", "high", "_start")
PROLOGUE = 4                    # bytes of `push rbp; mov rbp, rsp`
WORDS = 32
KEPT = ("rbx", "rbp", "r12", "r13", "r14", "r15")
_names = {}


class _Id:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


def _long(number):
    return gdb.Value(number & kern.MASK).cast(gdb.lookup_type("unsigned long"))


def name_of(pc):
    """(label, bytes behind it) of assembly code; (None, 0) of other code."""
    if pc not in _names:
        _names[pc] = (None, 0)
        symtab = gdb.find_pc_line(pc).symtab
        if symtab is not None and symtab.filename.endswith(".asm"):
            words = gdb.execute("info symbol %#x" % pc, to_string=True).split(" ")
            if words[0] != "No":
                _names[pc] = (words[0], int(words[2]) if words[1] == "+" else 0)
    return _names[pc]


class Asm(gdb.unwinder.Unwinder):
    """Finds the callers of assembly."""

    def __init__(self):
        super().__init__("threadbare-asm")

    def __call__(self, pending):
        try:
            return self.claim(pending)
        except (gdb.error, gdb.GdbError):
            return None

    def claim(self, pending):
        """As __call__(), but errors of gdb come through."""
        pc, sp = cpus.register(pending, "rip"), cpus.register(pending, "rsp")
        if pc is None or not cpus.in_kernel(pc):
            return None
        label, behind = name_of(pc)
        if not label:
            return None
        function = label.split(".")[0].split("[")[0]
        try:
            words = memoryview(kern.read(sp, 8 * WORDS)).cast("Q")
        except gdb.MemoryError:
            try:
                words = memoryview(kern.read(sp, -sp % 4096 & ~7)).cast("Q")
            except gdb.MemoryError:
                return None
        if label.startswith("stub_") or pending.level() == 0 and (
                function in ENTRY or function in FRAME and behind < PROLOGUE):
            return self.trap(pending, pc, sp, words)
        if function in ENTRY + FRAME + OUTERMOST:
            return None
        return self.leaf(pending, function, sp, words)

    def unwound(self, pending, sp, pc, registers):
        info = pending.create_unwind_info(_Id(_long(sp), _long(pc)))
        for name in KEPT:
            info.add_saved_register(name, _long(cpus.register(pending, name)))
        for name, value in registers.items():
            info.add_saved_register(name, _long(value))
        return info

    def trap(self, pending, pc, sp, words):
        kernel, user = kern.constant("SEL_KCODE"), kern.constant("SEL_UCODE")
        for i in range(len(words) - 4):
            if words[i + 1] in (kernel, user) and words[i + 2] & ~0x3fffff == 0 and \
                    words[i + 2] & 2:
                if words[i + 1] == user:
                    return self.unwound(pending, sp, pc, {"rip": 0, "rsp": words[i + 3]})
                return self.unwound(pending, sp, pc, {"rip": words[i], "rsp": words[i + 3]})
        return None

    def leaf(self, pending, function, sp, words):
        start = kern.code(function)
        memory = gdb.selected_inferior()
        for i, word in enumerate(words):
            if cpus.in_kernel(word) and userframes._behind_call(memory, word) == start:
                registers = {"rip": word, "rsp": sp + 8 * i + 8}
                if function == "arch_switch" and i > 0:
                    # What it has pushed, last RBX, or R15 if it got so far.
                    for n, name in enumerate(("rbp", "rbx", "r12", "r13", "r14", "r15")[:i]):
                        registers[name] = words[i - 1 - n]
                return self.unwound(pending, sp + 8 * i, start, registers)
        return None


gdb.unwinder.register_unwinder(None, Asm(), replace=True)
