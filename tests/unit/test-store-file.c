/* The file of the store: who may have it, what is refused, backup and restore. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/text.h"
#include "coord/store/sqlite.h"
#include "tests/unit/store-backup.h"

static char folder[] = "/tmp/peergate-store.XXXXXX";
static char *db_path, *backup_path;
static bool has_tmpfs; /* a file system of our own is in the folder, of 2 MiB */

/* ---- a file system that calls itself something else (the linker puts this before libc's) ---- */

static unsigned pretended_fs;

int __real_fstatfs64(int fd, struct statfs64 *ret);
int __wrap_fstatfs64(int fd, struct statfs64 *ret);

int __wrap_fstatfs64(int fd, struct statfs64 *ret)
{
	int r = __real_fstatfs64(fd, ret);

	if (r == 0 && pretended_fs)
		ret->f_type = pretended_fs;
	return r;
}

/* ---- helpers ---- */

static struct store *open_store(unsigned flags)
{
	struct store *store = NULL;
	char *error = NULL;

	if (store_sqlite_open(db_path, flags, &error, &store) < 0)
		fail_msg("%s", error);
	return store;
}

static void check_error(int r, int expected, char *error, const char *needle)
{
	if (r != expected || !error || !strstr(error, needle) || strchr(error, '\n'))
		fail_msg("%s: %s; expected: %s, ...%s...", strerror(-r), error, strerror(-expected),
			 needle);
	free(error);
}

static void check_refused(unsigned flags, int expected, const char *needle)
{
	struct store *store = NULL;
	char *error = NULL;
	int r = store_sqlite_open(db_path, flags, &error, &store);

	check_error(r, expected, error, needle);
	assert_null(store);
}

struct outcome {
	int status;
	uint64_t revision;
	char text[300];
};

static void keep_outcome(const struct store_answer *answer, void *userdata)
{
	struct outcome *outcome = userdata;

	outcome->status = answer->status;
	outcome->revision = answer->revision;
	snprintf(outcome->text, sizeof(outcome->text), "%s",
		 answer->status < 0	 ? answer->text ? answer->text : ""
		 : answer->n_entries > 0 ? (const char *)answer->entries[0].value
					 : "");
}

static struct outcome put(struct store *store, const char *key, const char *value, size_t len)
{
	struct store_op op = { key, value, len };
	struct outcome outcome = { .status = 1 };

	assert_int_equal(store_txn(store, NULL, 0, &op, 1, keep_outcome, &outcome), 0);
	assert_int_not_equal(outcome.status, 1);
	return outcome;
}

static void put_ok(struct store *store, const char *key, const char *value)
{
	struct outcome outcome = put(store, key, value, strlen(value) + 1);

	if (outcome.status < 0)
		fail_msg("%s", outcome.text);
}

static void check_value(struct store *store, const char *key, const char *expected)
{
	struct outcome outcome = { 0 };

	assert_int_equal(store_get(store, key, keep_outcome, &outcome), 0);
	if (expected) {
		assert_int_equal(outcome.status, 0);
		assert_string_equal(outcome.text, expected);
	} else {
		assert_int_equal(outcome.status, -ENOENT);
	}
}

/* A store with one key in it, closed. */
static void make_store(const char *value)
{
	struct store *store = open_store(STORE_CREATE);

	put_ok(store, "key", value);
	store_free(store);
}

static void sql(const char *path, const char *text)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", text, sqlite3_errmsg(db));
	sqlite3_close(db);
}

static mode_t mode_of(const char *suffix)
{
	_cleanup_free_ char *path = text_printf("%s%s", db_path, suffix);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static int empty_folder(void **state)
{
	_cleanup_free_ char *command = text_printf("rm -rf %s/*", folder);

	return system(command);
}

/* ---- opening ---- */

static void test_created(void **state)
{
	mode_t mask = umask(0);
	struct store *store;
	uint64_t revision;

	check_refused(0, -ENOENT, "there is no store");
	make_store("one");
	store = open_store(0);
	check_value(store, "key", "one");
	put_ok(store, "key", "two");
	revision = store_revision(store);
	assert_int_equal(mode_of(""), 0600);
	assert_int_equal(mode_of("-wal"), 0600);
	assert_int_equal(mode_of(".lock"), 0600);
	store_free(store);
	chmod(db_path, 0644);
	store = open_store(STORE_CREATE);
	check_value(store, "key", "two");
	assert_int_equal(store_revision(store), revision);
	assert_int_equal(store_oldest(store), revision - 2);
	assert_int_equal(mode_of(""), 0600);
	store_free(store);
	umask(mask);
}

static void test_settings(void **state)
{
	static const uint8_t id[] = { 'p', 'g', 'C', 'S' }, version[] = { 0, 0, 0, 1 };
	_cleanup_free_ char *data = NULL;
	size_t len;

	make_store("one");
	assert_int_equal(file_read(AT_FDCWD, db_path, 1 << 20, &data, &len), 0);
	/* The header of the file (sqlite.org, "Database File Format", 1.3). */
	assert_in_range(len, 100, 1 << 20);
	assert_memory_equal(data + 68, id, 4);
	assert_memory_equal(data + 60, version, 4);
	assert_int_equal(data[18], 2); /* has a write-ahead log */
}

static void test_locked(void **state)
{
	struct store *store = open_store(STORE_CREATE);
	char *error = NULL, *kept = NULL;
	int r;

	check_refused(0, -EBUSY, "in use by another coordinator");
	r = store_sqlite_restore(backup_path, db_path, &error, &kept);
	check_error(r, -EBUSY, error, "in use by another coordinator");
	store_free(store);
	store_free(open_store(0));
}

static void test_in_use_by_another_program(void **state)
{
	sqlite3 *db = NULL;
	struct store *store;
	char *error = NULL, *kept = NULL;
	int r;

	make_store("one");
	assert_int_equal(sqlite3_open(db_path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT * FROM kv", NULL, NULL, NULL), SQLITE_OK);
	check_refused(0, -EBUSY, "in use by another program");
	r = store_sqlite_restore(backup_path, db_path, &error, &kept);
	check_error(r, -EBUSY, error, "in use by another program");
	assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	store = open_store(0);
	/* And none gets in later. */
	assert_int_equal(sqlite3_open(db_path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "SELECT * FROM kv", NULL, NULL, NULL), SQLITE_BUSY);
	sqlite3_close(db);
	store_free(store);
}

static void test_wrong_places(void **state)
{
	struct store *store = NULL;
	char *error = NULL;
	int r;

	r = store_sqlite_open("store.db", STORE_CREATE, &error, &store);
	check_error(r, -EINVAL, error, "no absolute path");
	error = NULL;
	r = store_sqlite_open("/nowhere/store.db", STORE_CREATE, &error, &store);
	check_error(r, -ENOENT, error, "/nowhere/store.db.lock: No such file");
	assert_int_equal(mkdir(db_path, 0700), 0);
	check_refused(0, -EISDIR, db_path);
	assert_int_equal(rmdir(db_path), 0);
	assert_int_equal(mkfifo(db_path, 0600), 0);
	check_refused(0, -EMEDIUMTYPE, "no regular file");
	assert_int_equal(unlink(db_path), 0);
	assert_int_equal(symlink(backup_path, db_path), 0);
	check_refused(STORE_CREATE, -EMEDIUMTYPE, "no regular file");
}

static void test_network_file_system(void **state)
{
	static const struct {
		unsigned magic;
		const char *name;
	} refused[] = {
		{ NFS_SUPER_MAGIC, "NFS" }, { SMB_SUPER_MAGIC, "SMB" },
		{ 0xff534d42, "SMB" },	    { 0xfe534d42, "SMB" },
		{ AFS_FS_MAGIC, "AFS" },    { CODA_SUPER_MAGIC, "Coda" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		pretended_fs = refused[i].magic;
		check_refused(STORE_CREATE, -EOPNOTSUPP, refused[i].name);
	}
	pretended_fs = EXT4_SUPER_MAGIC;
	make_store("one");
	pretended_fs = 0;
}

/* ---- files that are not, or not any more, what they should be ---- */

static void test_not_ours(void **state)
{
	sql(db_path, "CREATE TABLE t(x)");
	check_refused(STORE_CREATE, -EMEDIUMTYPE, "another database");
	unlink(db_path);
	sql(db_path, "PRAGMA application_id = 5");
	check_refused(STORE_CREATE, -EMEDIUMTYPE, "another database");
	/* It is as it was. */
	sql(db_path, "CREATE TABLE t(x)");
	unlink(db_path);
	assert_int_equal(file_write_atomic(AT_FDCWD, db_path, "Dear diary", 10, 0600), 0);
	check_refused(STORE_CREATE, -EMEDIUMTYPE, "no SQLite database");
	assert_int_equal(file_write_atomic(AT_FDCWD, db_path, "", 0, 0600), 0);
	check_refused(0, -ENOENT, "is empty");
	/* Its first page was written, but no schema. */
	sql(db_path, "PRAGMA journal_mode = WAL");
	check_refused(0, -ENOENT, "is empty");
	make_store("one");
}

static void test_newer(void **state)
{
	struct store *store;

	make_store("one");
	sql(db_path, "PRAGMA user_version = 2");
	check_refused(0, -EPROTONOSUPPORT, "newer version of Peergate (schema 2");
	sql(db_path, "PRAGMA user_version = 1");
	store = open_store(0);
	check_value(store, "key", "one");
	store_free(store);
}

static void test_senseless_revisions(void **state)
{
	static const char *const changes[] = {
		"DELETE FROM base",
		"UPDATE base SET rev = 0",
		"UPDATE base SET rev = rev + 1",
		"UPDATE log SET rev = 9007199254740992",
	};

	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		empty_folder(NULL);
		make_store("one");
		sql(db_path, changes[i]);
		check_refused(0, -EBADMSG, "is damaged");
	}
}

/* Of bytes that are other ones now, SQLite notices most; it never makes us fall. */
static void test_damaged(void **state)
{
	_cleanup_free_ char *data = NULL, *damaged = NULL;
	unsigned seed = (unsigned)time(NULL), n_refused = 0;
	size_t len;

	print_message("seed %u\n", seed);
	srandom(seed);
	make_store("one");
	assert_int_equal(file_read(AT_FDCWD, db_path, 1 << 20, &data, &len), 0);
	damaged = malloc(len);
	for (int i = 0; i < 200; i++) {
		struct store *store = NULL;
		char *error = NULL;

		memcpy(damaged, data, len);
		for (int j = 0; j < 8; j++)
			damaged[(size_t)random() % len] ^= (char)(1 + random() % 255);
		assert_int_equal(file_write_atomic(AT_FDCWD, db_path, damaged, len, 0600), 0);
		if (store_sqlite_open(db_path, 0, &error, &store) < 0) {
			assert_non_null(error);
			n_refused++;
			free(error);
		} else {
			(void)put(store, "key", "two", 4);
		}
		store_free(store);
	}
	assert_in_range(n_refused, 20, 200);
	memset(damaged, 0x55, len);
	memcpy(damaged, data, 4096);
	assert_int_equal(file_write_atomic(AT_FDCWD, db_path, damaged, len, 0600), 0);
	check_refused(0, -EBADMSG, "is damaged");
	assert_int_equal(file_write_atomic(AT_FDCWD, db_path, data, len - 4096, 0600), 0);
	check_refused(0, -EBADMSG, "is damaged");
}

/* ---- disks ---- */

static void test_full(void **state)
{
	static char large[200000];
	_cleanup_free_ char *filler_path = text_printf("%s/filler", folder);
	struct store *store;
	struct outcome outcome;
	uint64_t revision;
	int fd;

	if (!has_tmpfs)
		skip();
	store = open_store(STORE_CREATE);
	put_ok(store, "key", "one");
	revision = store_revision(store);
	fd = open(filler_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (write(fd, large, 4096) > 0)
		;
	close(fd);
	outcome = put(store, "large", large, sizeof(large));
	assert_int_equal(outcome.status, -ENOSPC);
	assert_non_null(strstr(outcome.text, db_path));
	assert_int_equal(store_revision(store), revision);
	check_value(store, "key", "one");
	check_value(store, "large", NULL);
	unlink(filler_path);
	put_ok(store, "key", "two");
	assert_int_equal(store_revision(store), revision + 1);
	store_free(store);
	store = open_store(0);
	check_value(store, "key", "two");
	check_value(store, "large", NULL);
	store_free(store);
}

static void test_full_from_the_start(void **state)
{
	static char large[4096];
	_cleanup_free_ char *filler_path = text_printf("%s/filler", folder);
	int fd;

	if (!has_tmpfs)
		skip();
	fd = open(filler_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (write(fd, large, sizeof(large)) > 0)
		;
	close(fd);
	check_refused(STORE_CREATE, -ENOSPC, db_path);
	unlink(filler_path);
	/* What is left of the attempt is no obstacle. */
	check_refused(0, -ENOENT, "is empty");
	make_store("one");
}

static void test_read_only(void **state)
{
	if (!has_tmpfs)
		skip();
	make_store("one");
	assert_int_equal(mount(NULL, folder, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	check_refused(0, -EROFS, "Read-only file system");
	assert_int_equal(mount(NULL, folder, NULL, MS_REMOUNT, NULL), 0);
}

/* ---- backup and restore ---- */

static void back_up(struct store *store)
{
	char *error = NULL;

	if (back_up_now(store, backup_path, &error) < 0)
		fail_msg("%s", error);
}

static char *restore(void)
{
	char *error = NULL, *kept = NULL;

	if (store_sqlite_restore(backup_path, db_path, &error, &kept) < 0)
		fail_msg("%s", error);
	return kept;
}

static unsigned n_files(void)
{
	_cleanup_free_ char *command = text_printf("exit $(ls -A %s | wc -l)", folder);

	return (unsigned)WEXITSTATUS(system(command));
}

static void test_backup(void **state)
{
	_cleanup_free_ char *nowhere = text_printf("%s/nowhere/b", folder);
	struct store *store = open_store(STORE_CREATE);
	char *error = NULL;
	struct stat st;
	int r;

	put_ok(store, "key", "one");
	back_up(store);
	put_ok(store, "key", "two");
	back_up(store);
	put_ok(store, "key", "three");
	r = back_up_now(store, nowhere, &error);
	check_error(r, -ENOENT, error, nowhere);
	error = NULL;
	r = back_up_now(store, "b", &error);
	check_error(r, -EINVAL, error, "no absolute path");
	store_free(store);
	assert_int_equal(stat(backup_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(n_files(), 3); /* the store, its lock, the backup */
	/* It can be read where nothing can be written, and is a store. */
	unlink(db_path);
	assert_int_equal(rename(backup_path, db_path), 0);
	store = open_store(0);
	check_value(store, "key", "two");
	store_free(store);
}

static void fail_change(uint64_t revision, const struct store_entry *changes, size_t n_changes,
			void *userdata)
{
	fail_msg("told of a change");
}

static void note_lost(void *userdata)
{
	*(bool *)userdata = true;
}

static void test_restore(void **state)
{
	struct store *store = open_store(STORE_CREATE);
	struct store_watch *watch;
	_cleanup_free_ char *kept = NULL;
	uint64_t at_backup, at_end;
	bool lost = false;

	put_ok(store, "key", "one");
	at_backup = store_revision(store);
	back_up(store);
	put_ok(store, "key", "two");
	at_end = store_revision(store);
	store_free(store);
	kept = restore();
	store = open_store(0);
	check_value(store, "key", "one");
	/* Higher than all that anybody has seen, and nobody can go on from there. */
	assert_true(store_revision(store) > at_end);
	assert_int_equal(store_oldest(store), store_revision(store));
	assert_int_equal(store_watch(store, "", at_backup, fail_change, note_lost, &lost, &watch),
			 0);
	assert_true(lost);
	store_watch_free(watch);
	put_ok(store, "key", "three");
	store_free(store);
	/* The old one is a store still. */
	unlink(db_path);
	assert_int_equal(rename(kept, db_path), 0);
	store = open_store(0);
	check_value(store, "key", "two");
	store_free(store);
	/* The backup is as it was, and good for a host without a store. */
	unlink(db_path);
	assert_null(restore());
	store = open_store(0);
	check_value(store, "key", "one");
	store_free(store);
	assert_int_equal(n_files(), 3);
}

/* The clock went back: revisions do not. */
static void test_restore_with_clock_behind(void **state)
{
	struct store *store;
	_cleanup_free_ char *kept = NULL;

	make_store("one");
	sql(db_path, "UPDATE base SET rev = 1 << 51; UPDATE log SET rev = (1 << 51) + 1");
	store = open_store(0);
	back_up(store);
	put_ok(store, "key", "two");
	store_free(store);
	kept = restore();
	store = open_store(0);
	assert_true(store_revision(store) > (1ull << 51) + 2);
	store_free(store);
}

/* A process that dies leaves its log behind. */
static void make_store_and_die(const char *value)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		put_ok(open_store(STORE_CREATE), "key", value);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(mode_of("-wal"), 0600);
}

static void test_restore_over_killed(void **state)
{
	_cleanup_free_ char *kept = NULL;
	struct store *store = open_store(STORE_CREATE);

	put_ok(store, "key", "one");
	back_up(store);
	store_free(store);
	make_store_and_die("two");
	kept = restore();
	store = open_store(0);
	check_value(store, "key", "one");
	store_free(store);
	/* Its log was brought into the file. */
	assert_int_equal(n_files(), 4);
	assert_int_equal(rename(kept, db_path), 0);
	store = open_store(0);
	check_value(store, "key", "two");
	store_free(store);
}

/* Data of the old one are not lost, whatever they are; and its log must not meet the new file. */
static void check_restore_over(const char *rubbish, size_t len, int error)
{
	_cleanup_free_ char *wal = text_printf("%s-wal", db_path);
	_cleanup_free_ char *kept = NULL, *kept_wal = NULL, *data = NULL, *kept_data = NULL;
	struct store *store = open_store(STORE_CREATE);
	size_t wal_len, kept_len;

	put_ok(store, "key", "one");
	back_up(store);
	store_free(store);
	make_store_and_die("two");
	assert_int_equal(file_read(AT_FDCWD, wal, 1 << 20, &data, &wal_len), 0);
	assert_int_equal(file_write_atomic(AT_FDCWD, db_path, rubbish, len, 0600), 0);
	check_refused(STORE_CREATE, error, db_path);
	kept = restore();
	kept_wal = text_printf("%s-wal", kept);
	assert_int_equal(access(kept, F_OK), 0);
	assert_int_equal(file_read(AT_FDCWD, kept_wal, 1 << 20, &kept_data, &kept_len), 0);
	assert_int_equal(kept_len, wal_len);
	assert_memory_equal(kept_data, data, wal_len);
	assert_int_equal(access(wal, F_OK), -1);
	store = open_store(0);
	check_value(store, "key", "one");
	store_free(store);
}

static void test_restore_over_damaged(void **state)
{
	static const char rubbish[20000] = "Dear diary";

	check_restore_over(rubbish, 0, -EBADMSG);
	empty_folder(NULL);
	check_restore_over(rubbish, 10, -EBADMSG);
	empty_folder(NULL);
	check_restore_over(rubbish, sizeof(rubbish), -EMEDIUMTYPE);
}

static void check_restore_refused(int expected, const char *needle)
{
	char *error = NULL, *kept = NULL;
	unsigned n = n_files();
	struct store *store;
	int r = store_sqlite_restore(backup_path, db_path, &error, &kept);

	check_error(r, expected, error, needle);
	assert_null(kept);
	assert_int_equal(n_files(), n);
	store = open_store(0);
	check_value(store, "key", "one");
	store_free(store);
}

static void test_restore_refused(void **state)
{
	_cleanup_free_ char *backup_wal = text_printf("%s-wal", backup_path);
	_cleanup_free_ char *data = NULL;
	struct store *store;
	size_t len;

	make_store("one");
	check_restore_refused(-ENOENT, backup_path);
	assert_int_equal(file_write_atomic(AT_FDCWD, backup_path, "Dear diary", 10, 0600), 0);
	check_restore_refused(-EMEDIUMTYPE, "no SQLite database");
	assert_int_equal(file_write_atomic(AT_FDCWD, backup_path, "", 0, 0600), 0);
	check_restore_refused(-ENOENT, "is empty");
	unlink(backup_path);
	assert_int_equal(mkfifo(backup_path, 0600), 0);
	check_restore_refused(-EMEDIUMTYPE, "no regular file");
	unlink(backup_path);
	sql(backup_path, "CREATE TABLE t(x)");
	check_restore_refused(-EMEDIUMTYPE, "another database");
	store = open_store(0);
	back_up(store);
	store_free(store);
	sql(backup_path, "PRAGMA user_version = 2");
	check_restore_refused(-EPROTONOSUPPORT, "newer version");
	sql(backup_path, "PRAGMA user_version = 1");
	assert_int_equal(file_write_atomic(AT_FDCWD, backup_wal, "x", 1, 0600), 0);
	check_restore_refused(-EMEDIUMTYPE, "-wal beside it");
	unlink(backup_wal);
	assert_int_equal(file_read(AT_FDCWD, backup_path, 1 << 20, &data, &len), 0);
	memset(data + 4096, 0x55, len - 4096);
	assert_int_equal(file_write_atomic(AT_FDCWD, backup_path, data, len, 0600), 0);
	check_restore_refused(-EBADMSG, "is damaged");
}

static void test_backup_on_full_disk(void **state)
{
	static char large[700000];
	struct store *store;
	char *error = NULL;
	int r;

	if (!has_tmpfs)
		skip();
	store = open_store(STORE_CREATE);
	put_ok(store, "key", "one");
	assert_int_equal(put(store, "large", large, sizeof(large)).status, 0);
	r = back_up_now(store, backup_path, &error);
	check_error(r, -ENOSPC, error, backup_path);
	assert_int_equal(access(backup_path, F_OK), -1);
	put_ok(store, "key", "two");
	store_free(store);
	store = open_store(0);
	check_value(store, "key", "two");
	store_free(store);
}

static int make_folder(void **state)
{
	if (!mkdtemp(folder))
		return -1;
	has_tmpfs = unshare(CLONE_NEWNS) == 0 &&
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		    mount("none", folder, "tmpfs", 0, "size=2m") == 0;
	db_path = text_printf("%s/store.db", folder);
	backup_path = text_printf("%s/backup.db", folder);
	return 0;
}

static int remove_folder(void **state)
{
	empty_folder(NULL);
	if (has_tmpfs)
		umount(folder);
	free(db_path);
	free(backup_path);
	return rmdir(folder);
}

#define TEST(name) cmocka_unit_test_setup(test_##name, empty_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(created),
		TEST(settings),
		TEST(locked),
		TEST(in_use_by_another_program),
		TEST(wrong_places),
		TEST(network_file_system),
		TEST(not_ours),
		TEST(newer),
		TEST(senseless_revisions),
		TEST(damaged),
		TEST(full),
		TEST(full_from_the_start),
		TEST(read_only),
		TEST(backup),
		TEST(restore),
		TEST(restore_with_clock_behind),
		TEST(restore_over_killed),
		TEST(restore_over_damaged),
		TEST(restore_refused),
		TEST(backup_on_full_disk),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
