/* How two nodes may reach one another: which endpoints, keepalive, path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/text.h"
#include "coord/map/reach.h"
#include "coord/map/token.h"

struct facts {
	const char *endpoints, *configured; /* blank between them; NULL: none */
	const char *seen;		    /* NULL: not known */
	uint16_t port;
};

static void parse(const char *text, struct endpoint_list *list)
{
	_cleanup_free_ char *copy = strdup(text ? text : "");
	char *save = NULL;

	list->items = calloc(RECORD_MAX_ENDPOINTS, sizeof(*list->items));
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		assert_int_equal(ip_endpoint_parse(word, &list->items[list->n++]), 0);
}

static void make(const struct facts *from, struct reach_node *node)
{
	struct node_facts facts = { .listen_port = from->port };
	struct ip_prefix mesh[2];

	assert_int_equal(ip_prefix_parse("100.64.0.0/10", &mesh[0]), 0);
	assert_int_equal(ip_prefix_parse("fd7a:115c:a1e0::/48", &mesh[1]), 0);
	parse(from->endpoints, &facts.endpoints);
	parse(from->configured, &facts.configured);
	if (from->seen)
		assert_int_equal(ip_addr_parse(from->seen, &facts.seen), 0);
	assert_int_equal(reach_node_make(&facts, mesh, 2, node), 0);
	node_facts_done(&facts);
}

/* "ENDPOINT... keepalive N", and the reason if there is no path. */
static char *outcome_text(const struct facts *viewer_facts, const struct facts *peer_facts)
{
	struct reach_node viewer, peer;
	struct reach_outcome out;
	char *text = strdup(""), buf[IP_ENDPOINT_STRLEN];

	make(viewer_facts, &viewer);
	make(peer_facts, &peer);
	reach_outcome(&viewer.view, &peer, &out);
	for (size_t i = 0; i < out.n_endpoints; i++) {
		char *longer = text_printf("%s%s ", text,
					   ip_endpoint_to_string(&out.endpoints[i]->endpoint, buf));

		free(text);
		text = longer;
	}
	if (out.path != REACH_PATH || out.keepalive) {
		char *longer =
			text_printf("%s| %u %s", text, out.keepalive,
				    out.path == REACH_PATH ? "" : reach_path_reason(out.path));

		free(text);
		text = longer;
	}
	reach_node_done(&viewer);
	reach_node_done(&peer);
	return text;
}

/* On the internet; behind NAT, each at a site of its own; in the coordinator's network; ... */
static const struct facts public4 = { "192.0.2.1:51820", NULL, "192.0.2.1", 51820 };
static const struct facts public6 = { "[2001:db8::1]:51820", NULL, "2001:db8::1", 51820 };
static const struct facts public46 = { "192.0.2.2:51820 [2001:db8::2]:51820", NULL, "192.0.2.2",
				       51820 };
static const struct facts home = { "192.168.1.5:51820", NULL, "203.0.113.5", 51820 };
static const struct facts home_too = { "192.168.1.6:41000", NULL, "203.0.113.5", 41000 };
static const struct facts cafe = { "192.168.1.7:51820", NULL, "203.0.113.99", 51820 };
static const struct facts forwarded = { "192.168.7.7:51820", "198.51.100.7:4000", "203.0.113.77",
					51820 };
static const struct facts home6 = { "192.168.1.8:51820 [2001:db8::8]:51820", NULL, "203.0.113.8",
				    51820 };
static const struct facts inside = { "10.0.0.5:51820", NULL, "10.0.0.5", 51820 };
static const struct facts inside_too = { "10.0.0.6:51820", NULL, "10.0.0.6", 51820 };
static const struct facts on_coordinator = { "10.0.0.1:51820", NULL, NULL, 51820 };
static const struct facts silent = { NULL, NULL, NULL, 0 };
static const struct facts guess_by_own_port = { "192.168.1.9:4321", NULL, "203.0.113.9", 0 };
static const struct facts useless = {
	"100.64.0.9:51820 127.0.0.1:51820 169.254.1.1:51820 [fe80::1]:51820", NULL, NULL, 51820
};

#define BOTH_NAT    "both hosts are behind NAT, and neither has a configured endpoint"
#define NO_FAMILY   "one host has IPv4 alone, and the other can be reached by IPv6 alone"
#define NO_ENDPOINT "no address is known where either host can be reached"

static void test_outcomes(void **state)
{
	static const struct {
		const struct facts *viewer, *peer;
		const char *wanted;
	} cases[] = {
		{ &public4, &public46, "192.0.2.2:51820 [2001:db8::2]:51820 " },
		/* A family that the viewer has comes first: the first one is what is tried. */
		{ &public6, &public46, "[2001:db8::2]:51820 192.0.2.2:51820 " },
		{ &public4, &public6, "[2001:db8::1]:51820 | 0 " NO_FAMILY },
		{ &silent, &public6, "[2001:db8::1]:51820 " },
		/* Who is behind NAT keeps the way open; the other side has no use for it. */
		{ &home, &public4, "192.0.2.1:51820 | 25 " },
		{ &public4, &home, "203.0.113.5:51820 " },
		{ &home, &cafe, "203.0.113.99:51820 | 0 " BOTH_NAT },
		{ &cafe, &home, "203.0.113.5:51820 | 0 " BOTH_NAT },
		/* At one site by private addresses, with no NAT in between. */
		{ &home, &home_too, "192.168.1.6:41000 203.0.113.5:41000 " },
		{ &home_too, &home, "192.168.1.5:51820 203.0.113.5:51820 " },
		/* A forwarded port opens the way for both. */
		{ &home, &forwarded, "198.51.100.7:4000 203.0.113.77:51820 | 25 " },
		{ &forwarded, &home, "203.0.113.5:51820 | 25 " },
		{ &public4, &forwarded, "198.51.100.7:4000 203.0.113.77:51820 " },
		/* Behind NAT for IPv4, but not for IPv6. */
		{ &home, &home6, "203.0.113.8:51820 [2001:db8::8]:51820 | 0 " NO_FAMILY },
		{ &home6, &home6, "192.168.1.8:51820 203.0.113.8:51820 [2001:db8::8]:51820 " },
		{ &public46, &home6, "203.0.113.8:51820 [2001:db8::8]:51820 " },
		/* The coordinator's own network. */
		{ &inside, &inside_too, "10.0.0.6:51820 " },
		{ &inside, &on_coordinator, "10.0.0.1:51820 " },
		{ &on_coordinator, &inside, "10.0.0.5:51820 " },
		{ &inside, &public4, "192.0.2.1:51820 " },
		{ &public4, &inside, "" },
		{ &home, &inside, "| 0 " NO_ENDPOINT },
		{ &inside, &home, "203.0.113.5:51820 | 0 " NO_ENDPOINT },
		{ &silent, &silent, "| 0 " NO_ENDPOINT },
		{ &home, &guess_by_own_port, "203.0.113.9:4321 | 0 " BOTH_NAT },
		{ &public4, &useless, "" },
		{ &useless, &useless, "| 0 " NO_ENDPOINT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = outcome_text(cases[i].viewer, cases[i].peer);

		if (strcmp(text, cases[i].wanted) != 0)
			fail_msg("case %zu: \"%s\", but expected \"%s\"", i, text, cases[i].wanted);
	}
}

/* A path is one for both sides. */
static void test_symmetry(void **state)
{
	static const struct facts *const all[] = { &public4,	    &public6,
						   &public46,	    &home,
						   &home_too,	    &cafe,
						   &forwarded,	    &home6,
						   &inside,	    &silent,
						   &on_coordinator, &useless,
						   &inside_too,	    &guess_by_own_port };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		for (size_t k = 0; k < ARRAY_SIZE(all); k++) {
			struct reach_node a, b;
			struct reach_outcome ab, ba;

			make(all[i], &a);
			make(all[k], &b);
			reach_outcome(&a.view, &b, &ab);
			reach_outcome(&b.view, &a, &ba);
			assert_int_equal(ab.path, ba.path);
			reach_node_done(&a);
			reach_node_done(&b);
		}
}

static void test_limits(void **state)
{
	struct node_facts facts = { .listen_port = 9 };
	struct endpoint_list *lists[] = { &facts.endpoints, &facts.configured };
	struct reach_node node;

	for (size_t k = 0; k < 2; k++) {
		lists[k]->items = calloc(RECORD_MAX_ENDPOINTS, sizeof(struct ip_endpoint));
		for (uint8_t i = 0; i < RECORD_MAX_ENDPOINTS; i++)
			lists[k]->items[lists[k]->n++] =
				(struct ip_endpoint){ { AF_INET, { 192, 0, (uint8_t)(2 + k), i } },
						      51820 };
	}
	assert_int_equal(ip_addr_parse("203.0.113.1", &facts.seen), 0);
	assert_int_equal(reach_node_make(&facts, NULL, 0, &node), 0);
	assert_int_equal(node.n_endpoints, REACH_MAX_ENDPOINTS);
	reach_node_done(&node);
	/* Each once. */
	memcpy(facts.configured.items, facts.endpoints.items,
	       facts.endpoints.n * sizeof(struct ip_endpoint));
	assert_int_equal(reach_node_make(&facts, NULL, 0, &node), 0);
	assert_int_equal(node.n_endpoints, RECORD_MAX_ENDPOINTS + 1);
	assert_int_equal(node.endpoints[0].kind, REACH_CONFIGURED);
	reach_node_done(&node);
	node_facts_done(&facts);
}

static void test_tokens(void **state)
{
	struct map_tokens tokens = { .view = { 0x2a, 0x01020304 } }, back;
	char policy[MAP_POLICY_TOKEN_SIZE], filter[MAP_HASH_SIZE];
	struct map_resume resume = { 0 };

	assert_int_equal(map_hash_make("a", 1, &tokens.policy), 0);
	assert_int_equal(map_hash_make("b", 1, &tokens.filter), 0);
	resume.policy = map_policy_token(&tokens, policy);
	resume.filter = map_hash_to_string(&tokens.filter, filter);
	map_tokens_parse(&resume, &back);
	assert_memory_equal(&back, &tokens, sizeof(back));
}

/* What an agent sends may be anything: it fits nothing. */
static void test_bad_tokens(void **state)
{
	static const char *const texts[] = {
		"",
		".",
		"x",
		"AAAAAAAAAAAAAAAA",
		"AAAAAAAAAAAAAAAA.",
		"AAAAAAAAAAAAAAAA.2a0102030",
		"AAAAAAAAAAAAAAAA.2A01020304",
		"BBBBBBBBBBBBBBBB.ff01020304",
		"BBB.2a01020304",
		"BBBBBBBBBBBBBBB!.2a01020304",
		"BBBBBBBBBBBBBBBBB.2a01020304",
		"BBBBBBBBBBBBBBBB.2a010203041",
	};
	const struct map_tokens zero = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct map_resume resume = { .policy = texts[i], .filter = texts[i] };
		struct map_tokens tokens;

		map_tokens_parse(&resume, &tokens);
		assert_true(map_hash_equal(&tokens.policy, &zero.policy));
		assert_true(map_hash_equal(&tokens.filter, &zero.filter));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_outcomes),   cmocka_unit_test(test_symmetry),
		cmocka_unit_test(test_limits),	   cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_bad_tokens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
