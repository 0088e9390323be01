/* The accounts are this test's own: it puts a passwd file of its own over the host's, for itself.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/account.h"
#include "common/file.h"
#include "common/text.h"

static char dir[] = "/tmp/test-account.XXXXXX";

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "alice:x:4242:4243:Alice:/home/alice:/bin/sh\n"
			     "toor:x:0:0::/root:/bin/sh\n"
			     "empty:x:4244:4244::/:\n"
			     "4245:x:4245:4245::/:/bin/sh\n";

/*
 * In front of libc's: services other than files fold case, take numbers for names, break.
 */
int getpwnam_r(const char *name, struct passwd *pw, char *buf, size_t len, struct passwd **found)
{
	typedef int (*getpwnam_r_fn)(const char *, struct passwd *, char *, size_t,
				     struct passwd **);
	getpwnam_r_fn next = (getpwnam_r_fn)dlsym(RTLD_NEXT, "getpwnam_r");

	*found = NULL;
	if (strcmp(name, "broken") == 0)
		return EIO;
	if (strcmp(name, "endless") == 0)
		return ERANGE;
	if (strcmp(name, "ALICE") == 0 || strcmp(name, "uid=4242") == 0)
		name = "alice";
	return next(name, pw, buf, len, found);
}

static void test_other_services(void **state)
{
	static const struct {
		const char *name;
		int r;
	} cases[] = { { "ALICE", ACCOUNT_UNKNOWN },
		      { "uid=4242", ACCOUNT_UNKNOWN },
		      { "broken", -EIO },
		      { "endless", -ERANGE } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct account *account = NULL;

		assert_int_equal(account_get(cases[i].name, &account), cases[i].r);
		assert_null(account);
	}
}

static void test_lookup(void **state)
{
	static const struct {
		const char *name;
		uid_t uid;
		gid_t gid;
	} cases[] = { { "root", 0, 0 },
		      { "alice", 4242, 4243 },
		      { "toor", 0, 0 },
		      { "empty", 4244, 4244 },
		      { "4245", 4245, 4245 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(account_freep) struct account *account = NULL;

		assert_int_equal(account_get(cases[i].name, &account), 0);
		assert_string_equal(account->name, cases[i].name);
		assert_int_equal(account->uid, cases[i].uid);
		assert_int_equal(account->gid, cases[i].gid);
		assert_string_equal(account->shell, "/bin/sh");
	}
}

static void test_no_such_account(void **state)
{
	static const char *const names[] = { "nobody-here", "",	       "0", "4242",   "Alice",
					     "alice ",	    "alice:x", "+", "al\nice" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct account *account = NULL;

		assert_int_equal(account_get(names[i], &account), ACCOUNT_UNKNOWN);
		assert_null(account);
	}
}

/* An entry that is larger than the first buffers. */
static void test_long_entry(void **state)
{
	_cleanup_(account_freep) struct account *account = NULL;

	assert_int_equal(account_get("long", &account), 0);
	assert_int_equal(account->uid, 4300);
	assert_int_equal(strlen(account->shell), 20001);
}

static void test_shell(void **state)
{
	static const struct {
		const char *shell; /* ~ is the test's directory */
		bool refuses, exists;
	} cases[] = {
		{ "/bin/sh", false, true },
		{ "~/shell", false, true },
		{ "/usr/sbin/nologin", true, true },
		{ "/sbin/nologin", true, true },
		{ "/bin/false", true, true },
		{ "nologin", true, false },
		{ "/somewhere/else/nologin", true, false },
		{ "/opt/nologin/sh", false, false },
		{ "/does/not/exist", false, false },
		{ "bin/sh", false, false },
		{ "", false, false },
		{ "~", false, false },
		{ "~/plain", false, false },
		{ "~/fifo", false, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *s = cases[i].shell;
		char *shell = *s == '~' ? text_printf("%s%s", dir, s + 1) : strdup(s);

		print_message("%s\n", s);
		assert_int_equal(account_shell_refuses(shell), cases[i].refuses);
		assert_int_equal(account_shell_exists(shell), cases[i].exists);
		free(shell);
	}
}

static int make_passwd(const char *path)
{
	_cleanup_free_ char *shell = malloc(20002), *text = NULL;

	memset(shell, 'x', 20001);
	shell[0] = '/';
	shell[20001] = '\0';
	text = text_printf("%slong:x:4300:4300::/:%s\n", passwd, shell);
	return file_write_atomic(AT_FDCWD, path, text, strlen(text), 0644);
}

static int setup(void **state)
{
	_cleanup_free_ char *own = NULL, *shell = NULL, *plain = NULL, *fifo = NULL;

	if (!mkdtemp(dir))
		return -1;
	own = text_printf("%s/passwd", dir);
	shell = text_printf("%s/shell", dir);
	plain = text_printf("%s/plain", dir);
	fifo = text_printf("%s/fifo", dir);
	if (make_passwd(own) < 0 || file_write_atomic(AT_FDCWD, shell, "", 0, 0755) < 0 ||
	    file_write_atomic(AT_FDCWD, plain, "", 0, 0644) < 0 || mkfifo(fifo, 0755) < 0)
		return -1;
	return mount(own, "/etc/passwd", NULL, MS_BIND, NULL);
}

static int teardown(void **state)
{
	static const char *const names[] = { "passwd", "shell", "plain", "fifo" };

	umount("/etc/passwd");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = text_printf("%s/%s", dir, names[i]);

		unlink(path);
	}
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookup),	       cmocka_unit_test(test_no_such_account),
		cmocka_unit_test(test_other_services), cmocka_unit_test(test_long_entry),
		cmocka_unit_test(test_shell),
	};

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		fprintf(stderr, "Needs a mount namespace of its own (root), skipped\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
