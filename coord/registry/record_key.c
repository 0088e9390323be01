/* Auth keys and API keys. */
#include <errno.h>
#include <stdlib.h>

#include "coord/registry/field.h"

#define AT(member) offsetof(struct authkey_record, member)
static const struct field authkey_fields[] = {
	{ "hash", &field_hash, AT(hash), JSON_REQUIRED },
	{ "user", &field_login, AT(user), 0 },
	{ "tags", &field_tags, AT(tags), 0 },
	{ "reusable", &field_bool, AT(reusable), 0 },
	{ "ephemeral", &field_bool, AT(ephemeral), 0 },
	{ "created", &field_moment, AT(created), JSON_REQUIRED },
	{ "expires", &field_end, AT(expires), 0 },
	{ "used", &field_count, AT(used), 0 },
	{ "last_used", &field_time, AT(last_used), 0 },
	{ "revoked", &field_time, AT(revoked), 0 },
	{ "created_by", &field_text, AT(created_by), JSON_REQUIRED },
	{ "description", &field_text, AT(description), 0 },
};
#undef AT

static int check_authkey(const void *record, struct json_report *rep)
{
	const struct authkey_record *authkey = record;

	if (!record_is_id(authkey->head.id, 'k'))
		return json_fail(rep, NULL, "is no id of an auth key");
	if (!authkey->user == !authkey->tags.n)
		return json_fail(rep, NULL, "has %s; expected the one or the other",
				 authkey->user ? "a user and tags" : "neither a user nor tags");
	return 0;
}

static void authkey_done(void *record)
{
	struct authkey_record *authkey = record;

	free(authkey->head.id);
	free(authkey->user);
	text_list_done(&authkey->tags);
	free(authkey->created_by);
	free(authkey->description);
	*authkey = (struct authkey_record){ 0 };
}

static const struct authkey_record authkey_defaults = { .expires = RECORD_NEVER };
const struct record_kind authkey_record_kind = {
	.prefix = "authkeys/",
	.fields = authkey_fields,
	.n_fields = ARRAY_SIZE(authkey_fields),
	.size = sizeof(struct authkey_record),
	.defaults = &authkey_defaults,
	.check = check_authkey,
	.done = authkey_done,
};

DEFINE_RECORD(authkey_record);
DEFINE_RECORD_COPY(authkey_record);

#define AT(member) offsetof(struct apikey_record, member)
static const struct field apikey_fields[] = {
	{ "hash", &field_hash, AT(hash), JSON_REQUIRED },
	{ "scopes", &field_scopes, AT(scopes), JSON_REQUIRED },
	{ "created", &field_moment, AT(created), JSON_REQUIRED },
	{ "expires", &field_end, AT(expires), 0 },
	{ "revoked", &field_time, AT(revoked), 0 },
	{ "created_by", &field_text, AT(created_by), JSON_REQUIRED },
	{ "description", &field_text, AT(description), 0 },
};
#undef AT

static int check_apikey(const void *record, struct json_report *rep)
{
	const struct apikey_record *apikey = record;

	return record_is_id(apikey->head.id, 'a') ? 0
						  : json_fail(rep, NULL, "is no id of an API key");
}

static void apikey_done(void *record)
{
	struct apikey_record *apikey = record;

	free(apikey->head.id);
	free(apikey->created_by);
	free(apikey->description);
	*apikey = (struct apikey_record){ 0 };
}

static const struct apikey_record apikey_defaults = { .expires = RECORD_NEVER };
const struct record_kind apikey_record_kind = {
	.prefix = "apikeys/",
	.fields = apikey_fields,
	.n_fields = ARRAY_SIZE(apikey_fields),
	.size = sizeof(struct apikey_record),
	.defaults = &apikey_defaults,
	.check = check_apikey,
	.done = apikey_done,
};

DEFINE_RECORD(apikey_record);
DEFINE_RECORD_COPY(apikey_record);
