#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cli/cli.h"
#include "common/cli/format.h"
#include "common/cli/style.h"
#include "common/cli/table.h"

static void test_width(void **state)
{
	static const struct {
		const char *text;
		size_t width;
	} cases[] = {
		{ "", 0 },
		{ "abc", 3 },
		{ "\xc3\xa4", 1 },		       /* ä */
		{ "a\xcc\x88", 1 },		       /* a and a combining diaeresis */
		{ "\xe9\x9b\xaa", 2 },		       /* 雪 */
		{ "\xea\xb9\x80", 2 },		       /* 김 */
		{ "\xf0\x9f\x9a\x80", 2 },	       /* rocket */
		{ "\xe2\x9d\xa4\xef\xb8\x8f", 1 },     /* heart and a variation selector */
		{ "\xd0\x96\xe2\x80\x94\xce\xa9", 3 }, /* Cyrillic, dash, Greek */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(cli_text_width(cases[i].text), cases[i].width);
}

static void test_format(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} bytes[] = {
		{ 0, "0 B" },	      { 999, "999 B" },	     { 1000, "1.0 kB" },
		{ 1999, "1.9 kB" },   { 9999, "9.9 kB" },    { 10000, "10 kB" },
		{ 999999, "999 kB" }, { 1000000, "1.0 MB" }, { UINT64_MAX, "18 EB" },
	};
	static const struct {
		uint64_t s;
		const char *text;
	} spans[] = {
		{ 0, "0 s" },
		{ 59, "59 s" },
		{ 60, "1 min" },
		{ 3599, "59 min" },
		{ 3600, "1 h" },
		{ 7500, "2 h 5 min" },
		{ 86400, "1 d" },
		{ 90000, "1 d 1 h" },
		{ 7 * 86400 + 3600, "7 d" },
		{ UINT64_MAX / 1000000, "213503982 d" },
	};
	char buf[CLI_FORMAT_LEN];

	for (size_t i = 0; i < ARRAY_SIZE(bytes); i++)
		assert_string_equal(cli_format_bytes(bytes[i].bytes, buf), bytes[i].text);
	for (size_t i = 0; i < ARRAY_SIZE(spans); i++)
		assert_string_equal(cli_format_span(spans[i].s * 1000000, buf), spans[i].text);
	assert_string_equal(cli_format_relative(5000000, 5999999, buf), "now");
	assert_string_equal(cli_format_relative(5000000, 65000000, buf), "1 min ago");
	assert_string_equal(cli_format_relative(65000000, 5000000, buf), "in 1 min");
	assert_string_equal(cli_format_relative(UINT64_MAX, 0, buf), "in 213503982 d");
}

static void test_table(void **state)
{
	static const struct cli_column columns[] = { { "NAME" }, { "SIZE", true }, { "NOTE" } };
	_cleanup_(cli_table_freep) struct cli_table *table = NULL;
	_cleanup_free_ char *text = NULL;
	struct cli_out out = { 0 };
	size_t len;

	assert_int_equal(cli_table_new(columns, ARRAY_SIZE(columns), &table), 0);
	cli_table_add(table, CLI_PLAIN, "%s", "\xe9\x9b\xaa"); /* as wide as two */
	cli_table_add(table, CLI_PLAIN, "%d", 7);
	cli_table_add(table, CLI_PLAIN, "%s", "");
	cli_table_add(table, CLI_PLAIN, "%s", "a\033[1m\nb");
	cli_table_add(table, CLI_PLAIN, "%d", 12345);
	cli_table_add(table, CLI_PLAIN, "x");
	cli_table_add(table, CLI_PLAIN, "a row that is not full");

	out.file = open_memstream(&text, &len);
	assert_non_null(out.file);
	assert_int_equal(cli_table_print(table, &out), 0);
	fclose(out.file);
	/* No blanks at the end of a line, and no row that is not full. */
	assert_string_equal(text, "NAME                     SIZE  NOTE\n"
				  "\xe9\x9b\xaa                          7\n"
				  "a?[1m?b                 12345  x\n");
}

/* ---- command lines ---- */

struct seen {
	const char *verb;
	int argc;
	const char *first;
	unsigned options;
	const char *value;
};

static int run_list(int argc, char **argv, void *userdata)
{
	struct seen *seen = userdata;

	seen->verb = "list";
	seen->argc = argc;
	return CLI_OK;
}

static int run_key_show(int argc, char **argv, void *userdata)
{
	struct seen *seen = userdata;

	seen->verb = "key show";
	seen->argc = argc;
	seen->first = argc > 0 ? argv[0] : NULL;
	return CLI_NO;
}

static int take_option(int id, const char *arg, void *userdata)
{
	struct seen *seen = userdata;

	seen->options |= 1u << id;
	if (arg)
		seen->value = arg;
	return CLI_OK;
}

static const struct cli_option common_options[] = { { "json", NULL, "", 1 },
						    { "socket", "PATH", "", 2 } };
static const struct cli_option list_options[] = { { "all", NULL, "", 3 } };
static const struct cli_verb verbs[] = {
	{ .name = "list",
	  .summary = "",
	  .options = list_options,
	  .n_options = ARRAY_SIZE(list_options),
	  .run = run_list },
	{ .name = "key show",
	  .args = "NAME",
	  .summary = "",
	  .min_args = 1,
	  .max_args = 1,
	  .run = run_key_show },
};
static const struct cli_program program = {
	.name = "test",
	.summary = "",
	.version = "1",
	.verbs = verbs,
	.n_verbs = ARRAY_SIZE(verbs),
	.options = common_options,
	.n_options = ARRAY_SIZE(common_options),
	.option = take_option,
};

static const struct {
	const char *argv[8];
	int status;
	const char *verb; /* NULL: none was run */
	int argc;
	unsigned options; /* bits of ids */
} run_cases[] = {
	{ { "list" }, CLI_OK, "list", 0, 0 },
	{ { "--json", "list" }, CLI_OK, "list", 0, 1 << 1 },
	{ { "list", "--json" }, CLI_OK, "list", 0, 1 << 1 },
	{ { "--socket", "/x", "list", "--all" }, CLI_OK, "list", 0, 1 << 2 | 1 << 3 },
	{ { "list", "--socket=/x" }, CLI_OK, "list", 0, 1 << 2 },
	{ { "key", "show", "a" }, CLI_NO, "key show", 1, 0 },
	{ { "key", "show", "--json", "a" }, CLI_NO, "key show", 1, 1 << 1 },
	{ { "key", "show", "a", "--json" }, CLI_NO, "key show", 1, 1 << 1 },
	{ { "key", "show", "--", "--json" }, CLI_NO, "key show", 1, 0 },
	{ { "--help" }, CLI_OK, NULL, 0, 0 },
	{ { "-h", "list" }, CLI_OK, NULL, 0, 0 },
	{ { "key", "show", "--help" }, CLI_OK, NULL, 0, 0 },
	{ { "--version" }, CLI_OK, NULL, 0, 0 },
	{ { "--version", "list" }, CLI_OK, NULL, 0, 0 },
	{ { "list", "--version" }, CLI_USAGE, NULL, 0, 0 },
	{ { NULL }, CLI_USAGE, NULL, 0, 0 },
	{ { "lis" }, CLI_USAGE, NULL, 0, 0 },
	{ { "listing" }, CLI_USAGE, NULL, 0, 0 },
	{ { "key" }, CLI_USAGE, NULL, 0, 0 },
	{ { "key", "list" }, CLI_USAGE, NULL, 0, 0 },
	{ { "key", "show" }, CLI_USAGE, NULL, 0, 0 },
	{ { "key", "show", "a", "b" }, CLI_USAGE, NULL, 0, 0 },
	{ { "list", "a" }, CLI_USAGE, NULL, 0, 0 },
	{ { "list", "--nonsense" }, CLI_USAGE, NULL, 0, 0 },
	{ { "list", "--socket" }, CLI_USAGE, NULL, 0, 0 },
	{ { "list", "--json=1" }, CLI_USAGE, NULL, 0, 0 },
	/* An option of one verb is none of another, nor of the program. */
	{ { "key", "show", "a", "--all" }, CLI_USAGE, NULL, 0, 0 },
	{ { "--all", "list" }, CLI_USAGE, NULL, 0, 0 },
};

static void test_run(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(run_cases); i++) {
		char *argv[10] = { (char *)"test" };
		struct seen seen = { 0 };
		int argc = 1;

		for (; argc < 9 && run_cases[i].argv[argc - 1]; argc++)
			argv[argc] = (char *)run_cases[i].argv[argc - 1];
		assert_int_equal(cli_run(&program, argc, argv, &seen), run_cases[i].status);
		assert_int_equal(!!seen.verb, !!run_cases[i].verb);
		if (!seen.verb)
			continue;
		assert_string_equal(seen.verb, run_cases[i].verb);
		assert_int_equal(seen.argc, run_cases[i].argc);
		assert_int_equal(seen.options, run_cases[i].options);
		if (seen.options & 1 << 2)
			assert_string_equal(seen.value, "/x");
	}
}

/* On a terminal, nothing but what is printed; for programs as it is. */
static void test_json(void **state)
{
	static const char *const wanted[] = { "[\"a\x7f\xc3\xa4\x7f\", \"\\u001B\"]",
					      "[\"a\\u007f\\u00E4\\u007f\", \"\\u001B\"]" };
	json_t *json = json_pack("[s, s]", "a\x7f\xc3\xa4\x7f", "\033");

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		char *text = NULL;
		size_t len;
		struct cli_out out = { .file = open_memstream(&text, &len), .terminal = i == 1 };

		assert_int_equal(cli_show_json(&out, json, 0), 0);
		fclose(out.file);
		assert_string_equal(text, wanted[i]);
		free(text);
	}
	json_decref(json);
}

static void test_json_that_cannot_be_written(void **state)
{
	json_t *json = json_array();

	for (unsigned i = 0; i < 10000; i++)
		json_array_append_new(json, json_integer(i));
	for (unsigned terminal = 0; terminal < 2; terminal++) {
		struct cli_out out = { .file = fopen("/dev/full", "we"), .terminal = terminal };

		assert_int_equal(cli_show_json(&out, json, 0), -EIO);
		fclose(out.file);
	}
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_width),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_that_cannot_be_written),
		cmocka_unit_test(test_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
