#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/ceiling.h"
#include "common/file.h"
#include "common/text.h"

static char path[] = "/tmp/test-ceiling.XXXXXX";

/* Return: of ceiling_load(). */
static int load(const char *content, struct ceiling *ret_ceiling, char **reterr_text)
{
	assert_int_equal(file_write_atomic(AT_FDCWD, path, content, strlen(content), 0644), 0);
	return ceiling_load(path, ret_ceiling, reterr_text);
}

static void test_no_file_means_no_ssh(void **state)
{
	_cleanup_(ceiling_done) struct ceiling ceiling = { .ssh = true };
	char *text = NULL;

	assert_int_equal(ceiling_load("/tmp/test-ceiling.none", &ceiling, &text), 0);
	assert_null(text);
	assert_false(ceiling.ssh);
	assert_non_null(ceiling_refuses(&ceiling, "alice", 1000));
}

/* Also: nothing that is left out may open anything. */
static void test_empty_file(void **state)
{
	_cleanup_(ceiling_done) struct ceiling ceiling = { .ssh = true, .permit_root = true };
	struct ceiling defaults;
	char *text = NULL;

	assert_int_equal(load("", &ceiling, &text), 0);
	assert_false(ceiling.ssh);
	assert_false(ceiling.permit_root);
	ceiling_default(&defaults);
	assert_memory_equal(&ceiling, &defaults, sizeof(defaults));
	assert_true(defaults.login_grace_usec > 0 && defaults.max_agent_absence_usec > 0 &&
		    defaults.max_unauthenticated > 0 && defaults.max_unauthenticated_per_peer > 0 &&
		    defaults.max_sessions > 0);
}

static void test_all_settings(void **state)
{
	_cleanup_(ceiling_done) struct ceiling c = { 0 };
	char *text = NULL;

	assert_int_equal(load("# comment\nSSH=yes\nPermitRootLogin=yes\nAllowUsers=alice bob\n"
			      "DenyUsers=eve\nLoginGraceTime=30s\nMaxAgentAbsence=1h\n"
			      "MaxUnauthenticated=5\nMaxUnauthenticatedPerPeer=3\n"
			      "MaxSessions=7\nMaxEnv=0\nSftpServer=/opt/sftp-server\n"
			      "MaxHeldLogins=8\nMaxHeldLoginsPerPeer=0\nCheckTimeout=90s\n"
			      "MaxLeftRunning=9\nMaxLeftRunningPerPeer=0\n"
			      "RekeyLimit=64M 5m\nMaxForwards=12\nMaxListens=0\n"
			      "GatewayPorts=clientspecified\nX11Forwarding=no\n"
			      "KeepaliveInterval=20s\nMaxPeerAbsence=2d\n"
			      "PenaltyAfter=0\nPenaltyTime=3s\nMaxPenaltyTime=1d\n",
			      &c, &text),
			 0);
	assert_true(c.ssh && c.permit_root);
	assert_string_equal(c.allow_users[1], "bob");
	assert_string_equal(c.deny_users[0], "eve");
	assert_true(c.login_grace_usec == 30000000);
	assert_true(c.max_agent_absence_usec == 3600000000);
	assert_int_equal(c.max_unauthenticated, 5);
	assert_int_equal(c.max_unauthenticated_per_peer, 3);
	assert_int_equal(c.max_sessions, 7);
	assert_int_equal(c.max_env, 0);
	assert_string_equal(c.sftp_server, "/opt/sftp-server");
	assert_int_equal(c.max_held, 8);
	assert_int_equal(c.max_held_per_peer, 0);
	assert_true(c.check_timeout_usec == 90000000);
	assert_int_equal(c.max_left_running, 9);
	assert_int_equal(c.max_left_running_per_peer, 0);
	assert_int_equal(c.max_forwards, 12);
	assert_int_equal(c.max_listens, 0);
	assert_int_equal(c.gateway_ports, GATEWAY_PORTS_CLIENT);
	assert_false(c.x11_forwarding);
	assert_true(c.keepalive_usec == 20000000);
	assert_true(c.max_peer_absence_usec == 172800000000);
	assert_int_equal(c.penalty_after, 0);
	assert_int_equal(c.penalty_usec, 3000000);
	assert_true(c.max_penalty_usec == 86400000000);
	assert_int_equal(c.rekey.bytes, 64 << 20);
	assert_int_equal(c.rekey.usec, 300000000);
}

static void test_rekey_limit(void **state)
{
	static const struct {
		const char *content;
		struct rekey_limit limit;
	} cases[] = {
		{ "", { 1ull << 30, 3600000000 } },
		{ "RekeyLimit=1M", { 1 << 20, 0 } },
		{ "RekeyLimit=64G 7d", { 64ull << 30, 604800000000 } },
		{ "RekeyLimit=default", { 0, 0 } },
		{ "RekeyLimit=default none", { 0, 0 } },
		{ "RekeyLimit=default 1s", { 0, 1000000 } },
		{ "RekeyLimit=2048K\t90", { 2 << 20, 90000000 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(ceiling_done) struct ceiling c = { 0 };
		char *text = NULL;

		print_message("%s\n", cases[i].content);
		assert_int_equal(load(cases[i].content, &c, &text), 0);
		assert_int_equal(c.rekey.bytes, cases[i].limit.bytes);
		assert_int_equal(c.rekey.usec, cases[i].limit.usec);
	}
}

static void test_bad_files(void **state)
{
	static const char *const cases[] = {
		"SSH=perhaps\n",
		"SSH\n",
		"ssh=yes\n",
		"SSH=yes\nSSH=yes\n",
		"LoginGraceTime=0\n",
		"LoginGraceTime=11m\n",
		"MaxAgentAbsence=0\n",
		"MaxAgentAbsence=8d\n",
		"KeepaliveInterval=0\n",
		"KeepaliveInterval=7h\n",
		"MaxPeerAbsence=9s\n",
		"MaxPeerAbsence=8d\n",
		"MaxUnauthenticated=0\n",
		"MaxUnauthenticated=4097\n",
		"MaxSessions=0\n",
		"MaxSessions=65\n",
		"MaxEnv=65\n",
		"MaxForwards=201\n",
		"MaxListens=101\n",
		"GatewayPorts=\n",
		"GatewayPorts=maybe\n",
		"X11Forwarding=perhaps\n",
		"MaxLeftRunning=151\n",
		"MaxHeldLogins=801\n",
		"PenaltyAfter=10001\n",
		"PenaltyTime=0\n",
		"PenaltyTime=25h\n",
		"MaxPenaltyTime=500ms\n",
		"CheckTimeout=0\n",
		"CheckTimeout=11m\n",
		"MaxEnv=-1\n",
		"MaxUnauthenticatedPerPeer=0\n",
		"SftpServer=\n",
		"SftpServer=sftp-server\n",
		"SftpServer=internal-sftp\n",
		"SftpServer=None\n",
		"RekeyLimit=\n",
		"RekeyLimit=none\n",
		"RekeyLimit=1m\n",
		"RekeyLimit=1023K\n",
		"RekeyLimit=65G\n",
		"RekeyLimit=1M default\n",
		"RekeyLimit=1M 500ms\n",
		"RekeyLimit=1M 8d\n",
		"RekeyLimit=1M 1h 1h\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ceiling c = { .max_env = 4711 };
		_cleanup_free_ char *text = NULL;

		print_message("%s", cases[i]);
		assert_int_equal(load(cases[i], &c, &text), -EINVAL);
		assert_non_null(strstr(text, path));
		assert_int_equal(c.max_env, 4711);
	}
}

/* Only root's word counts. */
static void test_who_may_write_it(void **state)
{
	static const struct {
		mode_t mode;
		uid_t owner;
		int r;
	} cases[] = {
		{ 0644, 0, 0 },	     { 0600, 0, 0 },	     { 0400, 0, 0 },
		{ 0664, 0, -EPERM }, { 0646, 0, -EPERM },    { 0620, 0, -EPERM },
		{ 0602, 0, -EPERM }, { 0644, 4242, -EPERM },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ceiling c = { 0 };
		_cleanup_free_ char *text = NULL;

		print_message("case %zu\n", i);
		assert_int_equal(file_write_atomic(AT_FDCWD, path, "SSH=yes\n", 8, cases[i].mode),
				 0);
		assert_int_equal(chown(path, cases[i].owner, 0), 0);
		assert_int_equal(ceiling_load(path, &c, &text), cases[i].r);
		assert_int_equal(c.ssh, cases[i].r == 0);
		assert_int_equal(text == NULL, cases[i].r == 0);
		ceiling_done(&c);
	}
	unlink(path);
}

static void test_not_a_file(void **state)
{
	struct ceiling c = { 0 };
	_cleanup_free_ char *text = NULL;

	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(ceiling_load(path, &c, &text), -EINVAL);
	unlink(path);
}

static void test_refuses(void **state)
{
	char alice[] = "alice", bob[] = "bob", root[] = "root";
	char *only_alice[] = { alice, NULL }, *both[] = { alice, bob, NULL }, *none[] = { NULL };
	char *only_root[] = { root, NULL };
	const struct {
		struct ceiling ceiling;
		const char *account;
		uid_t uid;
		const char *why; /* NULL: not refused */
	} cases[] = {
		{ { .ssh = true }, "alice", 1000, NULL },
		{ { .ssh = false, .permit_root = true }, "alice", 1000, "SSH=" },
		{ { .ssh = true }, "root", 0, "PermitRootLogin=" },
		{ { .ssh = true, .permit_root = true }, "root", 0, NULL },
		/* uid 0 under another name */
		{ { .ssh = true }, "toor", 0, "PermitRootLogin=" },
		{ { .ssh = true, .allow_users = only_root }, "root", 0, "PermitRootLogin=" },
		{ { .ssh = true, .allow_users = only_alice }, "alice", 1000, NULL },
		{ { .ssh = true, .allow_users = only_alice }, "bob", 1001, "AllowUsers=" },
		{ { .ssh = true, .allow_users = only_alice }, "Alice", 1000, "AllowUsers=" },
		{ { .ssh = true, .allow_users = only_alice }, "alic", 1000, "AllowUsers=" },
		{ { .ssh = true, .allow_users = only_alice, .permit_root = true },
		  "root",
		  0,
		  "AllowUsers=" },
		{ { .ssh = true, .allow_users = none }, "bob", 1001, "AllowUsers=" },
		{ { .ssh = true, .deny_users = only_alice }, "alice", 1000, "DenyUsers=" },
		{ { .ssh = true, .deny_users = only_alice }, "bob", 1001, NULL },
		{ { .ssh = true, .allow_users = both, .deny_users = only_alice },
		  "alice",
		  1000,
		  "DenyUsers=" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *why =
			ceiling_refuses(&cases[i].ceiling, cases[i].account, cases[i].uid);

		print_message("case %zu: %s\n", i, why ? why : "-");
		if (cases[i].why)
			assert_non_null(strstr(why ? why : "", cases[i].why));
		else
			assert_null(why);
	}
}

static int setup(void **state)
{
	int fd = mkstemp(path);

	close_fd(fd);
	return fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	unlink(path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_file_means_no_ssh),
		cmocka_unit_test(test_empty_file),
		cmocka_unit_test(test_all_settings),
		cmocka_unit_test(test_rekey_limit),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_who_may_write_it),
		cmocka_unit_test(test_not_a_file),
		cmocka_unit_test(test_refuses),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "Files of root's are needed: run as root, skipped\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
