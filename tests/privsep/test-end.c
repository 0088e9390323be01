/*
 * How a login ends: by the agent, the clock, a signal, the client; and what it takes for it to go
 * on while the agent is away. In the end nothing is left of it, whatever forked in it.
 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/text.h"
#include "sshgw/scope.h"
#include "tests/privsep/mute_fs.h"
#include "tests/privsep/stage.h"
#include "tests/privsep/world.h"

#define CHANNEL 7

/* ---- the right is gone ---- */

static char *text_of(struct chan_msg *msg)
{
	char *text = NULL;

	assert_int_equal(msg_text_get(msg, MSG_MAX_TEXT, &text), 0);
	chan_msg_done(msg);
	return text;
}

static void test_grace_time(void **state)
{
	const struct stage_options options = { .ceiling = "SSH=yes\nLoginGraceTime=1s\n" };
	struct stage s;
	uint64_t begin;

	stage_begin(&s, &options, true);
	begin = clock_usec(CLOCK_MONOTONIC);
	stage_ready(&s);
	stage_end(&s, "No login within the grace time");
	assert_in_range(clock_usec(CLOCK_MONOTONIC) - begin, 500000, 3000000);
}

/* Notice to the client, death to everything that the login started. */
static void expect_notice(struct stage *s, const char *notice)
{
	struct chan_msg msg = stage_expect(s->net.channel, NET_END);
	_cleanup_free_ char *text = text_of(&msg);

	if (!strstr(text, notice))
		fail_msg("\"%s\" is not in \"%s\"", notice, text);
}

static void expect_revocation(struct stage *s, const char *notice, const char *log)
{
	expect_notice(s, notice);
	stage_end_with_leader(s, log);
}

static void test_revoked(void **state)
{
	struct stage s;

	stage_reach(&s, MON_OPEN);
	stage_start_channel(&s, CHANNEL);
	stage_run_channel(&s, CHANNEL);
	stage_tell_puppet(&s.leader, PUPPET_FORK);
	stage_tell_agent(&s, "notify {\"state\":\"revoked\",\"reason\":\"policy\","
			     "\"message\":\"the policy has changed\"}");
	expect_revocation(&s, "the policy has changed", "Revoked the login of alice@example.com");
}

static void test_revoked_at_all_times(void **state)
{
	for (enum mon_state at = MON_ACCOUNT; at <= MON_OPEN; at++) {
		struct stage s;

		print_message("state %d\n", at);
		stage_reach(&s, at);
		if (at == MON_OPEN) {
			stage_start_channel(&s, CHANNEL);
			stage_run_channel(&s, CHANNEL);
		}
		stage_tell_puppet(&s.leader, PUPPET_FORK);
		stage_tell_agent(&s, "notify {\"state\":\"revoked\",\"message\":\"gone\"}");
		expect_revocation(&s, "gone", "Revoked the login");
	}
}

/* PAM moves the leader into the login's own scope; the leader has not told that yet, or just did.
 */
static void test_revoked_after_the_leader_moved(void **state)
{
	for (enum mon_state at = MON_ACCOUNT; at <= MON_OPEN; at++) {
		struct stage s;

		print_message("state %d\n", at);
		stage_reach(&s, at < MON_OPENING ? at : MON_OPENING);
		stage_tell_puppet(&s.leader, PUPPET_FORK);
		assert_int_equal(world_move(s.leader.hello.pid), 0);
		stage_tell_puppet(&s.leader, PUPPET_FORK);
		if (at == MON_OPEN) {
			stage_open(&s);
			stage_start_channel(&s, CHANNEL);
		}
		stage_tell_agent(&s, "notify {\"state\":\"revoked\",\"message\":\"gone\"}");
		expect_revocation(&s, "gone", "Revoked the login");
	}
}

/* The leader was busy with PAM when the right went: it opens the session, and closes it then. */
static void test_revoked_while_the_leader_opens(void **state)
{
	struct stage s;

	stage_reach(&s, MON_OPENING);
	stage_tell_agent(&s, "notify {\"state\":\"revoked\",\"message\":\"gone\"}");
	stage_skip(s.leader.channel, LEADER_CLOSE);
	assert_int_equal(world_move(s.leader.hello.pid), 0);
	stage_tell_puppet(&s.leader, PUPPET_FORK);
	stage_leader_opens(&s, "");
	stage_tell_puppet(&s.leader, PUPPET_EXIT);
	stage_end(&s, "Revoked the login");
}

/* What nohup left running goes on after the client has left, by the same right: until that ends. */
static void test_revoked_after_the_client_left(void **state)
{
	struct stage s;

	stage_reach(&s, MON_OPEN);
	stage_start_channel(&s, CHANNEL);
	stage_run_channel(&s, CHANNEL);
	stage_tell_puppet(&s.leader, PUPPET_FORK);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_leader_closes(&s);
	/* Longer than anything that has a time limit in the end of a login. */
	usleep(6000000);
	assert_int_equal(kill(s.monitor, 0), 0);
	stage_tell_agent(&s, "notify {\"state\":\"revoked\",\"message\":\"gone\"}");
	stage_end(&s, "Revoked the login");
}

/* The listener is told, so that it counts the connection no more; and can have an end made to it.
 */
static void test_ended_after_the_client_left(void **state)
{
	char steps[8] = "";
	struct stage s;

	stage_reach(&s, MON_OPEN);
	stage_tell_puppet(&s.leader, PUPPET_FORK);
	assert_int_equal(read(s.status, steps, sizeof(steps)), 1);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_leader_closes(&s);
	for (int i = 0; i < 100 && read(s.status, steps, sizeof(steps)) < 1; i++)
		usleep(20000);
	assert_int_equal(strlen(steps), 1);
	kill(s.monitor, SIGTERM);
	stage_end(&s, "Ending the programs that alice left running");
}

/* The client left while PAM was asked, whose modules left something running: over, not logged in.
 */
static void test_left_running_by_one_that_was_not_let_in(void **state)
{
	char steps[8] = "";
	int n = 0;
	struct stage s;

	stage_reach(&s, MON_ACCOUNT);
	stage_tell_puppet(&s.leader, PUPPET_FORK);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_leader_closes(&s);
	for (int i = 0; i < 500 && n < 2; i++) {
		ssize_t r = read(s.status, steps, sizeof(steps));

		n += r > 0 ? (int)r : 0;
		usleep(20000);
	}
	assert_int_equal(n, 2);
	kill(s.monitor, SIGTERM);
	stage_end(&s, "Ending the programs that alice left running");
}

/* Nobody holds the lease any more. (While there is a leader that sees to it: session_native.py.) */
static void test_killed_after_the_client_left(void **state)
{
	char steps[8];
	struct stage s;

	stage_reach(&s, MON_OPEN);
	stage_tell_puppet(&s.leader, PUPPET_FORK);
	assert_int_equal(read(s.status, steps, sizeof(steps)), 1);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_leader_closes(&s);
	while (read(s.status, steps, sizeof(steps)) < 1)
		usleep(20000);
	kill(s.monitor, SIGKILL);
	stage_end_killed(&s);
}

static void test_lease_runs_out(void **state)
{
	for (enum mon_state at = MON_AGREED; at <= MON_OPEN; at++) {
		_cleanup_free_ char *keep = NULL;
		struct timespec ts;
		struct stage s;

		print_message("state %d\n", at);
		stage_reach(&s, at);
		if (at == MON_OPEN) {
			stage_start_channel(&s, CHANNEL);
			stage_run_channel(&s, CHANNEL);
		}
		stage_tell_puppet(&s.leader, PUPPET_FORK);
		clock_gettime(CLOCK_REALTIME, &ts);
		keep = text_printf("notify {\"state\":\"keep\",\"validUntil\":%lld}",
				   ((long long)ts.tv_sec + 1) * 1000000);
		stage_tell_agent(&s, keep);
		expect_revocation(&s, "run out", "The lease has run out");
	}
}

/* The agent revokes it in the same moment; whoever is first, it is one end. */
static void test_lease_runs_out_and_is_revoked(void **state)
{
	_cleanup_free_ char *keep = NULL;
	struct stage s;

	stage_reach(&s, MON_OPEN);
	stage_stop_monitor(&s);
	keep = text_printf("notify {\"state\":\"keep\",\"validUntil\":%llu}",
			   (unsigned long long)clock_usec(CLOCK_REALTIME) + 100000);
	stage_tell_agent(&s, keep);
	stage_tell_agent(&s, "notify {\"state\":\"revoked\",\"reason\":\"expired\","
			     "\"message\":\"gone\"}");
	usleep(200000);
	stage_continue_monitor(&s);
	expect_notice(&s, "run out");
	stage_leader_closes(&s);
	stage_end_with_and_without(&s, "The lease has run out", "Revoked the login");
}

/* In the control group that the monitor has made for the login. */
static unsigned count_login(const struct stage *s)
{
	_cleanup_free_ char *own = NULL, *path = NULL, *procs = NULL;
	unsigned n = 0;
	size_t len;

	assert_int_equal(scope_own(&own), 0);
	path = text_printf("%s/login-%d/cgroup.procs", own, s->leader.hello.pid);
	assert_non_null(path);
	assert_int_equal(file_read(AT_FDCWD, path, 4096, &procs, &len), 0);
	for (const char *p = procs; (p = strchr(p, '\n')); p++)
		n++;
	return n;
}

/* What the leader has started since the first is for cleaning up. */
static void test_second_reason_to_kill(void **state)
{
	_cleanup_free_ char *keep = NULL;
	struct timespec ts;
	struct stage s;

	stage_reach(&s, MON_OPEN);
	stage_tell_puppet(&s.leader, PUPPET_FORK);
	assert_int_equal(count_login(&s), 2);
	clock_gettime(CLOCK_REALTIME, &ts);
	keep = text_printf("notify {\"state\":\"keep\",\"validUntil\":%lld}",
			   ((long long)ts.tv_sec + 1) * 1000000);
	stage_tell_agent(&s, keep);
	expect_notice(&s, "run out");
	for (unsigned i = 0; count_login(&s) > 1 && i < STAGE_TIMEOUT_USEC / 20000; i++)
		usleep(20000);
	stage_tell_puppet(&s.leader, PUPPET_FORK);
	assert_int_equal(count_login(&s), 2);
	stage_tell_agent(&s, "notify {\"state\":\"keep\",\"validUntil\":null}");
	stage_tell_agent(&s, "notify {\"state\":\"revoked\",\"message\":\"gone\"}");
	usleep(500000);
	assert_int_equal(count_login(&s), 2);
	stage_end_with_leader(&s, "Revoked the login");
}

/* Of a second, by the rule. */
#define LIMIT(name)                                                                        \
	",\"options\":{\"forwarding\":{\"agent\":false,\"local\":false,\"remote\":false}," \
	"\"acceptEnv\":[],\"" name "\":1000000}"

static void test_maximum_duration(void **state)
{
	struct stage s;

	stage_log_in(&s, NULL, LIMIT("maxDurationUsec"));
	stage_start_channel(&s, CHANNEL);
	stage_tell_puppet(&s.leader, PUPPET_FORK);
	expect_revocation(&s, "maximum duration", "maximum duration is over");
}

/* Timers of the monitor that are armed on this clock: proc(5), fdinfo of a timerfd. */
static unsigned count_timers(const struct stage *s, clockid_t clock)
{
	unsigned n = 0;

	for (int fd = 0; fd < 128; fd++) {
		_cleanup_free_ char *path = text_printf("/proc/%d/fdinfo/%d", s->monitor, fd);
		_cleanup_fclose_ FILE *f = fopen(path, "re");
		long long sec = 0, nsec = 0;
		int clockid = -1;
		char line[256];

		while (f && fgets(line, sizeof(line), f)) {
			(void)sscanf(line, "clockid: %d", &clockid);
			(void)sscanf(line, "it_value: (%lld, %lld)", &sec, &nsec);
		}
		n += clockid == clock && (sec > 0 || nsec > 0);
	}
	return n;
}

/* What a rule limits goes on while the host is suspended. */
static void test_clock_of_the_limits(void **state)
{
	struct stage s;

	stage_log_in(&s, NULL,
		     ",\"options\":{\"forwarding\":{\"agent\":false,\"local\":false,\"remote\":"
		     "false},\"acceptEnv\":[],\"maxDurationUsec\":3600000000,"
		     "\"idleTimeoutUsec\":3600000000}");
	stage_start_channel(&s, CHANNEL);
	assert_int_equal(count_timers(&s, CLOCK_BOOTTIME), 2);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_end_with_leader(&s, NULL);
}

/* It ends once nothing flows any more, not before, and what it left running goes on. */
static void test_idle(void **state)
{
	uint64_t begin;
	char steps[8];
	struct stage s;

	stage_log_in(&s, NULL, LIMIT("idleTimeoutUsec"));
	stage_tell_puppet(&s.leader, PUPPET_FORK);
	for (begin = clock_usec(CLOCK_MONOTONIC);
	     clock_usec(CLOCK_MONOTONIC) < begin + 3 * USEC_PER_SEC;) {
		stage_send(s.net.channel, NET_ACTIVE, NULL, NULL, 0);
		usleep(100000);
	}
	assert_int_equal(read(s.status, steps, sizeof(steps)), 1);
	stage_start_channel(&s, CHANNEL);
	expect_notice(&s, "nothing was sent or received for 1 s");
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_leader_closes(&s);
	while (read(s.status, steps, sizeof(steps)) < 1)
		usleep(20000);
	kill(s.monitor, SIGTERM);
	stage_end(&s, "idle for as long as the rule allows");
}

/* Nobody has asked for it. */
static void test_activity_without_timeout(void **state)
{
	_cleanup_free_ char *log =
		text_printf("Message 0x%x of the net process was refused", NET_ACTIVE);
	struct stage s;

	stage_reach(&s, MON_OPEN);
	stage_tell_puppet(&s.leader, PUPPET_FORK);
	stage_send(s.net.channel, NET_ACTIVE, NULL, NULL, 0);
	stage_end_with_leader(&s, log);
}

static void test_signal(void **state)
{
	struct stage s;

	stage_reach(&s, MON_OPEN);
	kill(s.monitor, SIGTERM);
	expect_revocation(&s, "this host ended the connection", NULL);
}

/* Programs are left to systemd, which asks them to end. */
static void test_shutdown(void **state)
{
	char steps[8];
	struct stage s;

	stage_reach(&s, MON_OPEN);
	stage_tell_puppet(&s.leader, PUPPET_FORK);
	assert_int_equal(read(s.status, steps, sizeof(steps)), 1);
	kill(s.monitor, MON_SIGNAL_SHUTDOWN);
	expect_notice(&s, "this host is shutting down");
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_leader_closes(&s);
	while (read(s.status, steps, sizeof(steps)) < 1)
		usleep(20000);
	/* No connection, nobody to be told; and still nothing to be killed for that. */
	kill(s.monitor, MON_SIGNAL_SHUTDOWN);
	usleep(500000);
	assert_int_equal(kill(s.monitor, 0), 0);
	kill(s.monitor, SIGTERM);
	stage_end(&s, "this host shuts down");
}

static void test_shutdown_before_the_login(void **state)
{
	struct stage s;

	stage_reach(&s, MON_KEX);
	kill(s.monitor, MON_SIGNAL_SHUTDOWN);
	expect_notice(&s, "this host is shutting down");
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_end(&s, "the host shuts down");
}

/* ---- what does not die when it is killed ---- */

static void open_mute_fs(void)
{
	_cleanup_free_ char *dir = world_path("mute");

	mute_fs_open(dir);
}

/* Return: how long it took from begin on. */
static uint64_t wait_for_hangup(struct stage *s, uint64_t begin)
{
	struct pollfd client = { .fd = s->client, .events = POLLIN };
	char said[256];

	while (poll(&client, 1, STAGE_TIMEOUT_USEC / 1000) > 0 &&
	       recv(s->client, said, sizeof(said), MSG_DONTWAIT) > 0)
		;
	return clock_usec(CLOCK_MONOTONIC) - begin;
}

/* As that of any connection: what nohup holds goes on. Whether it was noticed, or is now. */
static void test_keys_process_is_gone(void **state)
{
	for (int noticed = 0; noticed <= 1; noticed++) {
		struct chan_writer w = { 0 };
		struct stage s;
		unsigned n_fds;

		stage_reach(&s, MON_OPEN);
		stage_tell_puppet(&s.leader, PUPPET_FORK);
		n_fds = stage_monitor_fds(&s);
		if (!noticed)
			stage_stop_monitor(&s);
		kill(s.keys, SIGKILL);
		while (noticed && stage_monitor_fds(&s) == n_fds)
			usleep(1000);
		msg_sign_put(&w, &(struct msg_sign){ .digest = 5, .hash_len = 32 });
		stage_send(s.net.channel, NET_SIGN, &w, NULL, 0);
		if (!noticed)
			stage_continue_monitor(&s);
		expect_notice(&s, "cannot exchange keys");
		stage_tell_puppet(&s.net, PUPPET_EXIT);
		stage_leader_closes(&s);
		/* It is there to be killed. */
		stage_tell_agent(&s, "notify {\"state\":\"revoked\",\"message\":\"gone\"}");
		stage_end_with_and_without(&s, "Revoked the login", "does not take its messages");
	}
}

static void take_right_away(struct stage *s)
{
	stage_tell_agent(s, "notify {\"state\":\"revoked\",\"message\":\"gone\"}");
	expect_notice(s, "gone");
}

/* Programs of the login: the connection is gone in half a second all the same. */
static void test_programs_that_do_not_die(void **state)
{
	uint64_t begin, took;
	struct stage s;

	stage_reach(&s, MON_OPENING);
	open_mute_fs();
	mute_fs_hang(s.leader.hello.pid);
	assert_int_equal(world_move(s.leader.hello.pid), 0);
	mute_fs_hang(s.leader.hello.pid);
	stage_open(&s);
	stage_start_channel(&s, CHANNEL);
	begin = clock_usec(CLOCK_MONOTONIC);
	take_right_away(&s);
	took = wait_for_hangup(&s, begin);
	stage_leader_closes(&s);
	mute_fs_end();
	stage_end(&s, "Revoked the login");
	assert_in_range(took, 400000, 1900000);
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == pid;
}

/* Net: the connection is gone as well, and in the end the monitor goes on without it. */
static void test_net_that_does_not_die(void **state)
{
	uint64_t begin, took;
	struct stage s;
	bool ended;

	stage_reach(&s, MON_OPEN);
	open_mute_fs();
	stage_tell_puppet(&s.net, PUPPET_HANG);
	assert_true(send(s.net.control, mute_fs_path(), strlen(mute_fs_path()), 0) > 0);
	usleep(200000);
	begin = clock_usec(CLOCK_MONOTONIC);
	take_right_away(&s);
	took = wait_for_hangup(&s, begin);
	assert_int_equal(kill(s.net.hello.pid, 0), 0);
	stage_leader_closes(&s);
	while (!(ended = has_ended(s.monitor)) &&
	       clock_usec(CLOCK_MONOTONIC) - begin < STAGE_TIMEOUT_USEC)
		usleep(20000);
	mute_fs_end();
	stage_end(&s, "The net process does not end although it was killed");
	assert_true(ended);
	assert_in_range(took, 400000, 4000000);
}

/* ---- the agent away ---- */

static void restart_agent(struct stage *s)
{
	_cleanup_free_ char *path = stage_agent_path();

	fake_agent_stop(&s->agent);
	assert_int_equal(fake_agent_start(path, 0, &s->agent), 0);
}

static void test_agent_comes_back(void **state)
{
	_cleanup_free_ char *call = NULL;
	json_t *params;
	struct stage s;

	stage_reach(&s, MON_OPEN);
	restart_agent(&s);
	call = stage_hear_agent(&s);
	assert_int_equal(strncmp(call, "ResumeSSH ", 10), 0);
	params = json_loads(call + 10, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(params, "leaseId")), "l1");
	assert_string_equal(json_string_value(json_object_get(params, "nodeId")), "n2");
	assert_string_equal(json_string_value(json_object_get(params, "address")), AGENT_PEER);
	assert_string_equal(json_string_value(json_object_get(params, "sshUser")), "alice");
	assert_string_equal(json_string_value(json_object_get(params, "localUser")), "alice");
	/* The agent did not say since when, so nor do we. */
	assert_null(json_object_get(params, "since"));
	json_decref(params);
	stage_tell_agent(&s, "notify {\"state\":\"keep\"}");
	stage_start_channel(&s, CHANNEL);
	stage_run_channel(&s, CHANNEL);
	stage_tell_agent(&s, "notify {\"state\":\"revoked\",\"message\":\"after all\"}");
	expect_revocation(&s, "after all", "The agent is back and keeps the lease");
}

/* Who the agent has to be was known before: the account database is not asked under a lease. */
static void test_agent_comes_back_while_accounts_are_away(void **state)
{
	const struct stage_options options = { .agent_uid = STAGE_AGENT_UID };
	_cleanup_free_ char *path = stage_agent_path();
	struct stage s;

	stage_reach_with(&s, &options, NULL, MON_OPEN);
	assert_int_equal(world_set_accounts(false), 0);
	fake_agent_stop(&s.agent);
	assert_int_equal(fake_agent_start(path, STAGE_AGENT_UID, &s.agent), 0);
	free(stage_hear_agent(&s));
	assert_int_equal(world_set_accounts(true), 0);
	stage_tell_agent(&s, "notify {\"state\":\"revoked\",\"message\":\"no more\"}");
	expect_revocation(&s, "no more", "Revoked the login");
}

static void test_agent_comes_back_with_another_mind(void **state)
{
	struct stage s;

	stage_reach(&s, MON_OPEN);
	restart_agent(&s);
	free(stage_hear_agent(&s));
	/* It has no map yet: it is asked again, until it has. */
	stage_tell_agent(&s, "error io.peergate.Agent.NotReady");
	free(stage_hear_agent(&s));
	stage_tell_agent(&s, "notify {\"state\":\"revoked\",\"message\":\"no more\"}");
	expect_revocation(&s, "no more", "Revoked the login");
}

static void test_agent_stays_away(void **state)
{
	const struct stage_options options = { .ceiling = "SSH=yes\nMaxAgentAbsence=1s\n" };
	uint64_t begin;
	struct stage s;

	stage_reach_with(&s, &options, NULL, MON_OPEN);
	begin = clock_usec(CLOCK_MONOTONIC);
	fake_agent_stop(&s.agent);
	stage_start_channel(&s, CHANNEL);
	stage_run_channel(&s, CHANNEL);
	stage_tell_puppet(&s.leader, PUPPET_FORK);
	expect_revocation(&s, "away for too long", "Revoked the login");
	assert_in_range(clock_usec(CLOCK_MONOTONIC) - begin, 900000, 4000000);
}

/* ---- an agent that is there, but says nothing ---- */

#define OPTIONS                                                                            \
	",\"options\":{\"forwarding\":{\"agent\":false,\"local\":false,\"remote\":false}," \
	"\"acceptEnv\":[]}"
#define KEEP "notify {\"state\":\"keep\",\"keepIntervalUsec\":1000000}"

/* An open login under a lease whose agent promises to be heard each second. */
static void reach_open_with_promise(struct stage *s, const char *ceiling)
{
	const struct stage_options options = { .ceiling = ceiling };

	stage_begin(s, &options, true);
	stage_ready(s);
	stage_authorize(s);
	stage_agent_accepts(s, NULL,
			    OPTIONS ",\"since\":1795341600000000,"
				    "\"keepIntervalUsec\":1000000");
	stage_account(s);
	stage_agreed(s);
	stage_opening(s);
	stage_open(s);
}

static void test_agent_falls_silent(void **state)
{
	_cleanup_free_ char *call = NULL;
	uint64_t begin;
	struct stage s;

	reach_open_with_promise(&s, NULL);
	begin = clock_usec(CLOCK_MONOTONIC);
	/* Reads its sockets, but is never done with what it does. */
	call = stage_hear_agent(&s);
	assert_int_equal(strncmp(call, "ResumeSSH ", 10), 0);
	assert_non_null(strstr(call, "\"since\":1795341600000000"));
	assert_in_range(clock_usec(CLOCK_MONOTONIC) - begin, 2500000, 8000000);
	stage_tell_agent(&s, KEEP);
	stage_start_channel(&s, CHANNEL);
	stage_run_channel(&s, CHANNEL);
	/* The promise counts for the new call as well. */
	free(stage_hear_agent(&s));
	stage_tell_agent(&s, "notify {\"state\":\"revoked\",\"message\":\"after all\"}");
	expect_revocation(&s, "after all", "said nothing for 3 s");
}

static void test_agent_keeps_its_promise(void **state)
{
	struct stage s;

	reach_open_with_promise(&s, NULL);
	for (int i = 0; i < 10; i++) {
		usleep(500000);
		stage_tell_agent(&s, KEEP);
	}
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_leader_closes(&s);
	stage_end_without(&s, "said nothing");
}

/* An agent of a version that knows of no such promise. */
static void test_agent_that_promises_nothing(void **state)
{
	struct stage s;

	stage_reach(&s, MON_OPEN);
	usleep(5000000);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_leader_closes(&s);
	stage_end_without(&s, "said nothing");
}

/* The absence begins with the last word, not with our taking note of it. */
static void test_agent_hangs_for_too_long(void **state)
{
	uint64_t begin;
	struct stage s;

	reach_open_with_promise(&s, "SSH=yes\nMaxAgentAbsence=5s\n");
	begin = clock_usec(CLOCK_MONOTONIC);
	kill(s.agent.pid, SIGSTOP);
	stage_tell_puppet(&s.leader, PUPPET_FORK);
	expect_revocation(&s, "away for too long", "said nothing for 3 s");
	assert_in_range(clock_usec(CLOCK_MONOTONIC) - begin, 4000000, 7500000);
}

/* It hung for a while, and goes on: as if it had been restarted. */
static void test_agent_thaws(void **state)
{
	char call[8192] = "";
	struct stage s;

	reach_open_with_promise(&s, NULL);
	kill(s.agent.pid, SIGSTOP);
	usleep(4000000);
	kill(s.agent.pid, SIGCONT);
	while (strncmp(call, "ResumeSSH ", 10) != 0) {
		_cleanup_free_ char *heard = stage_hear_agent(&s);

		strncpy(call, heard, sizeof(call) - 1);
	}
	stage_tell_agent(&s, KEEP);
	usleep(500000);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_end_with_leader(&s, "The agent is back and keeps the lease");
}

/* A word of a later version: the lease is judged again, in words that we know. */
static void test_unknown_state(void **state)
{
	_cleanup_free_ char *call = NULL;
	struct stage s;

	stage_reach(&s, MON_OPEN);
	stage_tell_agent(&s, "notify {\"state\":\"narrowed\",\"options\":{}}");
	call = stage_hear_agent(&s);
	assert_int_equal(strncmp(call, "ResumeSSH ", 10), 0);
	stage_tell_agent(&s, "notify {\"state\":\"keep\"}");
	stage_start_channel(&s, CHANNEL);
	stage_tell_agent(&s, "notify {\"state\":\"revoked\",\"message\":\"in plain words\"}");
	expect_revocation(&s, "in plain words", "makes no sense here");
}

/* ---- the leader's time ---- */

/* PAM may need a while to close the session, also when the client simply left. */
static void test_leader_may_take_its_time(void **state)
{
	struct stage s;

	stage_reach(&s, MON_OPEN);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_skip(s.leader.channel, LEADER_CLOSE);
	stage_expect_silence(s.leader.channel, 2000000);
	stage_tell_puppet(&s.leader, PUPPET_EXIT);
	stage_end(&s, "The leader process ended with status 0");
}

static void test_leader_may_not_take_forever(void **state)
{
	uint64_t begin;
	struct stage s;

	stage_reach(&s, MON_OPEN);
	begin = clock_usec(CLOCK_MONOTONIC);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_skip(s.leader.channel, LEADER_CLOSE);
	stage_end(&s, "The session leader does not end, killing it");
	assert_in_range(clock_usec(CLOCK_MONOTONIC) - begin, 4000000, 9000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STAGE(test_grace_time),
		ON_STAGE(test_revoked),
		ON_STAGE(test_revoked_at_all_times),
		ON_STAGE(test_revoked_after_the_leader_moved),
		ON_STAGE(test_revoked_while_the_leader_opens),
		ON_STAGE(test_revoked_after_the_client_left),
		ON_STAGE(test_ended_after_the_client_left),
		ON_STAGE(test_left_running_by_one_that_was_not_let_in),
		ON_STAGE(test_killed_after_the_client_left),
		ON_STAGE(test_keys_process_is_gone),
		ON_STAGE(test_lease_runs_out),
		ON_STAGE(test_lease_runs_out_and_is_revoked),
		ON_STAGE(test_second_reason_to_kill),
		ON_STAGE(test_maximum_duration),
		ON_STAGE(test_clock_of_the_limits),
		ON_STAGE(test_idle),
		ON_STAGE(test_activity_without_timeout),
		ON_STAGE(test_signal),
		ON_STAGE(test_shutdown),
		ON_STAGE(test_shutdown_before_the_login),
		ON_STAGE(test_programs_that_do_not_die),
		ON_STAGE(test_net_that_does_not_die),
		ON_STAGE(test_agent_comes_back),
		ON_STAGE(test_agent_comes_back_while_accounts_are_away),
		ON_STAGE(test_agent_comes_back_with_another_mind),
		ON_STAGE(test_agent_stays_away),
		ON_STAGE(test_agent_falls_silent),
		ON_STAGE(test_agent_keeps_its_promise),
		ON_STAGE(test_agent_that_promises_nothing),
		ON_STAGE(test_agent_hangs_for_too_long),
		ON_STAGE(test_agent_thaws),
		ON_STAGE(test_unknown_state),
		ON_STAGE(test_leader_may_take_its_time),
		ON_STAGE(test_leader_may_not_take_forever),
	};

	if (!stage_world_is_possible())
		return 77;
	return cmocka_run_group_tests(tests, stage_world_make, stage_world_unmake);
}
