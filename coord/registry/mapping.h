/* Groups of OpenID providers, as groups of the policy. */
#pragma once

#include "coord/registry/registry.h"

struct mappings {
	struct registry_mapping *items; /* sorted by group, issuer and value */
	size_t n;
	struct text_list groups; /* sorted, each once */
};

/* Return: 0, -ENOMEM (*ret_mappings untouched). */
int mappings_copy(const struct registry_mapping *items, size_t n, struct mappings *ret_mappings);
void mappings_done(struct mappings *mappings);
