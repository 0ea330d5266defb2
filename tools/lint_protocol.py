#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Check that what cites docs/protocol.md can be found there.

A section is cited as "docs/protocol.md 4.1", several as "docs/protocol.md
2.3, 2.4"; a bug by its number, B37. Each must be in the specification: a
heading, a row of a table. So must the letters of fsck's messages ("L1: ...").
In turn each test that a bug's row names exists and names the bug, one of them
in a result or in a row's name, and each that names a bug is in its row; a bug
without a test has a reason. Each test of the table of section 4.3 cites it.
"""

import glob
import os
import re
import sys

SPEC = "docs/protocol.md"
TOPS = ("arch", "boot", "docs", "kernel", "tools", "user", "README.md", "Makefile")
ENDS = (".asm", ".c", ".conf", ".h", ".md", ".py")

NUMBER = r"\d+(?:\.\d+)*"
HEADING = re.compile(r"^#+ (%s)\.? " % NUMBER, re.M)
ROW = re.compile(r"^\| (B\d+) \|.*\| (.*) \|$", re.M)
PREDICATE = re.compile(r"\b([TPLRS]\d+)\s")
CITED = re.compile(r"docs/protocol\.md\s(%s(?:, %s)*)" % (NUMBER, NUMBER))
INSIDE = re.compile(r"\((%s)\)|\b(?:of|section) (%s)\b" % (r"\d\.\d", r"\d(?:\.\d)?"))
BUG = re.compile(r"\bB\d\d?\b")
MESSAGE = re.compile(r'"([TPLRS]\d+): ')
OTHERWISE = re.compile(r"(?<![/\w])(?:PROTOCOL|protocol(?:\.md)?) (?:§ ?)?\d|\bPROTOCOL §")
TEST = re.compile(r"`([a-z][\w-]*)`")
REASON = re.compile(r"none: \w.*\w")
CHECKS = re.compile(r"^\| situation \|.*?\n\n", re.M | re.S)
TESTS = re.compile(r"user/test/\w+\.c$|kernel/test/(?:host/)?\w+\.c$")
MIXED = ("user/test/storm_mixed.c",)  # of many bugs at once, says section 5


class Spec:
    """What the specification defines."""

    def __init__(self, text):
        self.text = text
        self.sections = set(HEADING.findall(text))
        self.guards = dict(ROW.findall(text))
        self.predicates = set(PREDICATE.findall(text))

    def check(self, path, text):
        """Complain of citations in a text."""
        wrong = []

        def complain(found, what):
            wrong.append("%s:%d: %s" % (path, text.count("\n", 0, found.start()) + 1, what))

        for found in CITED.finditer(text):
            for number in found.group(1).split(", "):
                if number not in self.sections:
                    complain(found, "%s has no section %s" % (SPEC, number))
        for found in BUG.finditer(text):
            if found.group(0) not in self.guards:
                complain(found, "%s has no row for %s" % (SPEC, found.group(0)))
        for found in MESSAGE.finditer(text):
            if found.group(1) not in self.predicates:
                complain(found, "%s has no invariant %s" % (SPEC, found.group(1)))
        for found in OTHERWISE.finditer(text):
            complain(found, "cite as `%s 4.1`" % SPEC)
        return wrong

    def check_itself(self):
        """Complain of its own references."""
        wrong = []
        for found in INSIDE.finditer(self.text):
            number = found.group(1) or found.group(2)
            if number not in self.sections:
                wrong.append("%s: refers to section %s, which it does not have" % (SPEC, number))
        for number, (bug, _) in enumerate(ROW.findall(self.text), 1):
            if bug != "B%d" % number:
                wrong.append("%s: row %s where B%d was expected" % (SPEC, bug, number))
                break
        return wrong

    def check_guards(self, text_of):
        """Complain of tests that do not exist or do not name the bug; text_of(name) is a test's text."""
        wrong = []
        for bug, guard in self.guards.items():
            texts = []
            for name in TEST.findall(guard):
                texts.append(text_of(name) or "")
                if not texts[-1]:
                    wrong.append("%s: %s: there is no test `%s`" % (SPEC, bug, name))
                elif not names(texts[-1], bug):
                    wrong.append("%s: %s: `%s` does not name it" % (SPEC, bug, name))
            if not texts and not REASON.match(guard):
                wrong.append("%s: %s: neither a test nor `none: reason`" % (SPEC, bug))
            elif texts and not any(shows(text, bug) for text in texts):
                wrong.append("%s: %s: no test has a result or a row of that name" % (SPEC, bug))
        return wrong

    def check_test(self, path, text, files_of):
        """Complain of bugs that a test's file names but whose rows do not name a test of that file."""
        wrong = []
        for bug in sorted(set(BUG.findall(text)) & set(self.guards)):
            if not any(path in files_of(name) for name in TEST.findall(self.guards[bug])):
                wrong.append("%s: names %s, whose row does not name it" % (path, bug))
        return wrong

    def check_table(self, text_of):
        """Complain of tests of the table of section 4.3 that do not cite it."""
        wrong = []
        for row in CHECKS.search(self.text).group(0).split("\n")[2:-2]:
            tests = TEST.findall(row.rsplit("|", 2)[1])
            if not tests:
                wrong.append("%s: 4.3: no test: %s" % (SPEC, row))
            for name in tests:
                if "4.3" not in ", ".join(CITED.findall(text_of(name) or "")).split(", "):
                    wrong.append("%s: 4.3: `%s` does not cite it" % (SPEC, name))
        return wrong


def names(text, bug):
    return re.search(r"\b%s\b" % bug, text, re.I)


def shows(text, bug):
    """Is the bug named in a string, in a row's name, or above a kernel test, whose results have no words?"""
    return re.search(r'"[^"\n]*\b%s\b|^/\* ---- %s:|\bname=(?:\w+-)?%s\b|^# .*\b%s\b'
                     % (bug, bug, bug.lower(), bug), text, re.M)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_files(name):
    """Return the files of a test by its row's name: a program, a unit test, or of a row of tests.conf its tests."""
    for path in ("user/test/%s.c" % name, "kernel/test/host/test_%s.c" % name.partition("unit-")[2]):
        if os.path.exists(path):
            return [path]
    row = re.search(r"^%s .*?\bargs=(\"[^\"]*\"|\S+)" % re.escape(name), read("tools/tests.conf"), re.M)
    wanted = ['"%s"' % word for word in row.group(1).strip('"').split()] if row else []
    return [path for path in sorted(glob.glob("kernel/test/*.c"))
            if any(re.search(r"^KTEST\w*\(\w+, %s" % word, read(path), re.M) for word in wanted)]


def test_text(name):
    """Return the text of a test's files, and of comments on its row."""
    files = test_files(name)
    remarks = [line + "\n" for line in read("tools/tests.conf").split("\n")
               if line.startswith("#") and re.search(r"\b%s\b" % re.escape(name), line)]
    return "".join([read(path) for path in files] + remarks) if files else None


def sources():
    for top in TOPS:
        if os.path.isfile(top):
            yield top
        for folder, folders, names in os.walk(top):
            folders[:] = sorted(f for f in folders if f not in ("data", "__pycache__"))
            for name in sorted(names):
                if name.endswith(ENDS) or "." not in name:
                    yield os.path.join(folder, name)


def main():
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    spec = Spec(read(SPEC))
    complaints = spec.check_itself() + spec.check_guards(test_text) + spec.check_table(test_text)
    for path in sources():
        try:
            complaints += spec.check(path, read(path))
        except UnicodeDecodeError:
            continue
        if TESTS.match(path) and path not in MIXED:
            complaints += spec.check_test(path, read(path), test_files)
    print("\n".join(complaints), end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
