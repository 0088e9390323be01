#include "coord/registry/txn.h"

#include <errno.h>

#include "common/text.h"

void txn_done(struct txn *txn)
{
	for (size_t i = 0; i < txn->n_conds; i++)
		free((char *)txn->conds[i].key);
	for (size_t i = 0; i < txn->n_ops; i++) {
		free((char *)txn->ops[i].key);
		free((void *)txn->ops[i].value);
	}
	free(txn->text);
	*txn = (struct txn){ 0 };
}

static char *make_key(struct txn *txn, const char *prefix, const char *id, size_t n)
{
	char *key;

	if (txn->error < 0)
		return NULL;
	if (n == STORE_MAX_TXN) {
		txn->error = -E2BIG;
		return NULL;
	}
	key = text_printf("%s%s", prefix, id);
	if (!key)
		txn->error = -ENOMEM;
	return key;
}

void txn_expect(struct txn *txn, const char *prefix, const char *id, uint64_t revision)
{
	char *key = make_key(txn, prefix, id, txn->n_conds);

	if (key)
		txn->conds[txn->n_conds++] = (struct store_cond){ key, revision };
}

void txn_put(struct txn *txn, const char *prefix, const char *id, char *value, size_t len)
{
	char *key = make_key(txn, prefix, id, txn->n_ops);

	if (key && value) {
		txn->ops[txn->n_ops++] = (struct store_op){ key, value, len };
		return;
	}
	if (key)
		txn->error = -ENOMEM;
	free(key);
	free(value);
}

void txn_delete(struct txn *txn, const char *prefix, const char *id)
{
	char *key = make_key(txn, prefix, id, txn->n_ops);

	if (key)
		txn->ops[txn->n_ops++] = (struct store_op){ .key = key };
}

/* Return: 0, -EBADMSG, -ENOMEM. */
static int read_back(struct txn *txn, const struct record_kind *kind, const char *id,
		     const char *value, size_t len)
{
	_cleanup_free_ char *key = text_printf("%s%s", kind->prefix, id);
	_cleanup_free_ void *again = calloc(1, kind->size);
	int r = key && again ? record_read(kind, key, value, len, &txn->text, again) : -ENOMEM;

	if (r == 0)
		kind->done(again);
	return r == -EINVAL ? -EBADMSG : r;
}

void txn_set_record(struct txn *txn, const struct record_kind *kind, const void *record)
{
	const struct record_head *head = record;
	size_t len = 0;
	char *value;

	if (txn->error < 0)
		return;
	value = record_write(kind, record, &len);
	txn->error = value ? read_back(txn, kind, head->id, value, len) : -ENOMEM;
	if (txn->error < 0)
		free(value);
	else
		txn_put(txn, kind->prefix, head->id, value, len);
}

void txn_put_record(struct txn *txn, const struct record_kind *kind, const void *record)
{
	const struct record_head *head = record;

	txn_expect(txn, kind->prefix, head->id, head->revision);
	txn_set_record(txn, kind, record);
}
