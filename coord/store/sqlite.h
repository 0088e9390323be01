/* The embedded store: one SQLite file, of one process (coord/store/store.h says how to use it). */
#pragma once

#include "coord/store/store.h"

enum {
	/* Make a store if there is none. Without, a file that is missing or empty is an error: it
	 * was lost, and to go on with nobody enrolled would make it worse. */
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
