#include "coord/store/check.h"

#include <errno.h>
#include <string.h>

int store_check_prefix(const char *prefix)
{
	size_t len = strnlen(prefix, STORE_MAX_KEY + 1);

	if (len > STORE_MAX_KEY)
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		if (prefix[i] <= ' ' || prefix[i] > '~')
			return -EINVAL;
	return 0;
}

int store_check_key(const char *key)
{
	return key[0] ? store_check_prefix(key) : -EINVAL;
}

int store_check_list(const char *prefix, const char *after, unsigned limit)
{
	if (limit == 0 || limit > STORE_MAX_LIST || (after && store_check_key(after) < 0))
		return -EINVAL;
	return store_check_prefix(prefix);
}

static int check_op(const struct store_op *op, size_t *total)
{
	if (store_check_key(op->key) < 0 || op->len > STORE_MAX_VALUE ||
	    (!op->value && op->len > 0))
		return -EINVAL;
	*total += strlen(op->key) + op->len;
	return *total > STORE_MAX_BYTES ? -EINVAL : 0;
}

int store_check_txn(const struct store_cond *conds, size_t n_conds, const struct store_op *ops,
		    size_t n_ops)
{
	size_t total = 0;

	if (n_conds > STORE_MAX_TXN || n_ops > STORE_MAX_TXN)
		return -EINVAL;
	for (size_t i = 0; i < n_conds; i++)
		if (store_check_key(conds[i].key) < 0)
			return -EINVAL;
	for (size_t i = 0; i < n_ops; i++) {
		if (check_op(&ops[i], &total) < 0)
			return -EINVAL;
		for (size_t j = 0; j < i; j++)
			if (strcmp(ops[i].key, ops[j].key) == 0)
				return -EINVAL;
	}
	return 0;
}
