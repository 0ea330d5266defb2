# SPDX-License-Identifier: BSD-2-Clause
"""What gdb needs to know of the kernel's own stub (docs/gdbstub.md).

Loaded before `target remote`. Each process is an inferior, and gdb is not made
for inferiors that come and go by themselves: one that it discovers while it
reports a stop takes the place of the thread that stopped, and one that is gone
stays for ever. So the stub is asked to tell of new processes only on request,
and that is done, as is the clearing away, before each prompt.
"""

import gdb

KERNEL_PID = 1000000

for setting in ("sysroot /", "schedule-multiple on", "pagination off", "confirm off",
                "print inferior-events off", "print thread-events off",
                "remotetimeout 30", "auto-solib-add off"):
    gdb.execute("set " + setting)


def _packet(text):
    return gdb.execute("maint packet " + text, to_string=True)


def _alive(ptid):
    return 'received: "OK"' in _packet("Tp%x.%x" % (ptid[0], ptid[1]))


def _connected():
    return any(i.pid for i in gdb.inferiors())


_described = set()


def _describe(_=None):
    """Have gdb read the registers' description for a new inferior, too."""
    inferior = gdb.selected_inferior()
    key = (inferior.num, inferior.pid)
    if inferior.num != 1 and inferior.pid and key not in _described:
        _described.add(key)
        gdb.execute("unset tdesc filename", to_string=True)


def refresh():
    """Learn of processes that have come, forget those that are gone."""
    if not _connected() or gdb.selected_thread() is None:
        return
    chosen = gdb.selected_thread()
    frame = gdb.selected_frame().level() if chosen.is_stopped() else 0
    _packet("QThreadbare.Show")
    gdb.execute("info threads -gid", to_string=True)
    for inferior in gdb.inferiors():
        alive = [t for t in inferior.threads() if inferior.num != 1 and _alive(t.ptid)]
        if alive:
            alive[0].switch()
            _describe()
    if chosen.is_valid():
        chosen.switch()
        if frame:
            gdb.execute("frame %d" % frame, to_string=True)
    for inferior in gdb.inferiors():
        threads = inferior.threads()
        if (inferior.pid and inferior.num != gdb.selected_inferior().num
                and len(threads) <= 1 and not any(_alive(t.ptid) for t in threads)):
            gdb.execute("detach inferiors %d" % inferior.num, to_string=True)
            if inferior.num != 1:
                gdb.execute("remove-inferiors %d" % inferior.num, to_string=True)


class DetachKernel(gdb.Command):
    """Leave the kernel running: detach from all processes."""

    def __init__(self):
        super().__init__("kdetach", gdb.COMMAND_RUNNING)

    def invoke(self, argument, from_tty):
        # Process by process, gdb would resume some between.
        _packet("D;%x" % KERNEL_PID)
        gdb.execute("disconnect", to_string=True)


class Refresh(gdb.Command):
    """Learn of processes that have come, forget those that are gone.

That is done before each prompt; with -batch -ex there is none."""

    def __init__(self):
        super().__init__("krefresh", gdb.COMMAND_RUNNING)

    def invoke(self, argument, from_tty):
        refresh()


def _before_prompt():
    try:
        refresh()
    except gdb.error:
        pass                    # it runs, or is gone


DetachKernel()
Refresh()
gdb.events.stop.connect(_describe)
gdb.events.before_prompt.connect(_before_prompt)
