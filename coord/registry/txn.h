/* A transaction being put together: conditions and operations that own their texts. */
#pragma once

#include <stdint.h>

#include "coord/registry/field.h"
#include "coord/store/store.h"

/* Zero-initialise. Once something fails, all that follows does nothing. */
struct txn {
	struct store_cond conds[STORE_MAX_TXN];
	struct store_op ops[STORE_MAX_TXN];
	size_t n_conds, n_ops;
	int error;  /* -ENOMEM, -E2BIG, -EBADMSG: a record that cannot be read */
	char *text; /* of -EBADMSG, for the log */
};
void txn_done(struct txn *txn);

/* The entry PREFIX/ID has this revision; 0: it must not exist. */
void txn_expect(struct txn *txn, const char *prefix, const char *id, uint64_t revision);
/* value (NULL: there was no memory for it) is the transaction's from here on. */
void txn_put(struct txn *txn, const char *prefix, const char *id, char *value, size_t len);
void txn_delete(struct txn *txn, const char *prefix, const char *id);

/*
 * Put the record where it belongs, if its entry has still the revision that the record has. It is
 * read back first: what is written has to be readable, or it would be lost with the next start.
 */
void txn_put_record(struct txn *txn, const struct record_kind *kind, const void *record);
/* The same whatever is there. */
void txn_set_record(struct txn *txn, const struct record_kind *kind, const void *record);
