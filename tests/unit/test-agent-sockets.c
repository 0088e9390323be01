/*
 * The agent's two sockets while a crowd of another user's keeps the public one's queue full. Needs
 * root.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/listen.h"
#include "common/listen.h"
#include "common/text.h"
#include "common/varlink.h"

#define OTHERS	    65534
#define N_CROWD	    4
#define N_HELD	    50 /* connections that one of them has at a time */
#define BACKLOG	    16
#define PATIENCE    UINT64_C(60000000) /* microseconds */
#define SKIP	    77
#define SD_FIRST_FD 3

struct fixture {
	char dir[32];
	char *all, *root;
	pid_t server, crowd[N_CROWD];
};

/* ---- the server, and the crowd ---- */

static int answer(struct varlink_call *call, const json_t *params, void *userdata)
{
	return varlink_call_reply(call, NULL);
}

static const struct varlink_method methods[] = { { "Ask", answer, false } };
static const struct varlink_interface interface = {
	.name = "a.b",
	.description = "interface a.b\n",
	.methods = methods,
	.n_methods = 1,
};
static const struct varlink_info info = { "v", "p", "1", "u" };
static const struct varlink_limits limits = {
	.max_connections = 256,
	.max_connections_per_uid = 32,
	.max_calls_per_connection = 4,
	.max_output = 150000,
};

static _Noreturn void serve(struct listen_sockets sockets)
{
	struct varlink_server *server;
	sd_event *event;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	if (sd_event_new(&event) < 0 ||
	    varlink_server_new(event, &info, &interface, &limits, NULL, &server) < 0 ||
	    varlink_server_listen(server, sockets.all) < 0 ||
	    varlink_server_listen_root(server, sockets.root) < 0)
		_exit(1);
	_exit(sd_event_loop(event) < 0);
}

/* A connected socket, or negative errno. */
static int connect_to(const char *path, int flags)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0), r;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (fd < 0)
		return -errno;
	r = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : fd;
	if (r < 0)
		close(fd);
	return r;
}

/* One of the crowd: connects, says something, hangs up, over and over. */
static _Noreturn void crowd(const char *path)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (setgid(OTHERS) < 0 || setuid(OTHERS) < 0)
		_exit(1);
	for (;;) {
		int fds[N_HELD];

		for (size_t i = 0; i < N_HELD; i++) {
			fds[i] = connect_to(path, 0);
			(void)send(fds[i], "x", 1, MSG_NOSIGNAL);
		}
		for (size_t i = 0; i < N_HELD; i++)
			close(fds[i]);
	}
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/test-sockets-XXXXXX");
	if (!mkdtemp(f->dir) || chmod(f->dir, 0755) < 0)
		return -1;
	f->all = text_printf("%s/agent.sock", f->dir);
	f->root = text_printf("%s/agent-root.sock", f->dir);
	*state = f;
	return 0;
}

static void end(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < N_CROWD; i++)
		end(f->crowd[i]);
	end(f->server);
	unlink(f->all);
	unlink(f->root);
	rmdir(f->dir);
	free(f->all);
	free(f->root);
	free(f);
	return 0;
}

static void open_sockets(const struct fixture *f, struct listen_sockets *ret_sockets)
{
	char *error = NULL;

	if (listen_open(f->dir, &error, ret_sockets) < 0)
		fail_msg("%s", error);
}

static void start_server(struct fixture *f)
{
	struct listen_sockets sockets;

	open_sockets(f, &sockets);
	/* A queue that fills up soon. */
	assert_int_equal(listen(sockets.all, BACKLOG), 0);
	f->server = fork();
	if (f->server == 0)
		serve(sockets);
	assert_true(f->server > 0);
	listen_sockets_done(&sockets);
}

static void start_crowd(struct fixture *f)
{
	for (size_t i = 0; i < N_CROWD; i++) {
		f->crowd[i] = fork();
		if (f->crowd[i] == 0)
			crowd(f->all);
		assert_true(f->crowd[i] > 0);
	}
}

static int ask(const char *path, uint64_t timeout_usec)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
	_cleanup_(varlink_reply_done) struct varlink_reply reply = { 0 };
	int r = varlink_client_connect(path, timeout_usec, &client);

	return r < 0 ? r : varlink_client_call(client, "a.b.Ask", NULL, PATIENCE, &reply);
}

/* ---- tests ---- */

static void test_modes(void **state)
{
	struct fixture *f = *state;
	struct listen_sockets sockets;
	struct stat st;

	open_sockets(f, &sockets);
	assert_int_equal(stat(f->all, &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0666);
	assert_int_equal(stat(f->root, &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0600);
	listen_sockets_done(&sockets);
}

/* Root is answered at its own socket at once, whatever goes on at the other. */
static void test_root_has_its_own(void **state)
{
	struct fixture *f = *state;
	unsigned n_full = 0;

	start_server(f);
	start_crowd(f);
	for (unsigned i = 0; i < 100 || (n_full < 10 && i < 10000); i++) {
		int fd = connect_to(f->all, SOCK_NONBLOCK);

		n_full += fd == -EAGAIN;
		if (fd >= 0)
			close(fd);
		assert_int_equal(ask(f->root, 0), 0);
	}
	print_message("the public queue was full %u times\n", n_full);
	assert_true(n_full >= 10);
}

/* Nor is the public one closed to those who wait in line. */
static void test_waiting_in_line(void **state)
{
	struct fixture *f = *state;

	start_server(f);
	start_crowd(f);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(ask(f->all, PATIENCE), 0);
	/* Nobody is served, and whoever cannot wait for ever gets to know. */
	kill(f->server, SIGSTOP);
	while (connect_to(f->all, SOCK_NONBLOCK) != -EAGAIN)
		;
	assert_int_equal(ask(f->all, 100000), -EAGAIN);
}

/* What a user other than root finds at root's socket. */
static int knock_as_other(const char *path)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (setgid(OTHERS) < 0 || setuid(OTHERS) < 0)
			_exit(255);
		_exit(-ask(path, 0));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void test_nobody_else(void **state)
{
	struct fixture *f = *state;

	start_server(f);
	assert_int_equal(knock_as_other(f->all), 0);
	assert_int_equal(knock_as_other(f->root), -EACCES);
	/* Not even whom it belongs to. */
	assert_int_equal(chown(f->root, OTHERS, OTHERS), 0);
	assert_int_equal(knock_as_other(f->root), -ECONNRESET);
	assert_int_equal(ask(f->root, 0), 0);
}

/* ---- from systemd ---- */

static int listen_at(const char *path)
{
	char *error = NULL;
	int fd;

	if (listen_unix(path, 0600, &error, &fd) < 0)
		fail_msg("%s", error);
	return fd;
}

/* Where a descriptor is bound to. */
static bool is_at(int fd, const char *path)
{
	struct sockaddr_un addr = { 0 };
	socklen_t len = sizeof(addr);

	return getsockname(fd, (struct sockaddr *)&addr, &len) == 0 &&
	       strcmp(addr.sun_path, path) == 0;
}

/* In a child, which has these descriptors as systemd passes them. Return: what went wrong; 0. */
static int take(const struct fixture *f, const int *fds, size_t n, const char *all_path)
{
	_cleanup_free_ char *pid = text_printf("%d", getpid()), *number = text_printf("%zu", n);
	struct listen_sockets sockets;
	char *error = NULL;

	for (size_t i = 0; i < n; i++)
		if (dup2(fds[i], SD_FIRST_FD + (int)i) < 0)
			return 1;
	if (n > 0) {
		setenv("LISTEN_PID", pid, 1);
		setenv("LISTEN_FDS", number, 1);
	}
	if (listen_open(f->dir, &error, &sockets) < 0)
		return strstr(error, "LISTEN_FDS") ? 2 : 3;
	return is_at(sockets.all, all_path) && is_at(sockets.root, f->root) ? 0 : 4;
}

static int take_in_child(const struct fixture *f, const int *fds, size_t n, const char *all_path)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(take(f, fds, n, all_path));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_passed(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *elsewhere = text_printf("%s/elsewhere", f->dir);
	int other = listen_at(elsewhere), root, fds[2], connected[2];

	assert_int_equal(take_in_child(f, NULL, 0, f->all), 0);
	assert_int_equal(take_in_child(f, &other, 1, elsewhere), 0);
	root = listen_at(f->root);
	/* As high as nothing that is put in their place. */
	fds[0] = fcntl(root, F_DUPFD_CLOEXEC, 100);
	fds[1] = fcntl(other, F_DUPFD_CLOEXEC, 100);
	assert_int_equal(take_in_child(f, fds, 2, elsewhere), 0);
	assert_int_equal(take_in_child(f, fds, 1, f->all), 0);
	fds[0] = fds[1];
	assert_int_equal(take_in_child(f, fds, 2, elsewhere), 2);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, connected), 0);
	assert_int_equal(take_in_child(f, connected, 1, elsewhere), 2);
	unlink(elsewhere);
}

#define SOCKETS_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SOCKETS_TEST(test_modes),	    SOCKETS_TEST(test_root_has_its_own),
		SOCKETS_TEST(test_waiting_in_line), SOCKETS_TEST(test_nobody_else),
		SOCKETS_TEST(test_passed),
	};

	if (getuid() != 0)
		return SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
