/* Where versions of the policy are in the store. */
#pragma once

#include <stdint.h>

#define POLICY_LAST_VERSION UINT64_C(9999999999)
#define POLICY_KEY_SIZE	    32u
#define POLICY_CURRENT_KEY  "policy/current"

/* "policy/0000000042"; returns buf. */
char *policy_key(uint64_t version, char *buf);
