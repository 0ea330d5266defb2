# SPDX-License-Identifier: BSD-2-Clause
"""User memory and user registers of a process, whatever address space a CPU has loaded.

A stub reads virtual memory through the tables of one CPU. The tables of a process and its pages are
physical memory, all of which the kernel maps: so they are walked here.
"""

import gdb

from . import cpus, kern
from .kern import MASK, addr

MAX_PAGES = 16384               # 64 MiB of one process
GENERAL = ("rdi", "rsi", "rdx", "r10", "r8", "r9", "rax", "rcx", "r11", "rbx", "r12", "r13", "r14",
           "r15", "rbp", "rip", "rsp")


class AddressSpace:
    """The user half of a process."""

    def __init__(self, proc):
        if proc.kernel:
            raise gdb.GdbError("%s has no user address space" % proc)
        self.vm = kern.deref(proc.v["p_vmspace"])
        self.pmap = kern.deref(self.vm["vm_pmap"])
        self._tables = {}

    def _table(self, physical):
        if physical not in self._tables:
            data = kern.read(kern.constant("PHYSMAP_BASE") + physical, 4096)
            self._tables[physical] = memoryview(data).cast("Q")
        return self._tables[physical]

    def _root(self):
        return addr(self.pmap["pm_pml4"]) - kern.constant("PHYSMAP_BASE")

    def translate(self, va):
        """(physical address, bytes to the end of the page); gdb.MemoryError when not there."""
        physical = self._root()
        for shift in (39, 30, 21, 12):
            entry = self._table(physical)[va >> shift & 511]
            if not entry & kern.constant("PTE_P"):
                raise gdb.MemoryError("user address %#x is not in memory" % va)
            physical = entry & kern.constant("PTE_ADDR")
            if shift == 12 or entry & kern.constant("PTE_PS"):
                size = 1 << shift
                return (physical & ~(size - 1)) | va & (size - 1), size - (va & (size - 1))
        raise AssertionError

    def read(self, va, length):
        """Bytes of user memory."""
        data = b""
        while len(data) < length:
            physical, room = self.translate(va + len(data))
            data += kern.read(kern.constant("PHYSMAP_BASE") + physical,
                              min(room, length - len(data)))
        return data

    def resident(self, start, end, limit=MAX_PAGES):
        """Yield (va, physical) of the pages in [start, end) that are in memory."""
        va, count = start, 0
        while va < end and count < limit:
            physical = self._root()
            for shift in (39, 30, 21, 12):
                entry = self._table(physical)[va >> shift & 511]
                physical = entry & kern.constant("PTE_ADDR")
                if not entry & kern.constant("PTE_P"):
                    break
                if shift == 12 or entry & kern.constant("PTE_PS"):
                    yield va, (physical & ~((1 << shift) - 1)) | va & ((1 << shift) - 1) & ~4095
                    count += 1
                    shift = 12
                    break
            va = (va | (1 << shift) - 1) + 1

    def regions(self):
        """Its struct vm_region in order of address, and how the tree is broken, or None."""
        found, seen, note = [], set(), None
        type_ = gdb.lookup_type("struct vm_region")
        node_offset = kern.offset(type_, "vr_node")
        stack, at = [], addr(self.vm["vm_regions"]["rs_tree"]["root"])
        while stack or at:
            while at:
                if at in seen or len(seen) > kern.LIMIT:
                    return found, "the tree comes back to %#x" % at
                seen.add(at)
                try:
                    region = kern.at(at - node_offset, "struct vm_region")
                except gdb.MemoryError:
                    note = "the tree leads to %#x" % at
                    break
                stack.append(region)
                at = addr(region["vr_node"]["left"])
            if not stack:
                break
            region = stack.pop()
            found.append(region)
            at = addr(region["vr_node"]["right"])
        return found, note


def user_registers(lwp, thread):
    """(registers of an LWP in user mode by name, a note or None); None without any."""
    if thread is not None and not cpus.in_kernel(thread.pc):
        with kern.selection_kept():
            thread.thread.switch()
            frame = gdb.newest_frame()
            registers = {name: cpus.register(frame, name) for name in GENERAL + ("eflags",)}
            for name in ("fs_base", "gs_base"):
                registers[name] = cpus.register(frame, name) or 0
        return registers, None
    if not lwp.user or not lwp.kstack:
        return None
    type_ = gdb.lookup_type("struct trapframe")
    frame = kern.at(lwp.kstack + kern.constant("KSTACK_SIZE") - type_.sizeof, "struct trapframe")
    if int(frame["tf_cs"]) != kern.constant("SEL_UCODE"):
        return None             # nothing was pushed there yet
    registers = {name: addr(frame["tf_" + name]) for name in GENERAL}
    registers["eflags"] = addr(frame["tf_rflags"])
    registers["orig_rax"] = addr(frame["tf_trapno"])
    registers["fs_base"] = addr(lwp.v["l_md"]["md_fsbase"])
    registers["gs_base"] = addr(lwp.v["l_md"]["md_gsbase"])
    note = None
    if thread is not None:
        # Live while the LWP runs in the kernel: SWAPGS keeps the user's GS base.
        with kern.selection_kept():
            thread.thread.switch()
            top = gdb.newest_frame()
            registers["fs_base"] = cpus.register(top, "fs_base") or registers["fs_base"]
            registers["gs_base"] = cpus.register(top, "k_gs_base") or registers["gs_base"]
            symbol = gdb.execute("info symbol %#x" % thread.pc, to_string=True).split(" ")[0]
        if symbol in ("syscall_entry", "trap_entry", "irq_entry") or symbol.startswith("stub_"):
            note = "it is entering or leaving the kernel: these may be of the entry before"
    return {name: value & MASK for name, value in registers.items()}, note
