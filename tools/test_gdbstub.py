# SPDX-License-Identifier: BSD-2-Clause
"""The in-kernel gdb stub, used by gdb in batch mode and by raw packets.

Each test boots a machine with tools/run --gdb=kernel, runs a script inside gdb
and looks at what that printed. docs/gdbstub.md.
"""

import itertools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from gdbguest import PROGRAM, Guest  # noqa: E402
from gdbpackets import RawPackets  # noqa: E402

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
        cls.over = int(re.search(r"^(\w+) \w over$", symbols, re.M).group(1), 16)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    def guests(self, program, append="", cpus=(1, 4)):
        """Yield a fresh machine for each number of CPUs."""
        for smp in cpus:
            guest = Guest(self, smp, program, append)
            self.addCleanup(guest.stop)
            yield smp, guest
            guest.stop()

    # --- Looking ---

    def test_threads(self):
        """The thread list is the kernel's own list of LWPs."""
        for smp, guest in self.guests([self.program, "sleepers"], "gdb=wait", cpus=(1, 2, 4, 8)):
            said = guest.gdb("""
                settle()
                seen = {(t.ptid[0], t.ptid[1]): t for t in threads()}
                l, real = gdb.parse_and_eval("lwp_all"), {}
                while int(l) != 0:
                    stat = str(l["l_stat"])
                    if int(l["l_lid"]) > 0 or int(l) == value("&lwp0"):
                        pid = int(l["l_proc"]["p_pid"]) or 1000000
                        real[(pid, int(l["l_lid"]) or 1000000)] = l
                    l = l["l_allnext"]
                say("same", set(seen) == set(real), sorted(seen), sorted(real))
                idle = [t for t in seen.values() if t.name.startswith("idle")]
                say("idle", len(idle))
                say("states", run("info threads"))
                for t in seen.values():
                    t.switch()
                    l = real[(t.ptid[0], t.ptid[1])]
                    stack = int(l["l_kstack"])
                    sp = value("(unsigned long)$rsp")
                    user = value("$cs") & 3
                    if not user and not stack <= sp <= stack + 16384:
                        say("stack", t.ptid, hex(sp), hex(stack))
                say("inferiors", sorted(i.pid for i in gdb.inferiors() if i.pid))
                leave(end=True)
            """)
            self.assertTrue(said[0].startswith("same True"), said[0])
            self.assertEqual(said[1], "idle %d" % smp)
            self.assertFalse([line for line in said if line.startswith("stack")])
            self.assertIn("inferiors [1, ", said[-1])
            guest.finish(output="child 7")

    def test_backtraces(self):
        """Of LWPs that sleep in wait4 and in futex, with reason and caller."""
        for _, guest in self.guests([self.program, "sleepers"], "gdb=wait"):
            said = guest.gdb("""
                settle()
                for t in threads():
                    t.switch()
                    say(t.ptid[0], t.name, *names())
                for line in run("info threads").splitlines():
                    say("line", line)
                leave(end=True)
            """)
            text = "\n".join(said)
            self.assertRegex(text, r"1 prog .*mi_switch.*sys_wait4")
            self.assertRegex(text, r"1 prog .*mi_switch.*futex")
            self.assertRegex(text, r"\d prog .*mi_switch.*sys_nanosleep")
            self.assertRegex(text, r'"prog" \(SLEEP wait cpu\d\)')
            self.assertRegex(text, r'"prog" \(SLEEP futex cpu\d\)')
            guest.finish(output="child 7")

    def test_mutex_sleeper(self):
        """An LWP blocked on a kernel mutex, seen while another one runs."""
        for _, guest in self.guests(["/bin/ktest", "mutex-storm"], "gdb=wait", cpus=(4,)):
            said = guest.gdb("""
                gdb.Breakpoint("turnstile_block")
                run("continue")
                first = gdb.selected_thread()
                say("first", *names()[:2])
                run("delete")
                gdb.Breakpoint("mi_switch")
                asleep = []
                while not asleep:
                    run("continue")
                    l = gdb.parse_and_eval("lwp_all")
                    while int(l) != 0:
                        if int(l["l_stat"]) == value("(int)LS_SLEEP") and not int(l["l_running"]) and int(
                                l["l_syncobj"]) == value("&syncobj_turnstile"):
                            asleep.append(int(l["l_lid"]))
                        l = l["l_allnext"]
                refresh()
                for t in threads():
                    if t.ptid[1] == asleep[0]:
                        t.switch()
                        say("asleep", *names())
                leave()
            """)
            self.assertIn("first turnstile_block mutex_lock_slow", said)
            self.assertRegex(said[-1], "^asleep mi_switch .*turnstile_block mutex_lock_slow")
            guest.finish()

    def test_memory_and_registers(self):
        """Reading and writing; what must be refused is."""
        for _, guest in self.guests([self.program, "loop"], "gdb=wait", cpus=(1,)):
            said = guest.gdb("""
                run("add-symbol-file %s")
                a = value("(long)&counter")
                run("hbreak *%%d" %% value("(long)&user_target"))
                run("continue")
                run("finish")
                say("magic", hex(value("lwp0.l_magic")))
                one = value("*(unsigned long *)%%d" %% a)
                run("set *(unsigned long *)%%d = %%d" %% (a, 5000000000))
                say("counter", value("*(unsigned long *)%%d" %% a), one)
                run("set $rbx = $rbx + 1"); run("set $rbx = $rbx - 1")
                for text in ("set var *(char *)0 = 1", "x/x 0x1000", "x/x 0xffffffffffffff00",
                             "x/x 0xffff7fffffffff00", "set $rip = 0x8000000000000000",
                             "set $cs = 8", "set $fs_base = 0xffffffff80000000"):
                    try:
                        run(text)
                        say("allowed", text)
                    except gdb.error as error:
                        pass
                say("flags", value("$eflags") & 0x3200)
                leave()
            """ % self.program)
            self.assertEqual(said[0], "magic 0x4c575021")
            self.assertIn("counter 5000000000 1", said)
            self.assertFalse([line for line in said if line.startswith("allowed")])
            guest.finish(output="done loop")

    # --- Stopping ---

    def test_break_everywhere(self):
        """A breakpoint in the switch is met on every CPU."""
        for smp, guest in self.guests([self.program, "storm"], "gdb=wait"):
            said = guest.gdb("""
                gdb.Breakpoint("mi_switch")
                seen = set()
                while len(seen) < %d:
                    run("continue")
                    assert gdb.newest_frame().name() == "mi_switch"
                    seen.add(cpu())
                say("cpus", len(seen))
                run("delete")   # or another CPU's hit may end the step
                l = value("(unsigned long)$rdi")
                run("stepi"); run("stepi"); run("stepi")
                say("step", gdb.newest_frame().name(), l == value("(unsigned long)((struct cpu *)$gs_base)->ci_curlwp"))
                run("set scheduler-locking on")
                for i in range(20): run("stepi")
                say("locked", l == value("(unsigned long)((struct cpu *)$gs_base)->ci_curlwp"))
                run("set scheduler-locking off")
                leave(end=True)
            """ % smp)
            self.assertEqual(said, ["cpus %d" % smp, "step mi_switch True", "locked True"])
            guest.finish(output="sum 4")

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

    def test_break_start(self):
        """Breakpoints set before the other CPUs start hold there, too."""
        for _, guest in self.guests(["/bin/true"], "gdb=wait", cpus=(4,)):
            said = guest.gdb("""
                run("hbreak cpu_main_ap")
                seen = set()
                for i in range(3):
                    run("continue")
                    seen.add(cpu())
                say("seen", sorted(seen))
                leave()
            """)
            self.assertEqual(said, ["seen [1, 2, 3]"])
            guest.finish()

    def test_watch(self):
        """A watchpoint stops whichever CPU writes: here those that go idle."""
        for smp, guest in itertools.chain(
                self.guests([self.program, "sleepers"], "gdb=wait", cpus=(1,)),
                self.guests([self.program, "storm"], "gdb=wait", cpus=(4,))):
            said = guest.gdb("""
                w = gdb.Breakpoint("sched_idle_set", gdb.BP_WATCHPOINT, gdb.WP_WRITE)
                say("hardware", "hw" in run("info breakpoints"))
                seen = set()
                while len(seen) < min(%d, 2):
                    run("continue")
                    seen.add(cpu())
                say("cpus", len(seen), w.hit_count >= len(seen))
                leave(end=True)
            """ % smp)
            self.assertEqual(said, ["hardware True", "cpus %d True" % min(smp, 2)])
            guest.finish()

    def test_interrupt(self):
        """^C in user mode, in the kernel and in idle."""
        for mode, wanted in (("loop", "user"), ("kernel", "kernel"), ("sleepers", "idle")):
            for _, guest in self.guests([self.program, mode]):
                guest.said("init: starting")
                said = guest.gdb("""
                        found = set()
                        while "%s" not in found:
                            assert interrupted(0.1) == "SIGINT", stops
                            found = set()
                            refresh()
                            for number in re.findall(r"Thread (\S+) has .*running",
                                                     run("thread find running")):
                                run("thread " + number)
                                t = gdb.selected_thread()
                                if t.name == "prog" and value("$cs") & 3: found.add("user")
                                elif t.name == "prog": found.add("kernel")
                                if t.name.startswith("idle"): found.add("idle")
                        say(sorted(found))
                        leave()
                """ % wanted)
                self.assertIn(wanted, said[-1])

    def test_step_syscall(self):
        """Over the instruction, to the next one, whether the call sleeps or not."""
        for _, guest in self.guests([self.program, "syscalls", "30"], "gdb=wait"):
            said = guest.gdb("""
                run("add-symbol-file PROG")
                at = value("(long)&the_syscall")
                run("hbreak *%d" % at)
                run("continue")
                run("delete")
                run("break *%d" % at)           # in user text from now on
                good = 0
                for i in range(12):
                    nr = value("$rax")
                    assert value("(long)$pc") == at, hex(value("(long)$pc"))
                    run("set scheduler-locking " + ("on" if i % 2 else "off"))
                    run("stepi")
                    run("set scheduler-locking off")
                    good += value("(long)$pc") == at + 2 and value("$rax") != nr
                    good += value("$eflags") & 0x300 == 0x200
                    run("continue")
                say("good", good)
                leave()
            """.replace("PROG", self.program))
            self.assertEqual(said, ["good 24"])
            guest.finish(output="sum 90")

    def test_break_user(self):
        """A breakpoint in user text is met by this process only, and leaves no trace."""
        for _, guest in self.guests([self.program, "forks", "40"], "gdb=wait"):
            said = guest.gdb("""
                run("add-symbol-file PROG")
                at = value("(long)&user_target")
                run("hbreak *%d" % at)
                run("continue")
                while gdb.selected_inferior().pid != 1:     # a child may be first
                    run("continue")
                run("delete")
                gdb.Breakpoint("*%d" % at)
                pids = []
                for i in range(10):
                    run("continue")
                    pids.append(gdb.selected_inferior().pid)
                say("pids", sorted(set(pids)))
                leave()
            """.replace("PROG", self.program))
            self.assertEqual(said, ["pids [1]"])
            guest.finish(output="sum 40")

    def test_own_trap(self):
        """A program's own breakpoint instruction is its own affair."""
        for mode in ("trap", "longtrap"):
            for _, guest in self.guests([self.program, mode], "gdb=wait", cpus=(1,)):
                guest.gdb("""
                    try:
                        run("continue")
                    except gdb.error:
                        pass
                """)
                guest.finish(status=128 + signal.SIGTRAP)

    def test_step_pushf(self):
        """The flags that a stepped program pushes are its own."""
        for _, guest in self.guests([self.program, "flags"], "gdb=wait", cpus=(1,)):
            said = guest.gdb("""
                run("add-symbol-file PROG")
                at = value("(long)&the_pushf")
                run("hbreak *%d" % at)
                run("continue")
                run("delete")
                run("stepi")
                say(value("(long)$pc") - at, hex(value("*(unsigned long *)$rsp") & 0x300))
                leave()
            """.replace("PROG", self.program))
            self.assertEqual(said, ["1 0x200"])
            guest.finish(output="done flags")

    def test_watch_stub(self):
        """The stub's own data cannot be watched, what it reads of the kernel's can."""
        for _, guest in self.guests(["/test/storm_fork", "20"], "gdb=wait", cpus=(2,)):
            said = guest.gdb("""
                gdb.Breakpoint("init_start")
                run("continue")
                run("delete")
                for name in ("hold_set", "debug_cpus[0].dc_busy", "regs[0].h_addr"):
                    gdb.Breakpoint(name, gdb.BP_WATCHPOINT, gdb.WP_ACCESS)
                    try:
                        run("continue")
                        say("allowed", name)
                    except gdb.error:
                        pass
                    run("delete")
                run("awatch -l ((struct cpu *)$gs_base)->ci_curlwp")
                for i in range(20): run("continue")
                say("lives", stops[-1].breakpoints[0].hit_count > 0)
                leave()
            """)
            self.assertEqual(said, ["lives True"])
            guest.finish()

    def test_hardware_gone(self):
        """A process takes its debug registers with it; with none selected, none is set."""
        for _, guest in self.guests([self.program, "forks", "40"], "gdb=wait", cpus=(1,)):
            said = guest.gdb("""
                packet = lambda text: run("maint packet " + text).split()[-1]
                gdb.Breakpoint("proc_exit")
                for i in range(7):
                    run("continue")
                    pid = gdb.selected_inferior().pid
                    say(packet("Hgp%x.-1" % pid), packet("Z1,4010%02x,1" % i))
                say(packet("Hgpffff.-1"), packet("Z1,401000,1"), packet("z1,401000,1"))
                leave()
            """)
            self.assertEqual(said, ['"OK" "OK"'] * 7 + ['"E03" "E03" "OK"'])
            guest.finish(output="sum 40")

    def test_batch(self):
        """krefresh does in batch mode what a prompt does."""
        for _, guest in self.guests([self.program, "forks", "10"], "gdb=wait", cpus=(1,)):
            said = guest.gdb("""
                gdb.Breakpoint("proc_exit")
                for i in range(6):
                    run("continue")
                    run("krefresh")
                say(len([i for i in gdb.inferiors() if i.pid]) <= 4)
                leave()
            """)
            self.assertEqual(said, ["True"])
            guest.finish(output="sum 10")

    # --- Coming and going ---

    def test_panic(self):
        """A gdb that comes after the panic finds everything as it was."""
        for _, guest in self.guests(["/bin/ktest", "panic-setstat"], "gdb=wait"):
            guest.gdb("leave()")
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
            guest.process.communicate(timeout=60)
            self.assertEqual(guest.process.returncode, 125)

    def test_panic_attached(self):
        for _, guest in self.guests(["/bin/ktest", "panic-spin-order"], "gdb=wait", cpus=(2,)):
            said = guest.gdb("""
                run("continue")
                say(reason(), *names())
                leave()
            """)
            self.assertRegex(said[0], "^SIGABRT .*panic")
            guest.process.communicate(timeout=60)
            self.assertEqual(guest.process.returncode, 125)

    def test_panic_held(self):
        """A panic while gdb holds the other CPUs, and one as it lets them go, is told and ends."""
        for locking in ("on", "off"):
            for _, guest in self.guests(["/test/storm_fork", "300"], "gdb=wait", cpus=(4,)):
                said = guest.gdb("""
                    gdb.Breakpoint("sys_wait4")
                    run("continue")
                    run("delete")
                    run("krefresh")
                    for l in sorted({value("cpus[%%d]->ci_curlwp->l_lid" %% i) for i in range(4)}):
                        if l > 0 and "did not stop" in run("monitor bt %%d" %% l):
                            say("not stopped", l)
                    run("set scheduler-locking %s")
                    run("set $rdi = (unsigned long)panic_message")
                    run("set $rip = (unsigned long)panic")
                    run("continue")
                    say(reason(), *names())
                    leave()
                """ % locking)
                self.assertRegex(said[0], "^SIGABRT .*panic")
                guest.process.communicate(timeout=60)
                self.assertEqual(guest.process.returncode, 125)

    def test_frames(self):
        """What gdb sees of a CPU that was stopped in the stub's own code is that CPU's."""
        for _, guest in self.guests(["/test/storm_mixed"], "gdb=wait", cpus=(4,)):
            said = guest.gdb("""
                gdb.Breakpoint("syscall_dispatch")
                looked = 0
                for i in range(15):
                    run("continue")
                    for c in range(4):
                        if value("cpus[%d] == 0" % c) or not value("debug_cpus[%d].dc_parked" % c):
                            continue
                        frame = "debug_cpus[%d].dc_frame" % c
                        if value("(long)" + frame) == 0:
                            say("none", c)
                            continue
                        if value(frame + "->tf_cs") & 3: continue
                        # At the very end of an NMI it is on that one's stack.
                        pc = value("(unsigned long)%s->tf_rip" % frame)
                        if value("(long)&__nobreak_start") <= pc - (1 << 64) < value("(long)&__stub_start"):
                            continue
                        sp = value("(unsigned long)%s->tf_rsp" % frame)
                        stack = value("(unsigned long)cpus[%d]->ci_curlwp->l_kstack" % c)
                        looked += 1
                        if not stack <= sp <= stack + 0x8000:
                            say("stale", c, hex(value("(unsigned long)%s->tf_rip" % frame)))
                say("looked", looked > 5)
                run("kill")
            """)
            self.assertEqual(said, ["looked True"])

    def test_cycles(self):
        """Again and again in and out of a fork storm, and nothing is lost."""
        for smp, guest in self.guests([self.program, "storm"], cpus=(1, 4)):
            guest.said("init: starting")
            for _ in range(20):
                self.look_in(guest.port)
            said = guest.gdb("""
                for i in range(%d):
                    if i > 0:
                        run("target remote 127.0.0.1:%%d" %% PORT)
                        refresh()
                    say(len(threads()))
                    run("info threads")
                    leave(end=i == %d - 1)
            """ % ((3, 3) if smp == 1 else (1, 1)))
            self.assertGreater(min(map(int, said)), 1)
            guest.finish(output="sum 4")

    # --- Raw packets ---

    def test_fuzz(self):
        """Whatever comes in, the kernel lives, and a good gdb is served."""
        for smp, guest in self.guests([self.program, "sleepers"]):
            guest.said("init: starting")
            seed = int(os.environ.get("SEED", time.time_ns() % 100000))
            print("SEED=%d" % seed)
            self.fuzz(guest.port, random.Random(seed))
            said = guest.gdb("""
                settle()
                say("threads", len(threads()) >= %d)
                leave(end=True)
            """ % (smp + 3))
            self.assertEqual(said, ["threads True"])
            guest.finish(output="child 7")


if __name__ == "__main__":
    unittest.main()
