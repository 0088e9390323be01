/* Which nodes addresses belong to: rules speak of addresses, people of nodes. */
#pragma once

#include <jansson.h>

#include "coord/policy/policy.h"

struct ctl_names;

/* The engine is borrowed, and not changed while the names are in use. Return: 0, -ENOMEM. */
int ctl_names_new(const struct policy_engine *engine, struct ctl_names **ret_names);
struct ctl_names *ctl_names_free(struct ctl_names *names);
DEFINE_CLEANUP(struct ctl_names *, ctl_names_free);

/*
 * Turn addresses, prefixes and ranges (array of texts) into what people call them: a node of which
 * all addresses are there becomes its name, what "*" stands for in a policy becomes "the mesh".
 * Return: the caller's; NULL when out of memory.
 */
json_t *ctl_names_of(struct ctl_names *names, const json_t *addresses);
