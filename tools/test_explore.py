# SPDX-License-Identifier: BSD-2-Clause
"""Schedule exploration: a seed is a schedule, whatever the host does; a bug is found and repeated."""

import os
import random
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RUN = re.compile(r"explore: (\w+) seed (\d+) (\w+): (\d+) points.*trace (\w+)$", re.M)
READINGS = re.compile(r"^readings (\w+)$", re.M)
BUSY = "while True: pass"


def explore(*args):
    return subprocess.run(["tools/explore", *args], cwd=TOP, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False, timeout=600)


def traces(options, *extra):
    """Run once; return {seed: (points, trace, what the program has read)}, as they were told."""
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        done = subprocess.run(
            ["tools/run", "--build", "debug", "--smp", "4", "--mem", "64", "--timeout", "200",
             "--log", log, *extra, "--append", options, "--", "bout", "readings"],
            cwd=TOP, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        with open(log, encoding="utf-8", errors="replace") as file:
            runs = RUN.findall(file.read())
    if done.returncode != 0:
        raise AssertionError("status %d: %s" % (done.returncode, done.stderr))
    readings = READINGS.findall(done.stdout)
    if len(readings) != len(runs):
        raise AssertionError("%d runs, but:\n%s" % (len(runs), done.stdout))
    return {int(seed): (points, trace, read)
            for (name, seed, _, points, trace), read in zip(runs, readings) if name != "list"}


class Repeats(unittest.TestCase):
    """The same seed gives the same trace, and the program clocks, random numbers and CPUs that are the same."""

    def test_host_does_not_matter(self):
        for strategy in ("random", "pct explore_depth=5 explore_length=1000"):
            with self.subTest(strategy=strategy):
                options = "explore=%s explore_seeds=" % strategy
                alone = traces(options + "3..5")
                self.assertEqual(sorted(alone), [3, 4, 5])
                self.assertEqual(len({trace for _, trace, _ in alone.values()}), 3)
                self.assertEqual(len({read for _, _, read in alone.values()}), 3)
                load = [subprocess.Popen([sys.executable, "-c", BUSY])
                        for _ in range(os.cpu_count() or 1)]
                try:
                    loaded = traces(options + "3..5")
                    threads = traces(options + "5..5", "--cpu-threads", "multi")
                finally:
                    for busy in load:
                        busy.kill()
                        busy.wait()
                self.assertEqual(loaded, alone)
                # In a boot of its own, with a host thread for each CPU.
                self.assertEqual(threads, {5: alone[5]})


class Searches(unittest.TestCase):
    def test_sound_kernel(self):
        fresh = random.randrange(1000000, 1000000000)
        for seeds in ("1..10", "%d..%d" % (fresh, fresh + 9)):
            done = explore("--strategy", "random", "--seeds", seeds, "--",
                           "bout", "exit", "exec", "execexit", "lwp", "sched", "close")
            self.assertEqual(done.returncode, 0, "seeds %s:\n%s%s" % (
                seeds, done.stdout, done.stderr))

    def test_tells_owner_of_lock(self):
        done = explore("--strategy", "random", "--seeds", "1", "--smp", "2", "--no-shrink",
                       "--", "ktest", "lockdebug-stuck")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("deadlock: nobody can proceed", done.stdout)
        self.assertRegex(done.stdout, r"lid \d+ waits for mutex m-low 0x\w+, held by lid \d+ since "
                         r"0x\w+ stuck_holder\S* \(kernel/test/ktest_lockdebug.c:\d+\)")

    def test_seeded_bug(self):
        made = subprocess.run(["make", "--no-print-directory", "BUG=last_two", "iso"], cwd=TOP,
                              capture_output=True, text=True, check=False)
        self.assertEqual(made.returncode, 0, made.stdout + made.stderr)
        done = explore("--bug", "last_two", "--strategy", "random", "--seeds", "1..300",
                       "--", "bout", "exit")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("deadlock: nobody can proceed", done.stdout)
        self.assertRegex(done.stdout, r"mutex .*lwp_exit  kernel/proc/exit.c:\d+")
        line = re.search(r"^repeat: (.*)$", done.stdout, re.M)[1]
        again = subprocess.run(shlex.split(line), cwd=TOP, stdin=subprocess.DEVNULL,
                               capture_output=True, text=True, check=False, timeout=200)
        self.assertEqual(again.returncode, 125, again.stderr)
        self.assertIn("deadlock: nobody can proceed", again.stderr)


if __name__ == "__main__":
    unittest.main()
