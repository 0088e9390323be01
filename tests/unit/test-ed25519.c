#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "common/base64.h"
#include "common/ed25519.h"
#include "common/text.h"

/* Return: the number of bytes. */
static size_t unhex(const char *hex, uint8_t *bytes)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++)
		assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &bytes[i]), 1);
	return n;
}

/* RFC 8032, section 7.1: tests 1, 2, 3 and SHA(abc). */
static const struct {
	const char *seed, *public, *message, *signature;
} vectors[] = {
	{ "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
	  "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
	  "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39"
	  "701cf9b46bd25bf5f0595bbe24655141438e7a100b" },
	{ "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
	  "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
	  "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f36"
	  "13d0f11d8c387b2eaeb4302aeeb00d291612bb0c00" },
	{ "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
	  "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
	  "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f7"
	  "60984dc6594a7c15e9716ed28dc027beceea1ec40a" },
	{ "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
	  "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
	  "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c"
	  "23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
	  "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7"
	  "c66431e0303dca179c138ac17ad9bef1177331a704" },
};

static void test_vectors(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		_cleanup_(ed25519_key_freep) struct ed25519_key *key = NULL;
		uint8_t seed[ED25519_SEED_LEN], public[ED25519_PUBLIC_LEN], message[64];
		uint8_t want[ED25519_SIGNATURE_LEN], signature[ED25519_SIGNATURE_LEN];
		uint8_t again[ED25519_SEED_LEN];
		size_t len = unhex(vectors[i].message, message);

		unhex(vectors[i].seed, seed);
		unhex(vectors[i].public, public);
		unhex(vectors[i].signature, want);
		assert_int_equal(ed25519_key_from_seed(seed, &key), 0);
		assert_memory_equal(ed25519_key_public(key)->bytes, public, sizeof(public));
		ed25519_key_seed(key, again);
		assert_memory_equal(again, seed, sizeof(seed));
		assert_int_equal(ed25519_sign(key, message, len, signature), 0);
		assert_memory_equal(signature, want, sizeof(want));
		assert_int_equal(ed25519_verify(ed25519_key_public(key), message, len, signature),
				 0);
	}
}

/* RFC 9421, B.1.4 and B.2.6: what HTTP message signatures sign, if not the form we sign. */
static void test_rfc9421(void **state)
{
	static const char base[] =
		"\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n"
		"\"@method\": POST\n"
		"\"@path\": /foo\n"
		"\"@authority\": example.com\n"
		"\"content-type\": application/json\n"
		"\"content-length\": 18\n"
		"\"@signature-params\": (\"date\" \"@method\" \"@path\" \"@authority\" "
		"\"content-type\" \"content-length\");created=1618884473;"
		"keyid=\"test-key-ed25519\"";
	static const char text[] = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPi"
				   "u4A0w6vuQv5lIp5WPpBKRCw==";
	uint8_t signature[ED25519_SIGNATURE_LEN];
	struct ed25519_public public;

	assert_int_equal(
		ed25519_public_parse("pgm:", "pgm:JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs", 47,
				     &public),
		0);
	assert_int_equal(base64_decode(text, strlen(text), signature, sizeof(signature)), 0);
	assert_int_equal(ed25519_verify(&public, base, strlen(base), signature), 0);
}

static void test_verify_refuses(void **state)
{
	_cleanup_(ed25519_key_freep) struct ed25519_key *key = NULL, *other = NULL;
	uint8_t signature[ED25519_SIGNATURE_LEN];
	char message[] = "message";
	size_t len = strlen(message);
	const struct ed25519_public *public;

	assert_int_equal(ed25519_key_generate(&key), 0);
	assert_int_equal(ed25519_key_generate(&other), 0);
	public = ed25519_key_public(key);
	assert_false(ed25519_public_equal(public, ed25519_key_public(other)));
	assert_int_equal(ed25519_sign(key, message, len, signature), 0);
	assert_int_equal(ed25519_verify(public, message, len, signature), 0);
	assert_int_equal(ed25519_verify(ed25519_key_public(other), message, len, signature),
			 -EKEYREJECTED);
	assert_int_equal(ed25519_verify(public, message, len - 1, signature), -EKEYREJECTED);
	for (size_t i = 0; i < len * 8; i++) {
		message[i / 8] = (char)(message[i / 8] ^ 1 << i % 8);
		assert_int_equal(ed25519_verify(public, message, len, signature), -EKEYREJECTED);
		message[i / 8] = (char)(message[i / 8] ^ 1 << i % 8);
	}
	for (size_t i = 0; i < sizeof(signature) * 8; i++) {
		signature[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(ed25519_verify(public, message, len, signature), -EKEYREJECTED);
		signature[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	/* Nothing of that is left for the next user of libcrypto. */
	assert_int_equal(ERR_peek_error(), 0);
}

/* S + L in place of S: the same equation, another signature (RFC 8032, 5.1.7 and 8.4). */
static void test_malleable(void **state)
{
	static const uint8_t order[ED25519_SEED_LEN] = {
		0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,	       0xd6,
		0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10,
	};
	_cleanup_(ed25519_key_freep) struct ed25519_key *key = NULL;
	uint8_t signature[ED25519_SIGNATURE_LEN];
	unsigned carry = 0;

	assert_int_equal(ed25519_key_generate(&key), 0);
	assert_int_equal(ed25519_sign(key, "x", 1, signature), 0);
	for (size_t i = 0; i < sizeof(order); i++) {
		carry += signature[32 + i] + (unsigned)order[i];
		signature[32 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	assert_int_equal(carry, 0);
	assert_int_equal(ed25519_verify(ed25519_key_public(key), "x", 1, signature), -EKEYREJECTED);
}

/*
 * The points of small order, and encodings above the prime, with either sign of x. With A of order
 * 1 or 2 and 4 or 8 in part, R = identity and S = 0 "signs" whatever one likes.
 */
static void test_weak_keys(void **state)
{
	static const char *const weak[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	static const uint8_t forged[ED25519_SIGNATURE_LEN] = { 1 };

	for (size_t i = 0; i < 2 * ARRAY_SIZE(weak); i++) {
		struct ed25519_public raw, public;
		char text[ED25519_TEXT_LEN];

		unhex(weak[i / 2], raw.bytes);
		raw.bytes[31] |= i % 2 ? 0x80 : 0;
		assert_int_equal(ed25519_public_from_bytes(raw.bytes, &public), -EINVAL);
		ed25519_public_to_string(ED25519_MACHINE, &raw, text);
		assert_int_equal(ed25519_public_parse(ED25519_MACHINE, text, strlen(text), &public),
				 -EINVAL);
		/* Several messages: one in eight would do for a key of order 8. */
		for (uint8_t m = 0; m < 64; m++)
			assert_int_equal(ed25519_verify(&raw, &m, 1, forged), -EKEYREJECTED);
	}
}

/* Just below the prime, and otherwise near what is refused: not our business. */
static void test_near_weak_keys(void **state)
{
	static const char *const fine[] = {
		"0200000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000001",
		"ebffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7e",
		"edffffffffffffffffffffffff7fffffffffffffffffffffffffffffffffff7f",
		"27e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	};

	for (size_t i = 0; i < ARRAY_SIZE(fine); i++) {
		uint8_t bytes[ED25519_PUBLIC_LEN];
		struct ed25519_public public;

		unhex(fine[i], bytes);
		assert_int_equal(ed25519_public_from_bytes(bytes, &public), 0);
		assert_memory_equal(public.bytes, bytes, sizeof(bytes));
	}
}

static void test_public_text(void **state)
{
	/* The key of RFC 8032's first test. */
#define KEY "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
	static const struct {
		const char *prefix, *text;
		int r;
	} cases[] = {
		{ "pgm:", "pgm:" KEY, 0 },
		{ "pgc:", "pgc:" KEY, 0 },
		{ "pgc:", "pgm:" KEY, -EINVAL },
		{ "pgm:", "pgc:" KEY, -EINVAL },
		{ "pgm:", KEY, -EINVAL },
		{ "pgm:", "PGM:" KEY, -EINVAL },
		{ "pgm:", "", -EINVAL },
		{ "pgm:", "pgm:", -EINVAL },
		{ "pgm:", "pgm:" KEY "=", -EINVAL },
		{ "pgm:", "pgm:" KEY "A", -EINVAL },
		{ "pgm:", " pgm:" KEY, -EINVAL },
		{ "pgm:", "pgm:" KEY "\n", -EINVAL },
		{ "pgm:", "pgm:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUR", -EINVAL },
		/* The other alphabet, and stray bits at the end. */
		{ "pgm:", "pgm:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo", -EINVAL },
		{ "pgm:", "pgm:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURp", -EINVAL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ed25519_public public, untouched;
		char text[ED25519_TEXT_LEN];

		print_message("\"%s\"\n", cases[i].text);
		memset(&public, 0x5a, sizeof(public));
		untouched = public;
		assert_int_equal(ed25519_public_parse(cases[i].prefix, cases[i].text,
						      strlen(cases[i].text), &public),
				 cases[i].r);
		if (cases[i].r == 0)
			assert_string_equal(
				ed25519_public_to_string(cases[i].prefix, &public, text),
				cases[i].text);
		else
			assert_memory_equal(&public, &untouched, sizeof(public));
	}
}

/* Each test of files has a directory of its own. */
struct place {
	char path[64];
	int fd;
};

static int setup(void **state)
{
	static struct place place;

	strcpy(place.path, "/tmp/test-ed25519.XXXXXX");
	if (!mkdtemp(place.path))
		return -1;
	place.fd = open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = &place;
	return place.fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct place *place = *state;

	unlinkat(place->fd, "key", 0);
	unlinkat(place->fd, "key", AT_REMOVEDIR);
	close_fd(place->fd);
	/* Fails if anything was left beside the key. */
	return rmdir(place->path);
}

static void write_key(const struct place *place, const char *content, mode_t mode)
{
	int fd = openat(place->fd, "key", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	assert_int_equal(fchmod(fd, mode), 0);
	close_fd(fd);
}

static void expect_refused(const struct place *place, int want, const char *want_text)
{
	_cleanup_free_ char *text = NULL;
	struct ed25519_key *key = NULL;

	assert_int_equal(ed25519_key_load_or_create(place->fd, "key", &key, &text), want);
	assert_null(key);
	print_message("%s\n", text);
	assert_non_null(strstr(text, want_text));
	/* It never says what is in the file. */
	assert_null(strstr(text, "nWGx"));
}

#define SEED_LINE "ed25519-seed:nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\n"

static void test_file_made_once(void **state)
{
	struct place *place = *state;
	_cleanup_(ed25519_key_freep) struct ed25519_key *key = NULL, *again = NULL;
	char *text = NULL;
	mode_t mask = umask(0);
	struct stat st;

	assert_int_equal(ed25519_key_load_or_create(place->fd, "key", &key, &text),
			 ED25519_CREATED);
	umask(mask);
	assert_int_equal(fstatat(place->fd, "key", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(ed25519_key_load_or_create(place->fd, "key", &again, &text), 0);
	assert_true(ed25519_public_equal(ed25519_key_public(key), ed25519_key_public(again)));
}

static void test_file_read(void **state)
{
	struct place *place = *state;
	_cleanup_(ed25519_key_freep) struct ed25519_key *key = NULL;
	char *text = NULL, public[ED25519_TEXT_LEN];

	/* The first seed of RFC 8032. */
	write_key(place, SEED_LINE, 0400);
	assert_int_equal(ed25519_key_load_or_create(place->fd, "key", &key, &text), 0);
	assert_string_equal(ed25519_public_to_string("pgc:", ed25519_key_public(key), public),
			    "pgc:" KEY);
}

static void test_file_refused(void **state)
{
	static const char *const contents[] = {
		"",
		"\n",
		"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\n",
		"ed25519-seed:nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
		"ed25519-seed:nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A ",
		"ed25519-seed:nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2B\n",
		"ed25519-seed:nWGxne+9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\n",
		"ED25519-seed:nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\n",
		SEED_LINE "\n",
		SEED_LINE SEED_LINE,
	};
	struct place *place = *state;
	struct stat before, after;

	for (size_t i = 0; i < ARRAY_SIZE(contents); i++) {
		write_key(place, contents[i], 0600);
		assert_int_equal(fstatat(place->fd, "key", &before, 0), 0);
		expect_refused(place, -EINVAL, "key: no key, which is one line of");
		assert_int_equal(fstatat(place->fd, "key", &after, 0), 0);
		assert_int_equal(before.st_ino, after.st_ino);
		assert_int_equal(after.st_size, strlen(contents[i]));
	}
	for (mode_t bit = 01; bit <= 040; bit <<= 1) {
		write_key(place, SEED_LINE, 0600 | bit);
		expect_refused(place, -EPERM, "chmod 0600");
	}
}

static void test_file_of_another(void **state)
{
	struct place *place = *state;

	if (geteuid() != 0)
		skip();
	write_key(place, SEED_LINE, 0600);
	assert_int_equal(fchownat(place->fd, "key", 65534, 65534, 0), 0);
	expect_refused(place, -EPERM, "belongs to user 65534");
}

static void test_no_file(void **state)
{
	struct place *place = *state;

	assert_int_equal(symlinkat("/dev/zero", place->fd, "key"), 0);
	expect_refused(place, -ELOOP, "cannot be opened");
	unlinkat(place->fd, "key", 0);
	assert_int_equal(mkfifoat(place->fd, "key", 0600), 0);
	expect_refused(place, -EINVAL, "no key");
	unlinkat(place->fd, "key", 0);
	assert_int_equal(mkdirat(place->fd, "key", 0700), 0);
	expect_refused(place, -EINVAL, "no key");
}

static void test_no_directory(void **state)
{
	_cleanup_free_ char *text = NULL;
	struct ed25519_key *key = NULL;

	assert_int_equal(ed25519_key_load_or_create(AT_FDCWD, "/nowhere/key", &key, &text),
			 -ENOENT);
	assert_non_null(strstr(text, "/nowhere/key: cannot be written"));
}

int main(void)
{
#define FILE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_rfc9421),
		cmocka_unit_test(test_verify_refuses),
		cmocka_unit_test(test_malleable),
		cmocka_unit_test(test_weak_keys),
		cmocka_unit_test(test_near_weak_keys),
		cmocka_unit_test(test_public_text),
		FILE_TEST(test_file_made_once),
		FILE_TEST(test_file_read),
		FILE_TEST(test_file_refused),
		FILE_TEST(test_file_of_another),
		FILE_TEST(test_no_file),
		cmocka_unit_test(test_no_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
