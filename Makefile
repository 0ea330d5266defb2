# SPDX-License-Identifier: BSD-2-Clause
#
# Threadbare. `make help` lists what can be made.
#
# Everything made lands in build/: build/release and build/debug hold the two
# flavours of the kernel, build/user the programs, which both share.

BUILD ?= release
SAN ?=
SMP ?= 4
MEM ?= 512
ACCEL ?= tcg
SETUP ?= yes
CROSS_COMPILE ?=
V ?= 0

ifeq ($(origin CC),default)
CC := gcc
endif

# BUG=name: a debug kernel with one of the mistakes of <kernel/bugs.h> in it.
BUG ?=
ifneq ($(BUG),)
BUILD := debug
endif

# SAN=kasan and BUILD=debug-kasan are the same: a debug build with a sanitizer (docs/sanitizers.md).
ifneq ($(SAN),)
override BUILD := debug-$(SAN)
endif
ifeq ($(filter $(BUILD),release debug debug-ubsan debug-kasan debug-kcsan),)
$(error BUILD=$(BUILD) SAN=$(SAN): BUILD must be release or debug, SAN ubsan, kasan or kcsan)
endif
FLAVOUR := $(firstword $(subst -, ,$(BUILD)))
SANITIZER := $(word 2,$(subst -, ,$(BUILD)))

# --- Tools ------------------------------------------------------------------

KIND := $(if $(findstring clang,$(CC)),clang,gcc)
KCC := $(if $(filter gcc,$(KIND)),$(CROSS_COMPILE))$(CC)
KCC += $(if $(filter clang,$(KIND)),--target=x86_64-unknown-none-elf)
ifeq ($(KIND)$(if $(SANITIZER),-san),clang-san)
$(error SAN=$(SANITIZER): the run times are made for GCC's calls)
endif
LD := $(CROSS_COMPILE)ld
NM := $(CROSS_COMPILE)nm
STRIP := $(CROSS_COMPILE)strip
AR := $(CROSS_COMPILE)ar
NASM ?= nasm
USERCC ?= musl-gcc
HOSTCC ?= gcc
GRUB_MKRESCUE ?= grub-mkrescue
PYTHON := python3 -B

# With V=1 the commands are shown, else a short line for each.
ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-5s %s\n' $(1) $(2)
MAKEFLAGS += --no-print-directory
endif

# --- Sources and flags ------------------------------------------------------

OUT := build/$(if $(BUG),bug-$(BUG),$(BUILD))

KERNEL_C := $(sort $(shell find kernel -name '*.c' ! -path 'kernel/test/*' ! -path 'kernel/debug/san/*' 2>/dev/null))
ifeq ($(FLAVOUR),debug)
KERNEL_C += $(sort $(wildcard kernel/test/*.c))
endif
KERNEL_C += $(if $(SANITIZER),$(sort $(wildcard kernel/debug/san/$(SANITIZER)*.c)))
ARCH_C := $(filter-out arch/x86_64/genassym.c $(if $(filter kasan,$(SANITIZER)),,arch/x86_64/kasan.c),$(sort $(wildcard arch/x86_64/*.c)))
GENASSYM := $(wildcard arch/x86_64/genassym.c)
SRCS_C := $(KERNEL_C) $(ARCH_C)
SRCS_ASM := $(sort $(wildcard boot/*.asm) $(wildcard arch/x86_64/*.asm))
OBJS := $(SRCS_C:%=$(OUT)/%.o) $(SRCS_ASM:%=$(OUT)/%.o)

USER_LIB := $(sort $(wildcard user/lib/*.c) $(wildcard user/lib/*.S))
USER_C := $(sort $(wildcard user/bin/*.c) $(wildcard user/test/*.c) $(wildcard user/bench/*.c))
USER_LIB_OBJS := $(USER_LIB:%=build/%.o)
USER_PROGS := $(USER_C:%.c=build/%)
RAMDISK_PROGS := $(USER_PROGS:build/user/%=build/ramdisk/%)
TESTDATA := $(sort $(wildcard user/test/data/*))

WARNINGS := -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes \
	-Wmissing-declarations -Wredundant-decls -Wshadow -Wvla
KINCLUDE := -nostdinc -isystem $(shell $(KCC) -print-file-name=include 2>/dev/null) \
	-Ikernel/include -Iarch/x86_64/include
KCFLAGS := -std=gnu11 -ffreestanding -fno-stack-protector -fno-pic -fno-pie -fno-common \
	-fno-omit-frame-pointer -fno-asynchronous-unwind-tables -fno-strict-aliasing \
	-mcmodel=kernel -mno-red-zone -mgeneral-regs-only -g $(WARNINGS) $(KINCLUDE)
KCFLAGS_release := -O2
KCFLAGS_debug := -Og -DDEBUG
KCFLAGS += $(KCFLAGS_$(FLAVOUR)) $(if $(BUG),-DBUG_$(BUG)=1)
KNASMFLAGS := -f elf64 -g -F dwarf -w+all -Werror \
	-I$(OUT)/ -Iarch/x86_64/ -Iboot/ $(if $(filter debug,$(FLAVOUR)),-DDEBUG)
# The vDSO: user code, so without the kernel's code model, and with unwind tables for debuggers.
VDSO_CFLAGS := -std=gnu11 -O2 -ffreestanding -fno-stack-protector -fPIC -fno-common \
	-fasynchronous-unwind-tables -mgeneral-regs-only $(WARNINGS) $(KINCLUDE)
VDSO_LDFLAGS := -shared -nostdlib -soname linux-vdso.so.1 --hash-style=both --build-id=none \
	--eh-frame-hdr -Bsymbolic -z noexecstack -z max-page-size=4096 --fatal-warnings
KLDFLAGS := -nostdlib -static -T linker.ld -z max-page-size=4096 -z noexecstack \
	--build-id=none --orphan-handling=error --fatal-warnings

# What a sanitizer adds, for all files and for those that it watches: not its own run time, nor what looks on purpose at
# whatever there is (fsck, monitor, gdb). string.c, which is called for all, tells of its accesses itself.
SANFLAGS_ubsan := -fsanitize=undefined -Wno-maybe-uninitialized
SANFLAGS_kasan := -fsanitize=kernel-address -fasan-shadow-offset=0xdffffc0000000000 \
	--param asan-globals=1 --param asan-stack=1 --param asan-instrumentation-with-call-threshold=0 \
	-Wno-maybe-uninitialized
SANFLAGS_kcsan := -fsanitize=thread --param tsan-instrument-func-entry-exit=0 \
	--param tsan-distinguish-volatile=1 -Wno-tsan -Wno-maybe-uninitialized
SAN_UNWATCHED := kernel/debug/san/% $(if $(filter kasan kcsan,$(SANITIZER)),kernel/lib/string.c \
	kernel/debug/% kernel/mem/kmem_debug.c kernel/mem/pmem_debug.c arch/x86_64/gdb% arch/x86_64/kasan.c)
SAN_DEFINE := $(if $(SANITIZER),-D$(shell echo $(SANITIZER) | tr a-z A-Z))
KCFLAGS += $(SAN_DEFINE)
san_flags = $(if $(filter-out $(SAN_UNWATCHED),$(1)),$(SANFLAGS_$(SANITIZER)))

UCFLAGS := -std=gnu11 -O2 -g -static -fno-pie -no-pie -Wall -Wextra -Werror -Wshadow \
	-Iuser/lib -Ikernel/include

# --- Kernel -----------------------------------------------------------------

.PHONY: all
all: iso  ## Build the ISO (the default)

$(OUT)/%.c.o: %.c $(OUT)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(KCC) $(KCFLAGS) $(call san_flags,$<) -MMD -MP -c $< -o $@

$(OUT)/%.asm.o: %.asm $(OUT)/assym.inc $(OUT)/flags
	@mkdir -p $(@D)
	$(call say,NASM,$<)
	$(Q)$(NASM) $(KNASMFLAGS) -MD $(@:.o=.d) -MP -MQ $@ -o $@ $<

# Offsets and constants for NASM, read out of the compiler's own assembly.
$(OUT)/assym.inc: $(GENASSYM) $(OUT)/flags
	$(call say,GEN,$@)
ifneq ($(GENASSYM),)
	$(Q)$(KCC) $(KCFLAGS) $(if $(filter clang,$(KIND)),-fno-integrated-as) \
		-MMD -MP -MF $(OUT)/assym.d -MT $@ -S $< -o $(OUT)/assym.s
	$(Q)sed -n 's/^[[:space:]]*\(.ascii "\)\{0,1\}->\([A-Za-z_][A-Za-z0-9_]*\) \$$\{0,1\}\(-\{0,1\}[0-9][0-9]*\).*/%define \2 \3/p' \
		$(OUT)/assym.s > $@.tmp
	$(Q)test "$$(grep -c -e '->[A-Za-z_]' $(OUT)/assym.s)" = "$$(wc -l < $@.tmp)" || \
		{ echo "$<: a DEFINE() did not come out as a number" >&2; exit 1; }
	$(Q)mv $@.tmp $@
else
	$(Q): > $@
endif

$(OUT)/vdso.so: arch/x86_64/vdso/vdso.c arch/x86_64/vdso/vdso.lds $(OUT)/flags
	@mkdir -p $(@D)
	$(call say,VDSO,$@)
	$(Q)$(KCC) $(VDSO_CFLAGS) -MMD -MP -MF $(OUT)/vdso.d -MT $@ -c $< -o $(OUT)/vdso.o
	$(Q)$(LD) $(VDSO_LDFLAGS) -T arch/x86_64/vdso/vdso.lds -o $@.tmp $(OUT)/vdso.o
	$(Q)$(STRIP) -o $@ $@.tmp

$(OUT)/arch/x86_64/vdsoimage.asm.o: $(OUT)/vdso.so

# A change of compiler or flags rebuilds everything; an equal one nothing.
FLAGS_NOW := $(KCC) $(KCFLAGS) / $(NASM) $(KNASMFLAGS) / $(LD) $(KLDFLAGS) / $(VDSO_CFLAGS) $(VDSO_LDFLAGS)
$(OUT)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS_NOW)' | cmp -s - $@ || echo '$(FLAGS_NOW)' > $@

# The objects' list, so that a source file that went away is noticed.
$(OUT)/objects: FORCE
	@mkdir -p $(@D)
	@echo '$(OBJS)' | cmp -s - $@ || echo '$(OBJS)' > $@

# The kernel carries its symbols for backtraces, so it is linked twice: with
# an empty table, and with the table made from the first result. No function
# moves between the two, which the last lines check.
$(OUT)/threadbare.elf: $(OBJS) $(OUT)/objects linker.ld tools/mksyms
	$(call say,LD,$@)
	$(Q)$(PYTHON) tools/mksyms < /dev/null > $(OUT)/ksyms0.c
	$(Q)$(KCC) $(KCFLAGS) -c $(OUT)/ksyms0.c -o $(OUT)/ksyms0.o
	$(Q)$(LD) $(KLDFLAGS) -o $(OUT)/pass1.elf $(OBJS) $(OUT)/ksyms0.o
	$(Q)$(NM) -n $(OUT)/pass1.elf | $(PYTHON) tools/mksyms > $(OUT)/ksyms.c
	$(Q)$(KCC) $(KCFLAGS) -c $(OUT)/ksyms.c -o $(OUT)/ksyms.o
	$(Q)$(LD) $(KLDFLAGS) -o $@.tmp $(OBJS) $(OUT)/ksyms.o -Map $(OUT)/threadbare.map
	$(Q)$(NM) -n $@.tmp | $(PYTHON) tools/mksyms | cmp - $(OUT)/ksyms.c
	$(Q)mv $@.tmp $@

$(OUT)/threadbare.stripped: $(OUT)/threadbare.elf
	$(Q)$(STRIP) -o $@ $<

# --- User programs and the RAM disk -----------------------------------------

build/user/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(USERCC) $(UCFLAGS)' | cmp -s - $@ || echo '$(USERCC) $(UCFLAGS)' > $@

build/user/lib/%.c.o: user/lib/%.c build/user/flags
	@mkdir -p $(@D)
	$(call say,UCC,$<)
	$(Q)$(USERCC) $(UCFLAGS) -MMD -MP -c $< -o $@

build/user/lib/%.S.o: user/lib/%.S build/user/flags
	@mkdir -p $(@D)
	$(call say,UCC,$<)
	$(Q)$(USERCC) $(UCFLAGS) -MMD -MP -c $< -o $@

build/user/lib.objects: FORCE
	@mkdir -p $(@D)
	@echo '$(USER_LIB_OBJS)' | cmp -s - $@ || echo '$(USER_LIB_OBJS)' > $@

build/user/libuser.a: $(USER_LIB_OBJS) build/user/lib.objects
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcsD $@ $(USER_LIB_OBJS)

$(USER_PROGS): build/%: %.c build/user/libuser.a build/user/flags
	@mkdir -p $(@D)
	$(call say,UCC,$<)
	$(Q)$(USERCC) $(UCFLAGS) -MMD -MP -MF $@.d -MT $@ $< -o $@ build/user/libuser.a

$(RAMDISK_PROGS): build/ramdisk/%: build/user/%
	@mkdir -p $(@D)
	$(Q)$(STRIP) -o $@ $<

.PHONY: user
user: $(RAMDISK_PROGS)  ## Build only the user programs

build/ramdisk.list: FORCE
	@mkdir -p $(@D)
	@echo '$(RAMDISK_PROGS) $(TESTDATA)' | cmp -s - $@ || echo '$(RAMDISK_PROGS) $(TESTDATA)' > $@

build/ramdisk.cpio: $(RAMDISK_PROGS) $(TESTDATA) build/ramdisk.list tools/mkramdisk tools/newc.py
	$(call say,CPIO,$@)
	$(Q)$(PYTHON) tools/mkramdisk -o $@ $(foreach p,$(RAMDISK_PROGS),$(p)=$(p:build/ramdisk/%=%)) \
		$(if $(TESTDATA),user/test/data=testdata)

# --- ISO --------------------------------------------------------------------

# Only what GRUB needs for this one entry: a smaller image boots sooner.
GRUB_MODULES := normal multiboot2 boot

.PHONY: iso
iso: $(OUT)/threadbare.iso  ## Build the bootable ISO of the chosen flavour

$(OUT)/threadbare.iso: $(OUT)/threadbare.stripped build/ramdisk.cpio boot/grub.cfg
	$(call say,ISO,$@)
	$(Q)rm -rf $(OUT)/iso && mkdir -p $(OUT)/iso/boot/grub
	$(Q)cp $(OUT)/threadbare.stripped $(OUT)/iso/boot/threadbare.elf
	$(Q)cp build/ramdisk.cpio $(OUT)/iso/boot/ramdisk.cpio
	$(Q)cp boot/grub.cfg $(OUT)/iso/boot/grub/grub.cfg
	$(Q)$(GRUB_MKRESCUE) -d /usr/lib/grub/i386-pc --install-modules='$(GRUB_MODULES)' \
		--modules='$(GRUB_MODULES)' --fonts= --themes= --locales= --compress=no \
		-o $@.tmp $(OUT)/iso 2> $(OUT)/iso.log || { cat $(OUT)/iso.log >&2; exit 1; }
	$(Q)mv $@.tmp $@

# --- Running and testing ----------------------------------------------------

# The first make of a fresh machine installs, the second sees what that brought.
JOBS = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc 2>/dev/null || echo 2))
RUN := tools/run --smp $(SMP) --mem $(MEM) --accel $(ACCEL)
ARGS ?=
GDBPORT ?= 1234

.PHONY: setup run test test-page soak bench bench-exit bench-ids debug debug-server
setup:  ## Install the packages that are missing (SETUP=no: only list them)
	@SETUP=$(SETUP) sh tools/setup

run: setup  ## Boot the ISO in QEMU on the terminal (SMP=4 MEM=512 ARGS=program)
	@+$(MAKE) $(JOBS) BUILD=$(BUILD) iso
	@$(RUN) --iso --build $(BUILD) --append log=console $(if $(ARGS),-- $(ARGS))

test: setup  ## Run every test, on 1, 2 and 4 CPUs (SAN=kasan: guest tests, under a sanitizer)
	@tools/test $(if $(SAN),--san $(SAN))

test-%: setup  ## Run the tests whose name starts with the rest of the word
	@tools/test $(if $(SAN),--san $(SAN)) $*

# How long, in seconds, and with which seed of its own: make soak TIME=3600 SEED=1
TIME ?= 3600
SEED ?=
# The browser of test-page, if none of Debian's.
CHROMIUM ?=

soak: setup  ## Run the tests at random, with fail points, for TIME seconds; keep what fails
	@tools/soak --time $(TIME) $(if $(SEED),--seed $(SEED)) $(if $(SAN),--san $(SAN)) $(if $(BUG),--bug $(BUG))

test-page: setup  ## Run the test of the trace's page in a browser, which this installs (CHROMIUM=command)
	@CHROMIUM='$(CHROMIUM)' sh tools/setup page-test
	@+$(MAKE) $(JOBS) BUILD=release iso
	@CHROMIUM='$(CHROMIUM)' PAGE_TEST=must $(PYTHON) tools/test_trace.py TraceTest.test_page

host-test:  ## Run only what needs no machine: unit tests, user tests on Linux
	@tools/test --host-only

bench: setup  ## Print the benchmark table (VS=linux: with Linux beside it)
	@+$(MAKE) $(JOBS) BUILD=release iso
	@tools/bench $(if $(VS),--vs $(VS)) $(ARGS)

bench-exit: setup  ## Compare the direct exit with a reaper and with batches (docs/exitmodes.md)
	@+$(MAKE) $(JOBS) BUILD=release iso
	@tools/bench --exit-modes $(ARGS)

# The id table beside another design, on the host (docs/idbench.md). Three programs of the same parts: steps
# counts instructions, lines cache lines, time nanoseconds. For lines the compiler calls the meter at each access.
IDBENCH_DIR := kernel/test/host/idbench
IDBENCH_IDS := $(addprefix $(IDBENCH_DIR)/,idbitmap.c design_bitmap.c design_table.c) \
	kernel/proc/idtable.c
IDBENCH_DEPS := $(IDBENCH_IDS) $(wildcard $(IDBENCH_DIR)/*) kernel/include/kernel/idtable.h
IDBENCH_CC = $(HOSTCC) -std=gnu11 -O2 -g -fno-strict-aliasing $(WARNINGS) \
	-Ikernel/include -Iarch/x86_64/include
IDBENCH_PROGS := $(addprefix build/idbench/,steps lines time)

build/idbench/steps: $(IDBENCH_DEPS)
	@mkdir -p $(@D)
	$(call say,HOST,$@)
	$(Q)$(IDBENCH_CC) -o $@ $(addprefix $(IDBENCH_DIR)/,exact.c crowd.c meter_step.c) $(IDBENCH_IDS)

build/idbench/lines: $(IDBENCH_DEPS)
	@mkdir -p $(@D)
	$(call say,HOST,$@)
	$(Q)$(IDBENCH_CC) -fsanitize=thread -r -nostdlib -o $@.o $(IDBENCH_IDS)
	$(Q)$(IDBENCH_CC) -o $@ $(addprefix $(IDBENCH_DIR)/,exact.c crowd.c meter_lines.c) $@.o

build/idbench/time: $(IDBENCH_DEPS)
	@mkdir -p $(@D)
	$(call say,HOST,$@)
	$(Q)$(IDBENCH_CC) -o $@ $(addprefix $(IDBENCH_DIR)/,time.c crowd.c) $(IDBENCH_IDS) -lpthread

bench-ids: $(IDBENCH_PROGS)  ## Compare the id table with a bitmap and a hash, on the host (ARGS=most ids)
	@for program in $(IDBENCH_PROGS); do $$program $(ARGS) || exit 1; done

debug: setup  ## Boot stopped, with gdb attached (ARGS=program)
	@+$(MAKE) $(JOBS) BUILD=debug iso
	@tools/debug --smp $(SMP) --mem $(MEM) $(if $(ARGS),-- $(ARGS))

debug-server: setup  ## Boot stopped and wait for an editor's debugger (GDBPORT=1234)
	@+$(MAKE) $(JOBS) BUILD=debug iso
	@tools/run --build debug --gdb $(GDBPORT) --append log=console --smp $(SMP) --mem $(MEM) \
		$(if $(ARGS),-- $(ARGS)) < /dev/null

# --- Source checks ----------------------------------------------------------

FORMAT_FILES = $(shell find kernel arch user -name '*.c' -o -name '*.h' 2>/dev/null)

.PHONY: lint format docs host-test compile_commands.json tags clean help FORCE
lint: setup  ## Check format, headers, layers, lock letters, citations, pictures, commits; run cppcheck
	@KCC='$(KCC)' KCFLAGS='$(KCFLAGS)' USERCC='$(USERCC)' UCFLAGS='$(UCFLAGS)' tools/lint

format:  ## Put all C sources into the project's format
	$(Q)clang-format -i $(FORMAT_FILES)

docs: setup  ## Draw the pictures of docs/ anew from the kernel's tables
	@tools/pictures

compile_commands.json:  ## Write the compilation database for editors
	$(call say,GEN,$@)
	$(Q)$(PYTHON) tools/compdb --kernel '$(KCC) $(KCFLAGS)' --user '$(USERCC) $(UCFLAGS)' \
		-o $@ $(SRCS_C) $(USER_C) $(USER_LIB)

tags:  ## Write the tags file for vi (TAGS=-e for Emacs)
	$(call say,TAGS,$@)
	$(Q)ctags $(TAGS) -o tags $(SRCS_C) $(shell find kernel arch user -name '*.h') $(USER_C)

clean:  ## Remove everything that was made
	$(Q)rm -rf build compile_commands.json tags

help:  ## Show this list
	@echo 'Targets:'
	@sed -n 's/^\([a-z_%.-]*\):[^#]*## \(.*\)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
		sed 's/test-%/test-NAME/' | awk -F'|' '{ printf "%-24s%s\n", $$1, $$2 }'
	@echo 'Variables (with their value now):'
	@echo '  BUILD=$(BUILD)|debug  SAN=$(SAN)|ubsan|kasan|kcsan  SMP=$(SMP)  MEM=$(MEM)  CC=$(CC)  CROSS_COMPILE=$(CROSS_COMPILE)'
	@echo '  ACCEL=$(ACCEL)  SETUP=$(SETUP)  V=$(V)  ARGS=program and its arguments'

FORCE:

.DELETE_ON_ERROR:
.SECONDARY:

-include $(OBJS:.o=.d) $(OUT)/assym.d $(OUT)/vdso.d $(USER_LIB_OBJS:.o=.d) $(USER_PROGS:=.d)
