# SPDX-License-Identifier: BSD-2-Clause
"""CPUs of the kernel and threads of gdb.

For QEMU's stub a thread is a CPU: GS base, or the one that SWAPGS keeps, is the address of its
struct cpu. For the stub in the kernel a thread is an LWP and its number the LID. What is asked
here is the same for both: whose registers does gdb have?
"""

import contextlib

import gdb

from . import kern, model
from .kern import MASK, addr, deref


class Cpu:
    """A struct cpu as it was when it was read."""

    def __init__(self, ptr):
        self.ptr, self.addr = ptr, addr(ptr)
        self.v = deref(ptr)
        self.index = int(self.v["ci_index"])
        self.curlwp = addr(self.v["ci_curlwp"])
        self.spins = int(self.v["ci_mtx_count"])
        self.spc = deref(self.v["ci_spc"]) if addr(self.v["ci_spc"]) else None

    @property
    def online(self):
        return bool(addr(kern.symbol("cpu_online_set")) >> self.index & 1)


def cpus():
    """All CPUs that the kernel has found."""
    found = []
    table = kern.symbol("cpus")
    for i in range(min(int(kern.symbol("ncpu")), kern.constant("MAXCPUS"))):
        if addr(table[i]):
            with contextlib.suppress(gdb.MemoryError):
                found.append(Cpu(table[i]))
    return found


def register(frame, name):
    """A register as an unsigned number; None when the stub has no such register."""
    try:
        return int(frame.read_register(name).cast(gdb.lookup_type("unsigned long"))) & MASK
    except (gdb.error, ValueError):
        return None


def in_kernel(pc):
    return pc >= 1 << 63


def kstack_holds(lwp, sp):
    return lwp.kstack and lwp.kstack < sp <= lwp.kstack + kern.constant("KSTACK_SIZE")


class _Registers:
    """Registers of the selected thread, whatever its frames are worth."""

    @staticmethod
    def read_register(name):
        value = gdb.parse_and_eval("$" + name)
        if value.type.code == gdb.TYPE_CODE_VOID:
            raise ValueError(name)
        return value


class Thread:
    """A thread of gdb: .cpu is a Cpu for a CPU's thread, .lwp the LWP whose registers these are."""

    def __init__(self, thread, by_address):
        self.thread = thread
        thread.switch()
        frame = _Registers()
        self.pc, self.sp = register(frame, "rip"), register(frame, "rsp")
        bases = [register(frame, "gs_base"), register(frame, "k_gs_base")]
        self.cpu = next((by_address[b] for b in bases if b in by_address), None)
        self.lwp = None

    def find_lwp(self, everybody):
        """Whose stack is in use: in the switch that may not yet be the CPU's current LWP."""
        current = [l for l in everybody if self.cpu and l.addr == self.cpu.curlwp]
        if in_kernel(self.pc):
            self.lwp = next((l for l in current + everybody if kstack_holds(l, self.sp)), None)
        if self.lwp is None and current:
            self.lwp = current[0]       # user mode, or the stack of an NMI
        if self.lwp is None and self.cpu is None:
            self.lwp = next((l for l in everybody if l.lid == self.thread.ptid[1]), None)


def threads(everybody=None):
    """Every gdb thread of the kernel."""
    everybody = model.lwps() if everybody is None else everybody
    by_address = {c.addr: c for c in cpus()}
    found = []
    with kern.selection_kept():
        for thread in sorted(gdb.selected_inferior().threads(), key=lambda t: t.num):
            try:
                found.append(Thread(thread, by_address))
            except gdb.error:
                continue
    if found and all(t.cpu is None for t in found) and len(found) == len(by_address):
        # A stub that tells no GS base: threads in the order of the CPUs.
        for thread, cpu in zip(found, sorted(by_address.values(), key=lambda c: c.index)):
            thread.cpu = cpu
    for thread in found:
        thread.find_lwp(everybody)
    return found


def thread_of(lwp, everybody=None):
    """The thread that has the registers of an LWP, or None when it is switched out."""
    for thread in threads(everybody):
        if thread.lwp is not None and thread.lwp.addr == lwp.addr:
            return thread
    return None
