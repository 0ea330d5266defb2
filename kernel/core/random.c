/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random numbers.
 *
 * krandom() is a counter behind a mixing function, so concurrent callers need no lock.
 *
 * random_bytes() hands out a buffer of ChaCha20 key stream. Each refill takes its key from the start of
 * the stream before, mixed with hardware numbers and the time, and bytes handed out are erased, so that
 * the memory never holds what produced an earlier answer.
 */
#include <kernel/random.h>

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/atomic.h>
#include <kernel/chacha.h>
#include <kernel/options.h>
#include <kernel/spinlock.h>
#include <kernel/string.h>

#define KEY_WORDS   8
#define POOL_BLOCKS 8
#define POOL_WORDS  (POOL_BLOCKS * 16)

/* The generator, guarded by rng_lock. The key lies in front of the bytes to hand out. */
static struct spinlock rng_lock = SPINLOCK_INIT("random", RANK_SPIN_LEAF);
static uint32_t rng_pool[POOL_WORDS];
static size_t rng_left; /* bytes at the end of the pool that are unused */

static uint64_t krandom_state = 0x2545f4914f6cdd1d; /* (a) */
static bool seeded;                                 /* by the option: constant after boot */

static uint64_t
mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

uint64_t
krandom(void)
{
	return mix(atomic_add(&krandom_state, 0x9e3779b97f4a7c15));
}

void
random_restart(uint64_t v)
{
	krandom_state = mix(v + 1);
	memset(rng_pool, 0, sizeof(rng_pool));
	memcpy(rng_pool, &krandom_state, sizeof(krandom_state));
	rng_left = 0;
	seeded = true;
}

static int
set_seed(const char *value)
{
	uint64_t v;
	int error = option_u64(value, 0, UINT64_MAX, &v);

	if (error == 0)
		random_restart(v);
	return error;
}
OPTION(seed, "a number", set_seed);

static void
refill(void)
{
	static const uint32_t nonce[3];
	uint32_t key[KEY_WORDS];
	uint64_t fresh[KEY_WORDS / 2];

	memcpy(key, rng_pool, sizeof(key));
	if (!seeded) {
		if (arch_random(fresh, sizeof(fresh)) != 0)
			memset(fresh, 0, sizeof(fresh));
		fresh[0] ^= mix(arch_time_ns());
		fresh[1] ^= mix(arch_time_wall_at_boot());
		for (unsigned i = 0; i < KEY_WORDS / 2; i++) {
			key[2 * i] ^= (uint32_t)fresh[i];
			key[2 * i + 1] ^= (uint32_t)(fresh[i] >> 32);
		}
		atomic_add(&krandom_state, mix(fresh[2]));
	}
	for (uint32_t b = 0; b < POOL_BLOCKS; b++)
		chacha20_block(key, b, nonce, &rng_pool[b * 16]);
	rng_left = sizeof(rng_pool) - sizeof(key);
}

/*
 * random_bytes: fill `dst`.
 * => no spin lock of RANK_SPIN_LEAF or above held; does not sleep. Errors: none.
 */
void
random_bytes(void *dst, size_t size)
{
	uint8_t *d = dst;

	while (size > 0) {
		uint8_t *from;
		size_t n;

		spin_lock(&rng_lock);
		if (rng_left == 0)
			refill();
		n = min(size, rng_left);
		from = (uint8_t *)rng_pool + sizeof(rng_pool) - rng_left;
		memcpy(d, from, n);
		memset(from, 0, n);
		rng_left -= n;
		spin_unlock(&rng_lock);
		d += n;
		size -= n;
	}
}
