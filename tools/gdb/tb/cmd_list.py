# SPDX-License-Identifier: BSD-2-Clause
"""lwps, procs, idtab."""

from . import cpus, kern, model
from .kern import addr, plural


class Lwps(kern.Command):
    """List every LWP: `lwps`.

The columns: `*` marks who runs on a CPU; id, process, state, the CPU it runs or last ran on,
effective priority (higher runs first; `+` if lent by a waiter), scheduling class with its number,
name, and for a sleeper the reason, for a stopped one the signal. Idle LWPs are IDL for ever; another
LWP that is IDL is being made or freed."""

    name = "lwps"

    def run(self, words):
        if words:
            self.usage("")
        everybody = model.lwps()
        current = {c.curlwp for c in cpus.cpus()}
        print("    LID    PID  STATE      CPU   PRI  CLASS     NAME             WAIT")
        for l in everybody:
            lent = int(l.v["l_inheritedprio"]) >= 0
            wait = "stop-%d" % l.proc.stop_signal if l.state == "STOP" else l.wmesg
            print(("%s%6d %6d  %-9s  %3d  %4d%s %-8s  %-15s  %s" % (
                "*" if l.addr in current else " ", l.lid, l.pid, l.state, l.cpu, l.priority,
                "+" if lent else " ", l.sched_class, l.name, wait)).rstrip())
        print(plural(len(everybody), "LWP"))


class Procs(kern.Command):
    """List every process: `procs`.

Its parent, process group and session, state (for one that is stopped or stopping with the signal),
count of LWPs, name, and the LWPs' ids."""

    name = "procs"

    def run(self, words):
        if words:
            self.usage("")
        found, notes = model.procs()
        print("   PID PARENT  GROUP   SESS  STATE       LWPS  NAME             LWP IDS")
        for p in found:
            walk = p.lwps()
            lids = []
            for ptr in walk:
                lids.append(str(int(ptr["l_lid"])))
            if len(lids) > 4:
                lids[3:] = ["..."]
            if walk.broken:
                lids.append("(list %s)" % walk.broken)
            state = p.state + (" (%d)" % p.stop_signal if p.stop_signal else "")
            print(("%6d %6d %6d %6d  %-11s %4d  %-15s  %s" % (
                p.pid, p.parent, *p.group, state, int(p.v["p_nlwps"]), p.name,
                " ".join(lids))).rstrip())
        for note in notes:
            print(note)
        print("%d process%s" % (len(found), "" if len(found) == 1 else "es"))


class Idtab(kern.Command):
    """Show the id table: `idtab`, with free entries too: `idtab all`.

An entry holds an LWP, a process whose first LWP is gone, a process group, or the ids that it gave
out before. docs/ids.md."""

    name = "idtab"

    def run(self, words):
        if words not in ([], ["all"]):
            self.usage("[all]")
        table = model.IdTable()
        print("%d entries, %d in use, grows at %d; free from %d to %d" % (
            table.mask + 1, table.count, table.limit, table.next_free, table.last_free))
        print("  ENTRY      ID  HOLDS     STATE      NAME             GROUP")
        for entry in table.entries:
            if entry.kind == model.FREE and not entry.pgrp and not words:
                continue
            print(self.line(table, entry).rstrip())

    @staticmethod
    def line(table, entry):
        state, name, ident = "", "", str(entry.pid)
        try:
            if entry.kind == model.LWP:
                l = model.Lwp(entry.object)
                state, name = l.state, "%s of %d" % (l.name, l.pid)
                if l.lid != entry.pid:
                    state += "!"
            elif entry.kind == model.PROC:
                p = model.Proc(entry.object)
                state, name = p.state, p.name
            elif entry.kind == model.FREE:
                # The id that it had last, and the entry behind it on the free list.
                saved = entry.slot >> 1
                ident = "-"
                name = "last id %d, next entry %d" % (
                    (saved & ~table.mask) | entry.index, saved & table.mask)
            else:
                ident = "-"
        except kern.gdb.MemoryError as error:
            state = "?"
            name = str(error)
        group = ""
        if entry.pgrp:
            group = "%d" % _group_id(entry.pgrp)
        return "%7d %7s  %-8s  %-9s  %-15s  %s" % (
            entry.index, ident, entry.kind, state, name, group)


def _group_id(address):
    try:
        return int(kern.at(address, "struct pgrp")["pg_id"])
    except kern.gdb.MemoryError:
        return -1


Lwps()
Procs()
Idtab()
