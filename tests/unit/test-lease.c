#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "agent/ssh/lease.h"
#include "common/text.h"

#define NOW   UINT64_C(1800000000000000) /* 2027-01-15T08:00:00Z */
#define HOUR  UINT64_C(3600000000)
#define KEY_A "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="
#define KEY_B "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI="
#define KEY_C "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAM="

/* ---- maps, from a few words ---- */

#define LAPTOP(key, more)                                                                       \
	"{\"id\":\"n2\",\"name\":\"laptop\",\"addresses\":[\"100.64.0.2\"],\"node_key\":\"" key \
	"\",\"user\":\"alice@example.com\"" more "}"
#define OTHER(id, addr, key)                                                                     \
	"{\"id\":\"" id "\",\"name\":\"other\",\"addresses\":[\"" addr "\"],\"node_key\":\"" key \
	"\",\"user\":\"bob@example.com\"}"
#define RULE(action, users, fwd, more)                                                \
	"{\"principals\":[\"100.64.0.2\"],\"users\":{" users "},\"action\":\"" action \
	"\",\"origin\":\"ssh[0]\",\"forwarding\":" fwd more "}"
#define FWD_ALL	 "{\"agent\":true,\"local\":true,\"remote\":true}"
#define FWD_NONE "{\"agent\":false,\"local\":false,\"remote\":false}"
#define ROOT	 "\"root\":\"root\""

#define FILTER(src, dst, ports)                                                                   \
	"{\"src\":[\"" src "\"],\"dst\":[{\"ip\":\"" dst "\",\"ports\":[" ports "]}],\"proto\":[" \
	"6]}"
#define SSH_OPEN FILTER("100.64.0.0/24", "100.64.0.1", "22,22")

static struct netmap *map_with_filter(const char *self, const char *peers, const char *rules,
				      const char *filter)
{
	_cleanup_free_ char *text = NULL, *problem = NULL;
	struct netmap *map = NULL;

	text = text_printf(
		"{\"type\":\"full\",\"version\":1,\"for\":\"n1\",\"generation\":1,"
		"\"issued_at\":\"2027-01-01T00:00:00Z\","
		"\"self\":{\"id\":\"n1\",\"name\":\"server\",\"addresses\":[\"100.64.0.1\",\"100."
		"64.0.7\"],"
		"\"tags\":[\"tag:prod\"],\"ssh\":%s},"
		"\"mesh\":{\"domain\":\"mesh.example\",\"prefixes\":[\"100.64.0.0/10\"]},"
		"\"users\":{\"alice@example.com\":{\"name\":\"Alice\"},"
		"\"bob@example.com\":{\"name\":\"Bob\"}},"
		"\"peers\":[%s],\"packet_filter\":[%s],\"ssh_rules\":[%s]}",
		self ? self : "true", peers ? peers : LAPTOP(KEY_A, ""), filter,
		rules ? rules : RULE("accept", ROOT, FWD_ALL, ""));
	assert_non_null(text);
	if (netmap_parse(text, strlen(text), "test", &problem, &map) < 0)
		fail_msg("%s", problem);
	return map;
}

static struct netmap *map_of(const char *self, const char *peers, const char *rules)
{
	return map_with_filter(self, peers, rules, SSH_OPEN);
}

/* ---- an owner that takes notes ---- */

struct notes {
	unsigned n_revoked, n_retimed, n_visited;
	enum lease_end end;
	uint64_t valid_until;
	char message[256];
};

static void note_revoked(struct lease *lease, enum lease_end end, const char *message,
			 void *userdata)
{
	struct notes *notes = userdata;

	notes->n_revoked++;
	notes->end = end;
	snprintf(notes->message, sizeof(notes->message), "%s", message);
	lease_free(lease);
}

static void note_retimed(struct lease *lease, uint64_t valid_until, void *userdata)
{
	struct notes *notes = userdata;

	assert_int_equal(lease_valid_until(lease), valid_until);
	notes->n_retimed++;
	notes->valid_until = valid_until;
}

static void note_visited(struct lease *lease, void *userdata)
{
	struct notes *notes = userdata;

	notes->n_visited++;
}

static const struct lease_events events = { note_revoked, note_retimed, note_visited };

static struct lease_terms terms_of(const struct ip_addr *addr)
{
	return (struct lease_terms){
		.node_id = "n2",
		.address = *addr,
		.ssh_user = "root",
		.local_user = "root",
		.forwarding = { true, true, true },
		.connection = "c1",
	};
}

static struct ip_addr addr_of(const char *text)
{
	struct ip_addr addr;

	assert_int_equal(ip_addr_parse(text, &addr), 0);
	return addr;
}

/* ---- cases ---- */

#define KEPT -1

static const struct {
	const char *name;
	const char *self, *peers, *rules; /* of the new map; NULL: as it was */
	int end;			  /* KEPT, or enum lease_end */
} recheck_cases[] = {
	{ "nothing changed", NULL, NULL, NULL, KEPT },
	{ "new key, same node", NULL, LAPTOP(KEY_B, ""), NULL, KEPT },
	{ "another peer more", NULL, LAPTOP(KEY_A, "") "," OTHER("n3", "100.64.0.3", KEY_B), NULL,
	  KEPT },
	{ "node gone", NULL, OTHER("n3", "100.64.0.3", KEY_B), NULL, LEASE_END_NODE_GONE },
	{ "all nodes gone", NULL, "", NULL, LEASE_END_NODE_GONE },
	{ "address owned by another node", NULL, OTHER("n3", "100.64.0.2", KEY_A), NULL,
	  LEASE_END_ADDRESS_MOVED },
	{ "key expired", NULL, LAPTOP(KEY_A, ",\"key_expiry\":\"2027-01-15T08:00:00Z\""), NULL,
	  LEASE_END_KEY_EXPIRED },
	{ "own key expired", "true,\"key_expiry\":\"2027-01-15T08:00:00Z\"", NULL, NULL,
	  LEASE_END_KEY_EXPIRED },
	{ "SSH off", "false", NULL, NULL, LEASE_END_SSH_OFF },
	{ "no rules", NULL, NULL, "", LEASE_END_POLICY },
	{ "rule rejects", NULL, NULL, RULE("reject", ROOT, FWD_ALL, ""), LEASE_END_POLICY },
	{ "unknown action", NULL, NULL, RULE("permit", ROOT, FWD_ALL, ""), LEASE_END_POLICY },
	{ "rejected by an earlier rule", NULL, NULL,
	  RULE("reject", ROOT, FWD_ALL, "") "," RULE("accept", ROOT, FWD_ALL, ""),
	  LEASE_END_POLICY },
	{ "user left out", NULL, NULL, RULE("accept", "\"alice\":\"alice\"", FWD_ALL, ""),
	  LEASE_END_POLICY },
	{ "recording demanded", NULL, NULL,
	  RULE("accept", ROOT, FWD_ALL, ",\"recorders\":[\"100.64.0.9:80\"]"), LEASE_END_POLICY },
	{ "accept became check", NULL, NULL, RULE("check", ROOT, FWD_ALL, ""), KEPT },
	{ "check, for another account", NULL, NULL, RULE("check", "\"root\":\"toor\"", FWD_ALL, ""),
	  LEASE_END_LOCAL_USER },
	{ "check, with less forwarding", NULL, NULL, RULE("check", ROOT, FWD_NONE, ""),
	  LEASE_END_FORWARDING },
	{ "another local user", NULL, NULL, RULE("accept", "\"root\":\"toor\"", FWD_ALL, ""),
	  LEASE_END_LOCAL_USER },
	{ "less agent forwarding", NULL, NULL,
	  RULE("accept", ROOT, "{\"agent\":false,\"local\":true,\"remote\":true}", ""),
	  LEASE_END_FORWARDING },
	{ "less local forwarding", NULL, NULL,
	  RULE("accept", ROOT, "{\"agent\":true,\"local\":false,\"remote\":true}", ""),
	  LEASE_END_FORWARDING },
	{ "less remote forwarding", NULL, NULL,
	  RULE("accept", ROOT, "{\"agent\":true,\"local\":true,\"remote\":false}", ""),
	  LEASE_END_FORWARDING },
	{ "a command is forced", NULL, NULL,
	  RULE("accept", ROOT, FWD_ALL, ",\"force_command\":\"/bin/date\""),
	  LEASE_END_FORCE_COMMAND },
	{ "by another rule", NULL, NULL,
	  RULE("accept", "\"alice\":\"alice\"", FWD_ALL, "") "," RULE("accept", ROOT, FWD_ALL, ""),
	  KEPT },
};

static void test_recheck(void **state)
{
	const struct ip_addr addr = addr_of("100.64.0.2");

	for (size_t i = 0; i < ARRAY_SIZE(recheck_cases); i++) {
		_cleanup_(netmap_freep) struct netmap *map = NULL;
		_cleanup_(lease_table_freep) struct lease_table *table = NULL;
		const struct lease_terms terms = terms_of(&addr);
		struct notes notes = { 0 };
		struct lease *lease = NULL;
		bool kept = recheck_cases[i].end == KEPT;

		print_message("%s\n", recheck_cases[i].name);
		map = map_of(recheck_cases[i].self, recheck_cases[i].peers, recheck_cases[i].rules);
		assert_int_equal(lease_table_new(8, &table), 0);
		assert_int_equal(lease_grant(table, &terms, UINT64_MAX, &events, &notes, &lease),
				 0);
		lease_table_recheck(table, map, NOW);
		assert_int_equal(notes.n_revoked, !kept);
		assert_int_equal(lease_table_count(table), kept);
		if (kept) {
			lease_free(lease);
			assert_int_equal(lease_table_count(table), 0);
			continue;
		}
		print_message("    %s: %s\n", lease_end_to_string(notes.end), notes.message);
		assert_int_equal(notes.end, recheck_cases[i].end);
		assert_true(notes.message[0] != '\0');
		assert_null(strchr(notes.message, '\n'));
	}
}

/* Resuming asks the same questions as rechecking does. */
static void test_resume(void **state)
{
	static const char id[] = "00112233445566778899aabbccddeeff";
	const struct ip_addr addr = addr_of("100.64.0.2");

	for (size_t i = 0; i < ARRAY_SIZE(recheck_cases); i++) {
		_cleanup_(netmap_freep) struct netmap *map = NULL;
		_cleanup_(lease_table_freep) struct lease_table *table = NULL;
		_cleanup_(lease_freep) struct lease *lease = NULL;
		_cleanup_free_ char *message = NULL;
		const struct lease_terms terms = terms_of(&addr);
		struct notes notes = { 0 };
		enum lease_end end;
		int r;

		print_message("%s\n", recheck_cases[i].name);
		map = map_of(recheck_cases[i].self, recheck_cases[i].peers, recheck_cases[i].rules);
		assert_int_equal(lease_table_new(8, &table), 0);
		r = lease_resume(table, id, &terms, map, NOW, &events, &notes, &lease, &end,
				 &message);
		if (recheck_cases[i].end == KEPT) {
			assert_int_equal(r, 0);
			assert_string_equal(lease_id(lease), id);
			assert_int_equal(lease_table_count(table), 1);
			continue;
		}
		assert_int_equal(r, LEASE_REVOKED);
		assert_int_equal(end, recheck_cases[i].end);
		assert_non_null(message);
		assert_null(lease);
		assert_int_equal(lease_table_count(table), 0);
	}
}

/* "=" must not widen what was granted: whoever holds a plain "alice" was not checked for uid 0. */
static void test_nonroot(void **state)
{
	static const struct {
		bool held;
		const char *users;
		int end;
	} cases[] = {
		{ true, "\"*\":\"=\"", KEPT },
		{ true, "\"alice\":\"alice\"", KEPT },
		{ false, "\"alice\":\"alice\"", KEPT },
		{ false, "\"*\":\"=\"", LEASE_END_LOCAL_USER },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(netmap_freep) struct netmap *map = NULL;
		_cleanup_(lease_table_freep) struct lease_table *table = NULL;
		_cleanup_free_ char *rules = NULL;
		const struct ip_addr addr = addr_of("100.64.0.2");
		struct lease_terms terms = terms_of(&addr);
		struct notes notes = { 0 };
		struct lease *lease = NULL;

		terms.ssh_user = terms.local_user = "alice";
		terms.nonroot = cases[i].held;
		rules = text_printf("{\"principals\":[\"100.64.0.2\"],\"users\":{%s},"
				    "\"action\":\"accept\",\"forwarding\":" FWD_ALL "}",
				    cases[i].users);
		map = map_of(NULL, NULL, rules);
		assert_int_equal(lease_table_new(8, &table), 0);
		assert_int_equal(lease_grant(table, &terms, UINT64_MAX, &events, &notes, &lease),
				 0);
		lease_table_recheck(table, map, NOW);
		assert_int_equal(notes.n_revoked, cases[i].end != KEPT);
		if (cases[i].end == KEPT)
			lease_free(lease);
		else
			assert_int_equal(notes.end, cases[i].end);
	}
}

/* The right to log in needs the packet filter's consent, also once the connection stands. */
static void test_filter(void **state)
{
	static const struct {
		const char *name, *filter, *rules;
		const char *local; /* address that the connection came to; NULL: not known */
		int end;
	} cases[] = {
		{ "as it was", SSH_OPEN, NULL, "100.64.0.1", KEPT },
		{ "no filter rules", "", NULL, "100.64.0.1", LEASE_END_UNREACHABLE },
		{ "another port", FILTER("100.64.0.2", "100.64.0.1", "80,80"), NULL, "100.64.0.1",
		  LEASE_END_UNREACHABLE },
		{ "another peer", FILTER("100.64.0.3", "100.64.0.1", "22,22"), NULL, "100.64.0.1",
		  LEASE_END_UNREACHABLE },
		{ "another own address", FILTER("100.64.0.2", "100.64.0.7", "22,22"), NULL,
		  "100.64.0.1", LEASE_END_UNREACHABLE },
		{ "an address that this host has not any more", SSH_OPEN, NULL, "100.64.0.8",
		  LEASE_END_UNREACHABLE },
		{ "not known, one is open", FILTER("100.64.0.2", "100.64.0.7", "22,22"), NULL, NULL,
		  KEPT },
		{ "not known, none is open", FILTER("100.64.0.2", "100.64.0.9", "22,22"), NULL,
		  NULL, LEASE_END_UNREACHABLE },
		{ "neither rule nor filter", "", "", "100.64.0.1", LEASE_END_POLICY },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(netmap_freep) struct netmap *map = NULL;
		_cleanup_(lease_table_freep) struct lease_table *table = NULL;
		const struct ip_addr addr = addr_of("100.64.0.2");
		struct lease_terms terms = terms_of(&addr);
		struct notes notes = { 0 };
		struct lease *lease = NULL;

		print_message("%s\n", cases[i].name);
		if (cases[i].local)
			terms.local_address = addr_of(cases[i].local);
		map = map_with_filter(NULL, NULL, cases[i].rules, cases[i].filter);
		assert_int_equal(lease_table_new(8, &table), 0);
		assert_int_equal(lease_grant(table, &terms, UINT64_MAX, &events, &notes, &lease),
				 0);
		lease_table_recheck(table, map, NOW);
		assert_int_equal(notes.n_revoked, cases[i].end != KEPT);
		if (cases[i].end == KEPT)
			lease_free(lease);
		else
			assert_int_equal(notes.end, cases[i].end);
	}
}

static void test_no_map(void **state)
{
	_cleanup_(lease_table_freep) struct lease_table *table = NULL;
	const struct ip_addr addr = addr_of("100.64.0.2");
	const struct lease_terms terms = terms_of(&addr);
	struct notes notes = { 0 };
	struct lease *lease;

	assert_int_equal(lease_table_new(8, &table), 0);
	assert_int_equal(lease_grant(table, &terms, UINT64_MAX, &events, &notes, &lease), 0);
	lease_table_recheck(table, NULL, NOW);
	assert_int_equal(notes.end, LEASE_END_NO_MAP);
}

static void count_call(void *userdata)
{
	(*(unsigned *)userdata)++;
}

static void test_expiry(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = NULL, *longer = NULL;
	_cleanup_(lease_table_freep) struct lease_table *table = NULL;
	const struct ip_addr addr = addr_of("100.64.0.2");
	const struct lease_terms terms = terms_of(&addr);
	struct notes notes = { 0 };
	struct lease *lease;
	unsigned n_changes = 0;

	/* Ends in an hour; another map makes it two. */
	map = map_of(NULL, NULL,
		     RULE("accept", ROOT, FWD_ALL, ",\"rule_expires\":\"2027-01-15T09:00:00Z\""));
	longer =
		map_of(NULL, NULL,
		       RULE("accept", ROOT, FWD_ALL, ",\"rule_expires\":\"2027-01-15T10:00:00Z\""));
	assert_int_equal(lease_table_new(8, &table), 0);
	lease_table_on_expiry_change(table, count_call, &n_changes);
	assert_true(lease_table_next_expiry(table) == UINT64_MAX);
	assert_int_equal(lease_grant(table, &terms, NOW + HOUR, &events, &notes, &lease), 0);
	assert_true(lease_table_next_expiry(table) == NOW + HOUR);
	assert_int_equal(n_changes, 1);

	lease_table_recheck(table, map, NOW);
	assert_int_equal(notes.n_retimed, 0);
	assert_int_equal(n_changes, 1);

	lease_table_recheck(table, longer, NOW);
	assert_int_equal(notes.n_retimed, 1);
	assert_true(notes.valid_until == NOW + 2 * HOUR);
	assert_true(lease_table_next_expiry(table) == NOW + 2 * HOUR);
	assert_int_equal(n_changes, 2);

	lease_table_recheck(table, longer, NOW + 2 * HOUR - 1);
	assert_int_equal(notes.n_revoked, 0);
	lease_table_recheck(table, longer, NOW + 2 * HOUR);
	assert_int_equal(notes.n_revoked, 1);
	assert_int_equal(notes.end, LEASE_END_EXPIRED);
	assert_true(lease_table_next_expiry(table) == UINT64_MAX);
}

static void test_many(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = NULL, *empty = NULL;
	_cleanup_(lease_table_freep) struct lease_table *table = NULL;
	const struct ip_addr addr = addr_of("100.64.0.2");
	const struct lease_terms terms = terms_of(&addr);
	struct notes notes = { 0 };
	struct lease *leases[3000], *more = NULL;
	size_t n_met = 0;

	map = map_of(NULL, NULL, NULL);
	empty = map_of(NULL, NULL, "");
	assert_int_equal(lease_table_new(ARRAY_SIZE(leases), &table), 0);
	for (size_t i = 0; i < ARRAY_SIZE(leases); i++) {
		assert_int_equal(
			lease_grant(table, &terms, UINT64_MAX, &events, &notes, &leases[i]), 0);
		assert_int_equal(strlen(lease_id(leases[i])), LEASE_ID_LEN);
		if (i > 0)
			assert_string_not_equal(lease_id(leases[i]), lease_id(leases[i - 1]));
	}
	assert_int_equal(lease_grant(table, &terms, UINT64_MAX, &events, &notes, &more), -ENOSPC);
	assert_null(more);

	lease_table_recheck(table, map, NOW);
	assert_int_equal(notes.n_revoked, 0);
	/* Each slice has its share, and all of them have each lease once. */
	for (unsigned slice = 0; slice < LEASE_N_SLICES; slice++) {
		unsigned before = notes.n_visited;

		lease_table_visit(table, slice);
		assert_in_range(notes.n_visited - before, ARRAY_SIZE(leases) / LEASE_N_SLICES / 2,
				ARRAY_SIZE(leases) / LEASE_N_SLICES * 2);
	}
	assert_int_equal(notes.n_visited, ARRAY_SIZE(leases));
	for (size_t i = 0; i < ARRAY_SIZE(leases); i += 3)
		lease_free(leases[i]);
	assert_int_equal(lease_table_count(table), 2000);
	for (const struct lease *l = NULL; (l = lease_table_next(table, l)); n_met++)
		assert_ptr_equal(lease_table_find(table, lease_id(l)), l);
	assert_int_equal(n_met, 2000);
	lease_table_recheck(table, empty, NOW);
	assert_int_equal(notes.n_revoked, 2000);
	assert_int_equal(lease_table_count(table), 0);
}

static void test_resume_ids(void **state)
{
	static const char *const bad[] = {
		"",
		"00112233445566778899aabbccddeef",
		"00112233445566778899aabbccddeefff",
		"00112233445566778899AABBCCDDEEFF",
		"00112233445566778899aabbccddee\nf",
	};
	_cleanup_(netmap_freep) struct netmap *map = NULL;
	_cleanup_(lease_table_freep) struct lease_table *table = NULL;
	_cleanup_(lease_freep) struct lease *resumed = NULL;
	const struct ip_addr addr = addr_of("100.64.0.2");
	const struct lease_terms terms = terms_of(&addr);
	struct notes notes = { 0 }, notes_resumed = { 0 };
	struct lease *lease = NULL;
	char *message = NULL;
	enum lease_end end;
	char id[LEASE_ID_LEN + 1];

	map = map_of(NULL, NULL, NULL);
	assert_int_equal(lease_table_new(1, &table), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(lease_resume(table, bad[i], &terms, map, NOW, &events, &notes,
					      &lease, &end, &message),
				 -EINVAL);

	/* The older call of the same lease is dead, or will be: it makes room for the new one. */
	assert_int_equal(lease_grant(table, &terms, UINT64_MAX, &events, &notes, &lease), 0);
	snprintf(id, sizeof(id), "%s", lease_id(lease));
	assert_int_equal(lease_resume(table, id, &terms, map, NOW, &events, &notes_resumed,
				      &resumed, &end, &message),
			 0);
	assert_int_equal(notes.n_revoked, 1);
	assert_int_equal(notes.end, LEASE_END_REPLACED);
	assert_int_equal(notes_resumed.n_revoked, 0);
	assert_int_equal(lease_table_count(table), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recheck),	   cmocka_unit_test(test_resume),
		cmocka_unit_test(test_nonroot),	   cmocka_unit_test(test_no_map),
		cmocka_unit_test(test_expiry),	   cmocka_unit_test(test_many),
		cmocka_unit_test(test_resume_ids), cmocka_unit_test(test_filter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
