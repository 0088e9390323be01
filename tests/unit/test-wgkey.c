#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/wgkey.h"

/* RFC 7748, section 6.1. */
#define ALICE_PRIVATE "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo="
#define ALICE_PUBLIC  "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="
#define BOB_PRIVATE   "XasIfmJKikt54X+Lg4AO5m87sSkmGLb9HC+LJ/+I4Os="
#define BOB_PUBLIC    "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08="
#define ZERO	      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		int r;
	} cases[] = {
		{ ALICE_PRIVATE, 0 },
		{ ALICE_PUBLIC, 0 },
		{ BOB_PUBLIC, 0 },
		{ ZERO, 0 },
		{ "//////////////////////////////////////////8=", 0 },
		{ "", -EINVAL },
		/* One character less, one more. */
		{ "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo", -EINVAL },
		{ "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTm=", -EINVAL },
		{ "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo==", -EINVAL },
		/* 31 and 33 bytes in 44 characters. */
		{ "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTg==", -EINVAL },
		{ "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmoA", -EINVAL },
		/* Stray bits in the last character: one key, one text. */
		{ "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmp=", -EINVAL },
		{ "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=", -EINVAL },
		/* Another alphabet, blanks, padding inside. */
		{ "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo=", -EINVAL },
		{ " SDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=", -EINVAL },
		{ "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo\n", -EINVAL },
		{ "hSDwCYkwp1R0i33ctD73Wg2/Og0=OBr066SpjqqbTmo=", -EINVAL },
		{ "hSDwCYkwp1R0i33ctD73Wg2/Og\x80mOBr066SpjqqbTmo=", -EINVAL },
		{ "============================================", -EINVAL },
		{ "                                            ", -EINVAL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct wg_key key, untouched;
		char again[WG_KEY_B64LEN];

		print_message("\"%s\"\n", cases[i].text);
		memset(&key, 0x5a, sizeof(key));
		untouched = key;
		assert_int_equal(wg_key_parse(cases[i].text, &key), cases[i].r);
		if (cases[i].r == 0)
			assert_string_equal(wg_key_to_string(&key, again), cases[i].text);
		else
			assert_memory_equal(&key, &untouched, sizeof(key));
	}
}

static void test_public(void **state)
{
	static const char *const pairs[][2] = { { ALICE_PRIVATE, ALICE_PUBLIC },
						{ BOB_PRIVATE, BOB_PUBLIC } };

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct wg_key private, public;
		char text[WG_KEY_B64LEN];

		assert_int_equal(wg_key_parse(pairs[i][0], &private), 0);
		assert_int_equal(wg_key_public(&private, &public), 0);
		assert_string_equal(wg_key_to_string(&public, text), pairs[i][1]);
	}
}

static void test_compare(void **state)
{
	struct wg_key a, b, zero;

	assert_int_equal(wg_key_parse(ALICE_PUBLIC, &a), 0);
	assert_int_equal(wg_key_parse(ZERO, &zero), 0);
	b = a;
	assert_true(wg_key_equal(&a, &b));
	assert_false(wg_key_is_zero(&a));
	assert_true(wg_key_is_zero(&zero));
	for (size_t i = 0; i < WG_KEY_LEN; i++) {
		b.bytes[i] ^= 1;
		assert_false(wg_key_equal(&a, &b));
		b.bytes[i] ^= 1;
		zero.bytes[i] = 1;
		assert_false(wg_key_is_zero(&zero));
		zero.bytes[i] = 0;
	}
}

static void test_generate(void **state)
{
	struct wg_key a, b;

	for (int i = 0; i < 64; i++) {
		assert_int_equal(wg_key_generate(&a), 0);
		assert_int_equal(a.bytes[0] & 7, 0);
		assert_int_equal(a.bytes[31] & 0xc0, 0x40);
	}
	assert_int_equal(wg_key_generate(&b), 0);
	assert_false(wg_key_equal(&a, &b));
}

static void test_wipe(void **state)
{
	struct wg_key key;

	assert_int_equal(wg_key_parse(ALICE_PRIVATE, &key), 0);
	wg_key_wipe(&key);
	assert_true(wg_key_is_zero(&key));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),	cmocka_unit_test(test_public),
		cmocka_unit_test(test_compare), cmocka_unit_test(test_generate),
		cmocka_unit_test(test_wipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
