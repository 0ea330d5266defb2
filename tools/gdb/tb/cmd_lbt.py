# SPDX-License-Identifier: BSD-2-Clause
"""lbt: backtrace of any LWP."""

import gdb

from . import cpus, frames, kern, model, snapshot


class Lbt(kern.Command):
    """Show the backtrace of an LWP, whether it runs or not.

`lbt LID`             its kernel frames, then its user frames
`lbt all`             the same of every LWP, process by process
`lbt LID N COMMAND`   run a gdb command in kernel frame N: `lbt 5 3 info locals`

User frames need the program's ELF file: those of build/user are found by name, others in the
current directory, in $THREADBARE_PROGRAMS, or by `proc PID FILE`."""

    name = "lbt"

    def run(self, words):
        if not words or len(words) == 2:
            self.usage("LID | all | LID N COMMAND")
        everybody = model.lwps()
        threads = {t.lwp.addr: t for t in cpus.threads(everybody) if t.lwp is not None}
        if words == ["all"]:
            # A process's user half is a snapshot: one is made at a time.
            for l in sorted(everybody, key=lambda l: (l.pid, l.lid)):
                self.show(l, threads.get(l.addr))
            return
        l = model.find_lwp(self.number(words[0], "an id or `all`"))
        thread = threads.get(l.addr)
        if len(words) > 2:
            self.in_frame(l, thread, self.number(words[1], "a frame's number"),
                          " ".join(words[2:]))
        else:
            self.show(l, thread)

    def show(self, l, thread):
        where = "on cpu%d" % l.cpu if l.running else ""
        wait = "waits for %#x (%s)" % (l.wchan, l.wmesg) if l.wchan else ""
        print(("%s of pid %d, %s %s" % (l, l.pid, l.state, wait or where)).rstrip())
        count = [0]

        def visit(number, frame):
            frames._show(number, frame)
            count[0] = number + 1

        try:
            note = frames.kernel_frames(l, visit, thread)
        except gdb.MemoryError as error:
            note = str(error)
        if note:
            print("    (%s)" % note)
        if l.user and l.state != "ZOMB":
            self.user_frames(l, count[0])

    def user_frames(self, l, number):
        proc = l.proc
        if proc.kernel:
            return
        with kern.selection_kept():
            try:
                shot = snapshot.of(proc)
                if l.lid not in shot.lids:
                    return
                shot.select(l.lid)
                name = shot.program.split(kern.TOP + "/")[-1] if shot.program else None
                print("    --- user mode, %s ---" % (
                    name or "%s: its ELF file is not found" % proc.name))
                for at, frame in enumerate(frames._walk(gdb.newest_frame())):
                    frames._show(number + at, frame)
                    if not shot.program:
                        break   # without unwind tables it would be guesses
            except (gdb.error, gdb.GdbError) as error:
                print("    (no user frames: %s)" % error)

    def in_frame(self, l, thread, wanted, command):
        seen = []

        def visit(number, frame):
            seen.append(number)
            if number == wanted:
                frames._show(number, frame)
                frame.select()
                gdb.execute(command)

        note = frames.kernel_frames(l, visit, thread)
        if wanted not in seen:
            raise gdb.GdbError("%s: %s" % (l, note or "it has kernel frames 0 to %d" % (
                len(seen) - 1) if seen or note else "no kernel frame: it is in user mode"))


Lbt()
