#include "common/host_key.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/cleanup.h"

/* What is left of the blob; all integers are big-endian (RFC 4251 5). */
struct reader {
	const uint8_t *data;
	size_t len;
};

struct key_type {
	const char *name;
	bool (*body_ok)(struct reader *r, const struct key_type *type);
	const char *curve;
	size_t point_len; /* ed25519: of the key; ecdsa: of the uncompressed point */
};

static int base64_value(char c)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = c ? strchr(alphabet, c) : NULL;

	return p ? (int)(p - alphabet) : -1;
}

/* The last group's unused bits have to be zero: one key, one text. */
static bool decode_group(const char *in, unsigned n_chars, uint8_t *out)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < 4; i++) {
		int value = i < n_chars ? base64_value(in[i]) : 0;

		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
	}
	out[0] = bits >> 16;
	out[1] = bits >> 8 & 0xff;
	out[2] = bits & 0xff;
	return n_chars == 4 || (n_chars == 3 ? out[2] : out[1] | out[2]) == 0;
}

/* Canonical, padded base64. Return: 0 and *ret_data, the caller's; -EINVAL, -ENOMEM. */
static int decode_base64(const char *in, uint8_t **ret_data, size_t *ret_len)
{
	size_t len = strlen(in), padding = 0;
	_cleanup_free_ uint8_t *data = NULL;

	if (len == 0 || len % 4 != 0)
		return -EINVAL;
	data = malloc(len / 4 * 3);
	if (!data)
		return -ENOMEM;
	while (padding < 2 && in[len - 1 - padding] == '=')
		padding++;
	for (size_t pos = 0; pos < len; pos += 4) {
		unsigned n_chars = pos + 4 == len ? 4 - (unsigned)padding : 4;

		if (!decode_group(in + pos, n_chars, data + pos / 4 * 3))
			return -EINVAL;
	}
	*ret_data = take_ptr(data);
	*ret_len = len / 4 * 3 - padding;
	return 0;
}

static bool read_string(struct reader *r, struct reader *ret_string)
{
	size_t len;

	if (r->len < 4)
		return false;
	len = (size_t)r->data[0] << 24 | (size_t)r->data[1] << 16 | (size_t)r->data[2] << 8 |
	      r->data[3];
	if (len > r->len - 4)
		return false;
	*ret_string = (struct reader){ .data = r->data + 4, .len = len };
	r->data += 4 + len;
	r->len -= 4 + len;
	return true;
}

static bool read_text(struct reader *r, const char *wanted)
{
	struct reader s;

	return read_string(r, &s) && s.len == strlen(wanted) && memcmp(s.data, wanted, s.len) == 0;
}

/* A positive number without superfluous leading zeros, at least min bytes. */
static bool read_mpint(struct reader *r, size_t min)
{
	struct reader s;

	if (!read_string(r, &s) || s.len < min || s.data[0] & 0x80)
		return false;
	return s.data[0] != 0 || (s.len > 1 && s.data[1] & 0x80);
}

static bool ed25519_ok(struct reader *r, const struct key_type *type)
{
	struct reader key;

	return read_string(r, &key) && key.len == type->point_len;
}

static bool ecdsa_ok(struct reader *r, const struct key_type *type)
{
	struct reader point;

	return read_text(r, type->curve) && read_string(r, &point) &&
	       point.len == type->point_len && point.data[0] == 4;
}

static bool rsa_ok(struct reader *r, const struct key_type *type)
{
	return read_mpint(r, 1) && read_mpint(r, 128);
}

static const struct key_type key_types[] = {
	{ "ssh-ed25519", ed25519_ok, NULL, 32 },
	{ "ecdsa-sha2-nistp256", ecdsa_ok, "nistp256", 65 },
	{ "ecdsa-sha2-nistp384", ecdsa_ok, "nistp384", 97 },
	{ "ecdsa-sha2-nistp521", ecdsa_ok, "nistp521", 133 },
	{ "ssh-rsa", rsa_ok, NULL, 0 },
};

static const struct key_type *find_type(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(key_types); i++)
		if (strlen(key_types[i].name) == len && memcmp(key_types[i].name, name, len) == 0)
			return &key_types[i];
	return NULL;
}

static int refuse(const char **ret_problem, const char *problem)
{
	*ret_problem = problem;
	return -EINVAL;
}

int host_key_check(const char *line, const char **ret_problem)
{
	_cleanup_free_ uint8_t *blob = NULL;
	const struct key_type *type;
	const char *base64;
	struct reader reader;
	size_t len;
	int r;

	if (strlen(line) > HOST_KEY_MAX)
		return refuse(ret_problem, "the host key is too long");
	base64 = strchr(line, ' ');
	if (!base64)
		return refuse(ret_problem, "the host key does not have two words");
	type = find_type(line, (size_t)(base64 - line));
	if (!type)
		return refuse(ret_problem, "the host key's type is not one of ssh-ed25519, "
					   "ecdsa-sha2-nistp256, -384, -521 and ssh-rsa");
	r = decode_base64(base64 + 1, &blob, &len);
	if (r == -EINVAL)
		return refuse(ret_problem, "the host key's second word is not base64 alone");
	if (r < 0)
		return r;
	reader = (struct reader){ .data = blob, .len = len };
	if (!read_text(&reader, type->name))
		return refuse(ret_problem, "the host key's type is not that of the key inside");
	if (!type->body_ok(&reader, type) || reader.len != 0)
		return refuse(ret_problem, "the host key is damaged");
	return 0;
}
