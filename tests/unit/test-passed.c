/*
 * Descriptors that nobody asked for: each test hands over a TCP connection that lingers, as its
 * only owner, and looks at how long whoever gets rid of it is held up.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/passed.h"
#include "common/varlink.h"
#include "tests/unit/lingering.h"

#define LINGER_SEC 60
#define SOON_USEC  (15 * 1000000ull)

static int teardown(void **state)
{
	lingering_end();
	return 0;
}

/* Bytes with such a descriptor, which is nobody else's any more. */
static void pass(int fd, size_t n_bytes, int flags)
{
	struct iovec iov = { (char[]){ "{}" }, n_bytes };
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr head;
	} control = { .head = { .cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS,
				.cmsg_len = CMSG_LEN(sizeof(int)) } };
	const struct msghdr mh = { .msg_iov = &iov,
				   .msg_iovlen = 1,
				   .msg_control = control.buf,
				   .msg_controllen = sizeof(control.buf) };
	int passed = lingering_open(LINGER_SEC);

	memcpy(CMSG_DATA(&control.head), &passed, sizeof(passed));
	assert_int_equal(sendmsg(fd, &mh, flags), n_bytes);
	close(passed);
}

static void make_pair(int type, int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	passed_prepare(fds[0]);
}

static void assert_soon(uint64_t since)
{
	assert_true(clock_usec(CLOCK_MONOTONIC) - since < SOON_USEC);
}

/* ---- reading ---- */

static void test_read_bytes(void **state)
{
	int fds[2];
	char buf[8];

	make_pair(SOCK_STREAM, fds);
	assert_int_equal(passed_read(fds[0], buf, sizeof(buf)), -EAGAIN);
	assert_int_equal(send(fds[1], "abc", 3, 0), 3);
	assert_int_equal(send(fds[1], "defghij", 7, 0), 7);
	assert_true(passed_read(fds[0], buf, 2) == 2 && memcmp(buf, "ab", 2) == 0);
	assert_true(passed_read(fds[0], buf, 1) == 1 && buf[0] == 'c');
	assert_true(passed_read(fds[0], buf, 8) == 7 && memcmp(buf, "defghij", 7) == 0);
	close(fds[1]);
	assert_int_equal(passed_read(fds[0], buf, sizeof(buf)), 0);
	assert_int_equal(passed_close(fds[0]), -1);
}

static void test_read_with_descriptor(void **state)
{
	for (int urgent = 0; urgent <= 1; urgent++) {
		uint64_t begin = clock_usec(CLOCK_MONOTONIC);
		char buf[8];
		int fds[2];
		ssize_t n;

		make_pair(SOCK_STREAM, fds);
		assert_int_equal(send(fds[1], "ab", 2, 0), 2);
		pass(fds[1], 1, urgent ? MSG_OOB : 0);
		assert_int_equal(send(fds[1], "cd", 2, 0), 2);
		/* Kernels differ in whether one look goes beyond one packet. */
		n = passed_read(fds[0], buf, sizeof(buf));
		if (n == 2)
			n = passed_read(fds[0], buf, sizeof(buf));
		assert_int_equal(n, -EBADMSG);
		assert_int_equal(passed_read(fds[0], buf, sizeof(buf)), -EBADMSG);
		passed_close(fds[0]);
		assert_soon(begin);
		close(fds[1]);
	}
}

/* ---- closing ---- */

static void test_close_with_descriptors(void **state)
{
	static const struct {
		const char *name;
		int type, flags;
		size_t n_before, n_bytes; /* of packets that come before, and of the one */
	} cases[] = {
		{ "stream", SOCK_STREAM, 0, 0, 1 },
		{ "stream, after others", SOCK_STREAM, 0, 2, 1 },
		{ "stream, urgent", SOCK_STREAM, MSG_OOB, 0, 1 },
		{ "packet", SOCK_SEQPACKET, 0, 0, 1 },
		{ "packet without bytes", SOCK_SEQPACKET, 0, 0, 0 },
		{ "packet without bytes, after another", SOCK_SEQPACKET, 0, 1, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t begin = clock_usec(CLOCK_MONOTONIC);
		int fds[2];

		print_message("%s\n", cases[i].name);
		make_pair(cases[i].type, fds);
		for (size_t k = 0; k < cases[i].n_before; k++)
			send(fds[1], "x", cases[i].type == SOCK_STREAM, 0);
		pass(fds[1], cases[i].n_bytes, cases[i].flags);
		errno = EXDEV;
		assert_int_equal(passed_close(fds[0]), -1);
		assert_int_equal(errno, EXDEV);
		assert_soon(begin);
		close(fds[1]);
	}
}

/* Whose caller has not been accepted yet. */
/* Children that are slow to begin have what others hold, and are the last to have it. */
static unsigned first_fork_waits_usec;
static unsigned n_forks;
static unsigned n_without_process; /* so many of the next find none */

pid_t __real__Fork(void);
pid_t __wrap__Fork(void);

pid_t __wrap__Fork(void)
{
	pid_t pid;

	n_forks++;
	if (n_without_process > 0) {
		n_without_process--;
		errno = EAGAIN;
		return -1;
	}
	pid = __real__Fork();
	if (pid == 0)
		usleep(first_fork_waits_usec);
	else
		first_fork_waits_usec = 0;
	return pid;
}

static void test_child_does_not_linger(void **state)
{
	int fds[2], lingering;
	uint64_t since;

	make_pair(SOCK_STREAM, fds);
	lingering = lingering_open(LINGER_SEC);
	/* One more is on the way in the socket. */
	pass(fds[0], 1, 0);
	first_fork_waits_usec = 300000;
	since = clock_usec(CLOCK_MONOTONIC);
	passed_drop(lingering);
	passed_close(fds[1]);
	close(fds[0]);
	assert_soon(since);
	for (int i = 0; i < 300 && waitpid(-1, NULL, WNOHANG) >= 0; i++)
		usleep(10000);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* Anybody may leave as many of those as he likes: they are no reason for a process each. */
static void test_bytes_cost_no_process(void **state)
{
	static char many[100000];

	for (size_t i = 0; i < 6; i++) {
		int fds[2];

		make_pair(i == 5 ? SOCK_SEQPACKET : SOCK_STREAM, fds);
		for (size_t k = 0; k < i && i < 4; k++)
			assert_int_equal(send(fds[1], "xyz", 3, k == 2 ? MSG_OOB : 0), 3);
		if (i == 4)
			assert_int_equal(send(fds[1], many, sizeof(many), 0), sizeof(many));
		n_forks = 0;
		passed_close(fds[0]);
		assert_int_equal(n_forks, 0);
		close(fds[1]);
	}
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* It stays open, so that nobody lingers, but not for ever. */
static void test_without_a_process(void **state)
{
	int first[2], second[2], third[2];

	make_pair(SOCK_STREAM, first);
	make_pair(SOCK_STREAM, second);
	make_pair(SOCK_STREAM, third);
	pass(first[1], 1, 0);
	pass(second[1], 1, 0);
	pass(third[1], 1, 0);
	n_without_process = 2;
	passed_close(first[0]);
	passed_close(second[0]);
	assert_true(is_open(first[0]) && is_open(second[0]));
	passed_close(third[0]);
	assert_false(is_open(first[0]) || is_open(second[0]) || is_open(third[0]));
	close(first[1]);
	close(second[1]);
	close(third[1]);
}

static void test_close_listener(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	const socklen_t len = offsetof(struct sockaddr_un, sun_path) + 20;
	uint64_t begin = clock_usec(CLOCK_MONOTONIC);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path + 1, 19, "passed-%d", getpid());
	assert_int_equal(bind(listener, (struct sockaddr *)&sun, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, len), 0);
	pass(fd, 1, 0);
	passed_close(listener);
	assert_soon(begin);
	close(fd);
}

/* ---- who is served ---- */

static const struct varlink_interface interface = { .name = "a.b",
						    .description = "interface a.b\n" };
static const struct varlink_info info = { "v", "p", "1", "u" };
static const struct varlink_limits limits = {
	.max_connections = 1,
	.max_connections_per_uid = 1,
	.max_calls_per_connection = 4,
	.max_output = 150000,
};

/* The first caller is served, the second finds no place: neither can hold the server up. */
static void test_varlink_server(void **state)
{
	_cleanup_(varlink_server_freep) struct varlink_server *server = NULL;
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	uint64_t begin = clock_usec(CLOCK_MONOTONIC);
	int fds[2], more[2];
	ssize_t n;
	char byte;

	assert_int_equal(sd_event_new(&event), 0);
	assert_int_equal(varlink_server_new(event, &info, &interface, &limits, NULL, &server), 0);
	make_pair(SOCK_STREAM, fds);
	make_pair(SOCK_STREAM, more);
	assert_int_equal(varlink_server_add_connection(server, fds[0]), 0);
	pass(fds[1], 1, 0);
	pass(more[1], 1, 0);
	assert_int_equal(varlink_server_add_connection(server, more[0]), -EUSERS);
	while (sd_event_run(event, 0) > 0)
		;
	assert_soon(begin);
	n = recv(fds[1], &byte, 1, MSG_DONTWAIT);
	assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
	close(fds[1]);
	close(more[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_bytes),
		cmocka_unit_test_teardown(test_read_with_descriptor, teardown),
		cmocka_unit_test_teardown(test_close_with_descriptors, teardown),
		cmocka_unit_test_teardown(test_child_does_not_linger, teardown),
		cmocka_unit_test(test_bytes_cost_no_process),
		cmocka_unit_test_teardown(test_without_a_process, teardown),
		cmocka_unit_test_teardown(test_close_listener, teardown),
		cmocka_unit_test_teardown(test_varlink_server, teardown),
	};

	signal(SIGCHLD, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
