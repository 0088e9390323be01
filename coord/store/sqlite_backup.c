#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"
#include "coord/store/sqlite_store.h"

/* Of one step: a megabyte, with pages of the usual size. */
#define STEP_PAGES 256

struct store_backup {
	char *path;
	sqlite3 *db; /* of the copy */
	sqlite3_backup *copy;
	bool complete;
};

static int open_copy(struct store_backup *backup)
{
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	int rc = sqlite3_open_v2(backup->path, &backup->db, flags, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite_store_harden(backup->db);
	/* Whoever keeps it has it synced. */
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(backup->db, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
	return rc;
}

static int begin(struct store *store, struct store_backup *backup, char **reterr_text)
{
	int fd, rc;

	/* Of one that was interrupted. */
	unlink(backup->path);
	fd = sqlite_store_create(backup->path);
	if (fd < 0)
		return sqlite_store_fail(reterr_text, fd, "%s: %s", backup->path, strerror(-fd));
	close(fd);
	rc = open_copy(backup);
	if (rc == SQLITE_OK) {
		backup->copy = sqlite3_backup_init(backup->db, "main", store->db, "main");
		rc = backup->copy ? SQLITE_OK : sqlite3_extended_errcode(backup->db);
	}
	if (rc == SQLITE_OK)
		return 0;
	return sqlite_store_fail_sqlite(reterr_text, backup->db, rc, backup->path);
}

int store_sqlite_backup_new(struct store *store, const char *path, char **reterr_text,
			    struct store_backup **ret_backup)
{
	_cleanup_(store_sqlite_backup_freep) struct store_backup *backup = NULL;
	int r;

	if (path[0] != '/')
		return sqlite_store_fail(reterr_text, -EINVAL, "%s is no absolute path", path);
	backup = calloc(1, sizeof(*backup));
	if (!backup)
		return -ENOMEM;
	backup->path = strdup(path);
	if (!backup->path)
		return -ENOMEM;
	r = begin(store, backup, reterr_text);
	if (r == 0)
		*ret_backup = take_ptr(backup);
	return r;
}

/*
 * So that the one file is all there is of it, and can be read where nothing can be written. SQLite
 * answers with the mode that the file is in afterwards: that it failed is no error to it.
 */
static int leave_wal(sqlite3 *db)
{
	sqlite3_stmt *statement = NULL;
	int rc = sqlite3_prepare_v2(db, "PRAGMA journal_mode = DELETE", -1, &statement, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW)
		rc = sqlite3_stricmp((const char *)sqlite3_column_text(statement, 0), "delete") == 0
			     ? SQLITE_OK
			     : SQLITE_IOERR;
	sqlite3_finalize(statement);
	return rc;
}

static int finish(struct store_backup *backup)
{
	int rc = sqlite3_backup_finish(backup->copy);

	backup->copy = NULL;
	return rc == SQLITE_OK ? leave_wal(backup->db) : rc;
}

int store_sqlite_backup_step(struct store_backup *backup, char **reterr_text)
{
	int rc = sqlite3_backup_step(backup->copy, STEP_PAGES);

	if (rc == SQLITE_OK)
		return STORE_BACKUP_MORE;
	if (rc == SQLITE_DONE)
		rc = finish(backup);
	if (rc != SQLITE_OK)
		return sqlite_store_fail_sqlite(reterr_text, backup->db, rc, backup->path);
	backup->complete = true;
	return 0;
}

/* Of a complete copy, logs that SQLite has emptied but could not remove. */
static void remove_rest(const struct store_backup *backup)
{
	static const char *const suffixes[] = { "-wal", "-journal" };

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		_cleanup_free_ char *path = text_printf("%s%s", backup->path, suffixes[i]);

		if (path)
			unlink(path);
	}
	if (!backup->complete)
		unlink(backup->path);
}

struct store_backup *store_sqlite_backup_free(struct store_backup *backup)
{
	if (!backup)
		return NULL;
	if (backup->copy)
		(void)sqlite3_backup_finish(backup->copy);
	sqlite_store_close(backup->db);
	if (backup->path)
		remove_rest(backup);
	free(backup->path);
	free(backup);
	return NULL;
}
