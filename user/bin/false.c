/* SPDX-License-Identifier: BSD-2-Clause */
/* false: fails. */

int
main(void)
{
	return 1;
}
