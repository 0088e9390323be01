/* Auth keys and API keys. */
#include <stdlib.h>

#include "coord/api/admin.h"
#include "coord/api/tags.h"

/* The new key's text: it is shown this once. */
static void answer_created(struct admin_call *call, const char *id, uint64_t expires,
			   const char *secret)
{
	admin_call_answer(call, 200,
			  json_pack("{s:s, s:s, s:o}", "id", id, "key", secret, "expires",
				    admin_time(expires)));
}

/* "valid", or why it is not. */
static const char *state_of(const struct api *api, uint64_t revoked, uint64_t expires, bool used_up)
{
	if (revoked)
		return "revoked";
	if (expires <= registry_now(api->registry))
		return "expired";
	return used_up ? "used" : "valid";
}

/* ---- auth keys ---- */

static json_t *authkey_at(const struct api *api, size_t i)
{
	const struct authkey_record *key = registry_authkey_at(api->registry, i);
	bool used_up = !key->reusable && key->used > 0;

	return json_pack("{s:s, s:s, s:s?, s:o, s:b, s:b, s:o, s:o, s:o, s:I, s:o, s:s, s:s?}",
			 "id", key->head.id, "state",
			 state_of(api, key->revoked, key->expires, used_up), "user", key->user,
			 "tags", admin_texts(&key->tags), "reusable", key->reusable, "ephemeral",
			 key->ephemeral, "created", admin_time(key->created), "expires",
			 admin_time(key->expires), "revoked", admin_time(key->revoked), "used",
			 (json_int_t)key->used, "last_used", admin_time(key->last_used),
			 "created_by", key->created_by, "description", key->description);
}

static const struct record_head *authkey_head(const struct registry *registry, size_t i)
{
	return &registry_authkey_at(registry, i)->head;
}

int admin_authkeys_list(struct admin_call *call)
{
	static const struct admin_list list = { "authkeys", registry_n_authkeys, authkey_head,
						authkey_at };

	return admin_list(call, &list);
}

struct authkey_body {
	char *user, *description;
	struct text_list tags;
	bool reusable, ephemeral;
	uint64_t lifetime_usec;
};

static void authkey_body_done(struct authkey_body *body)
{
	free(body->user);
	free(body->description);
	text_list_done(&body->tags);
}

static void on_authkey(const struct registry_result *result, void *userdata)
{
	struct admin_call *call = userdata;

	if (admin_call_refused(call, result) < 0)
		answer_created(call, result->authkey->head.id, result->authkey->expires,
			       result->secret);
}

int admin_authkeys_create(struct admin_call *call)
{
#define AT(member) offsetof(struct authkey_body, member)
	static const struct json_field fields[] = {
		{ "user", json_read_string, AT(user), JSON_NULLABLE },
		{ "tags", tags_read, AT(tags), JSON_NULLABLE },
		{ "reusable", json_read_bool, AT(reusable), JSON_NULLABLE },
		{ "ephemeral", json_read_bool, AT(ephemeral), JSON_NULLABLE },
		{ "expires_in", admin_read_lifetime, AT(lifetime_usec), JSON_NULLABLE },
		{ "description", json_read_string, AT(description), JSON_NULLABLE },
	};
#undef AT
	_cleanup_(authkey_body_done) struct authkey_body body = { 0 };
	struct registry_authkey_request request;
	int r = admin_call_body(call, fields, ARRAY_SIZE(fields), &body);

	if (r != 0)
		return r < 0 ? r : 0;
	request = (struct registry_authkey_request){
		.user = body.user,
		.tags = body.tags,
		.reusable = body.reusable,
		.ephemeral = body.ephemeral,
		.lifetime_usec = body.lifetime_usec,
		.description = body.description,
	};
	registry_create_authkey(call->api->registry, &call->actor, &request, on_authkey, call);
	return 0;
}

int admin_authkeys_revoke(struct admin_call *call)
{
	registry_revoke_authkey(call->api->registry, &call->actor,
				http_request_param(call->req, "id"), admin_call_done, call);
	return 0;
}

/* ---- API keys ---- */

static json_t *apikey_at(const struct api *api, size_t i)
{
	const struct apikey_record *key = registry_apikey_at(api->registry, i);

	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:s, s:s?}", "id", key->head.id, "state",
			 state_of(api, key->revoked, key->expires, false), "scopes",
			 admin_words(key->scopes, scope_name), "created", admin_time(key->created),
			 "expires", admin_time(key->expires), "revoked", admin_time(key->revoked),
			 "created_by", key->created_by, "description", key->description);
}

static const struct record_head *apikey_head(const struct registry *registry, size_t i)
{
	return &registry_apikey_at(registry, i)->head;
}

int admin_apikeys_list(struct admin_call *call)
{
	static const struct admin_list list = { "apikeys", registry_n_apikeys, apikey_head,
						apikey_at };

	return admin_list(call, &list);
}

struct apikey_body {
	struct admin_bits scopes;
	uint64_t lifetime_usec;
	char *description;
};

static void apikey_body_done(struct apikey_body *body)
{
	free(body->description);
}

static void on_apikey(const struct registry_result *result, void *userdata)
{
	struct admin_call *call = userdata;

	if (admin_call_refused(call, result) < 0)
		answer_created(call, result->apikey->head.id, result->apikey->expires,
			       result->secret);
}

int admin_apikeys_create(struct admin_call *call)
{
#define AT(member) offsetof(struct apikey_body, member)
	static const struct json_field fields[] = {
		{ "scopes", admin_read_scopes, AT(scopes), JSON_REQUIRED },
		{ "expires_in", admin_read_lifetime, AT(lifetime_usec), JSON_NULLABLE },
		{ "description", json_read_string, AT(description), JSON_NULLABLE },
	};
#undef AT
	_cleanup_(apikey_body_done) struct apikey_body body = { 0 };
	struct registry_apikey_request request;
	int r = admin_call_body(call, fields, ARRAY_SIZE(fields), &body);

	if (r != 0)
		return r < 0 ? r : 0;
	request = (struct registry_apikey_request){
		.scopes = body.scopes.bits,
		.lifetime_usec = body.lifetime_usec,
		.description = body.description,
	};
	registry_create_apikey(call->api->registry, &call->actor, &request, on_apikey, call);
	return 0;
}

int admin_apikeys_revoke(struct admin_call *call)
{
	registry_revoke_apikey(call->api->registry, &call->actor,
			       http_request_param(call->req, "id"), admin_call_done, call);
	return 0;
}
