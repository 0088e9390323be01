/* The shutdown's way to the monitors: which processes are told, and what is waited for. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/text.h"
#include "sshgw/listener/shutdown.h"
#include "sshgw/steps.h"
#include "tests/unit/scratch.h"

#define MAX_PROGRAM (64u << 20)

static char folder[] = "/tmp/test-shutdown-XXXXXX";

static char *path_of(const char *name)
{
	char *path = text_printf("%s/%s", folder, name);

	assert_non_null(path);
	return path;
}

/* Programs of these names that only wait: copies of sleep(1). */
static int setup(void **state)
{
	static const char *const names[] = { "peergate-sshgw-monitor", "peergate-sshgw-monitors",
					     "peergate-sshgw-net", "peergate-sshgw-session" };
	_cleanup_free_ char *sleep = NULL;
	size_t len;

	if (!mkdtemp(folder) || file_read(AT_FDCWD, "/bin/sleep", MAX_PROGRAM, &sleep, &len) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = path_of(names[i]);

		if (file_write_new(AT_FDCWD, path, sleep, len, 0755) < 0)
			return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	scratch_empty(folder);
	return rmdir(folder);
}

static pid_t start(const char *name, const char *seconds)
{
	_cleanup_free_ char *path = path_of(name);
	int ends[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		execl(path, name, seconds, NULL);
		_exit(127);
	}
	close(ends[1]);
	/* Closed by its exec. */
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
	return pid;
}

/* Return: the signal that has ended it; 0: it runs, and is killed now. */
static int end(pid_t pid)
{
	int status, running = waitpid(pid, &status, WNOHANG) == 0;

	if (running) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	return running ? 0 : WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

/* An ended process that nobody has waited for yet. */
static int end_soon(pid_t pid)
{
	siginfo_t info;

	waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	return end(pid);
}

static void test_nobody(void **state)
{
	assert_int_equal(shutdown_run(folder), 0);
}

static void test_monitors_only(void **state)
{
	pid_t monitor = start("peergate-sshgw-monitor", "60");
	pid_t other = start("peergate-sshgw-monitors", "60");

	assert_int_equal(shutdown_run(folder), 1);
	assert_int_equal(end_soon(monitor), MON_SIGNAL_SHUTDOWN);
	assert_int_equal(end(other), 0);
}

static void test_other_folder(void **state)
{
	pid_t monitor = start("peergate-sshgw-monitor", "60");

	assert_int_equal(shutdown_run("/usr/lib/nothing"), 0);
	assert_int_equal(end(monitor), 0);
}

/* Connections that a former version serves are told as well. */
static void test_replaced_file(void **state)
{
	_cleanup_free_ char *path = path_of("peergate-sshgw-monitor"), *kept = path_of("kept");
	pid_t monitor = start("peergate-sshgw-monitor", "60");

	assert_int_equal(link(path, kept), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(shutdown_run(folder), 1);
	assert_int_equal(end_soon(monitor), MON_SIGNAL_SHUTDOWN);
	assert_int_equal(rename(kept, path), 0);
}

static void waits_for(const char *name)
{
	uint64_t begun = clock_usec(CLOCK_MONOTONIC);
	pid_t pid = start(name, "0.5");

	assert_int_equal(shutdown_run(folder), 0);
	assert_true(clock_usec(CLOCK_MONOTONIC) - begun >= USEC_PER_SEC / 2);
	/* By itself: it gets no signal. What has no program any more may not be waited for yet. */
	assert_int_equal(end_soon(pid), -1);
}

static void test_waits_for_what_closes(void **state)
{
	waits_for("peergate-sshgw-net");
	waits_for("peergate-sshgw-session");
}

static void test_does_not_wait_for_ever(void **state)
{
	uint64_t begun = clock_usec(CLOCK_MONOTONIC);
	pid_t net = start("peergate-sshgw-net", "60");

	assert_int_equal(shutdown_run(folder), 0);
	assert_true(clock_usec(CLOCK_MONOTONIC) - begun < 30 * USEC_PER_SEC);
	assert_int_equal(end(net), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_monitors_only),
		cmocka_unit_test(test_other_folder),
		cmocka_unit_test(test_replaced_file),
		cmocka_unit_test(test_waits_for_what_closes),
		cmocka_unit_test(test_does_not_wait_for_ever),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
