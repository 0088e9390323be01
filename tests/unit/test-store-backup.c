/* A copy of the store that is made step by step, between other work. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/text.h"
#include "coord/store/sqlite.h"
#include "tests/unit/scratch.h"

#define LARGE ((size_t)600 << 10)

static char *folder, *db_path, *backup_path;

static void keep_value(const struct store_answer *answer, void *userdata)
{
	char *value = userdata;

	assert_int_equal(answer->status, 0);
	if (value)
		snprintf(value, 16, "%s", (const char *)answer->entries[0].value);
}

static void put(struct store *store, const char *key, const char *value, size_t len)
{
	struct store_op op = { key, value, len };

	assert_int_equal(store_txn(store, NULL, 0, &op, 1, keep_value, NULL), 0);
}

static void put_text(struct store *store, const char *key, const char *value)
{
	put(store, key, value, strlen(value) + 1);
}

static void put_large(struct store *store, unsigned first, unsigned n)
{
	_cleanup_free_ char *value = malloc(LARGE);
	char key[32];

	assert_non_null(value);
	memset(value, 'x', LARGE);
	for (unsigned i = first; i < first + n; i++) {
		snprintf(key, sizeof(key), "large/%u", i);
		put(store, key, value, LARGE);
	}
}

static struct store *open_store(const char *path, unsigned flags)
{
	struct store *store = NULL;
	char *error = NULL;

	if (store_sqlite_open(path, flags, &error, &store) < 0)
		fail_msg("%s", error);
	return store;
}

static struct store_backup *begin(struct store *store)
{
	struct store_backup *backup = NULL;
	char *error = NULL;

	if (store_sqlite_backup_new(store, backup_path, &error, &backup) < 0)
		fail_msg("%s", error);
	return backup;
}

static int step(struct store_backup *backup)
{
	char *error = NULL;
	int r = store_sqlite_backup_step(backup, &error);

	if (r < 0)
		fail_msg("%s", error);
	return r;
}

static void check_copy(const char *expected)
{
	struct store *store = open_store(backup_path, 0);
	char value[16] = "";

	assert_int_equal(store_get(store, "key", keep_value, value), 0);
	assert_string_equal(value, expected);
	store_free(store);
}

/* It is the store as it is at the last step. */
static void test_written_meanwhile(void **state)
{
	struct store *store = open_store(db_path, STORE_CREATE);
	struct store_backup *backup;
	unsigned n_steps = 1;

	put_large(store, 0, 5);
	put_text(store, "key", "one");
	backup = begin(store);
	assert_int_equal(step(backup), STORE_BACKUP_MORE);
	put_text(store, "key", "two");
	put_large(store, 5, 5);
	put_large(store, 0, 1);
	for (; step(backup) == STORE_BACKUP_MORE; n_steps++)
		put_text(store, "key", "three");
	assert_true(n_steps >= 5);
	store_sqlite_backup_free(backup);
	put_text(store, "key", "four");
	store_free(store);
	check_copy("three");
}

static void test_given_up(void **state)
{
	struct store *store = open_store(db_path, STORE_CREATE);
	struct store_backup *backup;

	put_large(store, 0, 5);
	backup = begin(store);
	assert_int_equal(access(backup_path, F_OK), 0);
	assert_int_equal(step(backup), STORE_BACKUP_MORE);
	store_sqlite_backup_free(backup);
	assert_int_equal(access(backup_path, F_OK), -1);
	/* Nothing of it is in the way of anything. */
	put_text(store, "key", "after");
	backup = begin(store);
	while (step(backup) == STORE_BACKUP_MORE)
		;
	store_sqlite_backup_free(backup);
	store_free(store);
	check_copy("after");
}

static int setup(void **state)
{
	folder = scratch_new();
	db_path = text_printf("%s/store.db", folder);
	backup_path = text_printf("%s/backup.db", folder);
	return db_path && backup_path ? 0 : -1;
}

static int teardown(void **state)
{
	folder = scratch_remove(folder);
	free(db_path);
	free(backup_path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_written_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_given_up, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
