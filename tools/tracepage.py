# SPDX-License-Identifier: BSD-2-Clause
"""Pages and pictures of a trace.

The page holds everything that it needs: its data, its own script
(tools/tracepage.html), and vis-timeline, which draws the time line. That
library is fetched once, from npm, in the version and with the checksum below;
it is under the Apache 2.0 or the MIT licence, at the user's choice, and its
notice stays in the page.
"""

import base64
import hashlib
import html as html_escape
import json
import os
import subprocess
import sys
import tarfile
import tempfile

import tracestats
from tracejson import CPUS

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKAGE, RELEASE = "vis-timeline", "8.5.4"
INTEGRITY = "Xt7RNrRvOkQiSyk6vFTXSRwTunT0y9MzDgHY8N8H9nPuebJ6Vg+u3xnv0Swbxna/Pa2E3HjaBblEIQiK74E01Q=="
CACHE = os.path.join(TOP, "build", "js", "%s-%s" % (PACKAGE, RELEASE))
WANTED = ("standalone/umd/vis-timeline-graph2d.min.js", "styles/vis-timeline-graph2d.min.css")
COLOURS = {"run": "#2e9e4f", "ready": "#f0b429", "sleep": "#c9d3df", "stopped": "#8d6bb8",
           "cpu": "#3273c5", "syscall": "#7aa6d8", "fault": "#d9822b", "lock": "#cc3344",
           "exit": "#555f6e"}
LEGEND = (("run", "runs"), ("ready", "ready, waits for a CPU"), ("sleep", "sleeps"),
          ("stopped", "stopped"), ("cpu", "CPU busy"), ("syscall", "system call"),
          ("fault", "fault"), ("lock", "waits for a lock"), ("exit", "exit, by step"))


def library():
    """Return the text of the script and of the style sheet of vis-timeline."""
    paths = [os.path.join(CACHE, os.path.basename(name)) for name in WANTED]
    if not all(map(os.path.exists, paths)):
        _fetch(paths)
    texts = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            texts.append(file.read())
    return texts


def _fetch(paths):
    if subprocess.run(["sh", os.path.join(TOP, "tools/setup"), "page"], stdout=sys.stderr,
                      check=False).returncode != 0:
        raise tracestats.BadTrace("the page needs npm once, to get %s" % PACKAGE)
    print("tools/trace: getting %s %s from npm" % (PACKAGE, RELEASE), file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", folder,
             "%s@%s" % (PACKAGE, RELEASE)], cwd=folder, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False)
        packed = os.path.join(folder, "%s-%s.tgz" % (PACKAGE, RELEASE))
        if done.returncode != 0 or not os.path.exists(packed):
            raise tracestats.BadTrace("npm could not get %s:\n%s" % (PACKAGE, done.stdout))
        with open(packed, "rb") as file:
            digest = hashlib.sha512(file.read()).digest()
        if base64.b64encode(digest).decode() != INTEGRITY:
            raise tracestats.BadTrace("%s %s is not the file it should be" % (PACKAGE, RELEASE))
        os.makedirs(CACHE, exist_ok=True)
        with tarfile.open(packed) as tar:
            for name, path in zip(WANTED, paths):
                with open(path + ".tmp", "wb") as out:
                    out.write(tar.extractfile("package/" + name).read())
                os.replace(path + ".tmp", path)


# --- rows ---------------------------------------------------------------------------


class Row:
    """A row of the picture: slices (start, end, kind, name, args), calls with a depth, marks."""

    def __init__(self, pid, tid, title, process):
        self.pid, self.tid, self.title, self.process = pid, tid, title, process
        self.slices, self.calls, self.marks = [], [], []

    @property
    def is_cpu(self):
        return self.pid == CPUS


def rows(trace, start=None, end=None):
    """Return the rows with what happened between start and end, and the flows, in microseconds."""
    events = trace["traceEvents"]
    start = 0.0 if start is None else start
    end = float("inf") if end is None else end
    found, processes, flows, begun, opened = {}, {}, [], {}, {}
    for e in events:
        if e["ph"] == "M" and e["name"] == "process_name":
            processes[e["pid"]] = e["args"]["name"]
    for e in events:
        if e["ph"] == "M" and e["name"] == "thread_name":
            found[e["pid"], e["tid"]] = Row(e["pid"], e["tid"], e["args"]["name"],
                                            processes.get(e["pid"], ""))
    stacks = {}
    for e in events:
        row, ts = found.get((e["pid"], e["tid"])), e["ts"]
        if e["ph"] == "X":
            if ts + e["dur"] >= start and ts <= end:
                row.slices.append((max(ts, start), min(ts + e["dur"], end), e["cat"], e["name"],
                                   e.get("args", {})))
        elif e["ph"] == "b":
            depths = stacks.setdefault((e["pid"], e["tid"]), set())
            depth = next(d for d in range(len(depths) + 1) if d not in depths)
            depths.add(depth)
            opened[e["id"]] = (e, depth)
        elif e["ph"] == "e" and e["id"] in opened:
            begin, depth = opened.pop(e["id"])
            stacks[begin["pid"], begin["tid"]].discard(depth)
            if ts >= start and begin["ts"] <= end:
                row.calls.append((max(begin["ts"], start), min(ts, end), begin["cat"],
                                  begin["name"], dict(begin["args"], **e.get("args", {})), depth))
        elif e["ph"] == "i" and start <= ts <= end:
            row.marks.append((ts, e["cat"], e["name"], e["args"]))
        elif e["ph"] == "s":
            begun[e["id"]] = e
        elif e["ph"] == "f" and e["id"] in begun:
            s = begun.pop(e["id"])
            if s["ts"] >= start and ts <= end:
                flows.append(((s["pid"], s["tid"]), s["ts"], (e["pid"], e["tid"]), ts))
    order = [r for r in found.values() if r.slices or r.calls or r.marks or r.is_cpu]
    order.sort(key=lambda r: (not r.is_cpu, r.pid, r.tid))
    return order, flows


# --- page ---------------------------------------------------------------------------


def html(trace, args):
    script, style = library()
    order, flows = rows(trace, args.start, args.end)
    index = {(r.pid, r.tid): i for i, r in enumerate(order)}

    def ns(us):
        return round(us * 1000)

    def words(values):
        return ", ".join("%s: %s" % kv for kv in values.items())
    data = {
        "title": os.path.basename(args.file), "other": trace.get("otherData", {}),
        "losses": tracestats.losses(trace),
        "rows": [{
            "cpu": r.is_cpu, "pid": r.pid, "tid": r.tid, "title": r.title, "comm": r.process,
            "s": [[ns(a), ns(b), kind, name, words(more)] for a, b, kind, name, more in r.slices],
            "c": [[ns(a), ns(b), kind, name, words(more), depth]
                  for a, b, kind, name, more, depth in sorted(r.calls, key=lambda c: c[0])],
            "m": [[ns(t), cat, name, words(more)] for t, cat, name, more in r.marks],
        } for r in order],
        "flows": [[index[a], ns(s), index[b], ns(t)] for a, s, b, t in flows
                  if a in index and b in index],
    }
    with open(os.path.join(TOP, "tools/tracepage.html"), encoding="utf-8") as file:
        page = file.read()
    colours = "".join(".k-%s,.vis-item.k-%s{background:%s;border-color:%s}\n" % (k, k, c, c)
                      for k, c in COLOURS.items())
    legend = "".join('<span><i class="k-%s"></i>%s</span>' % kv for kv in LEGEND)
    fill = {
        "TITLE": html_escape.escape("Trace: " + data["title"]), "LIBRARY_STYLE": style,
        "LIBRARY": script.rpartition("//# sourceMappingURL")[0] or script,
        "COLOURS": colours, "LEGEND": legend,
        "DATA": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    }
    parts = page.split("@@")
    return "".join(fill[p] if i % 2 else p for i, p in enumerate(parts))


# --- picture ------------------------------------------------------------------------

BAR, GAP, LEFT, HEAD, FOOT = 14, 6, 150, 24, 40


def nice_step(span, count):
    """Return a step of 1, 2 or 5 times a power of ten that divides span into about count."""
    step = 10.0 ** -3
    while True:
        for factor in (1, 2, 5):
            if span / (step * factor) <= count:
                return step * factor
        step *= 10


def svg(trace, args):
    order, flows = rows(trace, args.start, args.end)
    if args.lid:
        order = [r for r in order if r.is_cpu or r.tid in args.lid]
        if all(r.is_cpu for r in order):
            raise tracestats.BadTrace("none of these LWPs did anything there")
    times = [t for r in order for s in r.slices + r.calls for t in s[:2]]
    if not times:
        raise tracestats.BadTrace("nothing happened there")
    start = args.start if args.start is not None else min(times)
    end = args.end if args.end is not None else max(times)
    scale = (args.width - LEFT - 24) / max(end - start, 0.001)

    def x(t):
        return LEFT + (min(max(t, start), end) - start) * scale
    out, y, places = [], HEAD, {}
    text = '<text x="%.1f" y="%.1f"%s>%s</text>'
    rect = '<rect x="%.1f" y="%.1f" width="%.1f" height="%d" fill="%s"><title>%s</title></rect>'

    def bar(s, top, height):
        left, right = x(s[0]), x(s[1])
        what = "%s, %.1f us" % (s[3], s[1] - s[0])
        out.append(rect % (left, top, max(right - left, 0.4), height, COLOURS.get(s[2], "#999"),
                           html_escape.escape(what)))
        if right - left > 7 * len(s[3]):
            out.append(text % (left + 3, top + height - 3,
                               ' class="%s"' % ("dk" if s[2] in ("sleep", "ready") else "in"),
                               html_escape.escape(s[3])))
    for r in order:
        depth = max((c[5] for c in r.calls), default=-1) + 1
        out.append(text % (4, y + BAR - 3, "", html_escape.escape(r.title)))
        for s in r.slices:
            bar(s, y, BAR)
        for c in r.calls:
            bar(c, y + BAR + 1 + c[5] * 12, 11)
        for t, _, name, _ in r.marks:
            out.append('<path d="M%.1f %.1fl-2.5 -4h5z" fill="#222"><title>%s</title></path>'
                       % (x(t), y, html_escape.escape(name)))
        places[r.pid, r.tid] = y
        y += BAR + GAP + depth * 12 + (1 if depth else 0)
    for a, s, b, t in flows:
        if a in places and b in places and start <= s and t <= end:
            ya, yb = places[a] + BAR / 2, places[b] + BAR / 2
            out.append('<path d="M%.1f %.1fL%.1f %.1f" class="flow"/>' % (x(s), ya, x(t), yb))
    step, t = nice_step(end - start, 8), 0.0
    while start + t <= end:
        left = x(start + t)
        out.insert(0, '<path d="M%.1f %dV%.1f" stroke="#ddd"/>' % (left, HEAD - 6, y))
        out.append(text % (left, 12, ' text-anchor="middle"', "%g" % round(t, 3)))
        t += step
    out.append(text % (4, 12, "", "us from %.1f" % start))
    left = 4
    for kind, name in LEGEND:
        if left + 26 + 6.5 * len(name) > args.width:
            left, y = 4, y + 16
        out.append(rect % (left, y + 6, 10, 10, COLOURS[kind], name))
        out.append(text % (left + 14, y + 15, "", name))
        left += 26 + 6.5 * len(name)
    head = ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%.0f" '
            'font-family="sans-serif" font-size="11"><style>.in{fill:#fff;font-size:10px}'
            '.dk{fill:#333;font-size:10px}'
            '.flow{stroke:#a02;stroke-width:.8;fill:none;marker-end:url(#a)}</style>'
            '<defs><marker id="a" markerWidth="6" markerHeight="6" refX="5" refY="3" '
            'orient="auto"><path d="M0 0L6 3L0 6z" fill="#a02"/></marker></defs>'
            '<rect width="100%%" height="100%%" fill="#fff"/>' % (args.width, y + FOOT - 12))
    return head + "\n".join(out) + "</svg>\n"
