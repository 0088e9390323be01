/* SHA-256 of what is in memory. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SHA256_LEN 32

/* data may be NULL when len is 0. Return: 0, -EIO when libcrypto fails (without memory, too). */
int sha256(const void *data, size_t len, uint8_t ret_digest[SHA256_LEN]);
