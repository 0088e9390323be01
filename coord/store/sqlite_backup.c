#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "coord/store/sqlite_store.h"

static int copy_pages(sqlite3 *to, sqlite3 *from)
{
	sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");

	if (!backup)
		return sqlite3_extended_errcode(to);
	/* All in one go: nothing can come in between. */
	(void)sqlite3_backup_step(backup, -1);
	return sqlite3_backup_finish(backup);
}

static int copy_to(struct store *store, const char *copy, const char *path, char **reterr_text)
{
	_cleanup_(sqlite_store_closep) sqlite3 *db = NULL;
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	int rc = sqlite3_open_v2(copy, &db, flags, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite_store_harden(db);
	if (rc == SQLITE_OK)
		rc = copy_pages(db, store->db);
	/* So that the one file is all there is of it, and can be read where nothing can be written.
	 */
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : sqlite_store_fail_sqlite(reterr_text, db, rc, path);
}

static int put_in_place(int fd, const char *copy, const char *path, char **reterr_text)
{
	int r = fsync(fd) < 0 || rename(copy, path) < 0 ? -errno : 0;

	if (r == 0)
		r = sqlite_store_sync_folder(path);
	return r < 0 ? sqlite_store_fail(reterr_text, r, "%s: %s", path, strerror(-r)) : 0;
}

int store_sqlite_backup(struct store *store, const char *path, char **reterr_text)
{
	_cleanup_free_ char *copy = text_printf("%s.tmp", path);
	_cleanup_close_ int fd = -1;
	int r;

	if (!copy)
		return -ENOMEM;
	if (path[0] != '/')
		return sqlite_store_fail(reterr_text, -EINVAL, "%s is no absolute path", path);
	/* Of one that was interrupted. */
	unlink(copy);
	fd = sqlite_store_create(copy);
	if (fd < 0)
		return sqlite_store_fail(reterr_text, fd, "%s: %s", copy, strerror(-fd));
	r = copy_to(store, copy, path, reterr_text);
	if (r == 0)
		r = put_in_place(fd, copy, path, reterr_text);
	if (r < 0)
		unlink(copy);
	return r;
}
