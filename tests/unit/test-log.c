#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/text.h"

#define MAX_SEEN 32

/* What the writer or the sink got last. */
static struct {
	unsigned lines;
	int level;
	char *ident, *text;
	char *names[MAX_SEEN], *values[MAX_SEEN];
	size_t n_fields;
} seen;

static void forget(void)
{
	free(seen.ident);
	free(seen.text);
	for (size_t i = 0; i < seen.n_fields; i++) {
		free(seen.names[i]);
		free(seen.values[i]);
	}
	memset(&seen, 0, sizeof(seen));
}

static void remember(const char *ident, int level, const char *text, const struct log_field *fields,
		     size_t n_fields)
{
	unsigned lines = seen.lines + 1;

	forget();
	assert_true(n_fields <= MAX_SEEN);
	seen.lines = lines;
	seen.level = level;
	seen.ident = strdup(ident);
	seen.text = strdup(text);
	for (size_t i = 0; i < n_fields; i++) {
		seen.names[i] = strdup(fields[i].name);
		seen.values[i] = strdup(fields[i].value);
	}
	seen.n_fields = n_fields;
}

static void sink(void *userdata, int level, const char *text)
{
	remember(userdata, level, text, NULL, 0);
}

static int setup(void **state)
{
	log_open("test");
	log_set_level(LOG_INFO);
	log_set_writer(remember);
	log_set_sink(NULL, NULL);
	log_set_context(NULL, 0);
	return 0;
}

static int teardown(void **state)
{
	log_set_context(NULL, 0);
	forget();
	return 0;
}

static const char *field(const char *name)
{
	for (size_t i = 0; i < seen.n_fields; i++)
		if (strcmp(seen.names[i], name) == 0)
			return seen.values[i];
	return NULL;
}

static void test_levels(void **state)
{
	log_debug("too deep");
	assert_int_equal(seen.lines, 0);
	log_info("an %s", "info");
	assert_int_equal(seen.lines, 1);
	assert_int_equal(seen.level, LOG_INFO);
	assert_string_equal(seen.text, "an info");
	assert_string_equal(seen.ident, "test");
	log_set_level(LOG_DEBUG);
	log_debug("now");
	assert_int_equal(seen.lines, 2);
	log_set_level(LOG_ERR);
	log_warning("not any more");
	assert_int_equal(seen.lines, 2);
	log_error("still");
	assert_int_equal(seen.level, LOG_ERR);
}

static void test_errno(void **state)
{
	assert_int_equal(log_error_errno(-ENOENT, "Could not open %s", "x"), -ENOENT);
	assert_string_equal(seen.text, "Could not open x: No such file or directory");
	assert_int_equal(log_with(LOG_INFO, 0, NULL, 0, "plain"), 0);
	assert_string_equal(seen.text, "plain");
	/* The error passes through when the line is dropped, too. */
	assert_int_equal(log_debug_errno(-EIO, "dropped"), -EIO);
	assert_string_equal(seen.text, "plain");
}

/* A name from outside cannot forge a line, a field or a colour. */
static void test_controls_are_escaped(void **state)
{
	log_with(LOG_INFO, 0, LOG_FIELDS({ "USER", "a\nRULE=x" }), "user %s",
		 "a\nError: forged \033[31m");
	assert_string_equal(seen.text, "user a?Error: forged ?[31m");
	assert_string_equal(field("USER"), "a?RULE=x");
}

static void test_fields(void **state)
{
	log_with(LOG_INFO, 0, LOG_FIELDS({ "PEER", "n1" }, { "USER", NULL }, { "RULE", "r" }), "x");
	assert_int_equal(seen.n_fields, 2);
	assert_string_equal(field("PEER"), "n1");
	assert_string_equal(field("RULE"), "r");
}

static void test_context(void **state)
{
	char value[] = "before";
	struct log_field many[10];

	log_set_context((const struct log_field[]){ { "SESSION", value }, { "NONE", NULL } }, 2);
	strcpy(value, "after!");
	log_with(LOG_INFO, 0, LOG_FIELDS({ "PEER", "n1" }), "x");
	assert_int_equal(seen.n_fields, 2);
	assert_string_equal(field("SESSION"), "before");
	assert_string_equal(field("PEER"), "n1");

	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct log_field){ "MANY", "m" };
	log_set_context(many, ARRAY_SIZE(many));
	log_info("x");
	assert_int_equal(seen.n_fields, 8);
	log_set_context(NULL, 0);
	log_info("x");
	assert_int_equal(seen.n_fields, 0);
}

static void test_many_fields(void **state)
{
	struct log_field many[100];

	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct log_field){ "MANY", "m" };
	log_with(LOG_INFO, 0, many, ARRAY_SIZE(many), "x");
	assert_in_range(seen.n_fields, 16, MAX_SEEN);
}

static void test_long_text_is_cut(void **state)
{
	_cleanup_free_ char *big = malloc(100001);

	memset(big, 'x', 100000);
	big[100000] = '\0';
	log_with(LOG_INFO, 0, LOG_FIELDS({ "BIG", big }), "%s", big);
	assert_int_equal(strlen(seen.text), 8192);
	assert_int_equal(strlen(field("BIG")), 4096);
}

static void test_sink(void **state)
{
	char name[] = "sink";

	log_set_sink(sink, name);
	log_warning("a\tb");
	assert_string_equal(seen.ident, "sink");
	assert_int_equal(seen.level, LOG_WARNING);
	assert_string_equal(seen.text, "a?b");
	log_debug("dropped");
	assert_int_equal(seen.lines, 1);
	log_set_sink(NULL, NULL);
	log_warning("back");
	assert_string_equal(seen.ident, "test");
}

#define WITH_WRITER(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_WRITER(test_levels),
		WITH_WRITER(test_errno),
		WITH_WRITER(test_controls_are_escaped),
		WITH_WRITER(test_fields),
		WITH_WRITER(test_context),
		WITH_WRITER(test_many_fields),
		WITH_WRITER(test_long_text_is_cut),
		WITH_WRITER(test_sink),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
