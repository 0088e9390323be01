/* What a sandboxed process can still do, tried by one: each case runs in a child of its own. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/sandbox.h"
#include "common/text.h"
#include "sshgw/net/filter.h"

#define SOMEBODY 4242u

#define OK(condition) ((condition) ? 0 : __LINE__ & 0x7f)

static char root[] = "/tmp/test-sandbox.XXXXXX";

/* ---- children ---- */

struct child_case {
	const char *name;
	int (*fn)(void); /* exit status; 0: as it should be */
	bool killed;	 /* by SIGSYS */
};

/* Return: what fn said, -1 when SIGSYS ended it, 126 when the sandbox could not be entered. */
static int run(const struct sandbox_config *config, int (*fn)(void))
{
	pid_t pid;
	int status;

	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		static const gid_t groups[] = { 0, SOMEBODY + 2 };
		char *text = NULL;
		int r = setgroups(ARRAY_SIZE(groups), groups) < 0 ? -errno
								  : sandbox_enter(config, &text);

		if (r < 0)
			fprintf(stderr, "%s\n", text ? text : "no text");
		/* Not through libc, whose way out makes calls of its own. */
		syscall(SYS_exit_group, r < 0 ? 126 : fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGSYS);
		return -1;
	}
	return WEXITSTATUS(status);
}

static void run_cases(const struct sandbox_config *config, const struct child_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		print_message("%s\n", cases[i].name);
		assert_int_equal(run(config, cases[i].fn), cases[i].killed ? -1 : 0);
	}
}

/* ---- identity, root directory, limits ---- */

static int is_somebody(void)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	syscall(SYS_getresuid, &r, &e, &s);
	syscall(SYS_getresgid, &rg, &eg, &sg);
	return OK(r == SOMEBODY && e == SOMEBODY && s == SOMEBODY && rg == SOMEBODY + 1 &&
		  eg == SOMEBODY + 1 && sg == SOMEBODY + 1 && syscall(SYS_getgroups, 0, NULL) == 0);
}

static int cannot_become_root(void)
{
	gid_t group = 0;

	if (syscall(SYS_setuid, 0) == 0 || errno != EPERM)
		return OK(false);
	if (syscall(SYS_setresuid, -1, 0, -1) == 0 || errno != EPERM)
		return OK(false);
	if (syscall(SYS_setgid, 0) == 0 || errno != EPERM)
		return OK(false);
	return OK(syscall(SYS_setgroups, 1, &group) < 0 && errno == EPERM);
}

static int sees_no_file(void)
{
	if (syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY) >= 0 || errno != ENOENT)
		return OK(false);
	if (syscall(SYS_openat, AT_FDCWD, "../../../../etc/passwd", O_RDONLY) >= 0 ||
	    errno != ENOENT)
		return OK(false);
	return OK(syscall(SYS_openat, AT_FDCWD, "new", O_WRONLY | O_CREAT, 0600) < 0 &&
		  errno == EACCES);
}

static int has_no_new_privileges(void)
{
	return OK(syscall(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 &&
		  syscall(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
}

static int has_hard_limits(void)
{
	struct rlimit file, raised = { 1, 1 };

	syscall(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &file);
	return OK(file.rlim_cur == 0 && file.rlim_max == 0 &&
		  syscall(SYS_prlimit64, 0, RLIMIT_FSIZE, &raised, NULL) < 0);
}

static const struct sandbox_rule lenient[] = {
	{ "exit_group" }, { "getresuid" }, { "getresgid" }, { "getgroups" },
	{ "setuid" },	  { "setresuid" }, { "setgid" },    { "setgroups" },
	{ "openat" },	  { "prctl" },	   { "prlimit64" }, { "no_such_call_here" },
};
static const struct sandbox_limit limits[] = { { RLIMIT_FSIZE, 0 } };

static struct sandbox_config lenient_config(void)
{
	return (struct sandbox_config){
		.root = root,
		.uid = SOMEBODY,
		.gid = SOMEBODY + 1,
		.limits = limits,
		.n_limits = ARRAY_SIZE(limits),
		.rules = lenient,
		.n_rules = ARRAY_SIZE(lenient),
	};
}

static void test_gives_up_everything(void **state)
{
	static const struct child_case cases[] = {
		{ "identity", is_somebody, false },
		{ "no way back to root", cannot_become_root, false },
		{ "empty root directory", sees_no_file, false },
		{ "no new privileges, not dumpable", has_no_new_privileges, false },
		{ "hard limits", has_hard_limits, false },
	};
	struct sandbox_config config = lenient_config();

	run_cases(&config, cases, ARRAY_SIZE(cases));
}

/* ---- the network process's own list ---- */

#define TRY(name, ...)                                \
	static int name(void)                         \
	{                                             \
		return (int)syscall(__VA_ARGS__) & 0; \
	}

TRY(try_openat, SYS_openat, AT_FDCWD, "/", O_RDONLY)
TRY(try_socket, SYS_socket, AF_INET, SOCK_STREAM, 0)
TRY(try_socketpair, SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, NULL)
TRY(try_connect, SYS_connect, 3, NULL, 0)
TRY(try_accept4, SYS_accept4, 3, NULL, NULL, 0)
TRY(try_kill, SYS_kill, 1, 0)
TRY(try_tgkill, SYS_tgkill, 1, 1, 0)
TRY(try_execve, SYS_execve, "/", NULL, NULL)
TRY(try_execveat, SYS_execveat, 3, "", NULL, NULL, AT_EMPTY_PATH)
TRY(try_clone, SYS_clone, SIGCHLD, 0, 0, 0, 0)
TRY(try_clone3, SYS_clone3, NULL, 0)
TRY(try_ptrace, SYS_ptrace, 0, 0, 0, 0)
TRY(try_process_vm_readv, SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0)
TRY(try_bpf, SYS_bpf, 0, NULL, 0)
TRY(try_io_uring, SYS_io_uring_setup, 1, NULL)
TRY(try_perf, SYS_perf_event_open, NULL, 0, 0, 0, 0)
TRY(try_userfaultfd, SYS_userfaultfd, 0)
TRY(try_keyctl, SYS_keyctl, 0, 0, 0, 0, 0)
TRY(try_unshare, SYS_unshare, 0)
TRY(try_prctl, SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0)
TRY(try_personality, SYS_personality, 0xffffffff)
TRY(try_setuid, SYS_setuid, 0)
TRY(try_pidfd_getfd, SYS_pidfd_getfd, 3, 3, 0)
TRY(try_dup_fd, SYS_fcntl, 0, F_DUPFD, 3)
TRY(try_set_owner, SYS_fcntl, 0, F_SETOWN, 1)
TRY(try_tiocsti, SYS_ioctl, 0, TIOCSTI, NULL)
TRY(try_fionread, SYS_ioctl, 0, FIONREAD, NULL)
TRY(try_high_bits, SYS_ioctl, 0, 0x100000000ul | TIOCSWINSZ, NULL)
TRY(try_sol_socket, SYS_setsockopt, 3, SOL_SOCKET, SO_KEEPALIVE, NULL, 0)
TRY(try_map_code, SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
TRY(try_make_code, SYS_mprotect, NULL, 0, PROT_READ | PROT_EXEC)
TRY(try_pkey_code, SYS_pkey_mprotect, NULL, 0, PROT_EXEC, -1)

TRY(may_getfl, SYS_fcntl, 0, F_GETFL)
TRY(may_winsize, SYS_ioctl, 0, TIOCSWINSZ, NULL)
TRY(may_quickack, SYS_setsockopt, 3, IPPROTO_TCP, TCP_QUICKACK, NULL, 0)
TRY(may_map_data, SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
TRY(may_protect, SYS_mprotect, NULL, 0, PROT_READ)
TRY(may_read, SYS_read, -1, NULL, 0)
TRY(may_poll, SYS_poll, NULL, 0, 0)
TRY(may_random, SYS_getrandom, NULL, 0, 0)

static void test_network_process(void **state)
{
	static const struct child_case cases[] = {
		{ "openat", try_openat, true },
		{ "socket", try_socket, true },
		{ "socketpair", try_socketpair, true },
		{ "connect", try_connect, true },
		{ "accept4", try_accept4, true },
		{ "kill", try_kill, true },
		{ "tgkill", try_tgkill, true },
		{ "execve", try_execve, true },
		{ "execveat", try_execveat, true },
		{ "clone", try_clone, true },
		{ "clone3", try_clone3, true },
		{ "ptrace", try_ptrace, true },
		{ "process_vm_readv", try_process_vm_readv, true },
		{ "bpf", try_bpf, true },
		{ "io_uring_setup", try_io_uring, true },
		{ "perf_event_open", try_perf, true },
		{ "userfaultfd", try_userfaultfd, true },
		{ "keyctl", try_keyctl, true },
		{ "unshare", try_unshare, true },
		{ "prctl", try_prctl, true },
		{ "personality", try_personality, true },
		{ "setuid", try_setuid, true },
		{ "pidfd_getfd", try_pidfd_getfd, true },
		{ "fcntl(F_DUPFD)", try_dup_fd, true },
		{ "fcntl(F_SETOWN)", try_set_owner, true },
		{ "ioctl(TIOCSTI)", try_tiocsti, true },
		{ "ioctl(FIONREAD)", try_fionread, true },
		{ "ioctl(high bits)", try_high_bits, true },
		{ "setsockopt(SOL_SOCKET)", try_sol_socket, true },
		{ "mmap(PROT_EXEC)", try_map_code, true },
		{ "mprotect(PROT_EXEC)", try_make_code, true },
		{ "pkey_mprotect(PROT_EXEC)", try_pkey_code, true },
		{ "fcntl(F_GETFL) is allowed", may_getfl, false },
		{ "ioctl(TIOCSWINSZ) is allowed", may_winsize, false },
		{ "setsockopt(TCP_QUICKACK) is allowed", may_quickack, false },
		{ "mmap(PROT_WRITE) is allowed", may_map_data, false },
		{ "mprotect(PROT_READ) is allowed", may_protect, false },
		{ "read is allowed", may_read, false },
		{ "poll is allowed", may_poll, false },
		{ "getrandom is allowed", may_random, false },
	};
	struct sandbox_config config = net_sandbox;

	config.root = root;
	config.uid = SOMEBODY;
	config.gid = SOMEBODY;
	/* Its limit of the address space leaves AddressSanitizer no room. */
	config.n_limits = 0;
	run_cases(&config, cases, ARRAY_SIZE(cases));
}

/* ---- refusals ---- */

static int never(void)
{
	return 99;
}

static void refused(const struct sandbox_config *config)
{
	assert_int_equal(run(config, never), 126);
}

static void test_root_directory_is_checked(void **state)
{
	struct sandbox_config config = lenient_config();
	_cleanup_free_ char *file = text_printf("%s/file", root),
			    *dir = text_printf("%s/dir", root);
	_cleanup_free_ char *link = text_printf("%s.link", root);
	int fd;

	assert_int_equal(run(&config, is_somebody), 0);

	assert_int_equal(chmod(root, 0775), 0);
	refused(&config);
	assert_int_equal(chmod(root, 0757), 0);
	refused(&config);
	assert_int_equal(chmod(root, 0755), 0);
	assert_int_equal(chown(root, SOMEBODY, 0), 0);
	refused(&config);
	assert_int_equal(chown(root, 0, 0), 0);

	fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close_fd(fd);
	refused(&config);
	config.root = file;
	refused(&config);
	config.root = root;
	assert_int_equal(unlink(file), 0);
	assert_int_equal(mkdir(dir, 0700), 0);
	refused(&config);
	assert_int_equal(rmdir(dir), 0);

	assert_int_equal(symlink(root, link), 0);
	config.root = link;
	refused(&config);
	assert_int_equal(unlink(link), 0);
	refused(&config);
	config.root = root;
	assert_int_equal(run(&config, is_somebody), 0);
}

static void test_root_user_is_refused(void **state)
{
	struct sandbox_config config = lenient_config();

	config.uid = 0;
	refused(&config);
}

static int setup(void **state)
{
	return mkdtemp(root) && chmod(root, 0755) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	return rmdir(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gives_up_everything),
		cmocka_unit_test(test_network_process),
		cmocka_unit_test(test_root_directory_is_checked),
		cmocka_unit_test(test_root_user_is_refused),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "Needs root, skipped\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
