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

static void test_forwarding(void **state)
{
	_cleanup_free_ char *said =
		check("GatewayPorts=clientspecified\nX11Forwarding=no\nMaxForwards=3\n", true, 0);
	_cleanup_free_ char *open = check("GatewayPorts=yes\nX11Forwarding=yes\n", true, 0);

	assert_non_null(strstr(said, "  MaxForwards: 3 (default 100)\n"));
	assert_non_null(strstr(said, "bound where the client says (GatewayPorts=).\n"
				     "X11 is not forwarded (X11Forwarding=).\n"));
	assert_non_null(strstr(open, "bound on all addresses (GatewayPorts=).\n"));
	assert_null(strstr(open, "X11"));
}

static void test_keys_and_files(void **state)
{
	_cleanup_free_ char *said =
		check("RekeyLimit=default 30m\nSftpServer=/nonexistent/sftp\n", true, 0);
	_cleanup_free_ char *none =
		check("RekeyLimit=2G\nSftpServer=none\nMaxLeftRunning=7\n", true, 0);

	assert_non_null(strstr(said, "New keys are exchanged after what the cipher allows, and "
				     "after 30 min (RekeyLimit=).\n"
				     "sftp is served by /nonexistent/sftp (SftpServer=).\n"
				     "warning: SftpServer: /nonexistent/sftp: No such file or "
				     "directory\n"));
	assert_non_null(strstr(none, "  MaxLeftRunning: 7 (default "));
	assert_non_null(strstr(none, "New keys are exchanged after 2.1 GB (RekeyLimit=).\n"
				     "There is no sftp, and no scp (SftpServer=).\n"));
}

static void test_accounts(void **state)
{
	_cleanup_free_ char *said = check("SSH=yes\nAllowUsers=root nobody daemon no-such-user\n"
					  "DenyUsers=daemon neither-this\n",
					  true, 0);

	assert_non_null(strstr(said, "Only these accounts may log in (AllowUsers=): root, nobody, "
				     "daemon, no-such-user.\n"));
	assert_non_null(strstr(said, "warning: AllowUsers: root: this host does not let root log "
				     "in (PermitRootLogin= in sshgw.conf)\n"));
	assert_non_null(strstr(said, "warning: AllowUsers: nobody: the account 'nobody' is not for "
				     "logging in (its shell is /usr/sbin/nologin), unless a rule "
				     "is for sftp only\n"));
	assert_non_null(strstr(said, "warning: AllowUsers: daemon: this host refuses the account "
				     "(DenyUsers= in sshgw.conf)\n"));
	assert_non_null(strstr(said, "warning: AllowUsers: no-such-user: there is no such account "
				     "on this host\n"));
	assert_non_null(strstr(said,
			       "warning: DenyUsers: neither-this: there is no such account on "
			       "this host\n"));
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
		cmocka_unit_test(test_empty),	   cmocka_unit_test(test_open),
		cmocka_unit_test(test_forwarding), cmocka_unit_test(test_keys_and_files),
		cmocka_unit_test(test_accounts),   cmocka_unit_test(test_bad),
		cmocka_unit_test(test_no_file),
	};

	/* The file has to be root's. */
	if (getuid() != 0)
		return 77;
	return cmocka_run_group_tests(tests, NULL, remove_file);
}
