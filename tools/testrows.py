# SPDX-License-Identifier: BSD-2-Clause
"""Finds the tests. A row is one test; it runs once for each of its CPU counts.

User programs (user/test/*.c) say how they want to be run in lines of their
first comment, each of which is a row:

     * test: name=b37 smp=2,4 append="fp=wait-scan-to-sleep:2000" args="40"

Unit tests (kernel/test/host/*.c) run on the host; a line " * sources: ..."
names the kernel sources they are linked with, " * cflags: ..." adds flags.
Tests of the tools are tools/test_*.py. Rows that fit none of these stand in
tools/tests.conf, which explains its form.
"""

import glob
import os
import re
import shlex

import machine

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CPUS = (1, 2, 4)

# Every key of a row, with its value when it is not given.
KEYS = {
    "name": "", "smp": None, "timeout": 60.0, "mem": 512, "append": "", "args": "",
    "groups": "", "host": None, "flavour": "debug", "icount": "no", "stdin": "",
    "program": "", "tap": "no", "expect_status": None, "expect_output": "",
    "expect_log": "", "expect_panic": "", "add": "",
}


class BadRow(Exception):
    """A row that cannot be understood."""


class Row:
    """One test; kind is guest, unit or tool, source the file it comes from."""

    def __init__(self, kind, name, source, words, where):
        self.kind, self.name, self.source = kind, name, source
        self.rounds = 1         # times as often do tests try that count on chance
        values = dict(KEYS)
        for word in words:
            key, equals, value = word.partition("=")
            if not equals or key not in KEYS:
                raise BadRow("%s: '%s' is not one of %s"
                             % (where, word, " ".join(sorted(KEYS))))
            values[key] = value
        try:
            self.smp = (tuple(int(n) for n in values["smp"].split(","))
                        if values["smp"] else CPUS)
            self.timeout = float(values["timeout"])
            self.mem = int(values["mem"])
            self.status = (None if values["expect_status"] is None
                           else int(values["expect_status"]))
        except ValueError as error:
            raise BadRow("%s: %s" % (where, error)) from None
        if values["flavour"] not in machine.BUILDS:
            raise BadRow("%s: flavour is one of %s" % (where, " ".join(machine.BUILDS)))
        self.append, self.flavour = values["append"], values["flavour"]
        self.args = shlex.split(values["args"])
        self.program, self.stdin, self.add = (values[k] for k in ("program", "stdin", "add"))
        self.icount, self.tap = values["icount"] == "yes", values["tap"] == "yes"
        self.groups = [g for g in values["groups"].split(",") if g]
        self.output, self.log, self.panic = (
            values["expect_" + k] for k in ("output", "log", "panic"))
        # A row with kernel options tests what the host's Linux has not.
        self.host = (not self.append if values["host"] is None
                     else values["host"] == "yes")
        if values["name"]:
            self.name += "-" + values["name"]


def _first_comment(path):
    with open(path, encoding="utf-8") as file:
        text = file.read(8192)
    # The licence line may be a comment of its own before it.
    comments = re.findall(r"/\*.*?\*/", text, re.S)[:2]
    return "\n".join(comments).splitlines()


def _directives(path, key):
    mark = re.compile(r"^\s*(?:/\*|\*)\s*%s:\s*(.*?)\s*(?:\*/)?$" % key)
    return [found.group(1) for found in map(mark.match, _first_comment(path)) if found]


def _user_tests():
    for path in sorted(glob.glob(os.path.join(TOP, "user/test/*.c"))):
        name = os.path.basename(path)[:-2]
        where = os.path.relpath(path, TOP)
        for line in _directives(path, "test") or [""]:
            row = Row("guest", name, path, shlex.split(line), where)
            row.program, row.tap = "/test/" + name, True
            if row.status is None and not row.panic:
                row.status = 0
            yield row


def _unit_tests():
    for path in sorted(glob.glob(os.path.join(TOP, "kernel/test/host/*.c"))):
        sources = [word for line in _directives(path, "sources") for word in line.split()]
        if not sources and not _directives(path, "sources"):
            continue            # a helper that others list among their sources
        name = re.sub(r"^test_|_test$", "", os.path.basename(path)[:-2])
        row = Row("unit", "unit-" + name, path, ["smp=0"],
                  os.path.relpath(path, TOP))
        row.timeout = 300.0
        row.sources = sources
        row.cflags = [word for line in _directives(path, "cflags")
                      for word in line.split()]
        row.groups = ["unit"]
        yield row


def _tool_tests():
    for path in sorted(glob.glob(os.path.join(TOP, "tools/test_*.py"))):
        name = "tools-" + os.path.basename(path)[5:-3]
        row = Row("tool", name, path, ["smp=0"], os.path.relpath(path, TOP))
        row.timeout = 1200.0    # against hangs; the host may be slow
        tool = name.partition("-")[2]
        row.groups = ["tools", "gdb"] if tool.startswith("gdb") else ["tools", tool]
        yield row


def _table():
    path = os.path.join(TOP, "tools/tests.conf")
    if not os.path.exists(path):
        return
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            words = shlex.split(line, comments=True)
            if not words:
                continue
            where = "tools/tests.conf:%d" % number
            row = Row("guest", words[0], path, words[1:], where)
            row.host = False
            if row.status is None and not row.panic:
                row.status = 0
            yield row


def all_rows():
    """Return every row; two rows of one name are an error."""
    rows = [*_unit_tests(), *_tool_tests(), *_user_tests(), *_table()]
    seen = set()
    for row in rows:
        if row.name in seen:
            raise BadRow("two tests are called %s" % row.name)
        seen.add(row.name)
    return rows
