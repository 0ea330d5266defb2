/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ChaCha20 block function.
 * layer: lib
 */
#ifndef KERNEL_CHACHA_H
#define KERNEL_CHACHA_H

#include <kernel/types.h>

void chacha20_block(
    const uint32_t key[8], uint32_t counter, const uint32_t nonce[3], uint32_t out[16]);

#endif
