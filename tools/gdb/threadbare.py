# SPDX-License-Identifier: BSD-2-Clause
"""gdb commands for Threadbare: docs/debugging.md. In gdb: `source tools/gdb/threadbare.py`.

Sourced again, it takes the commands anew from their files.
"""

import importlib
import os
import sys

import gdb

_FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
if _FOLDER not in sys.path:
    sys.path.insert(0, _FOLDER)
for _name in [name for name in sys.modules if name == "tb" or name.startswith("tb.")]:
    del sys.modules[_name]
importlib.import_module("tb").load()

# A halted CPU is a thread whose program counter is in the idle loop; say nothing of each.
gdb.execute("set print thread-events off")
# The table of ids is read at once, and large while there are many.
gdb.execute("set max-value-size unlimited")
# The in-kernel and QEMU's stub are both slow to come up in a boot.
gdb.execute("set tcp connect-timeout 30")
# `print f()` would run f on whatever stack the CPU is on, and return to where no breakpoint can be.
gdb.execute("set may-call-functions off")
