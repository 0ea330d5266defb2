/* SPDX-License-Identifier: BSD-2-Clause */
/* Fail points: the table of settings, the option `fp=`, and the wait itself. */
#include <kernel/failpoint.h>

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/atomic.h>
#include <kernel/monitor.h>
#include <kernel/options.h>
#include <kernel/panic.h>
#include <kernel/random.h>
#include <kernel/string.h>

#define FP_USEC_MAX 10000000u

#ifdef DEBUG

uint32_t fp_usec[FP_COUNT]; /* (a) 0 = off */

static const char *const fp_names[FP_COUNT] = {
#define X(id, name) name,
	FAILPOINTS(X)
#undef X
};

void
fp_hit(enum failpoint f)
{
	uint64_t usec = atomic_load_relaxed(&fp_usec[f]);
	nsec_t end;

	if (usec == 0 || EXPLORING)
		return;
	end = arch_time_ns() + krandom() % (usec * 1000);
	while (arch_time_ns() < end && !atomic_load_relaxed(&panicking))
		arch_cpu_relax();
}

int
fp_set(const char *name, uint32_t usec)
{
	for (unsigned f = 0; f < FP_COUNT; f++) {
		if (strcmp(name, fp_names[f]) == 0) {
			atomic_store_relaxed(&fp_usec[f], usec);
			return 0;
		}
	}
	return -ENOENT;
}

static void
fp_list(struct monitor_out *out)
{
	mo_printf(out, "   USEC FAIL POINT\n");
	for (unsigned f = 0; f < FP_COUNT; f++)
		mo_printf(out, "%7u %s\n", atomic_load_relaxed(&fp_usec[f]), fp_names[f]);
}

#else

int
fp_set(const char *name __unused, uint32_t usec __unused)
{
	return -ENOSYS;
}

static void
fp_list(struct monitor_out *out)
{
	mo_printf(out, "fail points need the debug kernel\n");
}

#endif

/* fp=name:usec[,name:usec] */
static int
set_fp(const char *value)
{
	while (*value != '\0') {
		char name[48], number[12];
		const char *colon = strchr(value, ':');
		const char *end = strchr(value, ',');
		uint64_t usec;

		if (end == NULL)
			end = value + strlen(value);
		if (colon == NULL || colon > end || (size_t)(colon - value) >= sizeof(name) ||
		    (size_t)(end - colon) > sizeof(number))
			return -EINVAL;
		strlcpy(name, value, (size_t)(colon - value) + 1);
		strlcpy(number, colon + 1, (size_t)(end - colon));
		if (option_u64(number, 0, FP_USEC_MAX, &usec) != 0)
			return -EINVAL;
		if (fp_set(name, (uint32_t)usec) != 0) {
			fp_list(&log_out);
			return -EINVAL;
		}
		value = *end == ',' ? end + 1 : end;
	}
	return 0;
}
OPTION(fp, "name:microseconds[,name:microseconds...], 0 to 10000000", set_fp);

/* Without arguments, the list; else name and microseconds. */
static int
cmd_fp(struct monitor_out *out, char *args)
{
	const char *blank = strchr(args, ' ');
	char name[48];
	uint64_t usec;

	if (*args == '\0') {
		fp_list(out);
		return MONITOR_STAY;
	}
	if (blank == NULL || (size_t)(blank - args) >= sizeof(name) ||
	    option_u64(blank + 1, 0, FP_USEC_MAX, &usec) != 0) {
		mo_printf(out, "fp NAME USEC: microseconds from 0 to %u\n", FP_USEC_MAX);
		return MONITOR_STAY;
	}
	strlcpy(name, args, (size_t)(blank - args) + 1);
	if (fp_set(name, (uint32_t)usec) != 0)
		mo_printf(out, "fp: there is no fail point %s; fp lists them\n", name);
	return MONITOR_STAY;
}
MONITOR_COMMAND(fp, "fp", "[NAME USEC]", "list the fail points, or set one", cmd_fp);
