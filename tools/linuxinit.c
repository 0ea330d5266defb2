/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first program on Linux when benchmarks are compared: runs the program
 * named in /program with the serial line as its terminal, then stops the
 * machine.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void
open_console(void)
{
	struct termios t;
	int fd;

	mount("dev", "/dev", "devtmpfs", 0, "");
	mount("proc", "/proc", "proc", 0, "");
	fd = open("/dev/ttyS0", O_RDWR | O_NOCTTY);
	if (fd == -1)
		return;
	if (tcgetattr(fd, &t) == 0) {
		cfmakeraw(&t);
		tcsetattr(fd, TCSANOW, &t);
	}
	for (int i = 0; i < 3; i++)
		dup2(fd, i);
}

int
main(void)
{
	char program[256];
	ssize_t n;
	pid_t pid;
	int fd;

	open_console();
	fd = open("/program", O_RDONLY);
	n = fd == -1 ? -1 : read(fd, program, sizeof(program) - 1);
	if (n > 0) {
		program[n] = '\0';
		pid = fork();
		if (pid == 0) {
			execl(program, program, (char *)NULL);
			_exit(127);
		}
		waitpid(pid, NULL, 0);
	}
	tcdrain(1);
	if (iopl(3) == 0)
		outb(0, 0xf4);
	reboot(RB_POWER_OFF);
	return 1;
}
