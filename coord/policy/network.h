/* Users and nodes as plain data: copying and freeing. */
#pragma once

#include "coord/policy/policy.h"

/* A deep copy. Return: 0, -ENOMEM (*ret_copy is freed with policy_node_done() also then). */
int policy_node_copy(const struct policy_node *node, struct policy_node *ret_copy);
void policy_node_done(struct policy_node *node);
