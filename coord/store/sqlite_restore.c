/*
 * A backup becomes the store, in a folder that nobody uses: a copy is made ready under another
 * name, and takes the place of the old one when all of it is on disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>

#include "common/text.h"
#include "coord/store/sqlite_store.h"

struct restore {
	const char *backup, *path;
	char *wal;  /* of path */
	char *copy; /* that is to become path */
	char *copy_wal;
	char *kept;	/* what is path now will be */
	char *kept_wal; /* and its log, if it could not be closed properly */
	uint64_t old_revision;
};

static void restore_done(struct restore *restore)
{
	free(restore->wal);
	free(restore->copy);
	free(restore->copy_wal);
	free(restore->kept);
	free(restore->kept_wal);
}

static int restore_init(struct restore *restore)
{
	time_t now = time(NULL);
	struct tm tm;
	char when[32];

	strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	restore->wal = text_printf("%s-wal", restore->path);
	restore->copy = text_printf("%s.restore", restore->path);
	restore->copy_wal = text_printf("%s.restore-wal", restore->path);
	restore->kept = text_printf("%s.before-restore-%s", restore->path, when);
	restore->kept_wal = text_printf("%s.before-restore-%s-wal", restore->path, when);
	return restore->wal && restore->copy && restore->copy_wal && restore->kept &&
			       restore->kept_wal
		       ? 0
		       : -ENOMEM;
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/*
 * Ask the old store how far it has come, and let SQLite bring its log into the file. One that
 * cannot be read may be the reason why there is a backup to be restored.
 */
static int close_old(struct restore *restore, char **reterr_text)
{
	_cleanup_(sqlite_store_closep) sqlite3 *db = NULL;
	_cleanup_free_ char *problem = NULL;
	struct sqlite_store_span span;
	int r;

	r = sqlite_store_prepare_file(restore->path, false, &problem);
	if (r == 0)
		r = sqlite_store_connect(
			&(struct sqlite_store_file){ restore->path, restore->path }, &problem, &db);
	if (r == 0)
		r = sqlite_store_read_span(db, restore->path, &span, &problem);
	if (r == 0)
		restore->old_revision = span.revision;
	if (r != -EBUSY && r != -ENOMEM)
		return 0;
	*reterr_text = take_ptr(problem);
	return r;
}

/* ---- the copy ---- */

static int copy_bytes(int from, int to)
{
	ssize_t n;

	do
		n = sendfile(to, from, NULL, 1 << 30);
	while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 || fsync(to) < 0 ? -errno : 0;
}

/* A file that another program has open may be half written. */
static int check_backup(const struct restore *restore, int fd, char **reterr_text)
{
	_cleanup_free_ char *wal = text_printf("%s-wal", restore->backup);
	_cleanup_free_ char *journal = text_printf("%s-journal", restore->backup);
	struct stat st;

	if (!wal || !journal)
		return -ENOMEM;
	if (fstat(fd, &st) < 0)
		return sqlite_store_fail(reterr_text, -errno, "%s: %s", restore->backup,
					 strerror(errno));
	if (!S_ISREG(st.st_mode))
		return sqlite_store_fail(reterr_text, -EMEDIUMTYPE, "%s is no regular file",
					 restore->backup);
	if (exists(wal) || exists(journal))
		return sqlite_store_fail(reterr_text, -EMEDIUMTYPE,
					 "%s is no backup, but a database in use, or one that was "
					 "not closed: there is %s beside it",
					 restore->backup, exists(wal) ? wal : journal);
	return 0;
}

static int copy_backup(const struct restore *restore, char **reterr_text)
{
	_cleanup_close_ int from = open(restore->backup, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_close_ int to = -1;
	int r;

	if (from < 0)
		return sqlite_store_fail(reterr_text, -errno, "%s: %s", restore->backup,
					 strerror(errno));
	r = check_backup(restore, from, reterr_text);
	if (r < 0)
		return r;
	to = sqlite_store_create(restore->copy);
	r = to < 0 ? to : copy_bytes(from, to);
	return r < 0 ? sqlite_store_fail(reterr_text, r, "%s: %s", restore->copy, strerror(-r)) : 0;
}

static int make_ready(const struct restore *restore, char **reterr_text)
{
	_cleanup_(sqlite_store_closep) sqlite3 *db = NULL;
	struct sqlite_store_span span;
	int r, rc;

	r = sqlite_store_connect(
		&(struct sqlite_store_file){ .path = restore->copy,
					     .name = restore->backup,
					     .fresh_from = restore->old_revision + 1 },
		reterr_text, &db);
	if (r == 0)
		r = sqlite_store_read_span(db, restore->backup, &span, reterr_text);
	if (r < 0)
		return r;
	/* All is in the one file then, and synced; the log goes with the connection. */
	rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	return rc == SQLITE_OK ? 0 : sqlite_store_fail_sqlite(reterr_text, db, rc, restore->copy);
}

/* ---- the exchange ---- */

/*
 * SQLite takes a log for the database's of the same name, whichever that is: the old one's must not
 * meet the new one, nor may the old one lose it. So the old one goes first, then its log.
 */
static int move_old_with_log(const struct restore *restore)
{
	int r;

	if (exists(restore->path) && unlink(restore->path) < 0)
		return -errno;
	r = sqlite_store_sync_folder(restore->path);
	if (r == 0 && rename(restore->wal, restore->kept_wal) < 0)
		r = -errno;
	return r < 0 ? r : sqlite_store_sync_folder(restore->path);
}

/* The log first: a store without it would have lost what was acknowledged. */
static void move_old_back(const struct restore *restore)
{
	if (exists(restore->kept_wal))
		(void)rename(restore->kept_wal, restore->wal);
	if (exists(restore->path))
		unlink(restore->kept);
	else
		(void)rename(restore->kept, restore->path);
}

static int exchange(const struct restore *restore)
{
	int r = 0;

	/* A name more, so that there is no moment without a store. */
	if (exists(restore->path) && link(restore->path, restore->kept) < 0)
		return -errno;
	if (exists(restore->wal))
		r = move_old_with_log(restore);
	if (r == 0 && rename(restore->copy, restore->path) < 0)
		r = -errno;
	if (r < 0)
		move_old_back(restore);
	return r;
}

static int put_in_place(const struct restore *restore, char **reterr_text)
{
	int r = exchange(restore);

	if (r < 0)
		return sqlite_store_fail(reterr_text, r, "%s: %s", restore->path, strerror(-r));
	r = sqlite_store_sync_folder(restore->path);
	return r < 0 ? sqlite_store_fail(reterr_text, r,
					 "%s is the restored store, but may be the old one after a "
					 "power cut: %s",
					 restore->path, strerror(-r))
		     : 0;
}

static int restore_locked(struct restore *restore, char **reterr_text)
{
	int r = close_old(restore, reterr_text);

	/* They may be left of a restore that was interrupted. */
	unlink(restore->copy);
	unlink(restore->copy_wal);
	if (r == 0)
		r = copy_backup(restore, reterr_text);
	if (r == 0)
		r = make_ready(restore, reterr_text);
	if (r == 0)
		r = put_in_place(restore, reterr_text);
	if (r < 0)
		unlink(restore->copy);
	/* Nothing is in there, if closing has not removed it. */
	unlink(restore->copy_wal);
	return r;
}

int store_sqlite_restore(const char *backup, const char *path, char **reterr_text, char **ret_kept)
{
	_cleanup_(restore_done) struct restore restore = { .backup = backup, .path = path };
	_cleanup_close_ int lock_fd = sqlite_store_lock(path, reterr_text);
	int r;

	if (lock_fd < 0)
		return lock_fd;
	r = restore_init(&restore);
	if (r == 0)
		r = restore_locked(&restore, reterr_text);
	if (r < 0)
		return r;
	*ret_kept = exists(restore.kept) ? take_ptr(restore.kept) : NULL;
	return 0;
}
