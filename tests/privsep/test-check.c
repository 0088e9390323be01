/*
 * Logins that wait until a person has confirmed them: what the client is told, which limits count,
 * and how it ends.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/text.h"
#include "tests/privsep/stage.h"

#define URL "https://coord.example/check/abc"

static unsigned status_bytes(const struct stage *s)
{
	int n = 0;

	assert_int_equal(ioctl(s->status, FIONREAD, &n), 0);
	return (unsigned)n;
}

static void await_status(const struct stage *s, unsigned n)
{
	uint64_t end = clock_usec(CLOCK_MONOTONIC) + STAGE_TIMEOUT_USEC;

	while (status_bytes(s) < n && clock_usec(CLOCK_MONOTONIC) < end)
		usleep(1000);
	assert_int_equal(status_bytes(s), n);
}

/* A check is asked for, and the client told so. */
static void begin_check(struct stage *s, const char *code)
{
	_cleanup_free_ char *order =
		text_printf("notify {\"state\":\"check\",\"check\":{\"message\":\"it needs a "
			    "\\u001b[1mcheck\",\"url\":\"" URL "\",\"code\":\"%s\"}}",
			    code);
	struct msg_check check;
	struct chan_msg msg;

	stage_tell_agent(s, order);
	msg = stage_expect(s->net.channel, NET_CHECK);
	assert_int_equal(msg_check_get(&msg, &check), 0);
	chan_msg_done(&msg);
	assert_string_equal(check.text, "Peergate: it needs a ?[1mcheck");
	assert_string_equal(check.url, URL);
	assert_string_equal(check.code, code);
	msg_check_done(&check);
}

/* MON_CHECK, with a client that waits. */
static void hold(struct stage *s, const char *ceiling)
{
	const struct stage_options options = { .ceiling = ceiling };

	stage_begin(s, &options, true);
	stage_ready(s);
	stage_authorize(s);
	begin_check(s, "123-456");
	assert_int_equal(status_bytes(s), 0);
	stage_send(s->net.channel, NET_HELD, NULL, NULL, 0);
	await_status(s, MON_STEP_HELD);
}

static void expect_refusal(struct stage *s, const char *text)
{
	struct chan_msg msg = stage_expect(s->net.channel, NET_AUTH_RESULT);
	struct msg_auth_result result;

	assert_int_equal(msg_auth_result_get(&msg, &result), 0);
	chan_msg_done(&msg);
	assert_int_equal(result.verdict, AUTH_REFUSED);
	if (!strstr(result.text, text))
		fail_msg("\"%s\" is not in \"%s\"", text, result.text);
	msg_auth_result_done(&result);
}

static void leave_refused(struct stage *s, const char *log)
{
	stage_tell_puppet(&s->net, PUPPET_EXIT);
	stage_end(s, log);
}

/* ---- passed ---- */

static void test_passed(void **state)
{
	struct stage s;

	hold(&s, NULL);
	stage_agent_accepts(&s, NULL, NULL);
	stage_account(&s);
	stage_agreed(&s);
	stage_opening(&s);
	await_status(&s, MON_STEP_HELD + MON_STEP_LOGGED_IN);
	stage_open(&s);
	stage_start_channel(&s, 7);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_end_with_leader(&s, "by rule ssh[0] after a check of ");
}

/* The person was faster than the client. */
static void test_passed_before_the_client_waits(void **state)
{
	struct stage s;

	stage_reach(&s, MON_ASKING);
	begin_check(&s, "123-456");
	stage_agent_accepts(&s, NULL, NULL);
	stage_account(&s);
	stage_send(s.net.channel, NET_HELD, NULL, NULL, 0);
	stage_agreed(&s);
	stage_opening(&s);
	await_status(&s, MON_STEP_LOGGED_IN);
	stage_open(&s);
	stage_start_channel(&s, 7);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_end_with_leader(&s, "Accepted");
}

/* ---- limits of time ---- */

/* That of others does not count while one waits, and does before and after. */
static void test_grace_time(void **state)
{
	static const char ceiling[] = "SSH=yes\nLoginGraceTime=1s\n";
	const struct stage_options options = { .ceiling = ceiling };
	struct stage s;

	hold(&s, ceiling);
	stage_expect_silence(s.net.channel, 2500000);
	stage_agent_accepts(&s, NULL, NULL);
	stage_account(&s);
	/* PAM does not come to an end. */
	stage_end_with_leader(&s, "No login within the grace time");

	stage_begin(&s, &options, true);
	stage_ready(&s);
	stage_authorize(&s);
	begin_check(&s, "123-456");
	stage_end(&s, "No login within the grace time");
}

static void test_time_out(void **state)
{
	uint64_t begin = clock_usec(CLOCK_MONOTONIC);
	struct stage s;

	hold(&s, "SSH=yes\nCheckTimeout=2s\n");
	expect_refusal(&s, "nobody confirmed the login in time");
	assert_true(clock_usec(CLOCK_MONOTONIC) - begin >= 2000000);
	leave_refused(&s, "Refused login from 100.64.0.2 as \"alice\" after a check of ");
}

/* ---- other ends ---- */

static void test_denied(void **state)
{
	struct stage s;

	hold(&s, NULL);
	stage_tell_agent(&s, "reply {\"state\":\"reject\",\"reason\":\"check-denied\","
			     "\"message\":\"it was denied\"}");
	expect_refusal(&s, "Peergate: it was denied");
	leave_refused(&s, "it was denied");
}

static void test_client_goes_away(void **state)
{
	struct stage s;

	hold(&s, NULL);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_end(&s, "The check of a login from 100.64.0.2 as \"alice\" ended with the "
		      "connection");
}

static void test_too_many(void **state)
{
	struct stage s;

	hold(&s, NULL);
	assert_int_equal(kill(s.monitor, MON_SIGNAL_NO_ROOM), 0);
	expect_refusal(&s, "too many logins wait for a check");
	leave_refused(&s, "too many logins wait");
}

/* That there is no room has crossed the answer. */
static void test_too_many_but_passed(void **state)
{
	struct stage s;

	hold(&s, NULL);
	stage_agent_accepts(&s, NULL, NULL);
	stage_account(&s);
	assert_int_equal(kill(s.monitor, MON_SIGNAL_NO_ROOM), 0);
	stage_agreed(&s);
	stage_opening(&s);
	stage_open(&s);
	stage_start_channel(&s, 7);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_end_with_leader(&s, "Accepted");
}

/* ---- the agent goes away ---- */

/* The next one is asked, and may have other words for it; the person's time goes on. */
static void test_agent_restarts(void **state)
{
	_cleanup_free_ char *path = stage_agent_path(), *call = NULL;
	struct stage s;

	hold(&s, "SSH=yes\nCheckTimeout=10s\n");
	fake_agent_stop(&s.agent);
	assert_int_equal(fake_agent_start(path, 0, &s.agent), 0);
	call = stage_hear_agent(&s);
	assert_int_equal(strncmp(call, "AuthorizeSSH ", 13), 0);
	begin_check(&s, "777-777");
	assert_int_equal(status_bytes(&s), MON_STEP_HELD);
	expect_refusal(&s, "nobody confirmed the login in time");
	leave_refused(&s, "Refused login");
}

static void test_agent_stays_away(void **state)
{
	struct stage s;

	hold(&s, NULL);
	fake_agent_stop(&s.agent);
	expect_refusal(&s, "does not answer; try again");
	leave_refused(&s, "Refused login");
}

/* ---- what makes no sense ---- */

static void test_hostile_answers(void **state)
{
	static const char *const answers[] = {
		"notify {\"state\":\"check\"}",
		"notify {\"state\":\"check\",\"check\":{\"message\":\"m\",\"code\":\"1\"}}",
		"notify {\"state\":\"check\",\"check\":{\"message\":\"m\",\"code\":\"1\","
		"\"url\":\"file:///etc/passwd\"}}",
		"notify {\"state\":\"check\",\"check\":{\"message\":\"m\",\"code\":\"1\\n\","
		"\"url\":\"" URL "\"}}",
		"notify {\"state\":\"check\",\"check\":{\"message\":\"m\",\"code\":\"1\","
		"\"url\":\"" URL "\\u001b[2J\"}}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct stage s;

		print_message("%s\n", answers[i]);
		stage_reach(&s, MON_ASKING);
		stage_tell_agent(&s, answers[i]);
		expect_refusal(&s, "not understood; try again");
		leave_refused(&s, "makes no sense");
	}
}

/* After the login, nobody is asked any more: the agent is to say it in other words. */
static void test_check_after_the_login(void **state)
{
	_cleanup_free_ char *call = NULL;
	struct stage s;

	stage_reach(&s, MON_OPEN);
	stage_tell_agent(&s, "notify {\"state\":\"check\",\"check\":{\"message\":\"m\","
			     "\"url\":\"" URL "\",\"code\":\"1\"}}");
	call = stage_hear_agent(&s);
	assert_int_equal(strncmp(call, "ResumeSSH ", 10), 0);
	stage_tell_agent(&s, "notify {\"state\":\"keep\"}");
	stage_start_channel(&s, 7);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_end_with_leader(&s, "makes no sense");
}

/* A net process that says that the client waits: only when that can be, and once. */
static void test_net_out_of_turn(void **state)
{
	struct chan_writer w = { 0 };
	struct stage s;

	stage_reach(&s, MON_ASKING);
	stage_send(s.net.channel, NET_HELD, NULL, NULL, 0);
	stage_end(&s, "sent message 0x187, which is not allowed in state asking");

	hold(&s, NULL);
	stage_send(s.net.channel, NET_HELD, NULL, NULL, 0);
	stage_end(&s, "sent message 0x187, which is not allowed in state check");

	stage_reach(&s, MON_ASKING);
	begin_check(&s, "123-456");
	chan_put_u8(&w, 1);
	stage_send(s.net.channel, NET_HELD, &w, NULL, 0);
	stage_end(&s, "Message 0x187 of the net process was refused");

	hold(&s, NULL);
	chan_put_string(&w, "bob");
	stage_send(s.net.channel, NET_AUTHORIZE, &w, NULL, 0);
	stage_end(&s, "sent message 0x182, which is not allowed in state check");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STAGE(test_passed),		ON_STAGE(test_passed_before_the_client_waits),
		ON_STAGE(test_grace_time),	ON_STAGE(test_time_out),
		ON_STAGE(test_denied),		ON_STAGE(test_client_goes_away),
		ON_STAGE(test_too_many),	ON_STAGE(test_too_many_but_passed),
		ON_STAGE(test_agent_restarts),	ON_STAGE(test_agent_stays_away),
		ON_STAGE(test_hostile_answers), ON_STAGE(test_check_after_the_login),
		ON_STAGE(test_net_out_of_turn),
	};

	if (!stage_world_is_possible())
		return 77;
	return cmocka_run_group_tests(tests, stage_world_make, stage_world_unmake);
}
