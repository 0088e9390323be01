#include "coord/policy/question.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "common/text.h"
#include "coord/policy/policy_json.h"

#define SSH_PORT 22

void policy_question_done(struct policy_question *question)
{
	free(question->src);
	free(question->dst);
	free(question->login);
	free(question->proto_name);
	*question = (struct policy_question){ 0 };
}

void policy_answers_done(struct policy_answers *answers)
{
	answers->network = policy_explanation_free(answers->network);
	answers->ssh = policy_explanation_free(answers->ssh);
}

/* ---- what is asked ---- */

_printf_(2, 3) static int fail(char **reterr_text, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	*reterr_text = text_vprintf(fmt, ap);
	va_end(ap);
	return *reterr_text ? -EINVAL : -ENOMEM;
}

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
static int parse_login(const char *text, struct policy_question *question, char **reterr_text)
{
	const char *at = strchr(text, '@');

	if (question->proto_name)
		return fail(reterr_text, "a protocol is for packets, and '%s' asks about a login",
			    text);
	if (at == text || at[1] == '\0')
		return fail(reterr_text, "'%s' lacks %s; write, say, root@server", text,
			    at == text ? "an account" : "a node");
	question->login = strndup(text, (size_t)(at - text));
	question->dst = strdup(at + 1);
	return question->login && question->dst ? 0 : -ENOMEM;
}

static bool is_portless(uint8_t proto)
{
	return proto != 0 && proto != IPPROTO_TCP && proto != IPPROTO_UDP && proto != IPPROTO_SCTP;
}

static int check_packet(struct policy_question *question, char **reterr_text)
{
	const char *proto = question->proto_name;

	if (proto && policy_protocol_parse(proto, &question->proto) < 0)
		return fail(reterr_text,
			    "'%s' is no protocol; write tcp, udp, icmp or a number from 1 to 255",
			    proto);
	question->portless = is_portless(question->proto);
	if (question->port > 0 && question->portless)
		return fail(reterr_text, "%s has no ports; leave ':%u' out", proto, question->port);
	return 0;
}

static int parse(const struct policy_network *network, const char *dst, const char *proto,
		 struct policy_question *question, char **reterr_text)
{
	_cleanup_free_ char *where = split_port(dst, &question->port);

	if (proto && !(question->proto_name = strdup(proto)))
		return -ENOMEM;
	if (!question->src || !where)
		return -ENOMEM;
	if (strchr(where, '@') && !is_user(network, where)) {
		question->port = 0;
		return parse_login(dst, question, reterr_text);
	}
	question->dst = take_ptr(where);
	return check_packet(question, reterr_text);
}

int policy_question_parse(const struct policy_network *network, const char *src, const char *dst,
			  const char *proto, char **reterr_text,
			  struct policy_question *ret_question)
{
	struct policy_question question = { .src = strdup(src) };
	int r = parse(network, dst, proto, &question, reterr_text);

	if (r < 0)
		policy_question_done(&question);
	else
		*ret_question = question;
	return r;
}

/* ---- answers ---- */

static int ask(struct policy_engine *engine, const struct policy_question *question,
	       char **reterr_text, struct policy_answers *answers)
{
	int r = policy_explain_network(engine, question->src, question->dst,
				       question->login ? SSH_PORT : question->port, question->proto,
				       reterr_text, &answers->network);

	if (r == 0 && question->login)
		r = policy_explain_ssh(engine, question->src, question->login, question->dst,
				       reterr_text, &answers->ssh);
	return r;
}

int policy_ask(struct policy_engine *engine, const struct policy_question *question,
	       char **reterr_text, struct policy_answers *ret_answers)
{
	struct policy_answers answers = { 0 };
	_cleanup_free_ char *text = NULL;
	int r = ask(engine, question, &text, &answers);

	if (r == 0) {
		*ret_answers = answers;
		return 0;
	}
	policy_answers_done(&answers);
	if (r == -EINVAL && question->login)
		return fail(reterr_text, "%s (asked about the account '%s' on '%s')", text,
			    question->login, question->dst);
	*reterr_text = take_ptr(text);
	return r;
}

enum policy_answer policy_answer_of(const struct policy_explanation *explanation)
{
	bool some = false, all = true;

	for (size_t i = 0; i < explanation->n_findings; i++) {
		bool yes = explanation->findings[i].verdict != POLICY_DENIED;

		some |= yes;
		all &= yes;
	}
	return !some ? POLICY_ANSWER_NO : all ? POLICY_ANSWER_YES : POLICY_ANSWER_PARTLY;
}

enum policy_answer policy_answer_of_all(const struct policy_answers *answers)
{
	enum policy_answer network = policy_answer_of(answers->network);
	enum policy_answer ssh = answers->ssh ? policy_answer_of(answers->ssh) : POLICY_ANSWER_YES;

	return network < ssh ? network : ssh;
}

/* ---- JSON ---- */

json_t *policy_answers_json(const struct policy_question *question,
			    const struct policy_answers *answers)
{
	static const char *const words[] = {
		[POLICY_ANSWER_NO] = "no",
		[POLICY_ANSWER_PARTLY] = "partly",
		[POLICY_ANSWER_YES] = "yes",
	};
	json_t *port = question->port > 0 ? json_integer(question->port) : NULL;

	return json_pack("{s:s, s:s, s:s, s:s*, s:s, s:o*, s:o, s:o*}", "answer",
			 words[policy_answer_of_all(answers)], "src", question->src, "dst",
			 question->dst, "login", question->login, "proto",
			 question->proto_name ? question->proto_name : "tcp", "port", port,
			 "network", policy_explanation_json(answers->network), "ssh",
			 answers->ssh ? policy_explanation_json(answers->ssh) : NULL);
}

static int read_question(const json_t *json, struct policy_question *question)
{
	const char *src = NULL, *dst = NULL, *login = NULL, *proto = NULL;
	int port = 0;

	if (json_unpack((json_t *)json, "{s:s, s:s, s?:s, s:s, s?:i}", "src", &src, "dst", &dst,
			"login", &login, "proto", &proto, "port", &port) < 0 ||
	    port < 0 || port > UINT16_MAX || policy_protocol_parse(proto, &question->proto) < 0)
		return -EINVAL;
	question->src = strdup(src);
	question->dst = strdup(dst);
	question->login = login ? strdup(login) : NULL;
	question->proto_name = strdup(proto);
	question->port = (uint16_t)port;
	question->portless = is_portless(question->proto);
	return question->src && question->dst && question->proto_name && (!login || question->login)
		       ? 0
		       : -ENOMEM;
}

static int read_answers(const json_t *json, const struct policy_question *question,
			struct policy_answers *answers)
{
	int r = policy_explanation_from_json(json_object_get(json, "network"), &answers->network);

	if (r == 0 && question->login)
		r = policy_explanation_from_json(json_object_get(json, "ssh"), &answers->ssh);
	return r;
}

int policy_answers_from_json(const json_t *json, struct policy_question *ret_question,
			     struct policy_answers *ret_answers)
{
	struct policy_question question = { 0 };
	struct policy_answers answers = { 0 };
	int r = read_question(json, &question);

	if (r == 0)
		r = read_answers(json, &question, &answers);
	if (r < 0) {
		policy_question_done(&question);
		policy_answers_done(&answers);
		return r;
	}
	*ret_question = question;
	*ret_answers = answers;
	return 0;
}
