# SPDX-License-Identifier: BSD-2-Clause
"""vm, proc."""

import gdb

from . import kern, model, pages, printers, snapshot
from .kern import addr, plural


class Vm(kern.Command):
    """Show the address space of a process: `vm PID`.

Its regions with rights, size, pages in memory (counted in the page tables), and where their
contents come from: an object (a file of the RAM disk or shared memory) with an offset, or nothing
but zeros."""

    name = "vm"

    def run(self, words):
        if len(words) != 1:
            self.usage("PID")
        proc = model.find_proc(self.number(words[0], "an id"))
        space = pages.AddressSpace(proc)
        regions, broken = space.regions()
        print("%s: vmspace %#x, %s, page tables at %#x" % (
            proc, addr(space.vm.address), plural(int(space.vm["vm_regions"]["rs_count"]), "region"),
            addr(space.pmap["pm_cr3"])))
        print("START        END          RIGHTS  PAGES  IN  FROM")
        total = 0
        for region in regions:
            start, end = addr(region["vr_start"]), addr(region["vr_end"])
            try:
                inside = sum(1 for _ in space.resident(start, end))
            except gdb.MemoryError:
                inside = -1
            total += max(inside, 0)
            flags = int(region["vr_flags"])
            source = "zeros"
            if addr(region["vr_obj"]):
                source = self.source(region)
            names = [n.lower() for n in kern.flag_names("VR_", flags & ~kern.constant("VR_SHARED"))]
            print("%012x %012x %s%s %8d %4d  %s%s" % (
                start, end, printers.prot_text(int(region["vr_prot"])),
                "s" if flags & kern.constant("VR_SHARED") else "p", (end - start) >> 12, inside,
                source, " " + " ".join(names) if names else ""))
        if broken:
            print("(%s)" % broken)
        print("%s in memory, counted as %d; heap %#x to %#x" % (
            plural(total, "page"), int(space.pmap["pm_resident"]), addr(space.vm["vm_brk_start"]),
            addr(space.vm["vm_brk"])))

    @staticmethod
    def source(region):
        try:
            obj = kern.at(addr(region["vr_obj"]), "struct vmobj")
            what = "file" if addr(obj["vo_file"]) else "shared"
        except gdb.MemoryError:
            what = "object"
        return "%s %#x+%#x" % (what, addr(region["vr_obj"]), addr(region["vr_off"]))


class ProcCommand(kern.Command):
    """Look at a process as a program of its own.

`proc PID [FILE]`   open it as a second inferior: its memory, its LWPs as threads, its symbols;
                    FILE is its ELF file if that is not found by its name
`proc`              back to the kernel

In the process `info threads`, `bt`, `info locals`, `x`, `print` are those of any program. It is a
picture of this moment and cannot be continued; commands of the kernel go on to work."""

    name = "proc"

    def invoke(self, arg, from_tty):
        self.dont_repeat()
        words = gdb.string_to_argv(arg)
        if not words:
            kern.select_inferior(kern.kernel_inferior())
            snapshot.sweep()
            print("[the kernel]")
            return
        try:
            with kern.in_kernel():
                kern.require_booted()
                if len(words) > 2:
                    self.usage("[PID [FILE]]")
                proc = model.find_proc(self.number(words[0], "an id"))
                shot = snapshot.of(proc, words[1] if len(words) > 1 else None)
        except gdb.MemoryError as error:
            raise gdb.GdbError("proc: %s" % error) from None
        shot.select(shot.lids[0])
        print("[%s: %s, as of now; `proc` goes back to the kernel]" % (
            proc, shot.program.split(kern.TOP + "/")[-1] if shot.program
            else "no symbols; `proc %d FILE` names its ELF file" % proc.pid))
        if shot.note:
            print("(%s)" % shot.note)
        print(gdb.execute("info threads", to_string=True).rstrip())


Vm()
ProcCommand()
