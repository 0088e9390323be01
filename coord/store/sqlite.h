/* The embedded store: one SQLite file, of one process (coord/store/store.h says how to use it). */
#pragma once

#include "common/cleanup.h"
#include "coord/store/store.h"

enum {
	/*
	 * Make a store if there is none. Without, a file that is missing or empty is an error: it
	 * was lost, and to go on with nobody enrolled would make it worse.
	 */
	STORE_CREATE = 1 << 0,
};

/*
 * path: absolute; NULL: in memory, gone with the store. PATH.lock is locked as long as the store is
 * open; PATH-wal belongs to it, and may be needed to recover what was acknowledged.
 *
 * Return: 0; else *reterr_text says in one line what is the matter (the caller's to free) and
 * -ENOENT: there is no store; -EBUSY: in use; -EPROTONOSUPPORT: made by a newer version;
 * -EMEDIUMTYPE: no store of a coordinator; -EBADMSG: damaged; -EOPNOTSUPP: on a network file
 * system; -EROFS, -EACCES, -ENOSPC, -EIO, ...; -ENOMEM (*reterr_text may be untouched).
 */
int store_sqlite_open(const char *path, unsigned flags, char **reterr_text,
		      struct store **ret_store);

/*
 * A consistent copy as one file of mode 0600 in path (absolute; what is there is replaced), made
 * while the store is in use, of which each step takes some milliseconds. What is written between
 * the steps is in it as well: it is the store as it is at the last one. It is not synced.
 */
struct store_backup;
/* Before the store is freed, the backup is. Return: 0; negative errno and *reterr_text. */
int store_sqlite_backup_new(struct store *store, const char *path, char **reterr_text,
			    struct store_backup **ret_backup);
enum {
	STORE_BACKUP_MORE = 1, /* another step is to be taken */
};
/* Return: 0: the copy is complete; STORE_BACKUP_MORE; negative errno and *reterr_text. */
int store_sqlite_backup_step(struct store_backup *backup, char **reterr_text);
/* A copy that is complete stays, of another one nothing. Returns NULL. */
struct store_backup *store_sqlite_backup_free(struct store_backup *backup);
DEFINE_CLEANUP(struct store_backup *, store_sqlite_backup_free);

/*
 * Put a copy in place as the store of path, which nobody may have open: checked, brought to this
 * version, and with revisions higher than all before (for which the time of day has to be right, if
 * the store that is there cannot be read). That one is kept beside it: *ret_kept is its path, or
 * NULL if there was none (the caller's). Called by root, it gives what it makes to the owner of the
 * folder.
 *
 * If it fails, path is what it was (or *reterr_text says that it could not be synced). If it is
 * interrupted, path is the old store or the new one; if the old one is damaged and has a PATH-wal,
 * there is none for a moment: the two are found under the name to be kept. Return: as
 * store_sqlite_open().
 */
int store_sqlite_restore(const char *backup, const char *path, char **reterr_text, char **ret_kept);
