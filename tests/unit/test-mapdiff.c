/*
 * What a map would change: in words (golden files), and held against what the filter and the SSH
 * decision say of every peer, port and user, on random maps.
 */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/api/warnings.h"
#include "agent/ctl/render.h"
#include "agent/ctl/sessions_ended.h"
#include "agent/filter/compile.h"
#include "agent/mapdiff/mapdiff.h"
#include "agent/netmap/json.h"
#include "agent/ssh/policy.h"
#include "common/text.h"
#include "tests/unit/golden.h"

#define NOW UINT64_C(1795564800000000) /* 2026-11-25T00:00:00Z */

static struct netmap *parse_text(const char *text, const char *source)
{
	_cleanup_free_ char *error = NULL;
	struct netmap *map = NULL;

	if (netmap_parse(text, strlen(text), source, &error, &map) < 0)
		fail_msg("%s", error);
	return map;
}

static struct netmap *parse_file(const char *name)
{
	_cleanup_free_ char *text = golden_read(name);

	return parse_text(text, name);
}

static json_t *diff(const struct netmap *from, const struct netmap *to)
{
	_cleanup_free_ char *error = NULL;
	json_t *changes = NULL;

	if (mapdiff_build(from, to, NOW, &error, &changes) < 0)
		fail_msg("%s", error ? error : "mapdiff_build() failed");
	return changes;
}

/* ---- in words ---- */

static char *render(const json_t *check)
{
	struct cli_out out = { 0 };
	char *text = NULL;
	size_t len;

	out.file = open_memstream(&text, &len);
	assert_non_null(out.file);
	assert_int_equal(ctl_render_netmap_check(check, &out), 0);
	assert_int_equal(fclose(out.file), 0);
	return text;
}

/* As verb_netmap_check() puts it together. */
static char *render_diff(const struct netmap *from, const struct netmap *to, json_t *sessions)
{
	json_auto_t *check = NULL,
		    *in_force = from ? json_integer((json_int_t)from->generation) : NULL;

	check = json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:b, s:o, s:o, s:O*, s:o*}", "file",
			  "/etc/new.json", "good", true, "generation", (json_int_t)to->generation,
			  "peers", (json_int_t)to->n_peers, "filterRules", (json_int_t)to->n_filter,
			  "sshRules", (json_int_t)to->n_ssh_rules, "ssh", to->self.ssh, "changes",
			  diff(from, to), "warnings", map_warnings(to, NOW), "inForce", in_force,
			  "sessionsEnded", sessions);
	assert_non_null(check);
	return render(check);
}

static void test_golden_changes(void **state)
{
	_cleanup_(netmap_freep) struct netmap *old = parse_file("mapdiff/old.json");
	_cleanup_(netmap_freep) struct netmap *new = parse_file("mapdiff/new.json");
	json_auto_t *changes = diff(old, new);
	_cleanup_free_ char *json = json_dumps(changes, JSON_INDENT(2)), *text = NULL;
	_cleanup_free_ char *with_newline = text_printf("%s\n", json);

	golden_check("mapdiff/changes.json", with_newline);
	text = render_diff(old, new, NULL);
	golden_check("mapdiff/changes.txt", text);
}

static void test_golden_back(void **state)
{
	_cleanup_(netmap_freep) struct netmap *old = parse_file("mapdiff/old.json");
	_cleanup_(netmap_freep) struct netmap *new = parse_file("mapdiff/new.json");
	_cleanup_free_ char *text = render_diff(new, old, NULL);

	golden_check("mapdiff/back.txt", text);
}

static void test_golden_first_map(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = parse_file("mapdiff/old.json");
	_cleanup_free_ char *text = render_diff(NULL, map, NULL);

	golden_check("mapdiff/first.txt", text);
}

static void test_no_change(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = parse_file("mapdiff/old.json");
	_cleanup_(netmap_freep) struct netmap *same = parse_file("mapdiff/old.json");
	json_auto_t *changes = diff(map, same);
	_cleanup_free_ char *text = render_diff(map, same, NULL);

	assert_true(mapdiff_empty(changes));
	assert_non_null(strstr(text, "\nIt says the same as generation 5, which is in force.\n"));
}

/* The rule in force says who, so rules that only move change nothing. */
static void test_another_order_of_rules(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = parse_file("mapdiff/old.json");
	_cleanup_(netmap_freep) struct netmap *moved = parse_file("mapdiff/old.json");
	struct filter_rule first = moved->filter[0];
	json_auto_t *changes = NULL;

	moved->filter[0] = moved->filter[3];
	moved->filter[3] = first;
	changes = diff(map, moved);
	assert_true(mapdiff_empty(changes));
}

static void test_hostile_text(void **state)
{
	_cleanup_free_ char *input = golden_read("mapdiff/hostile.json"), *text = NULL;
	json_auto_t *check = json_loads(input, 0, NULL);

	assert_non_null(check);
	text = render(check);
	golden_check("mapdiff/hostile.txt", text);
	assert_null(strchr(text, '\033'));
}

/* ---- sessions ---- */

static void test_sessions(void **state)
{
	_cleanup_(netmap_freep) struct netmap *old = parse_file("mapdiff/old.json");
	_cleanup_(netmap_freep) struct netmap *new = parse_file("mapdiff/new.json");
	_cleanup_free_ char *input = golden_read("mapdiff/sessions.json"), *text = NULL;
	json_auto_t *sessions = json_loads(input, 0, NULL);
	json_auto_t *none = sessions_judge(sessions, old, old, NOW), *ended = NULL;

	assert_int_equal(json_array_size(none), 0);
	ended = sessions_judge(sessions, old, new, NOW);
	assert_non_null(ended);
	text = render_diff(old, new, take_ptr(ended));
	golden_check("mapdiff/sessions.txt", strstr(text, "SSH sessions"));
}

/* ---- the map as text ---- */

static void check_round_trip(const struct netmap *map)
{
	_cleanup_(netmap_freep) struct netmap *again = NULL;
	_cleanup_free_ char *text = NULL, *text_again = NULL;
	json_auto_t *changes = NULL;
	size_t len, len_again;

	assert_int_equal(netmap_to_json(map, &text, &len), 0);
	assert_int_equal(strlen(text), len);
	again = parse_text(text, "again");
	assert_int_equal(netmap_to_json(again, &text_again, &len_again), 0);
	assert_string_equal(text, text_again);
	changes = diff(map, again);
	assert_true(mapdiff_empty(changes));
}

static void test_round_trip(void **state)
{
	_cleanup_(netmap_freep) struct netmap *full = parse_file("netmap-full.json");
	_cleanup_free_ char *text = NULL;
	size_t len;

	assert_int_equal(netmap_to_json(full, &text, &len), 0);
	golden_check("netmap-full.written.json", text);
	check_round_trip(full);
	full->self.key_expiry = UINT64_C(1795564800000001);
	full->peers[0].key_expiry = UINT64_C(253402300799999999);
	check_round_trip(full);
}

/* ---- random maps ---- */

#define N_PEERS 4
#define N_RULES 4

static const char *const own_addresses[] = { "100.64.0.1", "100.64.0.200", "fd00::1" };
static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6, 47 };
static const uint16_t ports[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 65534, 65535 };
static const char *const users[] = { "root", "alice", "bob", "nobody-knows" };

static uint64_t seed;

static unsigned pick(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(seed >> 33) % n;
}

static json_t *random_address(void)
{
	unsigned peer = 2 + pick(N_PEERS);

	return pick(2) ? json_sprintf("100.64.0.%u", peer) : json_sprintf("fd00::%x", peer);
}

static json_t *random_filter_rule(size_t i)
{
	static const unsigned edges[] = { 0, 1, 2, 4, 7, 65534, 65535 };
	json_t *src = json_array(), *dst = json_array(), *proto = json_array();

	for (unsigned k = 0; k <= pick(3); k++)
		json_array_append_new(src, pick(8) ? random_address() : json_string("*"));
	for (unsigned k = 0; k <= pick(3); k++) {
		unsigned a = edges[pick(7)], b = edges[pick(7)];
		const char *to = pick(2) ? "*" : own_addresses[pick(3)];

		json_array_append_new(dst, json_pack("{s:s, s:[i, i]}", "ip", to, "ports",
						     a < b ? a : b, a < b ? b : a));
	}
	for (unsigned k = 0; k < pick(3); k++)
		json_array_append_new(proto, json_integer(protocols[pick(5)]));
	return json_pack("{s:o, s:o, s:o, s:o}", "src", src, "dst", dst, "proto", proto, "origin",
			 json_sprintf("acls[%zu]", i));
}

static json_t *random_ssh_rule(size_t i)
{
	static const char *const locals[] = { "=", "", "root", "alice" };
	static const char *const asked[] = { "*", "root", "alice", "bob" };
	json_t *principals = json_array(), *of_users = json_object();

	for (unsigned k = 0; k <= pick(3); k++)
		json_array_append_new(principals, pick(8) ? random_address() : json_string("*"));
	for (unsigned k = 0; k <= pick(3); k++)
		json_object_set_new(of_users, asked[pick(4)], json_string(locals[pick(4)]));
	return json_pack("{s:o, s:o, s:s, s:b, s:o}", "principals", principals, "users", of_users,
			 "action", pick(6) ? "accept" : "reject", "enforce_recorder", pick(8) == 0,
			 "origin", json_sprintf("ssh[%zu]", i));
}

static json_t *random_peer(unsigned number)
{
	uint8_t bytes[32] = { (uint8_t)number };
	char key[WG_KEY_B64LEN];
	struct wg_key raw;

	memcpy(raw.bytes, bytes, sizeof(bytes));
	return json_pack("{s:o, s:o, s:[o, o], s:s}", "id", json_sprintf("n%u", number), "name",
			 json_sprintf("peer%u", number), "addresses",
			 json_sprintf("100.64.0.%u", number), json_sprintf("fd00::%x", number),
			 "node_key", wg_key_to_string(&raw, key));
}

static struct netmap *random_map(void)
{
	json_t *peers = json_array(), *filter = json_array(), *rules = json_array();
	_cleanup_free_ char *text = NULL;
	json_auto_t *map = NULL;

	for (unsigned i = 0; i < N_PEERS; i++)
		if (pick(6))
			json_array_append_new(peers, random_peer(2 + i));
	for (size_t i = 0; i < N_RULES; i++) {
		json_array_append_new(filter, random_filter_rule(i));
		json_array_append_new(rules, random_ssh_rule(i));
	}
	map = json_pack("{s:s, s:i, s:s, s:i, s:{s:s, s:s, s:[s, s, s], s:b}, s:{s:s, s:[s, s]}, "
			"s:o, s:o, s:o}",
			"type", "full", "version", 1, "for", "n1", "generation", 1, "self", "id",
			"n1", "name", "server", "addresses", own_addresses[0], own_addresses[1],
			own_addresses[2], "ssh", true, "mesh", "domain", "mesh.example", "prefixes",
			"100.64.0.0/10", "fd00::/48", "peers", peers, "packet_filter", filter,
			"ssh_rules", rules);
	text = json_dumps(map, 0);
	assert_non_null(text);
	return parse_text(text, "random");
}

static bool names_address(const json_t *group, unsigned peer, const char *address)
{
	_cleanup_free_ char *name = text_printf("peer%u", peer);
	_cleanup_free_ char *with_address = text_printf("peer%u (%s)", peer, address);
	const json_t *who;
	size_t i;

	json_array_foreach (json_object_get(group, "who"), i, who)
		if (strcmp(json_string_value(who), name) == 0 ||
		    strcmp(json_string_value(who), with_address) == 0)
			return true;
	return false;
}

static bool right_covers(const json_t *right, const char *protocol, uint16_t port, const char *dst)
{
	const char *to = json_string_value(json_object_get(right, "destinations"));
	const json_t *first = json_object_get(right, "firstPort");
	const json_t *last = json_object_get(right, "lastPort");

	if (strcmp(json_string_value(json_object_get(right, "protocol")), protocol) != 0)
		return false;
	if (first && (port < json_integer_value(first) || port > json_integer_value(last)))
		return false;
	if (!to)
		return true;
	for (const char *at = strstr(to, dst); at; at = strstr(at + 1, dst))
		if ((at == to || at[-1] == ' ') && strchr(", ", at[strlen(dst)]))
			return true;
	return false;
}

/* Of several addresses with different rules the first one's is told. */
static void check_rule(const json_t *right, const char *dst, uint32_t rule)
{
	const char *to = json_string_value(json_object_get(right, "destinations"));
	_cleanup_free_ char *origin = text_printf("acls[%u]", rule);

	if (to && strcmp(to, dst) == 0)
		assert_string_equal(json_string_value(json_object_get(right, "rule")), origin);
}

/* How often a list of the document says so: 0 or 1, if nothing is told twice. rule: that opens it.
 */
static unsigned told(const json_t *reach, const char *list, unsigned peer, const char *src,
		     const char *protocol, uint16_t port, const char *dst, uint32_t rule)
{
	const json_t *group, *right;
	unsigned n = 0;
	size_t i, k;

	json_array_foreach (reach, i, group) {
		if (!names_address(group, peer, src))
			continue;
		json_array_foreach (json_object_get(group, list), k, right) {
			if (!right_covers(right, protocol, port, dst))
				continue;
			check_rule(right, dst, rule);
			n++;
		}
	}
	return n;
}

static const char *protocol_name(uint8_t proto, int family, char *buf)
{
	if (proto == IPPROTO_TCP || proto == IPPROTO_UDP)
		return proto == IPPROTO_TCP ? "tcp" : "udp";
	if (proto == (family == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return "icmp";
	sprintf(buf, "%u", family == AF_INET6 && proto == IPPROTO_ICMP ? IPPROTO_ICMPV6 : proto);
	return buf;
}

static void check_flow(const struct filter_table *old, const struct filter_table *new,
		       const json_t *reach, unsigned peer, const char *src_text,
		       const char *dst_text)
{
	struct ip_addr src, dst;

	assert_int_equal(ip_addr_parse(src_text, &src), 0);
	assert_int_equal(ip_addr_parse(dst_text, &dst), 0);
	if (src.family != dst.family)
		return;
	for (size_t p = 0; p < ARRAY_SIZE(protocols); p++) {
		char buf[8];
		const char *name = protocol_name(protocols[p], src.family, buf);

		for (size_t k = 0; k < ARRAY_SIZE(ports); k++) {
			uint16_t port = ports[k];
			uint32_t old_rule = 0, new_rule = 0;
			bool had =
				filter_table_allows(old, &src, &dst, protocols[p], port, &old_rule);
			bool has =
				filter_table_allows(new, &src, &dst, protocols[p], port, &new_rule);

			if (told(reach, "gained", peer, src_text, name, port, dst_text, new_rule) !=
				    (has && !had) ||
			    told(reach, "lost", peer, src_text, name, port, dst_text, old_rule) !=
				    (had && !has))
				fail_msg("%s -> %s %s %u: %d, %d", src_text, dst_text, name, port,
					 had, has);
		}
	}
}

static bool allowed(const struct netmap *map, const struct ip_addr *addr, const char *user,
		    char *account)
{
	struct ssh_decision d;

	ssh_policy_decide(map, addr, user, NOW, &d);
	strcpy(account, d.verdict == SSH_VERDICT_ACCEPT ? d.local_user : "");
	return d.verdict == SSH_VERDICT_ACCEPT;
}

/* Is this user, or everybody of no special kind, in the list of a group with the address? */
static bool login_told(const json_t *ssh, const char *list, unsigned peer, const char *src,
		       const char *user)
{
	const json_t *group, *login;
	size_t i, k;

	json_array_foreach (ssh, i, group) {
		if (!names_address(group, peer, src))
			continue;
		json_array_foreach (json_object_get(group, list), k, login) {
			const char *of = json_string_value(json_object_get(login, "user"));

			if (strcmp(of, user) == 0 ||
			    (strcmp(of, "*") == 0 && strcmp(user, "root") != 0))
				return true;
		}
	}
	return false;
}

static void check_logins(const struct netmap *old, const struct netmap *new, const json_t *ssh,
			 unsigned peer, const char *src)
{
	struct ip_addr addr;

	assert_int_equal(ip_addr_parse(src, &addr), 0);
	for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
		char a[257], b[257];
		bool had = allowed(old, &addr, users[i], a);
		bool has = allowed(new, &addr, users[i], b);
		bool gained = login_told(ssh, "gained", peer, src, users[i]);
		bool lost = login_told(ssh, "lost", peer, src, users[i]);
		bool changed = login_told(ssh, "changed", peer, src, users[i]);

		/* "Any other" is a rule with exceptions, which are named: at least what is there
		 * has to be told. */
		if ((has && !had && !gained) || (had && !has && !lost) ||
		    (had && has && strcmp(a, b) != 0 && !changed))
			fail_msg("%s as %s: %d \"%s\", %d \"%s\"", src, users[i], had, a, has, b);
		if (strcmp(users[i], "root") == 0 &&
		    (gained != (has && !had) || lost != (had && !has)))
			fail_msg("%s as root: %d, %d", src, had, has);
	}
}

static void check_random(const struct netmap *old, const struct netmap *new)
{
	_cleanup_(filter_table_freep) struct filter_table *was = NULL, *is = NULL;
	json_auto_t *changes = diff(old, new);
	const json_t *reach = json_object_get(changes, "reach");
	const json_t *ssh = json_object_get(changes, "ssh");
	char *error = NULL;

	assert_int_equal(filter_compile(old, NOW, &was, &error), 0);
	assert_int_equal(filter_compile(new, NOW, &is, &error), 0);
	for (unsigned peer = 2; peer < 2 + N_PEERS; peer++) {
		_cleanup_free_ char *v4 = text_printf("100.64.0.%u", peer);
		_cleanup_free_ char *v6 = text_printf("fd00::%x", peer);

		for (size_t i = 0; i < ARRAY_SIZE(own_addresses); i++) {
			check_flow(was, is, reach, peer, v4, own_addresses[i]);
			check_flow(was, is, reach, peer, v6, own_addresses[i]);
		}
		check_logins(old, new, ssh, peer, v4);
		check_logins(old, new, ssh, peer, v6);
	}
	check_round_trip(new);
}

static void test_random(void **state)
{
	const char *given = getenv("TEST_SEED");

	seed = given ? strtoull(given, NULL, 10) : 1;
	for (size_t i = 0; i < 150; i++) {
		_cleanup_(netmap_freep) struct netmap *old = random_map(), *new = random_map();

		check_random(old, new);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_changes),
		cmocka_unit_test(test_golden_back),
		cmocka_unit_test(test_golden_first_map),
		cmocka_unit_test(test_no_change),
		cmocka_unit_test(test_another_order_of_rules),
		cmocka_unit_test(test_hostile_text),
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
