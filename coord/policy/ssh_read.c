/* ssh: who may log in where, as whom. */
#include <errno.h>
#include <string.h>

#include "common/force_command.h"
#include "coord/policy/duration.h"
#include "coord/policy/read.h"
#include "coord/policy/selector.h"

#define USEC_PER_HOUR	     3600000000u
#define DEFAULT_CHECK_PERIOD (12 * (uint64_t)USEC_PER_HOUR)
#define MAX_SESSION	     (8784 * (uint64_t)USEC_PER_HOUR) /* a year */
#define MAX_ACCEPT_ENV	     256u
#define MAX_LOGINS	     254u /* what a node's map holds, with root and * */

static const struct selector_use src_use = {
	.what = "a source of an SSH rule",
	.allowed = SEL_MASK_PEOPLE | SEL_MASK_TAGS | SEL_MASK(SEL_SHARED),
	.instead = "users, groups, tags, autogroup:member or autogroup:tagged",
};
static const struct selector_use dst_use = {
	.what = "a destination of an SSH rule",
	.allowed = SEL_MASK_TAGS | SEL_MASK(SEL_USER) | SEL_MASK(SEL_SELF) | SEL_MASK(SEL_MEMBER),
	.instead = "tags, autogroup:self, or the user who is the only source",
};
static const struct selector_use recorder_use = {
	.what = "a recorder",
	.allowed = SEL_MASK(SEL_TAG),
	.instead = "a tag",
};

static void read_action(struct reader *rd, const struct hujson_value *v,
			struct ssh_rule_model *rule)
{
	const char *action = is_absent(v) ? "" : read_string(rd, v, "\"action\"");

	if (!action)
		return;
	if (strcmp(action, "accept") == 0)
		rule->action = POLICY_SSH_ACCEPT;
	else if (strcmp(action, "check") == 0)
		rule->action = POLICY_SSH_CHECK;
	else if (!*action)
		read_error(rd, v ? v->at : rule->at,
			   "the rule has no action; write \"accept\" or \"check\"");
	else
		read_error(rd, v->at, "\"%.60s\" is no action; write \"accept\" or \"check\"",
			   action);
}

static bool is_localpart(const char *login)
{
	static const char head[] = "localpart:*@";
	size_t len = strlen(head);

	return strncmp(login, head, len) == 0 && login[len] && !strpbrk(login + len, "@* ");
}

static void add_login(struct reader *rd, const struct hujson_value *v, const char *login,
		      struct ssh_rule_model *rule)
{
	struct login_name *logins = (struct login_name *)rule->logins;
	struct login_name *domains = (struct login_name *)rule->localparts;

	if (!*login || strcmp(login, "*") == 0) {
		read_error(rd, v->at, "\"%s\" is no login; write a name, root or autogroup:nonroot",
			   login);
	} else if (strcmp(login, "autogroup:nonroot") == 0) {
		rule->nonroot = true;
		rule->nonroot_at = v->at;
	} else if (is_localpart(login)) {
		domains[rule->n_localparts++] =
			(struct login_name){ strchr(login, '@') + 1, v->at };
	} else {
		rule->root |= strcmp(login, "root") == 0;
		logins[rule->n_logins++] = (struct login_name){ login, v->at };
	}
}

static void read_logins(struct reader *rd, const struct hujson_value *v,
			struct ssh_rule_model *rule)
{
	const struct hujson_value *list = read_array(rd, v, MAX_LOGINS, "\"users\"");

	if (is_absent(v) || (list && !list->n_items)) {
		read_error(rd, v ? v->at : rule->at,
			   "the rule has no \"users\"; list the logins, such as \"root\" or "
			   "\"autogroup:nonroot\"");
		return;
	}
	rule->logins = list ? read_alloc(rd, list->n_items, sizeof(*rule->logins)) : NULL;
	rule->localparts = list ? read_alloc(rd, list->n_items, sizeof(*rule->localparts)) : NULL;
	if (!rule->logins || !rule->localparts)
		return;
	for (size_t i = 0; i < list->n_items; i++) {
		const char *login = read_string(rd, &list->items[i], "a login");

		if (login)
			add_login(rd, &list->items[i], login, rule);
	}
}

static void read_check_period(struct reader *rd, const struct hujson_value *v,
			      struct ssh_rule_model *rule)
{
	const char *text = is_absent(v) ? NULL : read_string(rd, v, "\"checkPeriod\"");
	int64_t usec = 0;

	rule->check_period_usec = DEFAULT_CHECK_PERIOD;
	if (!text)
		return;
	rule->check_period = text;
	rule->check_period_at = v->at;
	if (strcmp(text, "always") != 0 && duration_parse(text, &usec) < 0)
		read_error(rd, v->at,
			   "checkPeriod \"%.60s\" is no duration; write \"12h\", \"30m\" or "
			   "\"always\"",
			   text);
	else if (usec < 0)
		read_error(rd, v->at,
			   "checkPeriod \"%.60s\" is negative; write \"12h\" or \"always\"", text);
	else if ((uint64_t)usec > POLICY_MAX_CHECK_PERIOD_USEC)
		read_error(rd, v->at, "checkPeriod \"%.60s\" is too long; write at most \"168h\"",
			   text);
	else
		rule->check_period_usec = (uint64_t)usec;
}

static void read_accept_env(struct reader *rd, const struct hujson_value *v,
			    struct ssh_rule_model *rule)
{
	const struct hujson_value *list = read_array(rd, v, MAX_ACCEPT_ENV, "\"acceptEnv\"");

	rule->accept_env = list ? read_alloc(rd, list->n_items, sizeof(*rule->accept_env)) : NULL;
	for (size_t i = 0; rule->accept_env && i < list->n_items; i++) {
		const char *pattern = read_string(rd, &list->items[i], "a variable of acceptEnv");

		if (pattern && !*pattern)
			read_error(rd, list->items[i].at,
				   "an empty name in acceptEnv; write a variable, "
				   "such as \"LANG\" or \"LC_*\"");
		else if (pattern)
			rule->accept_env[rule->n_accept_env++] = pattern;
	}
}

static void read_recorders(struct reader *rd, const struct hujson_value *v,
			   struct ssh_rule_model *rule)
{
	struct entry *one;

	if (is_absent(v) || !json_is_string(v->json)) {
		selectors_read(rd, v, &recorder_use, &rule->recorders, &rule->n_recorders);
		return;
	}
	one = read_alloc(rd, 1, sizeof(*one));
	if (!one)
		return;
	one->text = read_string(rd, v, "\"recorder\"");
	one->at = v->at;
	one->sel = one->text ? selector_read(rd, one->text, v->at, &recorder_use) : SEL_NONE;
	rule->recorders = one;
	rule->n_recorders = one->sel != SEL_NONE;
}

static void read_forwarding(struct reader *rd, const struct hujson_value *v,
			    struct ssh_rule_model *rule)
{
	static const char *const names[] = { "agent", "local", "remote" };
	const struct hujson_value *m[ARRAY_SIZE(names)] = { NULL };

	if (is_absent(v) || !read_object(rd, v, "\"forwarding\""))
		return;
	read_members(rd, v, names, ARRAY_SIZE(names), m);
	rule->says_forwarding = true;
	read_bool(rd, m[0], "\"agent\"", &rule->forward_agent);
	read_bool(rd, m[1], "\"local\"", &rule->forward_local);
	read_bool(rd, m[2], "\"remote\"", &rule->forward_remote);
}

static const char *read_text(struct reader *rd, const struct hujson_value *v, const char *what)
{
	const char *text = is_absent(v) ? NULL : read_string(rd, v, what);

	if (text && !*text)
		read_error(rd, v->at, "%s is empty; leave it out", what);
	return text;
}

/* What a host makes of it is for its gateway to say; but a word that is nearly ours is a trap. */
static void read_force_command(struct reader *rd, const struct hujson_value *v,
			       struct ssh_rule_model *rule)
{
	rule->force_command = read_text(rd, v, "\"forceCommand\"");
	if (!rule->force_command)
		return;
	rule->force_command_at = v->at;
	if (force_command_is_sftp_with_arguments(rule->force_command))
		read_error(rd, v->at,
			   "\"" FORCE_COMMAND_SFTP "\" takes no arguments here, unlike with "
			   "sshd; write the word alone");
}

/* A user's nodes are for himself; tags log in on tagged nodes only. */
static void check_pair(struct reader *rd, const struct ssh_rule_model *rule,
		       const struct entry *src, const struct entry *dst)
{
	const struct selector *from = entry_selector(rd->policy, src);
	const struct selector *to = entry_selector(rd->policy, dst);
	bool tagged = SEL_MASK(from->kind) & SEL_MASK_TAGS;

	if (to->kind == SEL_USER && (from->kind != SEL_USER || from != to))
		read_error(rd, src->at,
			   "\"%s\" cannot log in on the nodes of %s; a user as destination "
			   "goes with the same user as only source",
			   from->text, to->text);
	else if (to->kind == SEL_SELF && (tagged || from->kind == SEL_SHARED))
		read_error(rd, src->at,
			   "\"%s\" cannot be a source of autogroup:self; use users, groups "
			   "or autogroup:member",
			   from->text);
	else if (to->kind == SEL_MEMBER && tagged)
		read_error(rd, src->at,
			   "\"%s\" cannot log in on nodes of people; use tags as "
			   "destination",
			   from->text);
}

static void check_pairs(struct reader *rd, const struct ssh_rule_model *rule)
{
	for (size_t i = 0; i < rule->n_src; i++) {
		const struct selector *from = entry_selector(rd->policy, &rule->src[i]);

		for (size_t k = 0; k < rule->n_dst; k++)
			check_pair(rd, rule, &rule->src[i], &rule->dst[k]);
		if (rule->action == POLICY_SSH_CHECK && (SEL_MASK(from->kind) & SEL_MASK_TAGS))
			read_error(rd, rule->src[i].at,
				   "\"%s\" cannot be checked: nobody sits at a tagged node; use "
				   "\"accept\", or users as sources",
				   from->text);
	}
}

static void read_rule(struct reader *rd, const struct hujson_value *v, struct ssh_rule_model *rule)
{
	enum {
		ACTION,
		SRC,
		DST,
		USERS,
		CHECK_PERIOD,
		ACCEPT_ENV,
		RECORDER,
		ENFORCE,
		POSTURE,
		FORWARDING,
		FORCE_COMMAND,
		IDLE,
		MAX_DURATION,
		MESSAGE,
		N
	};
	static const char *const names[N] = {
		"action",      "src",	     "dst",	     "users",
		"checkPeriod", "acceptEnv",  "recorder",     "enforceRecorder",
		"srcPosture",  "forwarding", "forceCommand", "idleTimeout",
		"maxDuration", "message",
	};
	const struct hujson_value *m[N] = { NULL };

	rule->at = v->at;
	rule->forward_agent = rule->forward_local = rule->forward_remote = true;
	if (!read_object(rd, v, "an SSH rule"))
		return;
	read_members(rd, v, names, N, m);
	read_action(rd, m[ACTION], rule);
	selectors_read(rd, m[SRC], &src_use, &rule->src, &rule->n_src);
	selectors_read(rd, m[DST], &dst_use, &rule->dst, &rule->n_dst);
	read_logins(rd, m[USERS], rule);
	read_check_period(rd, m[CHECK_PERIOD], rule);
	read_accept_env(rd, m[ACCEPT_ENV], rule);
	read_recorders(rd, m[RECORDER], rule);
	read_bool(rd, m[ENFORCE], "\"enforceRecorder\"", &rule->enforce_recorder);
	if (!is_absent(m[POSTURE]) && m[POSTURE]->n_items)
		read_error(rd, m[POSTURE]->key_at,
			   "device posture is not supported, and without it the "
			   "rule would let in more; take the rule out");
	read_forwarding(rd, m[FORWARDING], rule);
	read_force_command(rd, m[FORCE_COMMAND], rule);
	rule->message = read_text(rd, m[MESSAGE], "\"message\"");
	duration_read(rd, m[IDLE], "\"idleTimeout\"", MAX_SESSION, &rule->idle_timeout_usec);
	duration_read(rd, m[MAX_DURATION], "\"maxDuration\"", MAX_SESSION,
		      &rule->max_duration_usec);
	check_pairs(rd, rule);
}

void read_ssh(struct reader *rd, const struct hujson_value *v)
{
	const struct hujson_value *list = read_array(rd, v, POLICY_MAX_RULES, "\"ssh\"");
	struct policy *p = rd->policy;

	p->ssh = list ? read_alloc(rd, list->n_items, sizeof(*p->ssh)) : NULL;
	for (size_t i = 0; p->ssh && i < list->n_items; i++) {
		p->ssh[i].index = (uint32_t)i;
		read_rule(rd, &list->items[i], &p->ssh[i]);
		p->n_ssh++;
	}
}
