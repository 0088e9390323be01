#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>

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

static void test_shared(void **state)
{
	/* Likewise RFC 7748; the low-order points of Curve25519, with and without the top bit. */
	static const uint8_t secret[] = {
		0x4a, 0x5d, 0x9d, 0x5b, 0xa4, 0xce, 0x2d, 0xe1, 0x72, 0x8e, 0x3b,
		0xf4, 0x80, 0x35, 0x0f, 0x25, 0xe0, 0x7e, 0x21, 0xc9, 0x47, 0xd1,
		0x9e, 0x33, 0x76, 0xf0, 0x9b, 0x3c, 0x1e, 0x16, 0x17, 0x42,
	};
	static const uint8_t order_8[] = {
		0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
		0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
		0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
	};
	struct wg_key a, b, public, shared, untouched;

	assert_int_equal(wg_key_parse(ALICE_PRIVATE, &a), 0);
	assert_int_equal(wg_key_parse(BOB_PRIVATE, &b), 0);
	assert_int_equal(wg_key_parse(BOB_PUBLIC, &public), 0);
	assert_int_equal(wg_key_shared(&a, &public, &shared), 0);
	assert_memory_equal(shared.bytes, secret, sizeof(secret));
	assert_int_equal(wg_key_parse(ALICE_PUBLIC, &public), 0);
	assert_int_equal(wg_key_shared(&b, &public, &shared), 0);
	assert_memory_equal(shared.bytes, secret, sizeof(secret));

	untouched = shared;
	memset(&public, 0, sizeof(public));
	assert_int_equal(wg_key_shared(&a, &public, &shared), -EINVAL);
	public.bytes[0] = 1;
	assert_int_equal(wg_key_shared(&a, &public, &shared), -EINVAL);
	memcpy(public.bytes, order_8, sizeof(order_8));
	assert_int_equal(wg_key_shared(&a, &public, &shared), -EINVAL);
	assert_memory_equal(&shared, &untouched, sizeof(shared));
	/* Nothing of that is left for the next user of libcrypto. */
	assert_int_equal(ERR_peek_error(), 0);
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
		cmocka_unit_test(test_parse),	 cmocka_unit_test(test_shared),
		cmocka_unit_test(test_public),	 cmocka_unit_test(test_compare),
		cmocka_unit_test(test_generate), cmocka_unit_test(test_wipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
