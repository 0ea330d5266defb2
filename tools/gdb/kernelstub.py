# SPDX-License-Identifier: BSD-2-Clause
"""What gdb needs to know of the kernel's own stub (docs/gdbstub.md).

Loaded before `target remote`. Each process is an inferior with the kernel's
symbols; gdb never drops those that are gone, so it is done here, whenever gdb
stops.
"""

import gdb

for setting in ("sysroot /", "schedule-multiple on", "pagination off", "confirm off",
                "print inferior-events off", "print thread-events off",
                "remotetimeout 30", "auto-solib-add off"):
    gdb.execute("set " + setting)


def live_threads():
    """Return the threads of all inferiors, without those that ended."""
    gdb.execute("info threads -gid", to_string=True)   # asks the stub
    return [t for i in gdb.inferiors() for t in i.threads() if t.is_valid()]


def _alive(pid, tid):
    answer = gdb.execute("maint packet Tp%x.%x" % (pid, tid), to_string=True)
    return 'received: "OK"' in answer


def prune(_=None):
    """Forget processes that are gone: those of whose threads none is alive."""
    dead = []
    for inferior in gdb.inferiors():
        threads = inferior.threads()
        if inferior.pid and len(threads) <= 1 and not any(
                _alive(t.ptid[0], t.ptid[1]) for t in threads):
            dead.append(inferior.num)
    current = gdb.selected_inferior().num
    for number in dead:
        if number != current:
            gdb.execute("detach inferiors %d" % number, to_string=True)
            if number != 1:
                gdb.execute("remove-inferiors %d" % number, to_string=True)


class DetachKernel(gdb.Command):
    """Leave the kernel running: detach from all processes."""

    def __init__(self):
        super().__init__("kdetach", gdb.COMMAND_RUNNING)

    def invoke(self, argument, from_tty):
        prune()
        numbers = [i.num for i in gdb.inferiors() if i.pid]
        kernel = [i.num for i in gdb.inferiors() if i.pid == 1000000]
        for number in [n for n in numbers if n not in kernel] + kernel:
            gdb.execute("detach inferiors %d" % number, to_string=True)


DetachKernel()
gdb.events.before_prompt.connect(prune)
