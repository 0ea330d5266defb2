# SPDX-License-Identifier: BSD-2-Clause
"""User frames of code without unwind tables: musl's functions have none.

From such a function the caller is the first word up the stack that lies behind a call, best of all
behind a direct call of this very function. Our own code has tables, and gdb goes on by them.
"""

import gdb
import gdb.unwinder

from . import cpus

SCAN = 8192                     # bytes of stack
SCANNED = set()                 # inferiors that are snapshots of processes


class _Id:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


def _behind_call(memory, word):
    """What the call before an address calls: an address, True for an indirect one, or None."""
    try:
        code = bytes(memory.read_memory(word - 7, 7))
    except gdb.MemoryError:
        return None
    if code[2] == 0xe8:
        return word + int.from_bytes(code[3:7], "little", signed=True)
    for length in (2, 3, 4, 6, 7):      # FF /2 with its operands, a REX prefix before or not
        at = 7 - length
        if code[at] == 0xff and code[at + 1] >> 3 & 7 == 2:
            return True
    return None


def _function(pc):
    """Start of the function that pc lies in, by the symbol table."""
    out = gdb.execute("info symbol %#x" % pc, to_string=True).split(" ")
    if out[:1] in (["No"], []):
        return None
    return pc - (int(out[2]) if out[1] == "+" else 0)


class Scan(gdb.unwinder.Unwinder):
    """Finds callers on the stack of a snapshot's thread."""

    def __init__(self):
        super().__init__("threadbare-user")

    def __call__(self, pending):
        memory = gdb.selected_inferior()
        if memory.num not in SCANNED:
            return None
        pc, sp = cpus.register(pending, "rip"), cpus.register(pending, "rsp")
        if gdb.find_pc_line(pc).symtab is not None:
            return None
        start = _function(pc)
        if start is None:
            return None
        found = self.caller(memory, start, sp)
        long_ = gdb.lookup_type("unsigned long")
        info = pending.create_unwind_info(
            _Id(gdb.Value(sp).cast(long_), gdb.Value(start).cast(long_)))
        if found is None:
            # A caller at 0 ends the walk, but gdb wants to see its stack, too.
            info.add_saved_register("rip", gdb.Value(0).cast(long_))
            info.add_saved_register("rsp", gdb.Value(sp + 8).cast(long_))
            return info
        at, word = found
        info.add_saved_register("rip", gdb.Value(word).cast(long_))
        info.add_saved_register("rsp", gdb.Value(at + 8).cast(long_))
        info.add_saved_register("rbp", gdb.Value(cpus.register(pending, "rbp")).cast(long_))
        return info

    @staticmethod
    def caller(memory, start, sp):
        """(where on the stack, return address), or None."""
        data = b""
        for size in (SCAN, 4096 - sp % 4096):
            try:
                data = bytes(memory.read_memory(sp, size))
                break
            except gdb.MemoryError:
                continue
        first = None
        for i in range(0, len(data) - 7, 8):
            word = int.from_bytes(data[i:i + 8], "little")
            if not 0x1000 <= word < 1 << 47:
                continue
            called = _behind_call(memory, word)
            if called == start:
                return sp + i, word
            if called is not None and first is None:
                first = sp + i, word
        return first


gdb.unwinder.register_unwinder(None, Scan(), replace=True)
