/* SPDX-License-Identifier: BSD-2-Clause */
/* The gdb stub's queries: what it can do, lists of threads, documents in pieces, monitor commands. */
#include "gdb_impl.h"

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/lwp.h>
#include <kernel/monitor.h>
#include <kernel/printf.h>
#include <kernel/proc.h>
#include <kernel/string.h>

/* A document of which only the bytes from `skip` on are wanted, as many as the packet takes. */
struct window {
	size_t skip;
	size_t room;
	bool more; /* something did not fit */
};

static void
window_put(struct window *w, const char *s, size_t n)
{
	size_t part;

	if (n <= w->skip) {
		w->skip -= n;
		return;
	}
	s += w->skip;
	n -= w->skip;
	w->skip = 0;
	part = w->more ? 0 : gdb_put_binary(&gdb_tx, s, min(n, w->room));
	w->room -= part;
	if (part < n)
		w->more = true;
}

static void
window_text(struct window *w, const char *s)
{
	window_put(w, s, strlen(s));
}

/* A name may hold anything: what XML minds is replaced. */
static void
window_name(struct window *w, const char *s, size_t size)
{
	char safe[LWP_NAMELEN + 1];
	size_t n = 0;

	for (; n < size && n < LWP_NAMELEN && s[n] != '\0'; n++)
		safe[n] = s[n] >= ' ' && s[n] < 0x7f && strchr("<>&\"'", s[n]) == NULL ? s[n] : '?';
	window_put(w, safe, n);
}

/* ---- documents ---- */

static bool
thread_entry(void *arg, struct lwp *l)
{
	struct window *w = arg;
	const struct cpu *ci = debug_cpu_of(l);
	char text[96];

	if (!gdb_listed(l))
		return true;
	snprintf(text, sizeof(text), "<thread id=\"p%x.%x\" core=\"%u\" name=\"",
	    (unsigned)gdb_pid(l->l_proc), (unsigned)gdb_tid(l),
	    ci != NULL ? ci->ci_index : l->l_cpu->ci_index);
	window_text(w, text);
	window_name(w, gdb_lwp_name(l), LWP_NAMELEN);
	window_text(w, "\">");
	gdb_lwp_text(l, text, sizeof(text));
	window_text(w, text);
	window_text(w, "</thread>\n");
	return true;
}

static void
threads_document(struct window *w, const char *annex __unused)
{
	window_text(w, "<?xml version=\"1.0\"?>\n<threads>\n");
	gdb_each_lwp(thread_entry, w);
	window_text(w, "</threads>\n");
}

static void
target_document(struct window *w, const char *annex)
{
	if (strncmp(annex, "target.xml:", 11) == 0)
		window_text(w, arch_debug_target);
}

/* The kernel's file on gdb's machine, which every process is shown to run: its symbols serve them all. */
static void
file_document(struct window *w, const char *annex __unused)
{
	window_put(w, gdb_kernel_file, strnlen(gdb_kernel_file, GDB_FILE_MAX));
}

static const struct {
	const char *name;
	void (*fn)(struct window *, const char *annex);
} documents[] = {
	{ "threads:read:", threads_document },
	{ "features:read:", target_document },
	{ "exec-file:read:", file_document },
};

/* qXfer:object:read:annex:offset,length */
static void
transfer(const char *p)
{
	struct window w = { 0, 0, false };
	uint64_t offset, length;

	for (unsigned i = 0; i < ARRAY_SIZE(documents); i++) {
		size_t n = strlen(documents[i].name);
		const char *annex = p + n, *at;

		if (strncmp(p, documents[i].name, n) != 0)
			continue;
		at = strchr(annex, ':');
		if (at == NULL || (at++, !gdb_get_number(&at, &offset)) ||
		    !gdb_get_char(&at, ',') || !gdb_get_number(&at, &length) || *at != '\0') {
			gdb_reply_error(EINVAL);
			return;
		}
		w.skip = offset;
		w.room = length;
		gdb_put_char(&gdb_tx, 'm');
		documents[i].fn(&w, annex);
		if (!w.more)
			gdb_tx.tx_data[0] = 'l';
		return;
	}
}

/* ---- thread lists ---- */

/* The list is sent in packets; the next one goes on where this one ended, by count. */
static uint32_t listed;

struct lister {
	uint32_t skip, done;
};

static bool
list_entry_of(void *arg, struct lwp *l)
{
	struct lister *s = arg;

	if (!gdb_listed(l))
		return true;
	if (s->skip > 0) {
		s->skip--;
		return true;
	}
	if (gdb_tx.tx_len + 32 > GDB_PACKET_MAX / 2)
		return false;
	gdb_put_char(&gdb_tx, s->done == 0 ? 'm' : ',');
	gdb_put_id(&gdb_tx, l);
	s->done++;
	return true;
}

static void
thread_info(bool first)
{
	struct lister s = { first ? 0 : listed, 0 };

	gdb_each_lwp(list_entry_of, &s);
	if (s.done == 0)
		gdb_put_char(&gdb_tx, 'l');
	listed = (first ? 0 : listed) + s.done;
}

static void
extra_info(const char *p)
{
	struct gdb_id id;
	const struct lwp *l;
	char text[96];

	if (!gdb_get_id(&p, &id) || *p != '\0' || id.id_tid <= 0 ||
	    (l = gdb_find_lwp(&id)) == NULL) {
		gdb_reply_error(ESRCH);
		return;
	}
	snprintf(text, sizeof(text), "%.16s: ", gdb_lwp_name(l));
	gdb_put_hex(&gdb_tx, text, strlen(text));
	gdb_lwp_text(l, text, sizeof(text));
	gdb_put_hex(&gdb_tx, text, strlen(text));
}

/* ---- monitor ---- */

static void
monitor_write(struct monitor_out *out __unused, const char *s, size_t n)
{
	gdb_console(s, n);
}

static void
monitor(const char *p, size_t len)
{
	static char line[GDB_PACKET_MAX / 2 + 1];
	struct monitor_out out = { monitor_write };
	static const char use_gdb[] = "use gdb's continue\n";

	if (len % 2 != 0 || !gdb_get_hex(&p, line, len / 2)) {
		gdb_reply_error(EINVAL);
		return;
	}
	line[len / 2] = '\0';
	switch (monitor_exec(line, &out)) {
	case MONITOR_REBOOT:
		gdb_reply_ok();
		gdb_send();
		arch_reboot();
	case MONITOR_CONTINUE:
		gdb_console(use_gdb, sizeof(use_gdb) - 1);
		break;
	default:
		break;
	}
	gdb_reply_ok();
}

/* ---- what gdb and the stub can do ---- */

static bool
has_feature(const char *list, const char *feature)
{
	size_t n = strlen(feature);

	for (const char *p = list; p != NULL; p = strchr(p + 1, ';'))
		if (strncmp(p + 1, feature, n) == 0 && (p[1 + n] == ';' || p[1 + n] == '\0'))
			return true;
	return false;
}

static void
supported(const char *list)
{
	char size[32];

	gdb_session.ss_swbreak = has_feature(list, "swbreak+");
	gdb_session.ss_hwbreak = has_feature(list, "hwbreak+");
	snprintf(size, sizeof(size), "PacketSize=%x;", GDB_PACKET_MAX);
	gdb_put(&gdb_tx, size);
	gdb_put(&gdb_tx,
	    "multiprocess+;QStartNoAckMode+;qXfer:features:read+;qXfer:threads:read+;"
	    "vContSupported+;swbreak+;hwbreak+");
	if (gdb_kernel_file[0] != '\0')
		gdb_put(&gdb_tx, ";qXfer:exec-file:read+");
}

static const char *
after(const char *p, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(p, prefix, n) == 0 ? p + n : NULL;
}

void
gdb_query(const char *p, size_t len)
{
	const char *rest;

	if ((rest = after(p, "qSupported")) != NULL) {
		supported(rest);
	} else if ((rest = after(p, "qXfer:")) != NULL) {
		transfer(rest);
	} else if ((rest = after(p, "qRcmd,")) != NULL) {
		monitor(rest, len - (size_t)(rest - p));
	} else if ((rest = after(p, "qThreadExtraInfo,")) != NULL) {
		extra_info(rest);
	} else if (strcmp(p, "qfThreadInfo") == 0 || strcmp(p, "qsThreadInfo") == 0) {
		thread_info(p[1] == 'f');
	} else if (strcmp(p, "qC") == 0) {
		gdb_put(&gdb_tx, "QC");
		gdb_put_id(&gdb_tx,
		    gdb_session.ss_fresh && gdb_session.ss_cause == DEBUG_INTR
			? &lwp0
			: gdb_session.ss_lwp);
	} else if (after(p, "qAttached") != NULL) {
		gdb_put_char(&gdb_tx, '1'); /* to leave is to detach, not to kill */
	} else if (strcmp(p, "QThreadbare.Show") == 0) {
		gdb_show_all();
		gdb_reply_ok();
	} else if (strcmp(p, "QStartNoAckMode") == 0) {
		gdb_reply_ok();
		gdb_session.ss_noack = true; /* from behind this reply on */
	}
}
