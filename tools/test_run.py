# SPDX-License-Identifier: BSD-2-Clause
"""What tools/run promises, tried with small programs made here."""

import os
import shutil
import struct
import subprocess
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
USERCC = os.environ.get("USERCC", "musl-gcc")

PROGRAM = r"""
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
copy(int fd)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		write(1, buf, n);
}

int
main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (strcmp(mode, "args") == 0)
		for (int i = 0; i < argc; i++)
			printf("[%s]\n", argv[i]);
	else if (strcmp(mode, "exit") == 0)
		return atoi(argv[2]);
	else if (strcmp(mode, "signal") == 0)
		raise(atoi(argv[2]));
	else if (strcmp(mode, "fault") == 0)
		*(volatile int *)8 = 1;
	else if (strcmp(mode, "env") == 0)
		printf("%s\n", getenv(argv[2]) != NULL ? getenv(argv[2]) : "(none)");
	else if (strcmp(mode, "stdin") == 0)
		copy(0);
	else if (strcmp(mode, "slow") == 0) {
		write(1, "go\n", 3); /* input comes from here on */
		sleep(2);
		copy(0);
	} else if (strcmp(mode, "poll") == 0) {
		struct pollfd p = { 0, POLLIN, 0 };

		write(1, "go\n", 3);
		if (poll(&p, 1, 20000) == 1 && p.revents == POLLIN)
			copy(0);
	} else if (strcmp(mode, "file") == 0)
		copy(open(argv[2], O_RDONLY));
	else if (strcmp(mode, "flood") == 0)
		for (int i = 0; i < 8000; i++)
			printf("%07d 0123456789abcdefg\n", i);
	else if (strcmp(mode, "bytes") == 0)
		for (int i = 0; i < 256; i++)
			putchar(i);
	else if (strcmp(mode, "cpus") == 0)
		printf("%ld\n", sysconf(_SC_NPROCESSORS_ONLN));
	else if (strcmp(mode, "hang") == 0)
		for (;;)
			pause();
	return 0;
}
"""


class RunTest(unittest.TestCase):
    """Each test boots at most a few machines."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="threadbare-test-")
        cls.program = cls.path("prog")
        with open(cls.path("prog.c"), "w", encoding="ascii") as file:
            file.write(PROGRAM)
        subprocess.run([USERCC, "-static", "-O1", "-o", cls.program, cls.path("prog.c")],
                       check=True)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    def write(self, name, data, mode=0o644):
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, mode)
        return path

    def run_tool(self, *arguments, stdin=b""):
        return subprocess.run(
            [os.path.join(TOP, "tools/run"), "--build", "debug", *arguments],
            input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)

    def run_program(self, *arguments, options=(), stdin=b""):
        return self.run_tool("--smp", "1", *options, "--", self.program, *arguments,
                             stdin=stdin)

    def check(self, done, status, out=None):
        self.assertEqual(done.returncode, status, done.stderr.decode(errors="replace"))
        if out is not None:
            self.assertEqual(done.stdout, out)

    def refused(self, path, *words):
        done = self.run_tool(path)
        self.check(done, 126, b"")
        for word in words:
            self.assertIn(word, done.stderr.decode())

    # --- The guest's answers ---

    def test_exit_status(self):
        for status in (0, 1, 125):
            self.check(self.run_program("exit", str(status)), status, b"")

    def test_profile(self):
        done = subprocess.run([os.path.join(TOP, "tools/profile"), "--mem", "32", "/bench/steps", "futex"],
                              stdout=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"mi_switch", done.stdout)

    def test_killed(self):
        for number, words in ((9, ("signal", "9")), (15, ("signal", "15")), (11, ("fault",))):
            log = self.path("log")
            self.check(self.run_program(*words, options=("--log", log)), 128 + number)
            with open(log, encoding="ascii") as file:
                self.assertNotIn("leak:", file.read(), words)

    def test_arguments(self):
        words = ["args", "", "a b", "x'y", 'say "hi"', "-v", "--", "k=v,w", "\u00e4"]
        done = self.run_program(*words)
        want = "".join("[%s]\n" % word for word in ["/run/prog", *words])
        self.check(done, 0, want.encode())

    def test_environment(self):
        self.check(self.run_program("env", "PATH"), 0, b"/bin:/usr/bin\n")
        self.check(self.run_program("env", "X", options=("--env", "X=1 2")), 0, b"1 2\n")

    def test_arguments_fit(self):
        """The kernel has 128 KiB for arguments and environment; more is refused."""
        self.check(self.run_program("exit", "3", "x" * 120000), 3, b"")
        room = 128 * 1024 - len("/run/prog") - 2
        for words in (["x" * (room - 8)], ["x" * (room - 30)], ["x" * 70000] * 2):
            done = self.run_program(*words)
            self.check(done, 126, b"")
            self.assertIn("larger than", done.stderr.decode())

    def test_output_is_whole(self):
        want = b"".join(b"%07d 0123456789abcdefg\n" % i for i in range(8000))
        self.check(self.run_program("flood"), 0, want)

    def test_output_is_exact(self):
        self.check(self.run_program("bytes"), 0, bytes(range(256)))

    def test_cpus(self):
        done = self.run_tool("--smp", "3", self.program, "cpus")
        self.check(done, 0, b"3\n")
        done = self.run_tool("--iso", "--smp", "2", self.program, "cpus")
        self.check(done, 0, b"2\n")

    def test_stdin_file(self):
        text = b"".join(b"line %d\n" % i for i in range(500))
        path = self.write("input", text)
        self.check(self.run_program("stdin", options=("--stdin", path)), 0, text)

    def test_stdin_pipe_is_not_overrun(self):
        text = b"".join(b"line %d\n" % i for i in range(1500))
        self.check(self.run_program("slow", stdin=text), 0, b"go\n" + text)

    def test_stdin_pipe(self):
        self.check(self.run_program("stdin", stdin=b"one\ntwo"), 0, b"one\ntwo")
        self.check(self.run_program("poll", stdin=b"one\ntwo"), 0, b"go\none\ntwo")

    def test_add(self):
        one = self.write("one", b"first\n")
        os.makedirs(self.path("tree/sub"), exist_ok=True)
        self.write("tree/sub/two", b"second\n")
        for options, name, want in (
                (("--add", one), "/one", b"first\n"),
                (("--add", one + "=/etc/motd"), "/etc/motd", b"first\n"),
                (("--add", self.path("tree") + "=/data"), "/data/sub/two", b"second\n")):
            self.check(self.run_program("file", name, options=options), 0, want)

    def test_timeout(self):
        log = os.path.join(self.folder, "timeout.log")
        for limit in ("4", "16", "64"):     # the first that is long enough for a boot here
            done = self.run_program("hang", options=("--timeout", limit, "--log", log))
            self.check(done, 124)
            with open(log, encoding="utf-8") as file:
                if "init: " in file.read():
                    break
        # The kernel was asked where everybody is.
        self.assertRegex(done.stderr.decode(), r"(?s)ended after %s seconds\nwhere it was:\npanic: .*NMI from outside.*"
                                               r"\n +1  LWP of 1 +\w+ +cpu\d  \w+ " % limit)
        self.assertIn(b"4 seconds", done.stderr)

    def test_icount(self):
        self.check(self.run_program("exit", "7", options=("--icount",)), 7, b"")

    def test_log(self):
        log = self.path("log")
        self.check(self.run_program("args", options=("--log", log)), 0)
        with open(log, encoding="utf-8") as file:
            text = file.read()
        self.assertIn("[args]\n", text)
        self.assertTrue(text.endswith("exit: status=0\n"), text[-200:])

    # --- What is refused before boot ---

    def test_missing(self):
        for name in ("/nowhere/prog", "no-such-program", self.path("absent")):
            done = self.run_tool(name)
            self.check(done, 127, b"")
            self.assertIn(name, done.stderr.decode())

    def test_dynamic(self):
        dynamic = self.path("dynamic")
        subprocess.run(["gcc", "-o", dynamic, self.path("prog.c")], check=True)
        self.refused(dynamic, "dynamically linked", "musl-gcc -static")

    def test_foreign(self):
        def header(bits, machine):
            return (b"\x7fELF" + bytes([bits, 1, 1]) + bytes(9)
                    + struct.pack("<HHI", 2, machine, 1)).ljust(128, b"\0")
        self.refused(self.write("arm", header(2, 183)), "64-bit ARM", "musl-gcc -static")
        self.refused(self.write("i386", header(1, 3)), "not a 64-bit x86", "musl-gcc")
        self.refused(self.write("short", b"\x7fELF\2\1\1"), "cut short")
        with open(self.program, "rb") as file:
            self.refused(self.write("half", file.read(10000)), "cut short")
        self.refused(self.write("empty", b""), "not an ELF program")
        self.refused(self.write("script", b"#!/bin/sh\n"), "script")
        self.refused(self.path("prog.c"), "musl-gcc -static -O2 -o")
        self.refused(self.folder, "not a regular file")

    def test_usage(self):
        for options in (("--smp", "0"), ("--mem", "16", "--smp", "64"), ("--no-such-option",),
                        ("--timeout", "-1"), ("--env", "NAME"), ("--append", "x" * 1000),
                        ("--append", "\u00e9" * 600)):
            done = self.run_tool(*options)
            self.check(done, 126, b"")
            self.assertIn(b"usage: tools/run", done.stderr)
        done = self.run_program("exit", "3", options=("--append", "no-such=1"))
        self.check(done, 3, b"")
        self.assertEqual(done.stderr, b"tools/run: option no-such is unknown and ignored\n")
        self.check(self.run_program(options=("--log", self.path("absent/l"))), 126)
        self.check(self.run_program(options=("--trace", self.path("absent/t"))), 126)
        with open(self.path("kept"), "w", encoding="ascii") as file:
            file.write("of another run")
        for words, status in ((("absent",), 127), (("--dry-run", self.program), 0),
                              (("--stdin", "/dev/zero", self.program), 126)):
            done = self.run_tool("--trace", self.path("kept"), "--log", self.path("kept"), *words)
            self.assertEqual((done.returncode, os.path.getsize(self.path("kept"))), (status, 14), words)
        self.check(self.run_program(options=("--add", self.path("absent"))), 126)
        self.check(self.run_program(options=("--stdin", self.path("absent"))), 126)
        self.check(self.run_program(options=("--stdin", "/dev/zero")), 126)

    def test_full(self):
        """A log or trace that cannot be written is told, and the program's status stays."""
        full = self.path("full")
        os.symlink("/dev/full", full)
        for option, want in (("--log", "the log is cut short: No space"), ("--trace", "no trace: ")):
            done = self.run_program("exit", "3", options=(option, full))
            self.check(done, 3, b"")
            self.assertRegex(done.stderr.decode(), "^tools/run: " + want + ".*\n$")
            self.assertTrue(os.path.lexists(full))      # a device is not removed


if __name__ == "__main__":
    unittest.main()
