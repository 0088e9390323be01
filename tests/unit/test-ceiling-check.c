/* peergate-sshgw --check: what it says of a ceiling. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/text.h"
#include "sshgw/listener/check.h"

#define HEAD "/tmp/test-ceiling-check: good\n"

static const char path[] = "/tmp/test-ceiling-check";

static char *check(const char *content, bool required, int expected)
{
	char *said = NULL;
	size_t len;
	FILE *f = open_memstream(&said, &len);
	int status;

	assert_non_null(f);
	if (content)
		assert_int_equal(file_write_atomic(AT_FDCWD, path, content, strlen(content), 0644),
				 0);
	status = ceiling_check_run(path, required, f, f);
	assert_int_equal(fclose(f), 0);
	if (status != expected)
		fail_msg("%d: %s", status, said);
	return said;
}

static void expect(const char *content, int status, const char *text)
{
	_cleanup_free_ char *said = check(content, true, status);

	assert_string_equal(said, text);
}

static int remove_file(void **state)
{
	unlink(path);
	return 0;
}

static void test_empty(void **state)
{
	expect("", 0,
	       HEAD
	       "SSH through the mesh is off (SSH=): nobody is let in, whatever the policy says.\n"
	       "Accounts with uid 0, such as root, may not log in (PermitRootLogin=).\n"
	       "No list says who may log in (AllowUsers=): every account that the policy gives.\n");
}

static void test_open(void **state)
{
	expect("SSH=yes\nPermitRootLogin=yes\nDenyUsers=root\nMaxSessions=2\nLoginGraceTime=30s\n"
	       "MaxEnv=32\n",
	       0,
	       HEAD "SSH through the mesh is on.\n"
		    "Accounts with uid 0, such as root, may log in (PermitRootLogin=).\n"
		    "No list says who may log in (AllowUsers=): every account that the policy "
		    "gives.\n"
		    "These accounts may not (DenyUsers=): root.\n"
		    "Limits that are not the default:\n"
		    "  LoginGraceTime: 30 s (default 1 min)\n"
		    "  MaxSessions: 2 (default 10)\n");
}

static void test_accounts(void **state)
{
	_cleanup_free_ char *said = check("SSH=yes\nAllowUsers=root nobody daemon no-such-user\n"
					  "DenyUsers=daemon neither-this\n",
					  true, 0);

	assert_non_null(strstr(said, "Only these accounts may log in (AllowUsers=): root, nobody, "
				     "daemon, no-such-user.\n"));
	assert_non_null(strstr(said, "warning: AllowUsers: root: it has uid 0, and "
				     "PermitRootLogin= does not let it in\n"));
	assert_non_null(strstr(said, "warning: AllowUsers: nobody: its shell refuses logins\n"));
	assert_non_null(strstr(said, "warning: AllowUsers: daemon: DenyUsers= has it as well, and "
				     "wins\n"));
	assert_non_null(strstr(said, "warning: AllowUsers: no-such-user: this host has no such "
				     "account\n"));
	assert_non_null(strstr(said, "warning: DenyUsers: neither-this: this host has no such "
				     "account\n"));
	assert_null(strstr(said, "DenyUsers: daemon"));
}

static void test_bad(void **state)
{
	expect("SSH=yes\nMaxSessions=0\n", 1,
	       "/tmp/test-ceiling-check:2: MaxSessions: \"0\" does not fit; expected a number "
	       "from 1 to 64\n");
	expect("AllowUsers=\n", 1,
	       "/tmp/test-ceiling-check: AllowUsers: no account is named; expected one at least, "
	       "or no such line to allow all\n");
	assert_int_equal(chmod(path, 0666), 0);
	expect(NULL, 1,
	       "/tmp/test-ceiling-check: others than root may write it; expected owner root and "
	       "mode 0644 or less\n");
}

static void test_no_file(void **state)
{
	_cleanup_free_ char *said = NULL;

	remove_file(NULL);
	expect(NULL, 1, "/tmp/test-ceiling-check: no such file\n");
	said = check(NULL, false, 0);
	assert_non_null(strstr(said, "does not exist, the defaults hold\nSSH through the mesh is "
				     "off"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),	 cmocka_unit_test(test_open),
		cmocka_unit_test(test_accounts), cmocka_unit_test(test_bad),
		cmocka_unit_test(test_no_file),
	};

	/* The file has to be root's. */
	if (getuid() != 0)
		return 77;
	return cmocka_run_group_tests(tests, NULL, remove_file);
}
