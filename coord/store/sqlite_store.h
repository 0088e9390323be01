/* What the parts of the SQLite backend share. */
#pragma once

#include <sqlite3.h>

#include "coord/store/sqlite.h"
#include "coord/store/watch.h"

#define SQLITE_STORE_APPLICATION_ID 0x70674353 /* "pgCS"; tells the file from other databases */
#define SQLITE_STORE_LOG_REVISIONS  10000u     /* that a watch can go back, at most */
#define SQLITE_STORE_LOG_BYTES	    (64u << 20)
/* Revisions are numbers in JSON: exact in a double. */
#define SQLITE_STORE_MAX_REVISION ((1ull << 53) - 1)

enum statement {
	STATEMENT_BEGIN,
	STATEMENT_COMMIT,
	STATEMENT_ROLLBACK,
	STATEMENT_GET,
	STATEMENT_LIST,
	STATEMENT_PUT,
	STATEMENT_DELETE,
	STATEMENT_LOG,
	STATEMENT_TRIM,
	STATEMENT_REPLAY,
	N_STATEMENTS,
};

struct store {
	sqlite3 *db;
	char *path; /* for messages */
	int lock_fd;
	sqlite3_stmt *statements[N_STATEMENTS];
	uint64_t revision, oldest; /* as in the file: nobody else writes it */
	uint64_t log_bytes;
	struct watch_hub hub;
};

/* ---- sqlite_error.c ---- */

_printf_(3, 4) int sqlite_store_fail(char **reterr_text, int error, const char *fmt, ...);
/* The errno for SQLite's code; the last error of db, which may be NULL, tells more. */
int sqlite_store_errno(sqlite3 *db, int code);
/* "PATH: what the matter is", cut to the buffer. */
void sqlite_store_describe(sqlite3 *db, int code, const char *path, char *text, size_t size);
/* Both, for *reterr_text. */
int sqlite_store_fail_sqlite(char **reterr_text, sqlite3 *db, int code, const char *path);

/* ---- sqlite_file.c ---- */

/* Take PATH.lock. Return: the descriptor; -EBUSY, -EOPNOTSUPP, ... and *reterr_text. */
int sqlite_store_lock(const char *path, char **reterr_text);
/* A new file of mode 0600, of the folder's owner. Return: the descriptor, negative errno. */
int sqlite_store_create(const char *path);
/* The file is there (else it is made, if create) and nobody else's to read. */
int sqlite_store_prepare_file(const char *path, bool create, char **reterr_text);
/* fsync() of the folder that path is in. Return: 0, negative errno. */
int sqlite_store_sync_folder(const char *path);

/* ---- sqlite_schema.c ---- */

/* Settings that each connection needs, whatever the file. Return: SQLite's code. */
int sqlite_store_harden(sqlite3 *db);

struct sqlite_store_file {
	const char *path; /* NULL: in memory */
	const char *name; /* for messages */
	bool create;	  /* make a store of an empty file */
	/* If not 0, it gets a new range of revisions, higher than this one and its own. */
	uint64_t fresh_from;
};
/*
 * Open it with all safeguards and bring its schema to this version. Changes nothing in a file that
 * is not for us. Return: as store_sqlite_open().
 */
int sqlite_store_connect(const struct sqlite_store_file *file, char **reterr_text,
			 sqlite3 **ret_db);
sqlite3 *sqlite_store_close(sqlite3 *db);
DEFINE_CLEANUP(sqlite3 *, sqlite_store_close);

struct sqlite_store_span {
	uint64_t revision, oldest;
	uint64_t log_bytes;
};
/* Return: 0, -EBADMSG, ... and *reterr_text. */
int sqlite_store_read_span(sqlite3 *db, const char *path, struct sqlite_store_span *ret_span,
			   char **reterr_text);
