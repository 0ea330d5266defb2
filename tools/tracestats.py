# SPDX-License-Identifier: BSD-2-Clause
"""Loads a trace file, checks its form, and makes the tables of tools/trace stats."""

import bisect
import collections
import json
import math

from tracejson import CPUS, EXIT_STEPS

PHASES = "XibesfMC"
STATES = ("run", "ready", "sleep", "stopped")


class BadTrace(Exception):
    """The file is no trace; the text tells why."""


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            trace = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise BadTrace("%s: %s" % (path, error)) from None
    if not isinstance(trace, dict) or not isinstance(trace.get("traceEvents"), list):
        raise BadTrace("%s: no object with traceEvents" % path)
    return trace


# --- check --------------------------------------------------------------------------


NEEDED = {"X": ("cat",), "i": ("cat", "args"), "b": ("cat", "args"), "e": ("cat",), "M": ("args",)}
NUMBERS, TEXTS = ("life", "latency_us", "status"), ("called", "kind", "comm")   # what is counted of args


def number(value, least=-math.inf):
    try:
        return isinstance(value, (int, float)) and math.isfinite(value) and value >= least
    except OverflowError:
        return False


def wrong_args(e):
    """Is one that is counted of another type?"""
    numbers = NUMBERS + (("from", "to") if e.get("cat") in ("steal", "migrate") else ())
    return any(key in e["args"] and not number(e["args"][key]) for key in numbers) \
        or any(not isinstance(e["args"].get(key, ""), str) for key in TEXTS)


def check(trace):
    """Return what breaks the rules of the trace-event format, or of tools/run's use of it; [] if nothing does."""
    bad = []
    last = {}                   # (pid, tid) -> end of its last slice
    flows, asyncs = {}, {}
    named = {(str(e.get("pid")), str(e.get("tid"))) for e in trace["traceEvents"]
             if isinstance(e, dict) and e.get("name") == "thread_name"}
    other = trace.get("otherData", {})
    if not isinstance(other, dict):
        return ["otherData is no object"]
    lost = other.get("overrun_events", [])
    if not isinstance(lost, list) or not all(number(n, 0) for n in [
            *lost, *(other.get(key, 0) for key in
              ("cpus", "left_out_events", "overrun_names", "broken_events", "start_us", "end_us"))]):
        bad.append("otherData: a count or a time is no number")

    def complain(i, text):
        if len(bad) < 20:
            bad.append("event %d: %s" % (i, text))

    for i, e in enumerate(trace["traceEvents"]):
        if not isinstance(e, dict):
            complain(i, "is no object")
            continue
        ph = e.get("ph")
        if ph not in tuple(PHASES):
            complain(i, "phase %r" % ph)
            continue
        if any(not isinstance(e.get(key), int) or e[key] < 0 for key in ("pid", "tid")):
            complain(i, "pid or tid is no natural number")
            continue
        if not isinstance(e.get("name"), str):
            complain(i, "no name")
        if not number(e.get("ts"), 0):
            complain(i, "time %r" % e.get("ts"))
            continue
        row = (e["pid"], e["tid"])
        if ph != "M" and tuple(map(str, row)) not in named:
            complain(i, "row %d/%d has no name" % row)
        if "args" in e and not isinstance(e["args"], dict):
            complain(i, "args is no object")
        elif "args" in e and wrong_args(e):
            complain(i, "args: a number or a text is none")
        elif any(key not in e for key in NEEDED.get(ph, ())):
            complain(i, "%s is missing" % " or ".join(NEEDED[ph]))
        elif ph == "M" and e.get("name") in ("thread_name", "process_name") \
                and not isinstance(e["args"].get("name"), str):
            complain(i, "the name is no text")
        if "id" in e and not isinstance(e["id"], (int, str)) or not isinstance(e.get("cat", ""), str):
            complain(i, "id or cat is no word")
            continue
        if ph == "X":
            if not number(e.get("dur"), 0):
                complain(i, "duration %r" % e.get("dur"))
            elif e["ts"] < last.get(row, 0) - 0.0015:
                complain(i, "overlaps the slice before it on row %d/%d" % row)
            else:
                last[row] = e["ts"] + e["dur"]
        elif ph == "i" and e.get("s") not in ("t", "p", "g"):
            complain(i, "instant without a scope")
        elif ph in "sf":
            if "id" not in e:
                complain(i, "flow without an id")
            elif ph == "s":
                flows[e["id"]] = i
            elif flows.pop(e["id"], None) is None:
                complain(i, "flow %s ends, which has not begun" % e["id"])
        elif ph in "be":
            key = (e.get("cat"), e.get("id"), e["pid"])
            if None in key:
                complain(i, "async without cat or id")
            elif ph == "b":
                asyncs[key] = i
            elif asyncs.pop(key, None) is None:
                complain(i, "async %s ends, which has not begun" % (key,))
    for key, i in asyncs.items():
        complain(i, "async %s never ends" % (key,))
    return bad


# --- stats --------------------------------------------------------------------------


def percentile(values, part):
    """Return the least value that this part of all does not exceed."""
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)] if values else 0.0


def asyncs(events, cat):
    """Yield (begin event, duration in us, arguments of the end) of each async slice."""
    opened = {}
    for e in events:
        if e.get("cat") != cat or e["ph"] not in "be":
            continue
        if e["ph"] == "b":
            opened[e["id"]] = e
        elif e["id"] in opened:
            begin = opened.pop(e["id"])
            yield begin, e["ts"] - begin["ts"], e.get("args", {})


class Stats:
    """All that the tables need, gathered in one go; times in microseconds."""

    def __init__(self, trace):
        events = trace["traceEvents"]
        self.trace = trace
        self.names = {}         # (pid, tid) -> title
        self.comms = {}
        self.lwps = collections.defaultdict(lambda: dict.fromkeys(STATES + ("lock",), 0.0))
        self.latencies = collections.defaultdict(list)
        self.slices = collections.Counter()
        self.locks = collections.defaultdict(lambda: [0, 0.0, 0.0, collections.Counter()])
        self.steals, self.migrations = collections.Counter(), collections.Counter()
        self.runs = collections.defaultdict(list)
        for e in events:
            row = (e["pid"], e["tid"])
            if e["ph"] == "M":
                if e["name"] == "thread_name":
                    self.names[row] = e["args"]["name"]
                elif e["name"] == "process_name":
                    self.comms[e["pid"]] = e["args"]["name"]
            elif e["ph"] == "X" and e["pid"] != CPUS and e.get("cat") in STATES:
                args = e.get("args", {})
                key = row + (args.get("life", 0),)
                self.lwps[key][e["cat"]] += e["dur"]
                self.slices[key, e["cat"]] += 1
                if "called" in args:
                    self.names[key] = args["called"]
                if e["cat"] == "run":
                    self.runs[row].append((e["ts"], e["ts"] + e["dur"]))
                if "latency_us" in args:
                    self.latencies[key].append(args["latency_us"])
            elif e["ph"] == "i" and e.get("cat") in ("steal", "migrate"):
                moves = self.steals if e["cat"] == "steal" else self.migrations
                moves[e["args"].get("from", -1), e["args"].get("to", -1)] += 1
        for begin, us, _ in asyncs(events, "lock"):
            # A lock without a name is called after who waits, and that may be several: it is one nonetheless.
            name, _, place = begin["name"].partition(" in ")
            lock = self.locks[name, begin["args"].get("kind", "")]
            lock[0] += 1
            lock[1] += us
            lock[2] = max(lock[2], us)
            if place:
                lock[3][place] += us
            key = (begin["pid"], begin["tid"], begin["args"].get("life", 0))
            if key in self.lwps:
                self.lwps[key]["lock"] += us
        self._exits(events)

    def _exits(self, events):
        self.exits = []
        steps = collections.defaultdict(list)
        for begin, us, _ in asyncs(events, "exit"):
            if begin["name"] == "exit":
                start, end = begin["ts"], begin["ts"] + us
                runs = self.runs[begin["pid"], begin["tid"]]
                cpu = sum(max(0.0, min(end, b) - max(start, a))
                          for a, b in runs[max(0, bisect.bisect(runs, (start,)) - 1):
                                           bisect.bisect(runs, (end,))])
                self.exits.append((begin["pid"], begin["tid"], begin["args"].get("status", 0),
                                   us, cpu, steps.pop(begin["pid"], []),
                                   begin["args"].get("comm") or self.comms.get(begin["pid"], "?")))
            else:
                steps[begin["pid"]].append((begin["name"], us))

    def title(self, key):
        return self.names.get(key) or self.names.get(key[:2], "lwp/%d" % key[1])

    @staticmethod
    def lock_title(name, places):
        """The lock, and the two functions that waited longest if it has no name."""
        first = [place for place, _ in places.most_common(2)]
        return name + (" in " + ", ".join(first) if first else "") + (", ..." if len(places) > 2 else "")


def mark(trace, text):
    """Return the time of the first mark that has text in its name."""
    for e in trace["traceEvents"]:
        if e["ph"] == "i" and text in e["name"]:
            return e["ts"]
    raise BadTrace("there is no mark \"%s\"" % text)


def losses(trace):
    """Return what the trace has lost, in words; "" if nothing."""
    other = trace.get("otherData", {})
    out = []
    if sum(other.get("overrun_events", [])) or other.get("left_out_events"):
        out.append("%d events were overwritten, %d left out with them"
                   % (sum(other.get("overrun_events", [])), other.get("left_out_events", 0)))
    if other.get("overrun_names"):
        out.append("%d names were overwritten" % other["overrun_names"])
    if other.get("broken_events"):
        out.append("%d events were being written at the end" % other["broken_events"])
    return "; ".join(out)


def table(title, heads, rows, out):
    """Print a table: first column to the left, numbers to the right."""
    if not rows:
        return
    cells = [[c if isinstance(c, str) else "%.1f" % c if isinstance(c, float) else str(c)
              for c in row] for row in rows]
    widths = [max(len(r[i]) for r in cells + [list(heads)]) for i in range(len(heads))]

    def line(row):
        return "  ".join(c.ljust(w) if i == 0 else c.rjust(w)
                         for i, (c, w) in enumerate(zip(row, widths))).rstrip()
    out.append("")
    out.append(title)
    out.append(line(heads))
    out += [line(row) for row in cells]


def report(trace, top=20):
    """Return the lines of the report."""
    stats, other = Stats(trace), trace.get("otherData", {})
    out = ["%s CPUs, %s events, %.3f ms; times in microseconds"
           % (other.get("cpus", "?"), other.get("events", "?"),
              (other.get("end_us", 0) - other.get("start_us", 0)) / 1000)]
    if losses(trace):
        out.append("INCOMPLETE: " + losses(trace))

    rows = sorted(stats.lwps.items(), key=lambda kv: -kv[1]["run"])
    shown = [(stats.title(k), k[0], v["run"], v["ready"], v["sleep"], v["stopped"], v["lock"],
              stats.slices[k, "run"]) for k, v in rows[:top]]
    if len(rows) > top:
        rest = [v for _, v in rows[top:]]
        shown.append(("%d more" % len(rest), "") + tuple(
            sum(v[s] for v in rest) for s in STATES + ("lock",))
            + (sum(stats.slices[k, "run"] for k, _ in rows[top:]),))
    shown.append(("all", "") + tuple(sum(v[s] for _, v in rows) for s in STATES + ("lock",))
                 + (sum(stats.slices[k, "run"] for k, _ in rows),))
    table("LWPs, by time on a CPU", ("name/lid", "pid", "run", "ready", "sleep", "stopped",
                                     "lock", "runs"), shown, out)

    everything = [v for values in stats.latencies.values() for v in values]
    rows = sorted(stats.latencies.items(), key=lambda kv: -len(kv[1]))[:top]
    table("Wakeup to run", ("name/lid", "wakeups", "50 %", "90 %", "99 %", "max"),
          [(name, len(v), percentile(v, .5), percentile(v, .9), percentile(v, .99), max(v))
           for name, v in [(stats.title(k), v) for k, v in rows]
           + ([("all", everything)] if everything else [])], out)

    rows = sorted(stats.locks.items(), key=lambda kv: -kv[1][1])[:top]
    table("Contended locks, by time waited", ("lock", "kind", "times", "waited", "longest"),
          [(stats.lock_title(k[0], v[3]), k[1]) + tuple(v[:3]) for k, v in rows], out)

    moves = sorted(set(stats.steals) | set(stats.migrations))
    table("LWPs moved between CPUs", ("from -> to", "stolen", "migrated"),
          [("%d -> %d" % m, stats.steals[m], stats.migrations[m]) for m in moves], out)

    rows = sorted(stats.exits, key=lambda x: -x[3])
    found = {name for r in rows for name, _ in r[5]}
    names = [name for name in EXIT_STEPS.values() if name in found]
    shown = [("%s (%d)" % (comm, pid), us, cpu) + tuple(dict(steps).get(n, 0.0) for n in names)
             for pid, _, _, us, cpu, steps, comm in rows[:top]]
    if len(rows) > 1:
        shown.append(("average of %d" % len(rows),) + tuple(
            sum(values) / len(rows) for values in
            [[r[3] for r in rows], [r[4] for r in rows]]
            + [[dict(r[5]).get(n, 0.0) for r in rows] for n in names]))
    table("Exits of processes, by duration", ("process", "whole", "on CPU") + tuple(names),
          shown, out)
    return out
