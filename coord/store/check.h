/* Arguments of requests: within the bounds of coord/store/store.h, whatever the backend. */
#pragma once

#include "coord/store/store.h"

/* All return 0 or -EINVAL. */
int store_check_key(const char *key);
/* A prefix is a key or empty. */
int store_check_prefix(const char *prefix);
int store_check_list(const char *prefix, const char *after, unsigned limit);
int store_check_txn(const struct store_cond *conds, size_t n_conds, const struct store_op *ops,
		    size_t n_ops);
