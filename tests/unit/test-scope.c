/*
 * The control group of a login, in the kernel's real cgroup v2: this process moves into a group of
 * its own for the time of the test, as the gateway's service has one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/text.h"
#include "sshgw/scope.h"

#define ROOT	  "/sys/fs/cgroup"
#define KILL_USEC 1000000u

static char *own_group, *first_group;

static int write_pid(const char *group, pid_t pid)
{
	_cleanup_free_ char *path = text_printf("%s/cgroup.procs", group);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && dprintf(fd, "%d", pid) > 0 ? 0 : -1;
}

/* Processes in the group; -1 when there is no such group. */
static int count_processes(const char *group)
{
	_cleanup_free_ char *path = text_printf("%s/cgroup.procs", group);
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	int n = 0, c;

	if (!f)
		return -1;
	while ((c = fgetc(f)) != EOF)
		n += c == '\n';
	return n;
}

/* A process that does nothing; it ends with its parent. */
static pid_t start_idle(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

static void reap(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void reap_all(void)
{
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static void test_create_and_find(void **state)
{
	_cleanup_free_ char *path = NULL, *found = (char *)state;
	pid_t leader = start_idle();

	/* In our own group it is no login. */
	assert_int_equal(scope_find(leader, &found), -EXDEV);
	assert_ptr_equal(found, state);
	assert_int_equal(scope_create(leader, &path), 0);
	assert_int_equal(strncmp(path, own_group, strlen(own_group)), 0);
	assert_int_equal(count_processes(path), 1);
	assert_int_equal(scope_find(leader, &found), 0);
	assert_string_equal(found, path);
	/* A group that is in use stays. */
	scope_remove(path);
	assert_int_equal(count_processes(path), 1);
	reap(leader);
	scope_remove(path);
	assert_int_equal(count_processes(path), -1);
	free(found);
	found = NULL;
	assert_true(scope_find(leader, &found) < 0);
}

/* A process that is gone: no group is left behind. */
static void test_create_for_nobody(void **state)
{
	_cleanup_free_ char *group = NULL;
	char *path = (char *)state;
	pid_t leader = start_idle();

	reap(leader);
	assert_true(scope_create(leader, &path) < 0);
	assert_ptr_equal(path, state);
	group = text_printf("%s/login-%d", own_group, leader);
	assert_int_equal(count_processes(group), -1);
}

/* In a group: leader, child, grandchild whose parent is gone, one that ignores SIGTERM. */
static pid_t start_login(char **ret_path)
{
	int go[2];
	pid_t leader;

	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	leader = fork();
	if (leader == 0) {
		char c;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(go[1]);
		if (read(go[0], &c, 1) < 0)
			_exit(1);
		if (fork() == 0) {
			if (fork() == 0) {
				setsid();
				signal(SIGTERM, SIG_IGN);
			} else {
				_exit(0);
			}
		}
		for (;;)
			pause();
	}
	close(go[0]);
	assert_int_equal(scope_create(leader, ret_path), 0);
	close(go[1]);
	while (count_processes(*ret_path) != 2)
		usleep(1000);
	return leader;
}

static void wait_until_empty(const char *path)
{
	for (int i = 0; i < 5000 && scope_is_populated(path) > 0; i++)
		usleep(1000);
	assert_int_equal(scope_is_populated(path), 0);
}

static void test_leader_leaves(void **state)
{
	_cleanup_free_ char *path = NULL;
	pid_t leader = start_login(&path);

	assert_int_equal(scope_is_populated(path), 1);
	assert_int_equal(scope_leave(leader), 0);
	assert_int_equal(scope_kill(path), 0);
	wait_until_empty(path);
	assert_int_equal(kill(leader, 0), 0);
	reap(leader);
	assert_int_equal(scope_kill(path), 0);
	scope_remove(path);
	assert_int_equal(count_processes(path), -1);
	reap_all();
}

static void test_kill_around_the_leader(void **state)
{
	_cleanup_free_ char *path = NULL, *below = NULL;
	pid_t leader = start_login(&path), other = start_idle();

	below = text_printf("%s/below", path);
	assert_int_equal(mkdir(below, 0755), 0);
	assert_int_equal(write_pid(below, other), 0);
	assert_int_equal(scope_kill_around(path, leader, KILL_USEC), 0);
	assert_int_equal(count_processes(path), 1);
	assert_int_equal(scope_is_populated(below), 0);
	assert_int_equal(kill(leader, 0), 0);
	assert_int_equal(rmdir(below), 0);
	/* It is not frozen: it can end. */
	assert_int_equal(kill(leader, SIGTERM), 0);
	wait_until_empty(path);
	reap_all();
	assert_int_equal(scope_kill_around(path, leader, KILL_USEC), 0);
	scope_remove(path);
	assert_int_equal(scope_kill_around(path, leader, KILL_USEC), 0);
}

/* ---- a number that changes hands ---- */

/* The process that ends when it is looked for; its number becomes that of one outside. */
static struct {
	pid_t victim;
	bool done, possible;
} change;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);

/* A process with this very number, in our own group; it does nothing. */
static bool start_idle_as(pid_t pid)
{
	struct clone_args args = { .exit_signal = SIGCHLD,
				   .set_tid = (uint64_t)(uintptr_t)&pid,
				   .set_tid_size = 1 };
	long r = __real_syscall(SYS_clone3, &args, sizeof(args));

	if (r == 0)
		for (;;)
			pause();
	return r == pid;
}

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	if (number == SYS_pidfd_open && !change.done && a == change.victim) {
		change.done = true;
		reap(change.victim);
		change.possible = start_idle_as(change.victim);
	}
	return __real_syscall(number, a, b, c, d, e, f);
}

static void test_number_changes_hands(void **state)
{
	_cleanup_free_ char *path = NULL;
	pid_t leader = start_idle(), other = start_idle();

	assert_int_equal(scope_create(leader, &path), 0);
	assert_int_equal(write_pid(path, other), 0);
	change.victim = other;
	assert_int_equal(scope_kill_around(path, leader, KILL_USEC), 0);
	change.victim = 0;
	assert_true(change.done);
	reap(leader);
	scope_remove(path);
	if (!change.possible)
		skip();
	usleep(100000);
	assert_int_equal(waitpid(other, NULL, WNOHANG), 0);
	reap(other);
}

/* Groups below the login's are the login's as well. */
static void test_kill_below(void **state)
{
	_cleanup_free_ char *path = NULL, *below = NULL;
	pid_t leader = start_login(&path);

	below = text_printf("%s/below", path);
	assert_int_equal(mkdir(below, 0755), 0);
	assert_int_equal(write_pid(below, leader), 0);
	assert_int_equal(scope_kill(path), 0);
	wait_until_empty(path);
	reap_all();
	assert_int_equal(rmdir(below), 0);
	scope_remove(path);
}

static void test_watch(void **state)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	struct pollfd p = { .events = POLLPRI };

	start_login(&path);
	fd = scope_watch(path);
	assert_true(fd >= 0);
	assert_int_equal(scope_watch_ask(fd), 1);
	p.fd = fd;
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(scope_kill(path), 0);
	while (scope_watch_ask(fd) > 0)
		assert_int_equal(poll(&p, 1, 5000), 1);
	/* Asked, and nothing new since. */
	assert_int_equal(poll(&p, 1, 0), 0);
	reap_all();
	scope_remove(path);
}

/* Left over by a monitor that crashed: its number comes round again. */
static void test_stale_group(void **state)
{
	_cleanup_free_ char *path = NULL, *again = NULL;
	pid_t leader = start_idle();

	assert_int_equal(scope_create(leader, &path), 0);
	assert_int_equal(scope_leave(leader), 0);
	assert_int_equal(scope_create(leader, &again), 0);
	assert_string_equal(again, path);
	assert_int_equal(count_processes(path), 1);
	reap(leader);
	scope_remove(path);
}

static void test_kill_all(void **state)
{
	_cleanup_free_ char *path = NULL;

	start_login(&path);
	assert_int_equal(scope_kill(path), 0);
	for (int i = 0; i < 1000 && count_processes(path) > 0; i++)
		usleep(1000);
	assert_int_equal(count_processes(path), 0);
	reap_all();
	scope_remove(path);
	/* Of a group that is gone there is nothing to kill. */
	assert_int_equal(scope_kill(path), 0);
	assert_int_equal(scope_is_populated(path), 0);
}

/* Replaces itself by a child, again and again: no list of processes is ever up to date. */
static _Noreturn void run_away(void)
{
	while (fork() <= 0)
		;
	_exit(0);
}

/* Joins the group, and starts some that run away. */
static _Noreturn void start_running_away(const char *path)
{
	if (write_pid(path, getpid()) < 0)
		_exit(1);
	for (int i = 0; i < 16; i++)
		if (fork() == 0)
			run_away();
	_exit(0);
}

static void test_kill_those_who_run_away(void **state)
{
	_cleanup_free_ char *path = NULL;
	pid_t leader = start_idle();

	assert_int_equal(scope_create(leader, &path), 0);
	if (fork() == 0)
		start_running_away(path);
	while (count_processes(path) < 8)
		usleep(1000);
	assert_int_equal(scope_kill(path), 0);
	wait_until_empty(path);
	reap_all();
	scope_remove(path);
	assert_int_equal(count_processes(path), -1);
}

/* ---- a place in the hierarchy ---- */

/* Where we are: the line "0::PATH". */
static char *find_group(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/cgroup", "re");
	char line[1024];

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::", 3) == 0)
			return text_printf(ROOT "%s", line + 3);
	}
	return NULL;
}

static int setup(void **state)
{
	first_group = find_group();
	own_group = text_printf(ROOT "/peergate-test-scope-%d", getpid());
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return mkdir(own_group, 0755) == 0 && write_pid(own_group, getpid()) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	int r = write_pid(first_group, getpid());

	if (r == 0)
		r = rmdir(own_group);
	free(own_group);
	free(first_group);
	return r;
}

static bool have_cgroup2(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", ROOT, "cgroup2", 0, NULL) == 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create_and_find),
		cmocka_unit_test(test_create_for_nobody),
		cmocka_unit_test(test_leader_leaves),
		cmocka_unit_test(test_kill_around_the_leader),
		cmocka_unit_test(test_number_changes_hands),
		cmocka_unit_test(test_kill_below),
		cmocka_unit_test(test_watch),
		cmocka_unit_test(test_stale_group),
		cmocka_unit_test(test_kill_all),
		cmocka_unit_test(test_kill_those_who_run_away),
	};

	if (!have_cgroup2()) {
		fprintf(stderr, "Needs root and cgroup v2, skipped\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
