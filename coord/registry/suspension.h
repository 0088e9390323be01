/* What is taken from those who are suspended. */
#pragma once

#include "coord/registry/op.h"

/* As much of it as there is room for; login NULL: from all of them. Return: whether anything was.
 */
bool suspension_put(struct op *op, struct txn *txn, const char *login);
/* Something is left to be taken from somebody. */
bool suspension_is_due(const struct registry *registry);
