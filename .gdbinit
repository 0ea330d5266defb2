# SPDX-License-Identifier: BSD-2-Clause
#
# For a plain `gdb build/debug/threadbare.elf` in this folder. gdb reads it only if the folder
# is trusted; put into ~/.config/gdb/gdbinit:   add-auto-load-safe-path /path/of/this/folder
source tools/gdb/threadbare.py
