/* What lets somebody in who shows a secret: sessions of browsers, links that set a password. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coord/registry/field.h"

/* ---- how sure ---- */

static const char *const strengths[] = {
	[AUTH_NONE] = "none",
	[AUTH_PROMPT_ONLY] = "prompt_only",
	[AUTH_MAX_AGE] = "max_age",
};

const char *auth_strength_to_string(enum auth_strength strength)
{
	return strengths[strength];
}

int auth_strength_parse(const char *text, enum auth_strength *ret_strength)
{
	for (size_t i = 0; i < ARRAY_SIZE(strengths); i++) {
		if (strcmp(strengths[i], text) == 0) {
			*ret_strength = (enum auth_strength)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int read_strength(const json_t *v, const struct json_at *at, void *target,
			 struct json_report *rep)
{
	const char *text = json_string_value(v);

	if (text && auth_strength_parse(text, target) == 0)
		return 0;
	return json_fail(rep, at, "expected \"max_age\", \"prompt_only\" or \"none\"");
}

static int write_strength(const void *field, json_t **ret_value)
{
	*ret_value = json_string(strengths[*(const enum auth_strength *)field]);
	return *ret_value ? 0 : -ENOMEM;
}

const struct field_type field_strength = { read_strength, write_strength };

/* ---- sessions ---- */

#define AT(member) offsetof(struct websession_record, member)
static const struct field websession_fields[] = {
	{ "user", &field_login, AT(user), JSON_REQUIRED },
	{ "created", &field_moment, AT(created), JSON_REQUIRED },
	{ "auth_time", &field_moment, AT(auth_time), JSON_REQUIRED },
	{ "expires", &field_moment, AT(expires), JSON_REQUIRED },
	{ "method", &field_text, AT(method), JSON_REQUIRED },
	{ "strength", &field_strength, AT(strength), JSON_REQUIRED },
	{ "from", &field_address, AT(from), 0 },
	{ "agent", &field_text, AT(agent), 0 },
};
#undef AT

static int check_websession(const void *record, struct json_report *rep)
{
	const struct websession_record *session = record;

	return record_is_hash(session->head.id)
		       ? 0
		       : json_fail(rep, NULL, "is no hash of a session's secret");
}

static void websession_done(void *record)
{
	struct websession_record *session = record;

	free(session->head.id);
	free(session->user);
	free(session->method);
	free(session->agent);
	*session = (struct websession_record){ 0 };
}

const struct record_kind websession_record_kind = {
	.prefix = "websessions/",
	.fields = websession_fields,
	.n_fields = ARRAY_SIZE(websession_fields),
	.size = sizeof(struct websession_record),
	.check = check_websession,
	.done = websession_done,
};

DEFINE_RECORD(websession_record);

/* ---- links ---- */

#define AT(member) offsetof(struct pwlink_record, member)
static const struct field pwlink_fields[] = {
	{ "user", &field_login, AT(user), JSON_REQUIRED },
	{ "created_by", &field_text, AT(created_by), JSON_REQUIRED },
	{ "created", &field_moment, AT(created), JSON_REQUIRED },
	{ "expires", &field_moment, AT(expires), JSON_REQUIRED },
};
#undef AT

static int check_pwlink(const void *record, struct json_report *rep)
{
	const struct pwlink_record *link = record;

	return record_is_hash(link->head.id)
		       ? 0
		       : json_fail(rep, NULL, "is no hash of a link's secret");
}

static void pwlink_done(void *record)
{
	struct pwlink_record *link = record;

	free(link->head.id);
	free(link->user);
	free(link->created_by);
	*link = (struct pwlink_record){ 0 };
}

const struct record_kind pwlink_record_kind = {
	.prefix = "pwlinks/",
	.fields = pwlink_fields,
	.n_fields = ARRAY_SIZE(pwlink_fields),
	.size = sizeof(struct pwlink_record),
	.check = check_pwlink,
	.done = pwlink_done,
};

DEFINE_RECORD(pwlink_record);
