#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/ssh/reach.h"
#include "common/text.h"

#define SRC(list) "{\"src\":[" list "],\"dst\":[{\"ip\":\"100.64.0.1\",\"ports\":[22,22]}]}"

static const struct {
	const char *name;
	const char *filter;
	bool v4, v6; /* does 100.64.0.2, fd7a::2 get through? */
} cases[] = {
	{ "no rules", "", false, false },
	{ "the address", SRC("\"100.64.0.2\""), true, false },
	{ "another address", SRC("\"100.64.0.3\""), false, false },
	{ "its prefix", SRC("\"100.64.0.0/24\""), true, false },
	{ "all of one family", SRC("\"0.0.0.0/0\""), true, false },
	{ "sources of both, destination of one", SRC("\"100.64.0.2\",\"fd7a::2\""), true, false },
	{ "nested and repeated",
	  SRC("\"100.64.0.4\",\"100.64.0.0/30\",\"100.64.0.0/24\",\"100.64.0.0/24\""), true,
	  false },
	{ "nested spans in the way of the search",
	  SRC("\"100.64.0.0\",\"100.64.0.1\",\"100.64.0.0/24\",\"100.64.0.0\""), true, false },
	{ "neighbours only",
	  SRC("\"100.64.0.0/31\",\"100.64.0.3\",\"100.64.0.4/30\",\"200.0.0.0/8\""), false, false },
	{ "in a second rule", SRC("\"100.64.0.3\"") "," SRC("\"100.64.0.2\""), true, false },
	{ "destination prefix",
	  "{\"src\":[\"fd7a::2\"],\"dst\":[{\"ip\":\"fd7a::/64\",\"ports\":[0,65535]}]}", false,
	  true },
	{ "second destination",
	  "{\"src\":[\"100.64.0.2\"],\"dst\":[{\"ip\":\"100.64.0.9\",\"ports\":[22,22]},"
	  "{\"ip\":\"100.64.0.1\",\"ports\":[20,30]}]}",
	  true, false },
	{ "not to this host",
	  "{\"src\":[\"100.64.0.2\"],\"dst\":[{\"ip\":\"100.64.0.9\",\"ports\":[22,22]}]}", false,
	  false },
	{ "ports below",
	  "{\"src\":[\"100.64.0.2\"],\"dst\":[{\"ip\":\"100.64.0.1\",\"ports\":[1,21]}]}", false,
	  false },
	{ "ports above",
	  "{\"src\":[\"100.64.0.2\"],\"dst\":[{\"ip\":\"100.64.0.1\",\"ports\":[23,65535]}]}",
	  false, false },
	{ "UDP only",
	  "{\"src\":[\"100.64.0.2\"],\"dst\":[{\"ip\":\"100.64.0.1\",\"ports\":[22,22]}],"
	  "\"proto\":[17]}",
	  false, false },
	{ "TCP among others",
	  "{\"src\":[\"100.64.0.2\"],\"dst\":[{\"ip\":\"100.64.0.1\",\"ports\":[22,22]}],"
	  "\"proto\":[17,6]}",
	  true, false },
};

static struct netmap *map_of(const char *filter)
{
	_cleanup_free_ char *text = NULL, *problem = NULL;
	struct netmap *map = NULL;

	text = text_printf("{\"type\":\"full\",\"version\":1,\"for\":\"n1\",\"generation\":1,"
			   "\"issued_at\":\"2027-01-01T00:00:00Z\","
			   "\"self\":{\"id\":\"n1\",\"name\":\"server\",\"tags\":[\"tag:prod\"],"
			   "\"addresses\":[\"100.64.0.1\",\"100.64.0.7\",\"fd7a::1\"]},"
			   "\"mesh\":{\"domain\":\"mesh.example\","
			   "\"prefixes\":[\"100.64.0.0/10\",\"fd7a::/48\"]},\"users\":{},"
			   "\"peers\":[{\"id\":\"n2\",\"name\":\"laptop\",\"tags\":[\"tag:a\"],"
			   "\"addresses\":[\"100.64.0.2\",\"fd7a::2\"],"
			   "\"node_key\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI=\"}],"
			   "\"packet_filter\":[%s],\"ssh_rules\":[]}",
			   filter);
	assert_non_null(text);
	if (netmap_parse(text, strlen(text), "test", &problem, &map) < 0)
		fail_msg("%s", problem);
	return map;
}

static struct ip_addr addr_of(const char *text)
{
	struct ip_addr addr;

	assert_int_equal(ip_addr_parse(text, &addr), 0);
	return addr;
}

static void test_reach(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(netmap_freep) struct netmap *map = map_of(cases[i].filter);
		const struct ssh_reach *reach = map->ssh_reach;
		const struct netmap_node *peer = &map->peers[0];

		print_message("%s\n", cases[i].name);
		assert_int_equal(ssh_reach_has_any(reach, &peer->addresses[0]), cases[i].v4);
		assert_int_equal(ssh_reach_has_any(reach, &peer->addresses[1]), cases[i].v6);
		assert_int_equal(ssh_reach_has_node(reach, peer), cases[i].v4 || cases[i].v6);
	}
}

/* A right to one address of this host is none to another. */
static void test_by_own_address(void **state)
{
	static const struct {
		const char *from, *to;
		bool has;
	} pairs[] = {
		{ "100.64.0.2", "100.64.0.1", true },  { "100.64.0.2", "100.64.0.7", false },
		{ "100.64.0.3", "100.64.0.7", true },  { "100.64.0.3", "100.64.0.1", false },
		{ "fd7a::2", "fd7a::1", true },	       { "fd7a::2", "100.64.0.1", false },
		{ "100.64.0.2", "100.64.0.9", false }, { "100.64.0.2", "fd7a::1", false },
	};
	_cleanup_(netmap_freep) struct netmap *map =
		map_of(SRC("\"100.64.0.2\"") ","
					     "{\"src\":[\"100.64.0.3\"],\"dst\":[{\"ip\":\"100.64."
					     "0.7\",\"ports\":[22,22]}]},"
					     "{\"src\":[\"fd7a::2\"],\"dst\":[{\"ip\":\"fd7a::1\","
					     "\"ports\":[22,22]}]},"
					     "{\"src\":[\"100.64.0.2\"],\"dst\":[{\"ip\":\"100.64."
					     "0.9\",\"ports\":[22,22]}]}");

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		const struct ip_addr from = addr_of(pairs[i].from), to = addr_of(pairs[i].to);

		print_message("%s to %s\n", pairs[i].from, pairs[i].to);
		assert_int_equal(ssh_reach_has(map->ssh_reach, &from, &to), pairs[i].has);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reach),
		cmocka_unit_test(test_by_own_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
