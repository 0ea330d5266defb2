# SPDX-License-Identifier: BSD-2-Clause
"""The gdb commands (tools/gdb) against QEMU's stub: gdb in batch mode runs a script made here."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tools"))

import gdbguest  # noqa: E402
from gdbprograms import SLEEPERS, STOPPED  # noqa: E402

USERCC = os.environ.get("USERCC", "musl-gcc")
LIMIT = 300.0                   # seconds of a machine, against hangs
COMMANDS = ("lwps", "procs", "idtab", "idtab all", "runq", "sleepq", "locks", "why 1", "lbt 1",
            "lbt all", "vm 1", "fsck")

PREAMBLE = r"""
import gdb, json, random, re, traceback
result = {}

def run(command):
    return gdb.execute(command, to_string=True)

def tried(command):
    try:
        return run(command)
    except gdb.error as error:
        return "error: %s" % error

def go_to(place, times=1):
    mark = gdb.Breakpoint(place, internal=True)
    mark.silent = True
    for _ in range(times):
        run("continue")
    mark.delete()

def settle(place, *patterns):
    # until `lwps` shows all that is wanted, no lock is held, and the program is at the place
    mark = gdb.Breakpoint(place, internal=True)
    mark.silent = True
    while True:
        run("continue")
        text = run("lwps")
        if all(re.search(p, text) for p in patterns) and " 0 skipped" in run("fsck"):
            break
    mark.delete()

def main():
"""

PROBE = r"""
def probe(stop):
    text = {command: tried(command) for command in %r}
    lids = re.findall(r"(?m)^[* ] *(\d+) ", text["lwps"])
    text["why"] = "".join(tried("why " + lid) for lid in random.sample(lids, min(6, len(lids))))
    pids = re.findall(r"(?m)^ *([1-9]\d*) ", text["procs"])
    text["proc"] = "".join(tried("proc " + pid) + tried("bt") + tried("proc") for pid in pids[:2])
    text["lbt"] = "".join(tried("lbt " + lid) for lid in random.sample(lids, 3))
    text["print"] = tried("print *$lwp(%%s)" %% random.choice(lids))
    result[stop] = text
    with open(%r, "w") as file:
        json.dump(result, file)
"""


def rows(text):
    """Lines of `lwps` as {id: (pid, state, cpu, name, wait)}."""
    found = {}
    for line in text.splitlines():
        hit = re.match(r"[* ] *(\d+) +(\d+)  (\w+) +(\d+) +-?\d+[+ ] \S+ +(\S*) *(\S*)", line)
        if hit:
            lid, pid, state, cpu, name, wait = hit.groups()
            found[int(lid)] = (int(pid), state, int(cpu), name, wait)
    return found


class GdbTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="threadbare-gdb-test-")
        programs = {"sleepers": SLEEPERS, "stopped": STOPPED, "gdbprog": gdbguest.PROGRAM}
        cls.program, cls.stopped, cls.guest = (os.path.join(cls.folder, name) for name in programs)
        for name, text in programs.items():
            path = os.path.join(cls.folder, name)
            with open(path + ".c", "w", encoding="ascii") as file:
                file.write(text)
            subprocess.run([USERCC, "-static", "-g", "-O1", "-o", path, path + ".c"], check=True)
        symbols = subprocess.run(["nm", cls.guest], check=True, text=True, stdout=subprocess.PIPE).stdout
        cls.syscall, cls.over = (int(re.search(r"^(\w+) \w %s$" % name, symbols, re.M).group(1), 16)
                                 for name in ("the_syscall", "over"))

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    @staticmethod
    def machine(smp, program, port, build="debug", append=""):
        return subprocess.Popen(
            [os.path.join(TOP, "tools/run"), "--build", build, "--smp", str(smp), "--gdb",
             str(port), "--timeout", str(LIMIT), "--append", append, "--", *program],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def session(self, smp, program, script, build="debug", append=""):
        """Boot, let gdb run `script`; return (its result, what the machine printed).

        With "released" in its result the machine goes on to its end."""
        port = gdbguest.free_port()
        with self.machine(smp, program, port, build, append) as machine:
            told = b""
            try:
                result = self.visit(port, script, build)
                if "released" in result:
                    told = machine.communicate(timeout=LIMIT)[0]
            finally:
                machine.terminate()
        return result, told.decode(errors="replace")

    def visit(self, port, script, build="debug"):
        """Let gdb run `script` (the body of a function that fills `result`); return the result."""
        base = os.path.join(self.folder, "s%d" % port)
        with open(base + ".py", "w", encoding="utf-8") as file:
            file.write("port = %d\n" % port + PREAMBLE)
            file.writelines("    %s\n" % line for line in script.strip("\n").splitlines())
            file.write("\ntry:\n    main()\nexcept BaseException:\n"
                       "    result['failed'] = traceback.format_exc()\n"
                       "with open(%r, 'w') as file:\n    json.dump(result, file)\n"
                       "gdb.execute('quit')\n" % (base + ".json"))
        done = subprocess.run(
            ["gdb", "-nx", "-q", "-batch", os.path.join(TOP, "build", build, "threadbare.elf"),
             "-ex", "set pagination off", "-ex", "set width 0", "-ex", "set confirm off",
             "-x", os.path.join(TOP, "tools/gdb/threadbare.py"),
             "-ex", "target remote 127.0.0.1:%d" % port, "-x", base + ".py"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=dict(os.environ, THREADBARE_PROGRAMS=self.program), text=True,
            errors="replace", timeout=LIMIT, check=False)
        try:
            result = json.loads(self._read(base + ".json"))
        except ValueError:
            self.fail("gdb did not come to the end:\n" + done.stdout[-3000:])
        self.assertNotIn("failed", result, result.get("failed", "") + done.stdout[-2000:])
        self.assertNotIn("Python Exception", done.stdout)
        return result

    @staticmethod
    def _read(path):
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8") as file:
            return file.read()

    def sane(self, text, command):
        """No error of ours, no exception: what a command says is meant."""
        for bad in ("Error occurred in Python", "Traceback", "Python Exception"):
            self.assertNotIn(bad, text, command)

    # --- The tests ---------------------------------------------------------------

    def test_before_the_boot(self):
        result, _ = self.session(2, ["/bin/true"], """
for command in %r:
    result[command] = tried(command)
result["lwp"] = tried("print $lwp(1)")
""" % (COMMANDS + ("trace", "proc 1"),))
        for command, text in result.items():
            if command != "trace" or "no trace" not in text:
                self.assertIn("has not booted yet", text, command)

    def test_mutexes_and_a_panic(self):
        """A chain of mutexes; then gdb goes, the kernel panics, and a gdb that comes later sees what is left."""
        for smp in (1, 4):
            with self.subTest(smp=smp):
                self.check_mutexes_and_a_panic(smp)

    def check_mutexes_and_a_panic(self, smp):
        port = gdbguest.free_port()
        with self.machine(smp, ["/bin/ktest", "turnstile-pi", "panic-setstat"], port) as machine:
            try:
                self.check_mutexes(port)
                told = b""
                while b"\nmonitor> " not in told:
                    data = os.read(machine.stdout.fileno(), 65536)
                    self.assertTrue(data, told)
                    told += data
                told = told.decode(errors="replace").replace("\r", "")
                self.check_panic(smp, port, re.sub(r"(?m)^\[ *[0-9.]+\] ", "", told))
            finally:
                machine.terminate()

    def check_mutexes(self, port):
        result = self.visit(port, """
go_to("fsck")
result["lwps"] = run("lwps")
top = max(re.findall(r"^ +(\\d+) +0  SLEEP +\\d+ +(\\d+). \\S+ +ktest +mutex", result["lwps"], re.M),
          key=lambda hit: (int(hit[1]), int(hit[0])))[0]
result["why"] = run("why " + top)
result["lbt"] = run("lbt " + top)
result["locks"] = run("locks")
result["fsck"] = run("fsck")
result["lock"] = run("print chain_lock[1]")
run("detach")
""")
        self.assertRegex(result["why"], r"(?s)mutex chain_lock, held.*ktest_sync\.c:\d+.*\n"
                         r"  lid .*mutex chain_lock\+\d+, held.*\n"
                         r"    lid .*mutex chain_lock\+\d+, held.*\n"
                         r"      lid \d+ \(ktest\) \w+: (sleeps|can run|runs)")
        self.assertRegex(result["lbt"], r"(?s)mi_switch.*turnstile_block.*chain_top.*lwp_trampoline")
        self.assertEqual(len(re.findall(r"(?m)^mutex \S+ chain_lock.*taken at chain_link "
                                        r"\(kernel/test/ktest_sync\.c:\d+\)\n +waited for by",
                                        result["locks"])), 3, result["locks"])
        self.assertIn(" 0 violated, ", result["fsck"])
        self.assertIn("held by lid", result["lock"])

    def check_panic(self, smp, port, told):
        result = self.visit(port, """
for command in ("lwps", "procs", "idtab", "runq", "locks", "why 1", "lbt 1", "lbt all", "fsck"):
    result[command] = run(command)
result["message"] = gdb.parse_and_eval("panic_message").string()
""")
        own = {}
        for hit in re.finditer(r"^ *(\d+)  LWP of (\d+) +(\w+) +cpu(\d+) +(\S*) *(\S*)$", told, re.M):
            lid, pid, state, cpu, name, wait = hit.groups()
            own[int(lid)] = (int(pid), state, int(cpu), name, wait)
        self.assertGreaterEqual(len(own), smp + 2, told)
        self.assertEqual(rows(result["lwps"]), own)
        counts = re.search(r"ids: (\d+) in use, (\d+) entries", told).groups()
        self.assertIn("%s entries, %s in use" % counts[::-1], result["idtab"])
        self.assertIn("ONPROC -> IDL", result["message"])
        self.assertRegex(result["procs"], r"(?m)^ +1 +0 .* ktest ")
        self.assertRegex(result["why 1"], r"^lid 1 \(ktest\) ONPROC: runs in the kernel on cpu\d")
        self.assertRegex(result["lbt 1"], r"(?s)monitor.*panic .*panic_setstat.*syscall_entry.*user mode")
        self.assertIn(result["lbt 1"], result["lbt all"])
        self.assertRegex(result["locks"], r"(?m)^mutex \S+ p_lock of pid 1: lid 1 \(ktest\), taken at panic_setstat")
        self.assertEqual(len(re.findall(r"(?m)^cpu\d+: runs lid", result["runq"])), smp)
        self.assertIn(" 0 violated, ", result["fsck"])

    def test_sleepers(self):
        for smp, build in ((1, "debug"), (4, "debug"), (4, "release")):
            with self.subTest(smp=smp, build=build):
                self.check_sleepers(smp, build)

    def check_sleepers(self, smp, build):
        spoilt = build == "debug" and smp > 1
        result, _ = self.session(smp, [self.program], """
settle("sys_getppid", " 1  SLEEP .* wait", r"(?s)( 1  SLEEP [^\\n]* futex.*){3}")
result["lwps"] = run("lwps")
lids = [int(w) for w in re.search(r"^ *1 +0 .*sleepers +(.*)", run("procs"), re.M).group(1).split()]
result["lids"] = lids
for lid in lids:
    result["lbt %d" % lid] = run("lbt %d" % lid)
    result["why %d" % lid] = run("why %d" % lid)
result["lbt all"] = run("lbt all")
result["sleepq"] = run("sleepq")
result["vm"] = run("vm 1")
result["fsck"] = run("fsck")
result["print"] = run("print $lwp(1)") + run("print *$lwp(1)") + run("print *$proc(1)") + run(
    "print idtable.array->entry[1]")
result["frame"] = run("lbt 1 2 info locals")
result["proc"] = run("proc 1")
result["threads"] = run("info threads")
result["bt all"] = run("thread apply all bt")
result["wrong"] = tried("print $lwp()") + tried("print $proc(1, 2)")
result["secret"] = run("print secret")
result["kernel from there"] = run("lwps")
run("proc")
result["back"] = run("print ncpu")
result["wrong"] += tried("print lwp_free(0)")
""" + (self.spoil() if spoilt else ""), build)
        if spoilt:
            self.check_spoilt(result)
        lids = result["lids"]
        self.assertEqual(lids[0], 1)
        self.assertEqual(len(lids), 4)
        mine = rows(result["lwps"])
        self.assertEqual([mine[lid][4] for lid in lids], ["wait", "futex", "futex", "futex"])
        # wait4: kernel frames, the C library's, ours with lines
        self.assertRegex(result["lbt 1"], r"(?s)mi_switch.*do_wait.*sys_wait4.*syscall_entry.*"
                         r"user mode.*waitpid.*main \(\) at \S*sleepers\.c:\d+")
        futex = result["lbt %d" % lids[1]]
        self.assertRegex(futex, r"(?s)sleepq_block.*futex_wait.*syscall_entry.*user mode.*"
                         r"waiter \(arg=.*sleepers\.c:\d+")
        # and all of them at once, user frames included
        for lid in lids:
            self.assertIn(result["lbt %d" % lid], result["lbt all"])
        # the child alone is alive: the chain goes on to it
        self.assertRegex(result["why 1"], r"1 child alive: pid \d+ \(sleepers\)\n  lid \d+ ")
        self.assertRegex(result["why %d" % lids[1]], r"waits for futex word 0x[0-9a-f]+ \(now 0x5\)")
        for a, b in ((2, 3), (3, 2)):
            self.assertRegex(result["why %d" % lids[a]], r"(?s)lid %d .*\n  lid %d .*\n    lid %d .*"
                             "CYCLE" % (lids[a], lids[b], lids[a]))
        self.assertIn("p_waitcv of pid 1", result["sleepq"])
        self.assertRegex(result["vm"], r"r-xp .*file")
        self.assertIn("stack", result["vm"])
        counted = re.search(r"(\d+) pages in memory, counted as (\d+)", result["vm"]).groups()
        self.assertEqual(*counted)
        self.assertIn(" 0 violated, ", result["fsck"])
        for words in ("<lid 1 of pid 1, SLEEP wait>", "l_stat = SLEEP", "p_stat = ACTIVE",
                      "{LWP 1", " = {EXEC}"):
            self.assertIn(words, result["print"])
        self.assertRegex(result["frame"], r"^#2 .*(sleepq|cv)_block \(.*\n\w+ = ")
        self.assertEqual(len(re.findall(r"^[* ] +\d\.\d +LWP \d+", result["threads"], re.M)), 4)
        # plain `bt` of each, down to where the C library has begun the thread
        for words in (r"main \(\) at", r"waiter \(arg=.*\n.* start \(", r"deadlock \(arg=.*\n.* start \("):
            self.assertRegex(result["bt all"], words)
        for words in ("usage: $lwp(LID)", "usage: $proc(PID)", "may-call-functions is off"):
            self.assertIn(words, result["wrong"])
        self.assertIn("= 4711", result["secret"])
        self.assertEqual(rows(result["kernel from there"]), mine)
        self.assertIn("= %d" % smp, result["back"])

    def test_stopped_and_inheriting(self):
        """Signals of stopped ones, groups, classes; a lock of a program leads to its owner; what was traced."""
        result, _ = self.session(2, [self.stopped], """
settle("sys_getppid", " STOP .* stop-19", " 1  SLEEP .* pi-futex", " 1  SLEEP .* sigwait")
for command in ("lwps", "procs", "fsck", "trace 5"):
    result[command] = run(command)
for hit in re.finditer(r"(?m)^[* ] *(\\d+) +\\d+  (STOP|SLEEP) .* stopped +(\\S+)", result["lwps"]):
    result["why " + hit.group(3)] = run("why " + hit.group(1))
result["unknown"] = run("proc 1")
run("proc 1 FILE")
run("proc")
result["known"] = run("proc 1")
run("inferior 1")
run("detach")
result["left"] = run("info threads")
""".replace("\\\\", "\\").replace("FILE", self.stopped), append="trace=sched,syscall")
        self.assertIn("`proc 1 FILE` names its ELF file", result["unknown"])
        self.assertIn(self.stopped + ", as of now", result["known"])
        self.assertRegex(result["left"], r"LWP 1 .* in \w+ \(")    # what is left can be looked at still
        # the very last: the call that the machine has stopped in
        self.assertRegex(result["trace 5"], r"(?m)(^ +\d+\.\d{9} cpu\d  lid \d+ [A-Z]+ .*\n){4}"
                         r"^.* cpu\d  lid 1 SYSCALL arg=\d+ a=110 b=.*\n\d+ events written, \d+ of them overw")
        self.assertRegex(result["lwps"], r"(?m) STOP +\d +\d+  nice5 +stopped +stop-19$")
        child = re.search(r"(?m)^ *(\d+) +1 +\1 +1  STOP \(19\) +1  stopped", result["procs"])
        self.assertIsNotNone(child, result["procs"])
        self.assertIn("stopped by signal 19, until SIGCONT", result["why stop-19"])
        self.assertRegex(result["why pi-futex"], r"waits for the lock of a program at 0x\w+, held by "
                         r"lid (\d+) \(stopped\)\n  lid \1 .* SLEEP: sleeps \(sigwait")
        self.assertIn(" 0 violated, ", result["fsck"])
        for line in (result["lwps"] + result["procs"]).splitlines():
            self.assertLessEqual(len(line), 80, line)

    # Fields that fsck's predicates are about.
    WRONG = {"T6": "idtable.count", "T2": "idtable.array->entry[1].pid",
             "T4": "$lwp(1)->l_lid", "T7": "idtable.array->entry[1].pgrp->pg_id",
             "T11": "idtable.array->entry[0].slot", "P3": "$proc(1)->p_deadlwps",
             "P12": "$proc(1)->p_single", "L11": "$lwp(1)->l_waiter",
             "P1": "$proc(1)->p_nlwps", "P8": "$proc(1)->p_nstopchild",
             "P10": "$proc(1)->p_pgrp->pg_jobc", "L1": "$lwp(1)->l_stat", "L4": "*(long *)&$lwp(1)->l_wchan",
             "L2": "$lwp(1)->l_running", "L8": "$lwp(1)->l_magic",
             "R2": "cpus[0]->ci_spc->spc_maxpri", "R3": "cpus[0]->ci_spc->spc_count"}
    # What it takes more for than a bit.
    WORSE = {"P6": [("l_stat", "LS_SUSPENDED")], "L12": [("l_affinity", "1 << 5")],
             "P6 stop": [("l_proc->p_stat", "PS_STOP")], "L15": [("l_priority", "100")],
             "L16": [("l_lwpctl", "(struct lwpctl *)&ncpu")],
             # The adopter, a kernel thread of high priority, comes to be behind it.
             "S1": [("l_sleepchain.next", "&$lwp(ADOPTER)->l_sleepchain")],
             "L14": [("l_syncobj", "&syncobj_park"), ("l_flag", "~0")]}

    def spoil(self):
        """Each predicate's field is spoilt by hand, looked at, and put right."""
        return """
result["good"] = run("fsck")
for letter, changes in %r.items():
    saved = [(field, int(gdb.parse_and_eval("(unsigned long)$lwp(1)->" + field)))
             for field, _ in changes]
    for field, value in changes:
        value = value.replace("ADOPTER", str(int(gdb.parse_and_eval("ncpu")) + 1))
        run("set var $lwp(1)->%%s = %%s" %% (field, value))
    result[letter] = run("fsck")
    for field, value in saved:
        run("set var $lwp(1)->%%s = %%d" %% (field, value))
memory = gdb.selected_inferior()
for letter, field in %r.items():
    place = int(gdb.parse_and_eval("(unsigned long)&(%%s)" %% field))
    saved = bytes(memory.read_memory(place, 8))
    memory.write_memory(place, bytes(8) if letter == "L4" else bytes([saved[0] ^ 8]))
    result[letter] = run("fsck")
    memory.write_memory(place, saved)
result["good again"] = run("fsck")
""" % (self.WORSE, self.WRONG)

    def check_spoilt(self, result):
        for when in ("good", "good again"):
            self.assertIn(" 0 violated, ", result[when])
        for letter in [*self.WRONG, *self.WORSE]:
            self.assertIn("VIOLATED %s: " % letter.split()[0], result[letter], letter)

    def test_storm(self):
        """A step into a system call and over it; a fork storm with a break in the switch on every CPU, a watchpoint
        that another CPU hits, ten detaches; ^C in both modes."""
        for smp in (1, 4):
            with self.subTest(smp=smp):
                self.check_storm(smp)

    def check_storm(self, smp):
        result, told = self.session(smp, [self.guest, "call", "storm", "busy"], """
import contextlib, os, signal, threading
smp = %d
go_to("*%d")
result["number"] = int(gdb.parse_and_eval("$rax"))
run("stepi")
result["into"] = gdb.newest_frame().name()
go_to("*%d")
result["pid"] = int(gdb.parse_and_eval("$rax"))

go_to("sys_getppid")
gdb.Breakpoint("mi_switch")
seen = result["seen"] = {}
while len(seen) < smp:
    run("continue")
    lid = int(gdb.parse_and_eval("l->l_lid"))
    cpu = int(gdb.parse_and_eval("l->l_cpu->ci_index"))
    if cpu not in seen:
        seen[cpu] = [lid, run("lbt %%d" %% lid), run("runq"), run("fsck"), run("locks")]
run("delete")

here = gdb.selected_thread().num
gdb.Breakpoint("idtable.count", gdb.BP_WATCHPOINT, gdb.WP_WRITE)
run("continue")
while smp > 1 and gdb.selected_thread().num == here:
    run("continue")
frame = gdb.newest_frame()
while frame.type() == gdb.INLINE_FRAME:
    frame = frame.older()
result["at"] = frame.function().symtab.filename
run("delete")
for _ in range(10):
    run("detach")
    run("target remote 127.0.0.1:%%d" %% port)
go_to("sys_wait4")                      # in one of those that share `over`
run("set *(int *)*(long *)%d = 1")

go_to("sys_getppid")
def later(event):
    gdb.events.cont.disconnect(later)
    threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start()
found = set()
while "released" not in result:
    gdb.events.cont.connect(later)
    run("continue")
    ours = None
    for thread in gdb.selected_inferior().threads():
        thread.switch()
        if "gdbprog" in str(gdb.parse_and_eval("((struct cpu *)cpus[%%d])->ci_curlwp->l_name" %% (thread.num - 1))):
            found.add("user" if int(gdb.parse_and_eval("$cs")) & 3 else "kernel")
            ours = thread
    with contextlib.suppress(gdb.MemoryError):      # of a child that has not used that page yet
        if ours and len(found) == 2:
            ours.switch()
            run("set *(int *)*(long *)%d = 1")
            result["released"] = True
result["found"] = sorted(found)
run("detach")
""" % (smp, self.syscall, self.syscall + 2, self.over, self.over))
        self.assertEqual((result["number"], result["into"], result["pid"]), (39, "syscall_entry", 1))
        self.assertEqual(sorted(result["seen"]), [str(i) for i in range(smp)])
        for cpu, (lid, lbt, runq, fsck, locks) in result["seen"].items():
            self.assertRegex(lbt, r"^lid %d .*\n#0 .*mi_switch" % lid)     # it may be SLEEP already
            self.assertRegex(runq, r"cpu%s: runs lid %d .*spin locks? held" % (cpu, lid))
            self.assertIn(" 0 violated, ", fsck)
            self.assertRegex(locks, r"spin .*cpu%s, taken at" % cpu)
            self.assertNotRegex(locks, r"\.h:\d")     # the line that uses an inline function, not its own
        self.assertRegex(result["at"], r"kernel/proc/idtable\.c$")
        self.assertEqual(result["found"], ["kernel", "user"])
        self.assertIn("sum 4", told)
        self.assertIn("done busy", told)

    def test_stopped_anywhere(self):
        seed = random.randrange(1 << 30)
        print("seed %d" % seed, file=sys.stderr)
        for smp, build, program, stops in (
                (4, "debug", "storm_fork", 6), (4, "debug", "storm_mixed", 3),
                (1, "debug", "storm_fork", 2), (8, "release", "storm_fork", 3)):
            with self.subTest(smp=smp, build=build, program=program):
                result = self.interrupted(smp, build, program, stops, random.Random(seed))
                self.assertEqual(len(result), stops)
                for stop, text in result.items():
                    self.assertGreaterEqual(len(rows(text["lwps"])), smp + 2)
                    for command, said in text.items():
                        self.sane(said, "stop %s: %s" % (stop, command))
                    self.assertIn(" 0 violated, ", text["fsck"], "stop " + stop)
                    kernel = re.sub(r"(?ms)^    --- user mode.*?(?=^lid |\Z)", "", text["lbt all"])
                    self.assertNotIn("?? ()", kernel, "stop " + stop)
                    for command in COMMANDS:
                        if command not in ("why 1", "vm 1"):
                            self.assertNotIn("error:", text[command], command)
                    self.assertEqual(len(re.findall(r"(?m)^cpu\d+: runs lid", text["runq"])), smp)

    def interrupted(self, smp, build, program, stops, chance):
        """Stop a fork storm at random moments, as an editor would; what probe() saw at each."""
        port = gdbguest.free_port()
        base = os.path.join(self.folder, "i%d" % port)
        with open(base + ".py", "w", encoding="utf-8") as file:
            file.write(PREAMBLE + "    pass\n" + PROBE % (COMMANDS, base + ".json"))
        with subprocess.Popen(
                [os.path.join(TOP, "tools/run"), "--build", build, "--smp", str(smp), "--gdb",
                 str(port), "--timeout", str(LIMIT), "--", "/test/" + program, "1000000"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL) as machine, subprocess.Popen(
                    ["gdb", "-nx", "-q", "--interpreter=mi",
                     os.path.join(TOP, "build", build, "threadbare.elf")], stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as gdb:
            try:
                console = '-interpreter-exec console "%s"'
                self.talk(gdb, [
                    "-gdb-set mi-async on", "-gdb-set confirm off",
                    console % ("source " + os.path.join(TOP, "tools/gdb/threadbare.py")),
                    "-target-select remote 127.0.0.1:%d" % port, console % ("source %s.py" % base),
                    "-break-insert -t sys_exit_group", "-exec-continue"], r"^\*stopped.*reason=")
                for stop in range(stops):
                    self.talk(gdb, ["-exec-continue"], r"^\*running")
                    time.sleep(chance.uniform(0.02, 0.3))
                    self.talk(gdb, ["-exec-interrupt --all"], r"^\*stopped.*")
                    said = self.talk(gdb, [console % ("python probe(%d)" % stop)],
                                     r"^\^(done|error)")
                    self.assertNotIn("^error", said)
                self.talk(gdb, ["-gdb-exit"], r"^\^exit")
            finally:
                gdb.kill()
                machine.terminate()
        return json.loads(self._read(base + ".json"))

    def test_editor(self):
        """What .vscode/launch.json asks of gdb works through its machine interface."""
        with open(os.path.join(TOP, ".vscode/launch.json"), encoding="utf-8") as file:
            configs = json.loads(re.sub(r"(?m)^\s*//.*$", "", file.read()))["configurations"]
        config = configs[0]
        with open(os.path.join(TOP, ".vscode/tasks.json"), encoding="utf-8") as file:
            tasks = {task["label"]: task for task in json.load(file)["tasks"]}
        with open(os.path.join(TOP, "Makefile"), encoding="utf-8") as file:
            makefile = file.read()
        with open(os.path.join(TOP, ".gdbinit"), encoding="utf-8") as file:
            sourced = re.findall(r"(?m)^source (.*)", file.read())
        self.assertTrue(sourced)
        for each in configs:
            self.assertIn(each.get("preLaunchTask", "debug-server"), tasks)
            self.assertRegex(each["miDebuggerServerAddress"], ":%s$" % re.search(
                r"(?m)^GDBPORT *\?= *(\d+)", makefile).group(1))
            self.assertIsNotNone(shutil.which(each["miDebuggerPath"]))
            sourced += re.findall(r"\$\{workspaceFolder\}/(\S+)", " ".join(
                [each["program"]] + [step["text"] for step in each["setupCommands"]]))
        for name in sourced:
            self.assertTrue(os.path.exists(os.path.join(TOP, name)), name)
        for task in tasks.values():
            words = task["command"].split()
            self.assertEqual(words[0], "make")
            for goal in [word for word in words[1:] if re.fullmatch(r"[a-z-]{3,}", word)]:
                self.assertRegex(makefile, r"(?m)^[a-z .-]*\b%s\b[a-z .-]*:" % goal)
        background = tasks[config["preLaunchTask"]]["problemMatcher"]["background"]
        program = config["program"].replace("${workspaceFolder}", TOP)
        port = gdbguest.free_port()
        with subprocess.Popen(
                [os.path.join(TOP, "tools/run"), "--build", "debug", "--smp", "2", "--gdb",
                 str(port), "--timeout", str(LIMIT), "--", "/bin/true"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                text=True) as machine:
            self.assertRegex(machine.stderr.readline(), background["endsPattern"])
            commands = ['-interpreter-exec console "%s"' % step["text"].replace(
                "${workspaceFolder}", TOP) for step in config["setupCommands"]]
            commands += ["-target-select remote 127.0.0.1:%d" % port, "-exec-continue"]
            with subprocess.Popen(["gdb", "-nx", "-q", "--interpreter=mi", program],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as gdb:
                said = self.talk(gdb, commands, r"\*stopped.*init_start")
                said += self.talk(gdb, ['-interpreter-exec console "lwps"', "-thread-info",
                                        "-gdb-exit"], r"\^exit")
            machine.terminate()
        self.assertNotIn("^error", said)
        self.assertIn("adopter", said)

    @staticmethod
    def talk(gdb, commands, until):
        gdb.stdin.write("".join(command + "\n" for command in commands))
        gdb.stdin.flush()
        said = ""
        watchdog = threading.Timer(LIMIT, gdb.kill)
        watchdog.start()
        for line in gdb.stdout:
            said += line
            if re.search(until, line):
                break
        watchdog.cancel()
        return said


if __name__ == "__main__":
    unittest.main()
