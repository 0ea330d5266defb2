/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's firmware configuration device: named items that tools/run hands to the kernel. Its numbers are
 * big-endian. Items are read by DMA, a page at a time when the destination is not contiguous, or byte by byte
 * from the data port on a device without DMA.
 *
 * => used by the boot CPU during the boot only, so there is no lock.
 */
#include <abi/errno.h>
#include <arch/arch_if.h>
#include <arch/insn.h>
#include <arch/machine.h>
#include <kernel/atomic.h>
#include <kernel/printf.h>
#include <kernel/string.h>

#define PORT_SELECT   0x510
#define PORT_DATA     0x511
#define PORT_DMA_HIGH 0x514
#define PORT_DMA_LOW  0x518

#define ITEM_SIGNATURE 0x00
#define ITEM_FEATURES  0x01
#define ITEM_DIRECTORY 0x19
#define FEATURE_DMA    2u

#define DMA_ERROR 1u
#define DMA_READ  2u

struct fwcfg_dma {
	uint32_t control, length; /* big-endian */
	uint64_t address;         /* big-endian, physical */
} __aligned(16);

struct fwcfg_file {
	uint32_t size;   /* big-endian */
	uint16_t select; /* big-endian */
	uint16_t reserved;
	char name[56];
};

enum { UNKNOWN, ABSENT, BYTES, DMA };
static int device = UNKNOWN; /* constant once found out */

static void
read_bytes(void *dst, size_t n)
{
	uint8_t *d = dst;

	while (n-- > 0)
		*d++ = inb(PORT_DATA);
}

/* Reads on in the selected item, into memory that is physically contiguous. */
static int
read_dma(void *dst, size_t n)
{
	static volatile struct fwcfg_dma dma;
	uint64_t pa = arch_virt_to_phys((const void *)(uintptr_t)&dma);

	dma.control = __builtin_bswap32(DMA_READ);
	dma.length = __builtin_bswap32((uint32_t)n);
	dma.address = __builtin_bswap64(arch_virt_to_phys(dst));
	compiler_barrier();
	outl(PORT_DMA_HIGH, __builtin_bswap32((uint32_t)(pa >> 32)));
	outl(PORT_DMA_LOW, __builtin_bswap32((uint32_t)pa));
	while ((__builtin_bswap32(dma.control) & ~DMA_ERROR) != 0)
		arch_cpu_relax();
	compiler_barrier();
	return dma.control != 0 ? -EIO : 0;
}

static bool
is_contiguous(const void *p)
{
	uintptr_t a = (uintptr_t)p;

	return a >= KIMAGE_BASE || (a >= PHYSMAP_BASE && a < KSTACK_BASE);
}

static int
read_on(void *dst, size_t n)
{
	static char bounce[PAGE_SIZE] __aligned(PAGE_SIZE);
	char *d = dst;
	int error;

	if (device == BYTES) {
		read_bytes(dst, n);
		return 0;
	}
	if (is_contiguous(dst))
		return read_dma(dst, n);
	for (; n > 0; d += min(n, PAGE_SIZE), n -= min(n, PAGE_SIZE)) {
		error = read_dma(bounce, min(n, PAGE_SIZE));
		if (error != 0)
			return error;
		memcpy(d, bounce, min(n, PAGE_SIZE));
	}
	return 0;
}

static bool
present(void)
{
	char signature[4];
	uint32_t features;

	if (device != UNKNOWN)
		return device != ABSENT;
	device = ABSENT;
	outw(PORT_SELECT, ITEM_SIGNATURE);
	read_bytes(signature, sizeof(signature));
	if (memcmp(signature, "QEMU", sizeof(signature)) != 0)
		return false;
	outw(PORT_SELECT, ITEM_FEATURES);
	read_bytes(&features, sizeof(features));
	device = (features & FEATURE_DMA) != 0 ? DMA : BYTES;
	return true;
}

/* Finds the item `name` in the directory and selects it. 0, -ENOENT or -EIO. */
static int
find(const char *name, uint32_t *size)
{
	struct fwcfg_file file;
	uint32_t count;
	int error;

	if (!present())
		return -ENOENT;
	outw(PORT_SELECT, ITEM_DIRECTORY);
	error = read_on(&count, sizeof(count));
	if (error != 0)
		return error;
	for (count = __builtin_bswap32(count); count > 0; count--) {
		error = read_on(&file, sizeof(file));
		if (error != 0)
			return error;
		if (strncmp(file.name, name, sizeof(file.name)) != 0)
			continue;
		*size = __builtin_bswap32(file.size);
		outw(PORT_SELECT, __builtin_bswap16(file.select));
		return 0;
	}
	return -ENOENT;
}

ssize_t
arch_fwcfg_size(const char *name)
{
	uint32_t size;
	int error = find(name, &size);

	return error != 0 ? error : (ssize_t)size;
}

/*
 * `size` is that of the buffer: a longer item gives -ENOSPC; behind a shorter one the buffer stays as it was.
 */
int
arch_fwcfg_read(const char *name, void *dst, size_t size)
{
	uint32_t have;
	int error = find(name, &have);

	if (error != 0)
		return error;
	if (have > size)
		return -ENOSPC;
	return have > 0 ? read_on(dst, have) : 0;
}
