# SPDX-License-Identifier: BSD-2-Clause
"""What gdb needs to know of the kernel's own stub (docs/gdbstub.md).

Loaded before `target remote`. Each process is an inferior, and gdb is not made
for inferiors that come and go by themselves: one that it discovers while it
reports a stop takes the place of the thread that stopped, and one that is gone
stays for ever. So the stub is asked to tell of new processes only on request,
and that is done, as is the clearing away, before each prompt.
"""

import os

import gdb

KERNEL_PID = 1000000

for setting in ("sysroot /", "schedule-multiple on", "pagination off", "confirm off",
                "print inferior-events off", "print thread-events off",
                "remotetimeout 30", "auto-solib-add off", "may-call-functions off"):
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


def _leave():
    """Let the kernel run on and close the connection; gdb forgets all processes."""
    if not gdb.selected_inferior().pid:
        number = next(i.num for i in gdb.inferiors() if i.pid)
        gdb.execute("inferior %d" % number, to_string=True)
    # Process by process, gdb would resume some between.
    _packet("D;%x" % KERNEL_PID)
    gdb.execute("disconnect", to_string=True)
    # The chosen inferior is to be the kernel's at the next connection.
    if gdb.selected_inferior().num != 1:
        gdb.execute("inferior 1", to_string=True)


def refresh():
    """Learn of processes that have come, forget those that are gone."""
    if not _connected():
        return
    if not gdb.inferiors()[0].pid:
        # `detach` from the kernel has let it run, but gdb holds on to it, and to the stub, for the other processes.
        try:
            _leave()
            print("[the kernel runs on]")
        except gdb.error as error:
            print("[the machine has come to its end: %s]" % error)
        return
    if gdb.selected_thread() is None:
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
        if not _connected():
            raise gdb.GdbError("not connected")
        _leave()


class Refresh(gdb.Command):
    """Learn of processes that have come, forget those that are gone.

That is done before each prompt; with -batch -ex there is none."""

    def __init__(self):
        super().__init__("krefresh", gdb.COMMAND_RUNNING)

    def invoke(self, argument, from_tty):
        refresh()


_programs = []


def _add_programs():
    """To the program space that is current, what it lacks."""
    known = {os.path.realpath(o.filename) for o in gdb.objfiles() if o.filename}
    for path in _programs:
        if path not in known:
            gdb.execute("add-symbol-file " + path, to_string=True)


def _objfile_came(event):
    """gdb has given the kernel's file to a process that it did not know: the programs' belong there, too."""
    new = event.new_objfile
    if new.progspace == gdb.current_progspace() and new.filename == new.progspace.filename:
        _add_programs()


class Symbols(gdb.Command):
    """Load a program's symbols for all processes, those that come included: ksymbols FILE.

gdb keeps the symbols of each process apart. With add-symbol-file the program's are
known in one of them only, and gdb passes over a breakpoint by name in all others."""

    def __init__(self):
        super().__init__("ksymbols", gdb.COMMAND_FILES, gdb.COMPLETE_FILENAME)

    def invoke(self, argument, from_tty):
        path = os.path.realpath(os.path.expanduser(argument.strip()))
        if not os.path.isfile(path):
            raise gdb.GdbError("no such file: " + path)
        _programs.append(path)
        chosen, inferior = gdb.selected_thread(), gdb.selected_inferior()
        frame = gdb.selected_frame().level() if chosen and chosen.is_stopped() else 0
        for each in gdb.inferiors():
            gdb.execute("inferior %d" % each.num, to_string=True)
            _add_programs()
        gdb.execute("inferior %d" % inferior.num, to_string=True)
        if chosen:
            chosen.switch()
            if frame:
                gdb.execute("frame %d" % frame, to_string=True)


def _before_prompt():
    try:
        refresh()
    except gdb.error:
        pass                    # it runs, or is gone


DetachKernel()
Refresh()
Symbols()
gdb.events.new_objfile.connect(_objfile_came)
gdb.events.stop.connect(_describe)
gdb.events.before_prompt.connect(_before_prompt)
