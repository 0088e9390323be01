#include <errno.h>
#include <string.h>

#include "coord/store/sqlite_store.h"

static const char *const statement_texts[N_STATEMENTS] = {
	[STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
	[STATEMENT_COMMIT] = "COMMIT",
	[STATEMENT_ROLLBACK] = "ROLLBACK",
	[STATEMENT_GET] = "SELECT k, v, rev FROM kv WHERE k = ?1",
	/* ?2: behind all keys with the prefix. */
	[STATEMENT_LIST] = "SELECT k, v, rev FROM kv WHERE k >= ?1 AND k < ?2 AND k > ?3"
			   " ORDER BY k LIMIT ?4",
	[STATEMENT_PUT] = "INSERT INTO kv(k, v, rev) VALUES(?1, ?2, ?3)"
			  " ON CONFLICT(k) DO UPDATE SET v = excluded.v, rev = excluded.rev",
	[STATEMENT_DELETE] = "DELETE FROM kv WHERE k = ?1",
	[STATEMENT_LOG] = "INSERT INTO log(k, v, rev, seq) VALUES(?1, ?2, ?3, ?4)",
	[STATEMENT_TRIM] = "DELETE FROM log WHERE rev = ?1"
			   " RETURNING length(k) + ifnull(length(v), 0)",
	[STATEMENT_REPLAY] = "SELECT k, v, rev FROM log WHERE rev > ?1 AND k >= ?2 AND k < ?3"
			     " ORDER BY rev, seq",
};

static int prepare_statements(struct store *store, char **reterr_text)
{
	for (size_t i = 0; i < N_STATEMENTS; i++) {
		int rc = sqlite3_prepare_v3(store->db, statement_texts[i], -1,
					    SQLITE_PREPARE_PERSISTENT, &store->statements[i], NULL);

		if (rc != SQLITE_OK)
			return sqlite_store_fail_sqlite(reterr_text, store->db, rc, store->path);
	}
	return 0;
}

static int open_files(struct store *store, const char *path, bool create, char **reterr_text)
{
	store->lock_fd = sqlite_store_lock(path, reterr_text);
	if (store->lock_fd < 0)
		return store->lock_fd;
	return sqlite_store_prepare_file(path, create, reterr_text);
}

int store_sqlite_open(const char *path, unsigned flags, char **reterr_text,
		      struct store **ret_store)
{
	_cleanup_(store_freep) struct store *store = calloc(1, sizeof(*store));
	const bool create = !path || flags & STORE_CREATE;
	struct sqlite_store_span span;
	int r = 0;

	if (!store)
		return -ENOMEM;
	store->lock_fd = -1;
	store->path = strdup(path ? path : "the store in memory");
	if (!store->path)
		return -ENOMEM;
	if (path)
		r = open_files(store, path, create, reterr_text);
	if (r == 0)
		r = sqlite_store_connect(
			&(struct sqlite_store_file){ path, store->path, .create = create },
			reterr_text, &store->db);
	if (r == 0)
		r = prepare_statements(store, reterr_text);
	if (r == 0)
		r = sqlite_store_read_span(store->db, store->path, &span, reterr_text);
	if (r < 0)
		return r;
	store->revision = span.revision;
	store->oldest = span.oldest;
	store->log_bytes = span.log_bytes;
	*ret_store = take_ptr(store);
	return 0;
}

struct store *store_free(struct store *store)
{
	if (!store)
		return NULL;
	watch_hub_done(&store->hub);
	for (size_t i = 0; i < N_STATEMENTS; i++)
		sqlite3_finalize(store->statements[i]);
	sqlite_store_close(store->db);
	/* The lock at last. */
	close_fd(store->lock_fd);
	free(store->path);
	free(store);
	return NULL;
}
