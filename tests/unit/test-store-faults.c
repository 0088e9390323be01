/*
 * Disks that fail, at each operation in turn, once or for good: a transaction that was acknowledged
 * is there, one that was refused is not seen by anybody, the store goes on when the disk does. The
 * same for opening, backup and restore.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/text.h"
#include "coord/store/sqlite.h"
#include "tests/unit/scratch.h"
#include "tests/unit/shim-vfs.h"
#include "tests/unit/store-backup.h"

#define MAX_OPERATIONS 5000u

static char *folder, *db_path, *backup_path, *taken_path;

static const char *const how_names[] = { "an error", "a full disk", "errors for good" };

/* ---- what the store asks the kernel for itself (the linker puts these before libc's) ---- */

int __real_fsync(int fd);
int __real_link(const char *from, const char *to);
int __real_rename(const char *from, const char *to);
int __real_unlink(const char *path);
int __wrap_fsync(int fd);
int __wrap_link(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_unlink(const char *path);

static bool fails(void)
{
	errno = EIO;
	return shim_fails_now();
}

int __wrap_fsync(int fd)
{
	return fails() ? -1 : __real_fsync(fd);
}

int __wrap_link(const char *from, const char *to)
{
	return fails() ? -1 : __real_link(from, to);
}

int __wrap_rename(const char *from, const char *to)
{
	return fails() ? -1 : __real_rename(from, to);
}

int __wrap_unlink(const char *path)
{
	return fails() ? -1 : __real_unlink(path);
}

/* ---- */

static struct store *open_store(const char *where)
{
	struct store *store = NULL;
	char *error = NULL;

	if (store_sqlite_open(db_path, STORE_CREATE, &error, &store) < 0)
		fail_msg("%s: %s", where, error);
	return store;
}

/* ---- what is there, and what was told ---- */

struct told {
	int status;
	uint64_t revision;
	unsigned value;
	unsigned n_changes;
};

static void on_answer(const struct store_answer *answer, void *userdata)
{
	struct told *told = userdata;

	told->status = answer->status;
	told->revision = answer->revision;
	if (answer->status < 0)
		assert_true(answer->status == -ENOENT || answer->text);
	if (answer->n_entries > 0)
		memcpy(&told->value, answer->entries[0].value, sizeof(told->value));
}

static void on_change(uint64_t revision, const struct store_entry *changes, size_t n_changes,
		      void *userdata)
{
	struct told *told = userdata;

	told->n_changes++;
	told->revision = revision;
}

static void on_lost(void *userdata)
{
	fail_msg("the watch is lost");
}

static int put(struct store *store, unsigned value)
{
	static char padded[20000];
	struct store_op op = { "key", padded, sizeof(padded) };
	struct told told = { .status = 1 };

	memcpy(padded, &value, sizeof(value));
	assert_int_equal(store_txn(store, NULL, 0, &op, 1, on_answer, &told), 0);
	assert_true(told.status == 0 || told.status == -EIO || told.status == -ENOSPC);
	return told.status;
}

/* Return: status. */
static int get(struct store *store, unsigned *ret_value)
{
	struct told told = { .status = 1 };

	assert_int_equal(store_get(store, "key", on_answer, &told), 0);
	*ret_value = told.value;
	return told.status;
}

static void check_value(struct store *store, unsigned expected, const char *where)
{
	unsigned value = 0;

	assert_int_equal(get(store, &value), 0);
	if (value != expected)
		fail_msg("%s: %u is there, not %u", where, value, expected);
}

/* ---- transactions ---- */

/*
 * Some transactions, the operation of that number fails. Return: whether there was one.
 */
static bool transactions_with_failure(unsigned number, enum shim_failure how)
{
	_cleanup_free_ char *where = text_printf("%s at operation %u", how_names[how], number);
	struct store *store = open_store(where);
	struct store_watch *watch = NULL;
	struct told told = { 0 };
	unsigned last = 1, n_done = 0, value = 0;
	bool failed;

	assert_int_equal(put(store, 1), 0);
	assert_int_equal(
		store_watch(store, "", store_revision(store), on_change, on_lost, &told, &watch),
		0);
	shim_fail(number, how);
	for (unsigned i = 2; i < 8; i++) {
		if (put(store, i) == 0) {
			last = i;
			n_done++;
		}
		/* A read may fail too; it never shows what was refused. */
		if (get(store, &value) == 0 && value != last)
			fail_msg("%s: %u is there, not %u", where, value, last);
	}
	failed = shim_failed();
	shim_fail(0, how);
	check_value(store, last, where);
	assert_int_equal(told.n_changes, n_done);
	if (put(store, 8) < 0)
		fail_msg("%s: the store does not recover", where);
	assert_int_equal(told.revision, store_revision(store));
	store_watch_free(watch);
	store_free(store);
	store = open_store(where);
	check_value(store, 8, where);
	assert_int_equal(store_revision(store), told.revision);
	store_free(store);
	return failed;
}

static void test_transactions(void **state)
{
	for (int how = SHIM_IO; how <= SHIM_IO_PERSISTS; how++) {
		unsigned n = 1;

		while (transactions_with_failure(n, (enum shim_failure)how)) {
			n++;
			assert_true(n < MAX_OPERATIONS);
			/* Else the log brings along what it has; it is to be long. */
			if (n % 16 == 0)
				scratch_empty(folder);
		}
		print_message("%s at each of %u operations\n", how_names[how], n - 1);
		assert_true(n > 50);
	}
}

/* ---- opening and closing ---- */

static bool open_with_failure(unsigned number, enum shim_failure how, bool exists)
{
	_cleanup_free_ char *where = text_printf("%s at operation %u", how_names[how], number);
	_cleanup_free_ char *error = NULL;
	struct store *store = NULL;
	bool failed;
	int r;

	scratch_empty(folder);
	if (exists) {
		store = open_store(where);
		assert_int_equal(put(store, 1), 0);
		store = store_free(store);
	}
	shim_fail(number, how);
	r = store_sqlite_open(db_path, STORE_CREATE, &error, &store);
	store = store_free(store);
	failed = shim_failed();
	shim_fail(0, how);
	if (r < 0)
		assert_true(failed && error);
	store = open_store(where);
	if (exists)
		check_value(store, 1, where);
	store_free(store);
	return failed;
}

static void test_open(void **state)
{
	for (int how = SHIM_IO; how <= SHIM_IO_PERSISTS; how++)
		for (int exists = 0; exists < 2; exists++) {
			unsigned n = 1;

			while (open_with_failure(n, (enum shim_failure)how, exists))
				assert_true(++n < MAX_OPERATIONS);
			assert_true(n > 5);
		}
}

/* ---- backup and restore ---- */

static void make_backup_and_more(void)
{
	struct store *store = open_store("backup");
	char *error = NULL;

	assert_int_equal(put(store, 1), 0);
	assert_int_equal(back_up_now(store, backup_path, &error), 0);
	assert_int_equal(put(store, 2), 0);
	store_free(store);
}

static bool backup_with_failure(unsigned number, enum shim_failure how)
{
	_cleanup_free_ char *where = text_printf("%s at operation %u", how_names[how], number);
	_cleanup_free_ char *error = NULL, *kept = NULL, *problem = NULL;
	struct store *store;
	bool failed;
	int r;

	scratch_empty(folder);
	make_backup_and_more();
	store = open_store(where);
	shim_fail(number, how);
	r = back_up_now(store, backup_path, &error);
	failed = shim_failed();
	shim_fail(0, how);
	check_value(store, 2, where);
	assert_int_equal(put(store, 3), 0);
	store_free(store);
	/* Good, or none, if what is there can be removed. */
	if (r < 0) {
		assert_true(access(backup_path, F_OK) < 0 || how == SHIM_IO_PERSISTS);
		return failed;
	}
	/* The file is what counts, not what could not be removed beside it. */
	assert_int_equal(rename(backup_path, taken_path), 0);
	if (store_sqlite_restore(taken_path, db_path, &problem, &kept) < 0)
		fail_msg("%s: %s", where, problem);
	store = open_store(where);
	check_value(store, 2, where);
	store_free(store);
	return failed;
}

static bool restore_with_failure(unsigned number, enum shim_failure how)
{
	_cleanup_free_ char *where = text_printf("%s at operation %u", how_names[how], number);
	_cleanup_free_ char *error = NULL, *kept = NULL;
	struct store *store;
	uint64_t revision;
	bool failed;
	bool in_place;
	int r;

	scratch_empty(folder);
	make_backup_and_more();
	store = open_store(where);
	revision = store_revision(store);
	store_free(store);
	shim_fail(number, how);
	r = store_sqlite_restore(backup_path, db_path, &error, &kept);
	failed = shim_failed();
	shim_fail(0, how);
	in_place = r == 0 || strstr(error, "is the restored store");
	store = open_store(where);
	check_value(store, in_place ? 1 : 2, where);
	if (!in_place)
		assert_int_equal(store_revision(store), revision);
	else
		assert_true(store_revision(store) > revision);
	store_free(store);
	return failed;
}

static void test_backup_and_restore(void **state)
{
	for (int how = SHIM_IO; how <= SHIM_IO_PERSISTS; how++) {
		unsigned n = 1;

		while (backup_with_failure(n, (enum shim_failure)how))
			assert_true(++n < MAX_OPERATIONS);
		assert_true(n > 10);
		n = 1;
		while (restore_with_failure(n, (enum shim_failure)how))
			assert_true(++n < MAX_OPERATIONS);
		assert_true(n > 10);
	}
}

static void check_file(const char *suffix, const char *expected, size_t expected_len)
{
	_cleanup_free_ char *path = text_printf("%s%s", db_path, suffix), *data = NULL;
	size_t len;

	assert_int_equal(file_read(AT_FDCWD, path, 1 << 20, &data, &len), 0);
	assert_int_equal(len, expected_len);
	assert_memory_equal(data, expected, len);
}

/* Over one that cannot be read, so that its log has to be moved as well. */
static bool restore_over_damaged(unsigned number, enum shim_failure how)
{
	static const char rubbish[2][8192] = { "Dear diary", "and log" };
	_cleanup_free_ char *wal = text_printf("%s-wal", db_path), *error = NULL, *kept = NULL;
	struct store *store;
	bool failed, in_place;
	int r;

	scratch_empty(folder);
	make_backup_and_more();
	assert_int_equal(file_write_atomic(AT_FDCWD, db_path, rubbish[0], 8192, 0600), 0);
	assert_int_equal(file_write_atomic(AT_FDCWD, wal, rubbish[1], 8192, 0600), 0);
	shim_fail(number, how);
	r = store_sqlite_restore(backup_path, db_path, &error, &kept);
	failed = shim_failed();
	shim_fail(0, how);
	in_place = r == 0 || strstr(error, "is the restored store");
	/* With errors for good it cannot be put back, but is there. */
	if (!in_place && how != SHIM_IO_PERSISTS) {
		check_file("", rubbish[0], 8192);
		check_file("-wal", rubbish[1], 8192);
	} else if (in_place) {
		store = open_store("restored");
		check_value(store, 1, "restored");
		store_free(store);
	}
	return failed;
}

static void test_restore_over_damaged(void **state)
{
	for (int how = SHIM_IO; how <= SHIM_IO_PERSISTS; how++) {
		unsigned n = 1;

		while (restore_over_damaged(n, (enum shim_failure)how))
			assert_true(++n < MAX_OPERATIONS);
		assert_true(n > 10);
	}
}

static int set_up(void **state)
{
	folder = scratch_new();
	db_path = text_printf("%s/store.db", folder);
	backup_path = text_printf("%s/backup.db", folder);
	taken_path = text_printf("%s/taken.db", folder);
	shim_install();
	return 0;
}

static int tear_down(void **state)
{
	shim_remove();
	folder = scratch_remove(folder);
	free(db_path);
	free(backup_path);
	free(taken_path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transactions),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_backup_and_restore),
		cmocka_unit_test(test_restore_over_damaged),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
