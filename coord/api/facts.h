/* What a node says of itself, in requests. Pure. */
#pragma once

#include <jansson.h>

#include "coord/registry/model.h"

/*
 * The facts in body (PROTOCOL.md: "hostname", "os", ..., "endpoints"), and which of them it has
 * (FACT_HOSTNAME, ...). seen: where the request came from; NULL: not known. Return: 0, and
 * *ret_facts, which the caller frees; -EINVAL and *reterr_text (the caller's); -ENOMEM.
 */
int facts_read(const json_t *body, const struct ip_addr *seen, char **reterr_text,
	       struct node_facts *ret_facts, unsigned *ret_given);
