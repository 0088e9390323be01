/* The SSH rules section. What a rule restricts and we do not understand must not widen it. */
#include <errno.h>
#include <string.h>

#include "agent/netmap/index.h"
#include "agent/netmap/read.h"
#include "common/text.h"

#define COMMAND_MAX 4096u
#define MESSAGE_MAX 1024u

static int read_principal(struct ssh_rule *rule, const json_t *v, const struct json_at *at,
			  struct json_report *rep)
{
	int r;

	if (json_is_string(v) && strcmp(json_string_value(v), "*") == 0) {
		rule->any = true;
		return 0;
	}
	r = json_read_address(v, at, &rule->principals[rule->n_principals], rep);
	if (r < 0)
		return r;
	rule->n_principals++;
	return 0;
}

/* Exact addresses, or "*" for every peer. */
static int read_principals(const json_t *v, const struct json_at *at, void *target,
			   struct json_report *rep)
{
	struct ssh_rule *rule = target;
	const json_t *element;
	size_t i;

	if (!json_is_array(v))
		return json_fail_type(rep, at, "an array", v);
	if (json_array_size(v) == 0)
		return 0;
	rule->principals = calloc(json_array_size(v), sizeof(*rule->principals));
	if (!rule->principals)
		return -ENOMEM;
	json_array_foreach (v, i, element) {
		const struct json_at element_at = { .parent = at, .index = i };
		int r = read_principal(rule, element, &element_at, rep);

		if (r < 0)
			return r;
	}
	ssh_rule_sort(rule);
	return 0;
}

static int read_user(struct ssh_user_map *user, const char *ssh_user, const json_t *v,
		     const struct json_at *at, struct json_report *rep)
{
	int r = netmap_check_word(ssh_user, at, rep);

	if (r < 0)
		return r;
	user->ssh_user = strdup(ssh_user);
	if (!user->ssh_user)
		return -ENOMEM;
	r = json_read_string(v, at, &user->local_user, rep);
	if (r < 0)
		return r;
	/* "" is an answer: this user may not. */
	return user->local_user[0] ? netmap_check_word(user->local_user, at, rep) : 0;
}

/* {"alice": "alice", "*": "=", "root": ""} */
static int read_users(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	struct ssh_rule *rule = target;
	size_t n = json_object_size(v);
	const char *ssh_user;
	json_t *local;

	if (!json_is_object(v))
		return json_fail_type(rep, at, "an object", v);
	if (n > NETMAP_MAX_LIST)
		return json_fail(rep, at, "has %zu users; at most %u are allowed", n,
				 NETMAP_MAX_LIST);
	rule->users = calloc(n ? n : 1, sizeof(*rule->users));
	if (!rule->users)
		return -ENOMEM;
	json_object_foreach ((json_t *)v, ssh_user, local) {
		const struct json_at member = { .parent = at, .key = ssh_user };
		int r = read_user(&rule->users[rule->n_users++], ssh_user, local, &member, rep);

		if (r < 0)
			return r;
	}
	return 0;
}

/* An action that we do not know denies, so that a newer coordinator cannot open an older host. */
static int read_action(const json_t *v, const struct json_at *at, void *target,
		       struct json_report *rep)
{
	struct ssh_rule *rule = target;
	const char *action = json_string_value(v);

	if (action && strcmp(action, "accept") == 0)
		rule->action = SSH_ACTION_ACCEPT;
	else if (action && strcmp(action, "check") == 0)
		rule->action = SSH_ACTION_CHECK;
	else
		rule->action = SSH_ACTION_REJECT;
	return netmap_read_text(v, at, &rule->action_text, rep);
}

static int read_accept_env(const json_t *v, const struct json_at *at, void *target,
			   struct json_report *rep)
{
	struct ssh_rule *rule = target;

	return json_read_array(v, at, NETMAP_MAX_LIST, sizeof(char *), netmap_read_word,
			       &rule->accept_env, &rule->n_accept_env, rep);
}

static int read_forwarding(const json_t *v, const struct json_at *at, void *target,
			   struct json_report *rep)
{
	static const struct json_field fields[] = {
		{ "agent", json_read_bool, offsetof(struct ssh_forwarding, agent), 0 },
		{ "local", json_read_bool, offsetof(struct ssh_forwarding, local), 0 },
		{ "remote", json_read_bool, offsetof(struct ssh_forwarding, remote), 0 },
	};

	return json_read_object(v, at, fields, ARRAY_SIZE(fields), target, rep);
}

static int read_command(const json_t *v, const struct json_at *at, void *target,
			struct json_report *rep)
{
	int r = json_read_string(v, at, target, rep);
	const char *command = *(char **)target;

	if (r < 0)
		return r;
	if (command[0] == '\0' || strlen(command) > COMMAND_MAX)
		return json_fail(rep, at, "has %zu bytes; expected a command of 1 to %u bytes",
				 strlen(command), COMMAND_MAX);
	if (text_has_control(command))
		return json_fail(rep, at, "holds a control character; none is allowed");
	return 0;
}

/* Seconds as a number, or "15m". Zero would read as "no limit": refused. */
static int read_limit(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	json_int_t seconds = json_integer_value(v);
	uint64_t usec = 0;
	bool ok;

	if (json_is_integer(v))
		ok = seconds > 0 && !__builtin_mul_overflow((uint64_t)seconds, 1000000u, &usec);
	else
		ok = json_is_string(v) && parse_duration(json_string_value(v), &usec) == 0;
	if (!ok || usec == 0)
		return json_fail(rep, at,
				 "is no limit; expected seconds from 1 up, text such as \"15m\", "
				 "or null");
	*(uint64_t *)target = usec;
	return 0;
}

static int read_message(const json_t *v, const struct json_at *at, void *target,
			struct json_report *rep)
{
	char **slot = target;

	if (!json_is_string(v))
		return json_fail_type(rep, at, "a string", v);
	*slot = text_sanitize(json_string_value(v), MESSAGE_MAX);
	return *slot ? 0 : -ENOMEM;
}

static int read_recorders(const json_t *v, const struct json_at *at, void *target,
			  struct json_report *rep)
{
	if (!json_is_array(v))
		return json_fail_type(rep, at, "an array", v);
	if (json_array_size(v) > 0)
		*(bool *)target = true;
	return 0;
}

static int read_enforce_recorder(const json_t *v, const struct json_at *at, void *target,
				 struct json_report *rep)
{
	bool enforce = false;
	int r = json_read_bool(v, at, &enforce, rep);

	if (enforce)
		*(bool *)target = true;
	return r;
}

#define AT(member) offsetof(struct ssh_rule, member)
static const struct json_field rule_fields[] = {
	{ "principals", read_principals, 0, JSON_REQUIRED },
	{ "users", read_users, 0, JSON_REQUIRED },
	{ "action", read_action, 0, JSON_REQUIRED },
	{ "accept_env", read_accept_env, 0, JSON_NULLABLE },
	{ "origin", netmap_read_text, AT(origin), JSON_NULLABLE },
	{ "rule_expires", json_read_time, AT(rule_expires), JSON_NULLABLE },
	{ "check_period", netmap_read_text, AT(check_period), JSON_NULLABLE },
	{ "forwarding", read_forwarding, AT(forwarding), JSON_NULLABLE },
	{ "force_command", read_command, AT(force_command), JSON_NULLABLE },
	{ "idle_timeout", read_limit, AT(idle_timeout_usec), JSON_NULLABLE },
	{ "max_duration", read_limit, AT(max_duration_usec), JSON_NULLABLE },
	{ "message", read_message, AT(message), JSON_NULLABLE },
	{ "recorders", read_recorders, AT(needs_recorder), JSON_NULLABLE },
	{ "enforce_recorder", read_enforce_recorder, AT(needs_recorder), JSON_NULLABLE },
};
#undef AT

static int read_rule(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	struct ssh_rule *rule = target;

	rule->rule_expires = UINT64_MAX;
	return json_read_object(v, at, rule_fields, ARRAY_SIZE(rule_fields), rule, rep);
}

int netmap_read_ssh_rules(const json_t *v, const struct json_at *at, void *target,
			  struct json_report *rep)
{
	struct netmap *map = target;

	return json_read_array(v, at, NETMAP_MAX_RULES, sizeof(struct ssh_rule), read_rule,
			       &map->ssh_rules, &map->n_ssh_rules, rep);
}

void ssh_rule_done(struct ssh_rule *rule)
{
	for (size_t i = 0; i < rule->n_users; i++) {
		free(rule->users[i].ssh_user);
		free(rule->users[i].local_user);
	}
	for (size_t i = 0; i < rule->n_accept_env; i++)
		free(rule->accept_env[i]);
	free(rule->principals);
	free(rule->users);
	free(rule->accept_env);
	free(rule->action_text);
	free(rule->origin);
	free(rule->check_period);
	free(rule->force_command);
	free(rule->message);
	*rule = (struct ssh_rule){ 0 };
}
