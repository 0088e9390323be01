/* Up, Down, Login, Logout, Set and what is told of the link, with a coordinator behind it. */
#include <errno.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/text.h"
#include "tests/unit/api-link-fixture.h"

static bool is_over(struct varlink_client *client)
{
	struct varlink_reply reply = { 0 };
	int r = varlink_client_receive(client, 0, &reply);

	varlink_reply_done(&reply);
	return r == -EAGAIN;
}

static void test_up_tells_until_it_is_done(void **state)
{
	struct fixture *f = *state;
	_cleanup_(varlink_client_freep) struct varlink_client *client = connect_to(f);
	_cleanup_free_ char *pending = NULL, *connected = NULL;

	if (getuid() != 0)
		skip();
	begin_link(f, client, "Up", ",\"hostname\":\"web\",\"ssh\":true");
	pending = hear_until(f, client, "\"state\":\"pending\"", "CODE-n1");
	assert_non_null(strstr(pending, "\"loginUrl\":\"https://coord.example/a/1\""));
	assert_non_null(strstr(pending, "\"approve\":\"coordctl nodes approve CODE\""));
	tc_approve(tc, true);
	connected = hear_until(f, client, "\"state\":\"connected\"", "\"nodeName\":\"web\"");
	assert_null(strstr(connected, "CODE"));
	assert_true(is_over(client));
	/* Who is up hears so at once. */
	begin_link(f, client, "Up", NULL);
	free(connected);
	connected = hear_until(f, client, "\"state\":\"connected\"", "\"ssh\":true");
}

static void test_up_ends_with_a_refusal(void **state)
{
	struct fixture *f = *state;
	_cleanup_(varlink_client_freep) struct varlink_client *client = connect_to(f);
	_cleanup_free_ char *text = NULL;

	if (getuid() != 0)
		skip();
	begin_link(f, client, "Up", NULL);
	free(hear_until(f, client, "\"state\":\"pending\"", ""));
	tc_approve(tc, false);
	text = hear_until(f, client, "\"state\":\"refused\"", "not you");
	assert_true(is_over(client));
}

static void test_hanging_up_undoes_nothing(void **state)
{
	struct fixture *f = *state;
	struct varlink_client *client = connect_to(f);
	struct link_view view;
	uint64_t end = clock_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;

	if (getuid() != 0)
		skip();
	begin_link(f, client, "Up", NULL);
	free(hear_until(f, client, "\"state\":\"pending\"", ""));
	varlink_client_free(client);
	tc_approve(tc, true);
	do {
		assert_true(sd_event_run(f->event, 10000) >= 0);
		link_view(f->link, &view);
	} while (strcmp(view.state, "connected") != 0 && clock_usec(CLOCK_MONOTONIC) < end);
	assert_string_equal(view.state, "connected");
}

static void expect_error(struct fixture *f, const char *method, const char *params, bool more,
			 const char *expected)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = connect_to(f);
	_cleanup_free_ char *text = NULL;

	send_call(f, client, method, params, more);
	text = hear(client);
	if (!strstr(text, expected))
		fail_msg("%s: %s; expected %s", method, text, expected);
}

static void test_what_cannot_be_done(void **state)
{
	struct fixture *f = *state;

	if (getuid() != 0)
		skip();
	expect_error(f, "Up", "{}", true, "NotPossible {\"reason\":\"no coordinator is known");
	expect_error(f, "Up", "{\"coordinator\":\"x\"}", true, "NotPossible");
	expect_error(f, "Up", "{\"tags\":7}", true, "InvalidParameter {\"parameter\":\"tags\"}");
	expect_error(f, "Up", "{}", false, "ExpectedMore");
	expect_error(f, "Logout", "{}", false, "not enrolled");
	f->link = link_free(f->link);
	expect_error(f, "Up", "{}", true, "comes from a file");
	expect_error(f, "Down", "{}", false, "comes from a file");
}

/* From a process of nobody's, in this group alone. */
static struct varlink_client *connect_with_group(struct fixture *f, gid_t gid)
{
	struct varlink_client *client;

	assert_int_equal(setgroups(0, NULL), 0);
	assert_int_equal(setegid(gid), 0);
	client = connect_as_nobody(f);
	assert_int_equal(setegid(0), 0);
	return client;
}

static void test_others_may_not(void **state)
{
	static const char *const methods[] = { "Up", "Login", "Down", "Logout", "Set" };
	struct fixture *f = *state;

	if (getuid() != 0)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		_cleanup_(varlink_client_freep) struct varlink_client *client =
			connect_with_group(f, 65534);

		send_call(f, client, methods[i], "{}", i < 2);
		expect(client, "org.varlink.service.PermissionDenied {}");
	}
}

/* The agent's group here is that of root. */
static void test_what_is_for_root(void **state)
{
	struct fixture *f = *state;
	_cleanup_(varlink_client_freep) struct varlink_client *another = NULL, *ssh = NULL,
							      *down = NULL, *up = NULL;

	if (getuid() != 0)
		skip();
	another = connect_with_group(f, 0);
	begin_link(f, another, "Up", NULL);
	expect(another, "io.peergate.Agent.OnlyRoot {}");
	come_up_link(f);
	ssh = connect_with_group(f, 0);
	send_call(f, ssh, "Set", "{\"ssh\":true}", false);
	expect(ssh, "io.peergate.Agent.OnlyRoot {}");
	down = connect_with_group(f, 0);
	send_call(f, down, "Down", "{}", false);
	expect(down, "{}");
	up = connect_with_group(f, 0);
	begin_link(f, up, "Up", NULL);
	free(hear_until(f, up, "\"state\":\"connected\"", "\"ssh\":false"));
}

static void test_down_logout_set(void **state)
{
	struct fixture *f = *state;
	_cleanup_(varlink_client_freep) struct varlink_client *client = connect_to(f);

	if (getuid() != 0)
		skip();
	come_up_link(f);
	free(ask(f, "Set", "{\"hostname\":\"other\",\"ssh\":true}"));
	expect_error(f, "Status", "{}", false, "\"hostname\":\"other\"");
	expect_error(f, "Down", "{}", false, "{}");
	expect_error(f, "Status", "{}", false, "\"state\":\"down\"");
	come_up_link(f);
	send_call(f, client, "Logout", "{}", false);
	free(hear_until(f, client, "{}", ""));
	expect_error(f, "Status", "{}", false, "\"state\":\"unenrolled\"");
}

static void test_logout_says_why_not(void **state)
{
	struct fixture *f = *state;
	_cleanup_(varlink_client_freep) struct varlink_client *client = connect_to(f);
	struct varlink_client *gone = connect_to(f);

	if (getuid() != 0)
		skip();
	come_up_link(f);
	tc->fault_status = 502;
	tc->n_faults = 1;
	send_call(f, client, "Logout", "{}", false);
	free(hear_until(f, client, "NotPossible", "as a proxy might say"));
	/* Whoever does not wait for the answer misses it. */
	tc->n_faults = 1;
	send_call(f, gone, "Logout", "{}", false);
	varlink_client_free(gone);
	for (unsigned i = 0; i < 20; i++)
		assert_true(sd_event_run(f->event, 10000) >= 0);
	expect_error(f, "Status", "{}", false, "\"nodeId\":\"n1\"");
}

static void test_login_waits_for_the_new_key(void **state)
{
	struct fixture *f = *state;
	_cleanup_(varlink_client_freep) struct varlink_client *client = connect_to(f);
	struct wg_key before;

	if (getuid() != 0)
		skip();
	come_up_link(f);
	before = *state_public_key(state_files);
	begin_link(f, client, "Login", NULL);
	free(hear_until(f, client, "\"renewing\":false", "\"state\":\"connected\""));
	assert_false(wg_key_equal(&before, state_public_key(state_files)));
	assert_true(wg_key_equal(&tc->nodes[0].key, state_public_key(state_files)));
}

static void test_subscribers_who_ask_hear_of_it(void **state)
{
	struct fixture *f = *state;
	_cleanup_(varlink_client_freep) struct varlink_client *with = connect_to(f),
							      *without = connect_to(f);

	if (getuid() != 0)
		skip();
	send_call(f, with, "Subscribe", "{\"link\":true}", true);
	send_call(f, without, "Subscribe", "{}", true);
	free(hear_until(f, with, "\"ready\"", ""));
	free(hear_until(f, without, "\"ready\"", ""));
	come_up_link(f);
	free(hear_until(f, with, "\"event\":\"link\"", "\"state\":\"connected\""));
	expect(without, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_link, teardown_link)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_up_tells_until_it_is_done),
		TEST(test_up_ends_with_a_refusal),
		TEST(test_hanging_up_undoes_nothing),
		TEST(test_what_cannot_be_done),
		TEST(test_others_may_not),
		TEST(test_what_is_for_root),
		TEST(test_down_logout_set),
		TEST(test_logout_says_why_not),
		TEST(test_login_waits_for_the_new_key),
		TEST(test_subscribers_who_ask_hear_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
