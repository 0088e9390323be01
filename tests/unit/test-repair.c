#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/kernel/repair.h"
#include "common/log.h"

static const struct kernel_changes none, some = { .links_changed = 1 };
static char lines[2000];

static void collect_line(void *userdata, int level, const char *text)
{
	if (level <= LOG_WARNING)
		snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines), "%s\n", text);
}

static int setup(void **state)
{
	lines[0] = '\0';
	log_set_sink(collect_line, NULL);
	return 0;
}

static int teardown(void **state)
{
	log_set_sink(NULL, NULL);
	return 0;
}

static void test_told_once(void **state)
{
	struct repair repair = { 0 };

	assert_true(repair_note(&repair, "a"));
	assert_false(repair_note(&repair, "b"));
	assert_false(repair_note(&repair, "a"));
	repair_begin(&repair, true);
	repair_succeeded(&repair, &some, false);
	assert_string_equal(lines, "Put right what others changed: a; b\n");
	repair_begin(&repair, false);
	repair_succeeded(&repair, &some, false);
	assert_string_equal(lines, "Put right what others changed: a; b\n");
	assert_true(repair_note(&repair, "c"));
	repair_clear(&repair);
}

static void test_echo(void **state)
{
	struct repair repair = { 0 };

	assert_true(repair_note(&repair, "a"));
	repair_begin(&repair, true);
	repair_succeeded(&repair, &none, false);
	assert_string_equal(lines, "");
	assert_null(repair.news);
}

/* A new map's apply changes much, and none of that is others' doing: the one for the news tells. */
static void test_map_comes_first(void **state)
{
	struct repair repair = { 0 };

	assert_true(repair_note(&repair, "a"));
	repair_begin(&repair, false);
	repair_succeeded(&repair, &some, false);
	assert_string_equal(lines, "");
	/* It may have seen the kernel as it was before this: another is asked for. */
	assert_true(repair_note(&repair, "a"));
	assert_false(repair_note(&repair, "a"));
	repair_begin(&repair, true);
	repair_succeeded(&repair, &none, false);
	assert_string_equal(lines, "");
}

/* What an apply itself comes across is never an echo, and needs no other. */
static void test_found_by_an_apply(void **state)
{
	struct repair repair = { 0 };

	repair_begin(&repair, false);
	assert_false(repair_note(&repair, "a"));
	repair_succeeded(&repair, &some, false);
	assert_string_equal(lines, "Put right what others changed: a\n");
	assert_true(repair_note(&repair, "b"));
	repair_clear(&repair);
}

/* It is told along with the reason, once; success after that is success, and no repair. */
static void test_failure(void **state)
{
	struct repair repair = { 0 };

	assert_true(repair_note(&repair, "a"));
	repair_begin(&repair, true);
	repair_failed(&repair, true);
	assert_string_equal(lines, "It may come of this: a\n");
	/* Attempts have their own time now: news need one at once. */
	assert_true(repair_note(&repair, "b"));
	repair_begin(&repair, true);
	repair_failed(&repair, false);
	assert_true(repair_note(&repair, "c"));
	repair_begin(&repair, true);
	repair_succeeded(&repair, &some, true);
	assert_string_equal(lines, "It may come of this: a\n");
	assert_null(repair.news);
}

static void test_much_news(void **state)
{
	struct repair repair = { 0 };
	char what[16];

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(what, sizeof(what), "<%u>", i);
		repair_note(&repair, what);
	}
	assert_in_range(strlen(repair.news), 400, 600);
	repair_clear(&repair);
}

#define REPAIR_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		REPAIR_TEST(test_told_once),	   REPAIR_TEST(test_echo),
		REPAIR_TEST(test_map_comes_first), REPAIR_TEST(test_found_by_an_apply),
		REPAIR_TEST(test_failure),	   REPAIR_TEST(test_much_news),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
