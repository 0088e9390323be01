#include "coord/map/token.h"

#include <stdio.h>
#include <string.h>

#include "common/base64.h"
#include "common/sha256.h"

/* "HASH.FFSSSSSSSS": the hash, flags and site of the view. */
#define VIEW_CHARS 10

int map_hash_make(const void *data, size_t len, struct map_hash *ret_hash)
{
	uint8_t digest[SHA256_LEN];
	int r = sha256(data, len, digest);

	if (r == 0)
		memcpy(ret_hash->bytes, digest, sizeof(ret_hash->bytes));
	return r;
}

bool map_hash_equal(const struct map_hash *a, const struct map_hash *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

char *map_hash_to_string(const struct map_hash *hash, char *buf)
{
	return base64url_encode(hash->bytes, sizeof(hash->bytes), buf);
}

char *map_policy_token(const struct map_tokens *tokens, char *buf)
{
	map_hash_to_string(&tokens->policy, buf);
	snprintf(buf + MAP_HASH_SIZE - 1, MAP_POLICY_TOKEN_SIZE - MAP_HASH_SIZE + 1, ".%02x%08x",
		 tokens->view.flags, tokens->view.site);
	return buf;
}

static bool parse_hash(const char *text, size_t len, struct map_hash *ret_hash)
{
	struct map_hash hash;

	if (len != MAP_HASH_SIZE - 1 ||
	    base64url_decode(text, len, hash.bytes, sizeof(hash.bytes)) < 0)
		return false;
	*ret_hash = hash;
	return true;
}

static bool parse_view(const char *text, struct reach_view *ret_view)
{
	uint64_t value = 0;

	if (strlen(text) != VIEW_CHARS || strspn(text, "0123456789abcdef") != VIEW_CHARS)
		return false;
	for (const char *p = text; *p; p++)
		value = value << 4 | (uint64_t)(*p <= '9' ? *p - '0' : *p - 'a' + 10);
	if (value >> 32 > REACH_FLAGS)
		return false;
	*ret_view = (struct reach_view){ (uint8_t)(value >> 32), (uint32_t)value };
	return true;
}

void map_tokens_parse(const struct map_resume *resume, struct map_tokens *ret_tokens)
{
	struct map_tokens tokens = { 0 };
	const char *dot = resume->policy ? strchr(resume->policy, '.') : NULL;

	if (dot && parse_view(dot + 1, &tokens.view))
		parse_hash(resume->policy, (size_t)(dot - resume->policy), &tokens.policy);
	if (resume->filter)
		parse_hash(resume->filter, strlen(resume->filter), &tokens.filter);
	if (resume->ssh)
		parse_hash(resume->ssh, strlen(resume->ssh), &tokens.ssh);
	*ret_tokens = tokens;
}
