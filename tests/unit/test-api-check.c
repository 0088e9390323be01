/* Logins that wait for a check, and checks before any login, with a coordinator behind the api. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/link/check.h"
#include "common/text.h"
#include "tests/unit/api-link-fixture.h"

/* The rule that says "check" lets the laptop in as devel. */
#define LOGIN                                                                         \
	"{\"address\":\"100.64.0.2\",\"localAddress\":\"100.64.0.1\",\"port\":40000," \
	"\"sshUser\":\"dev\",\"connection\":\"ssh-1\"}"
#define CHECK "\"action\": \"check\""

static void await_held(struct fixture *f, unsigned n)
{
	uint64_t end = clock_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;

	while (tc_n_held(tc) != n && clock_usec(CLOCK_MONOTONIC) < end)
		assert_true(sd_event_run(f->event, 10000) >= 0);
	assert_int_equal(tc_n_held(tc), n);
}

static struct varlink_client *begin_login(struct fixture *f)
{
	struct varlink_client *client = connect_to(f);

	send_call(f, client, "AuthorizeSSH", LOGIN, true);
	return client;
}

/* A login that waits for a person. */
static struct varlink_client *hold(struct fixture *f)
{
	struct varlink_client *client;
	char *heard;

	come_up_link(f);
	tc->any_source = true;
	tc->ssh_action = "check";
	client = begin_login(f);
	heard = hear_until(f, client, "\"state\":\"check\"", "");
	assert_string_equal(heard,
			    "{\"state\":\"check\",\"check\":{\"message\":\"logging in to server as "
			    "user \\\"dev\\\" needs a check that it is you\","
			    "\"url\":\"https://coord.example/check/1\",\"code\":\"100-1\"}}");
	free(heard);
	await_held(f, 1);
	return client;
}

static void change_map(struct fixture *f, const char *from, const char *to)
{
	netmap_free(f->map);
	f->map = load_map(from, to);
	f->map_serial++;
	lease_table_recheck(f->leases, f->map, f->now_usec);
	api_recheck(f->api);
}

static void expect_reject(struct fixture *f, struct varlink_client *client, const char *reason,
			  const char *message)
{
	_cleanup_free_ char *wanted = text_printf("\"reason\":\"%s\"", reason);

	free(hear_until(f, client, wanted, message));
	assert_int_equal(lease_table_count(f->leases), 0);
}

#define ONLY_ROOT()             \
	do {                    \
		if (getuid())   \
			skip(); \
	} while (0)

/* ---- AuthorizeSSH ---- */

static void test_passed(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL, *second = NULL;
	_cleanup_free_ char *heard = NULL, *again = NULL;
	struct fixture *f = *state;

	ONLY_ROOT();
	client = hold(f);
	tc_answer_checks(tc, true);
	heard = hear_until(f, client, "\"state\":\"accept\"", "\"localUser\":\"devel\"");
	assert_non_null(strstr(heard, "\"rule\":\"ssh[1] line 40\""));
	assert_int_equal(lease_table_count(f->leases), 1);
	/* It is remembered: nobody is asked again. */
	second = begin_login(f);
	again = hear_until(f, second, "\"state\"", "");
	assert_non_null(strstr(again, "\"state\":\"accept\""));
	/* Leases that a check let in live as others do. */
	change_map(f, NULL, NULL);
	assert_int_equal(lease_table_count(f->leases), 2);
	client = varlink_client_free(client);
	second = varlink_client_free(second);
	pump(f);
	assert_int_equal(lease_table_count(f->leases), 0);
	assert_int_equal(f->stats.logins_accepted, 2);
}

static void test_not_passed(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL, *second = NULL;
	struct fixture *f = *state;

	ONLY_ROOT();
	client = hold(f);
	tc_answer_checks(tc, false);
	expect_reject(f, client, "check-denied", "denied on the page");
	second = begin_login(f);
	await_held(f, 1);
	tc_lapse_checks(tc);
	expect_reject(f, second, "check-timeout", "nobody confirmed");
	varlink_client_free(second);
	tc->ssh_action = NULL;
	second = begin_login(f);
	expect_reject(f, second, "check-refused", "the test coordinator says no");
}

static void test_caller_goes_away(void **state)
{
	struct fixture *f = *state;

	ONLY_ROOT();
	varlink_client_free(hold(f));
	await_held(f, 0);
	assert_int_equal(lease_table_count(f->leases), 0);
	/* A yes that comes now is nobody's. */
	tc_answer_checks(tc, true);
	pump(f);
	assert_int_equal(f->stats.logins_accepted, 0);
}

static const struct change {
	const char *from, *to, *reason, *message;
} changes[] = {
	{ CHECK, "\"action\": \"reject\"", "by-rule", "refuses" },
	{ "\"dev\": \"devel\"", "\"dev\": \"\"", "user", "do not let" },
	{ CHECK, CHECK ", \"recorders\": [\"100.64.0.9:80\"]", "recorder", "has to be recorded" },
	{ "\"ssh\": true", "\"ssh\": false", "ssh-off", "switched off" },
	{ "\"addresses\": [\"100.64.0.2\", \"fd7a::2\"]", "\"addresses\": [\"100.64.0.7\"]",
	  "not-a-peer", "does not know your address" },
	{ "{\"id\": \"n2\"", "{\"id\": \"n9\"", "address-moved", "another device" },
	{ "\"src\": [\"100.64.0.2\", ", "\"src\": [", "unreachable", "packet filter" },
};

/* The right goes while the person is asked. */
static void test_right_is_taken_away(void **state)
{
	struct fixture *f = *state;

	ONLY_ROOT();
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;

		print_message("%s\n", changes[i].reason);
		if (i > 0) {
			teardown_link(state);
			setup_link(state);
			f = *state;
		}
		client = hold(f);
		change_map(f, NULL, NULL);
		expect(client, "");
		change_map(f, changes[i].from, changes[i].to);
		expect_reject(f, client, changes[i].reason, changes[i].message);
		await_held(f, 0);
	}
}

/* The rule says "accept" now, or expires: who waits need not wait for the person. */
static void test_rule_changes(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL, *second = NULL;
	struct fixture *f = *state;

	ONLY_ROOT();
	client = hold(f);
	change_map(f, CHECK, "\"action\": \"accept\"");
	free(hear_until(f, client, "\"state\":\"accept\"", "devel"));
	await_held(f, 0);

	change_map(f, CHECK, CHECK ", \"rule_expires\": \"2027-01-15T09:00:00Z\"");
	second = begin_login(f);
	await_held(f, 1);
	f->now_usec += UINT64_C(3600) * USEC_PER_SEC;
	api_recheck(f->api);
	free(hear_until(f, second, "\"reason\":\"user\"", "do not let"));
}

/* Decided by what the policy says when the person has answered. */
static void test_account_changes(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
	struct fixture *f = *state;

	ONLY_ROOT();
	client = hold(f);
	change_map(f, "\"dev\": \"devel\"", "\"dev\": \"other\"");
	expect(client, "");
	tc_answer_checks(tc, true);
	free(hear_until(f, client, "\"state\":\"accept\"", "\"localUser\":\"other\""));
}

static void test_coordinator_is_away(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL, *second = NULL;
	struct fixture *f = *state;

	ONLY_ROOT();
	client = begin_login(f);
	free(hear_until(f, client, "check-unreachable", "not enrolled"));
	come_up_link(f);
	tc_stop(tc);
	second = begin_login(f);
	expect_reject(f, second, "check-unreachable", "the coordinator cannot be reached");
	tc_start(tc);
}

/* Maps that come from a file: nobody to ask. */
static void test_without_link(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
	struct fixture *f = *state;
	struct link *link = f->link;

	ONLY_ROOT();
	f->link = NULL;
	client = begin_login(f);
	expect_reject(f, client, "check", "may make it \\\"accept\\\" in ssh[1] line 40");
	f->link = link;
}

static void test_too_many(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *one_more = NULL;
	struct varlink_client *clients[LINK_MAX_CHECKS];
	struct fixture *f = *state;

	ONLY_ROOT();
	clients[0] = hold(f);
	for (unsigned i = 1; i < LINK_MAX_CHECKS; i++)
		clients[i] = begin_login(f);
	one_more = begin_login(f);
	expect_reject(f, one_more, "check-busy", "too many");
	for (unsigned i = 0; i < LINK_MAX_CHECKS; i++)
		varlink_client_free(clients[i]);
	await_held(f, 0);
}

/* ---- ExplainSSH, Status ---- */

#define EXPLAIN "{\"address\":\"100.64.0.2\",\"sshUser\":\"dev\"}"

static void test_explained(void **state)
{
	_cleanup_free_ char *yes = NULL, *no = NULL, *status = NULL, *warned = NULL;
	struct fixture *f = *state;
	struct link *link = f->link;

	yes = ask(f, "ExplainSSH", EXPLAIN);
	status = ask(f, "Status", NULL);
	f->link = NULL;
	no = ask(f, "ExplainSSH", EXPLAIN);
	warned = ask(f, "Status", NULL);
	f->link = link;
	assert_non_null(strstr(yes, "{\"answer\":\"check\""));
	assert_non_null(strstr(yes, "\"grant\":{\"localUser\":\"devel\""));
	assert_non_null(strstr(no, "{\"answer\":\"no\""));
	assert_non_null(strstr(no, "\"reason\":\"check\""));
	assert_null(strstr(status, "ssh-check"));
	assert_non_null(strstr(warned, "ssh-check"));
}

/* ---- CheckLogin ---- */

static void test_beforehand(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = connect_as_nobody(*state);
	_cleanup_free_ char *heard = NULL, *again = NULL;
	struct fixture *f = *state;

	ONLY_ROOT();
	come_up_link(f);
	tc->ssh_action = "check";
	send_call(f, client, "CheckLogin", "{\"target\":\"server\",\"sshUser\":\"root\"}", true);
	heard = hear_until(f, client, "waiting", "");
	assert_string_equal(heard, "{\"state\":\"waiting\",\"url\":\"https://coord.example/check/"
				   "1\",\"code\":\"100-1\"}");
	await_held(f, 1);
	tc_answer_checks(tc, true);
	again = hear_until(f, client, "passed", "");
	assert_string_equal(again, "{\"state\":\"passed\",\"checkedAt\":1800000000000000,"
				   "\"method\":\"password\"}");
	send_call(f, client, "CheckLogin", NULL, true);
	free(hear_until(f, client, "passed", ""));
}

static void test_beforehand_refused(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = connect_to(*state);
	struct fixture *f = *state;

	ONLY_ROOT();
	send_call(f, client, "CheckLogin", NULL, true);
	free(hear_until(f, client, "NotPossible", "not enrolled"));
	send_call(f, client, "CheckLogin", "{\"sshUser\":\"root\"}", true);
	free(hear_until(f, client, "InvalidParameter", "sshUser"));
	come_up_link(f);
	tc->ssh_action = "check";
	send_call(f, client, "CheckLogin", NULL, true);
	await_held(f, 1);
	tc_answer_checks(tc, false);
	free(hear_until(f, client, "\"state\":\"refused\",\"reason\":\"check-denied\"", ""));
	tc->ssh_action = NULL;
	send_call(f, client, "CheckLogin", NULL, true);
	free(hear_until(f, client, "check-refused", "the test coordinator says no"));
}

/* Nobody takes the places of others; who hangs up gives his back. */
static void test_beforehand_too_many(void **state)
{
	static const struct {
		unsigned n;
		uid_t uid;
		bool refused;
	} cases[] = {
		{ 4, 65534 },	    { 1, 65534, true }, { 4, 65533 },	{ 4, 65532 },
		{ 1, 65531, true }, { 4, 0 },		{ 1, 0, true },
	};
	struct varlink_client *clients[19];
	struct fixture *f = *state;
	unsigned n = 0;

	ONLY_ROOT();
	come_up_link(f);
	tc->ssh_action = "check";
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (unsigned k = 0; k < cases[i].n; k++, n++) {
			clients[n] = connect_as(f, cases[i].uid);
			send_call(f, clients[n], "CheckLogin", NULL, true);
		}
		if (cases[i].refused)
			free(hear_until(f, clients[n - 1], "NotPossible", "too many"));
	}
	await_held(f, 16);
	while (n > 0)
		varlink_client_free(clients[--n]);
	await_held(f, 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup_link, teardown_link)
	const struct CMUnitTest tests[] = {
		TEST(test_passed),
		TEST(test_not_passed),
		TEST(test_caller_goes_away),
		TEST(test_right_is_taken_away),
		TEST(test_rule_changes),
		TEST(test_account_changes),
		TEST(test_coordinator_is_away),
		TEST(test_without_link),
		TEST(test_too_many),
		TEST(test_explained),
		TEST(test_beforehand),
		TEST(test_beforehand_refused),
		TEST(test_beforehand_too_many),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
