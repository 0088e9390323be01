#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/conf.h"
#include "common/text.h"

struct settings {
	bool flag;
	uint64_t number;
	uint64_t pause;
	char *text;
	char *path;
	char **words;
};

static const struct conf_field fields[] = {
	{ "Flag", conf_read_bool, offsetof(struct settings, flag), .expected = "yes or no" },
	{ "Number", conf_read_u64, offsetof(struct settings, number), 10, 20, "10 to 20" },
	{ "Pause", conf_read_duration, offsetof(struct settings, pause), 1000000, 60000000,
	  "1s to 60s" },
	{ "Text", conf_read_string, offsetof(struct settings, text), .expected = "a text" },
	{ "Path", conf_read_path, offsetof(struct settings, path), .expected = "a path" },
	{ "Words", conf_read_strv, offsetof(struct settings, words), .expected = "words" },
};

static int parse(const char *text, struct settings *settings, char **reterr_text)
{
	return conf_parse(text, strlen(text), "x.conf", fields, ARRAY_SIZE(fields), settings,
			  reterr_text);
}

static void settings_done(struct settings *settings)
{
	free(settings->text);
	free(settings->path);
	conf_strv_free(settings->words);
}

static void test_reads_all_kinds(void **state)
{
	_cleanup_(settings_done) struct settings s = { 0 };
	char *error = NULL;

	assert_int_equal(parse("# comment\n\n  Flag = yes \r\nNumber=20\nPause=5s\n"
			       "\tText=a = b # c\nPath=/a b\nWords=one\t two  three \n#",
			       &s, &error),
			 0);
	assert_null(error);
	assert_true(s.flag);
	assert_int_equal(s.number, 20);
	assert_int_equal(s.pause, 5000000);
	assert_string_equal(s.text, "a = b # c");
	assert_string_equal(s.path, "/a b");
	assert_string_equal(s.words[0], "one");
	assert_string_equal(s.words[1], "two");
	assert_string_equal(s.words[2], "three");
	assert_null(s.words[3]);
}

static void test_absent_keeps_the_default(void **state)
{
	_cleanup_(settings_done) struct settings s = { .number = 7, .text = strdup("old") };
	char *error = NULL;

	assert_int_equal(parse("Words=\n", &s, &error), 0);
	assert_int_equal(s.number, 7);
	assert_string_equal(s.text, "old");
	assert_non_null(s.words);
	assert_null(s.words[0]);
}

static void test_replaces_the_default(void **state)
{
	_cleanup_(settings_done) struct settings s = { .text = strdup("old") };
	char *error = NULL;

	assert_int_equal(parse("Text=new", &s, &error), 0);
	assert_string_equal(s.text, "new");
}

static const struct {
	const char *text;
	const char *error; /* its beginning */
} refusals[] = {
	{ "Flag", "x.conf:1: \"Flag\" is no setting; expected Key=value" },
	{ "\n\n[Section]\n", "x.conf:3: \"[Section]\" is no setting" },
	{ "flag=yes", "x.conf:1: flag: unknown key; expected one of Flag, Number, Pause, Text, "
		      "Path, Words" },
	{ "=yes", "x.conf:1: : unknown key" },
	{ "\nX\x1b[2J=1", "x.conf:2: X?[2J: unknown key" },
	{ "Flag=yes\nText=a\nFlag=yes", "x.conf:3: Flag: is set in line 1 already" },
	{ "Flag=maybe", "x.conf:1: Flag: \"maybe\" does not fit; expected yes or no" },
	{ "Flag=", "x.conf:1: Flag: \"\" does not fit" },
	{ "Number=9", "x.conf:1: Number: \"9\" does not fit; expected 10 to 20" },
	{ "Number=21", "x.conf:1: Number: \"21\" does not fit" },
	{ "Number=-11", "x.conf:1: Number: \"-11\" does not fit" },
	{ "Number=0x10", "x.conf:1: Number: \"0x10\" does not fit" },
	{ "Number=99999999999999999999999", "x.conf:1: Number: " },
	{ "Pause=999ms", "x.conf:1: Pause: \"999ms\" does not fit; expected 1s to 60s" },
	{ "Pause=2m", "x.conf:1: Pause: " },
	{ "Pause=soon", "x.conf:1: Pause: " },
	{ "Text=", "x.conf:1: Text: \"\" does not fit; expected a text" },
	{ "Text=a\x01", "x.conf:1: Text: \"a?\" does not fit" },
	{ "Text=\xff", "x.conf:1: Text: \"?\" does not fit" },
	{ "Path=a/b", "x.conf:1: Path: \"a/b\" does not fit; expected a path" },
	{ "Words=a b\x7f", "x.conf:1: Words: " },
	{ "Words=a \xc3", "x.conf:1: Words: " },
};

static void test_refuses(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		_cleanup_(settings_done) struct settings s = { 0 };
		_cleanup_free_ char *error = NULL;
		int r = parse(refusals[i].text, &s, &error);

		if (r != -EINVAL || !error ||
		    strncmp(error, refusals[i].error, strlen(refusals[i].error)) != 0)
			fail_msg("\"%s\": %d, \"%s\", expected \"%s\"", refusals[i].text, r,
				 error ? error : "-", refusals[i].error);
		assert_false(text_has_control(error));
	}
}

static void test_loads_files_only(void **state)
{
	_cleanup_free_ char *error = NULL;
	struct settings s = { 0 };

	assert_int_equal(conf_load("/dev/null", 0, fields, ARRAY_SIZE(fields), &s, &error),
			 -EINVAL);
	assert_string_equal(error, "/dev/null: cannot be read: is no regular file");
}

static void test_refuses_nul_and_size(void **state)
{
	_cleanup_free_ char *big = malloc(CONF_MAX_BYTES + 1), *error = NULL, *error2 = NULL;
	struct settings s = { 0 };

	assert_int_equal(
		conf_parse("Text=a\0b", 8, "x.conf", fields, ARRAY_SIZE(fields), &s, &error),
		-EINVAL);
	assert_string_equal(error, "x.conf: the file holds a NUL byte; expected text");
	memset(big, '#', CONF_MAX_BYTES + 1);
	assert_int_equal(
		conf_parse(big, CONF_MAX_BYTES, "x.conf", fields, ARRAY_SIZE(fields), &s, &error2),
		0);
	assert_int_equal(conf_parse(big, CONF_MAX_BYTES + 1, "x.conf", fields, ARRAY_SIZE(fields),
				    &s, &error2),
			 -EFBIG);
	assert_non_null(strstr(error2, "64 KiB at most"));
}

static void test_load(void **state)
{
	char dir[] = "/tmp/test-conf-XXXXXX";
	_cleanup_free_ char *path = NULL, *error = NULL, *error2 = NULL;
	_cleanup_(settings_done) struct settings s = { 0 };
	FILE *f;

	assert_non_null(mkdtemp(dir));
	path = text_printf("%s/x.conf", dir);
	assert_int_equal(conf_load(path, getuid(), fields, ARRAY_SIZE(fields), &s, &error),
			 -ENOENT);
	assert_null(error);
	f = fopen(path, "we");
	fputs("Number=12\n", f);
	fclose(f);
	assert_int_equal(conf_load(path, getuid(), fields, ARRAY_SIZE(fields), &s, &error), 0);
	assert_int_equal(s.number, 12);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_true(conf_load(path, getuid(), fields, ARRAY_SIZE(fields), &s, &error2) < 0);
	assert_non_null(strstr(error2, "x.conf: cannot be read: "));
	rmdir(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_all_kinds),
		cmocka_unit_test(test_absent_keeps_the_default),
		cmocka_unit_test(test_replaces_the_default),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_loads_files_only),
		cmocka_unit_test(test_refuses_nul_and_size),
		cmocka_unit_test(test_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
