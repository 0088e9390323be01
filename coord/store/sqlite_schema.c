/*
 * A database of ours: its safeguards, its versions, its revisions.
 *
 * Revisions of a new store, and of one that was restored from a backup, begin at the time of day:
 * 2^20 of them for each second since 1970 are more than a store ever does. So they are higher than
 * all that agents may have seen since the backup was made, and stay below 2^53 till 2242.
 */
#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "coord/store/sqlite_store.h"

#define REVISIONS_PER_SECOND_SHIFT 20
#define MAX_COMPLAINT		   200

/* From the version of its index to the next one. A step that was released is not changed. */
static const char *const schema_steps[] = {
	/*
	 * log: what each revision changed, in its order; v NULL: deleted. base: the revision before
	 * the first one in the log.
	 */
	"CREATE TABLE kv(k TEXT PRIMARY KEY NOT NULL, v BLOB NOT NULL, rev INTEGER NOT NULL)"
	" STRICT, WITHOUT ROWID;"
	"CREATE TABLE log(rev INTEGER NOT NULL, seq INTEGER NOT NULL, k TEXT NOT NULL, v BLOB,"
	" PRIMARY KEY(rev, seq)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE base(rev INTEGER NOT NULL) STRICT;",
};

#define SCHEMA_VERSION ((int)ARRAY_SIZE(schema_steps))

sqlite3 *sqlite_store_close(sqlite3 *db)
{
	sqlite3_close(db);
	return NULL;
}

/*
 * The file may come from anywhere: what its schema says must not run. And until it has proven to be
 * ours to write, its log is not brought into it when it is closed.
 */
int sqlite_store_harden(sqlite3 *db)
{
	static const struct {
		int option, value;
	} options[] = {
		{ SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },	 { SQLITE_DBCONFIG_ENABLE_TRIGGER, 0 },
		{ SQLITE_DBCONFIG_ENABLE_VIEW, 0 },	 { SQLITE_DBCONFIG_DEFENSIVE, 1 },
		{ SQLITE_DBCONFIG_DQS_DML, 0 },		 { SQLITE_DBCONFIG_DQS_DDL, 0 },
		{ SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1 },
	};
	int rc = SQLITE_OK;

	for (size_t i = 0; i < ARRAY_SIZE(options) && rc == SQLITE_OK; i++)
		rc = sqlite3_db_config(db, options[i].option, options[i].value, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_busy_timeout(db, 2000);
	/* Before the first access: so no memory is shared through PATH-shm, and others stay out. */
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db,
				  "PRAGMA locking_mode = EXCLUSIVE; PRAGMA cell_size_check = ON;"
				  "PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0",
				  NULL, NULL, NULL);
	return rc;
}

/* In a write-ahead log, FULL syncs each commit; NORMAL would lose the last ones with the power. */
static int set_journal(sqlite3 *db)
{
	return sqlite3_exec(db,
			    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			    "PRAGMA wal_autocheckpoint = 1000;"
			    "PRAGMA journal_size_limit = 67108864",
			    NULL, NULL, NULL);
}

/* The first column of the first row, a number. */
static int read_number(sqlite3 *db, const char *sql, int64_t *ret_number)
{
	sqlite3_stmt *statement = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW) {
		*ret_number = sqlite3_column_int64(statement, 0);
		rc = SQLITE_OK;
	} else if (rc == SQLITE_DONE) {
		rc = SQLITE_CORRUPT;
	}
	sqlite3_finalize(statement);
	return rc;
}

static int check_version(const struct sqlite_store_file *file, int64_t id, int64_t version,
			 char **reterr_text)
{
	if (id != SQLITE_STORE_APPLICATION_ID || version < 1)
		return sqlite_store_fail(reterr_text, -EMEDIUMTYPE,
					 "%s is no store of a coordinator, but another database",
					 file->name);
	if (version > SCHEMA_VERSION)
		return sqlite_store_fail(
			reterr_text, -EPROTONOSUPPORT,
			"%s was made by a newer version of Peergate (schema %lld; this one knows "
			"up to %d): install that version, or restore a backup of before the "
			"upgrade",
			file->name, (long long)version, SCHEMA_VERSION);
	return 0;
}

/* *ret_version gets 0 if it is to be made. */
static int check_identity(sqlite3 *db, const struct sqlite_store_file *file, int64_t *ret_version,
			  char **reterr_text)
{
	int64_t id = 0, version = 0, n_tables = 0;
	int rc = read_number(db, "PRAGMA application_id", &id);

	if (rc == SQLITE_OK)
		rc = read_number(db, "PRAGMA user_version", &version);
	if (rc == SQLITE_OK)
		rc = read_number(db, "SELECT count(*) FROM sqlite_schema", &n_tables);
	if (rc != SQLITE_OK)
		return sqlite_store_fail_sqlite(reterr_text, db, rc, file->name);
	*ret_version = version;
	if (id != 0 || version != 0 || n_tables != 0)
		return check_version(file, id, version, reterr_text);
	return file->create ? 0
			    : sqlite_store_fail(reterr_text, -ENOENT,
						"%s is empty: there is no store", file->name);
}

/* "*** in database main ***\nPage 4: ..." of several lines: what the last one says. */
static int keep_complaint(void *userdata, int n_columns, char **values, char **names)
{
	const char *line = values[0] ? strrchr(values[0], '\n') : NULL;
	char *complaint = userdata;

	if (values[0] && strcmp(values[0], "ok") != 0)
		snprintf(complaint, MAX_COMPLAINT, "%s", line ? line + 1 : values[0]);
	return 0;
}

static int check_whole(sqlite3 *db, const char *path, char **reterr_text)
{
	char complaint[MAX_COMPLAINT] = "";
	int rc = sqlite3_exec(db, "PRAGMA quick_check(1)", keep_complaint, complaint, NULL);

	if (rc != SQLITE_OK)
		return sqlite_store_fail_sqlite(reterr_text, db, rc, path);
	/* To SQLite, a page that it has no memory for, or that the disk fails to give, is one. */
	if (complaint[0])
		return sqlite_store_fail(reterr_text, -EBADMSG,
					 "%s is damaged, or the disk is (%s): if that stays so, "
					 "restore a backup",
					 path, complaint);
	return 0;
}

/* ---- versions and revisions ---- */

static int exec_number(sqlite3 *db, const char *format, int64_t number)
{
	char *sql = sqlite3_mprintf(format, number);
	int rc = sql ? sqlite3_exec(db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;

	sqlite3_free(sql);
	return rc;
}

static int migrate(sqlite3 *db, int64_t version)
{
	int rc = SQLITE_OK;

	while (version < SCHEMA_VERSION && rc == SQLITE_OK)
		rc = sqlite3_exec(db, schema_steps[version++], NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = exec_number(db, "PRAGMA application_id = %lld", SQLITE_STORE_APPLICATION_ID);
	if (rc == SQLITE_OK)
		rc = exec_number(db, "PRAGMA user_version = %lld", SCHEMA_VERSION);
	return rc;
}

static int read_span(sqlite3 *db, struct sqlite_store_span *ret_span)
{
	int64_t base = 0, first = 0, last = 0, bytes = 0;
	int rc = read_number(db, "SELECT rev FROM base", &base);

	if (rc == SQLITE_OK)
		rc = read_number(db, "SELECT ifnull(min(rev), 0) FROM log", &first);
	if (rc == SQLITE_OK)
		rc = read_number(db, "SELECT ifnull(max(rev), 0) FROM log", &last);
	if (rc == SQLITE_OK)
		rc = read_number(db,
				 "SELECT ifnull(sum(length(k) + ifnull(length(v), 0)), 0) FROM log",
				 &bytes);
	if (rc != SQLITE_OK)
		return rc;
	if (base <= 0 || (last != 0 && first <= base) || last > (int64_t)SQLITE_STORE_MAX_REVISION)
		return SQLITE_CORRUPT;
	*ret_span = (struct sqlite_store_span){
		.revision = (uint64_t)(last ? last : base),
		.oldest = (uint64_t)(last ? first - 1 : base),
		.log_bytes = (uint64_t)bytes,
	};
	return SQLITE_OK;
}

int sqlite_store_read_span(sqlite3 *db, const char *path, struct sqlite_store_span *ret_span,
			   char **reterr_text)
{
	int rc = read_span(db, ret_span);

	if (rc == SQLITE_CORRUPT)
		return sqlite_store_fail(reterr_text, -EBADMSG,
					 "%s is damaged (its revisions make no sense): restore a "
					 "backup",
					 path);
	return rc == SQLITE_OK ? 0 : sqlite_store_fail_sqlite(reterr_text, db, rc, path);
}

/*
 * after: 0: of a new store. What happened in the meantime is unknown to a backup: nobody may go on
 * from a revision before this one, so that the log has to go.
 */
static int begin_revisions(sqlite3 *db, uint64_t after)
{
	uint64_t seconds = clock_usec(CLOCK_REALTIME) / USEC_PER_SEC;
	/* The one that is replaced may have been made in this very second. */
	uint64_t base = (seconds + (after > 0)) << REVISIONS_PER_SECOND_SHIFT;
	int rc = sqlite3_exec(db, "DELETE FROM log; DELETE FROM base", NULL, NULL, NULL);

	if (base <= after)
		base = after + 1;
	if (rc == SQLITE_OK)
		rc = exec_number(db, "INSERT INTO base VALUES(%lld)", (int64_t)base);
	return rc;
}

static int bring_up_to_date(sqlite3 *db, int64_t version, uint64_t fresh_from)
{
	struct sqlite_store_span span = { 0 };
	int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

	if (rc == SQLITE_OK)
		rc = migrate(db, version);
	if (rc == SQLITE_OK && version > 0)
		rc = read_span(db, &span);
	if (rc == SQLITE_OK && (version == 0 || fresh_from > 0))
		rc = begin_revisions(db, fresh_from > span.revision ? fresh_from : span.revision);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	return rc;
}

int sqlite_store_connect(const struct sqlite_store_file *file, char **reterr_text, sqlite3 **ret_db)
{
	_cleanup_(sqlite_store_closep) sqlite3 *db = NULL;
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	int64_t version = 0;
	int r, rc;

	rc = file->path ? sqlite3_open_v2(file->path, &db, flags, NULL)
			: sqlite3_open_v2(":memory:", &db, flags | SQLITE_OPEN_CREATE, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite_store_harden(db);
	if (rc != SQLITE_OK)
		return sqlite_store_fail_sqlite(reterr_text, db, rc, file->name);
	r = check_identity(db, file, &version, reterr_text);
	if (r == 0 && version > 0)
		r = check_whole(db, file->name, reterr_text);
	if (r < 0)
		return r;
	rc = set_journal(db);
	if (rc == SQLITE_OK && (version < SCHEMA_VERSION || file->fresh_from > 0))
		rc = bring_up_to_date(db, version, file->fresh_from);
	if (rc == SQLITE_OK)
		rc = sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	if (rc != SQLITE_OK)
		return sqlite_store_fail_sqlite(reterr_text, db, rc, file->name);
	*ret_db = take_ptr(db);
	return 0;
}
