#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/text.h"
#include "common/text_stream.h"

static void test_utf8(void **state)
{
	static const struct {
		const char *text;
		bool valid;
	} cases[] = {
		{ "", true },
		{ "plain", true },
		{ "\xc3\xa9", true },
		{ "\xe2\x82\xac", true },
		{ "\xf0\x9f\x98\x80", true },
		{ "\xf4\x8f\xbf\xbf", true },  /* U+10FFFF */
		{ "\xf4\x90\x80\x80", false }, /* beyond */
		{ "\xf5\x80\x80\x80", false },
		{ "\xed\x9f\xbf", true },
		{ "\xed\xa0\x80", false }, /* surrogates */
		{ "\xed\xbf\xbf", false },
		{ "\xee\x80\x80", true },
		{ "\xc0\x80", false }, /* overlong */
		{ "\xc1\xbf", false },
		{ "\xc2\x80", true },
		{ "\xe0\x9f\xbf", false },
		{ "\xe0\xa0\x80", true },
		{ "\xf0\x8f\xbf\xbf", false },
		{ "\xf0\x90\x80\x80", true },
		{ "\x80", false },
		{ "a\xbf", false },
		{ "\xff", false },
		{ "\xfe", false },
		{ "\xc3", false }, /* cut short */
		{ "\xe2\x82", false },
		{ "\xf0\x9f\x98", false },
		{ "\xc3z", false },
		{ "\xe2\x82z", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		print_message("case %zu\n", i);
		assert_int_equal(text_is_utf8(cases[i].text), cases[i].valid);
	}
}

static void test_control(void **state)
{
	static const struct {
		const char *text;
		bool control;
	} cases[] = {
		{ "", false },
		{ "plain ~", false },
		{ "a\nb", true },
		{ "a\tb", true },
		{ "\033[31m", true },
		{ "\x01", true },
		{ "\x1f", true },
		{ "\x7f", true },
		{ "\xc2\x80", true }, /* C1 */
		{ "\xc2\x9b", true },
		{ "\xc2\x9f", true },
		{ "\xc2\xa0", false },
		{ "\xe2\x80\xa7", false },
		{ "\xe2\x80\xa8", true }, /* line and paragraph separator */
		{ "\xe2\x80\xa9", true },
		{ "\xe2\x80\xaa", true }, /* bidirectional overrides */
		{ "\xe2\x80\xae", true },
		{ "\xe2\x80\xaf", false },
		{ "\xe2\x81\xa5", false },
		{ "\xe2\x81\xa6", true },
		{ "\xe2\x81\xa9", true },
		{ "\xe2\x81\xaa", false },
		{ "\xff", false }, /* invalid, but no control */
		{ "\xff\n", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		print_message("case %zu\n", i);
		assert_int_equal(text_has_control(cases[i].text), cases[i].control);
	}
}

static void test_sanitize(void **state)
{
	static const struct {
		const char *text;
		size_t max;
		const char *clean;
	} cases[] = {
		{ "plain", 100, "plain" },
		{ "plain", 5, "plain" },
		{ "plain", 4, "plai" },
		{ "plain", 0, "" },
		{ "", 10, "" },
		{ "a\nb\rc", 10, "a?b?c" },
		{ "\033]0;title\a", 20, "?]0;title?" },
		{ "\302\23331m", 20, "?31m" },
		{ "\xe2\x80\xaex", 20, "?x" },
		{ "\xff\xfe", 20, "??" },
		{ "\xc3", 20, "?" },
		{ "\xe2\x82", 20, "??" },
		{ "\xe2\x82\xac", 3, "\xe2\x82\xac" },
		/* Cut at a character, not inside one. */
		{ "a\xe2\x82\xac", 3, "a" },
		{ "a\xe2\x82\xac", 4, "a\xe2\x82\xac" },
		{ "\xf0\x9f\x98\x80", 3, "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *clean = text_sanitize(cases[i].text, cases[i].max);

		print_message("case %zu\n", i);
		assert_string_equal(clean, cases[i].clean);
		assert_true(text_is_utf8(clean));
		assert_false(text_has_control(clean));
	}
}

#define A10 "aaaaaaaaaa"
#define A60 A10 A10 A10 A10 A10 A10

static void test_labels(void **state)
{
	static const struct {
		const char *text;
		bool label, domain;
	} cases[] = {
		{ "a", true, true },
		{ "server-1", true, true },
		{ "1", true, true },
		{ A60 "aaa", true, true },
		{ A60 "aaaa", false, false },
		{ "", false, false },
		{ "-a", false, false },
		{ "a-", false, false },
		{ "-", false, false },
		{ "A", false, false },
		{ "a_b", false, false },
		{ "a b", false, false },
		{ "a\n", false, false },
		{ "\xc3\xa9", false, false },
		{ "a.b", false, true },
		{ "mesh.example", false, true },
		{ "a.b.", false, false },
		{ ".a", false, false },
		{ "a..b", false, false },
		{ ".", false, false },
		{ "a.-b", false, false },
		{ "a." A60 "aaaa", false, false },
		/* 253 and 254 bytes */
		{ A60 "." A60 "." A60 "." A60 ".aaaaaaaaa", false, true },
		{ A60 "." A60 "." A60 "." A60 ".aaaaaaaaaa", false, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		print_message("\"%s\"\n", cases[i].text);
		assert_int_equal(text_is_label(cases[i].text), cases[i].label);
		assert_int_equal(text_is_domain(cases[i].text), cases[i].domain);
	}
}

static void test_parse_u64(void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
		int r;
		uint64_t value;
	} cases[] = {
		{ "0", 0, 0, 0 },
		{ "00", 9, 0, 0 },
		{ "65535", 65535, 0, 65535 },
		{ "65536", 65535, -ERANGE, 0 },
		{ "18446744073709551615", UINT64_MAX, 0, UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX, -ERANGE, 0 },
		{ "99999999999999999999999", UINT64_MAX, -ERANGE, 0 },
		{ "", 9, -EINVAL, 0 },
		{ "-1", 9, -EINVAL, 0 },
		{ "+1", 9, -EINVAL, 0 },
		{ " 1", 9, -EINVAL, 0 },
		{ "1 ", 9, -EINVAL, 0 },
		{ "0x1", 9, -EINVAL, 0 },
		{ "1.0", 9, -EINVAL, 0 },
		{ "\xd9\xa1", 9, -EINVAL, 0 }, /* a digit, elsewhere */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = 4711;

		print_message("\"%s\"\n", cases[i].text);
		assert_int_equal(parse_u64(cases[i].text, cases[i].max, &value), cases[i].r);
		assert_int_equal(value, cases[i].r == 0 ? cases[i].value : 4711);
	}
}

static void test_parse_bool(void **state)
{
	static const struct {
		const char *text;
		int r;
		bool value;
	} cases[] = {
		{ "yes", 0, true },	    { "true", 0, true },     { "on", 0, true },
		{ "1", 0, true },	    { "YES", 0, true },	     { "no", 0, false },
		{ "false", 0, false },	    { "off", 0, false },     { "0", 0, false },
		{ "Off", 0, false },	    { "", -EINVAL, false },  { "y", -EINVAL, false },
		{ "yes ", -EINVAL, false }, { "2", -EINVAL, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (int before = 0; before < 2; before++) {
			bool value = before;

			print_message("\"%s\"\n", cases[i].text);
			assert_int_equal(parse_bool(cases[i].text, &value), cases[i].r);
			assert_int_equal(value, cases[i].r == 0 ? cases[i].value : before);
		}
	}
}

static void test_parse_duration(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t usec;
	} cases[] = {
		{ "90", 0, 90000000 },
		{ "90s", 0, 90000000 },
		{ "0", 0, 0 },
		{ "500ms", 0, 500000 },
		{ "5m", 0, 300000000 },
		{ "2h", 0, 7200000000 },
		{ "1d", 0, 86400000000 },
		{ "213503982d", 0, 213503982ull * 86400000000ull },
		{ "213503983d", -ERANGE, 0 },
		{ "18446744073709551615", -ERANGE, 0 },
		{ "18446744073709551616s", -ERANGE, 0 },
		{ "184467440737095516150s", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "s", -EINVAL, 0 },
		{ "-1s", -EINVAL, 0 },
		{ "1 s", -EINVAL, 0 },
		{ "1.5s", -EINVAL, 0 },
		{ "1w", -EINVAL, 0 },
		{ "1hh", -EINVAL, 0 },
		{ "1h30m", -EINVAL, 0 },
		{ "1M", -EINVAL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t usec = 4711;

		print_message("\"%s\"\n", cases[i].text);
		assert_int_equal(parse_duration(cases[i].text, &usec), cases[i].r);
		assert_int_equal(usec, cases[i].r == 0 ? cases[i].usec : 4711);
	}
}

static void test_parse_size(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t bytes;
	} cases[] = {
		{ "0", 0, 0 },
		{ "4096", 0, 4096 },
		{ "64K", 0, 65536 },
		{ "1M", 0, 1048576 },
		{ "3G", 0, 3221225472 },
		{ "17179869183G", 0, 17179869183ull << 30 },
		{ "17179869184G", -ERANGE, 0 },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "M", -EINVAL, 0 },
		{ "-1M", -EINVAL, 0 },
		{ "1 M", -EINVAL, 0 },
		{ "1m", -EINVAL, 0 },
		{ "1.5M", -EINVAL, 0 },
		{ "1MB", -EINVAL, 0 },
		{ "1T", -EINVAL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t bytes = 4711;

		print_message("\"%s\"\n", cases[i].text);
		assert_int_equal(parse_size(cases[i].text, &bytes), cases[i].r);
		assert_int_equal(bytes, cases[i].r == 0 ? cases[i].bytes : 4711);
	}
}

static void test_parse_rfc3339(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t usec;
	} cases[] = {
		{ "1970-01-01T00:00:00Z", 0, 0 },
		{ "2026-11-22T10:00:00Z", 0, 1795341600000000 },
		{ "2026-11-22t10:00:00z", 0, 1795341600000000 },
		{ "2026-11-22 10:00:00Z", 0, 1795341600000000 },
		{ "2026-11-22T12:00:00+02:00", 0, 1795341600000000 },
		{ "2026-11-22T04:30:00-05:30", 0, 1795341600000000 },
		{ "2026-11-22T10:00:00.5Z", 0, 1795341600500000 },
		{ "2026-11-22T10:00:00.123456789Z", 0, 1795341600123456 },
		{ "2024-02-29T00:00:00Z", 0, 1709164800000000 },
		{ "9999-12-31T23:59:59Z", 0, 253402300799000000 },
		{ "2016-12-31T23:59:60Z", 0, 1483228800000000 }, /* leap second */
		{ "2026-02-29T00:00:00Z", -EINVAL, 0 },
		{ "2026-02-30T00:00:00Z", -EINVAL, 0 },
		{ "2026-02-30T23:59:60Z", -EINVAL, 0 },
		{ "2026-04-31T00:00:00Z", -EINVAL, 0 },
		{ "2026-13-01T00:00:00Z", -EINVAL, 0 },
		{ "2026-00-01T00:00:00Z", -EINVAL, 0 },
		{ "2026-01-00T00:00:00Z", -EINVAL, 0 },
		{ "2026-01-32T00:00:00Z", -EINVAL, 0 },
		{ "2026-01-01T24:00:00Z", -EINVAL, 0 },
		{ "2026-01-01T00:60:00Z", -EINVAL, 0 },
		{ "2026-01-01T00:00:61Z", -EINVAL, 0 },
		{ "2026-01-01T00:00:00", -EINVAL, 0 },
		{ "2026-01-01T00:00:00.Z", -EINVAL, 0 },
		{ "2026-01-01T00:00:00+24:00", -EINVAL, 0 },
		{ "2026-01-01T00:00:00+00:60", -EINVAL, 0 },
		{ "2026-01-01T00:00:00+0000", -EINVAL, 0 },
		{ "2026-01-01T00:00:00ZZ", -EINVAL, 0 },
		{ "2026-01-01T00:00:00Z ", -EINVAL, 0 },
		{ "26-01-01T00:00:00Z", -EINVAL, 0 },
		{ "2026-1-01T00:00:00Z", -EINVAL, 0 },
		{ "2026-01-01", -EINVAL, 0 },
		{ "1969-12-31T23:59:59Z", -EINVAL, 0 },
		{ "1970-01-01T00:00:00+00:01", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t usec = 4711;

		print_message("\"%s\"\n", cases[i].text);
		assert_int_equal(parse_rfc3339(cases[i].text, &usec), cases[i].r);
		assert_int_equal(usec, cases[i].r == 0 ? cases[i].usec : 4711);
	}
}

static void test_format_rfc3339(void **state)
{
	static const char *const texts[] = { "1970-01-01T00:00:00Z", "2026-11-22T10:00:00Z",
					     "2024-02-29T23:59:59Z", "9999-12-31T23:59:59Z" };
	char buf[21];

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		uint64_t usec = 0;

		assert_int_equal(parse_rfc3339(texts[i], &usec), 0);
		assert_string_equal(format_rfc3339(usec + 999999, buf, sizeof(buf)), texts[i]);
	}
	/* No room, and a year that does not fit: empty, not cut. */
	assert_string_equal(format_rfc3339(0, buf, 20), "");
	assert_string_equal(format_rfc3339(UINT64_MAX, buf, sizeof(buf)), "");
}

/* What was printed, however long, and from first to last. */
static void test_stream(void **state)
{
	static const unsigned lengths[] = { 0, 1, 255, 256, 257, 1023, 1024, 1025, 100000 };

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		_cleanup_free_ char *text = NULL;
		struct text_stream stream;

		assert_int_equal(text_stream_open(&stream), 0);
		for (unsigned k = 0; k < lengths[i]; k++)
			fprintf(stream.file, "%u", k % 10);
		text = text_stream_close(&stream);
		assert_non_null(text);
		assert_int_equal(strlen(text), lengths[i]);
		for (unsigned k = 0; k < lengths[i]; k++)
			assert_int_equal(text[k], '0' + k % 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utf8),	       cmocka_unit_test(test_control),
		cmocka_unit_test(test_sanitize),       cmocka_unit_test(test_labels),
		cmocka_unit_test(test_parse_u64),      cmocka_unit_test(test_parse_bool),
		cmocka_unit_test(test_parse_duration), cmocka_unit_test(test_parse_size),
		cmocka_unit_test(test_parse_rfc3339),  cmocka_unit_test(test_format_rfc3339),
		cmocka_unit_test(test_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
