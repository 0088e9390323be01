/*
 * Compile conformance cases (a policy and a network each) and print, one line for each, what
 * check.py --batch of the shared conformance folder compares with the real control plane.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "coord/policy/policy.h"
#include "coord/policy/text.h"

#define MAX_CASE (4u << 20)

static char *read_file(const char *path, size_t *ret_len)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char *text = f ? malloc(MAX_CASE) : NULL;

	if (!text) {
		fprintf(stderr, "%s: cannot be read\n", path);
		exit(2);
	}
	*ret_len = fread(text, 1, MAX_CASE, f);
	return text;
}

static void must(int r)
{
	if (r < 0) {
		fprintf(stderr, "policy-conformance: %s\n", strerror(-r));
		exit(2);
	}
}

static void add_routes(struct policy_text *out, const struct ip_prefix *routes, size_t n)
{
	char buf[IP_PREFIX_STRLEN];

	policy_text_puts(out, "[");
	for (size_t i = 0; i < n; i++)
		policy_text_printf(out, "%s\"%s\"", i ? "," : "",
				   ip_prefix_to_string(&routes[i], buf));
	policy_text_puts(out, "]");
}

static void add_peers(struct policy_engine *e, uint32_t node, struct policy_text *out)
{
	_cleanup_free_ uint32_t *peers = NULL;
	size_t n;

	must(policy_peers(e, node, &peers, &n));
	policy_text_puts(out, ",\"peers\":[");
	for (size_t i = 0; i < n; i++) {
		policy_text_puts(out, i ? "," : "");
		policy_text_string(out, policy_engine_node(e, peers[i])->name);
	}
	policy_text_puts(out, "],\"peer_routes\":{");
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ struct ip_prefix *routes = NULL;
		size_t n_routes;

		must(policy_peer_routes(e, node, peers[i], &routes, &n_routes));
		policy_text_puts(out, i ? "," : "");
		policy_text_string(out, policy_engine_node(e, peers[i])->name);
		policy_text_puts(out, ":");
		add_routes(out, routes, n_routes);
	}
	policy_text_puts(out, "}");
}

static void add_node(struct policy_engine *e, uint32_t node, struct policy_text *out)
{
	_cleanup_free_ struct ip_prefix *approved = NULL;
	size_t n_approved;

	policy_text_string(out, policy_engine_node(e, node)->name);
	policy_text_puts(out, ":{\"packet_filter\":");
	must(policy_filter_json(e, node, out));
	policy_text_puts(out, ",\"ssh_rules\":");
	must(policy_ssh_json(e, node, out));
	add_peers(e, node, out);
	must(policy_auto_approved(e, policy_engine_node(e, node), &approved, &n_approved));
	policy_text_puts(out, ",\"auto_approved\":");
	add_routes(out, approved, n_approved);
	policy_text_puts(out, "}");
}

static void print_refusal(const struct policy_problems *problems)
{
	_cleanup_(policy_text_done) struct policy_text out = { 0 };
	_cleanup_free_ char *text = policy_problem_format(&problems->items[0]);

	policy_text_string(&out, text);
	printf("{\"error\":%s}\n", out.data);
}

static void print_nodes(struct policy_engine *e)
{
	_cleanup_(policy_text_done) struct policy_text out = { 0 };

	policy_text_puts(&out, "{\"nodes\":{");
	for (uint32_t i = 0; i < policy_engine_n_indexes(e); i++) {
		policy_text_puts(&out, i ? "," : "");
		add_node(e, i, &out);
	}
	policy_text_puts(&out, "}}");
	puts(out.data);
}

static void run_policy(const char *policy_text, const struct policy_network *network)
{
	_cleanup_(policy_engine_freep) struct policy_engine *e = NULL;
	_cleanup_(policy_problems_done) struct policy_problems problems = { 0 };
	_cleanup_(policy_freep) struct policy *policy = NULL;
	struct policy_test_result result;
	int r = policy_parse(policy_text, strlen(policy_text), &problems, &policy);

	if (r == -EINVAL) {
		print_refusal(&problems);
		return;
	}
	must(r);
	must(policy_engine_new(policy, network, &e));
	must(policy_run_tests(e, &problems, &result));
	if (problems.n_errors)
		print_refusal(&problems);
	else
		print_nodes(e);
}

static void run_case(const char *path)
{
	_cleanup_(policy_network_freep) struct policy_network *network = NULL;
	_cleanup_free_ char *text = NULL, *error = NULL, *policy = NULL;
	json_t *root;
	size_t len;

	text = read_file(path, &len);
	if (policy_network_parse(text, len, &error, &network) < 0) {
		fprintf(stderr, "%s: %s\n", path, error ? error : "out of memory");
		exit(2);
	}
	root = json_loadb(text, len, 0, NULL);
	policy = json_dumps(json_object_get(root, "policy"), JSON_INDENT(1));
	json_decref(root);
	if (!policy)
		must(-EINVAL);
	run_policy(policy, network);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		run_case(argv[i]);
	return 0;
}
