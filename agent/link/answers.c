#include "agent/link/answers.h"

#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/json_values.h"
#include "common/text.h"

#define MAX_WORD 128u
#define MAX_LINE 512u

/* ---- readers ---- */

static int read_checked(const json_t *v, const struct json_at *at, size_t max, bool blanks,
			void *target, struct json_report *rep)
{
	const char *text = json_string_value(v);

	if (!text)
		return json_fail_type(rep, at, "a text", v);
	if (!text[0] || strlen(text) > max)
		return json_fail(rep, at, "is empty or longer than %zu characters", max);
	for (const char *c = text; *c; c++)
		if (*c < (blanks ? ' ' : '!') || *c > '~')
			return json_fail(rep, at, "has characters that it may not have");
	return json_read_string(v, at, target, rep);
}

/* Printable ASCII: it is shown to people, and sent back. */
static int read_word(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	return read_checked(v, at, MAX_WORD, false, target, rep);
}

static int read_line(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	return read_checked(v, at, MAX_LINE, true, target, rep);
}

/* People open it: nothing but the web. */
static int read_web_url(const json_t *v, const struct json_at *at, void *target,
			struct json_report *rep)
{
	const char *text = json_string_value(v);

	if (!text || (strncmp(text, "https://", 8) != 0 && strncmp(text, "http://", 7) != 0))
		return json_fail(rep, at, "is no URL of https or http");
	return read_checked(v, at, MAX_LINE, false, target, rep);
}

static int read_coordinator_key(const json_t *v, const struct json_at *at, void *target,
				struct json_report *rep)
{
	const char *text = json_string_value(v);

	if (!text || ed25519_public_parse(ED25519_COORDINATOR, text, strlen(text), target) < 0)
		return json_fail(rep, at,
				 "is no coordinator's key; expected pgc: and 43 characters");
	return 0;
}

static int read_version(const json_t *v, const struct json_at *at, void *target,
			struct json_report *rep)
{
	if (json_integer_value(v) != 1)
		return json_fail(rep, at, "is not 1: the coordinator needs another agent");
	return 0;
}

static int report_text(int error, const char *what, const struct json_report *rep,
		       char **reterr_text)
{
	if (error != -EINVAL)
		return error;
	*reterr_text =
		text_printf("%s: %s", what, rep->text ? rep->text : "is not as it should be");
	return *reterr_text ? -EINVAL : -ENOMEM;
}

/* ---- GET /v1/coordinator ---- */

void link_contact_done(struct link_contact *contact)
{
	free(contact->domain);
	*contact = (struct link_contact){ 0 };
}

int link_contact_read(const char *text, size_t len, struct link_contact *ret_contact,
		      char **reterr_text)
{
	static const struct json_field fields[] = {
		{ "version", read_version, 0, JSON_REQUIRED },
		{ "key", read_coordinator_key, offsetof(struct link_contact, key), JSON_REQUIRED },
		{ "domain", json_read_domain, offsetof(struct link_contact, domain),
		  JSON_REQUIRED },
	};
	_cleanup_(link_contact_done) struct link_contact contact = { 0 };
	_cleanup_(json_report_done) struct json_report rep = { 0 };
	const struct json_at root = { 0 };
	json_auto_t *body = NULL;
	int r;

	r = json_parse(text, len, &rep, &body);
	if (r == 0)
		r = json_read_object(body, &root, fields, ARRAY_SIZE(fields), &contact, &rep);
	if (r < 0)
		return report_text(r, "what the coordinator says of itself", &rep, reterr_text);
	*ret_contact = contact;
	contact = (struct link_contact){ 0 };
	return 0;
}

/* ---- enrolled ---- */

void link_enrolment_done(struct link_enrolment *enrolment)
{
	free(enrolment->node_id);
	free(enrolment->name);
	free(enrolment->domain);
	*enrolment = (struct link_enrolment){ 0 };
}

static int read_node(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	static const struct json_field fields[] = {
		{ "id", read_word, offsetof(struct link_enrolment, node_id), JSON_REQUIRED },
		{ "name", json_read_label, offsetof(struct link_enrolment, name), JSON_REQUIRED },
	};

	return json_read_object(v, at, fields, ARRAY_SIZE(fields), target, rep);
}

static int read_mesh(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	static const struct json_field fields[] = {
		{ "domain", json_read_domain, offsetof(struct link_enrolment, domain),
		  JSON_REQUIRED },
	};

	return json_read_object(v, at, fields, ARRAY_SIZE(fields), target, rep);
}

int link_enrolment_read(const json_t *body, struct link_enrolment *ret_enrolment,
			char **reterr_text)
{
	static const struct json_field fields[] = {
		{ "node", read_node, 0, JSON_REQUIRED },
		{ "mesh", read_mesh, 0, JSON_REQUIRED },
	};
	_cleanup_(link_enrolment_done) struct link_enrolment enrolment = { 0 };
	_cleanup_(json_report_done) struct json_report rep = { 0 };
	const struct json_at root = { 0 };
	int r;

	r = json_read_object(body, &root, fields, ARRAY_SIZE(fields), &enrolment, &rep);
	if (r < 0)
		return report_text(r, "the enrolment", &rep, reterr_text);
	*ret_enrolment = enrolment;
	enrolment = (struct link_enrolment){ 0 };
	return 0;
}

/* ---- pending ---- */

void link_approval_done(struct link_approval *approval)
{
	if (approval->id)
		explicit_bzero(approval->id, strlen(approval->id));
	free(approval->id);
	free(approval->code);
	free(approval->url);
	free(approval->approve);
	*approval = (struct link_approval){ 0 };
}

int link_approval_read(const json_t *body, struct link_approval *ret_approval, char **reterr_text)
{
#define AT(member) offsetof(struct link_approval, member)
	static const struct json_field fields[] = {
		{ "id", read_word, AT(id), JSON_REQUIRED },
		{ "code", read_word, AT(code), JSON_REQUIRED },
		{ "url", read_web_url, AT(url), JSON_NULLABLE },
		{ "approve", read_line, AT(approve), JSON_NULLABLE },
		{ "expires_at", json_read_time, AT(until), JSON_NULLABLE },
	};
#undef AT
	_cleanup_(link_approval_done) struct link_approval approval = { .until = UINT64_MAX };
	_cleanup_(json_report_done) struct json_report rep = { 0 };
	const struct json_at root = { 0 };
	int r;

	r = json_read_object(body, &root, fields, ARRAY_SIZE(fields), &approval, &rep);
	if (r < 0)
		return report_text(r, "what there is to wait for", &rep, reterr_text);
	*ret_approval = approval;
	approval = (struct link_approval){ 0 };
	return 0;
}
