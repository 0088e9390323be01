/* acl explain, ssh-policy explain. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "agent/ctl/ctl.h"
#include "agent/ctl/flow_arg.h"
#include "agent/ctl/render_explain.h"
#include "common/cli/value.h"
#include "common/login_check.h"
#include "common/text.h"

#define SSH_PORT 22

/* Exit status by "answer": anything but yes is 1. */
static int status_of(const json_t *reply, int r)
{
	if (r != CLI_OK)
		return r;
	return strcmp(value_text(reply, "answer"), "yes") == 0 ? CLI_OK : CLI_NO;
}

/* ---- acl explain ---- */

static int ask_flow(struct ctl *ctl, const char *src, const struct flow_arg *dst,
		    json_t **ret_reply)
{
	json_t *port = dst->port ? json_integer(dst->port) : NULL;

	return ctl_call(ctl, "ExplainFlow",
			json_pack("{s:s*, s:s, s:i, s:o*}", "src", src, "dst", dst->host, "proto",
				  dst->proto, "port", port),
			NULL, ret_reply);
}

int verb_acl_explain(int argc, char **argv, void *userdata)
{
	_cleanup_(flow_arg_done) struct flow_arg dst = { 0 };
	_cleanup_free_ char *src = flow_arg_host(argv[0]), *problem = NULL;
	struct ctl *ctl = userdata;
	json_auto_t *reply = NULL;
	int r;

	r = src ? flow_arg_parse(argv[1], &dst, &problem) : -ENOMEM;
	if (r == -EINVAL)
		return ctl_tell(CLI_USAGE, "%s", problem);
	if (r < 0)
		return ctl_rendered(r);
	r = ask_flow(ctl, src, &dst, &reply);
	if (r != CLI_OK)
		return r;
	if (ctl->json)
		r = ctl_print_json(ctl, reply);
	else
		r = ctl_rendered(render_flow(reply, src, dst.host, argv[1], &ctl->out));
	return status_of(reply, r);
}

/* ---- ssh-policy explain PEER USER ---- */

static json_t *json_check(const char *answer, const char *reason, const char *message)
{
	return json_pack("{s:s, s:s*, s:s}", "answer", answer, "reason", reason, "message",
			 message);
}

/* What the gateway's monitor would say of the account. */
static json_t *check_account(const struct ceiling *ceiling, const json_t *grant)
{
	_cleanup_(account_freep) struct account *account = NULL;
	_cleanup_free_ char *fine = NULL;
	const struct login_grant wanted = {
		.account = value_text(grant, "localUser"),
		.nonroot = json_is_true(json_object_get(grant, "nonroot")),
		.sftp_only = grant_is_sftp_only(grant),
	};
	struct login_refusal refusal;

	if (login_check(&wanted, ceiling, &account, &refusal) == LOGIN_REFUSED)
		return json_check(refusal.error < 0 ? "unknown" : "no", refusal.reason,
				  refusal.text);
	fine = text_printf("account %s exists, uid %u, and sshgw.conf lets it in; PAM's account "
			   "rules come last",
			   account->name, (unsigned)account->uid);
	return fine ? json_check("yes", NULL, fine) : NULL;
}

/* A file that is no good is like none to the monitor. problem: why it is not, or NULL. */
static json_t *check_off(const struct ceiling *ceiling, const char *problem)
{
	json_t *check = json_check("no", "ssh-off", ceiling_refuses(ceiling, "", 0));

	if (check && problem && json_object_set_new(check, "problem", json_string(problem)) < 0) {
		json_decref(check);
		return NULL;
	}
	return check;
}

/* What the host itself says, as far as the caller can read that. grant NULL: the rules say no. */
static json_t *check_host(const struct ctl *ctl, const json_t *grant)
{
	_cleanup_(ceiling_done) struct ceiling ceiling = { 0 };
	_cleanup_free_ char *problem = NULL;
	int r;

	r = ceiling_load(ctl->ceiling, &ceiling, &problem);
	if (r == -EACCES)
		return json_check("unknown", "unreadable",
				  "sshgw.conf is for root to read; ask as root");
	if (r < 0 || !ceiling.ssh)
		return check_off(&ceiling, problem);
	return grant ? check_account(&ceiling, grant) : NULL;
}

static const json_t *find_grant(const json_t *reply)
{
	const json_t *logins = json_object_get(reply, "logins");

	for (size_t i = 0; i < json_array_size(logins); i++) {
		const json_t *grant = json_object_get(json_array_get(logins, i), "grant");

		if (grant)
			return grant;
	}
	return NULL;
}

/* Enter the host's own word; a yes of the agent is one only if the host agrees. */
static int add_host_check(const struct ctl *ctl, json_t *reply)
{
	json_t *check = check_host(ctl, find_grant(reply));
	const char *word = value_text(check, "answer");

	if (!check)
		return 0;
	if (strcmp(value_text(reply, "answer"), "no") != 0 && strcmp(word, "yes") != 0 &&
	    json_object_set_new(reply, "answer", json_string(word)) < 0) {
		json_decref(check);
		return -ENOMEM;
	}
	return json_object_set_new(reply, "hostCheck", check);
}

static int explain_here(struct ctl *ctl, const char *peer, const char *user)
{
	_cleanup_free_ char *host = flow_arg_host(peer);
	json_auto_t *reply = NULL;
	int r;

	if (!host)
		return ctl_rendered(-ENOMEM);
	r = ctl_call(ctl, "ExplainSSH", json_pack("{s:s, s:s}", "address", host, "sshUser", user),
		     NULL, &reply);
	if (r != CLI_OK)
		return r;
	if (add_host_check(ctl, reply) < 0)
		return ctl_rendered(-ENOMEM);
	if (ctl->json)
		r = ctl_print_json(ctl, reply);
	else
		r = ctl_rendered(render_login(reply, host, user, &ctl->out));
	return status_of(reply, r);
}

/* ---- ssh-policy explain USER@HOST ---- */

static bool is_here(const json_t *reply)
{
	const json_t *flow = json_array_get(json_object_get(reply, "flows"), 0);

	return strcmp(value_text(flow, "reason"), "own-traffic") == 0;
}

static int explain_elsewhere(struct ctl *ctl, const char *user, const char *host_text)
{
	struct flow_arg dst = { .port = SSH_PORT, .proto = IPPROTO_TCP };
	_cleanup_free_ char *host = flow_arg_host(host_text);
	json_auto_t *reply = NULL;
	int r;

	if (!host)
		return ctl_rendered(-ENOMEM);
	dst.host = host;
	r = ask_flow(ctl, NULL, &dst, &reply);
	if (r != CLI_OK)
		return r;
	if (is_here(reply))
		return ctl_tell(CLI_USAGE,
				"%s is this host: say who logs in: agentctl ssh-policy explain "
				"PEER %s",
				host, user);
	if (ctl->json)
		r = ctl_print_json(ctl, reply);
	else
		r = ctl_rendered(render_login_elsewhere(reply, user, host, &ctl->out));
	return status_of(reply, r);
}

int verb_ssh_policy_explain(int argc, char **argv, void *userdata)
{
	_cleanup_free_ char *user = NULL;
	const char *at;

	if (argc == 2)
		return explain_here(userdata, argv[0], argv[1]);
	/* Accounts may have an "@" in their name, hosts may not. */
	at = strrchr(argv[0], '@');
	if (!at || at == argv[0] || !at[1])
		return ctl_tell(CLI_USAGE, "'%s' is no USER@HOST; write that, or PEER USER",
				argv[0]);
	user = strndup(argv[0], (size_t)(at - argv[0]));
	if (!user)
		return ctl_rendered(-ENOMEM);
	return explain_elsewhere(userdata, user, at + 1);
}
