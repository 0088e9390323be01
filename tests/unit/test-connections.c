/* The listener's book of connections, told by pipes of the test's; and what the service manager is
 * told to keep. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/text.h"
#include "sshgw/listener/connections.h"
#include "sshgw/steps.h"

static struct {
	sd_event *event;
	struct connections *all;
	int manager; /* where the service manager would listen */
} f;

static struct {
	unsigned n;
	char last[256];
} logged;

static void note_line(void *userdata, int level, const char *text)
{
	logged.n++;
	snprintf(logged.last, sizeof(logged.last), "%s", text);
}

static int setup(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct ceiling ceiling;
	int len;

	log_set_sink(note_line, NULL);
	len = snprintf(sun.sun_path + 1, sizeof(sun.sun_path) - 1, "test-connections-%d", getpid());
	f.manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(f.manager, (struct sockaddr *)&sun,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) < 0)
		return -1;
	sun.sun_path[0] = '@';
	setenv("NOTIFY_SOCKET", sun.sun_path, 1);
	if (sd_event_new(&f.event) < 0 || connections_new(f.event, &f.all) < 0)
		return -1;
	ceiling_default(&ceiling);
	ceiling.max_connections = 5;
	ceiling.max_connections_per_peer = 3;
	ceiling.max_unauthenticated = 4;
	ceiling.max_unauthenticated_per_peer = 2;
	ceiling.max_held = 3;
	ceiling.max_held_per_peer = 2;
	ceiling.max_left_running = 3;
	ceiling.max_left_running_per_peer = 2;
	ceiling.penalty_after = 3;
	ceiling.penalty_usec = 20000000;
	connections_set_limits(f.all, &ceiling);
	return 0;
}

static int teardown(void **state)
{
	f.all = connections_free(f.all);
	f.event = sd_event_unref(f.event);
	f.manager = close_fd(f.manager);
	return 0;
}

static void pump(void)
{
	while (sd_event_run(f.event, 0) > 0)
		;
}

static void expect_count(size_t live, size_t unauthenticated, size_t left)
{
	struct connections_count n;

	pump();
	n = connections_count(f.all);
	assert_int_equal(n.live, live);
	assert_int_equal(n.unauthenticated, unauthenticated);
	assert_int_equal(n.left, left);
}

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_int_equal(ip_addr_parse(text, &a), 0);
	return a;
}

/* Return: the monitor's end. */
static int add(const char *peer, pid_t monitor)
{
	struct ip_addr a = addr(peer);
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	assert_true(connections_admit(f.all, &a));
	assert_int_equal(connections_add(f.all, &a, monitor, ends[0]), 0);
	return ends[1];
}

static void step(int monitor)
{
	assert_int_equal(write(monitor, "+", 1), 1);
}

/* Return: the descriptor that the manager was given, and under which name (the caller's). */
static int stored(char **ret_name)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} space;
	char text[256] = "";
	struct iovec iov = { text, sizeof(text) - 1 };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = space.buf,
			     .msg_controllen = sizeof(space.buf) };
	int fd;

	assert_true(recvmsg(f.manager, &mh, MSG_CMSG_CLOEXEC) > 0);
	assert_int_equal(strncmp(text, "FDSTORE=1\nFDNAME=", 17), 0);
	assert_non_null(CMSG_FIRSTHDR(&mh));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&mh)), sizeof(fd));
	*ret_name = strdup(text + 17);
	return fd;
}

static void test_stages(void **state)
{
	int one = add("100.64.0.2", 4711), two = add("fd00::2", 4712);

	expect_count(2, 2, 0);
	step(one);
	expect_count(2, 1, 0);
	step(one);
	expect_count(1, 1, 1);
	close(one);
	expect_count(1, 1, 0);
	close(two);
	expect_count(0, 0, 0);
}

/* Both bytes may be there before the first is seen, and the end as well. */
static void test_in_one_go(void **state)
{
	int one = add("100.64.0.2", 4711), two = add("100.64.0.2", 4712);

	step(one);
	step(one);
	step(two);
	step(two);
	close(two);
	expect_count(0, 0, 1);
	close(one);
	expect_count(0, 0, 0);
}

static void hold(int monitor)
{
	assert_int_equal(write(monitor, "+++", 3), 3);
}

static void expect_held(size_t live, size_t unauthenticated, size_t held)
{
	struct connections_count n;

	pump();
	n = connections_count(f.all);
	assert_int_equal(n.live, live);
	assert_int_equal(n.unauthenticated, unauthenticated);
	assert_int_equal(n.held, held);
}

/* Who waits for a check does not stand in the way of others who log in. */
static void test_held(void **state)
{
	int one = add("100.64.0.2", 4711), two = add("100.64.0.2", 4712), three;

	hold(one);
	hold(two);
	expect_held(2, 0, 2);
	three = add("100.64.0.2", 4713);
	expect_held(3, 1, 2);
	step(one);
	expect_held(3, 1, 1);
	step(one);
	expect_count(2, 1, 1);
	/* Turned away. */
	close(two);
	expect_held(1, 1, 0);
	/* All at once. */
	hold(three);
	step(three);
	step(three);
	expect_count(0, 0, 2);
	close(one);
	close(three);
	expect_count(0, 0, 0);
}

static void test_too_many_held(void **state)
{
	siginfo_t info = { 0 };
	int fds[3];
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = add("100.64.0.2", i < 2 ? INT32_MAX : pid);
		hold(fds[i]);
		pump();
	}
	for (int i = 0; i < 200 && info.si_pid == 0; i++) {
		usleep(100000);
		assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG), 0);
	}
	kill(pid, SIGKILL);
	assert_int_equal(info.si_pid, pid);
	assert_int_equal(info.si_status, MON_SIGNAL_NO_ROOM);
	assert_string_equal(logged.last, "Refusing a login that waits for a check, from "
					 "100.64.0.2: it has 2 of MaxHeldLoginsPerPeer= already");
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	expect_held(0, 0, 0);
}

static void test_limits(void **state)
{
	struct ip_addr a = addr("100.64.0.2"), b = addr("100.64.0.3");
	int fds[4];

	fds[0] = add("100.64.0.2", 4711);
	fds[1] = add("100.64.0.2", 4712);
	assert_false(connections_admit(f.all, &a));
	step(fds[0]);
	step(fds[1]);
	pump();
	fds[2] = add("100.64.0.2", 4713);
	step(fds[2]);
	pump();
	/* Logged in or not: three. */
	assert_false(connections_admit(f.all, &a));
	assert_true(connections_admit(f.all, &b));
	/* One that is over makes room, though it left something running. */
	step(fds[2]);
	pump();
	fds[3] = add("100.64.0.2", 4714);
	expect_count(3, 1, 1);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	expect_count(0, 0, 0);
}

/* Nobody is locked out by what he left running; but of that, too, there is only so much. */
static void test_left_running(void **state)
{
	struct ip_addr a = addr("100.64.0.2");
	siginfo_t info = { 0 };
	int fds[3];
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = add("100.64.0.2", i < 2 ? INT32_MAX : pid);
		step(fds[i]);
		step(fds[i]);
		pump();
		assert_true(connections_admit(f.all, &a));
	}
	/* The third has to end what it left. */
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED), 0);
	assert_int_equal(info.si_status, SIGTERM);
	expect_count(0, 0, 2);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	expect_count(0, 0, 0);
}

/* Return: the monitor, which ends by a signal. */
static pid_t start_monitor(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		/* Not to outlive a test that fails. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	assert_true(pid > 0);
	return pid;
}

static void expect_ended(pid_t pid)
{
	siginfo_t info = { 0 };

	for (int i = 0; i < 2000 && info.si_pid == 0; i++) {
		usleep(10000);
		assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG), 0);
	}
	assert_int_equal(info.si_pid, pid);
	assert_int_equal(info.si_status, SIGTERM);
}

static void expect_running(pid_t pid)
{
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/*
 * A peer that has left as much as it may, on each of its addresses, has its own ended when there is
 * no room: neither what another leaves then, nor the same connection twice.
 */
static void test_left_running_by_one_who_leaves_most(void **state)
{
	static const char *const peers[] = { "100.64.0.2", "100.64.0.2", "fd7a:115c:a1e0::2",
					     "100.64.0.3", "100.64.0.4" };
	pid_t pids[ARRAY_SIZE(peers)];
	int fds[ARRAY_SIZE(peers)];

	for (size_t i = 0; i < ARRAY_SIZE(peers); i++) {
		pids[i] = start_monitor();
		fds[i] = add(peers[i], pids[i]);
		step(fds[i]);
		step(fds[i]);
		pump();
		if (i == 3)
			assert_string_equal(logged.last,
					    "Ending what was left running by a connection from "
					    "100.64.0.2: there are 3 of MaxLeftRunning= already");
	}
	expect_ended(pids[1]);
	/* Of all that were left, nobody had more than the last one. */
	expect_ended(pids[4]);
	expect_count(0, 0, 3);
	usleep(100000);
	expect_running(pids[0]);
	expect_running(pids[2]);
	expect_running(pids[3]);
	/* One by one: sd-event 252 loses edges if there are as many events as it has sources. */
	for (size_t i = 0; i < ARRAY_SIZE(peers); i++) {
		close(fds[i]);
		pump();
	}
	expect_count(0, 0, 0);
}

/* The monitor ends while its bytes are read: its number may be another's by now. */
static int closes_when_read = -1;

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, void *argument);

int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
	int r = __real_ioctl(fd, request, argument);

	closes_when_read = close_fd(closes_when_read);
	return r;
}

static void test_left_running_and_gone(void **state)
{
	int one = add("100.64.0.2", INT32_MAX), two = add("100.64.0.2", INT32_MAX), three;
	pid_t stranger = fork();

	if (stranger == 0) {
		pause();
		_exit(0);
	}
	for (int i = 0; i < 2; i++) {
		step(one);
		step(two);
	}
	pump();
	three = add("100.64.0.2", stranger);
	step(three);
	step(three);
	closes_when_read = three;
	pump();
	assert_int_equal(closes_when_read, -1);
	usleep(100000);
	assert_int_equal(waitpid(stranger, NULL, WNOHANG), 0);
	kill(stranger, SIGKILL);
	waitpid(stranger, NULL, 0);
	close(one);
	close(two);
	expect_count(0, 0, 0);
}

/* One that ends: the end of its pipe and its status come in either order. */
static void end(int monitor, pid_t pid, bool pipe_first, bool misbehaved)
{
	if (!pipe_first)
		connections_monitor_exited(f.all, pid, misbehaved);
	close(monitor);
	pump();
	if (pipe_first)
		connections_monitor_exited(f.all, pid, misbehaved);
}

static void test_penalties(void **state)
{
	struct ip_addr bad = addr("100.64.0.2"), good = addr("100.64.0.3");

	/* Who behaves is none of them. (More would fill the socket of the manager, whom nobody
	 * reads.) */
	for (int i = 0; i < 4; i++)
		end(add("100.64.0.3", 4711), 4711, i & 1, false);
	end(add("100.64.0.2", 4712), 4712, true, true);
	end(add("100.64.0.2", 4713), 4713, false, true);
	/* Not one of ours. */
	connections_monitor_exited(f.all, 4713, true);
	assert_int_equal(connections_penalty(f.all, &bad), 0);
	logged.n = 0;
	end(add("100.64.0.2", 4714), 4714, true, true);
	assert_int_equal(logged.n, 1);
	assert_string_equal(logged.last,
			    "Refusing connections from 100.64.0.2 for 20 s: 3 of them broke the "
			    "protocol or never logged in, within a minute (PenaltyAfter=)");
	expect_count(0, 0, 0);
	assert_int_equal(connections_penalty(f.all, &good), 0);
	assert_in_range(connections_penalty(f.all, &bad), 10000000, 20000000);
	assert_non_null(strstr(logged.last, "Closed a connection from 100.64.0.2: its "
					    "connections misbehaved, for "));
	/* Once a second is enough. */
	for (int i = 0; i < 100; i++)
		assert_true(connections_penalty(f.all, &bad) > 0);
	assert_true(logged.n <= 12);
}

/* No monitor was started for it; it counts all the same, with the others. */
static void test_reset_at_once(void **state)
{
	struct ip_addr bad = addr("100.64.0.2"), good = addr("100.64.0.3");

	logged.n = 0;
	connections_reset(f.all, &bad);
	assert_int_equal(logged.n, 1);
	assert_string_equal(logged.last,
			    "Closed a connection from 100.64.0.2: it was reset at once");
	connections_reset(f.all, &good);
	end(add("100.64.0.2", 4712), 4712, true, true);
	assert_int_equal(connections_penalty(f.all, &bad), 0);
	connections_reset(f.all, &bad);
	assert_non_null(strstr(logged.last, "Refusing connections from 100.64.0.2 for 20 s"));
	expect_count(0, 0, 0);
	assert_in_range(connections_penalty(f.all, &bad), 10000000, 20000000);
	assert_int_equal(connections_penalty(f.all, &good), 0);
	/* Told once a second at most. */
	logged.n = 0;
	for (int i = 0; i < 100; i++)
		connections_reset(f.all, &good);
	assert_in_range(logged.n, 1, 12);
}

/* What the manager keeps tells the next listener the same. */
static void test_next_listener(void **state)
{
	static const char *const peers[] = { "100.64.0.2", "fd7a:115c:a1e0::2", "100.64.0.3" };
	int monitors[3], kept[3];
	char *names[3];
	struct ceiling ceiling;
	struct ip_addr a = addr("fd7a:115c:a1e0::2");

	for (int i = 0; i < 3; i++) {
		monitors[i] = add(peers[i], 4711 + i);
		kept[i] = stored(&names[i]);
		assert_null(strchr(names[i], ':'));
		/* New, logged in, left. */
		for (int n = 0; n < i; n++)
			step(monitors[i]);
	}
	expect_count(2, 1, 1);
	connections_free(f.all);
	assert_int_equal(connections_new(f.event, &f.all), 0);
	ceiling_default(&ceiling);
	ceiling.max_connections_per_peer = 1;
	connections_set_limits(f.all, &ceiling);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(connections_adopt(f.all, names[i], kept[i]), 0);
		free(names[i]);
	}
	expect_count(2, 1, 1);
	assert_false(connections_admit(f.all, &a));
	step(monitors[0]);
	expect_count(2, 0, 1);
	close(monitors[1]);
	expect_count(1, 0, 1);
	assert_true(connections_admit(f.all, &a));
	close(monitors[0]);
	close(monitors[2]);
	expect_count(0, 0, 0);
}

/* The limit was lowered, and the listener restarted: what runs by an earlier one is left alone. */
static void test_next_listener_with_a_lower_limit(void **state)
{
	struct ceiling ceiling;
	int ends[2];
	pid_t pid = fork();
	_cleanup_free_ char *name = NULL;

	if (pid == 0) {
		pause();
		_exit(0);
	}
	name = text_printf("%d/100.64.0.2", pid);
	ceiling_default(&ceiling);
	ceiling.max_left_running = 0;
	connections_set_limits(f.all, &ceiling);
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	step(ends[1]);
	step(ends[1]);
	assert_int_equal(connections_adopt(f.all, name, ends[0]), 0);
	expect_count(0, 0, 1);
	usleep(100000);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(ends[1]);
	expect_count(0, 0, 0);
}

/* One that ended while no listener was there. */
static void test_ended_meanwhile(void **state)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	step(ends[1]);
	close(ends[1]);
	assert_int_equal(connections_adopt(f.all, "4711/100.64.0.2", ends[0]), 0);
	expect_count(0, 0, 0);
}

static void test_names_that_are_not_ours(void **state)
{
	static const char *const names[] = {
		"",
		"stored",
		"4711",
		"/100.64.0.2",
		"4711/",
		"4711/100.64.0.2/24",
		"0/100.64.0.2",
		"1/100.64.0.2",
		"-1/100.64.0.2",
		"x/100.64.0.2",
		"4711/laptop",
		"4711/fd00-2",
		"99999999999/100.64.0.2",
		"peergate-sshgw.socket",
	};
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(connections_adopt(f.all, names[i], ends[0]), -EINVAL);
	close(ends[0]);
	close(ends[1]);
	expect_count(0, 0, 0);
}

/* Who is turned away a thousand times is told of some times. */
static void test_knocking(void **state)
{
	int one = add("100.64.0.2", 4711), two = add("100.64.0.2", 4712);
	struct ip_addr a = addr("100.64.0.2");

	logged.n = 0;
	assert_false(connections_admit(f.all, &a));
	assert_string_equal(logged.last, "Closed a connection from 100.64.0.2: it has 2 of "
					 "MaxUnauthenticatedPerPeer= already");
	for (unsigned i = 0; i < 1000; i++)
		assert_false(connections_admit(f.all, &a));
	assert_in_range(logged.n, 1, 20);
	close(one);
	close(two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_knocking, setup, teardown),
		cmocka_unit_test_setup_teardown(test_in_one_go, setup, teardown),
		cmocka_unit_test_setup_teardown(test_held, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_held, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_left_running, setup, teardown),
		cmocka_unit_test_setup_teardown(test_left_running_by_one_who_leaves_most, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_penalties, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_left_running_and_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_next_listener, setup, teardown),
		cmocka_unit_test_setup_teardown(test_next_listener_with_a_lower_limit, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_ended_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_that_are_not_ours, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
