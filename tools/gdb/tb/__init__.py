# SPDX-License-Identifier: BSD-2-Clause
"""The project's gdb commands.

kern      symbols, constants, careful reading, the base of all commands
model     LWPs, processes, ids, locks as Python sees them
cpus      which gdb thread is which CPU and runs which LWP
frames    backtraces of LWPs that are not on a CPU; asmframes: of assembly
pages     user memory through the page tables; user registers
userframes  frames of the C library's functions
snapshot  a process as an inferior of its own
printers  pretty-printers
cmd_*     the commands

Nothing here writes to the machine or calls a function in it.
"""

import importlib

import gdb

PARTS = ("printers", "cmd_list", "cmd_queues", "cmd_locks", "cmd_why", "cmd_lbt",
         "cmd_proc", "cmd_fsck", "cmd_trace")


class Help(gdb.Command):
    """Commands for Threadbare: a kernel's LWPs, processes, locks, and invariants.

  lwps            every LWP: id, state, CPU, priority, what it waits for
  procs           every process, zombies included
  idtab [all]     the id table
  runq            the CPUs and their run queues
  sleepq          who sleeps on what
  locks           locks held: by whom, since which line
  why LID         what an LWP waits for, and what that waits for ...
  lbt LID|all     backtrace of an LWP: kernel frames, then user frames
  vm PID          address space
  proc [PID]      look at a process as its own program; without PID: back
  fsck            the kernel's invariants, as far as they are at rest
  trace [N]       the last events of the kernel's trace
  $lwp(LID), $proc(PID)   the structures, in expressions

`help COMMAND` tells more; docs/debugging.md shows each with its output."""

    def __init__(self):
        super().__init__("threadbare", gdb.COMMAND_SUPPORT)

    def invoke(self, arg, from_tty):
        print(self.__doc__)


def load():
    """Register everything with gdb."""
    Help()
    for part in PARTS:
        importlib.import_module("tb." + part)
