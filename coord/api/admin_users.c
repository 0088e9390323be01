/* People. */
#include <stdlib.h>

#include "common/clock.h"
#include "coord/api/admin.h"

/* Seconds; null: not before the keys of their hosts expire. */
static json_t *notice_json(const struct api *api, const struct identity *identity)
{
	uint64_t usec = api->renewals ? renewals_notice_usec(api->renewals, identity->issuer,
							     identity->subject)
				      : 0;

	return usec ? json_integer((json_int_t)(usec / USEC_PER_SEC)) : json_null();
}

static json_t *identities_json(const struct api *api, const struct identity_list *list)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < list->n; i++)
		if (json_array_append_new(
			    array,
			    json_pack("{s:s, s:s, s:o, s:o}", "issuer", list->items[i].issuer,
				      "subject", list->items[i].subject, "groups",
				      admin_texts(&list->items[i].groups), "noticed_within",
				      notice_json(api, &list->items[i]))) < 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

/* Those of the policy. */
static json_t *groups_json(const struct api *api, const struct user_record *user)
{
	_cleanup_(text_list_done) struct text_list groups = { 0 };

	if (registry_user_groups(api->registry, user, &groups) < 0)
		return NULL;
	return admin_texts(&groups);
}

/* That there is a password, and a secret for codes; nothing of what they are. */
json_t *admin_user_json(const struct api *api, const struct user_record *user)
{
	return json_pack("{s:s, s:s?, s:o, s:o, s:o, s:s?, s:b, s:b, s:o, s:o, s:o}", "login",
			 user->head.id, "name", user->name, "roles",
			 admin_words(user->roles, role_name), "created", admin_time(user->created),
			 "suspended", admin_time(user->suspended), "gone_from", user->gone_from,
			 "password", user->password != NULL, "totp", user->totp != NULL,
			 "identities", identities_json(api, &user->identities), "groups",
			 groups_json(api, user), "last_sign_in", admin_time(user->last_sign_in));
}

static json_t *user_at(const struct api *api, size_t i)
{
	return admin_user_json(api, registry_user_at(api->registry, i));
}

static const struct record_head *user_head(const struct registry *registry, size_t i)
{
	return &registry_user_at(registry, i)->head;
}

int admin_users_list(struct admin_call *call)
{
	static const struct admin_list list = { "users", registry_n_users, user_head, user_at };

	return admin_list(call, &list);
}

void admin_call_user(const struct registry_result *result, void *userdata)
{
	struct admin_call *call = userdata;

	if (admin_call_refused(call, result) < 0)
		admin_call_answer(call, 200, admin_user_json(call->api, result->user));
}

struct user_body {
	char *login, *name;
	struct admin_bits roles;
};

static void user_body_done(struct user_body *body)
{
	free(body->login);
	free(body->name);
}

static struct registry_user_patch patch_of(const struct user_body *body)
{
	return (struct registry_user_patch){
		.name = body->name,
		.roles = body->roles.is_given ? &body->roles.bits : NULL,
	};
}

#define AT(member) offsetof(struct user_body, member)
/* The login comes first: PATCH has none in its body. */
static const struct json_field fields[] = {
	{ "login", json_read_string, AT(login), JSON_REQUIRED },
	{ "name", json_read_string, AT(name), JSON_NULLABLE },
	{ "roles", admin_read_roles, AT(roles), JSON_NULLABLE },
};
#undef AT

int admin_users_add(struct admin_call *call)
{
	_cleanup_(user_body_done) struct user_body body = { 0 };
	struct registry_user_patch patch;
	int r = admin_call_body(call, fields, ARRAY_SIZE(fields), &body);

	if (r != 0)
		return r < 0 ? r : 0;
	patch = patch_of(&body);
	registry_add_user(call->api->registry, &call->actor, body.login, &patch, admin_call_user,
			  call);
	return 0;
}

int admin_users_set(struct admin_call *call)
{
	_cleanup_(user_body_done) struct user_body body = { 0 };
	struct registry_user_patch patch;
	int r = admin_call_body(call, fields + 1, ARRAY_SIZE(fields) - 1, &body);

	if (r != 0)
		return r < 0 ? r : 0;
	patch = patch_of(&body);
	registry_patch_user(call->api->registry, &call->actor,
			    http_request_param(call->req, "login"), &patch, admin_call_user, call);
	return 0;
}

int admin_users_delete(struct admin_call *call)
{
	registry_delete_user(call->api->registry, &call->actor,
			     http_request_param(call->req, "login"), admin_call_done, call);
	return 0;
}
