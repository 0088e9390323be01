/* Users and nodes as plain data: copying and freeing. */
#pragma once

#include "coord/policy/policy.h"

/* A deep copy. Return: 0, -ENOMEM (*ret_copy is freed with policy_node_done() also then). */
int policy_node_copy(const struct policy_node *node, struct policy_node *ret_copy);
void policy_node_done(struct policy_node *node);
/* The same of a user. */
int policy_user_copy(const struct policy_user *user, struct policy_user *ret_copy);
void policy_user_done(struct policy_user *user);
/* A list of texts is freed, and zeroed. */
void policy_texts_done(char ***texts, size_t *n);
