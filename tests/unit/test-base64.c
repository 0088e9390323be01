#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base64.h"
#include "common/cleanup.h"

/* RFC 4648, section 10; the last ones show the two alphabets. */
static const struct {
	const char *data, *standard, *url;
} vectors[] = {
	{ "", "", "" },
	{ "f", "Zg==", "Zg" },
	{ "fo", "Zm8=", "Zm8" },
	{ "foo", "Zm9v", "Zm9v" },
	{ "foob", "Zm9vYg==", "Zm9vYg" },
	{ "fooba", "Zm9vYmE=", "Zm9vYmE" },
	{ "foobar", "Zm9vYmFy", "Zm9vYmFy" },
	{ "\xfb\xff\xbf", "+/+/", "-_-_" },
	{ "\xff\xef", "/+8=", "_-8" },
};

static void test_vectors(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		size_t len = strlen(vectors[i].data);
		char text[16];
		uint8_t data[8];

		assert_string_equal(base64_encode(vectors[i].data, len, text), vectors[i].standard);
		assert_int_equal(strlen(text), BASE64_LEN(len));
		assert_int_equal(base64_decode(text, strlen(text), data, len), 0);
		assert_memory_equal(data, vectors[i].data, len);
		assert_string_equal(base64url_encode(vectors[i].data, len, text), vectors[i].url);
		assert_int_equal(strlen(text), BASE64URL_LEN(len));
		assert_int_equal(base64url_decode(text, strlen(text), data, len), 0);
		assert_memory_equal(data, vectors[i].data, len);
	}
}

/* Whatever one character says: one content has one text, and no other is taken. */
static void test_canonical(void **state)
{
	for (unsigned v = 0; v < 0x10000; v++) {
		uint8_t data[2] = { (uint8_t)v, (uint8_t)(v >> 8) }, again[2];
		char text[4];

		base64url_encode(data, sizeof(data), text);
		assert_int_equal(base64url_decode(text, 3, again, sizeof(again)), 0);
		assert_memory_equal(data, again, sizeof(data));
	}
	for (unsigned i = 0; i < 4; i++) {
		unsigned n_standard = 0, n_url = 0;

		for (unsigned c = 0; c < 256; c++) {
			char text[] = "AAA=";
			uint8_t data[3];

			text[i] = (char)c;
			n_standard += base64_decode(text, 4, data, 2) == 0;
			n_url += i < 3 && base64url_decode(text, 3, data, 2) == 0;
		}
		/* The third of three characters has two bits that must be 0. */
		assert_int_equal(n_standard, i < 2 ? 64 : i == 2 ? 16 : 1);
		assert_int_equal(n_url, i < 2 ? 64 : i == 2 ? 16 : 0);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *text;
		size_t len; /* of the content asked for */
	} cases[] = {
		{ "Zg", 1 },	 { "Zg=", 1 },	{ "Zg===", 1 }, { "Zh==", 1 },
		{ "Zm9=", 2 },	 { "Zm9v", 2 }, { "Zm8=", 3 },	{ "Zg==Zg==", 4 },
		{ "====", 1 },	 { "Z===", 1 }, { " Zg=", 1 },	{ "Zg=\n", 1 },
		{ "Zm9v\n", 3 }, { "-_-_", 3 }, { "", 1 },	{ "Zm9vYg==", 3 },
	};
	static const char *const url[] = { "Zh", "Z", "Zg=", "Zg==", "+g", "/g", " Zg", "" };
	uint8_t data[8];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		print_message("\"%s\" %zu\n", cases[i].text, cases[i].len);
		assert_int_equal(
			base64_decode(cases[i].text, strlen(cases[i].text), data, cases[i].len),
			-EINVAL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(url); i++)
		assert_int_equal(base64url_decode(url[i], strlen(url[i]), data, 1), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_canonical),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
