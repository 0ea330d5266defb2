# SPDX-License-Identifier: BSD-2-Clause
"""The kernel on other machines than the usual one: QEMU with UEFI, and Bochs.

Bochs is a second opinion of the processor: an x2APIC, a timer by TSC deadline, and other errata. Each boots
an ISO for both kinds of firmware and runs a program; there is no fw_cfg, so the options are GRUB's.
"""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(TOP, "build", "debug")
OVMF = "/usr/share/ovmf/OVMF.fd"
BIOS = "/usr/share/bochs/BIOS-bochs-latest"
VGABIOS = "/usr/share/bochs/VGABIOS-lgpl-latest"
LIMIT = 240.0                   # seconds; Bochs interprets, and the host may be busy

BOCHSRC = """\
config_interface: textconfig
display_library: term
plugin_ctrl: speaker=false, parallel=false
cpu: count=%(smp)d, model=corei7_haswell_4770, ips=80000000, reset_on_triple_fault=0
memory: guest=256, host=256
romimage: file=%(bios)s
vgaromimage: file=%(vgabios)s
boot: cdrom
ata0-master: type=cdrom, path=%(iso)s, status=inserted
com1: enabled=1, mode=file, dev=%(serial)s
log: %(log)s
panic: action=fatal
clock: sync=none, time0=local
"""


def make_iso(folder, words):
    """Make an ISO for BIOS and UEFI whose kernel gets these options."""
    tree, iso = os.path.join(folder, "iso"), os.path.join(folder, "both.iso")
    os.makedirs(os.path.join(tree, "boot", "grub"))
    shutil.copy(os.path.join(BUILD, "threadbare.stripped"),
                os.path.join(tree, "boot", "threadbare.elf"))
    shutil.copy(os.path.join(TOP, "build", "ramdisk.cpio"), os.path.join(tree, "boot"))
    with open(os.path.join(TOP, "boot", "grub.cfg"), encoding="utf-8") as file:
        menu = file.read().replace("threadbare.elf", "threadbare.elf " + words)
    with open(os.path.join(tree, "boot", "grub", "grub.cfg"), "w", encoding="utf-8") as file:
        file.write(menu)
    modules = "normal multiboot2 boot part_gpt part_msdos iso9660"
    subprocess.run(["grub-mkrescue", "--modules=" + modules, "--install-modules=" + modules,
                    "--fonts=", "--themes=", "--locales=", "-o", iso, tree],
                   check=True, capture_output=True)
    return iso


def content(path):
    """What is in a file by now."""
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def run_bochs(folder, iso, smp):
    """Run Bochs on a terminal of its own until the machine turns itself off; return the console."""
    names = {"smp": smp, "iso": iso, "bios": BIOS, "vgabios": VGABIOS,
             "serial": os.path.join(folder, "serial"), "log": os.path.join(folder, "log")}
    with open(os.path.join(folder, "bochsrc"), "w", encoding="utf-8") as file:
        file.write(BOCHSRC % names)
    with open(os.path.join(folder, "commands"), "w", encoding="utf-8") as file:
        file.write("continue\n")                # its debugger asks first
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.environ["TERM"] = "xterm"
        try:
            os.execvp("bochs", ["bochs", "-q", "-f", "bochsrc", "-rc", "commands"])
        finally:
            os._exit(127)
    end = time.monotonic() + LIMIT
    try:
        # Its screen is not looked at, but must be taken from it. It lingers after the power is off.
        while time.monotonic() < end and "exit: status=" not in content(names["serial"]):
            if select.select([terminal], [], [], 1.0)[0] and not os.read(terminal, 65536):
                break
    except OSError:             # the terminal's other end is closed: Bochs has ended
        pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)
    return content(names["serial"]) + content(names["log"])[-2000:]


class MachinesTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        subprocess.run(["make", "-C", TOP, "--no-print-directory", "BUILD=debug", "iso"],
                       check=True, capture_output=True)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def check(self, console, smp, pattern):
        self.assertRegex(console, r"threadbare: %d CPUs?," % smp)
        self.assertRegex(console, pattern)
        self.assertIsNotNone(re.search(r"exit: status=0\b", console), console)
        self.assertNotIn("leak", console)

    def test_uefi(self):
        iso = make_iso(self.folder, "log=console")
        done = subprocess.run(
            ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
             "-no-reboot", "-machine", "q35", "-cpu", "max", "-accel", "tcg,thread=multi",
             "-smp", "4", "-m", "512M", "-bios", OVMF, "-cdrom", iso, "-serial", "stdio"],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, check=True)
        self.check(done.stdout.decode("utf-8", "replace"), 4, r"none is left\.")

    def test_bochs(self):
        iso = make_iso(self.folder, "log=console init=/test/thread")
        console = run_bochs(self.folder, iso, 4)
        self.assertIn("timer by TSC deadline", console)
        self.assertNotIn("not ok", console)
        self.check(console, 4, r"\n1\.\.\d+")


if __name__ == "__main__":
    unittest.main()
