#include <errno.h>
#include <string.h>

#include "agent/ctl/render_explain.h"
#include "agent/ctl/rule_name.h"
#include "common/cli/value.h"
#include "common/force_command.h"
#include "common/text.h"

/* A question, and who asked it. */
struct login_view {
	const json_t *reply;
	const char *peer, *user, *host;
	const struct cli_out *out;
};

static bool is(const json_t *object, const char *key, const char *value)
{
	return strcmp(value_text(object, key), value) == 0;
}

/* ---- the rules ---- */

static int render_step(const struct login_view *view, const json_t *step)
{
	_cleanup_free_ char *rule =
		ctl_rule_name(step, "rule", "ssh_rules", value_number(step, "index"));
	const char *action = value_text(step, "action");

	if (!rule)
		return -ENOMEM;
	if (is(step, "fit", "expired"))
		return render_verdict(view->out, "skipped", "%s has expired", rule);
	if (is(step, "fit", "other-peer"))
		return render_verdict(view->out, "skipped", "%s does not name %s", rule,
				      view->peer);
	if (is(step, "fit", "other-user"))
		return render_verdict(view->out, "skipped", "%s names %s, but not for \"%s\"", rule,
				      view->peer, view->user);
	if (strcmp(action, "accept") == 0)
		return render_verdict(view->out, "decides", "%s accepts", rule);
	return render_verdict(view->out, "decides", "%s says \"%s\"", rule, action);
}

bool grant_is_sftp_only(const json_t *grant)
{
	const json_t *options = json_object_get(grant, "options");

	return force_command_is_sftp(json_string_value(json_object_get(options, "forceCommand")));
}

/* "account backup, for sftp only, until 2027-01-15T10:05:00Z" */
static int render_grant(const struct login_view *view, const json_t *grant)
{
	char until[21] = "";

	if (json_object_get(grant, "validUntil"))
		format_rfc3339(value_number(grant, "validUntil"), until, sizeof(until));
	return render_verdict(
		view->out, "allowed", "account %s%s%s%s%s", value_text(grant, "localUser"),
		json_is_true(json_object_get(grant, "nonroot")) ? " (if not uid 0)" : "",
		grant_is_sftp_only(grant) ? ", for sftp only" : "", until[0] ? ", until " : "",
		until);
}

/* Why the rules refuse, in short: what the client is shown is told below. */
static const char *short_refusal(const json_t *login)
{
	static const struct {
		const char *reason, *words;
	} refusals[] = {
		{ "no-rule", "no SSH rule names it" },
		{ "user", "no SSH rule that names it is for this user" },
		{ "by-rule", "that refuses every user" },
		{ "check", "a check is needed, which takes a coordinator" },
		{ "recorder", "recording is demanded, and cannot be done here" },
		{ "bad-user", "this is no user name" },
		{ "key-expired", "its key has expired" },
		{ "host-expired", "the key of this host has expired" },
		{ "ssh-off", "SSH through the mesh is off in the map of this host" },
		{ "not-a-peer", "this is no peer's own address" },
		{ "self", "a host does not log in to itself through the mesh" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
		if (is(login, "reason", refusals[i].reason))
			return refusals[i].words;
	return value_text(login, "message");
}

static int render_rules(const struct login_view *view, const json_t *login)
{
	const json_t *steps = json_object_get(login, "steps"), *grant;
	uint64_t omitted = value_number(login, "stepsOmitted");
	size_t n = json_array_size(steps);
	int r = 0;

	cli_print(view->out, CLI_HEADING, "SSH rules");
	fputc('\n', view->out->file);
	for (size_t i = 0; i < n && r == 0; i++) {
		if (i == n - 1 && omitted > 0)
			fprintf(view->out->file, "  ...      and %zu more that do not decide\n",
				(size_t)omitted);
		r = render_step(view, json_array_get(steps, i));
	}
	grant = json_object_get(login, "grant");
	if (r == 0 && grant)
		r = render_grant(view, grant);
	if (r == 0 && is(login, "answer", "check"))
		r = render_verdict(view->out, "allowed",
				   "after a check: a person confirms it on a page of the "
				   "coordinator's, unless that was done lately");
	if (r == 0 && !grant && !is(login, "reason", "unreachable"))
		r = render_verdict(view->out, "denied", "%s", short_refusal(login));
	return r;
}

/* ---- what the client sees, and what is missing ---- */

static bool gets_through(const json_t *login)
{
	const json_t *network = json_object_get(login, "network");

	for (size_t i = 0; i < json_array_size(network); i++)
		if (is(json_array_get(network, i), "verdict", "allowed"))
			return true;
	return false;
}

/* Why the login is refused, in the words that the client is shown; NULL: it is not. */
static const char *refusal_of(const struct login_view *view, const json_t *login)
{
	const json_t *check = json_object_get(view->reply, "hostCheck");

	/* The gateway asks the agent only if SSH is on in its own configuration. */
	if (is(check, "reason", "ssh-off"))
		return value_text(check, "message");
	if (json_object_get(login, "message"))
		return value_text(login, "message");
	return is(check, "answer", "no") ? value_text(check, "message") : NULL;
}

/* What is refused before anybody looks at a rule, so that no rule could help. */
static bool is_hopeless(const json_t *login)
{
	return is(login, "reason", "self") || is(login, "reason", "not-a-peer") ||
	       is(login, "reason", "key-expired") || is(login, "reason", "host-expired");
}

static int render_shown(const struct login_view *view, const json_t *login)
{
	const char *refusal = refusal_of(view, login);
	int r = 0;

	if (!refusal && gets_through(login))
		return 0;
	fputc('\n', view->out->file);
	if (!gets_through(login))
		fputs("the client is shown nothing: its packets are dropped until it gives up",
		      view->out->file);
	else if (is(login, "reason", "self") || is(login, "reason", "not-a-peer"))
		fputs("the client is shown nothing: its connection is closed", view->out->file);
	else
		r = cli_show(view->out, CLI_PLAIN, "the client is shown: Peergate: %s", refusal);
	fputc('\n', view->out->file);
	return r;
}

static int render_missing(const struct login_view *view, const json_t *login)
{
	int r = 0;

	if (is_hopeless(login))
		return 0;
	if (!gets_through(login)) {
		r = cli_show(view->out, CLI_PLAIN,
			     "missing: a packet filter rule that lets %s reach %s on tcp 22",
			     view->peer, view->host);
		fputc('\n', view->out->file);
	}
	if (r == 0 && (is(login, "reason", "no-rule") || is(login, "reason", "user"))) {
		r = cli_show(view->out, CLI_PLAIN,
			     "missing: an SSH rule that lets %s log in on %s as %s", view->peer,
			     view->host, view->user);
		fputc('\n', view->out->file);
	}
	return r;
}

/* ---- ssh-policy explain PEER USER ---- */

/* Told by the same words, but for the addresses? */
static bool same_login(const json_t *a, const json_t *b)
{
	static const char *const keys[] = {
		"answer", "reason", "message", "rule", "grant", "steps"
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const json_t *x = json_object_get(a, keys[i]), *y = json_object_get(b, keys[i]);

		if ((x || y) && !(x && y && json_equal(x, y)))
			return false;
	}
	return gets_through(a) == gets_through(b);
}

static bool told_before(const json_t *logins, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (same_login(json_array_get(logins, k), json_array_get(logins, i)))
			return true;
	return false;
}

/* The packet filter's part of all logins that are told in one. */
static json_t *network_of(const json_t *logins, const json_t *login)
{
	json_auto_t *all = json_array();

	for (size_t i = 0; i < json_array_size(logins); i++) {
		const json_t *other = json_array_get(logins, i);

		if (same_login(login, other) &&
		    json_array_extend(all, json_object_get(other, "network")) < 0)
			return NULL;
	}
	return take_ptr(all);
}

static int render_network(const struct login_view *view, const json_t *login)
{
	json_auto_t *network = network_of(json_object_get(view->reply, "logins"), login);

	if (!network)
		return -ENOMEM;
	cli_print(view->out, CLI_HEADING, "Packets to tcp 22");
	fputc('\n', view->out->file);
	if (json_array_size(network) == 0)
		return render_verdict(view->out, "denied", "%s has no address of this family",
				      view->host);
	return render_flows(network, false, view->out);
}

static int render_host_check(const struct login_view *view)
{
	const json_t *check = json_object_get(view->reply, "hostCheck");
	const char *answer = value_text(check, "answer");
	bool problem = json_object_get(check, "problem");

	if (!check)
		return 0;
	fputc('\n', view->out->file);
	cli_print(view->out, CLI_HEADING, "The host itself");
	fputc('\n', view->out->file);
	return render_verdict(view->out,
			      strcmp(answer, "yes") == 0  ? "allowed"
			      : strcmp(answer, "no") == 0 ? "denied"
							  : "unknown",
			      "%s%s%s", value_text(check, "message"), problem ? "; " : "",
			      problem ? value_text(check, "problem") : "");
}

static int render_one(const struct login_view *view, const json_t *login)
{
	int r;

	r = render_network(view, login);
	if (r < 0)
		return r;
	fputc('\n', view->out->file);
	r = render_rules(view, login);
	if (r == 0)
		r = render_host_check(view);
	if (r == 0)
		r = render_shown(view, login);
	if (r == 0)
		r = render_missing(view, login);
	return r;
}

static int render_login_answer(const struct login_view *view)
{
	const char *answer = value_text(view->reply, "answer");
	int r;

	render_answer_word(view->out, answer);
	if (strcmp(answer, "unknown") == 0)
		r = cli_show(
			view->out, CLI_PLAIN,
			" the agent lets %s log in on %s as %s, but the host's own part cannot "
			"be told",
			view->peer, view->host, view->user);
	else
		r = cli_show(view->out, CLI_PLAIN, " %s %s log in on %s as %s%s", view->peer,
			     strcmp(answer, "no") ? "can" : "cannot", view->host, view->user,
			     strcmp(answer, "partly") == 0  ? ", but not by all addresses"
			     : strcmp(answer, "check") == 0 ? ", once a person has confirmed it"
							    : "");
	fputc('\n', view->out->file);
	return r;
}

int render_login(const json_t *reply, const char *peer, const char *user, const struct cli_out *out)
{
	const json_t *logins = json_object_get(reply, "logins");
	const struct login_view view = {
		.reply = reply,
		.peer = peer,
		.user = user,
		.host = value_text(reply, "host"),
		.out = out,
	};
	int r;

	r = render_login_answer(&view);
	for (size_t i = 0; i < json_array_size(logins) && r == 0; i++) {
		if (told_before(logins, i))
			continue;
		fputc('\n', out->file);
		r = render_one(&view, json_array_get(logins, i));
	}
	return r;
}

/* ---- ssh-policy explain USER@HOST ---- */

int render_login_elsewhere(const json_t *reply, const char *user, const char *host,
			   const struct cli_out *out)
{
	const json_t *flows = json_object_get(reply, "flows");
	const char *answer = value_text(reply, "answer"), *here = value_text(reply, "host");
	bool unknown = strcmp(answer, "unknown") == 0;
	int r;

	render_answer_word(out, answer);
	r = unknown ? cli_show(out, CLI_PLAIN, " only %s knows whether %s can log in there as %s",
			       host, here, user)
		    : cli_show(out, CLI_PLAIN, " %s cannot log in on %s as %s", here, host, user);
	fputs("\n\n", out->file);
	if (r == 0)
		r = render_flows(flows, false, out);
	if (r == 0)
		r = render_notes(json_object_get(reply, "notes"), out);
	if (r < 0 || !unknown)
		return r;
	r = cli_show(out, CLI_PLAIN,
		     "note: it takes a packet filter rule that lets %s reach %s on tcp 22, and an "
		     "SSH rule for %s",
		     here, host, user);
	fputs("\n\n", out->file);
	if (r == 0)
		r = cli_show(out, CLI_PLAIN, "ask on %s: agentctl ssh-policy explain %s %s", host,
			     here, user);
	fputc('\n', out->file);
	if (r == 0)
		r = cli_show(out, CLI_PLAIN,
			     "or, with the policy: coordctl policy explain POLICY --nodes NODES %s "
			     "%s@%s",
			     here, user, host);
	fputc('\n', out->file);
	return r;
}
