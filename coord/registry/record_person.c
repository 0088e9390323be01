/* People: who they are for providers, and the records of them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coord/registry/field.h"
#include "coord/registry/names.h"

/* ---- identities ---- */

#define AT(member) offsetof(struct identity, member)
static const struct field identity_fields[] = {
	{ "issuer", &field_text, AT(issuer), JSON_REQUIRED },
	{ "subject", &field_text, AT(subject), JSON_REQUIRED },
	{ "groups", &field_groups, AT(groups), 0 },
};
#undef AT

static bool same_identity(const struct identity *a, const char *issuer, const char *subject)
{
	return strcmp(a->issuer, issuer) == 0 && strcmp(a->subject, subject) == 0;
}

static int read_identity(const json_t *v, const struct json_at *at, void *target,
			 struct json_report *rep)
{
	return fields_read(v, at, identity_fields, ARRAY_SIZE(identity_fields), target, rep);
}

static int read_identities(const json_t *v, const struct json_at *at, void *target,
			   struct json_report *rep)
{
	struct identity_list *list = target;
	int r = json_read_array(v, at, RECORD_MAX_IDENTITIES, sizeof(*list->items), read_identity,
				&list->items, &list->n, rep);

	for (size_t i = 0; r == 0 && i < list->n; i++)
		for (size_t k = 0; k < i; k++)
			if (same_identity(&list->items[k], list->items[i].issuer,
					  list->items[i].subject))
				return json_fail(rep, at, "has the same identity twice");
	return r;
}

static int write_identities(const void *field, json_t **ret_value)
{
	const struct identity_list *list = field;
	json_auto_t *array = NULL;

	if (list->n == 0)
		return 0;
	array = json_array();
	if (!array)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++) {
		json_t *item = NULL;
		int r = fields_write(identity_fields, ARRAY_SIZE(identity_fields), &list->items[i],
				     &item);

		if (r < 0 || json_array_append_new(array, item) < 0)
			return -ENOMEM;
	}
	*ret_value = take_ptr(array);
	return 0;
}

const struct field_type field_identities = { read_identities, write_identities };

/*
 * Older records have the groups of the only identity that there could be besides it. Without one,
 * or with several, nobody can say whose they were.
 */
static int read_old_groups(const json_t *v, const struct json_at *at, void *target,
			   struct json_report *rep)
{
	struct identity_list *list = target;
	struct text_list groups = { 0 };
	int r = field_groups.read(v, at, &groups, rep);

	if (r == 0 && list->n == 1 && list->items[0].groups.n == 0) {
		list->items[0].groups = groups;
		groups = (struct text_list){ 0 };
	}
	text_list_done(&groups);
	return r;
}

static int write_no_groups(const void *field, json_t **ret_value)
{
	return 0;
}

static const struct field_type field_old_groups = { read_old_groups, write_no_groups };

static void identities_done(struct identity_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->items[i].issuer);
		free(list->items[i].subject);
		text_list_done(&list->items[i].groups);
	}
	free(list->items);
}

const struct identity *user_identity(const struct user_record *user, const char *issuer,
				     const char *subject)
{
	for (size_t i = 0; i < user->identities.n; i++)
		if (same_identity(&user->identities.items[i], issuer, subject))
			return &user->identities.items[i];
	return NULL;
}

/* ---- users ---- */

#define AT(member) offsetof(struct user_record, member)
static const struct field user_fields[] = {
	{ "name", &field_text, AT(name), 0 },
	{ "roles", &field_roles, AT(roles), 0 },
	{ "created", &field_moment, AT(created), JSON_REQUIRED },
	{ "suspended", &field_time, AT(suspended), 0 },
	{ "gone_from", &field_text, AT(gone_from), 0 },
	{ "identities", &field_identities, AT(identities), 0 },
	{ "provider_groups", &field_old_groups, AT(identities), 0 },
	{ "password", &field_crypt, AT(password), 0 },
	{ "password_set", &field_time, AT(password_set), 0 },
	{ "totp", &field_totp, AT(totp), 0 },
	{ "totp_step", &field_count, AT(totp_step), 0 },
	{ "last_sign_in", &field_time, AT(last_sign_in), 0 },
	{ "signed_out", &field_time, AT(signed_out), 0 },
};
#undef AT

static int check_user(const void *record, struct json_report *rep)
{
	const struct user_record *user = record;

	if (login_problem(user->head.id))
		return json_fail(rep, NULL, "is no login");
	if (user->gone_from && !user->suspended)
		return json_fail(rep, NULL, "gone_from: is for who is suspended");
	return 0;
}

static void user_done(void *record)
{
	struct user_record *user = record;

	free(user->head.id);
	free(user->name);
	identities_done(&user->identities);
	free(user->gone_from);
	free(user->password);
	free(user->totp);
	*user = (struct user_record){ 0 };
}

const struct record_kind user_record_kind = {
	.prefix = "users/",
	.fields = user_fields,
	.n_fields = ARRAY_SIZE(user_fields),
	.size = sizeof(struct user_record),
	.check = check_user,
	.done = user_done,
};

DEFINE_RECORD(user_record);
DEFINE_RECORD_COPY(user_record);

/* ---- whose an identity is ---- */

static const struct field idp_fields[] = {
	{ "user", &field_login, offsetof(struct idp_record, user), JSON_REQUIRED },
};

static int check_idp(const void *record, struct json_report *rep)
{
	const struct idp_record *idp = record;

	return record_is_hash(idp->head.id) ? 0 : json_fail(rep, NULL, "is no hash of an identity");
}

static void idp_done(void *record)
{
	struct idp_record *idp = record;

	free(idp->head.id);
	free(idp->user);
	*idp = (struct idp_record){ 0 };
}

const struct record_kind idp_record_kind = {
	.prefix = "idp/",
	.fields = idp_fields,
	.n_fields = ARRAY_SIZE(idp_fields),
	.size = sizeof(struct idp_record),
	.check = check_idp,
	.done = idp_done,
};

DEFINE_RECORD(idp_record);
