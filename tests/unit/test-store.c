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

static void test_transaction(void **state)
{
	struct scene *scene = *state;
	struct store_cond conds[] = { { "a", 0 }, { "b", 0 } };
	struct store_op ops[] = { { "b", "2", 1 }, { "a", "1", 1 }, { "gone", NULL, 0 } };

	watch(scene, "", 0);
	assert_int_equal(store_txn(scene->store, conds, 2, ops, 3, on_answer, scene), 0);
	/* The second condition fails: nothing of the second transaction happens. */
	conds[0] = (struct store_cond){ "a", scene->first + 1 };
	ops[1] = (struct store_op){ "c", "3", 1 };
	assert_int_equal(store_txn(scene->store, conds, 2, ops, 3, on_answer, scene), 0);
	/* Conditions alone are an answer too. */
	assert_int_equal(store_txn(scene->store, conds, 1, NULL, 0, on_answer, scene), 0);
	list(scene, "", NULL, 10);
	check_told(scene, "seen @1 b=2@1 a=1@1\n@1\nEBUSY b\n@1\n@1 a=1@1 b=2@1\n");
}

/* ---- bounds ---- */

static int try_key(struct scene *scene, const char *key)
{
	struct store_op op = { key, "v", 1 };

	return store_txn(scene->store, NULL, 0, &op, 1, on_answer, scene);
}

static void test_keys(void **state)
{
	static const char *const bad[] = { "", " ", "a b", "a\n", "\x7f", "caf\xc3\xa9" };
	struct scene *scene = *state;
	char longest[STORE_MAX_KEY + 2];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(try_key(scene, bad[i]), -EINVAL);
		assert_int_equal(store_get(scene->store, bad[i], on_answer, scene), -EINVAL);
	}
	memset(longest, '~', sizeof(longest));
	longest[STORE_MAX_KEY + 1] = '\0';
	assert_int_equal(try_key(scene, longest), -EINVAL);
	assert_int_equal(store_list(scene->store, longest, NULL, 1, on_answer, scene), -EINVAL);
	assert_int_equal(
		store_watch(scene->store, longest, 0, on_change, on_lost, scene, &scene->watch),
		-EINVAL);
	longest[STORE_MAX_KEY] = '\0';
	assert_int_equal(try_key(scene, longest), 0);
	assert_int_equal(try_key(scene, "!"), 0);
	scene->told[0] = '\0';
	/* The last key there can be lies within its own prefix. */
	list(scene, longest, NULL, 2);
	assert_int_equal(strncmp(scene->told, "@2 ~~~", 6), 0);
	assert_int_equal(store_list(scene->store, "", NULL, 0, on_answer, scene), -EINVAL);
	assert_int_equal(store_list(scene->store, "", NULL, STORE_MAX_LIST + 1, on_answer, scene),
			 -EINVAL);
	assert_int_equal(store_list(scene->store, "", "", 1, on_answer, scene), -EINVAL);
}

static void count_answer(const struct store_answer *answer, void *userdata)
{
	if (answer->status < 0)
		fail_msg("%s", answer->text);
	*(size_t *)userdata += answer->n_entries;
}

static void test_sizes(void **state)
{
	struct scene *scene = *state;
	_cleanup_free_ char *value = calloc(1, STORE_MAX_VALUE + 1);
	_cleanup_free_ char *keys = calloc(STORE_MAX_TXN + 1, 8);
	struct store_op ops[STORE_MAX_TXN + 1];
	struct store_cond conds[STORE_MAX_TXN + 1];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		snprintf(keys + 8 * i, 8, "k%zu", i);
		ops[i] = (struct store_op){ keys + 8 * i, value, 1 };
		conds[i] = (struct store_cond){ keys + 8 * i, 0 };
	}
	assert_int_equal(
		store_txn(scene->store, conds, STORE_MAX_TXN + 1, NULL, 0, count_answer, &n),
		-EINVAL);
	assert_int_equal(store_txn(scene->store, NULL, 0, ops, STORE_MAX_TXN + 1, count_answer, &n),
			 -EINVAL);
	assert_int_equal(
		store_txn(scene->store, conds, STORE_MAX_TXN, ops, STORE_MAX_TXN, count_answer, &n),
		0);
	ops[0].len = STORE_MAX_VALUE + 1;
	assert_int_equal(store_txn(scene->store, NULL, 0, ops, 1, count_answer, &n), -EINVAL);
	ops[0].len = STORE_MAX_VALUE;
	assert_int_equal(store_txn(scene->store, NULL, 0, ops, 1, count_answer, &n), 0);
	ops[1].len = STORE_MAX_BYTES - STORE_MAX_VALUE;
	assert_int_equal(store_txn(scene->store, NULL, 0, ops, 2, count_answer, &n), -EINVAL);
	ops[1].len -= 4; /* both keys */
	assert_int_equal(store_txn(scene->store, NULL, 0, ops, 2, count_answer, &n), 0);
	ops[2] = (struct store_op){ "k2", NULL, 1 };
	assert_int_equal(store_txn(scene->store, NULL, 0, ops + 2, 1, count_answer, &n), -EINVAL);
	ops[2] = (struct store_op){ "k3", NULL, 0 };
	assert_int_equal(store_txn(scene->store, NULL, 0, ops + 2, 2, count_answer, &n), -EINVAL);
	assert_int_equal(n, 0);
	assert_int_equal(store_revision(scene->store), scene->first + 3);
}

static void page_answer(const struct store_answer *answer, void *userdata)
{
	size_t bytes = 0;

	for (size_t i = 0; i < answer->n_entries; i++)
		bytes += answer->entries[i].len;
	assert_in_range(bytes, 1, 17 << 20);
	assert_true(answer->more);
	*(size_t *)userdata = answer->n_entries;
}

static void test_large_list(void **state)
{
	struct scene *scene = *state;
	_cleanup_free_ char *value = calloc(1, STORE_MAX_VALUE);
	size_t n = 0;
	char key[8];

	for (int i = 10; i < 30; i++) {
		struct store_op op = { key, value, STORE_MAX_VALUE };

		snprintf(key, sizeof(key), "k%d", i);
		assert_int_equal(store_txn(scene->store, NULL, 0, &op, 1, count_answer, &n), 0);
	}
	assert_int_equal(store_list(scene->store, "", NULL, 1000, page_answer, &n), 0);
	assert_in_range(n, 10, 19);
	snprintf(key, sizeof(key), "k%zu", 10 + n - 1);
	assert_int_equal(store_list(scene->store, "", key, 1000, count_answer, &n), 0);
	assert_int_equal(n, 20);
}

/* ---- watches ---- */

static void test_watch(void **state)
{
	struct scene *scene = *state;
	struct store_watch *other = NULL;
	struct store_op both[] = { { "b/2", "4", 1 }, { "a/2", "4", 1 } };

	put(scene, "a/1", "1");
	put(scene, "b/1", "2");
	put(scene, "a/1", "3");
	scene->told[0] = '\0';
	watch(scene, "a/", 1);
	check_told(scene, "seen @3 a/1=3@3\n");
	assert_int_equal(
		store_watch(scene->store, "", scene->first + 3, on_change, on_lost, scene, &other),
		0);
	/* Of each transaction a watcher is told its own part, the older watcher first. */
	assert_int_equal(store_txn(scene->store, NULL, 0, both, 2, on_answer, scene), 0);
	put(scene, "b/1", "5");
	check_told(scene, "seen @4 a/2=4@4\nseen @4 b/2=4@4 a/2=4@4\n@4\n"
			  "seen @5 b/1=5@5\n@5\n");
	other = store_watch_free(other);
	put(scene, "b/1", "6");
	check_told(scene, "@6\n");
}

static void test_unknown_revisions(void **state)
{
	struct scene *scene = *state;

	watch(scene, "", -1);
	check_told(scene, "lost\n");
	scene->watch = store_watch_free(scene->watch);
	watch(scene, "", 1);
	check_told(scene, "lost\n");
	/* It is told once, and nothing else. */
	put(scene, "a", "1");
	check_told(scene, "@1\n");
}

/* What happens within a callback is told after it. */
static void within_put_two(struct scene *scene)
{
	put(scene, "b", "2");
	put(scene, "c", "3");
	get(scene, "c");
	tell(scene, "within\n");
}

static void test_put_within(void **state)
{
	struct scene *scene = *state;
	struct store_watch *other;

	watch(scene, "", 0);
	assert_int_equal(
		store_watch(scene->store, "b", scene->first, on_change, on_lost, scene, &other), 0);
	scene->within = within_put_two;
	put(scene, "a", "1");
	/* Done at once, but told in the order of revisions, to each watcher, and then answered. */
	check_told(scene, "seen @1 a=1@1\n@3 c=3@3\nwithin\n@1\n"
			  "seen @2 b=2@2\nseen @2 b=2@2\n@2\n"
			  "seen @3 c=3@3\n@3\n");
	/* The same from an answer: of a read, of a failure, of a transaction. */
	scene->within = within_put_two;
	get(scene, "a");
	check_told(scene, "@3 a=1@1\n@5 c=3@5\nwithin\n"
			  "seen @4 b=2@4\nseen @4 b=2@4\n@4\nseen @5 c=3@5\n@5\n");
	scene->within = within_put_two;
	put_if(scene, "a", 0, "a", "2");
	check_told(scene, "EBUSY a\n@7 c=3@7\nwithin\n"
			  "seen @6 b=2@6\nseen @6 b=2@6\n@6\nseen @7 c=3@7\n@7\n");
	other = store_watch_free(other);
	scene->watch = store_watch_free(scene->watch);
	scene->within = within_put_two;
	put(scene, "a", "3");
	check_told(scene, "@8\n@10 c=3@10\nwithin\n@9\n@10\n");
}

static void within_free(struct scene *scene)
{
	scene->watch = store_watch_free(scene->watch);
}

static void test_free_within(void **state)
{
	struct scene *scene = *state;
	struct store_watch *other;

	put(scene, "a", "1");
	put(scene, "a", "2");
	scene->within = within_free;
	/* In the replay of its own past. */
	watch(scene, "", 0);
	assert_null(scene->watch);
	check_told(scene, "@1\n@2\nseen @1 a=1@1\n");
	/* While it is told, and with one behind it. */
	watch(scene, "", 2);
	assert_int_equal(
		store_watch(scene->store, "", scene->first + 2, on_change, on_lost, scene, &other),
		0);
	scene->within = within_free;
	put(scene, "a", "3");
	assert_null(scene->watch);
	check_told(scene, "seen @3 a=3@3\nseen @3 a=3@3\n@3\n");
	/* One that would be told next. */
	watch(scene, "", 3);
	scene->within = within_free;
	put(scene, "a", "4");
	check_told(scene, "seen @4 a=4@4\n@4\n");
	store_watch_free(other);
}

static void within_watch(struct scene *scene)
{
	put(scene, "b", "2");
	watch(scene, "", 0);
	tell(scene, "within\n");
}

/* A watch that begins between a transaction and its being told hears of it once. */
static void test_watch_within(void **state)
{
	struct scene *scene = *state;
	struct store_watch *other;

	assert_int_equal(
		store_watch(scene->store, "", scene->first, on_change, on_lost, scene, &other), 0);
	scene->within = within_watch;
	put(scene, "a", "1");
	check_told(scene, "seen @1 a=1@1\nseen @1 a=1@1\nseen @2 b=2@2\nwithin\n@1\n"
			  "seen @2 b=2@2\n@2\n");
	put(scene, "c", "3");
	check_told(scene, "seen @3 c=3@3\nseen @3 c=3@3\n@3\n");
	store_watch_free(other);
}

static void within_put(struct scene *scene)
{
	put(scene, "b", "2");
}

/* A watcher that changes the store while it is told the past hears of that too, in order. */
static void test_put_within_replay(void **state)
{
	struct scene *scene = *state;

	put(scene, "a", "1");
	put(scene, "a", "2");
	scene->told[0] = '\0';
	scene->within = within_put;
	watch(scene, "", 0);
	check_told(scene, "seen @1 a=1@1\nseen @2 a=2@2\nseen @3 b=2@3\n@3\n");
}

/* ---- the past has an end ---- */

static void put_many(struct scene *scene, unsigned n, size_t len)
{
	_cleanup_free_ char *value = calloc(1, len);
	static size_t ignored; /* the answer may come later */

	while (n-- > 0) {
		struct store_op op = { "k", value, len };

		assert_int_equal(store_txn(scene->store, NULL, 0, &op, 1, count_answer, &ignored),
				 0);
	}
}

static void count_change(uint64_t revision, const struct store_entry *changes, size_t n_changes,
			 void *userdata)
{
	uint64_t *last = userdata;

	assert_int_equal(revision, *last + 1);
	*last = revision;
}

static void fail_lost(void *userdata)
{
	fail_msg("lost");
}

static void test_trimmed_by_number(void **state)
{
	struct scene *scene = *state;
	uint64_t last = scene->first + 3;

	put_many(scene, 10000, 1);
	assert_int_equal(store_oldest(scene->store), scene->first);
	put_many(scene, 3, 1);
	assert_int_equal(store_oldest(scene->store), scene->first + 3);
	assert_int_equal(store_revision(scene->store), scene->first + 10003);
	watch(scene, "", 2);
	check_told(scene, "lost\n");
	store_watch_free(scene->watch);
	assert_int_equal(
		store_watch(scene->store, "", last, count_change, fail_lost, &last, &scene->watch),
		0);
	assert_int_equal(last, store_revision(scene->store));
}

static void test_trimmed_by_bytes(void **state)
{
	struct scene *scene = *state;
	uint64_t last;

	put_many(scene, 70, STORE_MAX_VALUE);
	last = store_oldest(scene->store);
	assert_in_range(store_revision(scene->store) - last, 60, 64);
	assert_int_equal(
		store_watch(scene->store, "", last, count_change, fail_lost, &last, &scene->watch),
		0);
	assert_int_equal(last, store_revision(scene->store));
}

static void within_put_many(struct scene *scene)
{
	put_many(scene, 10001, 1);
}

/* What a watcher has still to be told is gone before it comes to it. */
static void test_lost_within_replay(void **state)
{
	struct scene *scene = *state;

	put(scene, "a", "1");
	put(scene, "a", "2");
	put(scene, "a", "3");
	scene->told[0] = '\0';
	scene->within = within_put_many;
	watch(scene, "", 0);
	check_told(scene, "seen @1 a=1@1\nlost\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(new),
		TEST(get_and_list),
		TEST(conditions),
		TEST(delete),
		TEST(transaction),
		TEST(keys),
		TEST(sizes),
		TEST(large_list),
		TEST(watch),
		TEST(unknown_revisions),
		TEST(put_within),
		TEST(free_within),
		TEST(watch_within),
		TEST(put_within_replay),
		TEST(trimmed_by_number),
		TEST(trimmed_by_bytes),
		TEST(lost_within_replay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
