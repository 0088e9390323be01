/* A backup in one go, for tests that nobody waits for. */
#pragma once

#include "coord/store/sqlite.h"

static inline int back_up_now(struct store *store, const char *path, char **reterr_text)
{
	struct store_backup *backup = NULL;
	int r = store_sqlite_backup_new(store, path, reterr_text, &backup);

	if (r < 0)
		return r;
	do
		r = store_sqlite_backup_step(backup, reterr_text);
	while (r == STORE_BACKUP_MORE);
	store_sqlite_backup_free(backup);
	return r;
}
