#include "common/base64.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

/* What differs between the two: the last two characters of the alphabet. */
struct alphabet {
	unsigned c62, c63;
};

static const struct alphabet standard = { '+', '/' };
static const struct alphabet url = { '-', '_' };

/* All ones where a <= x <= b, else 0. No table and no branch: time and cache tell nobody x. */
static unsigned within(unsigned x, unsigned a, unsigned b)
{
	return 0u - (1 ^ ((x - a) >> 31 | (b - x) >> 31));
}

static unsigned encode_one(const struct alphabet *alphabet, unsigned v)
{
	return (within(v, 0, 25) & ('A' + v)) | (within(v, 26, 51) & ('a' + v - 26)) |
	       (within(v, 52, 61) & ('0' + v - 52)) | (within(v, 62, 62) & alphabet->c62) |
	       (within(v, 63, 63) & alphabet->c63);
}

/* Return: 0..63; all ones for what is no character of the alphabet. */
static unsigned decode_one(const struct alphabet *alphabet, unsigned c)
{
	unsigned one_more = (within(c, 'A', 'Z') & (c - 'A' + 1)) |
			    (within(c, 'a', 'z') & (c - 'a' + 27)) |
			    (within(c, '0', '9') & (c - '0' + 53)) |
			    (within(c, alphabet->c62, alphabet->c62) & 63) |
			    (within(c, alphabet->c63, alphabet->c63) & 64);

	return one_more - 1;
}

/* Return: behind the last character written. */
static char *encode(const struct alphabet *alphabet, const uint8_t *data, size_t len, char *buf)
{
	unsigned bits = 0, n_bits = 0;

	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | data[i];
		for (n_bits += 8; n_bits >= 6; n_bits -= 6)
			*buf++ = (char)encode_one(alphabet, bits >> (n_bits - 6) & 63);
	}
	if (n_bits > 0)
		*buf++ = (char)encode_one(alphabet, bits << (6 - n_bits) & 63);
	return buf;
}

static int decode(const struct alphabet *alphabet, const char *text, size_t text_len, uint8_t *out)
{
	unsigned bits = 0, n_bits = 0, bad = 0;

	for (size_t i = 0; i < text_len; i++) {
		unsigned v = decode_one(alphabet, (unsigned char)text[i]);

		bad |= v >> 6;
		bits = bits << 6 | (v & 63);
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			*out++ = (uint8_t)(bits >> n_bits);
		}
	}
	bad |= bits & ((1u << n_bits) - 1);
	return bad ? -EINVAL : 0;
}

char *base64_encode(const void *data, size_t len, char *buf)
{
	char *end = encode(&standard, data, len, buf);
	size_t n_pad = BASE64_LEN(len) - BASE64URL_LEN(len);

	memset(end, '=', n_pad);
	end[n_pad] = '\0';
	return buf;
}

char *base64url_encode(const void *data, size_t len, char *buf)
{
	*encode(&url, data, len, buf) = '\0';
	return buf;
}

int base64_decode(const char *text, size_t text_len, void *buf, size_t len)
{
	size_t n_chars = BASE64URL_LEN(len);

	if (text_len != BASE64_LEN(len))
		return -EINVAL;
	for (size_t i = n_chars; i < text_len; i++)
		if (text[i] != '=')
			return -EINVAL;
	return decode(&standard, text, n_chars, buf);
}

int base64url_decode(const char *text, size_t text_len, void *buf, size_t len)
{
	if (text_len != BASE64URL_LEN(len))
		return -EINVAL;
	return decode(&url, text, text_len, buf);
}
