/* What is said of a flow, and that it is what the compiled table does with it. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/filter/compile.h"
#include "agent/flow.h"
#include "agent/netmap/names.h"
#include "common/text.h"

#define NOW 1795564800000000u /* 2026-11-25T00:00:00Z */

/*
 * A server that routes 10.7.0.0/16; laptop; a subnet router, behind part of whose subnet a router
 * with an expired key is; a host whose key has expired.
 */
static const char map_template[] =
	"{\"type\": \"full\", \"version\": 1, \"for\": \"n1\", \"generation\": 1,"
	" \"self\": {\"id\": \"n1\", \"name\": \"server\", \"routes\": [\"10.7.0.0/16\"],"
	"            \"addresses\": [\"100.64.0.1\", \"100.64.1.1\", \"fd00::1\"], \"ssh\": true},"
	" \"mesh\": {\"domain\": \"mesh.example\", \"prefixes\": [\"100.64.0.0/10\","
	"            \"fd00::/48\"]},"
	" \"peers\": ["
	"  {\"id\": \"n2\", \"name\": \"laptop\", \"addresses\": [\"100.64.0.2\", \"fd00::2\"],"
	"   \"node_key\": \"dHdvMnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI=\"},"
	"  {\"id\": \"n3\", \"name\": \"desktop\", \"addresses\": [\"100.64.0.3\", \"fd00::3\"],"
	"   \"node_key\": \"M3d3MnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI=\"},"
	"  {\"id\": \"n4\", \"name\": \"router\", \"addresses\": [\"100.64.0.4\"],"
	"   \"node_key\": \"NHd3MnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI=\","
	"   \"routes\": [\"10.1.0.0/16\", \"10.2.0.0/24\", \"2001:db8::/64\"]},"
	"  {\"id\": \"n5\", \"name\": \"inner\", \"addresses\": [\"100.64.0.5\"],"
	"   \"node_key\": \"NXd3MnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI=\","
	"   \"routes\": [\"10.1.2.0/24\"]},"
	"  {\"id\": \"n9\", \"name\": \"old\", \"addresses\": [\"100.64.0.9\"],"
	"   \"node_key\": \"OXd3MnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI=\","
	"   \"key_expiry\": \"2026-11-24T23:59:59Z\", \"routes\": [\"10.9.0.0/16\","
	"   \"10.1.4.0/24\"]}],"
	" \"packet_filter\": [%s], \"ssh_rules\": []}";

static struct netmap *make_map(const char *filter)
{
	_cleanup_free_ char *text = text_printf(map_template, filter), *error = NULL;
	struct netmap *map = NULL;

	if (netmap_parse(text, strlen(text), "m", &error, &map) < 0)
		fail_msg("%s: %s", filter, error);
	return map;
}

static struct ip_addr addr_of(const char *text)
{
	struct ip_addr addr;

	assert_int_equal(ip_addr_parse(text, &addr), 0);
	return addr;
}

/* ---- words ---- */

static const char words_filter[] =
	"{\"src\": [\"100.64.0.2\", \"fd00::2\"], \"dst\": [{\"ip\": \"100.64.0.1\", \"ports\": "
	"[22, 22]}], \"proto\": [6], \"origin\": \"acls[0] line 14\"},"
	"{\"src\": [\"100.64.0.0/10\"], \"dst\": [{\"ip\": \"100.64.0.1\", \"ports\": [80, 89]}, "
	"{\"ip\": \"100.64.0.1\", \"ports\": [22, 25]}], \"origin\": \"acls[1] line 20\"},"
	"{\"src\": [\"10.1.0.0/16\"], \"dst\": [{\"ip\": \"*\", \"ports\": [0, 65535]}],"
	" \"proto\": [6]}";

static const struct word_case {
	const char *src, *dst;
	uint8_t proto;
	int port; /* 0: any */
	enum flow_verdict verdict;
	enum flow_reason reason;
	const char *message;
} word_cases[] = {
	{ "100.64.0.2", "100.64.0.1", 6, 22, FLOW_ALLOWED, FLOW_BY_RULE,
	  "acls[0] line 14 lets it in" },
	{ "100.64.0.3", "100.64.0.1", 6, 22, FLOW_ALLOWED, FLOW_BY_RULE,
	  "acls[1] line 20 lets it in" },
	{ "100.64.0.3", "100.64.0.1", 6, 90, FLOW_DENIED, FLOW_BY_NO_RULE,
	  "no rule lets it in; acls[1] line 20 fits but for the port" },
	{ "100.64.0.3", "100.64.0.1", 47, 0, FLOW_DENIED, FLOW_BY_NO_RULE,
	  "no rule lets it in; acls[1] line 20 fits but for the protocol" },
	{ "100.64.0.3", "100.64.0.1", 1, 0, FLOW_ALLOWED, FLOW_BY_RULE,
	  "acls[1] line 20 lets it in" },
	/* ping is asked about by either name. */
	{ "100.64.0.3", "100.64.0.1", 58, 0, FLOW_ALLOWED, FLOW_BY_RULE,
	  "acls[1] line 20 lets it in" },
	{ "100.64.0.3", "100.64.1.1", 6, 22, FLOW_DENIED, FLOW_BY_NO_RULE,
	  "no rule lets it in; packet_filter[2] fits, but is for other sources" },
	{ "fd00::2", "fd00::1", 17, 53, FLOW_DENIED, FLOW_BY_NO_RULE, "no rule lets it in" },
	{ "10.1.0.7", "100.64.1.1", 6, 7000, FLOW_ALLOWED, FLOW_BY_RULE,
	  "packet_filter[2] lets it in" },
	{ "10.1.4.7", "100.64.1.1", 6, 7000, FLOW_ALLOWED, FLOW_BY_RULE,
	  "packet_filter[2] lets it in" },
	{ "10.9.4.7", "100.64.1.1", 6, 7000, FLOW_DENIED, FLOW_BY_KEY,
	  "the key of old has expired: it is treated as if it were not there" },
	{ "100.64.0.9", "100.64.0.1", 6, 80, FLOW_DENIED, FLOW_BY_KEY,
	  "the key of old has expired: it is treated as if it were not there" },
	{ "100.64.0.77", "100.64.0.1", 6, 80, FLOW_DENIED, FLOW_BY_NOT_A_PEER,
	  "the source is no peer of server" },
	{ "192.0.2.1", "100.64.0.1", 6, 80, FLOW_DENIED, FLOW_BY_NOT_A_PEER,
	  "the source is not of the mesh, and mesh addresses take packets from the mesh only" },
	{ "100.64.0.1", "100.64.1.1", 6, 80, FLOW_ALLOWED, FLOW_BY_OWN_TRAFFIC,
	  "the packet filter leaves a host's traffic with itself alone" },
	{ "100.64.0.2", "fd00::1", 6, 80, FLOW_DENIED, FLOW_BY_FAMILY,
	  "one has an IPv4 address and the other an IPv6 address" },
	{ "100.64.0.1", "100.64.0.2", 6, 80, FLOW_UNKNOWN, FLOW_BY_DESTINATION,
	  "laptop decides what it lets in, and only its own agent knows" },
	{ "100.64.0.3", "100.64.0.2", 6, 80, FLOW_UNKNOWN, FLOW_BY_DESTINATION,
	  "laptop decides what it lets in, and only its own agent knows" },
	{ "100.64.0.1", "10.1.2.3", 6, 80, FLOW_UNKNOWN, FLOW_BY_DESTINATION,
	  "it lies behind inner: only the agent there knows whether it is passed on" },
	{ "100.64.0.1", "100.64.0.9", 6, 80, FLOW_DENIED, FLOW_BY_KEY,
	  "the key of old has expired: it is treated as if it were not there" },
	{ "100.64.0.1", "100.64.0.77", 6, 80, FLOW_DENIED, FLOW_BY_NO_ROUTE,
	  "no peer of server has the destination's address" },
	{ "100.64.0.2", "100.64.0.77", 6, 80, FLOW_UNKNOWN, FLOW_BY_OUTSIDE,
	  "this host knows nobody with the destination's address" },
	{ "100.64.0.2", "10.7.0.1", 6, 80, FLOW_DENIED, FLOW_BY_FORWARDING,
	  "server forwards nothing between the mesh and other networks" },
	{ "10.7.0.1", "100.64.0.2", 6, 80, FLOW_DENIED, FLOW_BY_FORWARDING,
	  "server forwards nothing between the mesh and other networks" },
	{ "100.64.0.2", "192.0.2.1", 6, 80, FLOW_DENIED, FLOW_BY_FORWARDING,
	  "server forwards nothing between the mesh and other networks" },
	{ "100.64.0.1", "192.0.2.1", 6, 80, FLOW_UNKNOWN, FLOW_BY_OUTSIDE,
	  "the destination is not of the mesh, which has no say there" },
};

static void test_words(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = make_map(words_filter);

	for (size_t i = 0; i < ARRAY_SIZE(word_cases); i++) {
		const struct word_case *c = &word_cases[i];
		const struct flow_question question = {
			.src = addr_of(c->src),
			.dst = addr_of(c->dst),
			.proto = c->proto,
			.any_port = c->port == 0,
			.port = (uint16_t)c->port,
		};
		_cleanup_(flow_answer_done) struct flow_answer answer = { 0 };
		_cleanup_free_ char *message = NULL;

		assert_int_equal(flow_judge(map, &question, NOW, &answer), 0);
		message = flow_answer_explain(map, &answer);
		print_message("%s to %s: %s, %s\n", c->src, c->dst,
			      flow_reason_to_string(answer.reason), message);
		assert_int_equal(answer.verdict, c->verdict);
		assert_int_equal(answer.reason, c->reason);
		assert_string_equal(message, c->message);
	}
}

static void test_any_port(void **state)
{
	static const struct port_claim expected[] = { { { 22, 22 }, 0 },
						      { { 23, 25 }, 1 },
						      { { 80, 89 }, 1 } };
	_cleanup_(netmap_freep) struct netmap *map = make_map(words_filter);
	const struct flow_question question = {
		.src = addr_of("100.64.0.2"),
		.dst = addr_of("100.64.0.1"),
		.proto = IPPROTO_TCP,
		.any_port = true,
	};
	_cleanup_(flow_answer_done) struct flow_answer answer = { 0 };

	assert_int_equal(flow_judge(map, &question, NOW, &answer), 0);
	assert_int_equal(answer.rules.n_open, ARRAY_SIZE(expected));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		assert_int_equal(answer.rules.open[i].ports.first, expected[i].ports.first);
		assert_int_equal(answer.rules.open[i].ports.last, expected[i].ports.last);
		assert_int_equal(answer.rules.open[i].rule, expected[i].rule);
	}
}

static void test_names(void **state)
{
	static const struct {
		const char *name, *id;
	} cases[] = {
		{ "laptop", "n2" },
		{ "LAPTOP", "n2" },
		{ "laptop.", "n2" },
		{ "laptop.mesh.example", "n2" },
		{ "Laptop.Mesh.Example.", "n2" },
		{ "server", "n1" },
		{ "server.mesh.example", "n1" },
		{ "old", "n9" },
		{ "lap", NULL },
		{ "laptops", NULL },
		{ "laptop.mesh", NULL },
		{ "laptop.other.example", NULL },
		{ "laptop.amesh.example", NULL },
		{ "laptopmesh.example", NULL },
		{ "mesh.example", NULL },
		{ ".mesh.example", NULL },
		{ "x.laptop.mesh.example", NULL },
		{ "", NULL },
		{ ".", NULL },
	};
	_cleanup_(netmap_freep) struct netmap *map = make_map("");

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct netmap_node *node = netmap_node_by_name(map, cases[i].name);

		print_message("%s\n", cases[i].name);
		if (cases[i].id)
			assert_string_equal(node->id, cases[i].id);
		else
			assert_null(node);
	}
}

/* ---- the same as the kernel's table ---- */

static uint64_t random_state = 1;

static unsigned pick(unsigned n)
{
	/* splitmix64: the same on every machine */
	uint64_t z = (random_state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (unsigned)((z ^ (z >> 31)) % n);
}

static const char *const sources[] = {
	"*",	       "100.64.0.0/10",	    "100.64.0.2",    "100.64.0.2/31", "100.64.0.3",
	"100.64.0.4",  "100.64.0.5",	    "100.64.0.9",    "100.64.0.77",   "10.0.0.0/8",
	"10.1.0.0/16", "10.1.2.0/23",	    "10.1.2.128/25", "10.1.2.7",      "10.1.4.7",
	"10.1.9.9",    "10.2.0.0/24",	    "10.2.0.255",    "10.9.0.0/16",   "10.9.1.1",
	"fd00::2",     "fd00::/126",	    "fd00::3",	     "2001:db8::/48", "2001:db8::5",
	"192.0.2.1",   "10.1.2.3-10.1.5.9",
};
static const char *const destinations[] = {
	"*",	   "100.64.0.1", "100.64.1.1", "100.64.0.0/10", "100.64.1.0/24",
	"fd00::1", "fd00::/64",	 "100.64.0.3", "::/0",
};
/* Questions, besides addresses of the lists above. */
static const char *const from[] = {
	"100.64.0.1", "100.64.0.2",  "100.64.0.3",  "100.64.0.4",    "100.64.0.5",
	"100.64.0.9", "100.64.0.77", "10.1.0.1",    "10.1.2.7",	     "10.1.2.130",
	"10.1.3.0",   "10.1.4.7",    "10.1.9.9",    "10.2.0.255",    "10.2.1.0",
	"10.9.1.1",   "10.200.0.1",  "192.0.2.1",   "fd00::1",	     "fd00::2",
	"fd00::3",    "fd00::77",    "2001:db8::5", "2001:db8:1::5", "10.7.0.1",
};
static const char *const to[] = { "100.64.0.1", "100.64.1.1", "fd00::1" };
static const uint8_t protos[] = { IPPROTO_TCP,	  IPPROTO_UDP,	IPPROTO_ICMP,
				  IPPROTO_ICMPV6, IPPROTO_SCTP, IPPROTO_GRE };
static const uint16_t ports[] = { 0, 1, 21, 22, 23, 79, 80, 81, 443, 1023, 1024, 65534, 65535 };

static void random_ports(FILE *out)
{
	unsigned a = ports[pick(ARRAY_SIZE(ports))], b = ports[pick(ARRAY_SIZE(ports))];

	fprintf(out, "[%u, %u]", a < b ? a : b, a < b ? b : a);
}

static void random_rule(FILE *out)
{
	unsigned n_src = 1 + pick(3), n_dst = 1 + pick(3), n_proto = pick(4);

	fputs("{\"src\": [", out);
	for (unsigned i = 0; i < n_src; i++)
		fprintf(out, "%s\"%s\"", i ? "," : "", sources[pick(ARRAY_SIZE(sources))]);
	fputs("], \"dst\": [", out);
	for (unsigned i = 0; i < n_dst; i++) {
		fprintf(out, "%s{\"ip\": \"%s\", \"ports\": ", i ? "," : "",
			destinations[pick(ARRAY_SIZE(destinations))]);
		random_ports(out);
		fputc('}', out);
	}
	fputs("]", out);
	if (n_proto > 0)
		fputs(", \"proto\": [", out);
	for (unsigned i = 0; i < n_proto; i++)
		fprintf(out, "%s%u", i ? "," : "", protos[pick(ARRAY_SIZE(protos))]);
	fputs(n_proto ? "]}" : "}", out);
}

static struct netmap *random_map(char **ret_filter)
{
	unsigned n = pick(9);
	size_t len;
	FILE *out = open_memstream(ret_filter, &len);

	for (unsigned i = 0; i < n; i++) {
		if (i)
			fputc(',', out);
		random_rule(out);
	}
	fclose(out);
	return make_map(*ret_filter);
}

static bool fits_family(uint8_t proto, const struct ip_addr *addr)
{
	return proto != (addr->family == AF_INET ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

/* One port at a time. */
static void check_port(const struct netmap *map, const struct filter_table *table,
		       const struct flow_question *q, const char *filter, unsigned *n_allowed)
{
	_cleanup_(flow_answer_done) struct flow_answer answer = { 0 };
	uint32_t rule = 0;
	bool own = netmap_is_own_address(map, &q->src), allowed;

	assert_int_equal(flow_judge(map, q, NOW, &answer), 0);
	allowed = filter_table_allows(table, &q->src, &q->dst, q->proto, q->port, &rule);
	assert_int_not_equal(answer.verdict, FLOW_UNKNOWN);
	/* What a host says to itself is not looked up in the table at all. */
	if ((answer.verdict == FLOW_ALLOWED) != (allowed || own) ||
	    (allowed && !own && answer.rules.open[0].rule != rule))
		fail_msg("%s: proto %u port %u: the table says %d by %u, explained as %s by %u",
			 filter, q->proto, q->port, allowed, rule,
			 flow_reason_to_string(answer.reason),
			 answer.rules.n_open ? answer.rules.open[0].rule : 0);
	*n_allowed += allowed;
}

/* All ports in one answer: the ranges have every port that the table has, by the same rule. */
static void check_ranges(const struct netmap *map, const struct filter_table *table,
			 const struct flow_question *q, const char *filter)
{
	struct flow_question all = *q;
	_cleanup_(flow_answer_done) struct flow_answer answer = { 0 };
	uint32_t rule = 0, explained = 0;
	bool allowed, open = false;

	all.any_port = true;
	assert_int_equal(flow_judge(map, &all, NOW, &answer), 0);
	if (answer.reason == FLOW_BY_OWN_TRAFFIC)
		return;
	allowed = filter_table_allows(table, &q->src, &q->dst, q->proto, q->port, &rule);
	for (size_t i = 0; i < answer.rules.n_open; i++)
		if (answer.rules.open[i].ports.first <= q->port &&
		    q->port <= answer.rules.open[i].ports.last) {
			open = true;
			explained = answer.rules.open[i].rule;
		}
	if (open != allowed || (open && explained != rule))
		fail_msg("%s: proto %u port %u of all: the table says %d by %u, explained as %d "
			 "by %u",
			 filter, q->proto, q->port, allowed, rule, open, explained);
}

static void test_same_as_table(void **state)
{
	enum { N_MAPS = 1500, N_FLOWS = 60 };
	unsigned n_allowed = 0;

	for (unsigned i = 0; i < N_MAPS; i++) {
		_cleanup_free_ char *filter = NULL, *error = NULL;
		_cleanup_(netmap_freep) struct netmap *map = random_map(&filter);
		_cleanup_(filter_table_freep) struct filter_table *table = NULL;

		assert_int_equal(filter_compile(map, NOW, &table, &error), 0);
		for (unsigned k = 0; k < N_FLOWS; k++) {
			const struct flow_question q = {
				.src = addr_of(from[pick(ARRAY_SIZE(from))]),
				.dst = addr_of(to[pick(ARRAY_SIZE(to))]),
				.proto = protos[pick(ARRAY_SIZE(protos))],
				.port = ports[pick(ARRAY_SIZE(ports))],
			};

			if (q.src.family != q.dst.family || !fits_family(q.proto, &q.dst))
				continue;
			check_port(map, table, &q, filter, &n_allowed);
			check_ranges(map, table, &q, filter);
		}
	}
	/* The test is about something. */
	print_message("%u allowed\n", n_allowed);
	assert_in_range(n_allowed, N_MAPS, N_MAPS * N_FLOWS / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_any_port),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_same_as_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
