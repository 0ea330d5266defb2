# SPDX-License-Identifier: BSD-2-Clause
"""Reads the Test Anything Protocol, strictly: what is missing is a failure."""

import re

PLAN = re.compile(r"1\.\.(\d+)\s*(#\s*skip\b.*)?$", re.I)
RESULT = re.compile(r"(not )?ok\s+(\d+)(?:\s+-)?\s*(.*)$")
DIRECTIVE = re.compile(r"\s*#\s*(skip|todo)\b.*$", re.I)


class Report:
    """The results in one program's output."""

    def __init__(self, text):
        self.plan = None
        self.results = {}       # number -> (good, name, skipped)
        self.problems = []
        for line in text.splitlines():
            self._line(line.rstrip("\r"))
        if self.plan is None:
            self.problems.append("no plan line (1..N)")
        else:
            self._check_numbers()

    def _line(self, line):
        if line.startswith("Bail out!"):
            self.problems.append(line)
        found = PLAN.match(line)
        if found:
            if self.plan is not None:
                self.problems.append("a second plan line")
            self.plan = int(found.group(1))
            return
        found = RESULT.match(line)
        if not found:
            return
        number, name = int(found.group(2)), found.group(3)
        directive = DIRECTIVE.search(name)
        skipped = bool(directive) and directive.group(1).lower() == "skip"
        name = DIRECTIVE.sub("", name)
        if number in self.results:
            self.problems.append("result %d came twice" % number)
        self.results[number] = (not found.group(1), name, skipped)
        if found.group(1):
            self.problems.append(line)

    def _check_numbers(self):
        wanted = set(range(1, self.plan + 1))
        missing = sorted(wanted - set(self.results))
        extra = sorted(set(self.results) - wanted)
        if missing:
            self.problems.append("%d of %d results missing, the first is %d"
                                 % (len(missing), self.plan, missing[0]))
        if extra:
            self.problems.append("result %d is beyond the plan of %d"
                                 % (extra[0], self.plan))


def difference(ours, theirs):
    """Return the first thing that two reports disagree on, or None.

    Only names are compared: the results are each kernel's own business. A
    skipped result agrees with anything of its number.
    """
    for number in sorted(set(ours.results) | set(theirs.results)):
        if number not in ours.results or number not in theirs.results:
            return "result %d is there only on %s" % (
                number, "Threadbare" if number in ours.results else "Linux")
        _, our_name, our_skip = ours.results[number]
        _, their_name, their_skip = theirs.results[number]
        if our_name != their_name and not (our_skip or their_skip):
            return "result %d is '%s' here, '%s' on Linux" % (
                number, our_name, their_name)
    return None
