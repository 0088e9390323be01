/* The store's contract (coord/store/store.h), as SQLite keeps it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/text.h"
#include "coord/store/sqlite.h"

/* All that a test is told, one line each: "get k=v@1", with revisions counted from the first. */
struct scene {
	struct store *store;
	uint64_t first; /* revision of the new store */
	struct store_watch *watch;
	char told[8192];
	void (*within)(struct scene *scene); /* what the next callback does, once */
};

_printf_(2, 3) static void tell(struct scene *scene, const char *fmt, ...)
{
	size_t len = strlen(scene->told);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(scene->told + len, sizeof(scene->told) - len, fmt, ap);
	va_end(ap);
}

static void tell_entry(struct scene *scene, const struct store_entry *entry)
{
	if (entry->value)
		tell(scene, " %s=%.*s@%d", entry->key, (int)entry->len, (const char *)entry->value,
		     (int)(entry->revision - scene->first));
	else
		tell(scene, " -%s@%d", entry->key, (int)(entry->revision - scene->first));
}

static void act_within(struct scene *scene)
{
	void (*within)(struct scene * scene) = scene->within;

	scene->within = NULL;
	if (within)
		within(scene);
}

static void on_answer(const struct store_answer *answer, void *userdata)
{
	struct scene *scene = userdata;

	if (answer->status < 0)
		tell(scene, "%s", strerrorname_np(-answer->status));
	else
		tell(scene, "@%d", (int)(answer->revision - scene->first));
	if (answer->conflict)
		tell(scene, " %s", answer->conflict->key);
	for (size_t i = 0; i < answer->n_entries; i++)
		tell_entry(scene, &answer->entries[i]);
	tell(scene, answer->more ? " ...\n" : "\n");
	act_within(scene);
}

static void on_change(uint64_t revision, const struct store_entry *changes, size_t n_changes,
		      void *userdata)
{
	struct scene *scene = userdata;

	tell(scene, "seen @%d", (int)(revision - scene->first));
	for (size_t i = 0; i < n_changes; i++)
		tell_entry(scene, &changes[i]);
	tell(scene, "\n");
	act_within(scene);
}

static void on_lost(void *userdata)
{
	tell(userdata, "lost\n");
}

static void check_told(struct scene *scene, const char *expected)
{
	if (strcmp(scene->told, expected) != 0)
		fail_msg("told:\n%s-- expected:\n%s", scene->told, expected);
	scene->told[0] = '\0';
}

static void put(struct scene *scene, const char *key, const char *value)
{
	struct store_op op = { key, value, value ? strlen(value) : 0 };

	assert_int_equal(store_txn(scene->store, NULL, 0, &op, 1, on_answer, scene), 0);
}

static void put_if(struct scene *scene, const char *cond_key, int revision, const char *key,
		   const char *value)
{
	struct store_cond cond = { cond_key, revision ? scene->first + (uint64_t)revision : 0 };
	struct store_op op = { key, value, strlen(value) };

	assert_int_equal(store_txn(scene->store, &cond, 1, &op, 1, on_answer, scene), 0);
}

static void get(struct scene *scene, const char *key)
{
	assert_int_equal(store_get(scene->store, key, on_answer, scene), 0);
}

static void list(struct scene *scene, const char *prefix, const char *after, unsigned limit)
{
	assert_int_equal(store_list(scene->store, prefix, after, limit, on_answer, scene), 0);
}

static void watch(struct scene *scene, const char *prefix, int from)
{
	assert_int_equal(store_watch(scene->store, prefix, scene->first + (uint64_t)from, on_change,
				     on_lost, scene, &scene->watch),
			 0);
}

static int set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	char *error = NULL;

	if (store_sqlite_open(NULL, 0, &error, &scene->store) < 0)
		fail_msg("%s", error);
	scene->first = store_revision(scene->store);
	*state = scene;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *scene = *state;

	store_watch_free(scene->watch);
	store_free(scene->store);
	free(scene);
	return 0;
}

static void test_new(void **state)
{
	struct scene *scene = *state;
	uint64_t seconds = scene->first >> 20, now = clock_usec(CLOCK_REALTIME) / USEC_PER_SEC;

	assert_true(seconds <= now && now < seconds + 60);
	assert_int_equal(scene->first & 0xfffff, 0);
	assert_int_equal(store_oldest(scene->store), scene->first);
	get(scene, "a");
	list(scene, "", NULL, 10);
	check_told(scene, "ENOENT\n@0\n");
}

static void test_get_and_list(void **state)
{
	struct scene *scene = *state;

	put(scene, "a/1", "one");
	put(scene, "a/2", "");
	put(scene, "a/3", "three");
	put(scene, "b/1", "other");
	put(scene, "a/1", "uno");
	get(scene, "a/1");
	get(scene, "a/2");
	get(scene, "a");
	check_told(scene, "@1\n@2\n@3\n@4\n@5\n@5 a/1=uno@5\n@5 a/2=@2\nENOENT\n");
	list(scene, "a/", NULL, 2);
	list(scene, "a/", "a/2", 2);
	list(scene, "a/", "a/3", 2);
	list(scene, "a/", NULL, 3);
	list(scene, "", NULL, 1000);
	list(scene, "c", NULL, 1);
	check_told(scene, "@5 a/1=uno@5 a/2=@2 ...\n"
			  "@5 a/3=three@3\n"
			  "@5\n"
			  "@5 a/1=uno@5 a/2=@2 a/3=three@3\n"
			  "@5 a/1=uno@5 a/2=@2 a/3=three@3 b/1=other@4\n"
			  "@5\n");
}

static void test_conditions(void **state)
{
	struct scene *scene = *state;

	put_if(scene, "a", 0, "a", "1");
	put_if(scene, "a", 0, "a", "2");
	put_if(scene, "a", 1, "a", "3");
	put_if(scene, "a", 1, "b", "4");
	put_if(scene, "b", 1, "b", "5");
	list(scene, "", NULL, 10);
	check_told(scene, "@1\nEBUSY a\n@2\nEBUSY a\nEBUSY b\n@2 a=3@2\n");
}

static void test_delete(void **state)
{
	struct scene *scene = *state;

	put(scene, "a", "1");
	put(scene, "a", NULL);
	put(scene, "a", NULL);
	get(scene, "a");
	put_if(scene, "a", 0, "a", "2");
	check_told(scene, "@1\n@2\n@2\nENOENT\n@3\n");
	watch(scene, "", 0);
	check_told(scene, "seen @1 a=1@1\nseen @2 -a@2\nseen @3 a=2@3\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_new, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_get_and_list, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_conditions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_delete, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
