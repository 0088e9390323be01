/*
 * A power cut is not a killed process: what was written is lost unless it was synced, and what was
 * on its way gets there in part and in any order. All that the store writes is recorded; from the
 * record the files are made that may be left at some point in time, and looked at: what was
 * acknowledged by then has to be there, and nothing by halves.
 *
 * POWER_CUTS=N: so many; else 400. POWER_SEED=N: as another run, which printed N.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "common/text.h"
#include "coord/store/sqlite.h"
#include "tests/unit/scratch.h"
#include "tests/unit/shim-vfs.h"

#define N_TRANSACTIONS 200
#define MAX_PADDING    60000

static char *folder, *db_path;
/* When each was acknowledged; [0]: the store was open. */
static size_t acknowledged[N_TRANSACTIONS + 1];

static struct store *open_store(unsigned flags, const char *where)
{
	struct store *store = NULL;
	char *error = NULL;

	if (store_sqlite_open(db_path, flags, &error, &store) < 0)
		fail_msg("%s: %s", where, error);
	return store;
}

/* ---- what is recorded ---- */

static void on_acknowledged(const struct store_answer *answer, void *userdata)
{
	if (answer->status < 0)
		fail_msg("%s", answer->text);
	*(size_t *)userdata = shim_now();
}

/* Transaction i makes both keys "i ...". */
static void put_pair(struct store *store, unsigned i)
{
	static char value[MAX_PADDING + 16];
	size_t len = (size_t)snprintf(value, sizeof(value), "%u", i) + 1;
	struct store_op ops[] = { { "a", value, len }, { "b", value, len } };

	ops[1].len += (size_t)(random() % 4 ? random() % 1000 : random() % MAX_PADDING);
	assert_int_equal(store_txn(store, NULL, 0, ops, 2, on_acknowledged, &acknowledged[i]), 0);
}

/* Longer than the log is let grow: so it is brought into the file on the way, and begins anew. */
static void record(void)
{
	struct store *store;

	shim_install();
	shim_record_begin();
	store = open_store(STORE_CREATE, "recorded");
	acknowledged[0] = shim_now();
	for (unsigned i = 1; i <= N_TRANSACTIONS; i++)
		put_pair(store, i);
	store_free(store);
	shim_remove();
}

/* ---- what is left ---- */

struct pair {
	unsigned a, b;
};

static void on_list(const struct store_answer *answer, void *userdata)
{
	struct pair *pair = userdata;

	if (answer->status < 0)
		fail_msg("%s", answer->text);
	for (size_t i = 0; i < answer->n_entries; i++) {
		unsigned number = (unsigned)strtoul(answer->entries[i].value, NULL, 10);

		*(answer->entries[i].key[0] == 'a' ? &pair->a : &pair->b) = number;
	}
}

static void on_change(uint64_t revision, const struct store_entry *changes, size_t n_changes,
		      void *userdata)
{
	unsigned *number = userdata;

	assert_int_equal(n_changes, 2);
	assert_int_equal(strtoul(changes[0].value, NULL, 10), ++*number);
}

static void on_lost(void *userdata)
{
	fail_msg("the log does not go back as far as it says");
}

static void check(unsigned last, const char *where)
{
	struct store *store = open_store(last > 0 ? 0 : STORE_CREATE, where);
	struct pair pair = { 0 };
	struct store_watch *watch;
	unsigned number = 0;

	assert_int_equal(store_list(store, "", NULL, 10, on_list, &pair), 0);
	if (pair.a != pair.b)
		fail_msg("%s: half of transaction %u or %u", where, pair.a, pair.b);
	if (pair.a < last || pair.a > last + 1)
		fail_msg("%s: %u is there; acknowledged was %u", where, pair.a, last);
	assert_int_equal(
		store_watch(store, "", store_oldest(store), on_change, on_lost, &number, &watch),
		0);
	assert_int_equal(number, pair.a);
	store_watch_free(watch);
	store_free(store);
}

static void cut(size_t now, enum shim_loss loss)
{
	static const char *const names[] = { "all", "nothing", "some" };
	_cleanup_free_ char *where = text_printf("operation %zu, %s lost", now, names[loss]);
	unsigned last = 0;

	while (last < N_TRANSACTIONS && acknowledged[last + 1] <= now)
		last++;
	scratch_empty(folder);
	shim_make_files(folder, now, loss);
	check(last, where);
}

static unsigned setting(const char *name, unsigned fallback)
{
	const char *text = getenv(name);

	return text ? (unsigned)strtoul(text, NULL, 10) : fallback;
}

static void test_power(void **state)
{
	unsigned n = setting("POWER_CUTS", 400), seed = setting("POWER_SEED", (unsigned)time(NULL));

	srandom(seed);
	folder = scratch_new();
	db_path = text_printf("%s/store.db", folder);
	record();
	print_message("%u power cuts, POWER_SEED=%u, among %zu operations\n", n, seed, shim_now());
	for (unsigned i = 0; i < n; i++)
		cut((size_t)random() % (shim_now() + 1), (enum shim_loss)(i % N_SHIM_LOSSES));
	/* While the store is made, at any time; and the moments of truth, the answers. */
	for (size_t i = 0; i <= acknowledged[0]; i++)
		for (int loss = 0; loss < N_SHIM_LOSSES; loss++)
			cut(i, (enum shim_loss)loss);
	for (unsigned i = 0; i <= N_TRANSACTIONS; i++)
		cut(acknowledged[i], SHIM_LOSE_ALL);
	shim_record_end();
	folder = scratch_remove(folder);
	free(db_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_power) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
