#include "sshgw/monitor/lease.h"

#include <errno.h>
#include <string.h>

#include "common/conf.h"
#include "common/json.h"
#include "common/text.h"
#include "sshgw/msg.h"

#define MAX_PATTERNS 256u

void lease_done(struct lease *lease)
{
	free(lease->id);
	free(lease->node_id);
	free(lease->node_name);
	free(lease->node_key);
	free(lease->user);
	free(lease->local_user);
	lease->accept_env = conf_strv_free(lease->accept_env);
	free(lease->force_command);
	free(lease->message);
	free(lease->rule);
	*lease = (struct lease){ 0 };
}

void lease_answer_done(struct lease_answer *answer)
{
	lease_done(&answer->lease);
	free(answer->reason);
	free(answer->message);
	free(answer->check.message);
	free(answer->check.url);
	free(answer->check.code);
	*answer = (struct lease_answer){ 0 };
}

static int read_state(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	static const char *const names[] = {
		[LEASE_ACCEPT] = "accept",   [LEASE_REJECT] = "reject", [LEASE_KEEP] = "keep",
		[LEASE_REVOKED] = "revoked", [LEASE_CHECK] = "check",
	};
	const char *text = json_string_value(v);

	for (size_t i = 0; text && i < ARRAY_SIZE(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*(enum lease_state *)target = (enum lease_state)i;
			return 0;
		}
	}
	return json_fail(rep, at, "unknown state; expected accept, reject, check, keep or revoked");
}

/* It is shown on a terminal, and typed. */
static int read_printable(const json_t *v, const struct json_at *at, size_t max, void *target,
			  struct json_report *rep)
{
	const char *text = json_string_value(v);

	if (!text || !text[0] || strlen(text) > max)
		return json_fail(rep, at, "expected 1 to %zu characters", max);
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return json_fail(rep, at, "has characters that it may not have");
	return json_read_string(v, at, target, rep);
}

static int read_url(const json_t *v, const struct json_at *at, void *target,
		    struct json_report *rep)
{
	const char *text = json_string_value(v);

	if (!text || (strncmp(text, "https://", 8) != 0 && strncmp(text, "http://", 7) != 0))
		return json_fail(rep, at, "is no URL of https or http");
	return read_printable(v, at, MSG_MAX_URL, target, rep);
}

static int read_code(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	return read_printable(v, at, MSG_MAX_CODE, target, rep);
}

/* Shown before anybody is logged in. */
static int read_check_message(const json_t *v, const struct json_at *at, void *target,
			      struct json_report *rep)
{
	if (!json_is_string(v))
		return json_fail_type(rep, at, "a text", v);
	*(char **)target = text_sanitize(json_string_value(v), MSG_MAX_TEXT / 2);
	return *(char **)target ? 0 : -ENOMEM;
}

static int read_check(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	static const struct json_field fields[] = {
		{ "message", read_check_message, offsetof(struct lease_check, message),
		  JSON_REQUIRED },
		{ "url", read_url, offsetof(struct lease_check, url), JSON_REQUIRED },
		{ "code", read_code, offsetof(struct lease_check, code), JSON_REQUIRED },
	};

	return json_read_object(v, at, fields, ARRAY_SIZE(fields), target, rep);
}

static int read_patterns(const json_t *v, const struct json_at *at, void *target,
			 struct json_report *rep)
{
	char ***list = target;
	size_t n = json_array_size(v);

	if (!json_is_array(v) || n > MAX_PATTERNS)
		return json_fail(rep, at, "expected at most %u patterns", MAX_PATTERNS);
	*list = calloc(n + 1, sizeof(**list));
	if (!*list)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct json_at item = { .parent = at, .index = i };
		int r = json_read_string(json_array_get(v, i), &item, &(*list)[i], rep);

		if (r < 0)
			return r;
	}
	return 0;
}

static int read_forwarding(const json_t *v, const struct json_at *at, void *target,
			   struct json_report *rep)
{
	static const struct json_field fields[] = {
		{ "agent", json_read_bool, offsetof(struct lease, forward_agent), JSON_REQUIRED },
		{ "local", json_read_bool, offsetof(struct lease, forward_local), JSON_REQUIRED },
		{ "remote", json_read_bool, offsetof(struct lease, forward_remote), JSON_REQUIRED },
	};

	return json_read_object(v, at, fields, ARRAY_SIZE(fields), target, rep);
}

static int read_options(const json_t *v, const struct json_at *at, void *target,
			struct json_report *rep)
{
#define FIELD(m) offsetof(struct lease, m)
	static const struct json_field fields[] = {
		{ "forwarding", read_forwarding, 0, JSON_REQUIRED },
		{ "acceptEnv", read_patterns, FIELD(accept_env), JSON_REQUIRED },
		{ "forceCommand", json_read_string, FIELD(force_command), JSON_NULLABLE },
		{ "idleTimeoutUsec", json_read_u64, FIELD(idle_timeout_usec), JSON_NULLABLE },
		{ "maxDurationUsec", json_read_u64, FIELD(max_duration_usec), JSON_NULLABLE },
		{ "message", json_read_string, FIELD(message), JSON_NULLABLE },
	};
#undef FIELD

	return json_read_object(v, at, fields, ARRAY_SIZE(fields), target, rep);
}

static int read_handshake(const json_t *v, const struct json_at *at, void *target,
			  struct json_report *rep)
{
#define FIELD(m) offsetof(struct lease_handshake, m)
	static const struct json_field fields[] = {
		{ "time", json_read_u64, FIELD(time_usec), JSON_REQUIRED },
		{ "readUsec", json_read_u64, FIELD(read_usec), JSON_REQUIRED },
	};
#undef FIELD

	return json_read_object(v, at, fields, ARRAY_SIZE(fields), target, rep);
}

static int check_complete(const struct lease_answer *answer, const struct json_at *at,
			  struct json_report *rep)
{
	const struct lease *lease = &answer->lease;

	switch (answer->state) {
	case LEASE_ACCEPT:
		if (lease->id && lease->node_id && lease->node_name && lease->node_key &&
		    lease->local_user && lease->local_user[0] && lease->accept_env)
			return 0;
		return json_fail(rep, at, "an \"accept\" that lacks what a lease needs");
	case LEASE_REJECT:
	case LEASE_REVOKED:
		return answer->message ? 0 : json_fail(rep, at, "no message");
	case LEASE_CHECK:
		return answer->check.url
			       ? 0
			       : json_fail(rep, at, "a \"check\" that does not say where");
	case LEASE_KEEP:
		return 0;
	}
	return -EINVAL;
}

int lease_answer_read(const json_t *parameters, struct lease_answer *ret_answer, char **reterr_text)
{
#define FIELD(m) offsetof(struct lease_answer, m)
	static const struct json_field fields[] = {
		{ "state", read_state, FIELD(state), JSON_REQUIRED },
		{ "leaseId", json_read_string, FIELD(lease.id), JSON_NULLABLE },
		{ "nodeId", json_read_string, FIELD(lease.node_id), JSON_NULLABLE },
		{ "nodeName", json_read_string, FIELD(lease.node_name), JSON_NULLABLE },
		{ "nodeKey", json_read_string, FIELD(lease.node_key), JSON_NULLABLE },
		{ "user", json_read_string, FIELD(lease.user), JSON_NULLABLE },
		{ "localUser", json_read_string, FIELD(lease.local_user), JSON_NULLABLE },
		{ "nonroot", json_read_bool, FIELD(lease.nonroot), JSON_NULLABLE },
		{ "validUntil", json_read_u64, FIELD(lease.valid_until), JSON_NULLABLE },
		{ "options", read_options, FIELD(lease), JSON_NULLABLE },
		{ "rule", json_read_string, FIELD(lease.rule), JSON_NULLABLE },
		{ "since", json_read_u64, FIELD(lease.since_usec), JSON_NULLABLE },
		{ "keepIntervalUsec", json_read_u64, FIELD(keep_interval_usec), JSON_NULLABLE },
		{ "reason", json_read_string, FIELD(reason), JSON_NULLABLE },
		{ "message", json_read_string, FIELD(message), JSON_NULLABLE },
		{ "check", read_check, FIELD(check), JSON_NULLABLE },
		{ "handshake", read_handshake, FIELD(handshake), JSON_NULLABLE },
	};
#undef FIELD
	struct json_at root = { 0 };
	struct json_report rep = { 0 };
	/* nonroot true: an answer that does not say must not let root in. */
	struct lease_answer answer = { .lease = { .valid_until = UINT64_MAX, .nonroot = true } };
	int r;

	r = json_read_object(parameters, &root, fields, ARRAY_SIZE(fields), &answer, &rep);
	if (r == 0)
		r = check_complete(&answer, &root, &rep);
	if (r < 0) {
		*reterr_text = take_ptr(rep.text);
		lease_answer_done(&answer);
		return r;
	}
	*ret_answer = answer;
	return 0;
}
