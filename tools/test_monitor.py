# SPDX-License-Identifier: BSD-2-Clause
"""The monitor, talked to as a person does: over a terminal, docs/monitor.md."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROMPT = "monitor> "
BREAK = "\x01b"                 # of tools/run
PATIENCE = 300.0                # against hangs; a loaded machine is slow
COLUMNS = 80


class Session:
    """tools/run on a terminal of its own."""

    def __init__(self, *arguments):
        self.text = ""          # all that came
        self.status = None
        self._seen = 0          # what of it was looked at
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.chdir(TOP)
            os.execv("tools/run", ["tools/run", "--build", "debug", "--timeout",
                                   "%g" % PATIENCE, *arguments])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.status is None:
            os.kill(self._pid, signal.SIGTERM)
            self._reap()
        os.close(self._fd)

    def _reap(self):
        self.status = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _read(self, wait):
        """Take what came; False at the end."""
        if not select.select([self._fd], [], [], wait)[0]:
            return True
        try:
            data = os.read(self._fd, 65536)
        except OSError:         # the other side of a terminal is closed
            data = b""
        self.text += data.decode("latin-1").replace("\r", "")
        return bool(data)

    def send(self, text):
        os.write(self._fd, text.encode())

    def wait_for(self, pattern):
        """Return what came up to and with the pattern, which must come."""
        end = time.monotonic() + PATIENCE
        while True:
            found = re.compile(pattern, re.M).search(self.text, self._seen)
            if found:
                text = self.text[self._seen:found.end()]
                self._seen = found.end()
                return text
            if time.monotonic() > end or not self._read(0.5):
                raise AssertionError("no /%s/ in:\n%s" % (pattern, self.text[-3000:]))

    def stop(self):
        """Break into the monitor."""
        self.send(BREAK)
        return self.wait_for(re.escape(PROMPT))

    def ask(self, command):
        """Return the answer to a command of the monitor."""
        self.send(command + "\r")
        self.wait_for(re.escape(command) + "\n")
        return self.wait_for("^" + re.escape(PROMPT))[:-len(PROMPT)]

    def resume(self):
        self.send("continue\r")
        self.wait_for("monitor: continue")

    def end(self):
        """Wait for the machine's end; return the exit status of tools/run."""
        limit = time.monotonic() + PATIENCE
        while self._read(0.5) and time.monotonic() < limit:
            continue
        self._reap()
        return self.status


class MonitorTest(unittest.TestCase):

    def check_form(self, command, answer):
        for line in answer.splitlines():
            self.assertLessEqual(len(line), COLUMNS, "%s: %r" % (command, line))
            self.assertNotRegex(line, "a fault|no such command", command)

    def check_clean_end(self, session):
        self.assertEqual(session.end(), 0, session.text[-3000:])
        self.assertNotRegex(session.text, r"not ok|leak: |panic: ")

    # --- In a running kernel ---

    def machine(self, smp, script, options=""):
        """busybox's shell runs a script that goes on until a line is typed."""
        return Session("--smp", str(smp), "--append", "log=console" + options, "--add", "/bin/busybox=/bin/busybox",
                       "/bin/busybox", "sh", "-c", script)

    def every_command(self, smp):
        """Break into a fork storm, ask for everything, go on, again and again: it ends right."""
        with self.machine(smp, self.FORKS, " trace=all,state") as s:
            s.wait_for("storm begins")
            self.assertRegex(s.stop(), r"cpu0 lid\d+: a break")
            ps = s.ask("ps")
            self.assertRegex(ps, r"^ +LID +PID S CPU +PRI +CLASS +SECONDS WAIT +NAME\n")
            lids = re.findall(r"^ *(\d+) +\d+ [A-Z] ", ps, re.M)
            self.assertIn("1", lids)
            self.assertRegex(ps, r"(?m)^ +1 +1 [ORS] .*busybox")
            self.assertRegex(ps, r"(?m)^ +0 +0 I   0 .*idle0")
            self.assertIn("show lwp LID", s.ask("help"))
            for lid in lids:
                self.assertRegex(s.ask("bt " + lid), r'^lid %s ".*" of pid \d+' % lid)
                answer = s.ask("why " + lid)
                self.assertRegex(answer, r"^ +%s [A-Z]+ " % lid)
                self.check_form("why", answer)
                answer = s.ask("show lwp " + lid)
                self.assertIn("lent lock", answer)
                self.check_form("show lwp", answer)
            # The adopter sleeps: switched out, its stack must be walked to the first function.
            adopter = re.search(r"^ *(\d+) .*adopter", ps, re.M).group(1)
            self.assertRegex(s.ask("bt " + adopter), r"(?s)mi_switch\+.*cv_(wait|block)\+.*"
                                                     r"proc_adopter\+.*lwp_trampoline\+")
            # CPU 0 took the break, in a trap of whom it interrupted.
            mine = re.search(r"cpu0: runs lid (\d+)", s.ask("show runq")).group(1)
            self.assertRegex(s.ask("bt " + mine), r"(?s)(console|enter_by)_break\+.*(trap|user mode)")
            for command in ("ps", "help", "show proc 1", "show proc 0", "show idtab",
                            "show runq", "show sleepq", "show locks", "show page 0",
                            "show page 0xffffffff80100000", "fsck", "fp", "trace 300", "show lockorder", "dmesg 1"):
                self.check_form(command, s.ask(command))
            self.assertEqual(len(re.findall(r"^cpu\d", s.ask("show runq"), re.M)), smp)
            self.assertIn("init: starting /bin/busybox", s.ask("dmesg"))
            self.assertEqual(s.ask("dmesg 2").count("\n"), 2)
            self.assertNotIn("violation", s.ask("fsck").replace("is violated", ""))
            s.resume()
            self.many_breaks(s)

    def test_every_command_1(self):
        self.every_command(1)

    def test_every_command_4(self):
        self.every_command(4)

    def many_breaks(self, s):
        """Stopped again and again, anywhere, the program ends right and fsck finds nothing."""
        for n in range(12):
            time.sleep(0.01 * (n % 7))
            s.stop()
            answer = s.ask("fsck")
            self.assertRegex(answer, "no invariant is violated", answer)
            self.check_form("show locks", s.ask("show locks"))
            s.resume()
        s.send("\r")
        s.wait_for("^all done$")
        self.check_clean_end(s)

    # The first has long to wait.
    FORKS = ("/bin/busybox sleep 999999 & jobs=$!; /bin/busybox sleep 0.1; for j in 1 2 3 4; do "
             "(while :; do /bin/true; done) & jobs=\"$jobs $!\"; done; "
             "echo storm begins; read line; kill $jobs; wait; echo all done")

    def test_many_breaks_fsck(self):
        """A break while fsck() has parked the others must wait for its end."""
        with self.machine(4, "(while :; do echo -n fsck > /dev/debug; done) & echo storm begins; "
                             "read line; kill $!; wait; echo all done") as s:
            s.wait_for("storm begins")
            self.many_breaks(s)

    def test_stopped(self):
        """A stopped process is told with its signal. What was typed before the break is the program's, what comes
        after it the monitor's."""
        with self.machine(1, "/bin/busybox sleep 100000 & kill -STOP $!; echo job $! stopped; "
                             "/bin/busybox cat; kill -KILL $!") as s:
            s.wait_for(r"job \d+ stopped")
            job = re.search(r"job (\d+) stopped", s.text).group(1)
            s.stop()
            # It may be on its way to its stop point still.
            while not re.search(r"(?m)^ +%s +%s T " % (job, job), s.ask("ps")):
                s.resume()
                time.sleep(0.1)
                s.stop()
            self.assertRegex(s.ask("ps"), r"(?m)^ +{0} +{0} T .* nice0 +[0-9.]+ stop-19 ".format(job))
            answer = s.ask("show lwp " + job)
            self.assertIn("stopped by signal 19", answer)
            answer = s.ask("show proc " + job)
            self.assertRegex(answer, r"STOP, parent 1, group 1 \(orphaned\), session 1\n"
                                     r"  stopped by signal 19\n  has not been reported")
            self.assertIn(" STOP", answer)
            s.resume()
            s.send("before")
            s.wait_for("before")        # its echo: QEMU has nothing of it any more
            s.send(BREAK + "trace\r")
            s.wait_for(r"trace: it was never on [^\n]*\n" + PROMPT)
            s.resume()
            s.send("after\r")
            s.wait_for("^beforeafter$")
            s.send("\x01\x01\r")        # ^A itself
            s.wait_for(r"^\x01$")
            s.send("\x04")
            self.check_clean_end(s)

    # --- Editing, wrong input ---

    def test_wrong_input(self):
        with Session("--smp", "2", "--append", "log=console", "/bin/spin", "2", "100000") as s:
            s.wait_for("init: starting")
            s.stop()
            for command, answer in (
                    ("", r"^$"), ("   ", r"^$"), ("nonsense", "nonsense: no such command"),
                    ("show", "no such command"), ("show nothing", "no such command"),
                    ("psx", "no such command"), ("bt", "an id is wanted"),
                    ("bt x", "'x': an id is wanted"), ("bt -1", "an id is wanted"),
                    ("bt 99999", "there is no LWP 99999"),
                    ("bt 4294967297", "an id is wanted"), ("why 29999", "there is no LWP"),
                    ("show lwp 1 2", "an id is wanted"), ("show proc 31000", "no process 31000"),
                    ("show page", "an address is wanted"), ("show page xyz", "an address"),
                    ("show page ffff900000000000", "no memory"),
                    ("show page fffffffffffffff8", "no memory"),
                    ("show page 8000000000000000", "nothing is mapped"),
                    ("fp nothing 1", "no fail point nothing"), ("fp vfork-release", "USEC"),
                    ("dmesg 0", "a number of lines"), ("trace x", "a number of events"),
                    ("x" * 78, "no such command")):
                self.assertRegex(s.ask(command), answer, command)
            # ^U and ^C drop the line, backspace a character; other control characters are nothing.
            s.send("bt 99\x15trace\r")
            s.wait_for(r"trace: it was never on [^\n]*\n" + PROMPT)
            s.send("bt 99\x03trace\r")
            s.wait_for(r"trace: it was never on [^\n]*\n" + PROMPT)
            s.send("\x7f\x08tracf\x7f\x1b\x00e\r")
            s.wait_for(r"trace: it was never on [^\n]*\n" + PROMPT)
            s.send("y" * 300 + "\r")
            s.wait_for("no such command; help lists them\n" + PROMPT)
            s.send("reboot\r")
            self.assertEqual(s.end(), 130, s.text[-3000:])

    # --- What debug kernels can be made to show ---

    @staticmethod
    def situations(*names):
        return Session("--smp", "2", "--append", "log=console trace=all", "/bin/ktest",
                       *["monitor-" + name for name in names])

    @staticmethod
    def stopped_at(s):
        """Return the ids that ktest tells before the monitor comes."""
        return dict(re.findall(r"ktest: (\w+) is lid (\d+)", s.wait_for(re.escape(PROMPT))))

    def test_why_chain(self):
        """Also: a fault costs a line of the list, not the list, nor the kernel; an event that its CPU was stopped
        in the middle of writing costs itself, not that CPU's part of the trace."""
        with self.situations("chain", "broken") as s:
            lid = self.stopped_at(s)
            self.assertRegex(s.ask("why " + lid["chain0"]),
                             r'^ +{chain0} SLEEP  sleeps for mutex \S+ "link1"\n'
                             r' +held by lid {chain1} since chain_link\+\S+\n'
                             r' +{chain1} SLEEP  sleeps for mutex \S+ "link2"\n'
                             r' +held by lid {chain2} since chain_link\+\S+\n'
                             r' +{chain2} SLEEP  sleeps in lastlink \(pause\)'.format(**lid))
            locks = s.ask("show locks")
            for i in range(3):
                self.assertRegex(locks, r"(?m)^ +%s    - mutex +\S+ link%d +chain_link\+"
                                 % (lid["chain%d" % i], i))
            self.assertRegex(locks, r"(?m)^ +{chain0}    - waits for mutex \S+ of lid {chain1}$"
                             .format(**lid))
            self.assertRegex(s.ask("show lwp " + lid["chain1"]), r"mutex link1 \S+ since chain_link")
            self.assertIn("sleepq_block", s.ask("bt " + lid["chain1"]))
            self.assertRegex(s.ask("show sleepq"), r"(?m)^ +{chain0} +0 mutex +\S+ mutex, "
                             r"held by lid {chain1}".format(**lid))
            s.resume()
            self.stopped_at(s)
            ps = s.ask("ps")
            self.assertIn("ps: a fault", ps)
            self.assertRegex(ps, "idle0(?s:.*)adopter")
            self.assertRegex(s.ask("show runq"), r" 1:.*a fault")
            self.assertEqual(len(re.findall(r"^cpu\d", s.ask("show runq"), re.M)), 2)
            self.assertIn("a fault", s.ask("show lwp 1"))
            self.assertIn("a fault", s.ask("bt 1"))
            here = re.search(r"(cpu\d): [^\n]*\n[^\n]*\n +in the monitor", s.ask("show runq")).group(1)
            trace = s.ask("trace 1000")
            self.check_form("trace", trace)
            self.assertRegex(trace, r"(?m)^ +\d+\.\d+ %s +\*?\d+ +(?!ipi +nmi)\w" % here)
            self.assertRegex(trace, r"trace: \d+ events were being written\n")
            self.assertRegex(s.ask("fsck"), r"R1: cpu\d queue 1(?s:.*)\d violations, \d faults")
            s.resume()
            self.check_clean_end(s)

    def test_why_cycle(self):
        with self.situations("cycle") as s:
            lid = self.stopped_at(s)
            self.assertRegex(s.ask("why " + lid["forward"]),
                             r"(?s)^ +{forward} .*held by lid {backward} .*\n"
                             r" +{backward} .*held by lid {forward} .*\n"
                             r" +{forward} CYCLE  of 2".format(**lid))
            s.send("reboot\r")
            self.assertEqual(s.end(), 130)

    # --- Panics ---

    def panic(self, smp):
        with Session("--smp", str(smp), "/bin/ktest", "panic-setstat") as s:
            report = s.wait_for(re.escape(PROMPT))
            self.assertRegex(report, r"panic: cpu\d+ lid1: .*ONPROC -> IDL")
            self.assertRegex(report, r"monitor: cpu\d+ lid1: panic")
            self.assertRegex(s.ask("bt 1"), r"(?s)panic\+.*panic_setstat\+.*user mode")
            self.assertRegex(s.ask("show locks"), r"(?m)^ +1    - mutex \S+ p_lock +panic_setstat")
            self.assertIn("spin", s.ask("show lwp 1"))
            self.assertIn("panic: cpu", s.ask("dmesg"))
            self.assertIn("interrupts off", s.ask("fsck"))
            for lid in range(2, smp + 2):
                self.assertIn("lid %d " % lid, s.ask("bt %d" % lid))
            s.send("continue\r")
            self.assertEqual(s.end(), 125)
            self.assertIn("repeat: tools/run", s.text)

    def test_panic_1(self):
        self.panic(1)

    def test_panic_4(self):
        self.panic(4)

    def test_panic_without_a_person(self):
        """Not on a terminal: the machine ends by itself, unless it is told not to."""
        command = [os.path.join(TOP, "tools/run"), "--build", "debug", "--smp", "1", "--timeout",
                   "%g" % PATIENCE]
        done = subprocess.run([*command, "/bin/ktest", "panic-setstat"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 125)
        self.assertIn(b"ONPROC -> IDL", done.stderr)
        self.assertNotIn(b"monitor> ", done.stdout)
        with subprocess.Popen([*command, "--append", "panic=monitor", "/bin/ktest", "panic-setstat"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as machine:
            said = b""
            while b"monitor> " not in said:
                data = os.read(machine.stdout.fileno(), 65536)
                self.assertTrue(data, said)
                said += data
            errors = machine.communicate(b"continue\r")[1]
        self.assertEqual(machine.returncode, 125)
        self.assertIn(b"ONPROC -> IDL", errors)


if __name__ == "__main__":
    sys.exit(unittest.main())
