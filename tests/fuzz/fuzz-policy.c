/*
 * A policy from anywhere, on a network from anywhere: "POLICY NUL NETWORK", or the policy alone.
 * Whatever was accepted is compiled, tested, explained and compared, and has to agree with itself.
 */
#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "coord/policy/policy.h"

#define MAX_NODES 24u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_problems(const struct policy_problems *problems)
{
	require(problems->n <= 2 * POLICY_MAX_PROBLEMS);
	for (size_t i = 0; i < problems->n; i++) {
		_cleanup_free_ char *line = policy_problem_format(&problems->items[i]);

		require(line && *line && !text_has_control(line));
	}
}

static void check_json(const struct policy_text *text)
{
	json_t *value = json_loadb(text->data, text->len, JSON_REJECT_DUPLICATES, NULL);

	require(json_is_array(value));
	json_decref(value);
}

static void check_node(struct policy_engine *e, uint32_t node)
{
	_cleanup_(policy_text_done) struct policy_text filter = { 0 }, ssh = { 0 };
	_cleanup_free_ struct ip_prefix *approved = NULL;
	_cleanup_free_ uint32_t *peers = NULL;
	size_t n_peers, n_approved;

	require(policy_filter_json(e, node, &filter) == 0);
	check_json(&filter);
	require(policy_ssh_json(e, node, &ssh) == 0);
	check_json(&ssh);
	require(policy_peers(e, node, &peers, &n_peers) == 0);
	for (size_t i = 0; i < n_peers; i++) {
		_cleanup_free_ struct ip_prefix *routes = NULL;
		size_t n_routes;

		require(policy_sees(e, peers[i], node) && policy_sees(e, node, peers[i]));
		require(policy_peer_routes(e, node, peers[i], &routes, &n_routes) == 0);
	}
	require(policy_auto_approved(e, policy_engine_node(e, node), &approved, &n_approved) == 0);
	require(n_approved <= policy_engine_node(e, node)->n_advertised);
}

/* Who lets in sees, and is seen. */
static void check_pair(struct policy_engine *e, uint32_t a, uint32_t b)
{
	static const char *const logins[] = { "root", "alice", "any" };
	const char *from = policy_engine_node(e, a)->name, *to = policy_engine_node(e, b)->name;
	_cleanup_(policy_explanation_freep) struct policy_explanation *x = NULL;
	_cleanup_free_ char *error = NULL;

	if (policy_explain_network(e, from, to, 0, 0, &error, &x) == 0)
		for (size_t i = 0; i < x->n_findings; i++)
			require(x->findings[i].verdict == POLICY_DENIED || a == b ||
				policy_sees(e, a, b));
	for (size_t i = 0; i < ARRAY_SIZE(logins); i++) {
		_cleanup_(policy_explanation_freep) struct policy_explanation *y = NULL;

		require(policy_explain_ssh(e, from, logins[i], to, &error, &y) == 0);
		require(y->n_findings == 1 && y->findings[0].n_pairs == 1);
	}
}

static void check_same(const struct policy *policy, const struct policy_network *network,
		       struct policy_engine *e)
{
	_cleanup_(policy_engine_freep) struct policy_engine *other = NULL;
	_cleanup_(policy_diff_freep) struct policy_diff *diff = NULL;

	require(policy_engine_new(policy, network, &other) == 0);
	require(policy_diff(e, other, &diff) == 0);
	require(diff->n_items == 0);
}

static void check_removal(struct policy_engine *e)
{
	for (uint32_t i = 0; i < policy_engine_n_indexes(e); i++) {
		const struct policy_node *node = policy_engine_node(e, i);
		uint32_t index;

		if (!node)
			continue;
		require(policy_engine_set_node(e, node, &index) == 0 && index == i);
		require(policy_engine_remove_node(e, policy_engine_node(e, i)->name) == 0);
		for (uint32_t k = i + 1; k < policy_engine_n_indexes(e); k++)
			if (policy_engine_node(e, k))
				check_node(e, k);
	}
}

static void run(const struct policy *policy, const struct policy_network *network)
{
	_cleanup_(policy_problems_done) struct policy_problems problems = { 0 };
	_cleanup_(policy_engine_freep) struct policy_engine *e = NULL;
	struct policy_test_result result;

	require(policy_engine_new(policy, network, &e) == 0);
	require(policy_run_tests(e, &problems, &result) == 0);
	require(result.n_failed == problems.n_errors);
	require(policy_lint(e, &problems) == 0);
	check_problems(&problems);
	if (network->n_nodes > MAX_NODES)
		return;
	for (uint32_t i = 0; i < policy_engine_n_indexes(e); i++) {
		if (!policy_engine_node(e, i))
			continue;
		check_node(e, i);
		for (uint32_t k = 0; k < policy_engine_n_indexes(e); k++)
			if (policy_engine_node(e, k))
				check_pair(e, i, k);
	}
	check_same(policy, network, e);
	check_removal(e);
}

/* What is read strictly is read as well by who does not ask what is mapped. */
static void check_lenient(const char *text, size_t len)
{
	static const struct policy_mapped all = { .others = true };
	_cleanup_(policy_problems_done) struct policy_problems problems = { 0 };
	_cleanup_(policy_freep) struct policy *policy = NULL;

	require(policy_parse_mapped(text, len, &all, &problems, &policy) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(policy_problems_done) struct policy_problems problems = { 0 };
	_cleanup_(policy_network_freep) struct policy_network *network = NULL;
	_cleanup_(policy_freep) struct policy *policy = NULL;
	const uint8_t *nul = memchr(data, '\0', size);
	size_t len = nul ? (size_t)(nul - data) : size;
	_cleanup_free_ char *error = NULL;
	struct policy_mapped mapped = { 0 };
	int r = 0, network_r = 0;

	if (nul)
		network_r = policy_network_parse((const char *)nul + 1, size - len - 1, &error,
						 &network);
	require(network_r == 0 || (network_r == -EINVAL && error && !text_has_control(error)));
	if (network)
		mapped = (struct policy_mapped){ .groups = network->groups,
						 .n_groups = network->n_groups };
	r = policy_parse_mapped((const char *)data, len, &mapped, &problems, &policy);
	check_problems(&problems);
	require((r == 0) == (policy != NULL) && (r == 0) == (problems.n_errors == 0));
	if (r < 0 || network_r < 0)
		return 0;
	require(!policy_stray_group(policy));
	check_lenient((const char *)data, len);
	if (!nul)
		require(policy_network_imagine(policy, &network) == 0);
	run(policy, network);
	return 0;
}
