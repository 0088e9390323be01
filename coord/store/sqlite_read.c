/* Get, list, and what a watch has missed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "coord/store/check.h"
#include "coord/store/sqlite_store.h"

#define MAX_LIST_BYTES (16u << 20)

/* Behind all keys that begin with the prefix: keys are printable. */
static void prefix_end(const char *prefix, char end[static STORE_MAX_KEY + 2])
{
	snprintf(end, STORE_MAX_KEY + 2, "%s\x7f", prefix);
}

static int bind_text(sqlite3_stmt *statement, int i, const char *text)
{
	return sqlite3_bind_text(statement, i, text, -1, SQLITE_STATIC);
}

/* The row that a statement stands at (k, v, rev). */
static int add_row(struct entry_rows *rows, sqlite3_stmt *statement)
{
	const char *key = (const char *)sqlite3_column_text(statement, 0);
	const void *value = sqlite3_column_blob(statement, 1);
	int len = sqlite3_column_bytes(statement, 1);

	if (!key)
		return -ENOMEM;
	if (!value && sqlite3_column_type(statement, 1) != SQLITE_NULL) {
		/* An empty one; or no memory to bring it in one piece. */
		if (len > 0)
			return -ENOMEM;
		value = "";
	}
	return entry_rows_add(rows, key, value, (size_t)len,
			      (uint64_t)sqlite3_column_int64(statement, 2));
}

/*
 * Rows as they come, until the statement ends, there are max, or they are too large. Return: what
 * sqlite3_step() said last: SQLITE_ROW: there are more.
 */
static int collect(sqlite3_stmt *statement, struct entry_rows *rows, size_t max)
{
	int rc;

	while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
		if (rows->n == max || rows->bytes > MAX_LIST_BYTES)
			break;
		if (add_row(rows, statement) < 0)
			return SQLITE_NOMEM;
	}
	return rc;
}

static void answer_rows(struct store *store, int rc, const struct entry_rows *rows,
			store_answer_fn fn, void *userdata)
{
	char text[512];
	struct store_answer answer = { .revision = store->revision };

	if (rc == SQLITE_DONE || rc == SQLITE_ROW) {
		answer.entries = rows->entries;
		answer.n_entries = rows->n;
		answer.more = rc == SQLITE_ROW;
	} else {
		answer.status = sqlite_store_errno(store->db, rc);
		sqlite_store_describe(store->db, rc, store->path, text, sizeof(text));
		answer.text = text;
	}
	watch_hub_answer(&store->hub, &answer, fn, userdata);
}

int store_get(struct store *store, const char *key, store_answer_fn fn, void *userdata)
{
	sqlite3_stmt *statement = store->statements[STATEMENT_GET];
	const struct store_answer nothing = { .status = -ENOENT, .revision = store->revision };
	struct entry_rows rows;
	int rc;

	if (store_check_key(key) < 0)
		return -EINVAL;
	if (entry_rows_init(&rows, 1) < 0)
		return -ENOMEM;
	rc = bind_text(statement, 1, key);
	if (rc == SQLITE_OK)
		rc = collect(statement, &rows, 1);
	sqlite3_reset(statement);
	if (rc == SQLITE_DONE && rows.n == 0)
		watch_hub_answer(&store->hub, &nothing, fn, userdata);
	else
		answer_rows(store, rc, &rows, fn, userdata);
	entry_rows_done(&rows);
	return 0;
}

static int bind_list(sqlite3_stmt *statement, const char *prefix, const char *end,
		     const char *after, unsigned limit)
{
	int rc = bind_text(statement, 1, prefix);

	if (rc == SQLITE_OK)
		rc = bind_text(statement, 2, end);
	if (rc == SQLITE_OK)
		rc = bind_text(statement, 3, after ? after : "");
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int64(statement, 4, limit);
	return rc;
}

int store_list(struct store *store, const char *prefix, const char *after, unsigned limit,
	       store_answer_fn fn, void *userdata)
{
	sqlite3_stmt *statement = store->statements[STATEMENT_LIST];
	char end[STORE_MAX_KEY + 2];
	struct entry_rows rows;
	int rc;

	if (store_check_list(prefix, after, limit) < 0)
		return -EINVAL;
	if (entry_rows_init(&rows, limit) < 0)
		return -ENOMEM;
	prefix_end(prefix, end);
	/* One more than asked for shows that there are more. */
	rc = bind_list(statement, prefix, end, after, limit + 1);
	if (rc == SQLITE_OK)
		rc = collect(statement, &rows, limit);
	sqlite3_reset(statement);
	answer_rows(store, rc, &rows, fn, userdata);
	entry_rows_done(&rows);
	return 0;
}

/* ---- watch ---- */

static int bind_replay(sqlite3_stmt *statement, const struct store_watch *watch, const char *end)
{
	int rc = sqlite3_bind_int64(statement, 1, (int64_t)watch->told);

	if (rc == SQLITE_OK)
		rc = bind_text(statement, 2, watch->prefix);
	if (rc == SQLITE_OK)
		rc = bind_text(statement, 3, end);
	return rc;
}

/* The next revision that the watch has to be told. Return: as sqlite3_step(); no rows: none. */
static int collect_revision(sqlite3_stmt *statement, struct entry_rows *rows)
{
	int rc;

	while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
		if (rows->n > 0 &&
		    (uint64_t)sqlite3_column_int64(statement, 2) != rows->entries[0].revision)
			break;
		if (rows->n == rows->size)
			return SQLITE_CORRUPT;
		if (add_row(rows, statement) < 0)
			return SQLITE_NOMEM;
	}
	return rc;
}

/* One revision at a time, as watchers may change the store, and so the log. */
static void replay_next(struct store *store, struct store_watch *watch)
{
	sqlite3_stmt *statement = store->statements[STATEMENT_REPLAY];
	char end[STORE_MAX_KEY + 2];
	struct entry_rows rows;
	int rc;

	prefix_end(watch->prefix, end);
	rc = entry_rows_init(&rows, STORE_MAX_TXN) < 0 ? SQLITE_NOMEM
						       : bind_replay(statement, watch, end);
	if (rc == SQLITE_OK)
		rc = collect_revision(statement, &rows);
	sqlite3_reset(statement);
	/* Nobody may miss a change unnoticed: who lists again is told what the trouble is. */
	if ((rc != SQLITE_ROW && rc != SQLITE_DONE) || watch->told < store->oldest)
		watch_lose(watch);
	else if (rows.n > 0)
		watch_tell(watch, rows.entries[0].revision, &rows);
	else
		watch->told = store->revision;
	entry_rows_done(&rows);
}

int store_watch(struct store *store, const char *prefix, uint64_t from_revision, store_watch_fn fn,
		store_lost_fn lost, void *userdata, struct store_watch **ret_watch)
{
	struct store_watch *watch;
	int r;

	if (store_check_prefix(prefix) < 0)
		return -EINVAL;
	r = watch_new(&store->hub, prefix, from_revision, fn, lost, userdata, &watch);
	if (r < 0)
		return r;
	*ret_watch = watch;
	watch_hub_hold(&store->hub);
	/* A revision that is still to come was another store's. */
	if (from_revision < store->oldest || from_revision > store->revision)
		watch_lose(watch);
	while (!watch->silent && watch->told < store->revision)
		replay_next(store, watch);
	watch_hub_release(&store->hub);
	return 0;
}

uint64_t store_revision(const struct store *store)
{
	return store->revision;
}

uint64_t store_oldest(const struct store *store)
{
	return store->oldest;
}
