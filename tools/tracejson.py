# SPDX-License-Identifier: BSD-2-Clause
"""Turns the kernel's trace into trace-event JSON, for Perfetto and tools/trace.

A row for each CPU (process "CPUs") with what ran there; a row for each LWP,
in its process, with its state: run, ready, sleep, stopped. Flow arrows go
from the waker to where the woken one runs. System calls, faults, waits for
locks and exits are nestable async slices; all other events are instants.
docs/trace.md describes the fields.

Where a ring was overwritten, what happened on the other CPUs before its oldest
event cannot be told rightly: those events are left out, and counted.
"""

import collections
import json

CPUS = 1000000000               # the "process" of the CPU rows: no pid is so large
LOW = 0xffffffff                # of a word that holds two numbers
LANE = 1000                     # tid of a row "CPU n interrupts" is LANE + n
NSIG = {1: "HUP", 2: "INT", 3: "QUIT", 6: "ABRT", 8: "FPE", 9: "KILL", 10: "USR1", 11: "SEGV",
        12: "USR2", 13: "PIPE", 14: "ALRM", 15: "TERM", 17: "CHLD", 18: "CONT", 19: "STOP",
        33: "33"}
TRAPS = {0: "divide error", 1: "debug", 3: "breakpoint", 6: "invalid opcode", 13: "protection",
         14: "page fault"}
# The kernel tells when a step is done; a slice is named after what comes then.
EXIT_STEPS = {"begin": "end siblings", "alone": "close files", "files": "free memory",
              "space": "hand over", "dead": "notify parent", "zomb": "last switch"}


def signal_name(number):
    return "SIG" + NSIG.get(number, str(number))


class Lwp:
    """One life of an LWP."""

    def __init__(self, lid, pid, name, comm, life):
        self.lid, self.pid, self.name, self.comm, self.life = lid, pid, name, comm, life
        self.state = None       # None (not known), run, ready, sleep, stopped, dead
        self.since = None
        self.details = {}
        self.wake = None        # (flow id, time) of the wakeup that has not run yet
        self.calls = []         # open system calls and faults, innermost last
        self.locks = []         # open waits for locks
        self.newest = None      # arguments of its newest slice

    @property
    def idle(self):
        return self.pid == 0 and self.name.startswith("idle")

    @property
    def row(self):
        """Process and thread of its row; what an idle LWP does is the CPU's."""
        return (CPUS, int(self.name[4:])) if self.idle else (self.pid, self.lid)

    @property
    def title(self):
        return "%s/%d" % (self.name or self.comm or "lwp", self.lid)


class Builder:
    """Goes through the events once, keeping the state of each LWP and CPU."""

    def __init__(self, raw):
        self.raw = raw
        self.out = []
        self.lwps = {}          # lid -> Lwp alive now
        self.lives = collections.Counter()
        self.everybody = []
        self.comms = {}
        self.procs = {}         # address -> pid
        self.on_cpu = {}        # cpu -> (lid, since)
        self.exits = {}         # pid -> (last step, its time)
        self.flows = 0
        self.asyncs = 0
        self.left_out = 0
        self.now = 0
        self._names = collections.deque(raw.names)

    # --- time and names -------------------------------------------------------

    def micro(self, cycles):
        return round((cycles - self.raw.base) * 1000000000 // self.raw.hz / 1000, 3)

    def learn_names(self, cycles):
        """Take note of what was named until then, a little beyond: a name follows its event."""
        while self._names and self._names[0].cycles <= cycles:
            self.learn(self._names.popleft())

    def learn(self, name):
        self.procs[name.proc] = name.pid
        self.comms[name.pid] = name.comm or self.comms.get(name.pid, "")
        lwp = self.lwps.get(name.lid)
        if lwp is None or lwp.pid != name.pid or lwp.state == "dead":
            self.born(name.lid, name.pid, name.lname)
        else:
            lwp.name, lwp.comm = name.lname or lwp.name, name.comm

    def born(self, lid, pid, name=""):
        life = self.lives[lid]
        self.lives[lid] += 1
        lwp = Lwp(lid, pid, name, self.comms.get(pid, ""), life)
        self.lwps[lid] = lwp
        self.everybody.append(lwp)
        return lwp

    def lwp(self, lid):
        found = self.lwps.get(lid)
        if found is None:       # its name was overwritten
            found = self.born(lid, lid)
        return found

    # --- output -----------------------------------------------------------------

    def slice(self, pid, tid, name, cat, start, end, args=None):
        event = {"ph": "X", "pid": pid, "tid": tid, "name": name, "cat": cat,
                 "ts": self.micro(start), "dur": round(max(0, self.micro(end)
                                                           - self.micro(start)), 3)}
        if args:
            event["args"] = args
        self.out.append(event)

    def instant(self, e, name, args, cat=None):
        """A mark on the row of the LWP, or of the CPU when it was in an interrupt."""
        lwp = self.lwp(e.lid)
        pid, tid = (CPUS, e.cpu) if e.intr else lwp.row
        args = dict(args, cpu=e.cpu)
        self.out.append({"ph": "i", "s": "t", "pid": pid, "tid": tid, "name": name,
                         "cat": cat or e.type, "ts": self.micro(e.cycles), "args": args})

    def begin(self, lwp, name, cat, cycles, args):
        self.asyncs += 1
        pid, tid = lwp.row
        if lwp.life:
            args["life"] = lwp.life
        self.out.append({"ph": "b", "pid": pid, "tid": tid, "name": name, "cat": cat,
                         "id": self.asyncs, "ts": self.micro(cycles), "args": args})
        return (self.asyncs, name, cat, pid, tid)

    def end(self, opened, cycles, args=None):
        self.out.append({"ph": "e", "pid": opened[3], "tid": opened[4], "name": opened[1],
                         "cat": opened[2], "id": opened[0], "ts": self.micro(cycles),
                         "args": args or {}})

    def flow(self, phase, number, pid, tid, cycles):
        event = {"ph": phase, "pid": pid, "tid": tid, "name": "wakeup", "cat": "wakeup",
                 "id": number, "ts": self.micro(cycles)}
        if phase == "f":
            event["bp"] = "e"
        self.out.append(event)

    # --- states -----------------------------------------------------------------

    def enter(self, lwp, state, cycles, **details):
        """The LWP is in this state from now on; write the slice of the one that ends."""
        if lwp.state not in (None, "dead") and not lwp.idle:
            args = {k: v for k, v in lwp.details.items() if v not in (None, "")}
            args["lid"] = lwp.lid
            if lwp.life:
                args["life"] = lwp.life
            name = lwp.state
            if name == "sleep" and lwp.details.get("on"):
                name = "sleep: " + lwp.details["on"]
            lwp.newest = args
            self.slice(lwp.pid, lwp.lid, name, lwp.state, lwp.since, cycles, args)
        lwp.state, lwp.since, lwp.details = state, cycles, details

    def start_cpu(self, cpu, lid, cycles):
        lwp = self.lwp(lid)
        self.on_cpu[cpu] = (lid, cycles)
        if lwp.state != "run":
            self.enter(lwp, "run", cycles, cpu=cpu)

    def lock_name(self, address, hint):
        pid = self.procs.get(address)
        if pid is not None:
            return "p_lock of %d" % pid
        name = self.raw.symbols.variable(address)
        if name:
            return name
        place = 0xffffffff00000000 | hint
        function = self.raw.symbols.function(place)
        if function:
            return "%#x in %s" % (address, function)
        return "%s %#x" % (self.raw.memory.string(place) or "lock", address)

    # --- events -----------------------------------------------------------------

    def on_switch(self, e):
        word, involuntary = self.raw.word("state", e.arg & 0x7f), bool(e.arg & 0x80)
        prev, new = self.lwp(e.lid), self.lwp(e.a)
        if e.cpu in self.on_cpu and not prev.idle:
            since = self.on_cpu[e.cpu][1]
            self.slice(CPUS, e.cpu, prev.title, "cpu", since, e.cycles,
                       {"lid": prev.lid, "pid": prev.pid, "reason":
                        "preempted" if word == "RUN" and involuntary else word.lower()})
        if word == "RUN":
            self.enter(prev, "ready", e.cycles,
                       why="preempted" if involuntary else "yield")
        elif word == "SLEEP":
            self.enter(prev, "sleep", e.cycles, on=self.raw.memory.string(e.b))
        elif word == "ZOMB":
            self.enter(prev, "dead", e.cycles)
            self.close(prev, e.cycles)
        elif word == "IDL":
            self.enter(prev, None, e.cycles)
        else:
            self.enter(prev, "stopped", e.cycles, how=word.lower())
        details = {"cpu": e.cpu}
        if new.wake and new.state == "ready":
            details["latency_us"] = round(self.micro(e.cycles) - self.micro(new.wake[1]), 3)
        self.enter(new, "run", e.cycles, **details)
        self.on_cpu[e.cpu] = (new.lid, e.cycles)
        if new.wake:
            if new.wake[0]:
                self.flow("f", new.wake[0], new.pid, new.lid, e.cycles)
            new.wake = None

    def close(self, lwp, cycles):
        """A dead LWP ends what it had begun."""
        while lwp.calls:
            self.end(lwp.calls.pop(), cycles, {"result": "never returned"})
        step = self.exits.pop(lwp.pid, None)
        if step:
            self.end(step[1], cycles)
            self.end(step[0], cycles)

    def on_wake(self, e):
        woken, waker = self.lwp(e.a), self.lwp(e.lid)
        args = {"lid": e.a, "on_cpu": e.arg, "by": "interrupt" if e.intr else waker.title}
        if e.b:
            args["still_running"] = True
        self.instant(e, "wake %s" % woken.title, args)
        if e.b:
            return
        self.flows += 1
        pid, tid = (CPUS, e.cpu) if e.intr else waker.row
        number = self.flows
        if (waker.state if tid == waker.lid and pid != CPUS else "run") == "run" \
                and not (pid == CPUS and waker.idle):
            self.flow("s", number, pid, tid, e.cycles)
        else:                   # an idle CPU's row has no slice to begin at
            number = None
        woken.wake = (number, e.cycles)
        if woken.state != "ready":
            self.enter(woken, "ready", e.cycles, by=args["by"],
                       by_lid=None if e.intr else e.lid)

    def on_create(self, e):
        lwp, pid, parent = self.lwps.get(e.a), e.b & LOW, e.b >> 32
        if lwp is None or lwp.pid != pid or lwp.state == "dead":
            lwp = self.born(e.a, pid)
        self.instant(e, "create %s" % lwp.title, {"lid": e.a, "pid": pid})
        if parent:              # the first of a process
            self.instant(e, "%sfork %d" % ("v" if e.arg else "", pid),
                         {"child": pid, "pid": parent}, cat="fork")

    def on_free(self, e):
        pid = e.b & LOW
        if e.arg:
            self.instant(e, "collect %d" % pid, {"pid": pid, "status": e.b >> 32}, cat="collect")
        self.instant(e, "free %d" % e.a, {"lid": e.a, "pid": pid})
        if e.a in self.lwps and self.lwps[e.a].state == "dead":
            del self.lwps[e.a]

    def on_exec(self, e):
        lwp = self.lwp(e.b)
        self.instant(e, "exec", {"lid": e.a, "was": e.b})
        if e.a != e.b:          # it goes on under the process's id
            self.enter(lwp, None, e.cycles)
            del self.lwps[e.b]
            new = self.born(e.a, lwp.pid, lwp.name)
            new.calls, lwp.calls = lwp.calls, []
            self.enter(new, "run", e.cycles, cpu=e.cpu)
            self.on_cpu[e.cpu] = (e.a, self.on_cpu[e.cpu][1])

    def on_exit(self, e):
        lwp, step = self.lwp(e.lid), self.raw.word("exit", e.arg)
        if step == "lwp":
            self.instant(e, "exit: lwp", {"pid": e.a})
            return
        opened = self.exits.get(e.a)
        if step == "begin":
            whole = self.begin(lwp, "exit", "exit", e.cycles, {
                "pid": e.a, "status": e.b & LOW, "comm": self.comms.get(e.a, "")})
            if e.b >> 32 == 0:  # it has no others
                step = "alone"
        elif opened is None:
            return
        else:
            self.end(opened[1], e.cycles)
            whole = opened[0]
        then = EXIT_STEPS[step]
        part = self.begin(lwp, then, "exit", e.cycles, {"pid": e.a})
        self.exits[e.a] = (whole, part)

    def on_syscall(self, e):
        lwp = self.lwp(e.lid)
        name = self.raw.word("syscall", e.a)
        lwp.calls.append(self.begin(lwp, name, "syscall", e.cycles,
                                    {"number": e.a, "arg0": "%#x" % e.b}))

    def on_sysret(self, e):
        result = e.b - (1 << 64) if e.b >> 63 else e.b
        self.end_call(e, "syscall", {"result": result})

    def end_call(self, e, cat, args):
        lwp = self.lwp(e.lid)
        if lwp.calls and any(c[2] == cat for c in lwp.calls):
            while lwp.calls:
                opened = lwp.calls.pop()
                self.end(opened, e.cycles, args if opened[2] == cat else None)
                if opened[2] == cat:
                    break

    def on_fault(self, e):
        lwp = self.lwp(e.lid)
        lwp.calls.append(self.begin(lwp, TRAPS.get(e.arg, "trap %d" % e.arg), "fault", e.cycles,
                                    {"address": "%#x" % e.b, "error": e.a}))

    def on_fault_done(self, e):
        self.end_call(e, "fault", {})

    def on_lock_wait(self, e):
        lwp, kind = self.lwp(e.lid), self.raw.word("lock", e.arg)
        name = self.lock_name(e.b, e.a)
        lwp.locks.append((e.b, self.begin(lwp, name, "lock", e.cycles,
                                          {"kind": kind, "lock": "%#x" % e.b, "name": name})))

    def on_lock_got(self, e):
        lwp = self.lwp(e.lid)
        for i in range(len(lwp.locks) - 1, -1, -1):
            if lwp.locks[i][0] == e.b:
                self.end(lwp.locks.pop(i)[1], e.cycles)
                break

    def on_lock_sleep(self, e):
        owner = self.lwp(e.a)
        self.instant(e, "sleeps for a lock of %s" % owner.title,
                     {"lock": self.lock_name(e.b, 0), "owner": e.a})

    def on_lock_hand(self, e):
        self.instant(e, "releases a lock, %d wait" % e.a, {"lock": self.lock_name(e.b, 0)})

    def on_lend(self, e):
        lwp = self.lwp(e.a)
        priority = None if e.arg == 255 else e.arg
        args = {"lid": e.a, "priority": priority}
        if e.b:
            args["lock"] = self.lock_name(e.b, 0)
        self.instant(e, "lends %s priority %d" % (lwp.title, e.arg) if priority is not None
                     else "gives lent priority back", args)

    def on_steal(self, e):
        self.instant(e, "steal %s" % self.lwp(e.a).title,
                     {"lid": e.a, "from": e.arg, "to": e.b})

    def on_migrate(self, e):
        self.instant(e, "migrate %s" % self.lwp(e.a).title,
                     {"lid": e.a, "from": e.arg, "to": e.b})

    def other(self, e):
        """An event without a state: name and arguments are enough."""
        word = self.raw.word
        name, args = {
            "state": lambda: ("%s: %s" % (self.lwp(e.a).title, word("state", e.arg)),
                              {"lid": e.a, "from": word("state", e.b),
                               "to": word("state", e.arg)}),
            "wait": lambda: ("wait", {"id": _signed(e.a), "options": e.b}),
            "post": lambda: ("post %s" % signal_name(e.arg),
                             {"signal": e.arg, "pid": e.a, "lid": e.b}),
            "deliver": lambda: ("deliver %s" % signal_name(e.arg),
                                {"signal": e.arg, "handler": "%#x" % e.b}),
            "ipi": lambda: ("ipi %s" % word("ipi", e.arg), {"to": e.a}),
            "shootdown": lambda: ("TLB shootdown", {"pages": "all" if e.arg == 255 else e.arg,
                                                    "cpus": "%#x" % e.b}),
            "stall": lambda: ("memory: reclaim", {}),
            "stall-done": lambda: ("memory: reclaimed", {"pages": e.b}),
            "nomem": lambda: ("memory: none left", {"kind": word("page", e.arg), "pages": e.a})
            if e.arg < len(self.raw.tables["page"])
            else ("memory: refused to a user", {"bytes": e.a}),
        }.get(e.type, lambda: (e.type, {}))()
        self.instant(e, name, args)

    # --- the whole --------------------------------------------------------------

    def build(self):
        raw = self.raw
        complete = max([first for first, lost in zip(raw.first, raw.lost)
                        if lost and first is not None], default=None)
        events = raw.events
        if complete is not None:
            events = [e for e in events if e.cycles >= complete]
            self.left_out = len(raw.events) - len(events)
        start = events[0].cycles if events else raw.started
        # A name is written just behind the birth that it belongs to.
        slack = raw.hz // 100000
        seen = set()
        self.learn_names(start)
        for e in events:
            self.now = e.cycles
            self.learn_names(e.cycles + slack if e.type == "create" else e.cycles)
            if e.cpu not in seen and not (e.type == "wake" and e.b):
                seen.add(e.cpu)
                self.start_cpu(e.cpu, e.lid, start)
            getattr(self, "on_" + e.type.replace("-", "_"), self.other)(e)
        self.learn_names(1 << 64)
        for cpu, (lid, since) in self.on_cpu.items():
            lwp = self.lwp(lid)
            if not lwp.idle:
                self.slice(CPUS, cpu, lwp.title, "cpu", since, self.now,
                           {"lid": lwp.lid, "pid": lwp.pid, "reason": "end"})
        for lwp in self.everybody:
            while lwp.calls:
                self.end(lwp.calls.pop(), self.now, {"result": "end of the trace"})
            while lwp.locks:
                self.end(lwp.locks.pop()[1], self.now)
            self.enter(lwp, None, self.now)
        for whole, part in self.exits.values():
            self.end(part, self.now)
            self.end(whole, self.now)
        self.out.sort(key=lambda o: o["ts"])
        return self.metadata() + self.out

    def metadata(self):
        out = []

        def meta(kind, pid, tid, **args):
            out.append({"ph": "M", "name": kind, "pid": pid, "tid": tid, "ts": 0, "args": args})

        meta("process_name", CPUS, 0, name="CPUs")
        meta("process_sort_index", CPUS, 0, sort_index=-1)
        for cpu in range(self.raw.ncpu):
            meta("thread_name", CPUS, cpu, name="CPU %d" % cpu)
            meta("thread_sort_index", CPUS, cpu, sort_index=cpu)
        processes, titles = set(), {}
        for lwp in self.everybody:
            if lwp.idle:
                continue
            if lwp.pid not in processes:
                processes.add(lwp.pid)
                meta("process_name", lwp.pid, lwp.pid,
                     name=self.comms.get(lwp.pid) or "pid %d" % lwp.pid)
                meta("process_sort_index", lwp.pid, lwp.pid, sort_index=lwp.pid)
            if lwp.row not in titles:
                titles[lwp.row] = lwp.title
                meta("thread_name", lwp.pid, lwp.lid, name=lwp.title)
                meta("thread_sort_index", lwp.pid, lwp.lid, sort_index=lwp.lid)
            elif titles[lwp.row] != lwp.title and lwp.newest is not None:
                lwp.newest["called"] = lwp.title    # a row has one name, whoever had the ids later
        return out


def _signed(value):
    return value - (1 << 32) if value >> 31 else value


def convert(raw):
    """Return the JSON object and the warnings that go with it."""
    builder = Builder(raw)
    events = builder.build()
    ring = sum(raw.lost)
    words = raw.tables["class"]
    other = {
        "kernel": "Threadbare", "cpus": raw.ncpu, "cycles_per_second": raw.hz,
        "classes": [w for i, w in enumerate(words) if raw.classes >> i & 1],
        "events": len(raw.events), "overrun_events": raw.lost,
        "overrun_names": raw.names_lost, "left_out_events": builder.left_out,
        "broken_events": raw.broken,
        "start_us": builder.micro(raw.started), "end_us": builder.micro(builder.now)
        if raw.events else 0,
    }
    warnings = []
    if ring:
        warnings.append("%d older events were overwritten (%s); a larger trace_size= keeps more"
                        % (ring, ", ".join("cpu%d: %d" % pair for pair in enumerate(raw.lost))))
    if builder.left_out:
        warnings.append("%d events of other CPUs from before the oldest that is left of each"
                        " are left out" % builder.left_out)
    if raw.names_lost:
        warnings.append("%d names were overwritten: some LWPs are nameless" % raw.names_lost)
    if raw.broken:
        warnings.append("%d events were being written when the machine stopped" % raw.broken)
    return {"displayTimeUnit": "ns", "otherData": other, "traceEvents": events}, warnings


def write(raw, path):
    """Write the JSON file, an event a line; return the warnings."""
    trace, warnings = convert(raw)
    dump = json.JSONEncoder(separators=(",", ":")).encode
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"displayTimeUnit":"ns","otherData":%s,"traceEvents":[\n'
                   % dump(trace["otherData"]))
        file.write(",\n".join(map(dump, trace["traceEvents"])))
        file.write("\n]}\n")
    return warnings
