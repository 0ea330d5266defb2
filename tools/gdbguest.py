# SPDX-License-Identifier: BSD-2-Clause
"""A machine to be looked at with gdb through the kernel's own stub, for tests."""

import os
import random
import socket
import subprocess
import textwrap
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Against hangs only: nothing here waits for a time to pass, and the host may be slow.
GUEST_SECONDS = float(os.environ.get("STUB_PATIENCE", 800))
GDB_SECONDS = GUEST_SECONDS * 0.75

PROGRAM = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

volatile unsigned long counter;
volatile int *over;			/* gdb ends by it what goes on, once getppid has been called */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The address of the instruction has a name of its own. */
__attribute__((noinline)) long
call(long nr, long a)
{
	long ret;

	__asm volatile(".globl the_syscall\nthe_syscall:\n\tsyscall"
		       : "=a"(ret) : "a"(nr), "D"(a), "S"(0) : "rcx", "r11", "memory");
	return ret;
}

__attribute__((noinline)) int
user_target(int n)
{
	counter += n;
	return n + 1;
}

static void *
blocked(void *arg)
{
	pthread_mutex_lock(&lock);
	return arg;
}

static void *
napper(void *arg)
{
	sleep(100000);
	return arg;
}

/* What gdb does here, one after the other. */
static void
tour(void)
{
	struct timespec ts = { 0, 1000000 };
	int status, sum = 0;

	/* While this is under way, gdb sets a breakpoint for the parent. */
	if (fork() == 0)
		_exit(user_target(3));
	user_target(0);
	wait(&status);
	sum += WIFEXITED(status) && WEXITSTATUS(status) == 4;
	__asm volatile(".globl the_pushf\nthe_pushf:\n\tpushfq\n\tpopfq\n\tnop\n\tnop"
		       : : : "memory", "cc");
	for (int i = 0; i < 2; i++) {
		sum += call(39, 0) == getpid();		/* getpid */
		sum += call(35, (long)&ts) == 0;	/* nanosleep */
		sum += call(24, 0) == 0;		/* sched_yield */
	}
	if (fork() == 0)
		call(231, 5);				/* exit_group */
	wait(&status);
	sum += WIFEXITED(status) && WEXITSTATUS(status) == 5;
	/* The children run the same text as the parent. */
	for (int i = 0; i < 10; i++) {
		if (fork() == 0)
			_exit(user_target(i) & 0x7f);
		int me = user_target(i);
		wait(&status);
		sum += WIFEXITED(status) && WEXITSTATUS(status) == (me & 0x7f);
	}
	/* Its own breakpoints are a program's own affair. Of the longer one, the byte before is no breakpoint. */
	for (int i = 0; i < 2; i++) {
		if (fork() == 0) {
			if (i == 0)
				__asm volatile("int3");
			__asm volatile(".byte 0xcd, 0x03, 0xc0\n" : : : "rax", "memory");
		}
		wait(&status);
		sum += WIFSIGNALED(status) && WTERMSIG(status) == SIGTRAP;
	}
	counter = 0;
	user_target(1);
	while (counter != 5000000000)
		counter += counter < 1000000000;
	printf("sum %d\n", sum);
}

/* One in user mode and one in the kernel, for ever. */
static void
busy(void)
{
	static char buf[1 << 20];
	int fd = open("/dev/zero", O_RDONLY);

	if (fork() == 0) {
		while (!*over)
			counter++;
		_exit(0);
	}
	while (!*over)
		read(fd, buf, sizeof(buf));
	wait(NULL);
}

/* One thread sleeps for a lock, one for long, the main one for a child, which calls getppid now and then. */
static void
sleepers(void)
{
	pthread_t thread;

	pthread_mutex_lock(&lock);
	pthread_create(&thread, NULL, napper, NULL);
	pthread_create(&thread, NULL, blocked, NULL);
	if (fork() == 0) {
		while (!*over) {
			usleep(50000);
			getppid();
		}
		_exit(7);
	}
	int status;
	wait(&status);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	printf("child %d\n", WEXITSTATUS(status));
}

/* Processes come and go; each status must be the right one. */
static void
storm(void)
{
	int status, sum = 0;

	for (int n = 0; n < 4; n++) {
		if (fork() != 0)
			continue;
		for (int i = 0; !*over; i = (i + 1) & 0x7f) {
			pid_t pid = fork();

			if (pid == 0)
				_exit(i);
			if (pid < 0 || waitpid(pid, &status, 0) != pid ||
			    !WIFEXITED(status) || WEXITSTATUS(status) != i)
				_exit(1);
		}
		_exit(0);
	}
	while (wait(&status) > 0)
		sum += status == 0;
	printf("sum %d\n", sum);
}

/* One child after the other. */
static void
forks(void)
{
	int status, sum = 0;

	for (int i = 0; i < 30; i++) {
		if (fork() == 0)
			_exit(0);
		sum += wait(&status) > 0 && status == 0;
	}
	printf("sum %d\n", sum);
}

/* Does what its arguments say, in turn; gdb is told of each by getppid. */
int
main(int argc, char **argv)
{
	over = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 1; i < argc; i++) {
		*over = 0;		/* in memory: gdb enters no page */
		printf("prog: ready %s\n", argv[i]);
		fflush(stdout);
		getppid();
		if (strcmp(argv[i], "sleepers") == 0)
			sleepers();
		else if (strcmp(argv[i], "storm") == 0)
			storm();
		else if (strcmp(argv[i], "busy") == 0)
			busy();
		else if (strcmp(argv[i], "tour") == 0)
			tour();
		else if (strcmp(argv[i], "forks") == 0)
			forks();
		else if (strcmp(argv[i], "call") == 0)
			call(39, 0);
		else if (strcmp(argv[i], "mutexes") == 0)
			execl("/bin/ktest", "ktest", "turnstile-pi", NULL);
		printf("done %s\n", argv[i]);
		fflush(stdout);
	}
	return 0;
}
"""

# Every script begins with this.
PRELUDE = r"""
import os, re, signal, sys, threading
import gdb

def run(text):
    return gdb.execute(text, to_string=True)

def value(text):
    return int(gdb.parse_and_eval(text))

def say(*words):
    print("SAY", *words)
    sys.stdout.flush()

def cpu():
    return value("((struct cpu *)$gs_base)->ci_index")

def threads():
    return [t for i in gdb.inferiors() for t in i.threads() if t.is_valid()]

def names():
    out, frame = [], gdb.newest_frame()
    while frame is not None and len(out) < 40:
        out.append(frame.name())
        try:
            frame = frame.older()
        except gdb.error:
            break
    return out

stops = []
gdb.events.stop.connect(stops.append)

def reason():
    return getattr(stops[-1], "stop_signal", type(stops[-1]).__name__)

def interrupted(seconds):
    # continue, and ^C a while after that is under way
    def later(event):
        gdb.events.cont.disconnect(later)
        threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()
    gdb.events.cont.connect(later)
    run("continue")
    return reason()

def running():
    # those that a CPU runs, each selected in turn
    for number in re.findall(r"Thread (\S+) has .*running", run("thread find running")):
        run("thread " + number)
        yield gdb.selected_thread()

def sleeping():
    # the reasons for which LWPs of process 1 sleep
    l, found = gdb.parse_and_eval("lwp_all"), set()
    while int(l) != 0:
        if int(l["l_stat"]) == value("(int)LS_SLEEP") and int(l["l_proc"]["p_pid"]) == 1:
            found.add(l["l_wmesg"].string())
        l = l["l_allnext"]
    return found

def settle():
    # until the program `sleepers` is at rest, but for its child
    gdb.Breakpoint("sys_getppid")
    for i in range(1000):
        run("continue")
        if {"wait", "futex", "nanoslp"} <= sleeping(): break
    run("delete")
    refresh()

def begin():
    # until a program in PROGRAM is ready
    gdb.Breakpoint("sys_getppid")
    run("continue")
    run("delete")
    refresh()

def end_told():
    # tells the program to end; False: it has not come to the point where it can be told
    refresh()
    for i in gdb.inferiors():
        if i.pid == 1:
            i.threads()[0].switch()
            try:
                place = value("*(long *)%d" % OVER)
                if place: run("set *(int *)%d = 1" % place)
                return place != 0
            except gdb.error:
                pass            # not in memory yet
    return False

def end_program():
    # what it does now
    run("delete")
    while not end_told():
        begin()

def failed():
    # all there is to know, for the log
    for command in ("print (char *)panic_message", "thread apply all bt 12", "monitor show locks"):
        try:
            print(run(command))
        except gdb.error as error:
            print(command, error)
    sys.stdout.flush()
    sys.stderr.flush()

def leave():
    run("delete")
    run("kdetach")
"""


def free_port():
    """One that no connection is given by itself: those are from 32768 on."""
    while True:
        port = random.randrange(20000, 32768)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Guest:
    """A machine whose kernel listens for gdb."""

    def __init__(self, test, smp, program, append="", build="debug"):
        self.test = test
        self.port = free_port()
        self.smp = smp
        self.log = test.path("log")
        if os.path.exists(self.log):
            os.unlink(self.log)
        self.process = subprocess.Popen(
            [os.path.join(TOP, "tools/run"), "--build", build, "--smp", str(smp),
             "--timeout", str(GUEST_SECONDS), "--log", self.log,
             "--gdb=kernel:%d" % self.port, "--append", append, "--", *program],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True)
        self.said("gdb: listening")

    def stop(self):
        if self.process.returncode is None:
            self.process.terminate()
            self.process.communicate()

    def said(self, text, seconds=GUEST_SECONDS):
        """Wait until the kernel's log or the console has a text."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            if os.path.exists(self.log):
                with open(self.log, encoding="utf-8", errors="replace") as file:
                    if text in file.read():
                        return
            time.sleep(0.05)
        self.test.fail("the guest did not say %r" % text)

    def gdb(self, script, *, symbols="build/debug/threadbare.elf"):
        """Run a script inside gdb; return what it said."""
        path = self.test.path("script.py")
        with open(path, "w", encoding="utf-8") as file:
            file.write("PORT, OVER, PROG = %d, %d, %r\n" % (
                self.port, self.test.over, self.test.program) + PRELUDE + "\ntry:\n"
                       + textwrap.indent(textwrap.dedent(script), "    ")
                       + "\nexcept Exception:\n    import traceback\n"
                         "    traceback.print_exc()\n    failed()\n    os._exit(3)\n")
        done = subprocess.run(
            ["timeout", "-k", "5", str(GDB_SECONDS), "gdb", "-nx", "-batch", symbols,
             "-x", "tools/gdb/kernelstub.py",
             "-ex", "target remote 127.0.0.1:%d" % self.port, "-ex", "python refresh()",
             "-x", path],
            cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False)
        text = done.stdout.decode("utf-8", "replace")
        if done.returncode != 0:
            self.process.terminate()
            out, err = self.process.communicate()
            with open(self.log, encoding="utf-8", errors="replace") as file:
                log = file.read()[-4000:]
            self.test.fail("smp=%d: gdb's status %d\n%s\n%s\n%s\n%s" % (
                self.smp, done.returncode, text, out.decode("utf-8", "replace"),
                err.decode("utf-8", "replace"), log))
        return [line[4:] for line in text.splitlines() if line.startswith("SAY ")]

    def finish(self, *output, status=0):
        """Wait for the end of the run, which must be a clean one and have printed all of `output`."""
        try:
            out, err = self.process.communicate(timeout=GUEST_SECONDS)
        except subprocess.TimeoutExpired:
            self.test.fail("the machine does not end")
        text = out.decode("utf-8", "replace")
        self.test.assertEqual(self.process.returncode, status,
                              text + err.decode("utf-8", "replace"))
        for words in output:
            self.test.assertIn(words, text)
        if status == 0:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                self.test.assertNotIn("leak:", file.read())
        return text
