/*
 * Transactions. All memory that the answer and the watchers need is there before COMMIT; what has
 * happened is told without fail.
 */
#include <errno.h>
#include <string.h>

#include "coord/store/check.h"
#include "coord/store/sqlite_store.h"

/* More than rows that SQLite returns. */
enum {
	TXN_CONFLICT = -1,
};

struct txn {
	struct store *store;
	const struct store_cond *conds, *conflict;
	size_t n_conds;
	const struct store_op *ops;
	size_t n_ops;
	struct watch_event *event;
	uint64_t oldest, log_bytes; /* of the store, after it */
};

/* Run a statement that gives no rows. */
static int run(struct store *store, enum statement which)
{
	sqlite3_stmt *statement = store->statements[which];
	int rc = sqlite3_step(statement);

	sqlite3_reset(statement);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int bind_key(sqlite3_stmt *statement, const char *key)
{
	return sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
}

static int read_revision(struct store *store, const char *key, uint64_t *ret_revision)
{
	sqlite3_stmt *statement = store->statements[STATEMENT_GET];
	int rc = bind_key(statement, key);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW)
		*ret_revision = (uint64_t)sqlite3_column_int64(statement, 2);
	else if (rc == SQLITE_DONE)
		*ret_revision = 0;
	sqlite3_reset(statement);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int check_conds(struct txn *txn)
{
	for (size_t i = 0; i < txn->n_conds; i++) {
		uint64_t revision;
		int rc = read_revision(txn->store, txn->conds[i].key, &revision);

		if (rc != SQLITE_OK)
			return rc;
		if (revision != txn->conds[i].revision) {
			txn->conflict = &txn->conds[i];
			return TXN_CONFLICT;
		}
	}
	return SQLITE_OK;
}

static int bind_change(sqlite3_stmt *statement, const struct store_entry *change)
{
	int rc = bind_key(statement, change->key);

	if (rc == SQLITE_OK && change->value)
		rc = sqlite3_bind_blob64(statement, 2, change->value, change->len, SQLITE_STATIC);
	else if (rc == SQLITE_OK)
		rc = sqlite3_bind_null(statement, 2);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int64(statement, 3, (int64_t)change->revision);
	return rc;
}

static int put(struct store *store, const struct store_entry *change)
{
	int rc = bind_change(store->statements[STATEMENT_PUT], change);

	return rc == SQLITE_OK ? run(store, STATEMENT_PUT) : rc;
}

static int delete_key(struct store *store, const char *key, bool *ret_deleted)
{
	int rc = bind_key(store->statements[STATEMENT_DELETE], key);

	if (rc == SQLITE_OK)
		rc = run(store, STATEMENT_DELETE);
	*ret_deleted = rc == SQLITE_OK && sqlite3_changes(store->db) > 0;
	return rc;
}

static int log_change(struct txn *txn, const struct store_entry *change, size_t seq)
{
	sqlite3_stmt *statement = txn->store->statements[STATEMENT_LOG];
	int rc = bind_change(statement, change);

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int64(statement, 4, (int64_t)seq);
	txn->log_bytes += strlen(change->key) + change->len;
	return rc == SQLITE_OK ? run(txn->store, STATEMENT_LOG) : rc;
}

static int change_one(struct txn *txn, const struct store_op *op)
{
	struct entry_rows *changes = &txn->event->changes;
	struct store_entry *change;
	bool changed = true;
	int rc;

	if (entry_rows_add(changes, op->key, op->value, op->len, txn->event->revision) < 0)
		return SQLITE_NOMEM;
	change = &changes->entries[changes->n - 1];
	rc = change->value ? put(txn->store, change)
			   : delete_key(txn->store, change->key, &changed);
	if (rc != SQLITE_OK)
		return rc;
	if (changed)
		return log_change(txn, change, changes->n - 1);
	entry_rows_drop_last(changes);
	return SQLITE_OK;
}

/* Forget the oldest revision of the log. */
static int trim_one(struct txn *txn)
{
	sqlite3_stmt *statement = txn->store->statements[STATEMENT_TRIM];
	int rc = sqlite3_bind_int64(statement, 1, (int64_t)txn->oldest + 1);

	if (rc != SQLITE_OK)
		return rc;
	while ((rc = sqlite3_step(statement)) == SQLITE_ROW)
		txn->log_bytes -= (uint64_t)sqlite3_column_int64(statement, 0);
	sqlite3_reset(statement);
	txn->oldest++;
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int change_all(struct txn *txn)
{
	int rc = SQLITE_OK;

	for (size_t i = 0; i < txn->n_ops && rc == SQLITE_OK; i++)
		rc = change_one(txn, &txn->ops[i]);
	while (rc == SQLITE_OK && txn->event->changes.n > 0 &&
	       txn->oldest + 1 < txn->event->revision &&
	       (txn->event->revision - txn->oldest > SQLITE_STORE_LOG_REVISIONS ||
		txn->log_bytes > SQLITE_STORE_LOG_BYTES))
		rc = trim_one(txn);
	return rc;
}

static int run_txn(struct txn *txn)
{
	int rc;

	/* A ROLLBACK that failed is made good. */
	if (!sqlite3_get_autocommit(txn->store->db))
		(void)run(txn->store, STATEMENT_ROLLBACK);
	rc = run(txn->store, STATEMENT_BEGIN);
	if (rc == SQLITE_OK)
		rc = check_conds(txn);
	if (rc == SQLITE_OK)
		rc = change_all(txn);
	if (rc == SQLITE_OK)
		rc = run(txn->store, STATEMENT_COMMIT);
	return rc;
}

static void answer_failure(struct txn *txn, int rc)
{
	struct store *store = txn->store;
	char text[512];
	struct store_answer answer = { .revision = store->revision, .text = text };

	if (rc == TXN_CONFLICT) {
		answer.status = -EBUSY;
		answer.conflict = txn->conflict;
		snprintf(text, sizeof(text), "%s was changed meanwhile", txn->conflict->key);
	} else {
		answer.status = sqlite_store_errno(store->db, rc);
		sqlite_store_describe(store->db, rc, store->path, text, sizeof(text));
	}
	if (!sqlite3_get_autocommit(store->db))
		(void)run(store, STATEMENT_ROLLBACK);
	watch_hub_answer(&store->hub, &answer, txn->event->fn, txn->event->userdata);
}

/* Something has changed, or nothing had to. */
static void finish(struct txn *txn, struct watch_event *event)
{
	struct store *store = txn->store;
	const struct store_answer nothing = { .revision = store->revision };

	if (event->changes.n == 0) {
		watch_hub_answer(&store->hub, &nothing, event->fn, event->userdata);
		watch_event_free(event);
		return;
	}
	store->revision = event->revision;
	store->oldest = txn->oldest;
	store->log_bytes = txn->log_bytes;
	watch_hub_queue(&store->hub, event);
}

int store_txn(struct store *store, const struct store_cond *conds, size_t n_conds,
	      const struct store_op *ops, size_t n_ops, store_answer_fn fn, void *userdata)
{
	_cleanup_(watch_event_freep) struct watch_event *event = NULL;
	struct txn txn = {
		.store = store,
		.conds = conds,
		.n_conds = n_conds,
		.ops = ops,
		.n_ops = n_ops,
		.oldest = store->oldest,
		.log_bytes = store->log_bytes,
	};
	int rc;

	if (store_check_txn(conds, n_conds, ops, n_ops) < 0)
		return -EINVAL;
	event = watch_event_new(n_ops, fn, userdata);
	if (!event)
		return -ENOMEM;
	event->revision = store->revision + 1;
	txn.event = event;
	rc = run_txn(&txn);
	if (rc == SQLITE_OK)
		finish(&txn, take_ptr(event));
	else
		answer_failure(&txn, rc);
	return 0;
}
