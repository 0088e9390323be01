/*
 * What the host itself says of a login. The accounts are this test's own: it puts a passwd file of
 * its own over the host's, for itself.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/login_check.h"
#include "peergate-config.h"

static char own_passwd[] = "/tmp/test-login-check.XXXXXX";

static const char passwd[] =
	"root:x:0:0:root:/root:/bin/sh\n"
	"toor:x:0:0::/root:/bin/sh\n"
	"alice:x:4242:4242::/:/bin/sh\n"
	"shut:x:4243:4242::/:/usr/sbin/nologin\n"
	"false:x:4244:4242::/:/bin/false\n"
	"gone:x:4245:4242::/:/no/such/nologin\n"
	"noshell:x:4246:4242::/:/no/such/shell\n"
	"as-agent:x:901:4242::/:/bin/sh\n"
	"as-gateway:x:902:4242::/:/bin/sh\n"
	"as-coord:x:903:4242::/:/bin/sh\n" PEERGATE_AGENT_USER
	":x:901:901::/:/bin/sh\n" PEERGATE_SSHGW_USER ":x:902:902::/:/bin/sh\n" PEERGATE_COORD_USER
	":x:903:903::/:/bin/sh\n";

/* A directory answers for so many look-ups, and fails then. */
static unsigned n_answers = UINT_MAX;

int getpwnam_r(const char *name, struct passwd *pw, char *buf, size_t len, struct passwd **found)
{
	typedef int (*getpwnam_r_fn)(const char *, struct passwd *, char *, size_t,
				     struct passwd **);
	getpwnam_r_fn next = (getpwnam_r_fn)dlsym(RTLD_NEXT, "getpwnam_r");

	*found = NULL;
	if (n_answers == 0)
		return EIO;
	n_answers--;
	return next(name, pw, buf, len, found);
}

struct login_case {
	struct login_grant grant;
	const char *reason; /* NULL: it is let in */
	const char *text;
};

static void check_case(const struct login_case *c)
{
	const struct ceiling ceiling = { .ssh = true, .permit_root = true };
	_cleanup_(account_freep) struct account *account = NULL;
	struct login_refusal refusal = { 0 };
	int r;

	r = login_check(&c->grant, &ceiling, &account, &refusal);
	if (r != (c->reason ? LOGIN_REFUSED : 0))
		fail_msg("%s: %d %s", c->grant.account, r, refusal.reason);
	if (!c->reason)
		return;
	assert_string_equal(refusal.reason, c->reason);
	if (!strstr(refusal.text, c->text))
		fail_msg("%s: %s", c->grant.account, refusal.text);
}

static void check_cases(const struct login_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check_case(&cases[i]);
}

static void test_accounts(void **state)
{
	static const struct login_case cases[] = {
		{ { .account = "alice" }, NULL, NULL },
		{ { .account = "root" }, NULL, NULL },
		{ { .account = "bob" }, "account", "no such account" },
		{ { .account = "root", .nonroot = true }, "nonroot", "this account is root" },
		{ { .account = "toor", .nonroot = true }, "nonroot", "this account is root" },
	};

	check_cases(cases, ARRAY_SIZE(cases));
}

/* By name and by uid, whatever their shell is. */
static void test_own_accounts(void **state)
{
	static const char *const names[] = { PEERGATE_AGENT_USER, PEERGATE_SSHGW_USER,
					     PEERGATE_COORD_USER, "as-agent",
					     "as-gateway",	  "as-coord" };

	for (size_t i = 0; i < 2 * ARRAY_SIZE(names); i++)
		check_case(&(struct login_case){ { .account = names[i / 2], .sftp_only = i % 2 },
						 "account",
						 "belongs to Peergate itself" });
}

static void test_shells(void **state)
{
	static const struct login_case cases[] = {
		{ { .account = "shut" },
		  "shell",
		  "not for logging in (its shell is /usr/sbin/nologin)" },
		{ { .account = "false" }, "shell", "not for logging in (its shell is /bin/false)" },
		{ { .account = "gone" },
		  "shell",
		  "not for logging in (its shell is /no/such/nologin)" },
		{ { .account = "noshell" },
		  "shell",
		  "its shell /no/such/shell is no executable file" },
	};

	check_cases(cases, ARRAY_SIZE(cases));
}

/* A shell that is not run does not matter, but everything else does. */
static void test_sftp_only(void **state)
{
	static const struct login_case cases[] = {
		{ { .account = "shut", .sftp_only = true }, NULL, NULL },
		{ { .account = "shut", .sftp_only = true, .nonroot = true }, NULL, NULL },
		{ { .account = "false", .sftp_only = true }, NULL, NULL },
		{ { .account = "gone", .sftp_only = true }, NULL, NULL },
		{ { .account = "alice", .sftp_only = true }, NULL, NULL },
		{ { .account = "bob", .sftp_only = true }, "account", "no such account" },
		{ { .account = "noshell", .sftp_only = true }, "shell", "is no executable file" },
		{ { .account = "toor", .sftp_only = true, .nonroot = true },
		  "nonroot",
		  "this account is root" },
	};

	check_cases(cases, ARRAY_SIZE(cases));
}

/* Whose the account is, has to be known; of our own accounts, no directory has to be asked. */
static void test_directory_that_fails(void **state)
{
	static const struct login_case cases[] = {
		{ { .account = "alice" }, NULL, NULL },
		{ { .account = PEERGATE_AGENT_USER }, "account", "belongs to Peergate itself" },
		{ { .account = "as-coord" }, "account", "belongs to Peergate itself" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		n_answers = 1;
		check_case(&cases[i]);
		n_answers = 0;
		check_case(&(struct login_case){ cases[i].grant, "account-error",
						 "cannot be looked up now; try again" });
	}
	n_answers = UINT_MAX;
}

/* Nobody is to blame for what this host cannot read of its own accounts. */
static void test_accounts_that_cannot_be_read(void **state)
{
	_cleanup_free_ char *line = calloc(1, 80u << 10);
	int fd = open("/etc/passwd", O_WRONLY | O_APPEND | O_CLOEXEC);

	assert_non_null(line);
	memset(line, 'x', (80u << 10) - 1);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, line, strlen(line)), strlen(line));
	check_case(&(struct login_case){ { .account = "alice" },
					 "account-error",
					 "one of Peergate's own cannot be looked up now" });
	check_case(&(struct login_case){
		{ .account = PEERGATE_AGENT_USER }, "account", "belongs to Peergate itself" });
	assert_int_equal(ftruncate(fd, (off_t)strlen(passwd)), 0);
	close(fd);
	check_case(&(struct login_case){ { .account = "alice" }, NULL, NULL });
}

static int setup(void **state)
{
	int fd = mkstemp(own_passwd);

	if (fd < 0 || close(fd) < 0 ||
	    file_write_atomic(AT_FDCWD, own_passwd, passwd, strlen(passwd), 0644) < 0)
		return -1;
	return mount(own_passwd, "/etc/passwd", NULL, MS_BIND, NULL);
}

static int teardown(void **state)
{
	umount("/etc/passwd");
	return unlink(own_passwd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accounts),
		cmocka_unit_test(test_own_accounts),
		cmocka_unit_test(test_shells),
		cmocka_unit_test(test_sftp_only),
		cmocka_unit_test(test_directory_that_fails),
		cmocka_unit_test(test_accounts_that_cannot_be_read),
	};

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		fprintf(stderr, "Needs a mount namespace of its own (root), skipped\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
