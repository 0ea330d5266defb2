#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Check who includes whom.

A header of kernel/include/kernel or arch/*/include/arch tells its layer in a
line " * layer: NAME" of its first comment; the layer of a source file is its
folder. A file includes its own layer and lower ones. kernel/debug and
kernel/test may include everything, the machine's own code everything but
what is above sched, plus the headers of upcalls; nothing includes a test.
User programs see <abi/...> alone, and kernel/ speaks no machine's language.
"""

import glob
import os
import re
import sys

LAYERS = ("lib", "arch_if", "core", "mem", "sched", "time", "sync", "proc", "fs",
          "syscall", "init")
RANK = {name: rank for rank, name in enumerate(LAYERS)}
RANK["debug"] = RANK["fs"]      # a debug header: for those who offer it to users
EVERYTHING = len(LAYERS)
ARCH = "arch"                   # a header private to the machine's code

INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]')
SUPPLIED = re.compile(r"arch/\w+_(types|md)\.h$")   # what arch_if.h asks the machine for
LAYER = re.compile(r"^ \* layer: (\w+)", re.M)
MACHINE = re.compile(
    r"\b(?:x86\w*|amd64|[re][abcd]x|[re][sd]i|[re][sb]p|rip|rflags|cr[0234]|(?:rd|wr)msr|"
    r"(?:io|l)?apic\w*|swapgs|sysret\w*|iretq?|invlpg|cpuid|rdtsc|hlt|__asm__|asm)\b")


class Checker:
    """Collects the complaints."""

    def __init__(self):
        self.complaints = []
        self.layers = {}        # "kernel/lwp.h" -> layer

    def complain(self, path, line, text):
        self.complaints.append("%s:%d: %s" % (path, line, text))

    def read_layers(self):
        for path in headers():
            with open(path, encoding="utf-8") as file:
                found = LAYER.search(file.read(4096))
            name = path.split("/include/")[1]
            if not found:
                self.complain(path, 1, "no line ' * layer: NAME' in the first comment")
            elif found.group(1) not in RANK and found.group(1) != ARCH:
                self.complain(path, 1, "there is no layer '%s'" % found.group(1))
            else:
                self.layers[name] = found.group(1)

    def limit(self, path):
        """Return the highest rank that a file may include, and whether it is of arch."""
        parts = path.split("/")
        if "include" in parts:
            layer = self.layers.get(path.split("/include/")[1], "lib")
            if layer == "debug":
                return EVERYTHING, False
            if layer == ARCH:
                return RANK["sched"], True
            return RANK[layer], parts[0] == "arch"
        if parts[0] == "arch":
            return RANK["sched"], True
        if parts[1] in ("debug", "test"):
            return EVERYTHING, False
        if parts[1] not in RANK:
            self.complain(path, 1, "kernel/%s is no layer" % parts[1])
            return EVERYTHING, False
        return RANK[parts[1]], False

    def check(self, path):
        limit, in_arch = self.limit(path)
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                found = INCLUDE.match(line)
                if found:
                    self.check_include(path, number, found.group(1), limit, in_arch)
                elif path.startswith("kernel/") and not path.startswith(
                        ("kernel/include/abi/", "kernel/test/")):
                    word = MACHINE.search(re.sub(r'"[^"]*"', '""', line))
                    if word:
                        self.complain(path, number, "'%s' belongs to the machine's code"
                                      % word.group(0))

    def check_include(self, path, number, name, limit, in_arch):
        if "test/" in name and not path.startswith("kernel/test/"):
            self.complain(path, number, "a test is included")
        if not name.startswith(("kernel/", "arch/")):
            return
        layer = self.layers.get(name)
        if layer is None:
            if not os.path.exists("kernel/include/" + name) and not glob.glob(
                    "arch/*/include/" + name):
                self.complain(path, number, "<%s> is not there" % name)
        elif layer == ARCH:
            if not in_arch and not SUPPLIED.match(name):
                self.complain(path, number, "<%s> is private to the machine's code" % name)
        elif RANK[layer] > limit:
            self.complain(path, number, "<%s> is of layer %s, above this file's (%s)"
                          % (name, layer, LAYERS[limit]))

    def check_user(self, path):
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                found = INCLUDE.match(line)
                if found and found.group(1).startswith(("kernel/", "arch/")):
                    self.complain(path, number, "a user program sees <abi/...> only")


def headers():
    return sorted(glob.glob("kernel/include/kernel/*.h") + glob.glob("arch/*/include/arch/*.h"))


def sources(*tops):
    for top in tops:
        for folder, folders, files in os.walk(top):
            folders.sort()
            for name in sorted(files):
                path = os.path.join(folder, name)
                if name.endswith((".c", ".h")) and "test/host/" not in path:
                    yield path


def main():
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    checker = Checker()
    checker.read_layers()
    for path in sources("kernel", "arch"):
        checker.check(path)
    for path in sources("user"):
        checker.check_user(path)
    print("\n".join(checker.complaints), end="\n" if checker.complaints else "")
    return 1 if checker.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
