# SPDX-License-Identifier: BSD-2-Clause
"""A machine to be looked at with gdb through the kernel's own stub, for tests."""

import os
import socket
import subprocess
import textwrap
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GUEST_SECONDS = 100
GDB_SECONDS = 90

PROGRAM = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

volatile unsigned long counter;
static volatile int quiet;
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

static void
sleepers(int seconds)
{
	pthread_t thread;

	pthread_mutex_lock(&lock);
	pthread_create(&thread, NULL, blocked, NULL);
	if (fork() == 0) {
		sleep(seconds);
		_exit(7);
	}
	int status;
	wait(&status);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	printf("child %d\n", WEXITSTATUS(status));
}

int
main(int argc, char **argv)
{
	const char *mode = argv[1];
	int n = argc > 2 ? atoi(argv[2]) : 0, sum = 0;

	if (strcmp(mode, "sleepers") == 0) {
		sleepers(n);
	} else if (strcmp(mode, "loop") == 0) {
		for (unsigned long end = (unsigned long)n * 100000000; counter < end;)
			counter++;
	} else if (strcmp(mode, "kernel") == 0) {
		static char buf[1 << 20];
		int fd = open("/dev/zero", O_RDONLY);
		for (int i = 0; i < n; i++)
			read(fd, buf, sizeof(buf));
	} else if (strcmp(mode, "syscalls") == 0) {
		struct timespec ts = { 0, 1000000 };
		for (int i = 0; i < n; i++) {
			sum += call(39, 0) == getpid();		/* getpid */
			sum += call(35, (long)&ts) == 0;	/* nanosleep */
			sum += call(24, 0) == 0;		/* sched_yield */
		}
		printf("sum %d\n", sum);
	} else if (strcmp(mode, "forks") == 0) {
		/* The children run the same text as the parent. */
		for (int i = 0; i < n; i++) {
			if (fork() == 0)
				_exit(user_target(i) & 0x7f);
			int status, me = user_target(i);
			wait(&status);
			sum += WIFEXITED(status) && WEXITSTATUS(status) == (me & 0x7f);
		}
		printf("sum %d\n", sum);
	} else if (strcmp(mode, "trap") == 0) {
		__asm volatile("int3");
	} else if (strcmp(mode, "longtrap") == 0) {
		/* Of the two-byte form, a breakpoint one byte back is no sign. */
		__asm volatile(".byte 0xcd, 0x03, 0xc0\n" : : : "rax", "memory");
	} else if (strcmp(mode, "flags") == 0) {
		__asm volatile(".globl the_pushf\nthe_pushf:\n\tpushfq\n\tpopfq\n\tnop\n\tnop"
			       : : : "memory", "cc");
	}
	printf("done %s\n", mode);
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
    # continue, and ^C after a while
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()
    run("continue")
    return reason()

def leave():
    run("delete")
    run("kdetach")
"""


class Guest:
    """A machine whose kernel listens for gdb."""

    def __init__(self, test, smp, program, append="", build="debug"):
        self.test = test
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
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

    def stop(self):
        if self.process.returncode is None:
            self.process.terminate()
            self.process.communicate()

    def said(self, text, seconds=40):
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
            file.write(PRELUDE + "\ntry:\n"
                       + textwrap.indent(textwrap.dedent(script), "    ")
                       + "\nexcept Exception:\n    import traceback\n"
                         "    traceback.print_exc()\n    sys.stderr.flush()\n    os._exit(3)\n")
        done = subprocess.run(
            ["timeout", "-k", "5", str(GDB_SECONDS), "gdb", "-nx", "-batch", symbols,
             "-x", "tools/gdb/kernelstub.py", "-ex", "set tcp connect-timeout 30",
             "-ex", "target remote 127.0.0.1:%d" % self.port, "-ex", "python refresh()",
             "-x", path],
            cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False)
        text = done.stdout.decode("utf-8", "replace")
        if done.returncode != 0:
            self.process.terminate()
            out, err = self.process.communicate()
            self.test.fail("smp=%d: gdb's status %d\n%s\n%s\n%s" % (
                self.smp, done.returncode, text, out.decode("utf-8", "replace"),
                err.decode("utf-8", "replace")))
        return [line[4:] for line in text.splitlines() if line.startswith("SAY ")]

    def finish(self, status=0, output=None):
        """Wait for the end of the run; it must be a clean one."""
        try:
            out, err = self.process.communicate(timeout=GUEST_SECONDS)
        except subprocess.TimeoutExpired:
            self.test.fail("the machine does not end")
        text = out.decode("utf-8", "replace")
        self.test.assertEqual(self.process.returncode, status,
                              text + err.decode("utf-8", "replace"))
        if output is not None:
            self.test.assertIn(output, text)
        with open(self.log, encoding="utf-8", errors="replace") as file:
            self.test.assertNotIn("leak:", file.read())
        return text
