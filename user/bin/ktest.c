/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ktest NAME...: runs in-kernel tests of a debug kernel through /dev/debug, as TAP.
 */
#include <stdio.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	int fd = open("/dev/debug", O_RDWR), failed = 0;

	if (fd < 0) {
		perror("ktest: /dev/debug (a debug kernel has it)");
		return 2;
	}
	printf("1..%d\n", argc - 1);
	for (int i = 1; i < argc; i++) {
		char cmd[80];
		int len = snprintf(cmd, sizeof(cmd), "ktest %s", argv[i]);
		int ok = write(fd, cmd, (size_t)len) == len;

		printf("%sok %d - %s\n", ok ? "" : "not ", i, argv[i]);
		if (!ok) {
			printf("# %s\n", strerror(errno));
			failed = 1;
		}
		fflush(stdout);
	}
	return failed;
}
