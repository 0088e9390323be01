/* What is asked: bodies. */
#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "coord/api/admin.h"
#include "coord/registry/names.h"

#define USEC 1000000u

/* Nothing is as good as {}. Return: 0, -EINVAL, reported, -ENOMEM. */
static int parse(const struct admin_call *call, struct json_report *report, json_t **ret_body)
{
	size_t len;
	const char *text = http_request_body(call->req, &len);

	return len > 0 ? json_parse(text, len, report, ret_body)
		       : json_parse("{}", 2, report, ret_body);
}

int admin_call_body(struct admin_call *call, const struct json_field *fields, size_t n,
		    void *target)
{
	_cleanup_(json_report_done) struct json_report report = { 0 };
	const struct json_at root = { 0 };
	json_auto_t *body = NULL;
	int r = parse(call, &report, &body);

	if (r == 0)
		r = json_read_object(body, &root, fields, n, target, &report);
	if (r == 0)
		return 0;
	r = r == -EINVAL ? admin_call_refuse(call, 400, "bad-request", "%s", report.text)
			 : admin_call_fail(call, r);
	return r < 0 ? r : HTTP_ANSWERED;
}

/* ---- readers ---- */

static int read_bits(const json_t *v, const struct json_at *at, struct admin_bits *target,
		     int (*parse_word)(const char *text, unsigned *ret_bits), const char *expected,
		     struct json_report *rep)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(v))
		return json_fail_type(rep, at, "an array", v);
	target->is_given = true;
	json_array_foreach (v, i, item) {
		const struct json_at element = { .parent = at, .index = i };
		const char *word = json_string_value(item);
		unsigned bits;

		if (!word)
			return json_fail_type(rep, &element, "text", item);
		if (parse_word(word, &bits) < 0)
			return json_fail(rep, &element, "\"%.40s\": expected %s", word, expected);
		target->bits |= bits;
	}
	return 0;
}

int admin_read_roles(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	return read_bits(v, at, target, role_parse,
			 "owner, admin, network-admin, it-admin, billing-admin or auditor", rep);
}

int admin_read_scopes(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	return read_bits(v, at, target, scope_parse,
			 "users:read, users:write, nodes:read, nodes:write, keys:read, keys:write, "
			 "policy:read, policy:write, events:read, metrics:read or all",
			 rep);
}

int admin_read_lifetime(const json_t *v, const struct json_at *at, void *target,
			struct json_report *rep)
{
	const char *word = json_string_value(v);
	uint64_t seconds = 0, *usec = target;
	int r = 0;

	if (!word)
		r = json_read_u64(v, at, &seconds, rep);
	else if (strcmp(word, "never") == 0)
		seconds = RECORD_NEVER;
	if (r < 0)
		return r;
	if (seconds == 0)
		return json_fail(rep, at, "expected seconds from now, at least one, or \"never\"");
	*usec = seconds > RECORD_LAST_TIME / USEC ? RECORD_NEVER : seconds * USEC;
	return 0;
}

int admin_read_expiry(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	struct admin_when *when = target;
	int r = 0;

	when->usec = RECORD_NEVER;
	if (!json_is_null(v))
		r = json_read_time(v, at, &when->usec, rep);
	when->is_given = r == 0;
	return r;
}
