/* "policy explain": which line decides, and why. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "common/text.h"
#include "coord/ctl/ctl.h"
#include "coord/ctl/render.h"

#define SSH_PORT 22

/* A question, with the memory that it needs. */
struct parsed {
	struct ctl_question question;
	char *dst, *login;
};

static void parsed_done(struct parsed *parsed)
{
	free(parsed->dst);
	free(parsed->login);
}

struct answers {
	struct policy_explanation *network, *ssh;
};

static void answers_done(struct answers *answers)
{
	answers->network = policy_explanation_free(answers->network);
	answers->ssh = policy_explanation_free(answers->ssh);
}

/* ---- what is asked ---- */

static bool is_user(const struct policy_network *network, const char *text)
{
	for (size_t i = 0; i < network->n_users; i++)
		if (strcmp(network->users[i].login, text) == 0)
			return true;
	for (size_t i = 0; i < network->n_nodes; i++)
		if (network->nodes[i].user && strcmp(network->nodes[i].user, text) == 0)
			return true;
	return false;
}

/*
 * Split ":22" or ":*" off. What is behind the last colon of "tag:prod" or "fd7a::1" is no port; an
 * IPv6 address with a port has brackets.
 */
static char *split_port(const char *text, uint16_t *ret_port)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	struct ip_addr addr;
	uint64_t port = 0;

	if (!colon || ip_addr_parse(text, &addr) == 0 ||
	    (strcmp(colon + 1, "*") != 0 &&
	     (parse_u64(colon + 1, UINT16_MAX, &port) < 0 || port == 0)))
		len = strlen(text);
	*ret_port = (uint16_t)port;
	if (len > 2 && text[0] == '[' && text[len - 1] == ']')
		return strndup(text + 1, len - 2);
	return strndup(text, len);
}

/* "root@server" asks about a login, unless it is the name of a user. */
static int parse_login(struct ctl *ctl, const char *text, struct parsed *parsed)
{
	const char *at = strchr(text, '@');

	if (ctl->proto)
		return ctl_tell_usage(ctl, "--proto is for packets, and '%s' asks about a login",
				      text);
	if (at == text || at[1] == '\0')
		return ctl_tell_usage(ctl, "'%s' lacks %s; write, say, root@server", text,
				      at == text ? "an account" : "a node");
	parsed->login = strndup(text, (size_t)(at - text));
	parsed->dst = strdup(at + 1);
	parsed->question.login = parsed->login;
	return parsed->login && parsed->dst ? CLI_OK : ctl_rendered(ctl, -ENOMEM);
}

static bool is_portless(uint8_t proto)
{
	return proto != 0 && proto != IPPROTO_TCP && proto != IPPROTO_UDP && proto != IPPROTO_SCTP;
}

static int parse_packet(struct ctl *ctl, char *dst, uint16_t port, struct parsed *parsed)
{
	struct ctl_question *question = &parsed->question;

	parsed->dst = dst;
	question->port = port;
	question->proto_name = ctl->proto;
	if (ctl->proto && policy_protocol_parse(ctl->proto, &question->proto) < 0)
		return ctl_tell_usage(ctl,
				      "'%s' is no protocol; write tcp, udp, icmp or a number from "
				      "1 to 255",
				      ctl->proto);
	question->portless = is_portless(question->proto);
	if (port > 0 && question->portless)
		return ctl_tell_usage(ctl, "%s has no ports; leave ':%u' out", ctl->proto, port);
	return CLI_OK;
}

static int parse_question(struct ctl *ctl, const struct policy_network *network, char **argv,
			  struct parsed *parsed)
{
	uint16_t port;
	char *dst = split_port(argv[2], &port);
	int r;

	if (!dst)
		return ctl_rendered(ctl, -ENOMEM);
	parsed->question.src = argv[1];
	if (strchr(dst, '@') && !is_user(network, dst)) {
		free(dst);
		r = parse_login(ctl, argv[2], parsed);
	} else {
		r = parse_packet(ctl, dst, port, parsed);
	}
	parsed->question.dst = parsed->dst;
	return r;
}

/* ---- the answer ---- */

static int ask(struct policy_engine *engine, const struct ctl_question *question,
	       struct answers *answers, char **reterr_text)
{
	int r;

	r = policy_explain_network(engine, question->src, question->dst,
				   question->login ? SSH_PORT : question->port, question->proto,
				   reterr_text, &answers->network);
	if (r == 0 && question->login)
		r = policy_explain_ssh(engine, question->src, question->login, question->dst,
				       reterr_text, &answers->ssh);
	return r;
}

static int show(struct ctl *ctl, const struct ctl_explained *explained)
{
	int r;

	if (ctl->json)
		r = ctl_print_json(ctl, ctl_explained_json(explained));
	else
		r = ctl_rendered(ctl, ctl_render_explained(explained, &ctl->out));
	if (r != CLI_OK)
		return r;
	return ctl_answer(explained) == CTL_ANSWER_YES ? CLI_OK : CLI_NO;
}

static int explain(struct ctl *ctl, struct ctl_setup *setup, const struct ctl_question *question)
{
	_cleanup_(answers_done) struct answers answers = { 0 };
	_cleanup_free_ char *text = NULL;
	struct ctl_explained explained = {
		.question = *question,
		.source = &setup->policy.source,
	};
	int r;

	r = ask(setup->engine, question, &answers, &text);
	if (r == -EINVAL && question->login)
		return ctl_tell(ctl, "%s (asked about the account '%s' on '%s')", text,
				question->login, question->dst);
	if (r == -EINVAL)
		return ctl_tell(ctl, "%s", text);
	if (r < 0)
		return ctl_rendered(ctl, r);
	explained.network = answers.network;
	explained.ssh = answers.ssh;
	return show(ctl, &explained);
}

int verb_policy_explain(int argc, char **argv, void *userdata)
{
	_cleanup_(ctl_setup_done) struct ctl_setup setup = { 0 };
	_cleanup_(parsed_done) struct parsed parsed = { 0 };
	struct ctl *ctl = userdata;
	int r;

	r = ctl_set_up(ctl, argv[0], &setup);
	if (r == CLI_OK)
		r = parse_question(ctl, setup.network, argv, &parsed);
	return r == CLI_OK ? explain(ctl, &setup, &parsed.question) : r;
}
