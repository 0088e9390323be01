/*
 * The keys process: what it tells a monitor, what it signs, that it notices new keys, and when it
 * ends. In an /etc/ssh of its own that is empty, so that the gateway's own key is used and made.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base64.h"
#include "common/chan.h"
#include "common/file.h"
#include "common/log.h"
#include "common/text.h"
#include "sshgw/keys/keys.h"
#include "sshgw/msg.h"

#define WAIT_USEC 10000000ull

struct fixture {
	char dir[64], public[80];
	int control;
	pid_t pid;
};

static void discard_log(void *userdata, int level, const char *text)
{
}

static struct keys_config config_of(const struct fixture *f, int control_fd)
{
	return (struct keys_config){ .control_fd = control_fd,
				     .hostkey_dir = f->dir,
				     .public_path = f->public };
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int pair[2];

	*state = f;
	strcpy(f->dir, "/tmp/test-keys-XXXXXX");
	if (!mkdtemp(f->dir) || chan_pair(pair) < 0)
		return -1;
	snprintf(f->public, sizeof(f->public), "%s/public", f->dir);
	fflush(NULL);
	f->pid = fork();
	if (f->pid == 0) {
		const struct keys_config config = config_of(f, 3);
		int r;

		log_set_sink(discard_log, NULL);
		dup2(pair[1], 3);
		close_range(4, ~0u, 0);
		r = keys_run(&config);
		free(f);
		exit(r < 0);
	}
	close_fd(pair[1]);
	f->control = pair[0];
	return f->pid > 0 ? 0 : -1;
}

/* Return: its exit status; -1: it was still there, or killed. */
static int end(struct fixture *f)
{
	int status = -1;

	for (int i = 0; i < 1000 && waitpid(f->pid, &status, WNOHANG) == 0; i++)
		usleep(10000);
	f->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *command = text_printf("rm -rf %s", f->dir);
	int r = system(command);

	close_fd(f->control);
	if (f->pid > 0)
		r |= end(f);
	free(f);
	return r;
}

/* A monitor's end of a channel, and the one public key that it is told of. */
static int become_client(struct fixture *f, struct msg_host_keys *ret_public)
{
	struct chan_msg msg = { 0 };
	int pair[2];

	assert_int_equal(chan_pair(pair), 0);
	assert_int_equal(chan_send(f->control, KEYS_SERVE, NULL, &pair[1], 1), 0);
	close_fd(pair[1]);
	assert_int_equal(chan_receive_wait(pair[0], WAIT_USEC, &msg), 0);
	assert_int_equal(msg.type, KEYS_PUBLIC);
	assert_int_equal(msg_host_keys_get(&msg, ret_public), 0);
	assert_int_equal(ret_public->n, 1);
	chan_msg_done(&msg);
	return pair[0];
}

/* Return: bytes of the signature, 0 when it was refused. */
static size_t ask(int fd, uint32_t type, const struct msg_sign *request)
{
	struct chan_writer w = { 0 };
	struct chan_msg msg = { 0 };
	struct chan_reader r;
	size_t len;

	msg_sign_put(&w, request);
	assert_int_equal(chan_send(fd, type, &w, NULL, 0), 0);
	chan_writer_done(&w);
	assert_int_equal(chan_receive_wait(fd, WAIT_USEC, &msg), 0);
	assert_int_equal(msg.type, KEYS_SIGNED);
	r = chan_msg_reader(&msg);
	chan_get_bytes(&r, MSG_MAX_BLOB, &len);
	assert_int_equal(chan_reader_end(&r), 0);
	chan_msg_done(&msg);
	return len;
}

static size_t sign(int fd, const struct msg_sign *request)
{
	return ask(fd, KEYS_SIGN, request);
}

static const struct msg_sign good = { .hash_len = 32 };

static void test_signs_what_a_gateway_needs_and_nothing_else(void **state)
{
	static const struct msg_sign bad[] = {
		{ .key = 1, .hash_len = 32 },
		{ .digest = 1, .hash_len = 32 },
		{ .hash_len = 31 },
		{ .hash_len = 64 },
	};
	struct msg_host_keys public;
	int fd = become_client(*state, &public);

	assert_int_equal(sign(fd, &good), 4 + 11 + 4 + 64); /* "ssh-ed25519", signature */
	assert_int_equal(ask(fd, KEYS_PROVE, &good), 4 + 11 + 4 + 64);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(sign(fd, &bad[i]), 0);
		assert_int_equal(ask(fd, KEYS_PROVE, &bad[i]), 0);
	}
	assert_true(sign(fd, &good) > 0);
	msg_host_keys_done(&public);
	close_fd(fd);
}

/* Want of descriptors is no word of the listener: the next connection is served again. */
static void test_without_descriptors(void **state)
{
	struct fixture *f = *state;
	struct rlimit usual, none;
	struct msg_host_keys public;
	struct chan_msg msg = { 0 };
	int pair[2], fd;

	fd = become_client(f, &public);
	msg_host_keys_done(&public);
	assert_int_equal(prlimit(f->pid, RLIMIT_NOFILE, NULL, &usual), 0);
	none = usual;
	none.rlim_cur = 0;
	assert_int_equal(prlimit(f->pid, RLIMIT_NOFILE, &none, NULL), 0);
	assert_int_equal(chan_pair(pair), 0);
	assert_int_equal(chan_send(f->control, KEYS_SERVE, NULL, &pair[1], 1), 0);
	close_fd(pair[1]);
	assert_int_equal(chan_receive_wait(pair[0], WAIT_USEC, &msg), -ECONNRESET);
	close_fd(pair[0]);
	assert_int_equal(prlimit(f->pid, RLIMIT_NOFILE, &usual, NULL), 0);
	assert_true(sign(fd, &good) > 0);
	close_fd(fd);
	fd = become_client(f, &public);
	assert_true(sign(fd, &good) > 0);
	msg_host_keys_done(&public);
	close_fd(fd);
}

static bool same_key(const struct msg_host_keys *a, const struct msg_host_keys *b)
{
	return a->keys[0].len == b->keys[0].len &&
	       memcmp(a->keys[0].data, b->keys[0].data, a->keys[0].len) == 0;
}

/* Who was told of the old key goes on with it. */
static void test_new_key_is_for_new_connections(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *path = text_printf("%s/ssh_host_ed25519_key", f->dir);
	struct msg_host_keys public[3];
	int fds[3];

	fds[0] = become_client(f, &public[0]);
	fds[1] = become_client(f, &public[1]);
	assert_int_equal(unlink(path), 0);
	fds[2] = become_client(f, &public[2]);
	assert_true(same_key(&public[0], &public[1]));
	assert_false(same_key(&public[0], &public[2]));
	for (int i = 0; i < 3; i++) {
		assert_true(sign(fds[i], &good) > 0);
		msg_host_keys_done(&public[i]);
		close_fd(fds[i]);
	}
}

static void test_whoever_breaks_the_protocol_is_dropped(void **state)
{
	static const uint32_t types[] = { KEYS_SERVE, KEYS_PUBLIC, NET_SIGN, 0 };
	struct msg_host_keys public;

	for (size_t i = 0; i < ARRAY_SIZE(types) + 1; i++) {
		int fd = become_client(*state, &public);
		struct chan_msg msg = { 0 };

		/* At last, a request without content. */
		assert_int_equal(
			chan_send(fd, i < ARRAY_SIZE(types) ? types[i] : KEYS_SIGN, NULL, NULL, 0),
			0);
		assert_int_equal(chan_receive_wait(fd, WAIT_USEC, &msg), -ECONNRESET);
		msg_host_keys_done(&public);
		close_fd(fd);
	}
	/* Others are served as before. */
	close_fd(become_client(*state, &public));
	msg_host_keys_done(&public);
}

static void test_outlives_the_listener_for_its_monitors(void **state)
{
	struct fixture *f = *state;
	struct msg_host_keys public;
	int fd = become_client(f, &public);

	f->control = close_fd(f->control);
	usleep(50000);
	assert_true(sign(fd, &good) > 0);
	close_fd(fd);
	assert_int_equal(end(f), 0);
	msg_host_keys_done(&public);
}

/* Does the file name this one key, as ssh-keygen writes it? */
static void expect_published(const struct fixture *f, const struct msg_host_keys *public)
{
	_cleanup_free_ char *text = NULL;
	char wanted[256], base64[128];
	size_t len;

	assert_int_equal(public->n, 1);
	assert_true(BASE64_LEN(public->keys[0].len) < sizeof(base64));
	snprintf(wanted, sizeof(wanted), "ssh-ed25519 %s\n",
		 base64_encode(public->keys[0].data, public->keys[0].len, base64));
	assert_int_equal(file_read(AT_FDCWD, f->public, 4096, &text, &len), 0);
	assert_string_equal(text, wanted);
}

static void test_publishes_what_it_shows(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *path = text_printf("%s/ssh_host_ed25519_key", f->dir);
	struct msg_host_keys public;
	struct stat st, again;

	close_fd(become_client(f, &public));
	expect_published(f, &public);
	assert_int_equal(stat(f->public, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	msg_host_keys_done(&public);
	/* Another one. */
	assert_int_equal(unlink(path), 0);
	close_fd(become_client(f, &public));
	expect_published(f, &public);
	msg_host_keys_done(&public);
	/* The same keys, looked at again: who watches the file is not disturbed. */
	assert_int_equal(stat(f->public, &st), 0);
	assert_int_equal(chmod(path, 0400), 0);
	close_fd(become_client(f, &public));
	msg_host_keys_done(&public);
	assert_int_equal(stat(f->public, &again), 0);
	assert_int_equal(again.st_ino, st.st_ino);
}

/* Before anybody connects; what is there stays. */
static void test_publishes_beforehand(void **state)
{
	struct fixture other = { .dir = "/tmp/test-keys-XXXXXX" };
	struct keys_config config;
	struct stat st, again;
	_cleanup_free_ char *path = NULL, *command = NULL;

	assert_non_null(mkdtemp(other.dir));
	snprintf(other.public, sizeof(other.public), "%s/public", other.dir);
	path = text_printf("%s/ssh_host_ed25519_key", other.dir);
	config = config_of(&other, -1);
	assert_int_equal(keys_publish(&config), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(access(other.public, F_OK), 0);
	assert_int_equal(unlink(other.public), 0);
	assert_int_equal(keys_publish(&config), 0);
	assert_int_equal(stat(path, &again), 0);
	assert_int_equal(again.st_ino, st.st_ino);
	assert_int_equal(access(other.public, F_OK), 0);
	/* No place for it. */
	config.public_path = "/nonexistent/host_keys";
	assert_int_equal(keys_publish(&config), -ENOENT);
	command = text_printf("rm -rf %s", other.dir);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_signs_what_a_gateway_needs_and_nothing_else,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_descriptors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_new_key_is_for_new_connections, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_whoever_breaks_the_protocol_is_dropped, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_outlives_the_listener_for_its_monitors, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_publishes_what_it_shows, setup, teardown),
		cmocka_unit_test(test_publishes_beforehand),
	};

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    (access("/etc/ssh", F_OK) == 0 && mount("none", "/etc/ssh", "tmpfs", 0, NULL) < 0)) {
		fprintf(stderr, "Needs root and a mount namespace, skipped\n");
		return 77;
	}
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
