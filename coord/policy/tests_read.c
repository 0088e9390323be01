/* tests and sshTests: what the policy's author wants to hold. */
#include <errno.h>
#include <string.h>

#include "coord/policy/ports.h"
#include "coord/policy/read.h"
#include "coord/policy/selector.h"

#define SRC_KINDS (SEL_MASK_PEOPLE | SEL_MASK_TAGS | SEL_MASK(SEL_RANGES))

static const struct selector_use src_use = {
	.what = "the source of a test",
	.allowed = SRC_KINDS,
	.instead = "one user, group, tag, host or address",
};
static const struct selector_use dst_use = {
	.what = "a destination of a test",
	.allowed = SRC_KINDS,
	.instead = "one user, group, tag, host or address, with a port",
};
static const struct selector_use ssh_dst_use = {
	.what = "a destination of an SSH test",
	.allowed = SEL_MASK(SEL_TAG) | SEL_MASK(SEL_USER) | SEL_MASK(SEL_RANGES),
	.instead = "a tag, a user, a host or an address",
};

/* A test is about one host: no prefix will do, however long. */
static bool check_single(struct reader *rd, uint32_t sel, struct place at)
{
	const struct selector *s = &rd->policy->selectors[sel];

	if (s->kind != SEL_RANGES || !s->is_prefix)
		return true;
	read_error(rd, at,
		   "\"%s\" is more than one address to test; write a single one, without a "
		   "length",
		   s->text);
	return false;
}

static bool read_source(struct reader *rd, const struct hujson_value *test,
			const struct hujson_value *v, struct entry *src)
{
	const char *text = is_absent(v) ? NULL : read_string(rd, v, "\"src\"");

	if (!text || !*text) {
		if (!v || is_absent(v) || text)
			read_error(rd, v ? v->at : test->at,
				   "the test has no \"src\"; write one user, group, tag, host or "
				   "address");
		return false;
	}
	*src = (struct entry){ .text = text, .at = v->at };
	src->sel = selector_read(rd, text, v->at, &src_use);
	return src->sel != SEL_NONE && check_single(rd, src->sel, v->at);
}

static bool read_target(struct reader *rd, const struct hujson_value *v, bool deny,
			struct net_target *target)
{
	const char *text = read_string(rd, v, "a destination of a test");
	const char *colon = text ? strrchr(text, ':') : NULL, *host;
	size_t len;

	if (!text)
		return false;
	if (!colon || port_parse(colon + 1, &target->port) < 0) {
		read_error(rd, v->at,
			   "\"%s\" does not end in one port; write, say, \"tag:server:22\"", text);
		return false;
	}
	len = (size_t)(colon - text);
	if (len > 2 && text[0] == '[' && text[len - 1] == ']')
		host = arena_strndup(&rd->policy->arena, text + 1, len - 2);
	else
		host = arena_strndup(&rd->policy->arena, text, len);
	if (!host) {
		rd->no_memory = true;
		return false;
	}
	target->deny = deny;
	target->entry = (struct entry){ .text = text, .at = v->at };
	target->entry.sel = selector_read(rd, host, v->at, &dst_use);
	return target->entry.sel != SEL_NONE && check_single(rd, target->entry.sel, v->at);
}

static void read_targets(struct reader *rd, const struct hujson_value *list, bool deny,
			 struct net_target *targets, struct net_test *test)
{
	for (size_t i = 0; list && i < list->n_items; i++)
		if (read_target(rd, &list->items[i], deny, &targets[test->n_targets]))
			test->n_targets++;
}

static void refuse_posture(struct reader *rd, const struct hujson_value *v)
{
	if (!is_absent(v) && v->n_items)
		read_error(rd, v->key_at, "device posture is not supported; leave \"%s\" out",
			   v->key);
}

static void read_test(struct reader *rd, const struct hujson_value *v, struct net_test *test)
{
	enum { SRC, PROTO, ACCEPT, DENY, POSTURE, USER, ALLOW, N };
	static const char *const names[N] = { "src",  "proto", "accept", "deny", "srcPostureAttrs",
					      "user", "allow" };
	const struct hujson_value *m[N] = { NULL }, *accept, *deny;
	struct net_target *targets;
	const char *proto;

	test->at = v->at;
	if (!read_object(rd, v, "a test"))
		return;
	read_members(rd, v, names, N, m);
	refuse_posture(rd, m[POSTURE]);
	/* "user" and "allow" are older names of "src" and "accept". */
	read_source(rd, v, m[SRC] ? m[SRC] : m[USER], &test->src);
	accept = read_array(rd, m[ACCEPT] ? m[ACCEPT] : m[ALLOW], POLICY_MAX_RULES, "\"accept\"");
	deny = read_array(rd, m[DENY], POLICY_MAX_RULES, "\"deny\"");
	proto = is_absent(m[PROTO]) ? "" : read_string(rd, m[PROTO], "\"proto\"");
	if (proto && *proto)
		protocol_read(rd, proto, m[PROTO]->at, &test->proto);
	if (!(accept && accept->n_items) && !(deny && deny->n_items)) {
		read_error(rd, v->at, "the test asks for nothing; write \"accept\" or \"deny\"");
		return;
	}
	targets = read_alloc(rd, (accept ? accept->n_items : 0) + (deny ? deny->n_items : 0),
			     sizeof(*targets));
	test->targets = targets;
	if (!targets)
		return;
	read_targets(rd, accept, false, targets, test);
	read_targets(rd, deny, true, targets, test);
}

void read_tests(struct reader *rd, const struct hujson_value *v)
{
	const struct hujson_value *list = read_array(rd, v, POLICY_MAX_RULES, "\"tests\"");
	struct policy *p = rd->policy;

	p->tests = list ? read_alloc(rd, list->n_items, sizeof(*p->tests)) : NULL;
	for (size_t i = 0; p->tests && i < list->n_items; i++) {
		p->tests[i].index = (uint32_t)i;
		read_test(rd, &list->items[i], &p->tests[i]);
		p->n_tests++;
	}
}

static void read_assertions(struct reader *rd, const struct hujson_value *list,
			    enum ssh_expectation expect, struct ssh_assertion *assertions,
			    struct ssh_test *test)
{
	for (size_t i = 0; list && i < list->n_items; i++) {
		const struct hujson_value *v = &list->items[i];
		const char *login = read_string(rd, v, "a login");

		if (login && !*login)
			read_error(rd, v->at, "an empty login; write a name, such as \"root\"");
		else if (login)
			assertions[test->n_assertions++] = (struct ssh_assertion){
				.login = login, .at = v->at, .expect = expect
			};
	}
}

static void read_ssh_dsts(struct reader *rd, const struct hujson_value *v, struct ssh_test *test)
{
	selectors_read(rd, v, &ssh_dst_use, &test->dst, &test->n_dst);
	if (is_absent(v) || (json_is_array(v->json) && !v->n_items))
		read_error(rd, v ? v->at : test->at,
			   "the SSH test has no \"dst\"; list tags, users, hosts or addresses");
	for (size_t i = 0; i < test->n_dst; i++)
		check_single(rd, test->dst[i].sel, test->dst[i].at);
}

static void read_ssh_test(struct reader *rd, const struct hujson_value *v, struct ssh_test *test)
{
	enum { SRC, DST, ACCEPT, CHECK, DENY, POSTURE, N };
	static const char *const names[N] = { "src",   "dst",  "accept",
					      "check", "deny", "srcPostureAttrs" };
	const struct hujson_value *m[N] = { NULL }, *list[3];
	struct ssh_assertion *assertions;
	size_t n = 0;

	test->at = v->at;
	if (!read_object(rd, v, "an SSH test"))
		return;
	read_members(rd, v, names, N, m);
	refuse_posture(rd, m[POSTURE]);
	read_source(rd, v, m[SRC], &test->src);
	read_ssh_dsts(rd, m[DST], test);
	for (size_t i = 0; i < 3; i++) {
		list[i] = read_array(rd, m[ACCEPT + i], POLICY_MAX_RULES, "the list of logins");
		n += list[i] ? list[i]->n_items : 0;
	}
	if (!n) {
		read_error(rd, v->at,
			   "the SSH test asks for nothing; write \"accept\", \"check\" or "
			   "\"deny\"");
		return;
	}
	assertions = read_alloc(rd, n, sizeof(*assertions));
	test->assertions = assertions;
	if (!assertions)
		return;
	read_assertions(rd, list[0], EXPECT_ACCEPT, assertions, test);
	read_assertions(rd, list[1], EXPECT_CHECK, assertions, test);
	read_assertions(rd, list[2], EXPECT_DENY, assertions, test);
}

void read_ssh_tests(struct reader *rd, const struct hujson_value *v)
{
	const struct hujson_value *list = read_array(rd, v, POLICY_MAX_RULES, "\"sshTests\"");
	struct policy *p = rd->policy;

	p->ssh_tests = list ? read_alloc(rd, list->n_items, sizeof(*p->ssh_tests)) : NULL;
	for (size_t i = 0; p->ssh_tests && i < list->n_items; i++) {
		p->ssh_tests[i].index = (uint32_t)i;
		read_ssh_test(rd, &list->items[i], &p->ssh_tests[i]);
		p->n_ssh_tests++;
	}
}
