/* Fields that are numbers, keys, addresses and sets of words. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base64.h"
#include "common/json_values.h"
#include "coord/policy/policy.h"
#include "coord/registry/field.h"

#define HASH_LEN BASE64URL_LEN(SHA256_LEN)

static int given(json_t *value, json_t **ret_value)
{
	*ret_value = value;
	return value ? 0 : -ENOMEM;
}

/* ---- numbers ---- */

uint64_t time_after(uint64_t start, uint64_t usec)
{
	uint64_t end;

	return __builtin_add_overflow(start, usec, &end) || end > RECORD_LAST_TIME ? RECORD_NEVER
										   : end;
}

static int write_bool(const void *field, json_t **ret_value)
{
	return *(const bool *)field ? given(json_true(), ret_value) : 0;
}

static int write_port(const void *field, json_t **ret_value)
{
	uint16_t port = *(const uint16_t *)field;

	return port ? given(json_integer(port), ret_value) : 0;
}

static int write_moment(const void *field, json_t **ret_value)
{
	return given(json_integer((json_int_t) * (const uint64_t *)field), ret_value);
}

static int write_count(const void *field, json_t **ret_value)
{
	uint64_t value = *(const uint64_t *)field;

	return value ? given(json_integer((json_int_t)value), ret_value) : 0;
}

static int write_end(const void *field, json_t **ret_value)
{
	uint64_t value = *(const uint64_t *)field;

	return value == RECORD_NEVER ? 0 : given(json_integer((json_int_t)value), ret_value);
}

static int read_time(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	uint64_t value;
	int r = json_read_u64(v, at, &value, rep);

	if (r < 0)
		return r;
	if (value > RECORD_LAST_TIME)
		return json_fail(rep, at,
				 "is no time; expected microseconds since 1970, before the year "
				 "10000");
	*(uint64_t *)target = value;
	return 0;
}

const struct field_type field_bool = { json_read_bool, write_bool };
const struct field_type field_port = { json_read_u16, write_port };
const struct field_type field_count = { json_read_u64, write_count };
const struct field_type field_moment = { read_time, write_moment };
const struct field_type field_time = { read_time, write_count };
const struct field_type field_end = { read_time, write_end };

/* ---- addresses ---- */

static int write_address(const void *field, json_t **ret_value)
{
	const struct ip_addr *address = field;
	char text[IP_ADDR_STRLEN];

	if (address->family == AF_UNSPEC)
		return 0;
	return given(json_string(ip_addr_to_string(address, text)), ret_value);
}

static int write_ula(const void *field, json_t **ret_value)
{
	char text[IP_PREFIX_STRLEN];

	return given(json_string(ip_prefix_to_string(field, text)), ret_value);
}

static int read_ula(const json_t *v, const struct json_at *at, void *target,
		    struct json_report *rep)
{
	const struct ip_prefix *prefix = target;
	int r = json_read_prefix(v, at, target, rep);

	if (r < 0)
		return r;
	if (prefix->addr.family != AF_INET6 || prefix->len != 48 || prefix->addr.bytes[0] != 0xfd)
		return json_fail(rep, at, "is no prefix of a mesh; expected a /48 within fd00::/8");
	return 0;
}

static int write_endpoints(const void *field, json_t **ret_value)
{
	const struct endpoint_list *list = field;
	json_auto_t *array = NULL;
	char text[IP_ENDPOINT_STRLEN];

	if (list->n == 0)
		return 0;
	array = json_array();
	if (!array)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++)
		if (json_array_append_new(
			    array, json_string(ip_endpoint_to_string(&list->items[i], text))) < 0)
			return -ENOMEM;
	*ret_value = take_ptr(array);
	return 0;
}

static int read_endpoints(const json_t *v, const struct json_at *at, void *target,
			  struct json_report *rep)
{
	struct endpoint_list *list = target;

	return json_read_array(v, at, RECORD_MAX_ENDPOINTS, sizeof(*list->items),
			       json_read_endpoint, &list->items, &list->n, rep);
}

const struct field_type field_address = { json_read_address, write_address };
const struct field_type field_ula = { read_ula, write_ula };
const struct field_type field_endpoints = { read_endpoints, write_endpoints };

/* ---- keys ---- */

static int write_hash(const void *field, json_t **ret_value)
{
	char text[HASH_LEN + 1];

	return given(json_string(base64url_encode(field, SHA256_LEN, text)), ret_value);
}

static int read_hash(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	if (!json_is_string(v))
		return json_fail_type(rep, at, "a SHA-256 in base64url", v);
	if (base64url_decode(json_string_value(v), json_string_length(v), target, SHA256_LEN) < 0)
		return json_fail(rep, at, "is no SHA-256; expected 43 characters of base64url");
	return 0;
}

static int write_machine(const void *field, json_t **ret_value)
{
	char text[ED25519_TEXT_LEN];

	return given(json_string(ed25519_public_to_string(ED25519_MACHINE, field, text)),
		     ret_value);
}

static int read_machine(const json_t *v, const struct json_at *at, void *target,
			struct json_report *rep)
{
	if (!json_is_string(v))
		return json_fail_type(rep, at, "a machine's key", v);
	if (ed25519_public_parse(ED25519_MACHINE, json_string_value(v), json_string_length(v),
				 target) < 0)
		return json_fail(rep, at,
				 "is no machine's key; expected \"pgm:\" and 43 characters of "
				 "base64url");
	return 0;
}

static int write_wg_key(const void *field, json_t **ret_value)
{
	char text[WG_KEY_B64LEN];

	return given(json_string(wg_key_to_string(field, text)), ret_value);
}

const struct field_type field_hash = { read_hash, write_hash };
const struct field_type field_machine = { read_machine, write_machine };
const struct field_type field_wg_key = { json_read_wg_key, write_wg_key };

/* ---- one of several words ---- */

/* "a", "b" or "c" */
static void list_words(const char *const *words, size_t n, char *buf, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < n && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s\"%s\"",
					i == 0	     ? ""
					: i == n - 1 ? " or "
						     : ", ",
					words[i]);
}

int field_read_word(const json_t *v, const struct json_at *at, const char *const *words, size_t n,
		    unsigned *ret_number, struct json_report *rep)
{
	const char *text = json_string_value(v);
	char expected[128];

	for (unsigned i = 0; text && i < n; i++) {
		if (strcmp(words[i], text) == 0) {
			*ret_number = i;
			return 0;
		}
	}
	list_words(words, n, expected, sizeof(expected));
	return json_fail(rep, at, "expected %s", expected);
}

/* ---- sets of words ---- */

struct word {
	const char *name;
	unsigned bit;
};

static const struct word scopes[] = {
	{ "users:read", SCOPE_USERS_READ },   { "users:write", SCOPE_USERS_WRITE },
	{ "nodes:read", SCOPE_NODES_READ },   { "nodes:write", SCOPE_NODES_WRITE },
	{ "keys:read", SCOPE_KEYS_READ },     { "keys:write", SCOPE_KEYS_WRITE },
	{ "policy:read", SCOPE_POLICY_READ }, { "policy:write", SCOPE_POLICY_WRITE },
	{ "events:read", SCOPE_EVENTS_READ }, { "metrics:read", SCOPE_METRICS_READ },
};

static const struct word roles[] = {
	{ "owner", POLICY_ROLE_OWNER },
	{ "admin", POLICY_ROLE_ADMIN },
	{ "network-admin", POLICY_ROLE_NETWORK_ADMIN },
	{ "it-admin", POLICY_ROLE_IT_ADMIN },
	{ "billing-admin", POLICY_ROLE_BILLING_ADMIN },
	{ "auditor", POLICY_ROLE_AUDITOR },
};

static int word_parse(const struct word *words, size_t n, const char *text, unsigned *ret_bit)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(words[i].name, text) == 0) {
			*ret_bit = words[i].bit;
			return 0;
		}
	}
	return -EINVAL;
}

static const char *word_name(const struct word *words, size_t n, unsigned i, unsigned *ret_bit)
{
	if (i >= n)
		return NULL;
	*ret_bit = words[i].bit;
	return words[i].name;
}

int scope_parse(const char *text, unsigned *ret_scopes)
{
	if (strcmp(text, "all") != 0)
		return word_parse(scopes, ARRAY_SIZE(scopes), text, ret_scopes);
	*ret_scopes = SCOPE_ALL;
	return 0;
}

const char *scope_name(unsigned i, unsigned *ret_scope)
{
	return word_name(scopes, ARRAY_SIZE(scopes), i, ret_scope);
}

int role_parse(const char *text, unsigned *ret_role)
{
	return word_parse(roles, ARRAY_SIZE(roles), text, ret_role);
}

const char *role_name(unsigned i, unsigned *ret_role)
{
	return word_name(roles, ARRAY_SIZE(roles), i, ret_role);
}

static int write_words(const struct word *words, size_t n, unsigned set, json_t **ret_value)
{
	json_auto_t *array = NULL;

	if (set == 0)
		return 0;
	array = json_array();
	if (!array)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if ((set & words[i].bit) &&
		    json_array_append_new(array, json_string(words[i].name)) < 0)
			return -ENOMEM;
	*ret_value = take_ptr(array);
	return 0;
}

static int read_words(const struct word *words, size_t n, const char *what, const json_t *v,
		      const struct json_at *at, unsigned *set, struct json_report *rep)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(v))
		return json_fail_type(rep, at, "an array", v);
	json_array_foreach (v, i, item) {
		const struct json_at element = { .parent = at, .index = i };
		unsigned bit;

		if (!json_is_string(item))
			return json_fail_type(rep, &element, what, item);
		if (word_parse(words, n, json_string_value(item), &bit) < 0)
			return json_fail(rep, &element, "\"%.40s\" is not %s",
					 json_string_value(item), what);
		*set |= bit;
	}
	return 0;
}

static int write_scopes(const void *field, json_t **ret_value)
{
	return write_words(scopes, ARRAY_SIZE(scopes), *(const unsigned *)field, ret_value);
}

static int read_scopes(const json_t *v, const struct json_at *at, void *target,
		       struct json_report *rep)
{
	return read_words(scopes, ARRAY_SIZE(scopes), "a scope", v, at, target, rep);
}

static int write_roles(const void *field, json_t **ret_value)
{
	return write_words(roles, ARRAY_SIZE(roles), *(const unsigned *)field, ret_value);
}

static int read_roles(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	return read_words(roles, ARRAY_SIZE(roles), "a role", v, at, target, rep);
}

const struct field_type field_scopes = { read_scopes, write_scopes };
const struct field_type field_roles = { read_roles, write_roles };
