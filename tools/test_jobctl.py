# SPDX-License-Identifier: BSD-2-Clause
"""Job control over the serial line: ^C, ^\\ and ^Z are typed on a terminal, docs/signals.md."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from test_monitor import Session  # noqa: E402

USERCC = os.environ.get("USERCC", "musl-gcc")

# A job in the foreground; what becomes of it is told, a stopped one is continued once it was told.
PROGRAM = r"""
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void
job(int reads)
{
	char line[80];
	ssize_t n;

	setpgid(0, 0);
	tcsetpgrp(0, getpid());
	signal(SIGTTOU, SIG_DFL);
	printf("job runs\n");
	fflush(stdout);
	if (!reads)
		for (;;)
			pause();
	while ((n = read(0, line, sizeof(line))) > 0)
		printf("read %.*s", (int)n, line), fflush(stdout);
	_exit(n == 0 ? 7 : 8);
}

int
main(int argc, char **argv)
{
	int st, stops = 0;
	pid_t pid;

	if (argc > 2) {
		printf("%s program\n", argv[1]);
		for (;;)
			pause();
	}
	signal(SIGTTOU, SIG_IGN);
	if ((pid = fork()) == 0)
		job(argc > 1);
	while (waitpid(pid, &st, WUNTRACED) == pid && WIFSTOPPED(st)) {
		printf("stopped by %d\n", WSTOPSIG(st));
		if (argc > 1 && stops++ == 0) { /* once in the background */
			tcsetpgrp(0, getpgrp());
			kill(-pid, SIGCONT);
			continue;
		}
		tcsetpgrp(0, pid);
		kill(-pid, SIGCONT);
		printf("continued\n");
		fflush(stdout);
	}
	tcsetpgrp(0, getpgrp());
	printf(WIFSIGNALED(st) ? "killed by %d\n" : "exited %d\n",
	    WIFSIGNALED(st) ? WTERMSIG(st) : WEXITSTATUS(st));
	return 0;
}
"""


class JobTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="threadbare-test-")
        cls.program = os.path.join(cls.folder, "job")
        source = cls.program + ".c"
        with open(source, "w", encoding="ascii") as file:
            file.write(PROGRAM)
        subprocess.run([USERCC, "-static", "-O1", "-o", cls.program, source], check=True)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def check_end(self, session, status):
        self.assertEqual(session.end(), status, session.text[-3000:])
        self.assertNotRegex(session.text, r"leak: |panic: ")

    def test_signals(self):
        """Stopped again and again, then ended, by typing."""
        for smp, key, sig in (("1", "\x03", 2), ("4", "\x1c", 3)):
            with self.subTest(smp=smp), Session("--smp", smp, "--", self.program) as session:
                session.wait_for("job runs")
                for _ in range(3):
                    session.send("\x1a")
                    session.wait_for("stopped by 20")
                    session.wait_for("continued")
                session.send(key)
                session.wait_for("killed by %d" % sig)
                self.check_end(session, 0)

    def test_reader(self):
        """A reader that is stopped goes to the background, wants to read there, and reads in the foreground."""
        with Session("--smp", "2", "--", self.program, "reads") as session:
            session.wait_for("job runs")
            session.send("one\r")
            session.wait_for("read one")
            session.send("lost\x1a")
            session.wait_for("stopped by 20")
            session.wait_for("stopped by 21")
            session.wait_for("continued")
            session.send("two\r")
            session.wait_for("read two")
            session.send("\x04")
            session.wait_for("exited 7")
            self.check_end(session, 0)

    def test_first_program(self):
        """^C ends a program that knows of no job control."""
        with Session("--smp", "1", "--", self.program, "plain", "1") as session:
            session.wait_for("plain program")
            session.send("\x03")
            self.check_end(session, 130)


if __name__ == "__main__":
    unittest.main()
