/* Checks that are asked for, and what is remembered of them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coord/registry/code.h"
#include "coord/registry/field.h"

static const char *const states[] = {
	[CHECK_WAITING] = "waiting",
	[CHECK_APPROVED] = "approved",
	[CHECK_DENIED] = "denied",
};

const char *check_state_to_string(enum check_state state)
{
	return states[state];
}

DEFINE_WORD_FIELD(field_state, states, enum check_state);

/* ---- logins ---- */

#define AT(member) offsetof(struct check_login, member)
static const struct field login_fields[] = {
	{ "target", &field_name, AT(target), 0 },
	{ "ssh_user", &field_text, AT(ssh_user), 0 },
	{ "asked", &field_moment, AT(asked), JSON_REQUIRED },
	{ "order", &field_count, AT(order), 0 },
};
#undef AT

static int read_login(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	const struct check_login *login = target;
	int r = fields_read(v, at, login_fields, ARRAY_SIZE(login_fields), target, rep);

	if (r < 0)
		return r;
	if (login->ssh_user && !login->target)
		return json_fail(rep, at, "is a login to nowhere; expected a target");
	if (login->target && !record_is_id(login->target, 'n'))
		return json_fail(rep, at, "target: is no id of a node");
	return 0;
}

static int read_logins(const json_t *v, const struct json_at *at, void *target,
		       struct json_report *rep)
{
	struct check_login_list *list = target;

	return json_read_array(v, at, RECORD_MAX_LOGINS, sizeof(*list->items), read_login,
			       &list->items, &list->n, rep);
}

static int write_logins(const void *field, json_t **ret_value)
{
	const struct check_login_list *list = field;
	json_auto_t *array = json_array();

	if (!array)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++) {
		json_t *login = NULL;
		int r = fields_write(login_fields, ARRAY_SIZE(login_fields), &list->items[i],
				     &login);

		if (r < 0 || json_array_append_new(array, login) < 0)
			return -ENOMEM;
	}
	*ret_value = take_ptr(array);
	return 0;
}

static const struct field_type field_logins = { read_logins, write_logins };

/* ---- requests ---- */

#define AT(member) offsetof(struct checkreq_record, member)
static const struct field checkreq_fields[] = {
	{ "code", &field_name, AT(code), JSON_REQUIRED },
	{ "user", &field_login, AT(user), JSON_REQUIRED },
	{ "node", &field_name, AT(node), JSON_REQUIRED },
	{ "logins", &field_logins, AT(logins), JSON_REQUIRED },
	{ "created", &field_moment, AT(created), JSON_REQUIRED },
	{ "expires", &field_moment, AT(expires), JSON_REQUIRED },
	{ "state", &field_state, AT(state), JSON_REQUIRED },
	{ "by", &field_text, AT(by), 0 },
	{ "at", &field_time, AT(at), 0 },
};
#undef AT

static int check_checkreq(const void *record, struct json_report *rep)
{
	const struct checkreq_record *req = record;
	bool is_answered = req->state != CHECK_WAITING;

	if (!check_id_is_valid(req->head.id))
		return json_fail(rep, NULL, "is no id of a check");
	if (!check_code_is_valid(req->code))
		return json_fail(rep, NULL, "code: expected \"123-456\"");
	if (!record_is_id(req->node, 'n'))
		return json_fail(rep, NULL, "node: is no id of a node");
	if (req->logins.n == 0)
		return json_fail(rep, NULL, "logins: expected one or more");
	if (!req->by == is_answered || !req->at == is_answered)
		return json_fail(rep, NULL,
				 "by, at: belong to a check that was answered, and only there");
	return 0;
}

static void checkreq_done(void *record)
{
	struct checkreq_record *req = record;

	free(req->head.id);
	free(req->code);
	free(req->user);
	free(req->node);
	for (size_t i = 0; i < req->logins.n; i++) {
		free(req->logins.items[i].target);
		free(req->logins.items[i].ssh_user);
	}
	free(req->logins.items);
	free(req->by);
	*req = (struct checkreq_record){ 0 };
}

const struct record_kind checkreq_record_kind = {
	.prefix = "checkreqs/",
	.fields = checkreq_fields,
	.n_fields = ARRAY_SIZE(checkreq_fields),
	.size = sizeof(struct checkreq_record),
	.check = check_checkreq,
	.done = checkreq_done,
};

DEFINE_RECORD(checkreq_record);
DEFINE_RECORD_COPY(checkreq_record);

/* ---- what is remembered ---- */

#define AT(member) offsetof(struct checkgrant_record, member)
static const struct field checkgrant_fields[] = {
	{ "user", &field_login, AT(user), JSON_REQUIRED }, { "at", &field_time, AT(at), 0 },
	{ "order", &field_count, AT(order), 0 },	   { "method", &field_text, AT(method), 0 },
	{ "strength", &field_strength, AT(strength), 0 },  { "from", &field_text, AT(from), 0 },
	{ "request", &field_name, AT(request), 0 },	   { "asked", &field_time, AT(asked), 0 },
};
#undef AT

static int check_checkgrant(const void *record, struct json_report *rep)
{
	const struct checkgrant_record *grant = record;

	if (!record_is_id(grant->head.id, 'n'))
		return json_fail(rep, NULL, "is no id of a node");
	if (!grant->at != !grant->method)
		return json_fail(rep, NULL, "method: belongs to an approval, and only there");
	if (grant->request && !check_id_is_valid(grant->request))
		return json_fail(rep, NULL, "request: is no id of a check");
	return 0;
}

static void checkgrant_done(void *record)
{
	struct checkgrant_record *grant = record;

	free(grant->head.id);
	free(grant->user);
	free(grant->method);
	free(grant->from);
	free(grant->request);
	*grant = (struct checkgrant_record){ 0 };
}

const struct record_kind checkgrant_record_kind = {
	.prefix = "checkgrants/",
	.fields = checkgrant_fields,
	.n_fields = ARRAY_SIZE(checkgrant_fields),
	.size = sizeof(struct checkgrant_record),
	.check = check_checkgrant,
	.done = checkgrant_done,
};

DEFINE_RECORD(checkgrant_record);
