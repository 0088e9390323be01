/* The way to the journal: what becomes of lines, and of us, when it takes none. Needs root. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/text.h"

#define SOCKET "/run/systemd/journal/socket"
#define SKIP   77

#define N_LINES	   3000u
#define SOON_MSEC  60000
#define PAUSE_USEC 1500000u /* longer than that of the product */

struct journal {
	int datagrams, stream; /* the journal's ends */
	pid_t pid;	       /* of who logs */
	int orders;
};

/* Logs many lines, and says so; after a pause and on order one more. */
static _Noreturn void log_lines(int orders, int stderr_fd)
{
	_cleanup_free_ char *stream = NULL;
	struct stat st;
	char byte = 0;

	dup2(stderr_fd, STDERR_FILENO);
	fstat(STDERR_FILENO, &st);
	stream = text_printf("%llu:%llu", (unsigned long long)st.st_dev,
			     (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open_journal("test");
	for (unsigned i = 0; i < N_LINES; i++)
		log_info("line %u", i);
	if (write(orders, &byte, 1) != 1 || read(orders, &byte, 1) != 1)
		_exit(1);
	usleep(PAUSE_USEC);
	log_info("the last line");
	_exit(0);
}

static void begin(struct journal *j)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = SOCKET };
	int stream[2], orders[2];

	unlink(SOCKET);
	j->datagrams = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(j->datagrams, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, orders), 0);
	j->pid = fork();
	assert_true(j->pid >= 0);
	if (j->pid == 0)
		log_lines(orders[1], stream[1]);
	close(stream[1]);
	close(orders[1]);
	j->stream = stream[0];
	j->orders = orders[0];
}

static void await_lines(struct journal *j)
{
	struct pollfd p = { .fd = j->orders, .events = POLLIN };
	char byte;

	if (poll(&p, 1, SOON_MSEC) != 1)
		kill(j->pid, SIGKILL);
	assert_int_equal(read(j->orders, &byte, 1), 1);
}

/* How many datagrams there are; of the last two, *ret_before and *ret_last (the caller's). */
static unsigned take_datagrams(struct journal *j, char **ret_before, char **ret_last)
{
	char buf[8192];
	unsigned count = 0;
	ssize_t n;

	while ((n = recv(j->datagrams, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		free(*ret_before);
		*ret_before = take_ptr(*ret_last);
		*ret_last = strndup(buf, (size_t)n);
		count++;
	}
	return count;
}

static void end(struct journal *j)
{
	int status;

	assert_int_equal(waitpid(j->pid, &status, 0), j->pid);
	assert_int_equal(status, 0);
	close(j->datagrams);
	close(j->stream);
	close(j->orders);
}

static void test_journal_that_takes_nothing(void **state)
{
	_cleanup_free_ char *before = NULL, *last = NULL, *lost = NULL, *parent = NULL;
	struct journal j;
	unsigned taken;

	begin(&j);
	await_lines(&j);
	taken = take_datagrams(&j, &before, &last);
	assert_in_range(taken, 1, N_LINES - 1);
	assert_int_equal(write(j.orders, "", 1), 1);
	end(&(struct journal){ .datagrams = -1, .stream = -1, .orders = -1, .pid = j.pid });

	assert_int_equal(take_datagrams(&j, &before, &last), 2);
	lost = text_printf("did not take %u lines before this one", N_LINES - taken);
	assert_non_null(strstr(before, lost));
	assert_non_null(strstr(last, "MESSAGE=the last line\n"));
	parent = text_printf("\nOBJECT_PID=%d\n", getpid());
	assert_non_null(strstr(last, parent));
	close(j.datagrams);
	close(j.stream);
	close(j.orders);
}

/* No journal at that place, and none that reads the stream. */
static void test_stream_that_takes_nothing(void **state)
{
	struct journal j;

	begin(&j);
	unlink(SOCKET);
	await_lines(&j);
	assert_int_equal(write(j.orders, "", 1), 1);
	end(&j);
}

static bool make_run(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", "/run", "tmpfs", 0, NULL) == 0 && mkdir("/run/systemd", 0755) == 0 &&
	       mkdir("/run/systemd/journal", 0755) == 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_journal_that_takes_nothing),
		cmocka_unit_test(test_stream_that_takes_nothing),
	};

	if (!make_run()) {
		print_message("cannot have a /run of its own: %s\n", strerror(errno));
		return SKIP;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
