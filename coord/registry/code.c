#include "coord/registry/code.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "common/base64.h"
#include "common/random.h"
#include "coord/registry/field.h"

/* No vowels, and nothing that is taken for another: 0 O, 1 I. */
static const char code_alphabet[] = "BCDFGHJKLMNPQRSTVWXYZ23456789";
static const char id_alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

/* Bytes beyond the last multiple of n are drawn again: every character is as likely as others. */
static int random_text(const char *alphabet, char *buf, size_t len)
{
	unsigned n = (unsigned)strlen(alphabet);
	size_t done = 0;

	while (done < len) {
		uint8_t bytes[32];
		int r = random_bytes(bytes, sizeof(bytes));

		if (r < 0)
			return r;
		for (size_t i = 0; i < sizeof(bytes) && done < len; i++)
			if (bytes[i] < 256 / n * n)
				buf[done++] = alphabet[bytes[i] % n];
	}
	buf[len] = '\0';
	return 0;
}

int code_new(char ret_code[CODE_LEN + 1])
{
	return random_text(code_alphabet, ret_code, CODE_LEN);
}

int id_new(char letter, char ret_id[ID_SIZE])
{
	ret_id[0] = letter;
	return random_text(id_alphabet, ret_id + 1, ID_SIZE - 2);
}

int id_suffix_new(char ret_suffix[7])
{
	return random_text(id_alphabet, ret_suffix, 6);
}

bool code_is_valid(const char *code)
{
	return strlen(code) == CODE_LEN && strspn(code, code_alphabet) == CODE_LEN;
}

bool code_normalize(const char *text, char ret_code[CODE_LEN + 1])
{
	size_t n = 0;

	for (; *text; text++) {
		if (*text == '-' || *text == ' ')
			continue;
		if (n == CODE_LEN)
			return false;
		ret_code[n++] = (char)toupper((unsigned char)*text);
	}
	ret_code[n] = '\0';
	return code_is_valid(ret_code);
}

/* ---- checks ---- */

int check_id_new(char ret_id[CHECK_ID_SIZE])
{
	return random_text(id_alphabet, ret_id, RECORD_CHECK_ID);
}

bool check_id_is_valid(const char *id)
{
	return strlen(id) == RECORD_CHECK_ID && strspn(id, id_alphabet) == RECORD_CHECK_ID;
}

int check_code_new(char ret_code[CHECK_CODE_SIZE])
{
	char digits[7];
	int r = random_text("0123456789", digits, 6);

	if (r == 0)
		snprintf(ret_code, CHECK_CODE_SIZE, "%.3s-%s", digits, digits + 3);
	return r;
}

bool check_code_is_valid(const char *code)
{
	return strlen(code) == CHECK_CODE_SIZE - 1 && strspn(code, "0123456789") == 3 &&
	       code[3] == '-' && strspn(code + 4, "0123456789") == 3;
}

void check_login_id(const char *id, size_t number, char ret_text[CHECK_LOGIN_SIZE])
{
	memcpy(ret_text, id, RECORD_CHECK_ID);
	ret_text[RECORD_CHECK_ID] = id_alphabet[number / 32 % 32];
	ret_text[RECORD_CHECK_ID + 1] = id_alphabet[number % 32];
	ret_text[RECORD_CHECK_ID + 2] = '\0';
}

bool check_login_id_parse(const char *text, char ret_id[CHECK_ID_SIZE], size_t *ret_number)
{
	size_t number = 0;

	if (strlen(text) != CHECK_LOGIN_SIZE - 1 || strspn(text, id_alphabet) != strlen(text))
		return false;
	for (size_t i = 0; i < RECORD_LOGIN_SUFFIX; i++)
		number = number * 32 +
			 (size_t)(strchr(id_alphabet, text[RECORD_CHECK_ID + i]) - id_alphabet);
	memcpy(ret_id, text, RECORD_CHECK_ID);
	ret_id[RECORD_CHECK_ID] = '\0';
	*ret_number = number;
	return true;
}

/* ---- secrets ---- */

int secret_new(char ret_text[SECRET_SIZE], uint8_t ret_hash[SHA256_LEN])
{
	char text[SECRET_SIZE];
	int r = random_secret(text);

	if (r == 0)
		r = secret_hash(text, SECRET_SIZE - 1, ret_hash);
	if (r == 0)
		memcpy(ret_text, text, sizeof(text));
	OPENSSL_cleanse(text, sizeof(text));
	return r;
}

int secret_hash(const char *text, size_t len, uint8_t ret_hash[SHA256_LEN])
{
	uint8_t secret[SECRET_LEN];
	int r = base64url_decode(text, len, secret, sizeof(secret));

	if (r == 0)
		r = sha256(secret, sizeof(secret), ret_hash);
	OPENSSL_cleanse(secret, sizeof(secret));
	return r;
}

bool secret_hash_equal(const uint8_t a[SHA256_LEN], const uint8_t b[SHA256_LEN])
{
	return CRYPTO_memcmp(a, b, SHA256_LEN) == 0;
}

int key_text_parse(const char *prefix, char letter, const char *text, struct key_text *ret_key)
{
	size_t n = strlen(prefix);
	struct key_text key;
	const char *secret, *end;
	int r;

	if (strncmp(text, prefix, n) != 0 || text[n] != '.')
		return -EINVAL;
	text += n + 1;
	if (strnlen(text, ID_SIZE) < ID_SIZE || text[ID_SIZE - 1] != '.')
		return -EINVAL;
	memcpy(key.id, text, ID_SIZE - 1);
	key.id[ID_SIZE - 1] = '\0';
	secret = text + ID_SIZE;
	end = strchrnul(secret, '.');
	if (!record_is_id(key.id, letter))
		return -EINVAL;
	r = secret_hash(secret, (size_t)(end - secret), key.hash);
	if (r < 0)
		return r;
	key.rest = *end ? end + 1 : NULL;
	*ret_key = key;
	return 0;
}
