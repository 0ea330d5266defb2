/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * echo [-n] [argument...]: prints its arguments, and a newline without -n.
 */
#include <stdio.h>
#include <string.h>

int
main(int argc, char **argv)
{
	int i = 1, newline = 1;

	if (i < argc && strcmp(argv[i], "-n") == 0) {
		newline = 0;
		i++;
	}
	for (; i < argc; i++)
		printf("%s%s", argv[i], i + 1 < argc ? " " : "");
	if (newline)
		putchar('\n');
	if (fflush(stdout) == EOF) {
		perror("echo");
		return 1;
	}
	return 0;
}
