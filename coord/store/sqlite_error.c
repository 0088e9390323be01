#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "coord/store/sqlite_store.h"

int sqlite_store_fail(char **reterr_text, int error, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = text_vprintf(fmt, ap);
	va_end(ap);
	if (!text)
		return -ENOMEM;
	*reterr_text = text;
	return error;
}

/* What the kernel said: SQLite keeps it for these only. */
static int system_errno(sqlite3 *db, int code)
{
	int primary = code & 0xff;

	return db && (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN)
		       ? sqlite3_system_errno(db)
		       : 0;
}

int sqlite_store_errno(sqlite3 *db, int code)
{
	int error = system_errno(db, code);

	if ((code & 0xff) == SQLITE_NOMEM || code == SQLITE_IOERR_NOMEM)
		return -ENOMEM;
	/* With delayed allocation the disk may turn out to be full as late as in fsync(). */
	if ((code & 0xff) == SQLITE_FULL || error == ENOSPC || error == EDQUOT)
		return -ENOSPC;
	return -EIO;
}

void sqlite_store_describe(sqlite3 *db, int code, const char *path, char *text, size_t size)
{
	int error = system_errno(db, code);
	const char *what = db ? sqlite3_errmsg(db) : sqlite3_errstr(code);

	/* Without memory SQLite keeps no text; but the code is right. */
	if (db && (sqlite3_extended_errcode(db) & 0xff) != (code & 0xff))
		what = sqlite3_errstr(code);
	if (error)
		snprintf(text, size, "%s: %s: %s", path, what, strerror(error));
	else
		snprintf(text, size, "%s: %s", path, what);
}

int sqlite_store_fail_sqlite(char **reterr_text, sqlite3 *db, int code, const char *path)
{
	char text[512];

	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return sqlite_store_fail(reterr_text, -EBUSY, "%s is in use by another program",
					 path);
	case SQLITE_NOTADB:
		return sqlite_store_fail(reterr_text, -EMEDIUMTYPE, "%s is no SQLite database",
					 path);
	case SQLITE_CORRUPT:
		return sqlite_store_fail(reterr_text, -EBADMSG,
					 "%s is damaged (%s): restore a backup", path,
					 sqlite3_errmsg(db));
	default:
		sqlite_store_describe(db, code, path, text, sizeof(text));
		return sqlite_store_fail(reterr_text, sqlite_store_errno(db, code), "%s", text);
	}
}
