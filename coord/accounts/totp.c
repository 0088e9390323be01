#include "coord/accounts/totp.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "common/clock.h"
#include "common/query.h"
#include "common/text_stream.h"

#define STEP_SEC 30u
#define DIGITS	 6u

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/* ---- base32: of whole groups of five bytes, as 20 are ---- */

static void encode(const uint8_t bytes[TOTP_SECRET_LEN], char ret_text[TOTP_TEXT_SIZE])
{
	uint64_t group = 0;

	for (size_t i = 0; i < TOTP_SECRET_LEN; i++) {
		group = group << 8 | bytes[i];
		if (i % 5 == 4)
			for (size_t k = 0; k < 8; k++)
				*ret_text++ = alphabet[group >> (35 - 5 * k) & 31];
	}
	*ret_text = '\0';
}

static int decode(const char *text, uint8_t ret_bytes[TOTP_SECRET_LEN])
{
	uint64_t group = 0;

	if (strlen(text) != TOTP_TEXT_SIZE - 1)
		return -EINVAL;
	for (size_t i = 0; text[i]; i++) {
		const char *c = strchr(alphabet, text[i]);

		if (!c)
			return -EINVAL;
		group = group << 5 | (uint64_t)(c - alphabet);
		if (i % 8 == 7)
			for (size_t k = 0; k < 5; k++)
				*ret_bytes++ = (uint8_t)(group >> (32 - 8 * k));
	}
	return 0;
}

int totp_secret_new(char ret_secret[TOTP_TEXT_SIZE])
{
	uint8_t bytes[TOTP_SECRET_LEN];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -EIO;
	encode(bytes, ret_secret);
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return 0;
}

/* ---- codes ---- */

/* RFC 4226, section 5.3: four bytes from where the last nibble says, without the sign. */
static int code_of(const uint8_t key[TOTP_SECRET_LEN], uint64_t step, char ret_code[DIGITS + 1])
{
	uint8_t text[8], mac[EVP_MAX_MD_SIZE];
	unsigned len = 0, offset;
	uint32_t number;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(step >> (56 - 8 * i));
	if (!HMAC(EVP_sha1(), key, TOTP_SECRET_LEN, text, sizeof(text), mac, &len) || len != 20)
		return -EIO;
	offset = mac[19] & 15;
	number = (uint32_t)(mac[offset] & 127) << 24 | (uint32_t)mac[offset + 1] << 16 |
		 (uint32_t)mac[offset + 2] << 8 | mac[offset + 3];
	snprintf(ret_code, DIGITS + 1, "%06u", number % 1000000);
	OPENSSL_cleanse(mac, sizeof(mac));
	return 0;
}

int totp_code(const char *secret, uint64_t step, char ret_code[7])
{
	uint8_t key[TOTP_SECRET_LEN];
	int r = decode(secret, key);

	if (r == 0)
		r = code_of(key, step, ret_code);
	OPENSSL_cleanse(key, sizeof(key));
	return r;
}

/* As people type it: "123 456". */
static bool take_digits(const char *text, char ret_code[DIGITS + 1])
{
	size_t n = 0;

	for (; *text; text++) {
		if (*text == ' ')
			continue;
		if (*text < '0' || *text > '9' || n == DIGITS)
			return false;
		ret_code[n++] = *text;
	}
	ret_code[n] = '\0';
	return n == DIGITS;
}

int totp_check(const char *secret, const char *code, uint64_t now, uint64_t last_step,
	       uint64_t *ret_step)
{
	uint64_t middle = now / USEC_PER_SEC / STEP_SEC, found = 0;
	char given[DIGITS + 1], right[DIGITS + 1];

	if (!take_digits(code, given))
		return TOTP_WRONG;
	/* All of them, whichever fits. */
	for (uint64_t step = middle > 0 ? middle - 1 : 0; step <= middle + 1; step++) {
		int r = totp_code(secret, step, right);

		if (r < 0)
			return r;
		if (CRYPTO_memcmp(given, right, DIGITS) == 0 && step > last_step)
			found = step;
	}
	if (found == 0)
		return TOTP_WRONG;
	*ret_step = found;
	return 0;
}

/* ---- for apps ---- */

/* As Google's "Key Uri Format" has it, which is what all apps read. */
char *totp_uri(const char *issuer, const char *login, const char *secret)
{
	_cleanup_free_ char *from = query_escape(issuer), *who = query_escape(login);
	struct text_stream out;
	char *uri;

	if (!from || !who || text_stream_open(&out) < 0)
		return NULL;
	fprintf(out.file,
		"otpauth://totp/%s:%s?secret=%s&issuer=%s&algorithm=SHA1&digits=%u&period=%u", from,
		who, secret, from, DIGITS, STEP_SEC);
	uri = text_stream_close(&out);
	OPENSSL_cleanse(out.buffer, sizeof(out.buffer));
	return uri;
}
