# SPDX-License-Identifier: BSD-2-Clause
"""trace: the last events of the kernel's per-CPU rings, by what DWARF says of them."""
import gdb

from . import kern
class Trace(kern.Command):
    """trace"""
    name = "trace"

    def run(self, words):
        if kern.ctype("struct trace_ring") is None:
            raise gdb.GdbError("this kernel has no trace: it was built without struct trace_ring")
Trace()
