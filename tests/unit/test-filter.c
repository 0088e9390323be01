#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/filter/classes.h"
#include "agent/filter/compile.h"
#include "agent/filter/diff.h"
#include "agent/filter/narrow.h"
#include "common/text.h"

#define NOW 1795564800000000u /* 2026-11-25T00:00:00Z */

/* A server; laptop, desktop, a subnet router; a host whose key has expired, a router as well. */
static const char map_template[] =
	"{\"type\": \"full\", \"version\": 1, \"for\": \"n1\", \"generation\": 1,"
	" \"self\": {\"id\": \"n1\", \"name\": \"server\","
	"            \"addresses\": [\"100.64.0.1\", \"fd00::1\"], \"ssh\": true},"
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
	"  {\"id\": \"n9\", \"name\": \"old\", \"addresses\": [\"100.64.0.9\"],"
	"   \"node_key\": \"OXd3MnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI=\","
	"   \"key_expiry\": \"2026-11-24T23:59:59Z\", \"routes\": [\"10.9.0.0/16\"]}],"
	" \"packet_filter\": [%s], \"ssh_rules\": []}";

static struct netmap *make_map(const char *filter)
{
	_cleanup_free_ char *text = text_printf(map_template, filter), *error = NULL;
	struct netmap *map = NULL;

	if (netmap_parse(text, strlen(text), "m", &error, &map) < 0)
		fail_msg("%s: %s", filter, error);
	return map;
}

static struct filter_table *compile(const char *filter)
{
	_cleanup_(netmap_freep) struct netmap *map = make_map(filter);
	_cleanup_free_ char *error = NULL;
	struct filter_table *table = NULL;

	assert_int_equal(filter_compile(map, NOW, &table, &error), 0);
	return table;
}

/* Classes as letters, in order of first appearance: their numbers are hashes. */
struct letters {
	uint32_t classes[26];
	size_t n;
};

static char letter(struct letters *letters, uint32_t class)
{
	size_t i = 0;

	while (i < letters->n && letters->classes[i] != class)
		i++;
	assert_in_range(i, 0, 25);
	if (i == letters->n)
		letters->classes[letters->n++] = class;
	return (char)('A' + i);
}

static void print_sources(FILE *out, const struct filter_source *sources, size_t n,
			  struct letters *letters)
{
	char first[IP_ADDR_STRLEN], last[IP_ADDR_STRLEN];

	for (size_t i = 0; i < n; i++) {
		ip_addr_to_string(&sources[i].first, first);
		ip_addr_to_string(&sources[i].last, last);
		fprintf(out, "%s%s%s %s is %c\n", first, strcmp(first, last) ? "-" : "",
			strcmp(first, last) ? last : "", sources[i].comment,
			letter(letters, sources[i].class));
	}
}

static void print_flows(FILE *out, const struct filter_table *table, struct letters *letters,
			uint32_t class)
{
	char addr[IP_ADDR_STRLEN];

	for (size_t i = 0; i < table->n_flows; i++) {
		const struct filter_flow *flow = &table->flows[i];

		if (flow->class != class)
			continue;
		fprintf(out, "%c %s %u %u-%u by %u\n", letter(letters, flow->class),
			ip_addr_to_string(&flow->dst_first, addr), flow->proto, flow->ports.first,
			flow->ports.last, flow->rule);
	}
}

static char *print_table(const struct filter_table *table)
{
	struct letters letters = { .n = 0 };
	size_t len, n_used;
	char *text = NULL;
	FILE *out = open_memstream(&text, &len);

	print_sources(out, table->exact, table->n_exact, &letters);
	print_sources(out, table->nets, table->n_nets, &letters);
	n_used = letters.n;
	for (size_t i = 0; i < n_used; i++)
		print_flows(out, table, &letters, letters.classes[i]);
	/* A class that nobody is in would show here. */
	for (size_t i = 0; i < table->n_flows; i++)
		letter(&letters, table->flows[i].class);
	assert_int_equal(letters.n, n_used);
	fclose(out);
	return text;
}

#define LAPTOP	   "\"src\": [\"100.64.0.2\", \"fd00::2\"], "
#define DESKTOP	   "\"src\": [\"100.64.0.3\", \"fd00::3\"], "
#define TO4(ports) "\"dst\": [{\"ip\": \"100.64.0.1\", \"ports\": " ports "}]"
#define TO6(ports) "\"dst\": [{\"ip\": \"fd00::1\", \"ports\": " ports "}]"
#define TCP	   ", \"proto\": [6]"

static const struct compile_case {
	const char *what, *filter, *expected;
} compile_cases[] = {
	{ "no rules", "", "" },
	{ "one rule, own family only", "{" LAPTOP TO4("[22, 22]") TCP "}",
	  "100.64.0.2 laptop is A\n"
	  "A 100.64.0.1 6 22-22 by 0\n" },
	{ "no protocol: tcp, udp and ping, whose element has no ports",
	  "{" LAPTOP TO4("[22, 22]") "}, {" LAPTOP TO6("[22, 22]") "}",
	  "100.64.0.2 laptop is A\n"
	  "fd00::2 laptop is B\n"
	  "A 100.64.0.1 1 0-65535 by 0\n"
	  "A 100.64.0.1 6 22-22 by 0\n"
	  "A 100.64.0.1 17 22-22 by 0\n"
	  "B fd00::1 6 22-22 by 1\n"
	  "B fd00::1 17 22-22 by 1\n"
	  "B fd00::1 58 0-65535 by 1\n" },
	{ "a destination that is not this node's",
	  "{" LAPTOP "\"dst\": [{\"ip\": \"100.64.0.3\", \"ports\": [22, 22]}]}", "" },
	{ "destination prefixes are cut to own addresses",
	  "{" LAPTOP "\"dst\": [{\"ip\": \"100.64.0.0/10\", \"ports\": [22, 22]},"
	  " {\"ip\": \"fd00::/48\", \"ports\": [22, 22]}]" TCP "}",
	  "100.64.0.2 laptop is A\n"
	  "fd00::2 laptop is A\n"
	  "A 100.64.0.1 6 22-22 by 0\n"
	  "A fd00::1 6 22-22 by 0\n" },
	{ "flows of a family that no member of the class is of are left out",
	  "{\"src\": [\"100.64.0.2\"], \"dst\": [{\"ip\": \"100.64.0.0/10\", \"ports\": [22, 22]},"
	  " {\"ip\": \"fd00::/48\", \"ports\": [22, 22]}]" TCP "}",
	  "100.64.0.2 laptop is A\n"
	  "A 100.64.0.1 6 22-22 by 0\n" },
	{ "same rules, same class; more rules, another",
	  "{\"src\": [\"100.64.0.2\", \"100.64.0.3\"], " TO4("[80, 80]") TCP
	  "},"
	  "{" DESKTOP TO4("[443, 443]") TCP "}",
	  "100.64.0.2 laptop is A\n"
	  "100.64.0.3 desktop is B\n"
	  "A 100.64.0.1 6 80-80 by 0\n"
	  "B 100.64.0.1 6 80-80 by 0\n"
	  "B 100.64.0.1 6 443-443 by 1\n" },
	{ "overlapping ports: the first rule keeps them, the rest is cut",
	  "{" LAPTOP TO4("[100, 200]") TCP "}, {" LAPTOP TO4("[150, 300]") TCP
	  "},"
	  "{" LAPTOP TO4("[50, 400]") TCP "}, {" LAPTOP TO4("[120, 130]") TCP "}",
	  "100.64.0.2 laptop is A\n"
	  "A 100.64.0.1 6 50-99 by 2\n"
	  "A 100.64.0.1 6 100-200 by 0\n"
	  "A 100.64.0.1 6 201-300 by 1\n"
	  "A 100.64.0.1 6 301-400 by 2\n" },
	{ "ranges of one rule are joined",
	  "{" LAPTOP "\"dst\": [{\"ip\": \"100.64.0.1\", \"ports\": [10, 20]},"
	  "{\"ip\": \"100.64.0.1\", \"ports\": [15, 30]}, {\"ip\": \"100.64.0.1\", \"ports\":"
	  " [31, 65535]}, {\"ip\": \"100.64.0.1\", \"ports\": [0, 0]}]" TCP "}",
	  "100.64.0.2 laptop is A\n"
	  "A 100.64.0.1 6 0-0 by 0\n"
	  "A 100.64.0.1 6 10-65535 by 0\n" },
	{ "ports mean nothing to protocols without",
	  "{" LAPTOP TO4("[22, 22]") ", \"proto\": [47]}",
	  "100.64.0.2 laptop is A\n"
	  "A 100.64.0.1 47 0-65535 by 0\n" },
	{ "ICMP of the other family opens nothing",
	  "{" LAPTOP TO4("[0, 65535]") ", \"proto\": [58]},"
				       "{" LAPTOP TO6("[0, 65535]") ", \"proto\": [1]}",
	  "" },
	{ "a prefix takes in exact addresses, and is not a source of its own in the mesh",
	  "{\"src\": [\"100.64.0.0/10\"], " TO4("[80, 80]") TCP
	  "},"
	  "{\"src\": [\"100.64.0.3\"], " TO4("[22, 22]") TCP "}",
	  "100.64.0.2 laptop is A\n"
	  "100.64.0.3 desktop is B\n"
	  "100.64.0.4 router is A\n"
	  "A 100.64.0.1 6 80-80 by 0\n"
	  "B 100.64.0.1 6 22-22 by 1\n"
	  "B 100.64.0.1 6 80-80 by 0\n" },
	{ "everybody: peers, and what is behind routers of peers",
	  "{\"src\": [\"0.0.0.0/0\", \"::/0\"], " TO4("[80, 80]") TCP
	  "},"
	  "{\"src\": [\"0.0.0.0/0\", \"::/0\"], " TO6("[80, 80]") TCP "}",
	  "100.64.0.2 laptop is A\n"
	  "100.64.0.3 desktop is A\n"
	  "100.64.0.4 router is A\n"
	  "fd00::2 laptop is B\n"
	  "fd00::3 desktop is B\n"
	  "10.1.0.0-10.1.255.255 router is A\n"
	  "10.2.0.0-10.2.0.255 router is A\n"
	  "2001:db8::-2001:db8::ffff:ffff:ffff:ffff router is B\n"
	  "A 100.64.0.1 6 80-80 by 0\n"
	  "B fd00::1 6 80-80 by 1\n" },
	{ "nested prefixes behind a router, and a single host there",
	  "{\"src\": [\"10.0.0.0/8\"], " TO4("[80, 80]") TCP
	  "},"
	  "{\"src\": [\"10.1.4.0/24\"], " TO4("[22, 22]") TCP
	  "},"
	  "{\"src\": [\"10.1.4.7\"], " TO4("[25, 25]") TCP "}",
	  "10.1.4.7 router is A\n"
	  "10.1.0.0-10.1.3.255 router is B\n"
	  "10.1.4.0-10.1.4.255 router is C\n"
	  "10.1.5.0-10.1.255.255 router is B\n"
	  "10.2.0.0-10.2.0.255 router is B\n"
	  "A 100.64.0.1 6 22-22 by 1\n"
	  "A 100.64.0.1 6 25-25 by 2\n"
	  "A 100.64.0.1 6 80-80 by 0\n"
	  "B 100.64.0.1 6 80-80 by 0\n"
	  "C 100.64.0.1 6 22-22 by 1\n"
	  "C 100.64.0.1 6 80-80 by 0\n" },
	{ "expired peers and their routes are absent, named or not",
	  "{\"src\": [\"100.64.0.9\", \"100.64.0.0/24\", \"10.9.0.0/16\", \"10.9.1.1\"], " TO4(
		  "[80, 80]") TCP "}",
	  "100.64.0.2 laptop is A\n"
	  "100.64.0.3 desktop is A\n"
	  "100.64.0.4 router is A\n"
	  "A 100.64.0.1 6 80-80 by 0\n" },
	{ "an address that is nobody's",
	  "{\"src\": [\"100.64.0.77\", \"192.0.2.1\", \"192.0.2.0/24\"], " TO4("[80, 80]") "}",
	  "" },
	{ "a rule that another covers leaves no trace",
	  "{" LAPTOP TO4("[0, 65535]") TCP "}, {" LAPTOP TO4("[22, 22]") TCP "}",
	  "100.64.0.2 laptop is A\n"
	  "A 100.64.0.1 6 0-65535 by 0\n" },
};

static void test_compile(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(compile_cases); i++) {
		const struct compile_case *c = &compile_cases[i];
		_cleanup_(filter_table_freep) struct filter_table *table = compile(c->filter);
		_cleanup_free_ char *text = print_table(table);

		if (strcmp(text, c->expected) != 0)
			fail_msg("%s:\n%s-- expected:\n%s", c->what, text, c->expected);
	}
}

static struct ip_prefix prefix(const char *text)
{
	struct ip_prefix p;

	assert_int_equal(ip_prefix_parse(text, &p), 0);
	return p;
}

/* What the parser refuses must not make elements that the kernel refuses. */
static void test_routes_over_peers(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map =
		make_map("{\"src\": [\"100.64.0.2\"], " TO4("[80, 80]") TCP
			 "},"
			 "{\"src\": [\"10.1.0.0/16\"], " TO4("[80, 80]") TCP "}");
	_cleanup_(filter_table_freep) struct filter_table *table = NULL;
	_cleanup_free_ char *error = NULL, *text = NULL;

	/* The router claims the mesh, the desktop a part of the router's network. */
	map->peers[2].routes[1] = prefix("100.64.0.0/24");
	map->peers[1].routes = calloc(1, sizeof(*map->peers[1].routes));
	map->peers[1].routes[map->peers[1].n_routes++] = prefix("10.1.4.0/24");
	assert_int_equal(filter_compile(map, NOW, &table, &error), 0);
	text = print_table(table);
	assert_string_equal(text, "100.64.0.2 laptop is A\n"
				  "10.1.0.0-10.1.3.255 router is B\n"
				  "10.1.4.0-10.1.4.255 desktop is B\n"
				  "10.1.5.0-10.1.255.255 router is B\n"
				  "A 100.64.0.1 6 80-80 by 0\n"
				  "B 100.64.0.1 6 80-80 by 1\n");
}

/* Hashes may be equal; numbers may not. */
static void test_colliding_classes(void **state)
{
	struct netmap_node peer = { .name = (char[]){ "x" } };
	struct opening opening = { .dst = { AF_INET, { 10 } }, .proto = 6, .ports = { 1, 1 } };
	struct rule_openings rules[] = { { .n = 1, .hash = 7 },
					 { .n = 1, .hash = 7 },
					 { .n = 1, .hash = 7 } };
	struct openings openings = { .all = &opening, .n = 1, .rules = rules };
	struct member exact[] = { { .peer = &peer }, { .peer = &peer }, { .peer = &peer } };
	struct members members = { .exact = exact, .n_exact = ARRAY_SIZE(exact) };
	_cleanup_(filter_table_freep) struct filter_table *table = filter_table_new();
	struct rulelists lists;

	assert_int_equal(rulelists_init(&lists), 0);
	for (uint32_t i = 0; i < ARRAY_SIZE(exact); i++) {
		exact[i].first = exact[i].last = (struct ip_addr){ AF_INET, { 11, (uint8_t)i } };
		assert_int_equal(rulelists_intern(&lists, &i, 1, &exact[i].list), 0);
	}
	assert_int_equal(classes_build(&members, &openings, &lists, 100, table), 0);
	assert_int_equal(table->n_flows, 3);
	assert_int_not_equal(table->exact[0].class, table->exact[1].class);
	assert_int_not_equal(table->exact[0].class, table->exact[2].class);
	assert_int_not_equal(table->exact[1].class, table->exact[2].class);
	rulelists_done(&lists);
}

/* A map cannot make the node hold more than so many flows. */
static void test_too_many_flows(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = make_map("{" LAPTOP TO4("[0, 0]") "}");
	struct filter_rule *rule = &map->filter[0];
	_cleanup_free_ char *error = NULL;
	struct filter_table *table = NULL;
	size_t n = FILTER_MAX_FLOWS / 2;

	rule->dst = reallocarray(rule->dst, n, sizeof(*rule->dst));
	for (size_t i = 1; i < n; i++)
		rule->dst[i] = rule->dst[0];
	rule->n_dst = n;
	assert_int_equal(filter_compile(map, NOW, &table, &error), -E2BIG);
	assert_non_null(strstr(error, "packet filter is too large"));
	assert_null(table);
}

static void test_no_map_denies_all(void **state)
{
	_cleanup_(filter_table_freep) struct filter_table *table = NULL;
	_cleanup_free_ char *error = NULL;

	assert_int_equal(filter_compile(NULL, NOW, &table, &error), 0);
	assert_int_equal(table->n_exact + table->n_nets + table->n_flows + table->n_own, 0);
}

static void test_counters(void **state)
{
	_cleanup_(filter_table_freep) struct filter_table *table =
		compile("{\"src\": [\"100.64.0.77\"], " TO4(
			"[1, 1]") "},"
				  "{" LAPTOP TO4(
					  "[22, 22]") ", \"origin\": \"acls[3] \\\"line\\\" 14\"},"
						      "{" LAPTOP TO4("[22, 23]") "}");

	assert_int_equal(table->n_counters, 2);
	assert_int_equal(table->counters[0].rule, 1);
	assert_string_equal(table->counters[0].comment, "acl:1 acls[3] 'line' 14");
	assert_int_equal(table->counters[1].rule, 2);
	assert_string_equal(table->counters[1].comment, "acl:2");
}

/* Class numbers outlive what does not concern the class. */
static void test_classes_are_stable(void **state)
{
	_cleanup_(filter_table_freep) struct filter_table *before =
		compile("{" LAPTOP TO4("[22, 22]") TCP "}, {" DESKTOP TO4("[22, 22]") TCP "}");
	_cleanup_(filter_table_freep) struct filter_table *inserted =
		compile("{\"src\": [\"100.64.0.4\"], " TO4("[25, 25]") TCP
			"},"
			"{" LAPTOP TO4("[22, 22]") TCP "}, {" DESKTOP TO4("[22, 22]") TCP "}");
	_cleanup_(filter_table_freep) struct filter_table *gone =
		compile("{\"src\": [\"100.64.0.77\"], " TO4("[22, 22]") TCP
			"},"
			"{" DESKTOP TO4("[22, 22]") TCP "}");

	/* Equal rights by different rules: counted apart, so classes of their own. */
	assert_int_not_equal(before->exact[0].class, before->exact[1].class);
	assert_int_equal(inserted->exact[0].class, before->exact[0].class);
	assert_int_equal(inserted->exact[1].class, before->exact[1].class);
	assert_int_equal(gone->exact[0].class, before->exact[1].class);
}

static bool allows(const struct filter_table *table, const char *src, const char *dst,
		   uint8_t proto, uint16_t port)
{
	struct ip_addr s, d;

	assert_int_equal(ip_addr_parse(src, &s), 0);
	assert_int_equal(ip_addr_parse(dst, &d), 0);
	return filter_table_allows(table, &s, &d, proto, port, NULL);
}

static void test_allows(void **state)
{
	_cleanup_(filter_table_freep) struct filter_table *table = compile(
		"{" LAPTOP TO4("[22, 25]") "},"
					   "{\"src\": [\"10.1.0.0/16\"], " TO4("[80, 80]") TCP "}");

	assert_true(allows(table, "100.64.0.2", "100.64.0.1", 6, 22));
	assert_true(allows(table, "100.64.0.2", "100.64.0.1", 6, 25));
	assert_true(allows(table, "100.64.0.2", "100.64.0.1", 1, 0));
	assert_false(allows(table, "100.64.0.2", "100.64.0.1", 6, 26));
	assert_false(allows(table, "100.64.0.2", "100.64.0.1", 6, 21));
	assert_false(allows(table, "100.64.0.3", "100.64.0.1", 6, 22));
	assert_false(allows(table, "100.64.0.2", "100.64.0.3", 6, 22));
	assert_true(allows(table, "10.1.0.0", "100.64.0.1", 6, 80));
	assert_true(allows(table, "10.1.255.255", "100.64.0.1", 6, 80));
	assert_false(allows(table, "10.2.0.0", "100.64.0.1", 6, 80));
	assert_false(allows(table, "10.0.255.255", "100.64.0.1", 6, 80));
}

static void test_diff(void **state)
{
	_cleanup_(filter_table_freep) struct filter_table *from =
		compile("{" LAPTOP TO4("[22, 22]") TCP "}, {" DESKTOP TO4("[80, 80]") TCP "}");
	_cleanup_(filter_table_freep) struct filter_table *to =
		compile("{\"src\": [\"100.64.0.2\", \"100.64.0.4\"], " TO4("[22, 22]") TCP
			"},"
			"{" DESKTOP TO4("[81, 81]") TCP "}");
	struct filter_diff diff;
	const struct filter_source *source;

	assert_int_equal(filter_diff_build(from, from, &diff), 0);
	assert_true(filter_diff_empty(&diff));
	filter_diff_done(&diff);

	assert_int_equal(filter_diff_build(from, to, &diff), 0);
	assert_false(filter_diff_empty(&diff));
	/* desktop has another class; router is new; laptop stays. */
	assert_int_equal(diff.exact.n_gone, 1);
	assert_int_equal(diff.exact.n_fresh, 2);
	source = diff.exact.gone[0];
	assert_string_equal(source->comment, "desktop");
	source = diff.exact.fresh[1];
	assert_string_equal(source->comment, "router");
	assert_int_equal(diff.flows.n_gone, 1);
	assert_int_equal(diff.flows.n_fresh, 1);
	assert_int_equal(diff.own.n_gone + diff.own.n_fresh, 0);
	assert_int_equal(diff.counters.n_gone + diff.counters.n_fresh, 0);
	assert_int_equal(filter_diff_gone(&diff), 2);
	assert_int_equal(filter_diff_fresh(&diff), 3);
	filter_diff_done(&diff);
}

/* Only what both give; what is new waits, what goes is gone, own addresses stay shut either way. */
static void test_narrow(void **state)
{
	_cleanup_(filter_table_freep) struct filter_table *from = compile(
		"{" LAPTOP TO4("[22, 22]") TCP ", \"origin\": \"old\"}, {" DESKTOP TO4("[80, 80]")
			TCP "}, {\"src\": [\"10.1.0.0/16\", \"10.2.0.0/24\"], " TO4("[25, 25]") TCP
		"}");
	_cleanup_(filter_table_freep) struct filter_table *to =
		compile("{\"src\": [\"100.64.0.2\", \"100.64.0.4\"], " TO4("[22, 22]") TCP
			"},"
			"{" DESKTOP TO4("[81, 81]") TCP
			"},"
			"{\"src\": [\"10.1.0.0/16\"], " TO4("[25, 25]") TCP "}");
	_cleanup_(filter_table_freep) struct filter_table *narrow = NULL, *nothing = NULL;
	_cleanup_free_ char *text = NULL;

	to->own[0].bytes[3] = 9;
	assert_int_equal(filter_narrow(from, to, &narrow), 0);
	text = print_table(narrow);
	assert_string_equal(text, "100.64.0.2 laptop is A\n"
				  "10.1.0.0-10.1.255.255 router is B\n"
				  "A 100.64.0.1 6 22-22 by 0\n"
				  "B 100.64.0.1 6 25-25 by 2\n");
	assert_int_equal(narrow->n_own, 3);
	/* Chains that flows go to exist, with the counts that they have. */
	assert_string_equal(filter_table_counter(narrow, 0)->comment, "acl:0 old");
	assert_non_null(filter_table_counter(narrow, 2));

	assert_int_equal(filter_narrow(NULL, to, &nothing), 0);
	assert_int_equal(nothing->n_exact + nothing->n_nets + nothing->n_flows, 0);
	assert_int_equal(nothing->n_own, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compile),
		cmocka_unit_test(test_no_map_denies_all),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_classes_are_stable),
		cmocka_unit_test(test_allows),
		cmocka_unit_test(test_diff),
		cmocka_unit_test(test_routes_over_peers),
		cmocka_unit_test(test_colliding_classes),
		cmocka_unit_test(test_too_many_flows),
		cmocka_unit_test(test_narrow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
