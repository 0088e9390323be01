/* The store without memory: refused whole, or done and told to everybody. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/text.h"
#include "coord/store/sqlite.h"
#include "tests/unit/nomem.h"
#include "tests/unit/scratch.h"
#include "tests/unit/store-backup.h"

static char *folder, *db_path, *backup_path;

static struct store *open_store(const char *path)
{
	struct store *store = NULL;
	char *error = NULL;

	if (store_sqlite_open(path, STORE_CREATE, &error, &store) < 0)
		fail_msg("%s", error);
	return store;
}

struct told {
	int status;
	unsigned value, n_entries;
	uint64_t revision;
};

static void on_answer(const struct store_answer *answer, void *userdata)
{
	struct told *told = userdata;

	told->status = answer->status;
	told->revision = answer->revision;
	told->n_entries = (unsigned)answer->n_entries;
	if (answer->n_entries > 0)
		told->value = *(const unsigned char *)answer->entries[0].value;
	assert_true(answer->status == 0 || answer->text);
}

static void on_change(uint64_t revision, const struct store_entry *changes, size_t n_changes,
		      void *userdata)
{
	struct told *told = userdata;

	assert_int_equal(n_changes, 2);
	told->n_entries++;
	told->revision = revision;
}

static void on_lost(void *userdata)
{
	((struct told *)userdata)->status = -ENOMEM;
}

/* Both keys get the value. */
static int put(struct store *store, unsigned char value)
{
	unsigned char data[5000] = { value };
	struct store_op ops[] = { { "a", data, sizeof(data) }, { "b", data, sizeof(data) } };
	struct told told = { .status = 1 };
	int r = store_txn(store, NULL, 0, ops, 2, on_answer, &told);

	return r < 0 ? r : told.status;
}

static int get(struct store *store, const char *key, struct told *told)
{
	int r = store_get(store, key, on_answer, told);

	return r < 0 ? r : told->status;
}

static void check_pair(struct store *store, unsigned expected)
{
	struct told a = { 0 }, b = { 0 };

	assert_int_equal(get(store, "a", &a), 0);
	assert_int_equal(get(store, "b", &b), 0);
	assert_int_equal(a.value, expected);
	assert_int_equal(b.value, expected);
	assert_int_equal(a.revision, b.revision);
}

/* SQLite's check of the whole file takes a page that it has no memory for as damaged. */
static int without_memory(int r, const char *error)
{
	return r == -EBADMSG && strstr(error, "or the disk is") ? -ENOMEM : r;
}

/* ---- */

static int open_and_close(void *userdata)
{
	_cleanup_free_ char *error = NULL;
	struct store *store = NULL;
	int r;

	nomem_begin();
	r = store_sqlite_open(db_path, STORE_CREATE, &error, &store);
	store = store_free(store);
	nomem_end();
	store = open_store(db_path);
	check_pair(store, 1);
	store_free(store);
	return without_memory(r, error);
}

static int make(void *userdata)
{
	_cleanup_free_ char *error = NULL;
	struct store *store = NULL;
	int r;

	scratch_empty(folder);
	nomem_begin();
	r = store_sqlite_open(db_path, STORE_CREATE, &error, &store);
	nomem_end();
	store_free(store);
	store_free(open_store(db_path));
	return r;
}

static int transaction(void *userdata)
{
	struct store *store = open_store(db_path);
	struct store_watch *watch = NULL;
	struct told told = { 0 };
	uint64_t before;
	int r;

	assert_int_equal(put(store, 1), 0);
	before = store_revision(store);
	assert_int_equal(store_watch(store, "", before, on_change, on_lost, &told, &watch), 0);
	nomem_begin();
	r = put(store, 2);
	nomem_end();
	check_pair(store, r == 0 ? 2 : 1);
	assert_int_equal(told.n_entries, r == 0);
	assert_int_equal(store_revision(store), before + (r == 0));
	assert_int_equal(put(store, 3), 0);
	store_watch_free(watch);
	store_free(store);
	store = open_store(db_path);
	check_pair(store, 3);
	assert_int_equal(put(store, 1), 0);
	store_free(store);
	return r;
}

static int read_and_watch(void *userdata)
{
	struct store *store = open_store(NULL);
	struct told got = { 0 }, listed = { 0 }, seen = { 0 };
	struct store_watch *watch = NULL;
	uint64_t first = store_revision(store);
	int r;

	assert_int_equal(put(store, 1), 0);
	assert_int_equal(put(store, 2), 0);
	nomem_begin();
	r = get(store, "a", &got);
	if (r == 0) {
		r = store_list(store, "", NULL, 10, on_answer, &listed);
		r = r < 0 ? r : listed.status;
	}
	if (r == 0) {
		r = store_watch(store, "", first, on_change, on_lost, &seen, &watch);
		r = r < 0 ? r : seen.status;
	}
	nomem_end();
	if (r == 0) {
		assert_int_equal(got.value, 2);
		assert_int_equal(listed.n_entries, 2);
		assert_int_equal(seen.n_entries, 2);
		assert_int_equal(seen.revision, first + 2);
	}
	store_watch_free(watch);
	store_free(store);
	return r;
}

static int back_up_and_restore(void *userdata)
{
	_cleanup_free_ char *error = NULL, *kept = NULL;
	struct store *store;
	int r;

	scratch_empty(folder);
	store = open_store(db_path);
	assert_int_equal(put(store, 1), 0);
	nomem_begin();
	r = back_up_now(store, backup_path, &error);
	nomem_end();
	check_pair(store, 1);
	assert_int_equal(put(store, 2), 0);
	store_free(store);
	if (r < 0)
		return r;
	nomem_begin();
	r = store_sqlite_restore(backup_path, db_path, &error, &kept);
	nomem_end();
	store = open_store(db_path);
	check_pair(store, r == 0 ? 1 : 2);
	store_free(store);
	return without_memory(r, error);
}

static void test_store(void **state)
{
	struct store *store;

	nomem_try("making a store", make, NULL);
	nomem_try("a transaction", transaction, NULL);
	nomem_try("opening and closing", open_and_close, NULL);
	nomem_try("reading and watching", read_and_watch, NULL);
	nomem_try("backup and restore", back_up_and_restore, NULL);
	store = open_store(db_path);
	store_free(store);
}

static int set_up(void **state)
{
	folder = scratch_new();
	db_path = text_printf("%s/store.db", folder);
	backup_path = text_printf("%s/backup.db", folder);
	return 0;
}

static int tear_down(void **state)
{
	folder = scratch_remove(folder);
	free(db_path);
	free(backup_path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_store) };

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
