/* What a node says of itself, in requests. Pure. */
#pragma once

#include <jansson.h>

#include "coord/registry/model.h"

/*
 * The facts in body (PROTOCOL.md: "hostname", "os", ..., "endpoints") over those that are known;
 * what is absent stays. seen: where the request came from; NULL: not known. Return: 0, and
 * *ret_facts, which the caller frees; -EINVAL and *reterr_text (the caller's); -ENOMEM.
 */
int facts_read(const json_t *body, const struct node_facts *known, const struct ip_addr *seen,
	       char **reterr_text, struct node_facts *ret_facts);
