#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "agent/api/internal.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "tests/unit/api-fixture.h"
#include "tests/unit/golden.h"

/* ---- reading ---- */

static const struct {
	const char *method, *params, *file;
} golden_cases[] = {
	{ "Status", NULL, "api/status.json" },
	{ "GetPeers", NULL, "api/peers.json" },
	{ "GetFilter", NULL, "api/filter.json" },
	{ "GetSSHPolicy", NULL, "api/ssh-policy.json" },
	{ "GetKnownHosts", NULL, "api/known-hosts.json" },
	{ "GetMetrics", NULL, "api/metrics.json" },
	{ "WhoIs", "{\"address\":\"fd7a::2\"}", "api/whois-laptop.json" },
	{ "WhoIs", "{\"address\":\"100.64.0.6\"}", "api/whois-router.json" },
};

static void count_something(struct stats *stats)
{
	stats->started_usec = NOW - UINT64_C(7200000000);
	for (int i = 0; i < 3; i++)
		stats_count_map(stats, NOW - UINT64_C(60000000));
	stats->maps_refused = 1;
	stats->foreign_changes = 2;
	stats->logins_accepted = 5;
	stats_count(&stats->logins_rejected, "user");
	stats_count(&stats->logins_rejected, "no-rule");
	stats_count(&stats->logins_rejected, "user");
	stats_count(&stats->revocations, "policy");
	stats_count_apply(stats, 900, 0);
	stats_count_apply(stats, 1000, 0);
	stats_count_apply(stats, 250000, -EBUSY);
	stats_count_apply(stats, 60000000, 0);
}

static void test_golden(void **state)
{
	struct fixture *f = *state;

	count_something(&f->stats);
	for (size_t i = 0; i < ARRAY_SIZE(golden_cases); i++) {
		_cleanup_free_ char *heard = NULL, *pretty = NULL, *text = NULL;
		json_auto_t *json = NULL;

		print_message("%s\n", golden_cases[i].file);
		heard = ask(f, golden_cases[i].method, golden_cases[i].params);
		json = json_loads(heard, 0, NULL);
		assert_non_null(json);
		pretty = json_dumps(json, JSON_INDENT(2));
		text = text_printf("%s\n", pretty);
		golden_check(golden_cases[i].file, text);
	}
}

static const struct {
	const char *method, *params, *answer;
} error_cases[] = {
	{ "WhoIs", "{\"address\":\"100.64.0.77\"}",
	  "io.peergate.Agent.NotAPeer {\"address\":\"100.64.0.77\",\"self\":false}" },
	/* Behind a router: not the router's own. */
	{ "WhoIs", "{\"address\":\"192.0.2.9\"}",
	  "io.peergate.Agent.NotAPeer {\"address\":\"192.0.2.9\",\"self\":false}" },
	{ "WhoIs", "{\"address\":\"100.64.0.1\"}",
	  "io.peergate.Agent.NotAPeer {\"address\":\"100.64.0.1\",\"self\":true}" },
	{ "WhoIs", "{\"address\":\"laptop\"}",
	  "org.varlink.service.InvalidParameter {\"parameter\":\"address\"}" },
	{ "WhoIs", "{\"address\":\"::ffff:100.64.0.2\"}",
	  "org.varlink.service.InvalidParameter {\"parameter\":\"address\"}" },
	{ "WhoIs", "{\"address\":7}",
	  "org.varlink.service.InvalidParameter {\"parameter\":\"address\"}" },
	{ "WhoIs", NULL, "org.varlink.service.InvalidParameter {\"parameter\":\"address\"}" },
	{ "GetPeers", "{\"first\":-1}",
	  "org.varlink.service.InvalidParameter {\"parameter\":\"first\"}" },
	{ "GetPeers", "{\"first\":5}", "{\"peers\":[]}" },
	{ "GetFilter", "{\"first\":99999999999999}", "{\"rules\":[]}" },
	{ "GetKnownHosts", "{\"first\":1}", "{\"lines\":[]}" },
	{ "GetKnownHosts", "{\"first\":99}", "{\"lines\":[]}" },
	{ "AuthorizeSSH", "{}", "org.varlink.service.ExpectedMore {}" },
	{ "ResumeSSH", "{}", "org.varlink.service.ExpectedMore {}" },
};

static void test_errors(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(error_cases); i++) {
		_cleanup_free_ char *heard = NULL;

		heard = ask(f, error_cases[i].method, error_cases[i].params);
		assert_string_equal(heard, error_cases[i].answer);
	}
}

static void test_without_map(void **state)
{
	static const char *const methods[] = { "GetPeers", "GetFilter", "GetSSHPolicy",
					       "GetKnownHosts" };
	_cleanup_free_ char *status = NULL, *whois = NULL;
	struct fixture *f = *state;

	f->map = netmap_free(f->map);
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		_cleanup_free_ char *heard = ask(f, methods[i], NULL);

		assert_string_equal(heard, "io.peergate.Agent.NotReady {}");
	}
	whois = ask(f, "WhoIs", "{\"address\":\"100.64.0.2\"}");
	assert_string_equal(whois, "io.peergate.Agent.NotReady {}");

	f->map_problem = "netmap.json: line 3: x";
	status = ask(f, "Status", NULL);
	assert_null(strstr(status, "nodeName"));
	assert_non_null(strstr(status, "\"mapProblem\":\"netmap.json: line 3: x\""));
	assert_non_null(strstr(status, "there is no map in force, the mesh is blocked: netmap"));
}

/* However often somebody asks, the kernel is not dumped for each. */
static void test_peer_status_is_kept(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 5; i++)
		free(ask(f, "GetPeers", NULL));
	assert_in_range(f->n_peer_status, 1, 2);
}

static void test_peer_status_fails(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *heard = NULL;

	f->peer_status_error = -EOPNOTSUPP;
	heard = ask(f, "GetPeers", NULL);
	assert_non_null(strstr(heard, "\"problem\":\"Operation not supported\""));
	assert_non_null(strstr(heard, "\"nodeName\":\"laptop\""));
}

/* A policy that says the rules and filters are fine warns of nothing. */
static void test_warnings(void **state)
{
	static const struct {
		const char *from, *to; /* change to the map */
		const char *present, *absent;
	} cases[] = {
		{ NULL, NULL, "ssh-unreachable", "ssh-nobody" },
		{ NULL, NULL, "ssh-check", "ssh-recorder" },
		{ "\"ssh\": true", "\"ssh\": false", "key-expires", "ssh-unreachable" },
		{ "2027-01-18T08:00:00Z", "2027-01-15T08:00:00Z", "key-expired", "key-expires" },
		{ "2027-01-18T08:00:00Z", "2028-01-01T00:00:00Z", "ssh-check", "key-expires" },
		{ "\"message\"", "\"recorders\":[\"100.64.0.9:80\"],\"message\"", "ssh-recorder",
		  "ssh-nobody" },
		{ "\"100.64.0.6\"],\n     \"users\"", "\"100.64.0.2\"],\n     \"users\"",
		  "ssh-check", "ssh-unreachable" },
		{ "\"ssh_rules\"", "\"ssh_rules\":[],\"later\"", "ssh-nobody", "ssh-check" },
		{ "\"action\": \"accept\"", "\"action\": \"allow\"",
		  "2 SSH rules have an action that is not known here (ssh_rules[0]: \\\"allow\\\")",
		  "ssh-recorder" },
		{ "\"permit\"", "\"reject\"", "ssh-check", "ssh-action" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *heard = NULL;

		netmap_free(f->map);
		f->map = load_map(cases[i].from, cases[i].to);
		f->map_serial++;
		heard = ask(f, "Status", NULL);
		print_message("%zu: %s\n", i, strstr(heard, "\"warnings\""));
		assert_non_null(strstr(heard, cases[i].present));
		assert_null(strstr(heard, cases[i].absent));
	}
}

static void expect_in_status(struct fixture *f, const char *present, const char *absent)
{
	_cleanup_free_ char *heard = ask(f, "Status", NULL);

	if (!strstr(heard, present) || strstr(heard, absent))
		fail_msg("expected %s and not %s in %s", present, absent, heard);
}

/* What is said of the policy is kept for as long as it is true: until a rule or a key expires. */
static void test_digest_expires(void **state)
{
	static const char two[] = "2 SSH rules name peers that no packet filter";
	static const char one[] = "1 SSH rule names peers that no packet filter";
	struct fixture *f = *state;

	netmap_free(f->map);
	f->map = load_map("2027-01-14T00:00:00Z", "2027-01-15T09:00:00Z");
	expect_in_status(f, two, one);
	f->now_usec = NOW + UINT64_C(3600000000) - 1;
	expect_in_status(f, two, one);
	f->now_usec++;
	expect_in_status(f, one, two);
	/* The clock was set back. */
	f->now_usec = NOW;
	expect_in_status(f, two, one);
}

/*
 * Many rules for everybody, and many peers that the filter keeps out: parts stay small, each goes
 * on where the last one ended, and all come.
 */
static void test_policy_in_parts(void **state)
{
	enum { N_PEERS = 3000, N_RULES = 50 };
	_cleanup_free_ char *text = NULL, *problem = NULL;
	struct fixture *f = *state;
	size_t len, next = 0, n_rules = 0, n_parts = 0;
	FILE *out = open_memstream(&text, &len);

	fputs("{\"type\":\"full\",\"version\":1,\"for\":\"n1\",\"generation\":1,\"self\":{\"id\":"
	      "\"n1\","
	      "\"name\":\"server\",\"addresses\":[\"100.64.0.1\"],\"ssh\":true},\"mesh\":{"
	      "\"domain\":\"mesh.example\",\"prefixes\":[\"100.64.0.0/10\"]},\"packet_filter\":[],"
	      "\"peers\":[",
	      out);
	for (unsigned i = 0; i < N_PEERS; i++) {
		struct wg_key key = { .bytes = { 9, (uint8_t)i, (uint8_t)(i >> 8) } };
		char key_text[WG_KEY_B64LEN];

		fprintf(out,
			"%s{\"id\":\"p%u\",\"name\":\"p%u\",\"addresses\":[\"100.65.%u.%u\"],"
			"\"node_key\":\"%s\"}",
			i ? "," : "", i, i, i >> 8, i & 0xff, wg_key_to_string(&key, key_text));
	}
	fputs("],\"ssh_rules\":[", out);
	for (unsigned i = 0; i < N_RULES; i++)
		fprintf(out,
			"%s{\"principals\":[\"*\"],\"users\":{\"root\":\"root\"},\"action\":"
			"\"accept\"}",
			i ? "," : "");
	fputs("]}", out);
	fclose(out);
	netmap_free(f->map);
	f->map = NULL;
	if (netmap_parse(text, len, "m", &problem, &f->map) < 0)
		fail_msg("%s", problem);
	do {
		_cleanup_free_ char *params = text_printf("{\"first\":%zu}", next);
		_cleanup_free_ char *heard = ask(f, "GetSSHPolicy", params);
		json_auto_t *part = json_loads(heard, 0, NULL);
		json_t *rules = json_object_get(part, "rules");

		assert_in_range(json_array_size(rules), 1, 4);
		n_rules += json_array_size(rules);
		next = (size_t)json_integer_value(json_object_get(part, "next"));
		assert_true(next == 0 || next == n_rules);
		n_parts++;
	} while (next > 0);
	assert_int_equal(n_rules, N_RULES);
	assert_true(n_parts > N_RULES / 4);
}

/* ---- logins ---- */

#define AUTHORIZE(address, local, port, user)                                        \
	"{\"address\":\"" address "\",\"localAddress\":\"" local "\",\"port\":" port \
	",\"sshUser\":\"" user "\",\"connection\":\"c1\"}"
#define LOGIN AUTHORIZE("100.64.0.2", "100.64.0.1", "40000", "root")

static const struct {
	const char *params;
	const char *answer; /* how it begins */
} authorize_cases[] = {
	{ AUTHORIZE("100.64.0.2", "100.64.0.1", "40000", "alice"),
	  "{\"state\":\"reject\",\"reason\":\"check\",\"message\":\"" },
	{ AUTHORIZE("100.64.0.5", "100.64.0.1", "40000", "root"),
	  "{\"state\":\"reject\",\"reason\":\"no-rule\",\"message\":\"" },
	{ AUTHORIZE("100.64.0.3", "100.64.0.1", "40000", "nobody"),
	  "{\"state\":\"reject\",\"reason\":\"user\",\"message\":\"" },
	{ AUTHORIZE("100.64.0.4", "100.64.0.1", "40000", "yuki"),
	  "{\"state\":\"reject\",\"reason\":\"key-expired\",\"message\":\"" },
	{ AUTHORIZE("100.64.0.77", "100.64.0.1", "40000", "root"),
	  "{\"state\":\"reject\",\"reason\":\"not-a-peer\",\"message\":\"" },
	{ AUTHORIZE("192.0.2.9", "100.64.0.1", "40000", "root"),
	  "{\"state\":\"reject\",\"reason\":\"not-a-peer\",\"message\":\"" },
	/* An SSH rule alone does not do, nor one for the other family. */
	{ AUTHORIZE("100.64.0.2", "fd7a::1", "40000", "root"),
	  "{\"state\":\"reject\",\"reason\":\"unreachable\",\"message\":\"" },
	{ AUTHORIZE("100.64.0.1", "100.64.0.1", "40000", "root"),
	  "{\"state\":\"reject\",\"reason\":\"self\",\"message\":\"" },
	{ AUTHORIZE("100.64.0.2", "192.0.2.1", "40000", "root"),
	  "{\"state\":\"reject\",\"reason\":\"local-address\",\"message\":\"" },
	{ AUTHORIZE("100.64.0.2", "100.64.0.2", "40000", "root"),
	  "{\"state\":\"reject\",\"reason\":\"local-address\",\"message\":\"" },
	{ AUTHORIZE("100.64.0.2", "100.64.0.1", "0", "root"),
	  "org.varlink.service.InvalidParameter {\"parameter\":\"port\"}" },
	{ AUTHORIZE("100.64.0.2", "100.64.0.1", "65536", "root"),
	  "org.varlink.service.InvalidParameter {\"parameter\":\"port\"}" },
	{ AUTHORIZE("100.64.0.2", "100.64.0.1", "\"22\"", "root"),
	  "org.varlink.service.InvalidParameter {\"parameter\":\"port\"}" },
	{ AUTHORIZE("100.64.0.2/32", "100.64.0.1", "40000", "root"),
	  "org.varlink.service.InvalidParameter {\"parameter\":\"address\"}" },
	{ "{\"address\":\"100.64.0.2\"}",
	  "org.varlink.service.InvalidParameter {\"parameter\":\"port\"}" },
	{ AUTHORIZE("100.64.0.2", "100.64.0.1", "40000", ""),
	  "{\"state\":\"reject\",\"reason\":\"bad-user\",\"message\":\"" },
};

/* Whatever is typed as a user name gets a refusal that the person can read. */
static void test_long_user(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
	_cleanup_free_ char *params = NULL, *heard = NULL;
	struct fixture *f = *state;
	char user[5001];

	memset(user, 'x', sizeof(user) - 1);
	user[sizeof(user) - 1] = '\0';
	params = text_printf("{\"address\":\"100.64.0.2\",\"localAddress\":\"100.64.0.1\","
			     "\"port\":4000,\"sshUser\":\"%s\"}",
			     user);
	client = connect_to(f);
	send_call(f, client, "AuthorizeSSH", params, true);
	heard = hear(client);
	assert_non_null(strstr(heard, "\"reason\":\"bad-user\""));
	assert_true(strlen(heard) < 512);
}

static void test_authorize_refused(void **state)
{
	struct fixture *f = *state;
	uint64_t n = 0, n_rejected = 0;

	for (size_t i = 0; i < ARRAY_SIZE(authorize_cases); i++) {
		_cleanup_(varlink_client_freep) struct varlink_client *client = connect_to(f);
		_cleanup_free_ char *heard = NULL;

		send_call(f, client, "AuthorizeSSH", authorize_cases[i].params, true);
		heard = hear(client);
		print_message("%s\n", heard);
		if (strncmp(heard, authorize_cases[i].answer, strlen(authorize_cases[i].answer)))
			fail_msg("expected %s", authorize_cases[i].answer);
		n_rejected += strstr(heard, "reject") != NULL;
		assert_int_equal(lease_table_count(f->leases), 0);
	}
	for (size_t i = 0; i < f->stats.logins_rejected.n; i++)
		n += f->stats.logins_rejected.of[i].n;
	assert_int_equal(n, n_rejected);
	assert_int_equal(f->stats.logins_accepted, 0);
}

#define INTERVAL "\"keepIntervalUsec\":10000000"

/* Replace what is random. */
static char *hear_accept(struct varlink_client *client, char *id)
{
	char *heard = hear(client), *at = strstr(heard, "\"leaseId\":\"");

	assert_non_null(at);
	memcpy(id, at + 11, LEASE_ID_LEN);
	id[LEASE_ID_LEN] = '\0';
	memset(at + 11, 'x', LEASE_ID_LEN);
	return heard;
}

static void test_authorize(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
	_cleanup_free_ char *heard = NULL;
	struct fixture *f = *state;
	char id[LEASE_ID_LEN + 1];

	client = connect_to(f);
	send_call(f, client, "AuthorizeSSH", LOGIN, true);
	heard = hear_accept(client, id);
	assert_string_equal(
		heard,
		"{\"state\":\"accept\",\"leaseId\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\","
		"\"nodeId\":\"n2\",\"nodeName\":\"laptop\","
		"\"nodeKey\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI=\","
		"\"user\":\"alice@example.com\",\"localUser\":\"root\",\"nonroot\":false,"
		"\"validUntil\":1800007500000000,\"options\":{\"forwarding\":{\"agent\":true,"
		"\"local\":true,\"remote\":false},\"acceptEnv\":[\"GIT_*\"],"
		"\"message\":\"be careful\"},\"rule\":\"ssh[0] line 31\","
		"\"since\":1800000000000000," INTERVAL "}");
	assert_int_equal(lease_table_count(f->leases), 1);

	/* The same map again is no news. */
	lease_table_recheck(f->leases, f->map, NOW);
	expect(client, "");

	/* Hanging up ends the lease. */
	client = varlink_client_free(client);
	pump(f);
	assert_int_equal(lease_table_count(f->leases), 0);
}

static void test_revoke(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
	_cleanup_(netmap_freep) struct netmap *changed = NULL;
	_cleanup_free_ char *accepted = NULL;
	struct fixture *f = *state;
	char id[LEASE_ID_LEN + 1];

	client = connect_to(f);
	send_call(f, client, "AuthorizeSSH", LOGIN, true);
	accepted = hear_accept(client, id);

	/* A longer life is told; the call stays open. */
	changed = load_map("2027-01-15T10:05:00Z", "2027-01-15T10:05:01Z");
	lease_table_recheck(f->leases, changed, NOW);
	expect(client, "{\"state\":\"keep\",\"validUntil\":1800007501000000," INTERVAL "}");

	/* Less is told at once, without the event loop, and is the last that comes. */
	netmap_free(changed);
	changed = load_map("\"agent\": true", "\"agent\": false");
	lease_table_recheck(f->leases, changed, NOW);
	expect(client, "{\"state\":\"revoked\",\"reason\":\"forwarding\",\"message\":\"the policy "
		       "allows less forwarding now\"}");
	assert_int_equal(lease_table_count(f->leases), 0);
	assert_int_equal(f->stats.logins_accepted, 1);
	assert_int_equal(f->stats.revocations.n, 1);
	assert_string_equal(f->stats.revocations.of[0].reason, "forwarding");
	assert_int_equal(f->stats.revocations.of[0].n, 1);
	pump(f);
	expect(client, "");

	/* The connection is good for another call. */
	send_call(f, client, "WhoIs", "{\"address\":\"100.64.0.77\"}", false);
	expect(client, "io.peergate.Agent.NotAPeer {\"address\":\"100.64.0.77\",\"self\":false}");
}

static void test_expiry(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
	_cleanup_free_ char *accepted = NULL;
	struct fixture *f = *state;
	char id[LEASE_ID_LEN + 1];

	client = connect_to(f);
	send_call(f, client, "AuthorizeSSH", LOGIN, true);
	accepted = hear_accept(client, id);
	assert_true(lease_table_next_expiry(f->leases) == NOW + UINT64_C(7500000000));
	lease_table_recheck(f->leases, f->map, NOW + UINT64_C(7500000000));
	expect(client, "{\"state\":\"revoked\",\"reason\":\"expired\",\"message\":\"the time that "
		       "the policy allows is over\"}");
}

/* The packet filter's right to tcp/22 goes, the SSH rule stays: that is the end, too. */
static void test_revoke_by_filter(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
	_cleanup_(netmap_freep) struct netmap *changed = NULL;
	_cleanup_free_ char *accepted = NULL, *heard = NULL;
	struct fixture *f = *state;
	char id[LEASE_ID_LEN + 1];

	client = connect_to(f);
	send_call(f, client, "AuthorizeSSH", LOGIN, true);
	accepted = hear_accept(client, id);
	/* What is left is the right to another of this host's addresses. */
	changed = load_map("\"100.64.0.1\", \"ports\": [22, 22]}",
			   "\"100.64.0.1\", \"ports\": [23, 23]}");
	lease_table_recheck(f->leases, changed, NOW);
	heard = hear(client);
	assert_non_null(strstr(heard, "{\"state\":\"revoked\",\"reason\":\"unreachable\""));
	assert_int_equal(lease_table_count(f->leases), 0);
}

static void test_too_many(void **state)
{
	struct varlink_client *clients[5];
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		_cleanup_free_ char *heard = NULL;

		clients[i] = connect_to(f);
		send_call(f, clients[i], "AuthorizeSSH", LOGIN, true);
		heard = hear(clients[i]);
		assert_non_null(strstr(heard, i < 4 ? "accept" : "\"reason\":\"too-many\""));
	}
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		varlink_client_free(clients[i]);
	pump(f);
}

static void test_authorize_without_map(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
	struct fixture *f = *state;

	f->map = netmap_free(f->map);
	client = connect_to(f);
	send_call(f, client, "AuthorizeSSH", LOGIN, true);
	expect(client, "{\"state\":\"reject\",\"reason\":\"no-map\",\"message\":\"this host has no "
		       "network map yet; try again later\"}");
}

#define RESUME(id, node, user, local, nonroot, agent)                                  \
	"{\"leaseId\":\"" id "\",\"nodeId\":\"" node "\",\"nodeKey\":"                 \
	"\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAk=\",\"address\":\"100.64.0.2\"," \
	"\"sshUser\":\"" user "\",\"localUser\":\"" local "\",\"nonroot\":" nonroot    \
	",\"options\":{\"forwarding\":{\"agent\":" agent                               \
	",\"local\":true,\"remote\":false}},\"connection\":\"c1\"}"
#define ID "0123456789abcdef0123456789abcdef"
#define RESUME_AT(local)                                                               \
	"{\"leaseId\":\"" ID "\",\"nodeId\":\"n2\",\"nodeKey\":"                       \
	"\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAk=\",\"address\":\"100.64.0.2\"," \
	"\"localAddress\":" local                                                      \
	",\"sshUser\":\"root\",\"localUser\":\"root\",\"nonroot\":false,"              \
	"\"options\":{\"forwarding\":{\"agent\":true,\"local\":true,\"remote\":false}}}"

#define RESUME_SINCE(since)                                                              \
	"{\"leaseId\":\"" ID "\",\"nodeId\":\"n2\",\"nodeKey\":"                         \
	"\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAk=\",\"address\":\"100.64.0.2\","   \
	"\"sshUser\":\"root\",\"localUser\":\"root\",\"nonroot\":false,\"since\":" since \
	",\"options\":{\"forwarding\":{\"agent\":true,\"local\":true,\"remote\":false}}}"

static const struct {
	const char *params, *answer;
	size_t n_leases;
} resume_cases[] = {
	{ RESUME(ID, "n2", "root", "root", "false", "true"),
	  "{\"state\":\"keep\",\"validUntil\":1800007500000000," INTERVAL "}", 1 },
	{ RESUME_AT("\"100.64.0.1\""),
	  "{\"state\":\"keep\",\"validUntil\":1800007500000000," INTERVAL "}", 1 },
	{ RESUME_AT("null"), "{\"state\":\"keep\",\"validUntil\":1800007500000000," INTERVAL "}",
	  1 },
	{ RESUME_AT("\"fd7a::1\""), "{\"state\":\"revoked\",\"reason\":\"unreachable\"", 0 },
	{ RESUME_AT("\"100.64.0.99\""), "{\"state\":\"revoked\",\"reason\":\"unreachable\"", 0 },
	{ RESUME_AT("7"), "org.varlink.service.InvalidParameter {\"parameter\":\"localAddress\"}",
	  0 },
	{ RESUME(ID, "n3", "root", "root", "false", "true"),
	  "{\"state\":\"revoked\",\"reason\":\"address-moved\"", 0 },
	{ RESUME(ID, "n2", "root", "toor", "false", "true"),
	  "{\"state\":\"revoked\",\"reason\":\"local-user\"", 0 },
	{ RESUME(ID, "n2", "dev", "devel", "false", "false"),
	  "{\"state\":\"revoked\",\"reason\":\"forwarding\"", 0 },
	{ RESUME("nonsense", "n2", "root", "root", "false", "true"),
	  "org.varlink.service.InvalidParameter {\"parameter\":\"leaseId\"}", 0 },
	{ RESUME(ID, "n2", "root", "root", "null", "true"),
	  "org.varlink.service.InvalidParameter {\"parameter\":\"nonroot\"}", 0 },
	{ RESUME(ID, "n2", "root", "root", "false", "7"),
	  "org.varlink.service.InvalidParameter {\"parameter\":\"options\"}", 0 },
	{ RESUME_SINCE("-1"), "org.varlink.service.InvalidParameter {\"parameter\":\"since\"}", 0 },
	{ RESUME_SINCE("1799999000000000"), "{\"state\":\"keep\",\"validUntil\":1800007500000000",
	  1 },
};

static void test_resume(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(resume_cases); i++) {
		_cleanup_(varlink_client_freep) struct varlink_client *client = connect_to(f);
		_cleanup_free_ char *heard = NULL;

		send_call(f, client, "ResumeSSH", resume_cases[i].params, true);
		heard = hear(client);
		print_message("%s\n", heard);
		if (strncmp(heard, resume_cases[i].answer, strlen(resume_cases[i].answer)))
			fail_msg("expected %s", resume_cases[i].answer);
		assert_int_equal(lease_table_count(f->leases), resume_cases[i].n_leases);
		client = varlink_client_free(client);
		pump(f);
		assert_int_equal(lease_table_count(f->leases), 0);
	}
}

static void test_resume_not_ready(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
	struct fixture *f = *state;

	f->map = netmap_free(f->map);
	client = connect_to(f);
	send_call(f, client, "ResumeSSH", resume_cases[0].params, true);
	expect(client, "io.peergate.Agent.NotReady {}");
}

/* A lease that is resumed elsewhere takes its place, whatever became of the older call. */
static void test_resume_takes_over(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *first = NULL, *second = NULL;
	struct fixture *f = *state;

	first = connect_to(f);
	send_call(f, first, "ResumeSSH", resume_cases[0].params, true);
	expect(first, resume_cases[0].answer);
	second = connect_to(f);
	send_call(f, second, "ResumeSSH", resume_cases[0].params, true);
	expect(second, resume_cases[0].answer);
	expect(first, "{\"state\":\"revoked\",\"reason\":\"replaced\",\"message\":\"resumed on "
		      "another connection\"}");
	assert_int_equal(lease_table_count(f->leases), 1);
}

/* Within its interval each holder hears that we live, and nothing of it when it has hung up. */
static void test_alive(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
	_cleanup_free_ char *accepted = NULL, *heard = NULL;
	struct fixture *f = *state;
	uint64_t end = clock_usec(CLOCK_MONOTONIC) + API_KEEP_INTERVAL_USEC * 3 / 2;
	char id[LEASE_ID_LEN + 1];

	client = connect_to(f);
	send_call(f, client, "AuthorizeSSH", LOGIN, true);
	accepted = hear_accept(client, id);
	while ((!heard || !heard[0]) && clock_usec(CLOCK_MONOTONIC) < end) {
		free(heard);
		sd_event_run(f->event, 100000);
		heard = hear(client);
	}
	assert_string_equal(heard,
			    "{\"state\":\"keep\",\"validUntil\":1800007500000000," INTERVAL "}");
}

/* Unless nobody knows, or it may be us who do not let the peer answer. */
static void test_handshake(void **state)
{
	static const char with[] = "\"handshake\":{\"time\":1799999990000000,\"readUsec\":7}}";
	static const struct {
		const char *kernel_problem;
		uint64_t time_usec;
		bool told;
	} cases[] = {
		{ NULL, NOW - 10000000, true },
		{ NULL, 0, false },
		{ "the kernel is on strike", NOW - 10000000, false },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(varlink_client_freep) struct varlink_client *client = connect_to(f);
		_cleanup_free_ char *heard = NULL;

		f->handshake = (struct kernel_handshake){ cases[i].time_usec, 7 };
		f->kernel_problem = cases[i].kernel_problem;
		send_call(f, client, "ResumeSSH", resume_cases[0].params, true);
		heard = hear(client);
		assert_non_null(strstr(heard, "\"state\":\"keep\""));
		assert_true(cases[i].told ? strstr(heard, with) != NULL
					  : !strstr(heard, "handshake"));
	}
}

/* Others than root learn nothing, not even whether their parameters are right. */
static void test_not_root(void **state)
{
	static const char *const methods[] = { "AuthorizeSSH", "ResumeSSH" };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;

		client = connect_as_nobody(f);
		send_call(f, client, methods[i], LOGIN, true);
		expect(client, "org.varlink.service.PermissionDenied {}");
		send_call(f, client, methods[i], "{}", true);
		expect(client, "org.varlink.service.PermissionDenied {}");
		send_call(f, client, "WhoIs", "{\"address\":\"100.64.0.77\"}", false);
		expect(client, "io.peergate.Agent.NotAPeer {\"address\":\"100.64.0.77\",\"self\":"
			       "false}");
	}
	assert_int_equal(lease_table_count(f->leases), 0);
}

static void drop_line(void *userdata, int level, const char *text)
{
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest for_all[] = {
		TEST(test_golden),
		TEST(test_errors),
		TEST(test_warnings),
		TEST(test_digest_expires),
		TEST(test_policy_in_parts),
		TEST(test_without_map),
		TEST(test_not_root),
		TEST(test_peer_status_is_kept),
		TEST(test_peer_status_fails),
	};
	const struct CMUnitTest for_root[] = {
		TEST(test_authorize_refused),
		TEST(test_long_user),
		TEST(test_authorize),
		TEST(test_revoke),
		TEST(test_expiry),
		TEST(test_revoke_by_filter),
		TEST(test_too_many),
		TEST(test_authorize_without_map),
		TEST(test_resume),
		TEST(test_resume_not_ready),
		TEST(test_resume_takes_over),
		TEST(test_alive),
		TEST(test_handshake),
	};
	int n_failed;

	log_set_sink(drop_line, NULL);
	n_failed = cmocka_run_group_tests(for_all, NULL, NULL);
	if (getuid() != 0) {
		print_message("not root: the tests of logins are skipped\n");
		return n_failed ? n_failed : 77;
	}
	return n_failed + cmocka_run_group_tests(for_root, NULL, NULL);
}
