/*
 * How the policy compiler fares with many nodes. Prints one line of a Markdown table for each size;
 * each runs in a process of its own, so that its memory can be told.
 *
 *	bench-policy [NODES CLASSES RULES]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "coord/policy/policy.h"
#include "coord/policy/text.h"

struct size {
	unsigned n_nodes, n_classes, n_rules;
};

static void must(int r)
{
	if (r < 0) {
		fprintf(stderr, "bench-policy: %s\n", strerror(-r));
		exit(1);
	}
}

static double now_ms(void)
{
	struct timespec ts;

	/* Not by the clock on the wall: others may be at work on the machine. */
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* Always the same numbers. */
static unsigned draw(unsigned below)
{
	static unsigned state = 12345;

	state = state * 1103515245u + 12345u;
	return (state >> 8) % below;
}

/* --- a policy: half of the classes are users, in groups; half are tags */

static void write_names(struct policy_text *out, const struct size *size)
{
	unsigned n = size->n_classes / 2, n_groups = n / 10 + 1;

	policy_text_puts(out, "{\"tagOwners\":{");
	for (unsigned i = 0; i < n; i++)
		policy_text_printf(out, "%s\"tag:t%u\":[]", i ? "," : "", i);
	policy_text_puts(out, "},\n\"groups\":{");
	for (unsigned g = 0; g < n_groups; g++) {
		policy_text_printf(out, "%s\"group:g%u\":[", g ? "," : "", g);
		for (unsigned k = 0; k < 20; k++)
			policy_text_printf(out, "%s\"u%u@example.com\"", k ? "," : "", draw(n));
		policy_text_puts(out, "]");
	}
	policy_text_puts(out, "}");
}

static void write_source(struct policy_text *out, const struct size *size)
{
	unsigned n = size->n_classes / 2;

	switch (draw(10)) {
	case 0:
		policy_text_puts(out, "\"autogroup:member\"");
		break;
	case 1:
	case 2:
	case 3:
	case 4:
		policy_text_printf(out, "\"group:g%u\"", draw(n / 10 + 1));
		break;
	case 5:
	case 6:
		policy_text_printf(out, "\"u%u@example.com\"", draw(n));
		break;
	default:
		policy_text_printf(out, "\"tag:t%u\"", draw(n));
	}
}

static void write_rules(struct policy_text *out, const struct size *size)
{
	unsigned n = size->n_classes / 2;

	policy_text_puts(out, ",\n\"acls\":[\n");
	for (unsigned i = 0; i < size->n_rules; i++) {
		policy_text_printf(out, "%s{\"action\":\"accept\",\"src\":[", i ? ",\n" : "");
		write_source(out, size);
		policy_text_puts(out, ",");
		write_source(out, size);
		policy_text_puts(out, "],\"dst\":[");
		for (unsigned k = 0; k < 8; k++)
			policy_text_printf(out, "%s\"tag:t%u:%u\"", k ? "," : "", draw(n),
					   1 + draw(60000));
		/* Some rules are about everybody's own nodes, some about addresses. */
		if (i % 50 == 0)
			policy_text_printf(out, ",\"100.64.%u.%u:443\"", draw(100), draw(250));
		policy_text_puts(out, "]}");
	}
	policy_text_puts(out, ",\n{\"action\":\"accept\",\"src\":[\"autogroup:member\"],"
			      "\"dst\":[\"autogroup:self:*\"]}],\n\"ssh\":[\n");
	for (unsigned i = 0; i < size->n_rules / 10; i++)
		policy_text_printf(
			out,
			"%s{\"action\":\"accept\",\"src\":[\"group:g%u\"],\"dst\":[\"tag:t%u\"],"
			"\"users\":[\"root\",\"autogroup:nonroot\"]}",
			i ? ",\n" : "", draw(n / 10 + 1), draw(n));
	policy_text_puts(out, "]}\n");
}

/* --- a network */

static struct policy_node make_node(const struct size *size, unsigned i)
{
	struct policy_node node = { .n_addresses = 2 };
	unsigned class = i % size->n_classes;
	char buf[64];

	snprintf(buf, sizeof(buf), "node%u", i);
	node.name = strdup(buf);
	node.addresses = calloc(2, sizeof(*node.addresses));
	snprintf(buf, sizeof(buf), "100.%u.%u.%u", 64 + (i >> 16), i >> 8 & 255, i & 255);
	must(ip_addr_parse(buf, &node.addresses[0]));
	snprintf(buf, sizeof(buf), "fd7a:115c:a1e0::%x:%x", i >> 16, i & 0xffff);
	must(ip_addr_parse(buf, &node.addresses[1]));
	if (class % 2) {
		snprintf(buf, sizeof(buf), "tag:t%u", class / 2);
		node.tags = calloc(1, sizeof(*node.tags));
		node.tags[0] = strdup(buf);
		node.n_tags = 1;
	} else {
		snprintf(buf, sizeof(buf), "u%u@example.com", class / 2);
		node.user = strdup(buf);
	}
	return node;
}

static struct policy_network *make_network(const struct size *size)
{
	struct policy_network *network = calloc(1, sizeof(*network));
	char buf[64];

	network->prefixes = calloc(2, sizeof(*network->prefixes));
	must(ip_prefix_parse("100.64.0.0/10", &network->prefixes[0]));
	must(ip_prefix_parse("fd7a:115c:a1e0::/48", &network->prefixes[1]));
	network->n_prefixes = 2;
	network->n_users = size->n_classes / 2;
	network->users = calloc(network->n_users, sizeof(*network->users));
	for (unsigned i = 0; i < network->n_users; i++) {
		snprintf(buf, sizeof(buf), "u%u@example.com", i);
		network->users[i].login = strdup(buf);
	}
	network->n_nodes = size->n_nodes;
	network->nodes = calloc(size->n_nodes, sizeof(*network->nodes));
	for (unsigned i = 0; i < size->n_nodes; i++)
		network->nodes[i] = make_node(size, i);
	return network;
}

/* --- what is measured */

/* Every filter and SSH policy that differs: of one node of each user and each set of tags. */
static double measure_slices(struct policy_engine *e, const struct size *size, size_t *ret_bytes)
{
	_cleanup_(policy_text_done) struct policy_text out = { 0 };
	double begin = now_ms();

	for (uint32_t i = 0; i < size->n_classes && i < size->n_nodes; i++) {
		out.len = 0;
		must(policy_filter_json(e, i, &out));
		must(policy_ssh_json(e, i, &out));
		*ret_bytes += out.len;
	}
	return now_ms() - begin;
}

/* A node comes: its class, who sees it, whose filters changed. */
static double measure_add(struct policy_engine *e, const struct size *size)
{
	double begin, worst = 0;

	for (unsigned i = 0; i < 100; i++) {
		struct policy_node node = make_node(size, size->n_nodes + i);
		_cleanup_free_ uint32_t *peers = NULL;
		uint64_t changed = 0;
		uint32_t index;
		size_t n;

		begin = now_ms();
		must(policy_engine_set_node(e, &node, &index));
		must(policy_peers(e, index, &peers, &n));
		for (size_t k = 0; k < n; k++)
			changed += policy_filter_serial(e, peers[k]) > 1;
		if (now_ms() - begin > worst)
			worst = now_ms() - begin;
		/* At least its own is new. */
		if (changed + policy_filter_serial(e, index) <= 1)
			must(-EINVAL);
	}
	return worst;
}

/* An endpoint changes, which no policy is about: who is to be told? */
static double measure_endpoint(struct policy_engine *e, const struct size *size, double *ret_peers)
{
	double begin = now_ms(), spent;
	size_t total = 0;

	for (unsigned i = 0; i < 1000; i++) {
		_cleanup_free_ uint32_t *peers = NULL;
		size_t n;

		must(policy_peers(e, draw(size->n_nodes), &peers, &n));
		total += n;
	}
	spent = (now_ms() - begin) / 1000;
	*ret_peers = (double)total / 1000;
	return spent;
}

static double memory_mb(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_maxrss / 1024;
}

static void measure(const struct size *size)
{
	struct policy_text text = { 0 };
	struct policy_problems problems = { 0 };
	struct policy_network *network = make_network(size);
	double begin, parse, compile, slices, add, endpoint, peers, base = memory_mb();
	struct policy_stats stats;
	struct policy_engine *e;
	struct policy *policy;
	size_t bytes = 0;

	write_names(&text, size);
	write_rules(&text, size);
	begin = now_ms();
	must(policy_parse(text.data, text.len, &problems, &policy));
	parse = now_ms() - begin;
	begin = now_ms();
	must(policy_engine_new(policy, network, &e));
	compile = now_ms() - begin;
	slices = measure_slices(e, size, &bytes);
	endpoint = measure_endpoint(e, size, &peers);
	add = measure_add(e, size);
	policy_engine_stats(e, &stats);
	printf("| %u | %u | %zu | %u | %.1f | %.1f | %.0f | %.1f | %.0f | %.3f | %.3f | %.0f | "
	       "%.0f |\n",
	       size->n_nodes, size->n_classes, stats.n_classes, size->n_rules, parse, compile,
	       slices, (double)bytes / 1e6, peers, add, endpoint, memory_mb() - base, memory_mb());
	fflush(stdout);
	policy_engine_free(e);
	policy_free(policy);
	policy_network_free(network);
	policy_text_done(&text);
	policy_problems_done(&problems);
}

static void measure_apart(const struct size *size)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		measure(size);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
		must(-EIO);
}

int main(int argc, char **argv)
{
	static const unsigned nodes[] = { 1000, 10000, 50000 }, classes[] = { 200, 2000 },
			      rules[] = { 100, 300 };
	struct size size;

	printf("| nodes | identities | classes | rules | parse ms | compile ms | slices ms | "
	       "slices MB "
	       "| peers | add ms | endpoint ms | engine MB | process MB |\n");
	printf("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
	fflush(stdout);
	if (argc == 4) {
		size = (struct size){ (unsigned)atoi(argv[1]), (unsigned)atoi(argv[2]),
				      (unsigned)atoi(argv[3]) };
		measure_apart(&size);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		for (size_t k = 0; k < ARRAY_SIZE(classes); k++)
			for (size_t j = 0; j < ARRAY_SIZE(rules); j++) {
				size = (struct size){ nodes[i], classes[k], rules[j] };
				measure_apart(&size);
			}
	return 0;
}
