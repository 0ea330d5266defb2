# SPDX-License-Identifier: BSD-2-Clause
"""Symbols and constants of the kernel, careful reading, the base class of all commands.

A kernel that is stopped anywhere may show any structure half changed, so
 - memory is read once per object (deref) and all errors are gdb.MemoryError;
 - walks are bounded, end at the first pointer that was seen before, and say so.
"""

import contextlib
import glob
import os
import re

import gdb

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
MASK = (1 << 64) - 1
LIMIT = 100000                  # steps of a walk
TAG = "lwp_all"                 # a symbol that makes a program this kernel
DEFINE = re.compile(r"^#define (\w+)[ \t]+(.+?)[ \t]*(?:/\*.*|\\)?$", re.M)
CAST = re.compile(r"\((?:size_t|u?int\d*_t|uintptr_t|[a-z]+_t)\)")


# --- Where we are ---------------------------------------------------------------

def kernel_inferior():
    """Return the inferior that is the kernel, not a process looked at by `proc`."""
    here = gdb.selected_inferior()
    for inferior in [here, *gdb.inferiors()]:
        for objfile in inferior.progspace.objfiles():
            if objfile.lookup_global_symbol(TAG) is not None:
                return inferior
    raise gdb.GdbError("no kernel: start gdb with build/debug/threadbare.elf")


def select_inferior(inferior):
    if gdb.selected_inferior().num == inferior.num:
        return
    threads = sorted(inferior.threads(), key=lambda thread: thread.num)
    if threads:
        threads[0].switch()     # tells nobody, unlike the command
    else:
        gdb.execute("inferior %d" % inferior.num, to_string=True)


@contextlib.contextmanager
def selection_kept():
    """Put back inferior, thread and frame at the end."""
    inferior, thread = gdb.selected_inferior(), gdb.selected_thread()
    frame = None
    with contextlib.suppress(gdb.error):
        frame = gdb.selected_frame()
    try:
        yield
    finally:
        if inferior.is_valid():
            select_inferior(inferior)
        if thread is not None and thread.is_valid():
            thread.switch()
        if frame is not None:
            with contextlib.suppress(gdb.error):
                if frame.is_valid():
                    frame.select()


@contextlib.contextmanager
def in_kernel():
    """Select the kernel for a while."""
    kernel = kernel_inferior()
    if gdb.selected_inferior().num == kernel.num:
        yield kernel
        return
    with selection_kept():
        select_inferior(kernel)
        yield kernel


def require_booted():
    """Raise unless LWPs and the id table are there."""
    if not gdb.selected_inferior().pid:
        raise gdb.GdbError("no machine: `target remote 127.0.0.1:PORT` (make debug does it)")
    try:
        up = (int(symbol("lwp0")["l_magic"]) == constant("LWP_MAGIC")
              and int(symbol("idtable")["array"]) != 0 and int(symbol(TAG)) != 0)
    except gdb.MemoryError:
        up = False
    if not up:
        raise gdb.GdbError("the kernel has not booted yet; try `break init_start`, `continue`")


# --- Symbols, types, constants --------------------------------------------------

def symbol(name):
    """Return the variable called name, of whichever file."""
    found = gdb.lookup_global_symbol(name) or gdb.lookup_static_symbol(name)
    if found is None:
        raise gdb.GdbError("this kernel has no '%s'" % name)
    return found.value()


def code(name):
    """Return the address of a function or label, also of assembly."""
    try:
        return addr(gdb.parse_and_eval("(unsigned long)&%s" % name))
    except gdb.error:
        raise gdb.GdbError("this kernel has no '%s'" % name) from None


def has_symbol(name):
    return bool(gdb.lookup_global_symbol(name) or gdb.lookup_static_symbol(name))


def ctype(name):
    """Return a type by name, or None."""
    try:
        return gdb.lookup_type(name)
    except gdb.error:
        return None


def has_field(value, name):
    return any(field.name == name for field in value.type.strip_typedefs().fields())


def offset(type_, name):
    """Bytes from the start of a struct to a field, also one of an anonymous member."""
    for field in type_.fields():
        if field.name == name:
            return field.bitpos // 8
        if field.name in (None, ""):
            with contextlib.suppress(KeyError):
                return field.bitpos // 8 + offset(field.type, name)
    raise KeyError(name)


class _Headers:
    """Numbers that only the preprocessor knows: read from the headers, once."""

    def __init__(self):
        self.texts, self.values = None, {}

    def _read(self):
        self.texts = {}
        for path in sorted(glob.glob(os.path.join(TOP, "kernel/include/kernel/*.h"))
                           + glob.glob(os.path.join(TOP, "arch/*/include/arch/*.h"))):
            with open(path, encoding="utf-8") as file:
                self.texts.update(DEFINE.findall(file.read().replace("\\\n", " ")))

    def __getitem__(self, name):
        if self.texts is None:
            self._read()
        if name not in self.values:
            words = CAST.sub("", self.texts[name])
            words = re.sub(r"\b(0x[0-9a-fA-F]+|\d+)[uUlL]*\b", r"\1", words)
            words = re.sub(r"\b[A-Za-z_]\w*", lambda found: str(self[found.group()]), words)
            if not re.fullmatch(r"[0-9a-fA-Fx()+*<>|&~ -]+", words):
                raise KeyError(name)
            try:
                self.values[name] = eval(words, {})  # numbers and operators only
            except SyntaxError:
                raise KeyError(name) from None
        return self.values[name]

    def flags(self, prefix):
        """(value, name) of the single bits that begin with prefix, defined as plain numbers."""
        if self.texts is None:
            self._read()
        for name, words in self.texts.items():
            if name.startswith(prefix) and re.fullmatch(r"0x[0-9a-fA-F]+", words):
                bit = int(words, 16)
                if bit & (bit - 1) == 0:
                    yield bit, name[len(prefix):]


_headers = _Headers()


def constant(name):
    """Return the value of a #define of the tree's headers."""
    try:
        return _headers[name]
    except KeyError:
        raise gdb.GdbError("the headers of this tree give no number for %s" % name) from None


def flag_names(prefix, value):
    """Return the names of the flags in value, without their prefix."""
    names = [name for bit, name in sorted(_headers.flags(prefix)) if value & bit]
    left = value & ~sum(bit for bit, _ in _headers.flags(prefix))
    return names + (["%#x" % left] if left else [])


def enum_name(tag, value, prefix):
    """Return the name of a value of enum tag, without its prefix."""
    type_ = ctype("enum " + tag)
    for field in type_.fields() if type_ else ():
        if field.enumval == value:
            return field.name[len(prefix):] if field.name.startswith(prefix) else field.name
    return "?%d" % value


# --- Reading --------------------------------------------------------------------

def addr(value):
    """An address (or any number) as an unsigned 64-bit integer."""
    return int(value) & MASK


def deref(pointer):
    """Read what a pointer points at, all at once."""
    value = pointer.dereference()
    value.fetch_lazy()
    return value


def at(address, type_name):
    """Read a struct at an address."""
    type_ = ctype(type_name)
    if type_ is None:
        raise gdb.GdbError("this kernel has no %s" % type_name)
    return deref(gdb.Value(address & MASK).cast(type_.pointer()))


def pointer(address, type_name):
    return gdb.Value(address & MASK).cast(gdb.lookup_type(type_name).pointer())


def read(address, length):
    return bytes(gdb.selected_inferior().read_memory(address & MASK, length))


def text(value, limit=32):
    """A C string, printable whatever is there."""
    try:
        if value.type.strip_typedefs().code == gdb.TYPE_CODE_ARRAY:
            raw = bytes(int(value[i]) & 0xff for i in range(value.type.range()[1] + 1))
        elif addr(value) == 0:
            return ""
        else:
            raw = _pointed(addr(value), limit)
    except gdb.MemoryError:
        return "?"
    raw = raw.split(b"\0")[0][:limit]
    return "".join(chr(c) if 32 < c < 127 else "?" if c != 32 else " " for c in raw)


def _pointed(address, limit):
    try:
        return read(address, limit)
    except gdb.MemoryError:     # the end of the mapping may be nearer
        return read(address, min(limit, -address % 4096 or 4096))


class Walk:
    """Entries of a struct list. Iterating stops where the list is broken; .broken tells how."""

    def __init__(self, head, type_name, member, limit=LIMIT):
        self.head, self.limit, self.broken = head, limit, None
        self.type = gdb.lookup_type(type_name)
        self.offset = offset(self.type, member)

    def __iter__(self):
        """Yield pointers to the entries, read or not."""
        start = addr(self.head.address)
        at_, seen = addr(self.head["next"]), set()
        while at_ != start:
            if at_ == 0 or at_ in seen or len(seen) >= self.limit:
                self.broken = ("ends in NULL" if at_ == 0 else "comes back to %#x" % at_
                               if at_ in seen else "longer than %d" % self.limit)
                return
            seen.add(at_)
            try:
                link = at(at_, "struct list")
            except gdb.MemoryError:
                self.broken = "leads to %#x, which cannot be read" % at_
                return
            yield pointer_at(at_ - self.offset, self.type)
            at_ = addr(link["next"])


def pointer_at(address, type_):
    return gdb.Value(address & MASK).cast(type_.pointer())


def _function(block):
    """The innermost function, inlined ones too, that a block is in."""
    while block is not None and block.function is None:
        block = block.superblock
    return block


def place(pc):
    """`function (file:line)` of an address of code; of a header's inline function, where it is used."""
    if pc == 0:
        return "?"
    pc -= 1                     # what is kept are return addresses
    block = _function(gdb.block_for_pc(pc))
    line = gdb.find_pc_line(pc)
    symtab, number = line.symtab, line.line
    while block is not None and symtab is not None and symtab.filename.endswith(".h"):
        outer = _function(block.superblock)
        if outer is None:
            break
        # gdb's line of an inlined function is that of its call.
        symtab, number, block = block.function.symtab, block.function.line, outer
    name = block.function.name if block is not None else "%#x" % (pc + 1)
    if symtab is None:
        return name
    return "%s (%s:%d)" % (name, symtab.filename.split(TOP + "/")[-1], number)


def name_of(address):
    """The symbol that lies at an address, `p_lock+8`, or None."""
    out = gdb.execute("info symbol %#x" % (address & MASK), to_string=True)
    found = re.match(r"(\S+)(?: \+ (\d+))? in section", out)
    if not found or found.group(1).startswith("__"):
        return None
    return found.group(1) + ("+" + found.group(2) if found.group(2) else "")


def seconds(nsec):
    return "%d.%09d s" % divmod(nsec, 10**9)


# --- Commands -------------------------------------------------------------------

class Command(gdb.Command):
    """Runs run(words) with the kernel selected; turns errors into one line."""

    name = ""
    booted = True

    def __init__(self):
        super().__init__(self.name, gdb.COMMAND_STATUS)

    def invoke(self, arg, from_tty):
        self.dont_repeat()
        try:
            with in_kernel():
                if self.booted:
                    require_booted()
                self.run(gdb.string_to_argv(arg))
        except gdb.MemoryError as error:
            raise gdb.GdbError("%s: %s" % (self.name, error)) from None

    def usage(self, form):
        raise gdb.GdbError("usage: %s %s" % (self.name, form))

    def number(self, word, what):
        try:
            return int(gdb.parse_and_eval(word))
        except gdb.error:
            raise gdb.GdbError("%s: '%s' is not %s" % (self.name, word, what)) from None


def plural(count, what):
    return "%d %s%s" % (count, what, "" if count == 1 else "s")
