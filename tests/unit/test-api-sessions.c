#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/text.h"
#include "tests/unit/api-fixture.h"

#define LOGIN                                                                                     \
	"{\"address\":\"100.64.0.2\",\"localAddress\":\"100.64.0.1\",\"port\":40000,\"sshUser\":" \
	"\"root\",\"connection\":\"ssh-1234abcd\"}"
#define RESUME                                                                               \
	"{\"leaseId\":\"0123456789abcdef0123456789abcdef\",\"nodeId\":\"n2\",\"nodeKey\":"   \
	"\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAk=\",\"address\":\"100.64.0.2\","       \
	"\"sshUser\":\"root\",\"localUser\":\"root\",\"nonroot\":false,\"options\":{"        \
	"\"forwarding\":"                                                                    \
	"{\"agent\":true,\"local\":true,\"remote\":false}},\"connection\":\"ssh-1234abcd\"," \
	"\"since\":1800000000000000}"

/* ID and monitor are replaced. */
#define SESSION(local)                                                                        \
	"{\"leaseId\":\"ID\",\"connection\":\"ssh-1234abcd\",\"nodeId\":\"n2\",\"nodeName\":" \
	"\"laptop\",\"user\":\"alice@example.com\",\"address\":\"100.64.0.2\"," local         \
	"\"sshUser\":\"root\",\"localUser\":\"root\",\"since\":1800000000000000,"             \
	"\"validUntil\":1800007500000000,\"rule\":\"ssh[0] line 31\",\"monitor\":PID}"
#define AT "\"localAddress\":\"100.64.0.1\","

static void replace(char **text, const char *from, const char *to)
{
	char *at, *changed;

	while ((at = strstr(*text, from))) {
		*at = '\0';
		changed = text_printf("%s%s%s", *text, to, at + strlen(from));
		free(*text);
		*text = changed;
	}
}

/* As hear(), with the lease's id and this process's as ID and PID. */
static char *hear_plain(struct varlink_client *client, const char *id)
{
	_cleanup_free_ char *monitor = text_printf("\"monitor\":%d}", getpid());
	char *heard = hear(client);

	replace(&heard, id, "ID");
	replace(&heard, monitor, "\"monitor\":PID}");
	return heard;
}

static void expect_plain(struct varlink_client *client, const char *id, const char *text)
{
	_cleanup_free_ char *heard = hear_plain(client, id);

	assert_string_equal(heard, text);
}

static struct varlink_client *log_in(struct fixture *f, char *id)
{
	struct varlink_client *client = connect_to(f);
	_cleanup_free_ char *heard = NULL;
	const char *at;

	send_call(f, client, "AuthorizeSSH", LOGIN, true);
	heard = hear(client);
	at = strstr(heard, "\"leaseId\":\"");
	assert_non_null(at);
	snprintf(id, LEASE_ID_LEN + 1, "%s", at + 11);
	return client;
}

/* ---- what the journal gets ---- */

static void drop_line(void *userdata, int level, const char *text)
{
}

static char *journal;

static void take_line(const char *ident, int level, const char *text,
		      const struct log_field *fields, size_t n_fields)
{
	for (size_t i = 0; i < n_fields; i++) {
		_cleanup_free_ char *before = journal;

		journal = text_printf("%s%s=%s%s", before ? before : "", fields[i].name,
				      fields[i].value, i + 1 < n_fields ? " " : "\n");
	}
}

/* The same name means the same as in the gateway's records: peergate-sshgw(8). */
static void test_journal(void **state)
{
#define WHO  "PEER=100.64.0.2 NODE=laptop USER=alice@example.com "
#define ROOT "CONNECTION=ssh-1234abcd " WHO "SSH_USER=root LOCAL_USER=root LEASE=ID"
	struct varlink_client *login, *refused;
	struct fixture *f = *state;
	char id[LEASE_ID_LEN + 1];

	log_set_sink(NULL, NULL);
	log_set_writer(take_line);
	login = log_in(f, id);
	varlink_client_free(login);
	pump(f);
	replace(&journal, id, "ID");
	login = log_in(f, id);
	lease_table_recheck(f->leases, NULL, NOW);
	replace(&journal, id, "ID");
	refused = connect_to(f);
	send_call(f, refused, "AuthorizeSSH",
		  "{\"address\":\"100.64.0.2\",\"localAddress\":\"100.64.0.1\",\"port\":40000,"
		  "\"sshUser\":\"alice\",\"connection\":\"ssh-2\"}",
		  true);
	log_set_sink(drop_line, NULL);
	assert_string_equal(journal, ROOT " RULE=ssh[0] line 31\n" ROOT "\n" ROOT
					  " RULE=ssh[0] line 31\n" ROOT " REASON=no-map\n"
					  "CONNECTION=ssh-2 " WHO
					  "SSH_USER=alice RULE=ssh[1] line 40 REASON=check\n");
	varlink_client_free(login);
	varlink_client_free(refused);
	free(journal);
}

static void test_list(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *login = NULL, *asking = NULL;
	struct fixture *f = *state;
	char id[LEASE_ID_LEN + 1];

	asking = connect_as_nobody(f);
	send_call(f, asking, "ListSessions", NULL, false);
	expect(asking, "{\"sessions\":[]}");
	login = log_in(f, id);
	send_call(f, asking, "ListSessions", NULL, false);
	expect_plain(asking, id, "{\"sessions\":[" SESSION(AT) "]}");
	send_call(f, asking, "ListSessions", "{\"first\":1}", false);
	expect(asking, "{\"sessions\":[]}");

	/* Without a map there is none to be in force. */
	f->map = netmap_free(f->map);
	lease_table_recheck(f->leases, f->map, NOW);
	send_call(f, asking, "ListSessions", NULL, false);
	expect(asking, "{\"sessions\":[]}");
}

/* A part is small however many rules there are; the parts together have every session once. */
static void test_list_in_parts(void **state)
{
	enum { N_SESSIONS = 4, N_RULES = 3000 };
	struct varlink_client *logins[N_SESSIONS];
	_cleanup_free_ char *rules = NULL;
	struct fixture *f = *state;
	char ids[N_SESSIONS][LEASE_ID_LEN + 1];
	size_t len, next = 0, n_parts = 0, n_listed = 0;
	FILE *out = open_memstream(&rules, &len);

	fputs("\"ssh_rules\": [", out);
	for (unsigned i = 0; i < N_RULES; i++)
		fputs("{\"principals\":[\"100.64.0.99\"],\"users\":{\"root\":\"root\"},\"action\":"
		      "\"accept\"},",
		      out);
	fclose(out);
	netmap_free(f->map);
	f->map = load_map("\"ssh_rules\": [", rules);
	for (size_t i = 0; i < N_SESSIONS; i++)
		logins[i] = log_in(f, ids[i]);
	do {
		_cleanup_free_ char *params = text_printf("{\"first\":%zu}", next);
		_cleanup_free_ char *heard = ask(f, "ListSessions", params);
		json_auto_t *part = json_loads(heard, 0, NULL);

		for (size_t i = 0; i < N_SESSIONS; i++)
			n_listed += strstr(heard, ids[i]) != NULL;
		next = (size_t)json_integer_value(json_object_get(part, "next"));
		n_parts++;
	} while (next > 0 && n_parts < 10);
	assert_int_equal(n_listed, N_SESSIONS);
	assert_int_equal(n_parts, 2);
	for (size_t i = 0; i < N_SESSIONS; i++)
		varlink_client_free(logins[i]);
	pump(f);
}

static void test_kill(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *login = NULL, *asking = NULL;
	_cleanup_free_ char *params = NULL, *again = NULL;
	struct fixture *f = *state;
	char id[LEASE_ID_LEN + 1], other_id[LEASE_ID_LEN + 1];
	_cleanup_(varlink_client_freep) struct varlink_client *other = NULL;

	login = log_in(f, id);
	other = log_in(f, other_id);
	asking = connect_to(f);
	params = text_printf("{\"leaseId\":\"%s\",\"message\":\"dinner\\u001b[2J\\n\"}", id);
	send_call(f, asking, "KillSession", params, false);
	expect_plain(asking, id, "{\"session\":" SESSION(AT) "}");
	expect(login, "{\"state\":\"revoked\",\"reason\":\"operator\",\"message\":\"ended by an "
		      "operator: dinner?[2J?\"}");
	assert_int_equal(lease_table_count(f->leases), 1);

	send_call(f, asking, "KillSession", params, false);
	again = hear_plain(asking, id);
	assert_string_equal(again, "io.peergate.Agent.NoSuchSession {\"leaseId\":\"ID\"}");
	/* A part of an id is none. */
	free(params);
	params = text_printf("{\"leaseId\":\"%.8s\"}", other_id);
	send_call(f, asking, "KillSession", params, false);
	free(again);
	again = hear(asking);
	assert_non_null(strstr(again, "NoSuchSession"));
	free(params);
	params = text_printf("{\"leaseId\":\"%s\"}", other_id);
	send_call(f, asking, "KillSession", params, false);
	expect(other, "{\"state\":\"revoked\",\"reason\":\"operator\",\"message\":\"ended by an "
		      "operator\"}");
	assert_int_equal(lease_table_count(f->leases), 0);
}

static void test_kill_parameters(void **state)
{
	static const char *const bad[][2] = {
		{ "{}", "leaseId" },
		{ "{\"leaseId\":7}", "leaseId" },
		{ "{\"leaseId\":\"x\",\"message\":7}", "message" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_free_ char *heard = ask(f, "KillSession", bad[i][0]);
		_cleanup_free_ char *expected = text_printf(
			"org.varlink.service.InvalidParameter {\"parameter\":\"%s\"}", bad[i][1]);

		assert_string_equal(heard, expected);
	}
}

/* Root, and who is in the agent's group, by its first group or another; nobody else. */
static void test_who_may_kill(void **state)
{
	static const struct {
		bool root;
		gid_t first, other;
		bool allowed;
	} cases[] = {
		{ true, 65534, 65534, true },
		{ false, 65534, 65534, false },
		{ false, 0, 65534, true },
		{ false, 65534, 0, true },
	};
	struct fixture *f = *state;

	assert_int_equal(getegid(), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(varlink_client_freep) struct varlink_client *asking = NULL;

		assert_int_equal(setgroups(1, &cases[i].other), 0);
		assert_int_equal(setegid(cases[i].first), 0);
		asking = cases[i].root ? connect_to(f) : connect_as_nobody(f);
		assert_int_equal(setegid(0), 0);
		assert_int_equal(setgroups(0, NULL), 0);
		send_call(f, asking, "KillSession", "{\"leaseId\":\"x\"}", false);
		expect(asking, cases[i].allowed
				       ? "io.peergate.Agent.NoSuchSession {\"leaseId\":\"x\"}"
				       : "org.varlink.service.PermissionDenied {}");
	}
}

static void test_subscribe(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *watch = NULL, *login = NULL,
							      *resumed = NULL;
	_cleanup_(netmap_freep) struct netmap *changed = NULL;
	_cleanup_free_ char *heard = NULL;
	struct fixture *f = *state;
	char id[LEASE_ID_LEN + 1];

	watch = connect_as_nobody(f);
	send_call(f, watch, "Subscribe", NULL, false);
	expect(watch, "org.varlink.service.ExpectedMore {}");
	send_call(f, watch, "Subscribe", NULL, true);
	expect(watch, "{\"event\":\"ready\",\"time\":1800000000000000}");

	login = log_in(f, id);
	expect_plain(watch, id,
		     "{\"event\":\"began\",\"time\":1800000000000000,\"session\":" SESSION(AT) "}");
	login = varlink_client_free(login);
	pump(f);
	expect_plain(watch, id,
		     "{\"event\":\"ended\",\"time\":1800000000000000,\"session\":" SESSION(AT) "}");

	resumed = connect_to(f);
	send_call(f, resumed, "ResumeSSH", RESUME, true);
	expect_plain(
		watch, "0123456789abcdef0123456789abcdef",
		"{\"event\":\"resumed\",\"time\":1800000000000000,\"session\":" SESSION("") "}");

	/* The node is gone from the map, and still has its name here. */
	changed = load_map("\"id\": \"n2\", \"name\": \"laptop\", \"addresses\": [\"100.64.0.2\"",
			   "\"id\": \"n2\", \"name\": \"laptop\", \"addresses\": [\"100.64.0.22\"");
	lease_table_recheck(f->leases, changed, NOW);
	heard = hear(watch);
	assert_non_null(strstr(heard, "{\"event\":\"revoked\","));
	assert_non_null(strstr(heard, "\"nodeName\":\"laptop\""));
	assert_non_null(strstr(heard, "},\"reason\":\"node-gone\",\"message\":\"100.64.0.2 was "
				      "removed from the network\"}"));
}

/* Who does not read is let go with a word; the others, and the logins, are not held up. */
static void test_slow_subscriber(void **state)
{
	enum { N_LOGINS = 4000 };
	_cleanup_(varlink_client_freep) struct varlink_client *slow = NULL, *fast = NULL;
	struct fixture *f = *state;
	char id[LEASE_ID_LEN + 1];
	bool told = false;

	slow = connect_to(f);
	fast = connect_to(f);
	send_call(f, slow, "Subscribe", NULL, true);
	send_call(f, fast, "Subscribe", NULL, true);
	expect(fast, "{\"event\":\"ready\",\"time\":1800000000000000}");
	for (unsigned i = 0; i < N_LOGINS; i++) {
		_cleanup_free_ char *began = NULL, *ended = NULL;

		varlink_client_free(log_in(f, id));
		pump(f);
		began = hear(fast);
		ended = hear(fast);
		assert_non_null(strstr(began, "began"));
		assert_non_null(strstr(ended, "ended"));
	}
	for (unsigned i = 0; i < 2 * N_LOGINS && !told; i++) {
		_cleanup_free_ char *heard = hear(slow);

		pump(f);
		told = strstr(heard, "io.peergate.Agent.TooSlow");
		assert_true(told || strstr(heard, "\"event\""));
	}
	assert_true(told);
	/* Its connection is good for another call. */
	send_call(f, slow, "WhoIs", "{\"address\":\"100.64.0.77\"}", false);
	expect(slow, "io.peergate.Agent.NotAPeer {\"address\":\"100.64.0.77\",\"self\":false}");
}

static void test_too_many_subscribers(void **state)
{
	struct varlink_client *clients[33], *nobodys[32];
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(nobodys); i++) {
		/* More than this of one user find no place at all. */
		nobodys[i] = connect_as_nobody(f);
		send_call(f, nobodys[i], "Subscribe", NULL, true);
		expect(nobodys[i], "{\"event\":\"ready\",\"time\":1800000000000000}");
	}
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		clients[i] = connect_to(f);
		send_call(f, clients[i], "Subscribe", NULL, true);
		expect(clients[i], i < 32 ? "{\"event\":\"ready\",\"time\":1800000000000000}"
					  : "io.peergate.Agent.TooManySubscribers {}");
	}
	for (size_t i = 0; i < ARRAY_SIZE(nobodys); i++)
		varlink_client_free(nobodys[i]);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		varlink_client_free(clients[i]);
	pump(f);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_journal),
		TEST(test_list),
		TEST(test_list_in_parts),
		TEST(test_kill),
		TEST(test_kill_parameters),
		TEST(test_who_may_kill),
		TEST(test_subscribe),
		TEST(test_slow_subscriber),
		TEST(test_too_many_subscribers),
	};

	log_set_sink(drop_line, NULL);
	if (getuid() != 0) {
		print_message("not root: there can be no logins\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
