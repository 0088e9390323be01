/* What the requests about the policy share. */
#pragma once

#include "common/sha256.h"
#include "coord/policy/policy_json.h"

/* "VERSION-SHA256", with the quotes, as ETag and If-Match have it (RFC 9110, 8.8.3). */
#define POLICY_ETAG_SIZE (1 + 20 + 1 + 2 * SHA256_LEN + 2)
char *policy_etag(uint64_t version, const uint8_t hash[SHA256_LEN], char buf[POLICY_ETAG_SIZE]);
/* Return: 0, -EINVAL. */
int policy_etag_parse(const char *text, uint64_t *ret_version, uint8_t ret_hash[SHA256_LEN]);
