# SPDX-License-Identifier: BSD-2-Clause
"""The virtual machine behind tools/run.

Two byte streams come out of the guest: COM1, which is the program's console,
and the debug port 0xe9, which is the kernel's log. Both are socket pairs that
are drained while the guest runs and once more after QEMU has ended, so that
nothing is lost. The log also carries the result: its last line is either
"exit: status=N" or belongs to the report that a line "panic: ..." opens.

Input is held back until the kernel says "init:" in its log (or the program
writes something): before that, the kernel resets the serial port, which would
swallow what is waiting in it.
"""

import collections
import contextlib
import ctypes
import fcntl
import mmap
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
import tty

import newc
import srcline

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SANITIZERS = ("ubsan", "kasan", "kcsan")
BUILDS = ("release", "debug", *("debug-" + name for name in SANITIZERS))
BUG = re.compile(r"bug-\w+$")  # or a kernel with a seeded bug: kernel/bugs.h
QEMU = os.environ.get("QEMU", "qemu-system-x86_64")

TIMED_OUT, PANICKED, NOT_STARTED, BY_USER, BROKEN_PIPE = 124, 125, 126, 130, 141
ESCAPE = 0x01                   # ^A
BREAK = b"\x01b"                # makes QEMU send a break
EOT = b"\x04"                   # ^D: end of a stream over the serial line
DLE = b"\x10"                   # makes the byte behind it a plain one
STDIN_MAX = 4 << 20             # what the kernel takes as an item
# To QEMU: the kernel answers an NMI that none of its CPUs sent with a report of where each LWP is.
WHERE = b'{"execute": "qmp_capabilities"} {"execute": "inject-nmi"}\n'
GRACE = 10.0                    # seconds between the last word, or that question, and the end
INPUT_DELAY = 5.0               # feed input by then, whatever the log says
PR_SET_PDEATHSIG = 1


class CannotStart(Exception):
    """The machine could not be started; the text tells why."""


class OutputFailed(Exception):
    """The program's output cannot be written; the text tells why."""


# A kernel's files: the ISO, and what is on it.
Image = collections.namedtuple("Image", "iso kernel ramdisk")


class Config:
    """What a machine is to be: see Machine._command for each field's use."""

    interactive = False         # the console is a person's terminal
    keep_memory = False         # Machine.memory can be read after the run
    gdb = None                  # port of QEMU's gdb stub
    gdb_serial = None           # port of the second serial line, for the kernel's stub
    gdb_file = None
    one_thread = False          # one host thread runs the CPUs in turn
    repeatable = False          # the CPUs have no random numbers of their own
    from_iso = False            # GRUB loads the kernel, not QEMU

    def __init__(self, **fields):
        self.__dict__.update(fields)


@contextlib.contextmanager
def _build_lock():
    """Of several that find no kernel at the same time, one makes it."""
    try:
        os.makedirs(os.path.join(TOP, "build"), exist_ok=True)
        lock = open(os.path.join(TOP, "build", "lock"), "w", encoding="ascii")
    except OSError:     # a tree that cannot be written to is not made, either
        yield
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(build):
    what = build.replace("bug-", "BUG=") if build.startswith("bug-") else "BUILD=" + build
    made = subprocess.run(["make", "-C", TOP, "--no-print-directory", what, "iso"],
                          stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    if made.returncode != 0:
        raise CannotStart("there is no kernel; `make BUILD=%s iso` failed" % build)


def image(build):
    """Return (Image, names in its RAM disk), making the ISO if there is none."""
    made = Image(os.path.join(TOP, "build", build, "threadbare.iso"),
                 os.path.join(TOP, "build", build, "threadbare.stripped"),
                 os.path.join(TOP, "build", "ramdisk.cpio"))
    with _build_lock():
        if not all(map(os.path.exists, made)):
            _make(build)
    with open(made.ramdisk, "rb") as file:
        return made, {name for name, _ in newc.names(file.read())}


def owns_terminal(fd):
    """Tell whether fd is our terminal and we are in its foreground."""
    try:
        return os.isatty(fd) and os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False


def hardware(smp, mem, accel, icount, one_thread=False, repeatable=False):
    """Return QEMU's command for a machine without any device but the fixed ones."""
    # The kernel can keep user programs from the counter of cycles, from RDRAND it cannot.
    cpu = ("max" if accel == "tcg" else "host") + (",-rdrand,-rdseed" if repeatable else "")
    command = [QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
               "-machine", "pc", "-cpu", cpu,
               "-smp", str(smp), "-m", "%dM" % mem]
    if not icount:
        threads = "single" if one_thread else "multi"
        return command + ["-accel", "tcg,thread=" + threads if accel == "tcg" else accel]
    if accel != "tcg":
        raise CannotStart("--icount works with --accel tcg only")
    # The clock and what guests take for random are the same in every run, too.
    return command + ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off",
                      "-seed", "1", "-rtc", "base=2025-01-01T00:00:00,clock=vm"]


def _strings(items):
    return b"".join(os.fsencode(item) + b"\0" for item in items)


def _die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def ignored_option(text):
    """Tell whether a line of the log is the kernel's about an option that it does not know."""
    return re.match(r"option \S+ is unknown and ignored$", text) is not None


def missing_call(text):
    """Tell whether a line of the log is about a system call that the kernel does not have."""
    return re.match(r"syscall: pid \d+ \(.*\): number \d+ is not implemented$", text) is not None


class Log:
    """The kernel's log: collects lines and finds the result in them."""

    def __init__(self):
        self.status = None      # of "exit: status=N"
        self.panic = None       # number of the line that opens the report
        self.lines = []
        self.refusal = None     # why the kernel did not start the program
        self.ready = False      # the kernel can take console input
        self.monitor = False    # somebody talks with the kernel's monitor
        self.rebooted = False   # ... and has ended the machine there
        self._partial = b""

    def feed(self, data):
        """Take bytes; return the lines that they completed."""
        *whole, self._partial = (self._partial + data).split(b"\n")
        for line in whole:
            self._line(line.rstrip(b"\r"))
        return whole

    def end(self):
        """Take the unfinished last line for a whole one."""
        return self.feed(b"\n") if self._partial else []

    def _line(self, line):
        text = line.decode("utf-8", "replace")
        # Lines may begin with a time stamp.
        text = re.sub(r"^\[[ 0-9.]+\] ", "", text)
        self.lines.append(text)
        found = re.match(r"exit: status=(\d+)$", text)
        if found and self.panic is None:
            self.status = int(found.group(1))
        elif text.startswith("panic:") and self.panic is None:
            self.panic = len(self.lines) - 1
        elif text.startswith("init:"):
            self.ready = True
            found = re.match(r"init: (.*: cannot be run): error (\d+)$", text)
            if found:
                self.refusal = "%s: %s" % (found[1], os.strerror(int(found[2])))
        elif text.startswith("monitor: "):
            self.ready = True
            self.monitor = text not in ("monitor: continue", "monitor: reboot")
            self.rebooted = text == "monitor: reboot"


class Machine:
    """A context manager: owns the scratch folder, the sockets and QEMU."""

    def __init__(self, config):
        self._config = config
        self._scratch = None
        self._qemu = None
        self._console = self._debug = self._control = None
        self._ends = []
        self._ram = None

    def __enter__(self):
        self._scratch = tempfile.mkdtemp(prefix="threadbare-")
        self._console, console_end = socket.socketpair()
        self._debug, debug_end = socket.socketpair()
        self._control, control_end = socket.socketpair()
        self._ends = [console_end, debug_end, control_end]
        if getattr(self._config, "keep_memory", False):
            self._ram = os.memfd_create("threadbare-memory")
        self.command = self._command(*[end.fileno() for end in self._ends])
        return self

    def __exit__(self, *_):
        self._kill()
        for end in self._ends + [self._console, self._debug, self._control]:
            end.close()
        if self._ram is not None:
            os.close(self._ram)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def memory(self):
        """Return the machine's memory as it was left. => keep_memory, run() has returned"""
        if os.fstat(self._ram).st_size == 0:
            raise CannotStart("the machine could not be started")
        return mmap.mmap(self._ram, 0, prot=mmap.PROT_READ)

    # --- The command line ---------------------------------------------------

    def _file(self, name, data):
        path = os.path.join(self._scratch, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def _command(self, console, debug, control):
        config = self._config
        command = hardware(config.smp, config.mem, config.accel, config.icount,
                           config.one_thread, config.repeatable)
        if config.from_iso:     # as a disk: virtio spares the BIOS half a second of port reads
            command += ["-drive", "file=%s,format=raw,if=virtio,readonly=on"
                        % config.image.iso.replace(",", ",,")]
        else:
            command += ["-kernel", config.image.kernel,
                        "-initrd", config.image.ramdisk.replace(",", ",,")]
        # With mux=on QEMU itself takes ^A for an escape: ^A b is a break on the line.
        command += ["-chardev", "socket,id=console,fd=%d%s"
                    % (console, ",mux=on" if config.interactive else ""),
                    "-serial", "chardev:console",
                    "-chardev", "socket,id=log,fd=%d" % debug,
                    "-device", "isa-debugcon,iobase=0xe9,chardev=log",
                    "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04",
                    "-chardev", "socket,id=control,fd=%d" % control,
                    "-mon", "chardev=control,mode=control"]
        if self._ram is not None:       # the same memory, in a file that we hold
            command += ["-object", "memory-backend-file,id=ram,size=%dM,share=on,"
                        "mem-path=/proc/self/fd/%d" % (config.mem, self._ram),
                        "-machine", "memory-backend=ram"]
        items = {"options": os.fsencode(config.options)}
        if config.argv:
            items["argv"] = _strings(config.argv)
            items["envp"] = _strings(config.envp)
        if config.ramdisk is not None:
            items["ramdisk"] = config.ramdisk
        if config.gdb_serial is not None:
            items["gdbfile"] = os.fsencode(config.gdb_file)
        if config.stdin is not None:
            items["stdin"] = config.stdin
        for name, data in items.items():
            if data:
                command += ["-fw_cfg", "name=opt/threadbare/%s,file=%s"
                            % (name, self._file(name, data).replace(",", ",,"))]
        if config.gdb_serial is not None:
            command += ["-chardev", "socket,id=gdb,host=127.0.0.1,port=%d,server=on,wait=off,nodelay=on"
                        % config.gdb_serial, "-serial", "chardev:gdb"]
        if config.gdb is not None:
            command += ["-gdb", "tcp:127.0.0.1:%d" % config.gdb, "-S"]
        return command

    # --- Running ------------------------------------------------------------

    def run(self, interactive, timeout, log_path, repeat):
        """Run until the machine stops; return the exit status of tools/run."""
        with open(os.path.join(self._scratch, "stderr"), "w+b") as errors:
            keep = open(log_path, "wb", buffering=0) if log_path else None
            try:
                self._start(errors)
                looked_at = self._config.gdb is not None or self._config.gdb_serial is not None
                grace = None if looked_at else GRACE
                pump = Pump(self._qemu, self._console, self._debug, keep, grace,
                            None if self._watched(interactive) else self._control)
                how = pump.run(interactive, self._config.stdin is None, timeout)
            finally:
                self._kill()
                if keep:
                    keep.close()
            errors.seek(0)
            text = errors.read().decode("utf-8", "replace").strip()
        if pump.log.panic is not None:
            first = pump.log.panic
            pump.log.lines[first:] = srcline.annotate(pump.log.lines[first:],
                                                      self._config.gdb_file)
        return self._verdict(how, pump.log, text, timeout, repeat)

    def _watched(self, interactive):
        """Tell whether somebody else asks the machine where it is."""
        config = self._config
        return (interactive or config.gdb is not None or config.gdb_serial is not None
                or "explore=" in config.options)

    def _start(self, errors):
        try:
            self._qemu = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
                pass_fds=[end.fileno() for end in self._ends]
                + ([] if self._ram is None else [self._ram]),
                start_new_session=True, preexec_fn=_die_with_parent)
        except OSError as error:
            raise CannotStart("%s: %s (tools/setup installs it)" % (QEMU, error.strerror))
        for end in self._ends:
            end.close()

    def _kill(self):
        if self._qemu and self._qemu.poll() is None:
            self._qemu.kill()
            self._qemu.wait()

    @staticmethod
    def _verdict(how, log, errors, timeout, repeat):
        def say(*lines):
            print(*lines, sep="\n", file=sys.stderr, flush=True)

        for text in log.lines:
            if ignored_option(text) or (log.status and missing_call(text)):
                say("tools/run: " + text)
        if how == TIMED_OUT:
            say("tools/run: ended after %g seconds" % timeout)
            if log.panic is not None:
                say("where it was:", *log.lines[log.panic:], "repeat: " + repeat)
            return how
        if log.panic is not None:
            say(*log.lines[log.panic:], "repeat: " + repeat)
            return PANICKED
        if how is not None:
            return how
        if log.status is not None:
            if log.status in (126, 127) and log.refusal is not None:
                say("tools/run: " + log.refusal)
            return log.status
        if log.rebooted:
            return BY_USER
        if log.lines:
            say(*log.lines[-10:], errors or "tools/run: the machine stopped without a word "
                "(a triple fault?)", "repeat: " + repeat)
            return PANICKED
        say("tools/run: the machine could not be started",
            errors or "the kernel did not come up", "repeat: " + repeat)
        return NOT_STARTED


class Pump:
    """Carries bytes between the guest's streams and ours."""

    def __init__(self, qemu, console, debug, keep, grace, control):
        self._grace = grace     # None: somebody may be looking with gdb
        self._control = control # None: nobody may be asked where it is
        self._qemu = qemu
        self._console = console
        self._debug = debug
        self._keep = keep
        self._held = []         # log lines that wait for the end of a console line
        self._at_line_start = True
        self._input = bytearray()
        self._input_fd = None
        self._selector = selectors.DefaultSelector()
        self._watching = False
        self._send_eot = False
        self._escaped = False
        self._first_word = None
        self._spoke = False
        self.log = Log()

    def run(self, interactive, serial, timeout):
        """Pump until the guest ends; return why it was ended, None if by itself."""
        if serial and (interactive or not os.isatty(0) or owns_terminal(0)):
            self._input_fd = 0
        self._send_eot = not interactive and serial
        saved = None
        try:
            if interactive:
                saved = termios.tcgetattr(0)
                tty.setraw(0)
            return self._loop(interactive, timeout)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return BROKEN_PIPE
        except OutputFailed as error:
            print("tools/run: standard output: %s" % error, file=sys.stderr)
            return NOT_STARTED
        finally:
            if saved:
                termios.tcsetattr(0, termios.TCSADRAIN, saved)
            self._flush_log(final=True)

    def _loop(self, interactive, timeout):
        deadline = None if timeout is None else time.monotonic() + timeout
        late, asked = False, None       # asked: what to return after the kernel was asked where it is
        selector = self._selector
        for stream in (self._console, self._debug):
            stream.setblocking(False)
            selector.register(stream, selectors.EVENT_READ)
        streams, writing = 2, False
        last_word = time.monotonic()
        while streams:
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                if late or self._control is None or not self.log.ready:
                    return TIMED_OUT
                late, deadline = True, now + GRACE
                if self.log.panic is None and self.log.status is None:
                    asked = TIMED_OUT
                    with contextlib.suppress(OSError):      # it ends at this moment
                        self._control.sendall(WHERE)
            if (self.log.status is not None or self.log.panic is not None) \
                    and self._grace is not None and now - last_word > self._grace \
                    and not self.log.monitor:
                return asked    # the kernel has said all but does not stop

            ready = self._ready_for_input(now)
            want = ready and self._input_fd is not None and len(self._input) < 4096
            if want != self._watching:
                self._watch_input(want)
            want = ready and bool(self._input)
            if want != writing and self._console in selector.get_map():
                writing = want
                selector.modify(self._console, selectors.EVENT_READ
                                | (selectors.EVENT_WRITE if want else 0))

            wait = 0.25 if deadline is None else max(0.0, min(0.25, deadline - now))
            for key, events in selector.select(wait):
                if key.fileobj is not self._console and key.fileobj is not self._debug:
                    if self._input_fd is None:
                        continue        # the console ended in this round
                    if self._take_input(interactive):
                        return BY_USER
                    continue
                if events & selectors.EVENT_WRITE:
                    self._send_input()
                if not events & selectors.EVENT_READ:
                    continue
                last_word = time.monotonic()
                if not self._take(key.fileobj):
                    selector.unregister(key.fileobj)
                    streams -= 1
                    if key.fileobj is self._console:
                        writing = False
                        self._input.clear()
                        self._send_eot = False
                        self._drop_input()
        self._qemu.wait()
        return asked

    def _ready_for_input(self, now):
        if self._first_word is None and self.log.lines:
            self._first_word = now
        return self.log.ready or self._spoke or (
            self._first_word is not None and now - self._first_word > INPUT_DELAY)

    def _watch_input(self, want):
        if not want:
            self._selector.unregister(self._input_fd)
            self._watching = False
            return
        try:
            self._selector.register(self._input_fd, selectors.EVENT_READ)
            self._watching = True
        except PermissionError:         # a plain file: it can always be read
            while self._input_fd is not None:
                self._take_input(False)

    def _take(self, stream):
        """Read from one of the guest's streams; False at its end."""
        try:
            data = stream.recv(65536)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            data = b""
        if stream is self._debug:
            self._held += self.log.feed(data) if data else self.log.end()
            self._flush_log()
        elif data:
            self._spoke = True
            self._write_log(data)
            self._at_line_start = data.endswith(b"\n")
            self._flush_log()
            view = memoryview(data)
            while view:
                try:
                    view = view[os.write(1, view):]
                except BrokenPipeError:
                    raise
                except OSError as error:
                    raise OutputFailed(error.strerror) from error
        return bool(data)

    def _flush_log(self, final=False):
        """Put log lines into the kept log, between lines of the console."""
        if self._keep and self._held and (self._at_line_start or final):
            if not self._at_line_start:
                self._write_log(b"\n")
            self._write_log(b"".join(line + b"\n" for line in self._held))
            self._held.clear()

    def _write_log(self, data):
        """Write to the kept log; the program goes on without one that cannot be written."""
        view = memoryview(data)
        while self._keep and view:
            try:
                view = view[self._keep.write(view):]
            except OSError as error:
                print("tools/run: the log is cut short: %s" % error.strerror, file=sys.stderr)
                self._keep = None

    def _take_input(self, interactive):
        """Read our input; True when the user wants to end the machine."""
        try:
            data = os.read(self._input_fd, 4096)
        except OSError:
            data = b""
        if not data:
            if self._send_eot:
                self._input += EOT
            self._drop_input()
            return interactive
        if not interactive:
            self._input += data.replace(DLE, DLE + DLE).replace(EOT, DLE + EOT)
            return False
        for byte in data:
            if self._escaped:
                self._escaped = False
                if byte in b"xX":
                    return True
                if byte in b"bB":
                    self._input += BREAK
                if byte != ESCAPE:
                    continue
                self._input.append(ESCAPE)      # doubled, for QEMU
            elif byte == ESCAPE:
                self._escaped = True
                continue
            self._input.append(byte)
        return False

    def _drop_input(self):
        if self._watching:
            self._watch_input(False)
        self._input_fd = None

    def _send_input(self):
        try:
            sent = self._console.send(self._input)
        except BlockingIOError:
            return
        except OSError:
            sent = len(self._input)
        del self._input[:sent]
