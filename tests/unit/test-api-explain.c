/* ExplainFlow and ExplainSSH; that the latter says what AuthorizeSSH does. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/text.h"
#include "tests/unit/api-fixture.h"
#include "tests/unit/golden.h"

#define FLOW(src, dst, more) "{\"src\":\"" src "\",\"dst\":\"" dst "\"" more "}"
#define SSH(address, user)   "{\"address\":\"" address "\",\"sshUser\":\"" user "\"}"

static const struct {
	const char *method, *params, *file;
} golden_cases[] = {
	{ "ExplainFlow", FLOW("laptop", "server", ",\"port\":22"), "api/flow-ssh.json" },
	{ "ExplainFlow", FLOW("phone", "SERVER.mesh.example.", ""), "api/flow-any.json" },
	{ "ExplainFlow", FLOW("192.0.2.9", "100.64.0.1", ",\"port\":90,\"proto\":17"),
	  "api/flow-near.json" },
	{ "ExplainFlow", FLOW("ci", "server", ",\"proto\":58"), "api/flow-icmp.json" },
	{ "ExplainFlow", "{\"dst\":\"laptop\",\"port\":443}", "api/flow-elsewhere.json" },
	{ "ExplainFlow", "{\"dst\":\"laptop\",\"port\":22}", "api/flow-login-elsewhere.json" },
	{ "ExplainFlow", FLOW("tablet", "server", ",\"port\":22"), "api/flow-expired.json" },
	{ "ExplainSSH", SSH("laptop", "root"), "api/login-yes.json" },
	{ "ExplainSSH", SSH("laptop", "alice"), "api/login-check.json" },
	{ "ExplainSSH", SSH("phone", "backup"), "api/login-user.json" },
	{ "ExplainSSH", SSH("100.64.0.6", "backup"), "api/login-cut-off.json" },
	{ "ExplainSSH", SSH("tablet", "root"), "api/login-expired.json" },
	{ "ExplainSSH", SSH("server", "root"), "api/login-self.json" },
	{ "ExplainSSH", SSH("192.0.2.9", "root"), "api/login-stranger.json" },
};

static void test_golden(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(golden_cases); i++) {
		_cleanup_(varlink_client_freep) struct varlink_client *client =
			connect_as_nobody(f);
		_cleanup_free_ char *heard = NULL, *pretty = NULL, *text = NULL;
		json_auto_t *json = NULL;

		print_message("%s\n", golden_cases[i].file);
		send_call(f, client, golden_cases[i].method, golden_cases[i].params, false);
		heard = hear(client);
		json = json_loads(heard, 0, NULL);
		assert_non_null(json);
		pretty = json_dumps(json, JSON_INDENT(2));
		text = text_printf("%s\n", pretty);
		golden_check(golden_cases[i].file, text);
	}
}

#define INVALID(name) "org.varlink.service.InvalidParameter {\"parameter\":\"" name "\"}"

static const struct {
	const char *method, *params, *answer;
} error_cases[] = {
	{ "ExplainFlow", "{}", INVALID("dst") },
	{ "ExplainFlow", "{\"dst\":7}", INVALID("dst") },
	{ "ExplainFlow", FLOW("laptop", "server", ",\"port\":0"), INVALID("port") },
	{ "ExplainFlow", FLOW("laptop", "server", ",\"port\":65536"), INVALID("port") },
	{ "ExplainFlow", FLOW("laptop", "server", ",\"proto\":0"), INVALID("proto") },
	{ "ExplainFlow", FLOW("laptop", "server", ",\"proto\":256"), INVALID("proto") },
	{ "ExplainFlow", FLOW("laptop", "server", ",\"proto\":\"tcp\""), INVALID("proto") },
	{ "ExplainFlow", FLOW("nobody", "server", ""),
	  "io.peergate.Agent.UnknownNode {\"name\":\"nobody\"}" },
	{ "ExplainFlow", FLOW("laptop", "a\\u001b[2Jb", ""),
	  "io.peergate.Agent.UnknownNode {\"name\":\"a?[2Jb\"}" },
	/* One host must not have two names. */
	{ "ExplainFlow", FLOW("::ffff:100.64.0.2", "server", ""),
	  "io.peergate.Agent.UnknownNode {\"name\":\"::ffff:100.64.0.2\"}" },
	{ "ExplainSSH", "{\"sshUser\":\"root\"}", INVALID("address") },
	{ "ExplainSSH", "{\"address\":\"laptop\"}", INVALID("sshUser") },
	{ "ExplainSSH", SSH("", "root"), "io.peergate.Agent.UnknownNode {\"name\":\"\"}" },
};

static void test_errors(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(error_cases); i++) {
		_cleanup_free_ char *heard = ask(f, error_cases[i].method, error_cases[i].params);

		assert_string_equal(heard, error_cases[i].answer);
	}
}

static void test_not_ready(void **state)
{
	_cleanup_free_ char *flow = NULL, *ssh = NULL;
	struct fixture *f = *state;

	f->map = netmap_free(f->map);
	flow = ask(f, "ExplainFlow", FLOW("laptop", "server", ""));
	assert_string_equal(flow, "io.peergate.Agent.NotReady {}");
	ssh = ask(f, "ExplainSSH", SSH("laptop", "root"));
	assert_string_equal(ssh, "io.peergate.Agent.NotReady {}");
}

static void expect_note(struct fixture *f, const char *params, const char *present,
			const char *absent)
{
	_cleanup_free_ char *heard = ask(f, "ExplainFlow", params);

	if (!strstr(heard, present) || (absent && strstr(heard, absent)))
		fail_msg("expected %s and not %s in %s", present, absent, heard);
}

static void test_notes(void **state)
{
	struct fixture *f = *state;

	expect_note(f, FLOW("ci", "server", ",\"port\":22"), "no SSH rule names ci", NULL);
	expect_note(f, FLOW("ci", "server", ",\"port\":23"), "\"notes\":[]", NULL);
	expect_note(f, FLOW("phone", "server", ",\"port\":80"),
		    "answers to what server itself begins need no rule", "SSH");
	netmap_free(f->map);
	f->map = load_map("\"ssh\": true", "\"ssh\": false");
	expect_note(f, FLOW("ci", "server", ",\"port\":22"),
		    "SSH through the mesh is off on server", "SSH rule");
	f->now_usec = NOW + UINT64_C(3 * 86400 * 1000000);
	expect_note(f, FLOW("ci", "server", ",\"port\":23"), "\"code\":\"host-expired\"", NULL);
}

/* Rules that have nothing to do with it are not listed without end. */
static void test_many_rules(void **state)
{
	enum { N_RULES = 3000 };
	_cleanup_free_ char *rules = NULL, *heard = NULL;
	json_auto_t *json = NULL;
	struct fixture *f = *state;
	size_t len;
	FILE *out = open_memstream(&rules, &len);
	json_t *login, *steps;

	fputs("\"ssh_rules\": [", out);
	for (unsigned i = 0; i < N_RULES; i++)
		fputs("{\"principals\":[\"100.64.0.99\"],\"users\":{\"root\":\"root\"},\"action\":"
		      "\"accept\"},",
		      out);
	fclose(out);
	netmap_free(f->map);
	f->map = load_map("\"ssh_rules\": [", rules);
	heard = ask(f, "ExplainSSH", SSH("100.64.0.2", "root"));
	json = json_loads(heard, 0, NULL);
	login = json_array_get(json_object_get(json, "logins"), 0);
	steps = json_object_get(login, "steps");
	assert_int_equal(json_array_size(steps), 257);
	assert_int_equal(json_integer_value(json_object_get(login, "stepsOmitted")), N_RULES - 256);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(steps, 256), "index")),
			 N_RULES);
}

/* ---- the same as a login ---- */

static json_t *authorize(struct fixture *f, const char *address, const char *local,
			 const char *user)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = connect_to(f);
	_cleanup_free_ char *params =
		text_printf("{\"address\":\"%s\",\"localAddress\":\"%s\",\"port\":40000,"
			    "\"sshUser\":\"%s\"}",
			    address, local, user);
	_cleanup_free_ char *heard = NULL;

	send_call(f, client, "AuthorizeSSH", params, true);
	heard = hear(client);
	client = varlink_client_free(client);
	pump(f);
	return json_loads(heard, 0, NULL);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static void check_same(struct fixture *f, const char *address, const char *local, const char *user)
{
	_cleanup_free_ char *params = text_printf(SSH("%s", "%s"), address, user);
	_cleanup_free_ char *heard = ask(f, "ExplainSSH", params);
	json_auto_t *explained = json_loads(heard, 0, NULL);
	json_auto_t *answered = authorize(f, address, local, user);
	const json_t *login = json_array_get(json_object_get(explained, "logins"), 0);
	const json_t *grant = json_object_get(login, "grant");
	bool accepted = strcmp(text_of(answered, "state"), "accept") == 0;

	print_message("%s as %s: %s\n", address, user, text_of(login, "message"));
	assert_string_equal(text_of(login, "answer"), accepted ? "yes" : "no");
	assert_string_equal(text_of(explained, "answer"), accepted ? "yes" : "no");
	assert_string_equal(text_of(login, "reason"), text_of(answered, "reason"));
	assert_string_equal(text_of(login, "message"), text_of(answered, "message"));
	assert_string_equal(text_of(login, "rule"), text_of(answered, "rule"));
	if (!accepted)
		return;
	assert_string_equal(text_of(grant, "localUser"), text_of(answered, "localUser"));
	assert_true(json_equal(json_object_get(grant, "options"),
			       json_object_get(answered, "options")));
	assert_true(json_equal(json_object_get(grant, "validUntil"),
			       json_object_get(answered, "validUntil")));
}

static void test_same_as_login(void **state)
{
	static const char *const addresses[] = { "100.64.0.2", "100.64.0.3", "100.64.0.4",
						 "100.64.0.5", "100.64.0.6", "100.64.0.77",
						 "100.64.0.1", "192.0.2.9" };
	static const char *const users[] = { "root", "alice", "dev", "backup", "", "-x", "0" };
	static const char *const changes[][2] = {
		{ NULL, NULL },
		{ "\"ssh\": true", "\"ssh\": false" },
		{ "2027-01-18T08:00:00Z", "2027-01-15T08:00:00Z" }, /* this host's key */
		{ "\"action\": \"check\"", "\"action\": \"accept\"" },
		{ "\"ports\": [22, 22]", "\"ports\": [23, 23]" },
		{ "\"message\"", "\"recorders\":[\"100.64.0.9:80\"],\"message\"" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		netmap_free(f->map);
		f->map = load_map(changes[i][0], changes[i][1]);
		for (size_t k = 0; k < ARRAY_SIZE(addresses); k++)
			for (size_t m = 0; m < ARRAY_SIZE(users); m++)
				check_same(f, addresses[k], "100.64.0.1", users[m]);
		check_same(f, "fd7a::2", "fd7a::1", "root");
		check_same(f, "fd7a::2", "fd7a::1", "dev");
	}
}

static void drop_line(void *userdata, int level, const char *text)
{
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest for_all[] = {
		TEST(test_golden), TEST(test_errors),	  TEST(test_not_ready),
		TEST(test_notes),  TEST(test_many_rules),
	};
	const struct CMUnitTest for_root[] = {
		TEST(test_same_as_login),
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
