/* Which rule decides, and what differs between two policies: in words, against golden files. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "coord/policy/text.h"
#include "tests/unit/golden.h"
#include "tests/unit/policy-fixture.h"

static const char *verdict_name(enum policy_verdict verdict)
{
	switch (verdict) {
	case POLICY_DENIED:
		return "denied";
	case POLICY_ALLOWED:
		return "allowed";
	case POLICY_CHECK:
		return "check";
	}
	return "?";
}

static const char *or_dash(const char *text)
{
	return text ? text : "-";
}

static void add_findings(struct policy_text *out, const struct policy_explanation *x)
{
	for (size_t i = 0; i < x->n_findings; i++) {
		const struct policy_finding *f = &x->findings[i];

		policy_text_printf(out, "  %s %zu %u:%u [%s -> %s] %s -> %s: %s\n",
				   verdict_name(f->verdict), f->n_pairs, f->line, f->column,
				   or_dash(f->src_entry), or_dash(f->dst_entry), f->src_name,
				   f->dst_name, f->why);
	}
}

static void explain_net(struct fixture *fx, struct policy_text *out, const char *src,
			const char *dst, uint16_t port, uint8_t proto)
{
	_cleanup_(policy_explanation_freep) struct policy_explanation *x = NULL;
	_cleanup_free_ char *error = NULL;
	int r = policy_explain_network(fx->engine, src, dst, port, proto, &error, &x);

	policy_text_printf(out, "%s -> %s port %u proto %u\n", src, dst, port, proto);
	if (r < 0)
		policy_text_printf(out, "  error: %s\n", error);
	else
		add_findings(out, x);
}

static void explain_ssh(struct fixture *fx, struct policy_text *out, const char *src,
			const char *login, const char *dst)
{
	_cleanup_(policy_explanation_freep) struct policy_explanation *x = NULL;
	_cleanup_free_ char *error = NULL;
	int r = policy_explain_ssh(fx->engine, src, login, dst, &error, &x);

	policy_text_printf(out, "%s -> %s@%s\n", src, login, dst);
	if (r < 0)
		policy_text_printf(out, "  error: %s\n", error);
	else
		add_findings(out, x);
}

static void test_explain(void **state)
{
	static const struct {
		const char *src, *dst;
		uint16_t port;
		uint8_t proto;
	} net[] = {
		{ "laptop", "web1", 443, 0 },
		{ "laptop", "web1", 22, 0 },
		{ "laptop", "web1", 53, 6 },
		{ "laptop", "web1", 53, 17 },
		{ "laptop", "web1", 0, 1 },
		{ "laptop", "phone", 22, 0 },
		{ "laptop", "desk", 22, 0 },
		{ "alice@example.com", "tag:web", 80, 0 },
		{ "autogroup:member", "tag:db", 5432, 0 },
		{ "tag:web", "db", 5432, 0 },
		{ "100.64.1.1", "100.64.1.9", 0, 0 },
		{ "tablet", "10.33.5.5", 22, 0 },
		{ "tablet", "10.33.7.5", 22, 0 },
		{ "tablet", "10.33.5.5", 0, 1 },
		{ "10.33.5.5", "web1", 53, 17 },
		{ "laptop", "8.8.8.8", 443, 0 },
		{ "tablet", "8.8.8.8", 443, 0 },
		{ "autogroup:tagged", "autogroup:tagged", 5432, 0 },
		{ "nobody", "web1", 22, 0 },
		{ "laptop", "office", 22, 0 },
		{ "group:dev", "dave@example.org", 22, 0 },
		{ "laptop", "*", 22, 0 },
		{ "laptop", "ipset:lab", 22, 0 },
	};
	static const char *const ssh[][3] = {
		{ "laptop", "root", "web1" },	   { "laptop", "ubuntu", "web1" },
		{ "laptop", "files", "web1" },	   { "laptop", "root", "db" },
		{ "laptop", "alice", "db" },	   { "laptop", "bob", "db" },
		{ "laptop", "alice", "phone" },	   { "phone", "root", "laptop" },
		{ "laptop", "report", "phone" },   { "group:dev", "root", "tag:web" },
		{ "tag:web", "backup", "tag:db" }, { "desk", "root", "laptop" },
		{ "laptop", "root", "10.1.1.1" },  { "100.64.0.3", "deploy", "100.64.1.1" },
	};
	_cleanup_(policy_text_done) struct policy_text out = { 0 };
	_cleanup_(fixture_done) struct fixture fx = { 0 };

	fixture_load(&fx, "policy/rules.hujson");
	for (size_t i = 0; i < ARRAY_SIZE(net); i++)
		explain_net(&fx, &out, net[i].src, net[i].dst, net[i].port, net[i].proto);
	for (size_t i = 0; i < ARRAY_SIZE(ssh); i++)
		explain_ssh(&fx, &out, ssh[i][0], ssh[i][1], ssh[i][2]);
	golden_check("policy/explain.txt", out.data);
}

static void test_explain_default(void **state)
{
	_cleanup_(policy_text_done) struct policy_text out = { 0 };
	_cleanup_(fixture_done) struct fixture fx = { 0 };

	fixture_load_text(&fx, "{}");
	explain_net(&fx, &out, "laptop", "web1", 22, 0);
	assert_string_equal(out.data,
			    "laptop -> web1 port 22 proto 0\n"
			    "  allowed 1 0:0 [* -> *] laptop -> web1: the policy has neither "
			    "acls nor grants: everybody may reach everything\n");
}

static void add_diff(struct policy_text *out, struct fixture *before, struct fixture *after)
{
	_cleanup_(policy_diff_freep) struct policy_diff *diff = NULL;

	assert_int_equal(policy_diff(before->engine, after->engine, &diff), 0);
	assert_false(diff->truncated);
	for (size_t i = 0; i < diff->n_items; i++) {
		const struct policy_diff_item *item = &diff->items[i];

		policy_text_printf(out, "%s %s line %u, %zu to %zu nodes: %s\n",
				   item->gained ? "+" : "-", item->ssh ? "ssh" : "net", item->line,
				   item->n_src, item->n_dst, item->text);
	}
}

/* {"nodes": [...]}: that many, all tagged tag:many. The caller's. */
static char *many_nodes(unsigned n)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	fputs("{\"users\":[],\"nodes\":[", f);
	for (unsigned i = 0; i < n; i++)
		fprintf(f,
			"%s{\"name\":\"n%u\",\"tags\":[\"tag:many\"],\"addresses\":[\"100.64.%u."
			"%u\"]}",
			i ? "," : "", i, 1 + i / 200, 1 + i % 200);
	fputs("]}", f);
	assert_int_equal(fclose(f), 0);
	return text;
}

/* No half answer that looks like a whole one. */
static void test_explain_too_much(void **state)
{
	static const char rules[] = "{\"tagOwners\":{\"tag:many\":[]}}";
	_cleanup_(policy_explanation_freep) struct policy_explanation *x = NULL;
	_cleanup_(policy_network_freep) struct policy_network *network = NULL;
	_cleanup_(policy_engine_freep) struct policy_engine *engine = NULL;
	_cleanup_free_ char *nodes = many_nodes(2001), *net = NULL, *ssh = NULL, *error = NULL;
	_cleanup_(policy_freep) struct policy *policy = NULL;
	struct policy_problems problems = { 0 };

	assert_int_equal(policy_parse(rules, strlen(rules), &problems, &policy), 0);
	assert_int_equal(policy_network_parse(nodes, strlen(nodes), &error, &network), 0);
	assert_int_equal(policy_engine_new(policy, network, &engine), 0);
	assert_int_equal(policy_explain_network(engine, "tag:many", "tag:many", 22, 0, &net, &x),
			 -EINVAL);
	assert_non_null(strstr(net, "2001 times 2001"));
	assert_int_equal(policy_explain_ssh(engine, "tag:many", "root", "tag:many", &ssh, &x),
			 -EINVAL);
	assert_non_null(strstr(ssh, "2001 times 2001"));
	policy_problems_done(&problems);
}

static void test_diff(void **state)
{
	_cleanup_(fixture_done) struct fixture before = { 0 }, after = { 0 };
	_cleanup_(policy_text_done) struct policy_text out = { 0 };

	fixture_load(&before, "policy/rules.hujson");
	fixture_load(&after, "policy/diff-new.hujson");
	policy_text_puts(&out, "there:\n");
	add_diff(&out, &before, &after);
	policy_text_puts(&out, "and back:\n");
	add_diff(&out, &after, &before);
	golden_check("policy/diff.txt", out.data);
}

/* Written differently, meaning the same. */
static void test_no_diff(void **state)
{
	static const char *const texts[][2] = {
		{ "{}", "{\"acls\":[{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"*:*\"]}]}" },
		{ "{\"acls\":[{\"action\":\"accept\",\"src\":[\"bob@example.com\"],"
		  "\"dst\":[\"100.64.0.1:22,23\",\"[fd7a:115c:a1e0::1]:22-23\"]}]}",
		  "{\"hosts\":{\"a\":\"100.64.0.1\",\"b\":\"fd7a:115c:a1e0::1\"},"
		  "\"grants\":[{\"src\":[\"bob@example.com\"],\"dst\":[\"a\",\"b\"],\"ip\":[\"22\"]"
		  "},"
		  "{\"src\":[\"bob@example.com\"],\"dst\":[\"b\",\"a\"],\"ip\":[\"23\"]}]}" },
		{ "{\"acls\":[],\"ssh\":[]}", "{\"grants\":[]}" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_(fixture_done) struct fixture before = { 0 }, after = { 0 };
		_cleanup_(policy_text_done) struct policy_text out = { 0 };

		fixture_load_text(&before, texts[i][0]);
		fixture_load_text(&after, texts[i][1]);
		add_diff(&out, &before, &after);
		assert_null(out.data);
	}
}

static void test_diff_needs_one_network(void **state)
{
	_cleanup_(fixture_done) struct fixture before = { 0 }, after = { 0 };
	_cleanup_(policy_diff_freep) struct policy_diff *diff = NULL;

	fixture_load_text(&before, "{}");
	fixture_load_text(&after, "{}");
	assert_int_equal(policy_engine_remove_node(after.engine, "desk"), 0);
	assert_int_equal(policy_diff(before.engine, after.engine, &diff), -EINVAL);
	assert_null(diff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_explain_default),
		cmocka_unit_test(test_explain_too_much),
		cmocka_unit_test(test_diff),
		cmocka_unit_test(test_no_diff),
		cmocka_unit_test(test_diff_needs_one_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
