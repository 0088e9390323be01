/* Hashing for tables in memory. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* FNV-1a with a final mix, so that the low bits are good enough for a mask. */
uint64_t hash_bytes(const void *data, size_t len);
