# SPDX-License-Identifier: BSD-2-Clause
"""The in-kernel gdb stub, used by gdb in batch mode and by raw packets.

Each test boots machines with tools/run --gdb=kernel, runs a script inside gdb
and looks at what that printed. docs/gdbstub.md.

STUB_LONG=1 in the environment does the same at 2 and 8 CPUs, too, and more often.
"""

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from gdbguest import PROGRAM, TOP, Guest  # noqa: E402
from gdbpackets import RawPackets  # noqa: E402

LONG = bool(os.environ.get("STUB_LONG"))
USERCC = os.environ.get("USERCC", "musl-gcc")


class StubTest(RawPackets, unittest.TestCase):
    """Most tests run at 1 and at 4 CPUs."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="threadbare-gdb-")
        cls.program = cls.path("prog")
        with open(cls.path("prog.c"), "w", encoding="ascii") as file:
            file.write(PROGRAM)
        subprocess.run([USERCC, "-static", "-no-pie", "-O1", "-g", "-o", cls.program,
                        cls.path("prog.c")], check=True)
        symbols = subprocess.run(["nm", cls.program], check=True, text=True,
                                 stdout=subprocess.PIPE).stdout
        cls.over = cls.address(symbols, "over")
        cls.getppid = cls.address(subprocess.run(
            ["nm", os.path.join(TOP, "build/debug/threadbare.elf")], check=True, text=True,
            stdout=subprocess.PIPE).stdout, "sys_getppid")

    @staticmethod
    def address(symbols, name):
        return int(re.search(r"^(\w+) \w %s$" % name, symbols, re.M).group(1), 16)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    def guests(self, program, append="", cpus=(1, 4)):
        """Yield a fresh machine for each number of CPUs."""
        for smp in cpus + ((2, 8) if LONG and len(cpus) > 1 else ()):
            guest = Guest(self, smp, program, append)
            self.addCleanup(guest.stop)
            yield smp, guest
            guest.stop()

    # --- Looking ---

    def test_sleepers(self):
        """
        The thread list is the kernel's own; each sleeper's reason and callers; ^C of an idle machine. One LWP
        alone is stepped, by packets; then whatever comes in, the kernel lives, and a good gdb is served: with
        a chain of LWPs, each asleep on a kernel mutex that the next one has.
        """
        for smp, guest in self.guests([self.program, "sleepers", "mutexes"], "gdb=wait"):
            said = guest.gdb("""
                settle()
                seen = {(t.ptid[0], t.ptid[1]): t for t in threads()}
                kernel = lambda n: int(n) or 1000000
                listed = {(kernel(p), kernel(l)) for l, p in
                          re.findall(r"(?m)^ *(\\d+) +(\\d+) ", run("monitor ps"))}
                say("ps", set(seen) == listed, sorted(seen), sorted(listed))
                l, real = gdb.parse_and_eval("lwp_all"), {}
                while int(l) != 0:
                    if int(l["l_lid"]) > 0 or int(l) == value("&lwp0"):
                        real[(kernel(l["l_proc"]["p_pid"]), kernel(l["l_lid"]))] = l
                    l = l["l_allnext"]
                say("same", set(seen) == set(real), sorted(seen), sorted(real))
                say("idle", len([t for t in seen.values() if t.name.startswith("idle")]))
                for t in seen.values():
                    t.switch()
                    l = real[(t.ptid[0], t.ptid[1])]
                    stack = int(l["l_kstack"])
                    sp = value("(unsigned long)$rsp")
                    user = value("$cs") & 3
                    # At the very end of an NMI it is on that one's stack.
                    pc = value("(unsigned long)$pc")
                    if value("(unsigned long)&__nobreak_start") <= pc < value("(unsigned long)&__stub_start"):
                        continue
                    if not user and not stack <= sp <= stack + 16384:
                        say("stack", t.ptid, hex(sp), hex(stack))
                    say("bt", t.ptid[0], t.name, *names())
                for line in run("info threads").splitlines():
                    say("line", line)
                found = False
                while not found:
                    assert interrupted(0.02) == "SIGINT", stops
                    refresh()
                    found = all(t.name.startswith("idle") for t in running())
                say("inferiors", sorted(i.pid for i in gdb.inferiors() if i.pid))
                leave()
            """)
            text = "\n".join(said)
            self.assertTrue(said[0].startswith("ps True"), said[0])
            self.assertTrue(said[1].startswith("same True"), said[1])
            self.assertEqual(said[2], "idle %d" % smp)
            self.assertFalse([line for line in said if line.startswith("stack")])
            self.assertRegex(text, r"1 prog .*mi_switch.*sys_wait4")
            self.assertRegex(text, r"1 prog .*mi_switch.*futex")
            self.assertRegex(text, r"\d prog .*mi_switch.*sys_nanosleep")
            self.assertRegex(text, r'"prog" \(SLEEP wait cpu\d\)')
            self.assertRegex(text, r'"prog" \(SLEEP futex cpu\d\)')
            self.assertIn("inferiors [1, ", said[-1])
            self.lone_step(guest.port, self.getppid)
            self.anew(guest.port)
            seed = int(os.environ.get("SEED", time.time_ns() % 100000))
            print("SEED=%d" % seed)
            self.fuzz(guest.port, random.Random(seed), 3000 if LONG else 200)
            said = guest.gdb("""
                settle()
                say("threads", len(threads()) >= %d)
                end_program()
                gdb.Breakpoint("fsck")
                run("continue")
                refresh()
                for number in re.findall(r"Thread (\\S+) has extra info '.*SLEEP mutex",
                                         run("thread find SLEEP mutex")):
                    run("thread " + number)
                    say(*names())
                run("delete")
                run("disconnect")
            """ % (smp + 3))
            self.assertEqual(said[0], "threads True")
            self.assertEqual(len(said), 4, said)
            for line in said[1:]:
                self.assertRegex(line, r"^mi_switch .*turnstile_block mutex_lock_slow.* chain_(link|top)")
            self.look_in(guest.port, last_ack=b"")     # lost with the connection
            guest.finish("child 7", "done sleepers")

    # --- Stopping ---

    def test_storm(self):
        """
        In a fork storm: a breakpoint in the switch, watchpoints, steps, on every CPU; from the start on. Then in
        and out of it, without a gdb and with one, and nothing is lost.
        """
        for smp, guest in self.guests([self.program, "storm"], "gdb=wait"):
            said = guest.gdb("""
                smp = %d
                run("hbreak cpu_main_ap")       # set before the other CPUs start, holds there, too
                seen = set()
                for i in range(smp - 1):
                    run("continue")
                    seen.add(cpu())
                say("started", len(seen))
                run("delete")
                begin()
                # The stub's own data cannot be watched, what it reads of the kernel's can.
                for name in ("hold_set", "debug_cpus[0].dc_busy", "regs[0].h_addr"):
                    gdb.Breakpoint(name, gdb.BP_WATCHPOINT, gdb.WP_ACCESS)
                    try:
                        run("continue")
                        say("allowed", name)
                    except gdb.error:
                        pass
                    run("delete")
                run("awatch -l ((struct cpu *)$gs_base)->ci_curlwp")
                for i in range(10): run("continue")
                say("lives", stops[-1].breakpoints[0].hit_count > 0)
                run("delete")
                # Of the kernel's own threads, for gdb sees hits only where it was set: those that go idle.
                if smp > 1: run("inferior 1")
                w = gdb.Breakpoint("sched_idle_set" if smp > 1 else "idtable.count", gdb.BP_WATCHPOINT,
                                   gdb.WP_WRITE)
                say("hardware", "hw" in run("info breakpoints"))
                run("continue")
                here = cpu()
                while smp > 1 and cpu() == here: run("continue")
                say("watched", stops[-1].breakpoints[0].number == w.number)
                run("delete")
                gdb.Breakpoint("mi_switch")
                seen = set()
                while len(seen) < smp:
                    run("continue")
                    assert gdb.newest_frame().name() == "mi_switch"
                    seen.add(cpu())
                say("cpus", len(seen))
                run("delete")   # or another CPU's hit may end the step
                l = value("(unsigned long)$rdi")
                me = lambda: l == value("(unsigned long)((struct cpu *)$gs_base)->ci_curlwp")
                run("stepi"); run("stepi"); run("stepi")
                say("step", gdb.newest_frame().name(), me())
                run("set scheduler-locking on")
                for i in range(20): run("stepi")
                say("locked", me())
                run("set scheduler-locking off")
                leave()
            """ % smp)
            self.assertEqual(said, [
                "started %d" % (smp - 1), "lives True", "hardware True", "watched True", "cpus %d" % smp,
                "step mi_switch True", "locked True"])
            for _ in range(10):
                self.look_in(guest.port)
            said = guest.gdb("""
                for i in range(4):
                    if i > 0: run("target remote 127.0.0.1:%d" % PORT)
                    say(len(threads()), gdb.inferiors()[0].pid)
                    if i == 2: run("inferior %d" % gdb.inferiors()[-1].num)
                    if i < 3: leave()
                end_program()
                run("inferior 1")
                run("detach")
                refresh()
            """)
            for line in said:
                self.assertRegex(line, "^([2-9]|[1-9][0-9]+) 1000000$")
            guest.finish("sum 4", "done storm")

    def test_tour(self):
        """
        A program: its memory, its breakpoints by address and name, steps over all sorts of instructions; ^C in
        user mode and in the kernel, of a gdb that came while it ran. Debug registers of a process that is gone
        are free, and krefresh does in batch mode what a prompt does.
        """
        for smp, guest in self.guests([self.program, "tour", "forks", "busy"], "gdb=wait"):
            said = guest.gdb("""
                run("ksymbols " + PROG)
                at, flags, counter = (value("(long)&" + name) for name in ("the_syscall", "the_pushf", "counter"))
                # The address space is being changed, so the breakpoint waits.
                run("break vm_region_clone")
                run("continue")
                run("delete")
                before = value("dr7")
                gdb.Breakpoint("*%d" % value("(long)&user_target"))
                # gdb may watch the very word that the stub watches for it.
                mine = gdb.Breakpoint("*(long *)%d" % value("(long)&((struct cpu *)$gs_base)->ci_curlwp"
                                      "->l_proc->p_vmspace->vm_lock.rw_word"), gdb.BP_WATCHPOINT)
                run("continue")
                say("watched", mine.hit_count)
                mine.delete()
                run("continue")
                say("waited", gdb.selected_inferior().pid, gdb.newest_frame().name(), before == value("dr7"))
                run("delete")
                # The flags that a stepped program pushes are its own.
                run("hbreak *%d" % flags)
                run("continue")
                run("delete")
                run("stepi")
                say(value("(long)$pc") - flags, hex(value("*(unsigned long *)$rsp") & 0x300))
                # Over a system call to the next instruction, whether the call sleeps or not.
                run("hbreak *%d" % at)
                run("continue")
                run("delete")
                run("break *%d" % at)           # in user text from now on
                good = 0
                for i in range(6):
                    nr = value("$rax")
                    assert value("(long)$pc") == at, hex(value("(long)$pc"))
                    run("set scheduler-locking " + ("on" if i % 2 else "off"))
                    run("stepi")
                    run("set scheduler-locking off")
                    good += value("(long)$pc") == at + 2 and value("$rax") != nr
                    good += value("$eflags") & 0x300 == 0x200
                    if i < 5: run("continue")
                say("syscalls", good)
                run("delete")
                # One that does not come back.
                run("hbreak call if nr == 231")
                run("continue")
                run("delete")
                while value("(long)$pc") != at: run("stepi")
                run("set scheduler-locking on")
                run("stepi")
                run("set scheduler-locking off")
                say("exit", "debug_step_gone" in names())
                # By name, in whichever process; then in the parent's text only.
                run("hbreak user_target")
                pids = set()
                while len(pids) < 3:
                    run("continue")
                    assert gdb.newest_frame().name() == "user_target", names()
                    pids.add(gdb.selected_inferior().pid)
                say("by name", 1 in pids)
                while gdb.selected_inferior().pid != 1: run("continue")
                run("delete")
                target = value("(long)&user_target")
                gdb.Breakpoint("*%d" % target)
                pids = set()
                for i in range(3):
                    run("continue")
                    pids.add(gdb.selected_inferior().pid)
                say("pids", sorted(pids))
                while value("*(long *)%d" % counter) != 0: run("continue")
                run("finish")
                say("magic", hex(value("lwp0.l_magic")))
                one = value("*(unsigned long *)%d" % counter)
                run("set *(unsigned long *)%d = %d" % (counter, 5000000000))
                say("counter", value("*(unsigned long *)%d" % counter), one)
                run("set $rbx = $rbx + 1"); run("set $rbx = $rbx - 1")
                for text in ("set var *(char *)0 = 1", "x/x 0x1000", "x/x 0xffffffffffffff00",
                             "x/x 0xffff7fffffffff00", "set $rip = 0x8000000000000000",
                             "set $cs = 8", "set $fs_base = 0xffffffff80000000"):
                    try:
                        run(text)
                        say("allowed", text)
                    except gdb.error as error:
                        pass
                begin()
                packet = lambda text: run("maint packet " + text).split()[-1]
                gdb.Breakpoint("proc_exit")
                for i in range(6):
                    run("continue")
                    pid = gdb.selected_inferior().pid
                    say(packet("Hgp%x.-1" % pid), packet("Z1,4010%02x,1" % i))
                used = value("dr7")
                say(packet("Hgpffff.-1"), packet("Z1,401000,1"), packet("z1,401000,1"), used == value("dr7"))
                run("delete")
                run("break *0x401000")          # in text of processes that are gone, too
                gdb.Breakpoint("proc_exit")
                for i in range(3):
                    run("continue")
                    run("krefresh")
                say(len([i for i in gdb.inferiors() if i.pid]) <= 4)
                leave()
            """)
            self.assertEqual(said, [
                "watched 1", "waited 1 user_target True", "1 0x200", "syscalls 12", "exit True",
                "by name True", "pids [1]", "magic 0x4c575021", "counter 5000000000 1",
                *['"OK" "OK"'] * 6, '"E03" "OK" "OK" True', "True"])
            guest.said("prog: ready busy")
            said = guest.gdb("""
                found = set()
                while len(found) < 2:
                    assert interrupted(0.02) == "SIGINT", stops
                    refresh()
                    for t in running():
                        if t.name == "prog": found.add("user" if value("$cs") & 3 else "kernel")
                say(sorted(found))
                end_program()
                leave()
            """)
            self.assertEqual(said, ["['kernel', 'user']"])
            guest.finish("sum 20", "sum 30", "done busy")

    def test_break_in_trace_point(self):
        """The trace changes text in which gdb has breakpoints, and they survive it."""
        for _, guest in self.guests(["/test/trace"], "gdb=wait", cpus=(2,)):
            said = guest.gdb("""
                first = gdb.parse_and_eval("(struct branch_site *)&__start_set_branches")
                last = gdb.parse_and_eval("(struct branch_site *)&__stop_set_branches")
                rare = [int(first[i]["bs_site"]) for i in range(int(last - first))
                        if int(first[i]["bs_key"]) == value("(int)TRC_ALLOC")]
                for site in rare: run("break *%#x" % site)
                run("tbreak arch_branches_set")
                run("continue")
                run("tbreak arch_branches_set")
                run("continue")
                say(len(rare) > 0, "set")
                leave()
            """)
            self.assertEqual(said, ["True set"])
            guest.finish()

    # --- Panics ---

    def test_panic(self):
        """A gdb that comes after the panic finds everything as it was."""
        for _, guest in self.guests(["/bin/ktest", "panic-setstat"], "gdb=wait"):
            self.look_in(guest.port, b"")       # lets the boot go on
            guest.said("ids:")
            said = guest.gdb("""
                say("signal", "SIGABRT" in run("info program"))
                say(*names())
                say(gdb.parse_and_eval("panic_message").string())
                say("threads", len(threads()) > 2)
                leave()
            """)
            self.assertRegex(said[1], "panic.*lwp_setstat")
            self.assertIn("ONPROC -> IDL", said[2])
            self.assertEqual(said[3], "threads True")
            guest.finish(status=125)

    def panic_held(self, guest, locking):
        """A panic while gdb holds the other CPUs, or as it lets them go, is told and ends."""
        said = guest.gdb("""
            gdb.Breakpoint("sys_wait4")
            run("continue")
            run("delete")
            run("krefresh")
            for l in sorted({value("cpus[%%d]->ci_curlwp->l_lid" %% i) for i in range(4)}):
                if l > 0 and "did not stop" in run("monitor bt %%d" %% l):
                    say("not stopped", l)
            run("set scheduler-locking %s")
            run("set $eflags = 2")      # a tick may want a lock of a stopped CPU
            run("set $rdi = (unsigned long)panic_message")
            run("set $rip = (unsigned long)panic")
            run("continue")
            say(reason(), *names())
            leave()
        """ % locking)
        self.assertRegex(said[0], "^SIGABRT .*panic")
        guest.finish(status=125)

    def test_panic_as_they_go(self):
        for _, guest in self.guests(["/test/storm_fork", "300"], "gdb=wait", cpus=(4,)):
            self.panic_held(guest, "off")

    def test_frames(self):
        """What gdb sees of a CPU that was stopped in the stub's own code is that CPU's. Then a panic."""
        for _, guest in self.guests([self.program, "storm"], "gdb=wait", cpus=(4,)):
            said = guest.gdb("""
                begin()
                gdb.Breakpoint("syscall_dispatch")
                looked = 0
                while looked <= 20:
                    run("continue")
                    for c in range(4):
                        if not value("debug_cpus[%d].dc_parked" % c):
                            continue
                        frame = "debug_cpus[%d].dc_frame" % c
                        if value("(long)" + frame) == 0:
                            say("none", c)
                            continue
                        if value(frame + "->tf_cs") & 3: continue
                        # At the very end of an NMI it is on that one's stack.
                        pc = value("(unsigned long)%s->tf_rip" % frame)
                        if value("(unsigned long)&__nobreak_start") <= pc < value("(unsigned long)&__stub_start"):
                            continue
                        sp = value("(unsigned long)%s->tf_rsp" % frame)
                        stack = value("(unsigned long)cpus[%d]->ci_curlwp->l_kstack" % c)
                        looked += 1
                        if not stack <= sp <= stack + 0x8000:
                            say("stale", c, hex(value("(unsigned long)%s->tf_rip" % frame)))
                leave()
            """)
            self.assertEqual(said, [])
            self.panic_held(guest, "on")


if __name__ == "__main__":
    unittest.main()
