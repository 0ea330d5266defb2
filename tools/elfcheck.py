# SPDX-License-Identifier: BSD-2-Clause
"""Tells whether a host file is a program that the kernel can run."""

import os
import shlex
import struct

ET_EXEC, ET_DYN = 2, 3
PT_LOAD, PT_INTERP = 1, 3
EM_NAMES = {3: "32-bit x86", 40: "32-bit ARM", 183: "64-bit ARM", 243: "RISC-V",
            8: "MIPS", 21: "PowerPC", 22: "S/390", 62: "x86-64"}


def refusal(path):
    """Return None when the program can run, else why not and what to do."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:4] != b"\x7fELF":
        if path.endswith(".c"):
            return "%s is C source, not a program; build it with\n    %s" % (
                path, _musl(path[:-2], path))
        if data[:2] == b"#!":
            return ("%s is a script; run its interpreter instead, and --add the script"
                    % path)
        return "%s is not an ELF program" % path
    if len(data) < 64:
        return "%s is cut short" % path
    if data[4] != 2 or data[5] != 1:
        return "%s is not a 64-bit x86 program; build it with\n    %s" % (
            path, _right_command(path, data))
    kind, cpu = struct.unpack_from("<HH", data, 16)
    if cpu != 62:
        return "%s is a program for %s; build it for x86-64 with\n    %s" % (
            path, EM_NAMES.get(cpu, "another machine (%d)" % cpu),
            _right_command(path, data))
    if kind not in (ET_EXEC, ET_DYN):
        return "%s is an object file, not a program; link it with\n    %s" % (
            path, _musl(os.path.splitext(path)[0], path))
    offset, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    if size < 56 or offset + size * count > len(data):
        return "%s is cut short" % path
    loads = 0
    for index in range(count):
        segment, _, start, _, _, length = struct.unpack_from("<IIQQQQ", data, offset + size * index)
        if segment == PT_INTERP:
            return "%s is dynamically linked; build it with\n    %s" % (
                path, _right_command(path, data))
        if segment == PT_LOAD:
            loads += 1
            if start + length > len(data):
                return "%s is cut short" % path
    if loads == 0:
        return "%s has nothing to load; it is not a program" % path
    return None


def _musl(output, source):
    return "musl-gcc -static -O2 -o %s %s" % (shlex.quote(output), shlex.quote(source))


def _right_command(path, data):
    if b"\xff Go buildinf:" in data[:1 << 20] or b"Go build ID:" in data[:1 << 16]:
        return "CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go build -o %s" % path
    if b"rustc version " in data or b"/rustc/" in data:
        return "cargo build --release --target x86_64-unknown-linux-musl"
    stem = os.path.splitext(path)[0]
    for source in (path + ".c", stem + ".c"):
        if os.path.exists(source):
            return _musl(path, source)
    return _musl(path, os.path.basename(stem) + ".c")
