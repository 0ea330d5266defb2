# SPDX-License-Identifier: BSD-2-Clause
"""The trace, from the kernel's rings to the page in a browser."""

import json
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tools"))
sys.dont_write_bytecode = True

import tracejson    # noqa: E402
import tracelib     # noqa: E402
import tracestats   # noqa: E402

USERCC = os.environ.get("USERCC", "musl-gcc")
LIMIT = 400                     # seconds, against hangs

# Burns CPU time in two threads and sleeps; says how much time each has had. With an argument it hangs, or eats
# memory until there is none.
PROGRAM = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long
ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000L + ts.tv_nsec;
}

static void *
work(void *arg)
{
	long until = (long)arg * 1000000, n = 0;

	while (ns(CLOCK_THREAD_CPUTIME_ID) < until)
		if (++n % 64 == 0)
			usleep(100);
	printf("thread %d %ld\n", gettid(), ns(CLOCK_THREAD_CPUTIME_ID) / 1000);
	return NULL;
}

int
main(int argc, char **argv)
{
	struct rusage ru;
	pthread_t a, b;
	pid_t pid;

	while (argc > 1 && strcmp(argv[1], "eat") == 0)
		memset(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0), 1, 1 << 20);
	if (argc > 1)
		puts("hangs"), fflush(stdout);
	while (argc > 1)
		pause();

	pthread_create(&a, NULL, work, (void *)30);
	pthread_create(&b, NULL, work, (void *)60);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		work((void *)40);
		fflush(stdout);
		_exit(3);
	}
	wait4(pid, NULL, 0, &ru);
	printf("child %d %ld\n", pid, ru.ru_utime.tv_sec * 1000000 + ru.ru_utime.tv_usec
	    + ru.ru_stime.tv_sec * 1000000 + ru.ru_stime.tv_usec);
	getrusage(RUSAGE_SELF, &ru);
	printf("self %d %ld\n", getpid(), ru.ru_utime.tv_sec * 1000000 + ru.ru_utime.tv_usec
	    + ru.ru_stime.tv_sec * 1000000 + ru.ru_stime.tv_usec);
	printf("switches %ld\n", ru.ru_nvcsw + ru.ru_nivcsw);
	return 0;
}
"""

# The program asks for the time very often: its system calls would overrun the rings.
BROWSERS = os.environ.get("CHROMIUM") or \
    "chromium chromium-browser chromium-headless-shell chrome-headless-shell google-chrome"
MUST = os.environ.get("PAGE_TEST") == "must"    # make test-page
FEW = "trace=sched,wake,life"

# Steps of a user on the page; what came out stands in <pre id="log">.
STEPS = r"""
<script>
(async () => {
	const log = [], wait = () => new Promise(r => setTimeout(r, 800));
	const span = () => { const w = timeline.getWindow(); return w.end - w.start; };
	const key = (e, k) => e.dispatchEvent(new KeyboardEvent("keydown", { key: k, bubbles: true }));
	await wait();
	log.push("rows=" + document.body.dataset.rows);
	const bar1 = $("timeline").querySelector(".k-cpu .vis-item-content");
	log.push("white=" + (getComputedStyle(bar1).color === "rgb(255, 255, 255)"));
	let was = span();
	$("in").click();
	await wait();
	log.push("in=" + (span() < was * 0.9));
	was = span();
	$("out").click();
	await wait();
	log.push("out=" + (span() > was * 1.1));
	was = +timeline.getWindow().start;
	key(document.body, "d");
	await wait();
	log.push("pan=" + (+timeline.getWindow().start > was));
	$("search").value = "WANTED";
	key($("search"), "Enter");
	await wait();
	const hit = groups.get().find(g => /hit/.test(g.className));
	log.push("hits=" + document.body.dataset.hits, "hit=" + hit.content);
	$("search").value = "no such thing";
	key($("search"), "Enter");
	log.push("none=" + $("found").textContent);
	const runs = () => items.get().filter(i => details.get(i.id) && /k-run/.test(i.className));
	let bar;
	while (!(bar = runs().find(i => details.get(i.id).slice))) {	/* many in one: zoom into that */
		timeline.setWindow(runs()[0].start, runs()[0].end, { animation: false });
		await wait();
	}
	select(bar.id);
	log.push("details=" + /run/.test($("details").textContent));
	log.push("legend=" + document.querySelectorAll("#legend span").length);
	const pre = document.createElement("pre");
	pre.id = "log";
	pre.textContent = log.join(" ");
	document.body.append(pre);
})();
</script></body></html>
"""


def tool(*words, check=True):
    return subprocess.run(words, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=check, timeout=LIMIT)


def browser():
    """Return a browser's path, or None. A snap, such as Ubuntu's, has a /tmp of its own: it is none."""
    for path in filter(None, map(shutil.which, BROWSERS.split())):
        path = os.path.realpath(path)
        with open(path, "rb") as file:
            if os.path.basename(path) != "snap" and b"/snap/" not in file.read(4096):
                return path
    return None


class TraceTest(unittest.TestCase):

    traces = {}

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        source, cls.program = cls.path("prog.c"), cls.path("prog")
        with open(source, "w", encoding="utf-8") as file:
            file.write(PROGRAM)
        tool(USERCC, "-static", "-O2", "-o", cls.program, source)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    def trace(self, name, *options, program=None, build="release", status=0):
        """Run a program with the trace on; return its output and the trace."""
        done = tool("tools/run", "--timeout", str(LIMIT), "--build", build, "--trace", self.path(name), *options, "--",
                    *(program or [self.program]), check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        trace = tracestats.load(self.path(name))
        self.assertEqual(tracestats.check(trace), [])
        return done, trace

    def shared(self, name, *options, **more):
        """The same, for tests that look at one trace."""
        if name not in self.traces:
            self.traces[name] = self.trace(name, *options, **more)
        return self.traces[name]

    def forks(self):
        return self.shared("fork.json", program=["/test/fork"])[1]

    def totals(self, smp):
        return self.shared("totals%s.json" % smp, "--icount", "--smp", smp, "--append", FEW)

    def test_totals(self):
        """Run times of the trace are those that the kernel itself accounts.

        In the repeatable mode, where the host takes no CPU away between the two readings of the
        clock at a switch: the kernel's and, up to 150 instructions later, that of the event. With
        four CPUs QEMU may do so, to let the other three run: hence the hundredth part more.
        """
        for smp in ("1", "4"):
            done, trace = self.totals(smp)
            self.assertEqual(sum(trace["otherData"]["overrun_events"]), 0)
            stats = tracestats.Stats(trace)
            said = re.findall(r"^(\w+) (\d+) (\d+)$", done.stdout, re.M)
            self.assertEqual([s[0] for s in said].count("thread"), 3)
            for what, number, us in said:
                keys = [key for key in stats.lwps
                        if key[1 if what == "thread" else 0] == int(number)]
                found = sum(stats.lwps[key]["run"] for key in keys)
                near = 10 + 0.15 * sum(stats.slices[key, "run"] for key in keys)
                if smp == "4":
                    near += int(us) / 100
                self.assertGreater(found, int(us) - near, (what, number))
                # Only of a child that is gone the kernel can say all; others run on to their exit.
                self.assertLess(found, int(us) + near + (0 if what == "child" else 2000),
                                (what, number))
            text = tool("tools/trace", "stats", self.path("totals%s.json" % smp)).stdout
            for title in ("LWPs, by time", "Wakeup to run", "Exits of processes"):
                self.assertIn(title, text)
            self.assertEqual(len([e for e in stats.exits if e[2] == 3]), 1)

    def test_every_moment_counts(self):
        """An LWP is in one state at any time from birth to death."""
        rows = {}
        trace = self.forks()
        for e in trace["traceEvents"]:
            if e["ph"] == "X" and e["pid"] != tracejson.CPUS:
                rows.setdefault((e["pid"], e["tid"]), []).append(e)
        self.assertGreater(len(rows), 20)
        for slices in rows.values():
            for one, two in zip(slices, slices[1:]):
                self.assertAlmostEqual(one["ts"] + one["dur"], two["ts"], delta=0.01)
        kinds = {(e["ph"], e.get("cat")) for e in trace["traceEvents"]}
        for kind in (("s", "wakeup"), ("f", "wakeup"), ("i", "create"), ("i", "fork"),
                     ("i", "free"), ("i", "collect"), ("i", "wait"), ("i", "exec"),
                     ("b", "exit"), ("b", "syscall"), ("b", "fault"), ("X", "run")):
            self.assertIn(kind, kinds)

    def test_overrun(self):
        """A tiny ring loses events, and says so everywhere."""
        done, trace = self.trace("tiny.json", "--smp", "2", "--append", "trace_size=256",
                                 program=["/test/fork"])
        lost = trace["otherData"]["overrun_events"]
        self.assertGreater(sum(lost), 500)
        self.assertLessEqual(trace["otherData"]["events"], 512)
        self.assertIn("%d older events were overwritten" % sum(lost), done.stderr)
        self.assertIn("INCOMPLETE: %d events" % sum(lost),
                      tool("tools/trace", "stats", self.path("tiny.json")).stdout)
        self.assertEqual(tracestats.losses({"otherData": {"overrun_events": [0], "overrun_names": 2, "broken_events": 3}}),
                         "2 names were overwritten; 3 events were being written at the end")

    def test_classes(self):
        _, trace = self.trace("few.json", "--append", "trace=sched,wake,state",
                              program=["/test/fork"])
        self.assertEqual(trace["otherData"]["classes"], ["sched", "wake", "state"])
        found = {e.get("cat") for e in trace["traceEvents"]}
        self.assertIn("state", found)
        self.assertFalse(found & {"syscall", "fault", "exit", "fork"})
        _, trace = self.trace("eat.json", "--smp", "1", "--mem", "16", "--append", "trace=alloc",
                              program=[self.program, "eat"], status=137)
        self.assertEqual({e.get("cat") for e in trace["traceEvents"] if e["ph"] == "i"},
                         {"stall", "stall-done", "nomem"})
        done = tool("tools/run", "--append", "trace=nonsense", "/bin/true", check=False)
        self.assertEqual(done.returncode, 125)
        self.assertIn("sched wake state", done.stderr)

    def test_panic(self):
        """The rings are read however the machine ends."""
        done, trace = self.trace("panic.json", "--smp", "2", build="debug", status=125,
                                 program=["/bin/ktest", "panic-sleep-under-spin"])
        self.assertIn("panic: ", done.stderr)
        self.assertGreater(trace["otherData"]["events"], 10)
        with subprocess.Popen(["tools/run", "--timeout", str(LIMIT), "--trace", self.path("hang.json"), self.program, "hang"],
                              cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as hangs:
            self.assertEqual(hangs.stdout.readline(), b"hangs\n")
            hangs.terminate()
            self.assertEqual(hangs.wait(LIMIT), 128 + signal.SIGTERM)
        self.assertEqual(tracestats.check(tracestats.load(self.path("hang.json"))), [])

    def test_switching(self):
        """/dev/debug switches the trace while the machine runs, and prints it."""
        with open(self.path("switch.sh"), "w", encoding="utf-8") as file:
            file.write("cd /dev\necho trace all,state > debug\nbusybox true\n"
                       "echo trace dump 40 > debug\necho trace off > debug\n"
                       "busybox true; busybox true\n"
                       "echo trace nonsense > debug || echo refused\n")
        done, trace = self.trace(
            "switch.json", "--smp", "2", "--append", "trace=off", "--log", self.path("log"),
            "--add", "/bin/busybox=/bin/busybox", "--add", self.path("switch.sh") + "=/switch.sh",
            build="debug", program=["/bin/busybox", "sh", "/switch.sh"])
        self.assertIn("refused", done.stdout)
        execs = [e for e in trace["traceEvents"] if e.get("cat") == "exec"]
        self.assertLessEqual(len(execs), 1)
        with open(self.path("log"), encoding="utf-8", errors="replace") as file:
            lines = re.findall(r"cpu\d+ +\*?-?\d+ +(switch|wake|syscall|sysret|fault|state)",
                               file.read())
        self.assertGreater(len(lines), 15)

    def test_check_finds(self):
        good = {"ph": "X", "pid": 1, "tid": 1, "name": "a", "ts": 1, "dur": 2, "cat": "run"}
        name = {"ph": "M", "pid": 1, "tid": 1, "name": "thread_name", "ts": 0,
                "args": {"name": "x"}}
        self.assertEqual(tracestats.check({"traceEvents": [name, good]}), [])
        for change in ({"ph": "?"}, {"pid": "1"}, {"ts": -1}, {"dur": None}, {"tid": 2},
                       {"name": 3}, {"ph": "i"}, {"ph": "f", "id": 1}, {"ph": "e", "id": 1},
                       {"ph": ["X"]}, {"ph": "Xi"}, {"pid": []}, {"ts": math.nan}, {"cat": None}, {"args": 1},
                       {"ph": "s", "id": []}, {"ph": "b", "id": 1}, {"ts": 10**400}, {"args": {"life": []}},
                       {"ph": "i", "s": "t", "cat": "steal", "args": {"from": None}}, {"args": {"called": 1}}, {"ph": "M", "name": "thread_name", "args": {}}):
            self.assertNotEqual(tracestats.check(
                {"traceEvents": [name, dict(good, **change)]}), [], change)
        self.assertNotEqual(tracestats.check({"traceEvents": [name, good, good]}), [])
        for other in ([], {"overrun_events": 7}, {"overrun_events": ["x"]}, {"end_us": "x"}):
            self.assertNotEqual(tracestats.check({"traceEvents": [name, good], "otherData": other}), [])
        for text in (json.dumps({"traceEvents": [good]}), json.dumps({"traceEvents": [dict(name, name=[])]}),
                     json.dumps({"traceEvents": [{k: v for k, v in name.items() if k != "name"}]}), '{"traceEvents":[1]}', "", "[" * 100000, "\xff\0"):
            with open(self.path("bad.json"), "w", encoding="latin-1") as file:
                file.write(text)
            for command in ("check", "stats", "svg", "html"):
                done = tool("tools/trace", command, self.path("bad.json"), check=False)
                self.assertEqual((done.returncode, "Traceback" in done.stderr), (1, False), done.stderr)
        for option in ("--to=inf", "--from=nan", "--width=0", "--lid=-1"):
            self.assertEqual(tool("tools/trace", "svg", self.path("bad.json"), option, check=False).returncode, 2)
        self.assertEqual(tool("tools/trace", "stats", self.path("absent"),
                              check=False).returncode, 1)
        self.assertRaises(tracelib.NoTrace, tracelib.Raw, bytes(1 << 24),
                          os.path.join(TOP, "build/release/threadbare.elf"))

    def test_tables(self):
        """A row that two LWPs have had, one after the other, is two; a lock that two functions wait for is one."""
        def slices(start, **args):
            for number, place in enumerate(("one", "two")):
                lock = {"pid": 5, "tid": 5, "cat": "lock", "name": "0x10 in " + place, "id": start + number}
                yield dict(lock, ph="b", ts=start, args=dict(args, kind="mutex"))
                yield dict(lock, ph="e", ts=start + 4)
            yield {"ph": "X", "pid": 5, "tid": 5, "name": "run", "cat": "run", "ts": start, "dur": 8, "args": args}
        stats = tracestats.Stats({"traceEvents": [
            {"ph": "M", "pid": 5, "tid": 5, "name": "thread_name", "ts": 0, "args": {"name": "old/5"}},
            *slices(10), *slices(30, life=1, called="new/5")]})
        self.assertEqual([(stats.title(key), v["run"], v["lock"]) for key, v in sorted(stats.lwps.items())],
                         [("old/5", 8, 8), ("new/5", 8, 8)])
        self.assertEqual([tracestats.percentile([4, 3, 2, 1], part) for part in (.25, .5, .9, 1)], [1, 2, 4, 4])
        (name, kind), lock = stats.locks.popitem()
        self.assertEqual((kind, stats.lock_title(name, lock[3]), lock[:3], stats.locks),
                         ("mutex", "0x10 in one, two", [4, 16, 4], {}))

    def test_documents(self):
        """What docs/trace.md says how to repeat makes the pictures that it shows."""
        with open(os.path.join(TOP, "docs/trace.md"), encoding="utf-8") as file:
            lines = re.findall(r"^    (tools/.* \w\.json .*)", file.read(), re.M)
        self.assertEqual(len(lines), 4)
        for line in lines:
            words = shlex.split(line)
            tool(*[self.path(os.path.basename(w)) if re.search(r"\.(json|svg)$", w) else w for w in words])
            if words[-1].endswith(".svg"):
                texts = []
                for path in (self.path(os.path.basename(words[-1])), os.path.join(TOP, words[-1])):
                    with open(path, encoding="utf-8") as file:
                        texts.append(file.read())
                    self.assertIn('class="flow"', texts[-1], path)
                self.assertEqual(*[set(re.findall(r">(\w+/\d+)</text>", text)) for text in texts], line)

    def test_picture(self):
        self.forks()
        out = self.path("fork.svg")
        tool("tools/trace", "svg", self.path("fork.json"), "-o", out)
        tool("python3", "-c", "import sys, xml.dom.minidom as m; m.parse(sys.argv[1])", out)
        with open(out, encoding="utf-8") as file:
            text = file.read()
        self.assertIn('class="flow"', text)
        self.assertGreater(text.count("<rect"), 100)

    def skip(self, why):
        (self.fail if MUST else self.skipTest)(why)

    def test_page_must(self):
        """`make test` does without a browser, `make test-page` does not."""
        for must, status in (("", 0), ("must", 1)):
            done = subprocess.run([sys.executable, os.path.abspath(__file__), "TraceTest.test_page"], check=False,
                                  env=dict(os.environ, PAGE_TEST=must, CHROMIUM="/none/such"),
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT)
            self.assertEqual(done.returncode, status, done.stdout)
            self.assertIn("FAIL: " if must else "skipped=1", done.stdout)

    def test_page(self):
        """The page in a browser: zoom, pan and search do what they say, offline."""
        chromium = browser()
        if not chromium:
            self.skip("none of %s is here, or only as a snap" % BROWSERS)
        done, _ = self.totals("4")
        page = self.path("page.html")
        made = tool("tools/trace", "html", self.path("totals4.json"), "-o", page, check=False)
        if "npm" in made.stderr and made.returncode:
            self.skip("npm does not give vis-timeline: " + made.stderr)
        self.assertEqual(made.returncode, 0, made.stderr)
        child = re.search(r"^child (\d+)", done.stdout, re.M).group(1)
        with open(page, encoding="utf-8") as file:
            text = file.read()
        self.assertIsNone(re.search(r'<(script|link|img)[^>]+(src|href)=', text))
        self.assertIn("Apache 2.0 License", text)
        with open(page, "w", encoding="utf-8") as file:
            file.write(text.replace("</body></html>", STEPS.replace("WANTED", child)))
        out = subprocess.run(
            ["timeout", str(LIMIT), chromium, "--headless=new", "--no-sandbox", "--disable-gpu",
             "--user-data-dir=" + self.path("profile"), "--window-size=1400,900",
             "--virtual-time-budget=30000", "--dump-dom", "file://" + page],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
        found = re.search(r'<pre id="log">(.*?)</pre>', out, re.S)
        self.assertIsNotNone(found, "the steps did not end")
        self.assertRegex(found.group(1), r"^rows=\d+ white=true in=true out=true pan=true hits=1 "
                         r"hit=\S+/%s none=nothing details=true legend=9$" % child)


if __name__ == "__main__":
    unittest.main()
