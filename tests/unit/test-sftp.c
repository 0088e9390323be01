#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those above */
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "sshgw/monitor/sftp.h"

static char path[] = "/tmp/test-sftp.XXXXXX";

static void test_configured(void **state)
{
	const char *found = NULL;

	assert_int_equal(sftp_find(path, &found), SFTP_MISSING);
	assert_ptr_equal(found, path);
	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(sftp_find(path, &found), 0);
	assert_ptr_equal(found, path);
}

/* Where it is said to be and nowhere else. */
static void test_configured_is_no_program(void **state)
{
	static const char *const cases[] = { "/no/such/sftp-server", "/tmp", "/dev/null" };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *found = NULL;

		assert_int_equal(sftp_find(cases[i], &found), SFTP_MISSING);
		assert_ptr_equal(found, cases[i]);
	}
}

/* A forced command is told what it replaces, also then. */
static void test_switched_off(void **state)
{
	const char *found = NULL;

	assert_int_equal(sftp_find("none", &found), SFTP_OFF);
	assert_string_equal(found, "/usr/lib/openssh/sftp-server");
}

static void test_looked_for(void **state)
{
	const char *found = NULL;
	int r = sftp_find(NULL, &found);

	if (access("/usr/lib/openssh/sftp-server", X_OK) == 0)
		assert_int_equal(r, 0);
	assert_true(r == 0 || r == SFTP_MISSING);
	assert_int_equal(r == 0, access(found, X_OK) == 0);
}

/* Without the shell only where that takes nothing away. */
static void test_direct(void **state)
{
	static const char *const others[] = {
		"/bin/rbash",
		"/usr/bin/rbash",
		"/usr/bin/git-shell",
		"/usr/bin/lshell",
		"/usr/bin/tmux",
		"/usr/bin/screen",
		"/no/such/bash",
		"/no/such/sh",
		"sh",
		"",
		"/bin/",
		"/bin/sh/",
		"/bin/SH",
		"/bin/sh2",
		"/usr/sbin/nologin",
		"/bin/false",
	};

	/* shells(5) has it everywhere, and getusershell(3) without that file as well. */
	assert_true(sftp_is_direct("/bin/sh"));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		print_message("%s\n", others[i]);
		assert_false(sftp_is_direct(others[i]));
	}
	assert_true(sftp_is_direct("/bin/sh"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_configured),
		cmocka_unit_test(test_configured_is_no_program),
		cmocka_unit_test(test_switched_off),
		cmocka_unit_test(test_looked_for),
		cmocka_unit_test(test_direct),
	};
	_cleanup_close_ int fd = mkstemp(path);
	int r = fd < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);

	unlink(path);
	return r;
}
