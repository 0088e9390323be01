/* The pieces of a login that need neither PAM nor root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those above */
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <lastlog.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <utmpx.h>

#include "common/account.h"
#include "common/text.h"
#include "sshgw/session/environment.h"
#include "sshgw/session/login_defs.h"
#include "sshgw/session/login_record.h"
#include "sshgw/session/login_text.h"

/* ---- environment ---- */

static void assert_env(const struct environment *env, const char *const *want)
{
	size_t n = 0;

	for (; want[n]; n++) {
		assert_true(n < env->n);
		assert_string_equal(env->vars[n], want[n]);
	}
	assert_int_equal(env->n, n);
	assert_null(env->vars[n]);
}

static void test_environment_set(void **state)
{
	_cleanup_(environment_done) struct environment env = { 0 };

	assert_int_equal(environment_set(&env, "A", "1"), 0);
	assert_int_equal(environment_set(&env, "AB", "x=y"), 0);
	assert_int_equal(environment_set(&env, "A", "2"), 0);
	assert_int_equal(environment_set(&env, "", "2"), -EINVAL);
	assert_int_equal(environment_set(&env, "A=B", "2"), -EINVAL);
	assert_env(&env, (const char *const[]){ "A=2", "AB=x=y", NULL });
	assert_string_equal(environment_get(env.vars, "AB"), "x=y");
	assert_null(environment_get(env.vars, "B"));
	assert_null(environment_get(NULL, "A"));
}

static void test_login_environment(void **state)
{
	static const char *const pam[] = { "PATH=/pam",		 "MAIL=/pam/mail",
					   "LANG=C.UTF-8",	 "HOME=/evil",
					   "SHELL=/evil",	 "USER=evil",
					   "LOGNAME=evil",	 "SSH_CONNECTION=evil",
					   "SSH_CLIENT=evil",	 "LD_PRELOAD=/evil",
					   "no equals sign",	 "=no name",
					   "XDG_SESSION_ID=5=5", NULL };
	struct login_environment in = {
		.user = "alice",
		.home = "/home/alice",
		.shell = "/bin/bash",
		.path = "/bin",
		.ssh_client = "::1 2 22",
		.ssh_connection = "::1 2 ::2 22",
	};
	struct environment env;

	assert_int_equal(login_environment_build(&in, &env), 0);
	assert_env(&env,
		   (const char *const[]){ "USER=alice", "LOGNAME=alice", "HOME=/home/alice",
					  "SHELL=/bin/bash", "PATH=/bin", "SSH_CLIENT=::1 2 22",
					  "SSH_CONNECTION=::1 2 ::2 22", NULL });
	environment_done(&env);

	in.tz = "UTC";
	in.pam = (char *const *)pam;
	assert_int_equal(login_environment_build(&in, &env), 0);
	assert_env(&env, (const char *const[]){ "USER=alice", "LOGNAME=alice", "HOME=/home/alice",
						"SHELL=/bin/bash", "PATH=/pam", "TZ=UTC",
						"SSH_CLIENT=::1 2 22",
						"SSH_CONNECTION=::1 2 ::2 22", "MAIL=/pam/mail",
						"LANG=C.UTF-8", "XDG_SESSION_ID=5=5", NULL });
	environment_done(&env);
}

static void test_session_environment(void **state)
{
	static char lang[] = "LANG", c[] = "C", home[] = "HOME", evil[] = "/evil", bad[] = "A=B",
		    term[] = "xterm", empty[] = "";
	static const char *const login[] = { "HOME=/home/alice", "LC_TIME=de", NULL };
	struct msg_start start = {
		.env = { { lang, c }, { home, evil } },
		.n_env = 2,
		.pty = { .term = term },
	};
	struct environment env;

	assert_int_equal(session_environment_build((char *const *)login, &start, NULL, &env), 0);
	assert_env(&env, (const char *const[]){ "LANG=C", "HOME=/home/alice", "LC_TIME=de", NULL });
	environment_done(&env);

	start.has_pty = true;
	assert_int_equal(
		session_environment_build((char *const *)login, &start, "/dev/pts/7", &env), 0);
	assert_env(&env, (const char *const[]){ "LANG=C", "HOME=/home/alice", "TERM=xterm",
						"LC_TIME=de", "SSH_TTY=/dev/pts/7", NULL });
	environment_done(&env);

	start.pty.term = empty;
	start.env[1].name = bad;
	assert_int_equal(
		session_environment_build((char *const *)login, &start, "/dev/pts/7", &env),
		-EINVAL);
}

/* ---- login.defs ---- */

static void test_login_defs(void **state)
{
	static const struct {
		const char *text, *path, *root_path;
		uid_t uid_max;
	} cases[] = {
#define PATH  "/usr/local/bin:/usr/bin:/bin:/usr/games"
#define SUPER "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
		{ "", PATH, SUPER, UINT32_MAX },
		{ "#ENV_PATH PATH=/x\n", PATH, SUPER, UINT32_MAX },
		{ "ENV_PATHS /y\nXENV_PATH /z\n", PATH, SUPER, UINT32_MAX },
		{ "ENV_PATH\nENV_SUPATH \n", PATH, SUPER, UINT32_MAX },
		{ "ENV_PATH\tPATH=/a:/b", "/a:/b", SUPER, UINT32_MAX },
		{ "\n  ENV_SUPATH  \"/s:/t\" \nENV_PATH /a\nENV_PATH /b  \r\n", "/b", "/s:/t",
		  UINT32_MAX },
		{ "LASTLOG_UID_MAX 65535\n", PATH, SUPER, 65535 },
		{ "LASTLOG_UID_MAX many\n", PATH, SUPER, UINT32_MAX },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(login_defs_done) struct login_defs defs = { 0 };

		assert_int_equal(login_defs_parse(cases[i].text, &defs), 0);
		assert_string_equal(defs.path, cases[i].path);
		assert_string_equal(defs.root_path, cases[i].root_path);
		assert_int_equal(defs.lastlog_uid_max, cases[i].uid_max);
	}
}

/* ---- text of PAM modules ---- */

static void test_login_text(void **state)
{
	static const struct {
		const char *in, *banner, *motd;
	} cases[] = {
		{ "", "\n", "\n" },
		{ "one", "one\n", "one\n" },
		{ "one\n", "one\n", "one\n" },
		{ "a\tb\r\nc\n\n", "a\tb\nc\n\n", "a\tb\nc\n\n" },
		{ "\033[1;31mred\033[0m", "?[1;31mred?[0m\n", "\033[1;31mred\033[0m\n" },
		{ "\033[2J\033]0;title\a", "?[2J?]0;title?\n", "?[2J?]0;title?\n" },
		{ "\033", "?\n", "?\n" },
		{ "gr\303\274n \374", "gr\303\274n ?\n", "gr\303\274n ?\n" },
		{ "\302\233"
		  "31m \342\200\256",
		  "?31m ?\n", "?31m ?\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (int colours = 0; colours <= 1; colours++) {
			_cleanup_(login_text_done) struct login_text text = { .colours = colours };

			assert_string_equal(login_text_get(&text), "");
			login_text_add(&text, cases[i].in);
			assert_string_equal(login_text_get(&text),
					    colours ? cases[i].motd : cases[i].banner);
		}
	}
}

static void test_login_text_is_bounded(void **state)
{
	_cleanup_(login_text_done) struct login_text text = { .colours = true };
	const char *got;

	for (int i = 0; i < 1000; i++)
		login_text_add(&text, "A line of the message of the day");
	got = login_text_get(&text);
	assert_true(strlen(got) <= LOGIN_TEXT_MAX);
	assert_true(strlen(got) > LOGIN_TEXT_MAX - 100);
	assert_string_equal(got + strlen(got) - 10, "\033[0m[...]\n");
}

/* ---- account ---- */

static void test_shells(void **state)
{
	assert_true(account_shell_refuses("/usr/sbin/nologin"));
	assert_true(account_shell_refuses("/sbin/nologin"));
	assert_true(account_shell_refuses("/bin/false"));
	assert_false(account_shell_refuses("/bin/sh"));
	assert_false(account_shell_refuses("/opt/nologin/sh"));
	assert_true(account_shell_exists("/bin/sh"));
	assert_false(account_shell_exists("bin/sh"));
	assert_false(account_shell_exists("/bin"));
	assert_false(account_shell_exists("/etc/passwd"));
	assert_false(account_shell_exists("/no/such/shell"));
}

static void test_account(void **state)
{
	_cleanup_(account_freep) struct account *account = NULL;
	struct passwd *own = getpwuid(getuid());

	assert_int_equal(account_get("no-such-account", &account), ACCOUNT_UNKNOWN);
	assert_int_equal(account_get("0", &account), ACCOUNT_UNKNOWN);
	assert_int_equal(account_get("", &account), ACCOUNT_UNKNOWN);
	assert_null(account);
	if (!own)
		skip();
	assert_int_equal(account_get(own->pw_name, &account), 0);
	assert_string_equal(account->name, own->pw_name);
	assert_string_equal(account->home, own->pw_dir);
	assert_int_equal(account->uid, own->pw_uid);
	assert_int_equal(account->gid, own->pw_gid);
}

static void test_hushlogin(void **state)
{
	char dir[] = "/tmp/test-login-XXXXXX";
	struct account account = { .home = dir, .uid = getuid(), .gid = getgid() };
	_cleanup_free_ char *file = NULL;
	int fd;

	assert_non_null(mkdtemp(dir));
	assert_false(account_is_quiet(&account));
	file = text_printf("%s/.hushlogin", dir);
	fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_true(account_is_quiet(&account));
	if (getuid() == 0) {
		/* The user's own access decides: this directory is root's alone. */
		account.uid = account.gid = 65534;
		assert_false(account_is_quiet(&account));
		assert_int_equal(access(file, F_OK), 0);
	}
	unlink(file);
	rmdir(dir);
}

/* ---- records ---- */

static void test_line_names(void **state)
{
	static const char *const good[] = { "pts/0", "pts/7", "pts/10", "pts/1048576",
					    "pts/4294967295" };
	static const char *const bad[] = { "",	     "pts",	   "pts/",
					   "pts/x",  "pts/-1",	   "pts/00",
					   "pts/07", "pts/1 ",	   "pts/1/",
					   "tty1",   "/dev/pts/1", "pts/../tty1",
					   " pts/1", "PTS/1",	   "pts/12345678901",
					   "pts/1\n" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(login_line_is_valid(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(login_line_is_valid(bad[i]));
}

struct record_files {
	char dir[32];
	char *utmp, *wtmp, *lastlog;
	struct login_record *record;
};

static int set_up_records(void **state)
{
	struct record_files *files = calloc(1, sizeof(*files));
	char *paths[3];

	strcpy(files->dir, "/tmp/test-login-XXXXXX");
	if (!mkdtemp(files->dir))
		return -1;
	for (int i = 0; i < 3; i++) {
		paths[i] = text_printf("%s/%d", files->dir, i);
		close(open(paths[i], O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	}
	files->utmp = paths[0];
	files->wtmp = paths[1];
	files->lastlog = paths[2];
	*state = files;
	return login_record_new(
		&(struct login_record_config){
			.utmp = files->utmp,
			.wtmp = files->wtmp,
			.lastlog = files->lastlog,
			.user = "a-user-name-that-fills-the-field",
			.remote_host = "fd00::2",
			.uid = 3,
			.lastlog_uid_max = 1000,
			.pid = 77,
		},
		&files->record);
}

static int tear_down_records(void **state)
{
	struct record_files *files = *state;

	login_record_free(files->record);
	unlink(files->utmp);
	unlink(files->wtmp);
	unlink(files->lastlog);
	rmdir(files->dir);
	free(files->utmp);
	free(files->wtmp);
	free(files->lastlog);
	free(files);
	return 0;
}

/* The i-th entry of a file; false behind the end. */
static bool read_entry(const char *path, int i, struct utmpx *entry)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = pread(fd, entry, sizeof(*entry), (off_t)i * (off_t)sizeof(*entry));

	close(fd);
	return n == sizeof(*entry);
}

static void test_record(void **state)
{
	static const uint8_t address[16] = { 0xfd, [15] = 2 };
	struct record_files *files = *state;
	struct lastlog last = { 0 };
	struct utmpx entry;
	int fd;

	assert_int_equal(login_record_login(files->record, "tty1"), -EINVAL);
	assert_int_equal(login_record_login(files->record, "pts/123"), 0);
	assert_int_equal(login_record_login(files->record, "pts/123"), -EEXIST);
	assert_int_equal(login_record_login(files->record, "pts/4"), 0);

	assert_true(read_entry(files->utmp, 0, &entry));
	assert_int_equal(entry.ut_type, USER_PROCESS);
	assert_int_equal(entry.ut_pid, 77);
	assert_string_equal(entry.ut_line, "pts/123");
	assert_memory_equal(entry.ut_id, "/123", 4);
	assert_memory_equal(entry.ut_user, "a-user-name-that-fills-the-field", 32);
	assert_string_equal(entry.ut_host, "fd00::2");
	assert_memory_equal(entry.ut_addr_v6, address, 16);
	assert_true(entry.ut_tv.tv_sec != 0);

	fd = open(files->lastlog, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, &last, sizeof(last), 3 * sizeof(last)), sizeof(last));
	close(fd);
	assert_string_equal(last.ll_line, "pts/4");
	assert_string_equal(last.ll_host, "fd00::2");

	assert_int_equal(login_record_logout(files->record, "pts/5"), -ENOENT);
	assert_int_equal(login_record_logout(files->record, "pts/123"), 0);
	assert_int_equal(login_record_logout(files->record, "pts/123"), -ENOENT);
	assert_true(read_entry(files->utmp, 0, &entry));
	assert_int_equal(entry.ut_type, DEAD_PROCESS);
	assert_string_equal(entry.ut_line, "pts/123");
	assert_string_equal(entry.ut_user, "");
	assert_string_equal(entry.ut_host, "");

	/* Whatever is left is logged out at the end. */
	files->record = login_record_free(files->record);
	assert_true(read_entry(files->utmp, 1, &entry));
	assert_int_equal(entry.ut_type, DEAD_PROCESS);
	assert_false(read_entry(files->utmp, 2, &entry));
	assert_true(read_entry(files->wtmp, 3, &entry));
	assert_string_equal(entry.ut_line, "pts/4");
	assert_int_equal(entry.ut_type, DEAD_PROCESS);
	assert_false(read_entry(files->wtmp, 4, &entry));
}

/* What lastlog has of uid 3 becomes this, of len bytes. */
static void write_lastlog(const struct record_files *files, const void *content, size_t len)
{
	int fd = open(files->lastlog, O_WRONLY | O_CLOEXEC);

	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, content, len, 3 * sizeof(struct lastlog)), len);
	close(fd);
}

static void test_last_login(void **state)
{
	static const struct {
		time_t time;
		const char *host, *line;
	} cases[] = {
		{ 1795741323, "laptop", "Last login: Fri Nov 27 01:02:03 2026 from laptop\n" },
		{ 1762477323, "fd00::2", "Last login: Fri Nov  7 01:02:03 2025 from fd00::2\n" },
		{ 4102444800, "", "Last login: Fri Jan  1 00:00:00 2100\n" },
		{ 1, "\033]0;x\a\ny\342\200\256\303",
		  "Last login: Thu Jan  1 00:00:01 1970 from ?]0;x??y??\n" },
		{ 0, "laptop", NULL },
	};
	struct record_files *files = *state;

	setenv("TZ", "UTC", 1);
	assert_null(login_record_last(files->record));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct lastlog last = { .ll_time = (int32_t)cases[i].time };
		_cleanup_free_ char *line = NULL;

		memcpy(last.ll_host, cases[i].host, strlen(cases[i].host));
		write_lastlog(files, &last, sizeof(last));
		line = login_record_last(files->record);
		if (cases[i].line)
			assert_string_equal(line, cases[i].line);
		else
			assert_null(line);
	}
}

static void test_last_login_of_strange_files(void **state)
{
	struct record_files *files = *state;
	_cleanup_free_ char *line = NULL, *moved = text_printf("%s.moved", files->lastlog);
	struct lastlog last = { .ll_time = 1 };

	/* A field that is full, with the end in the middle of a character. */
	memset(last.ll_host, 'x', sizeof(last.ll_host));
	last.ll_host[sizeof(last.ll_host) - 1] = '\303';
	write_lastlog(files, &last, sizeof(last));
	line = login_record_last(files->record);
	assert_true(strlen(line) <= LOGIN_RECORD_LAST_MAX);
	assert_string_equal(line + strlen(line) - 4, "xx?\n");
	write_lastlog(files, &last, sizeof(last) - 1);
	assert_null(login_record_last(files->record));
	/* No such file; a link, which root does not follow. */
	write_lastlog(files, &last, sizeof(last));
	assert_int_equal(rename(files->lastlog, moved), 0);
	assert_null(login_record_last(files->record));
	assert_int_equal(symlink(moved, files->lastlog), 0);
	assert_null(login_record_last(files->record));
	unlink(moved);
}

/* Until the next is written; of accounts above LASTLOG_UID_MAX there is none. */
static void test_last_login_and_the_next(void **state)
{
	struct record_files *files = *state;
	struct login_record_config config = {
		.utmp = files->utmp,
		.wtmp = files->wtmp,
		.lastlog = files->lastlog,
		.user = "alice",
		.remote_host = "fd00::3",
		.uid = 3,
		.lastlog_uid_max = 3,
	};
	_cleanup_(login_record_freep) struct login_record *next = NULL, *above = NULL;
	_cleanup_free_ char *line = NULL;

	assert_int_equal(login_record_login(files->record, "pts/1"), 0);
	assert_int_equal(login_record_new(&config, &next), 0);
	line = login_record_last(next);
	assert_non_null(strstr(line, " from fd00::2\n"));
	assert_int_equal(login_record_login(next, "pts/2"), 0);
	free(line);
	line = login_record_last(next);
	assert_non_null(strstr(line, " from fd00::3\n"));
	config.lastlog_uid_max = 2;
	assert_int_equal(login_record_new(&config, &above), 0);
	assert_null(login_record_last(above));
}

static void test_record_bounds(void **state)
{
	struct record_files *files = *state;
	char line[16];

	for (int i = 0; i < 64; i++) {
		snprintf(line, sizeof(line), "pts/%d", i);
		assert_int_equal(login_record_login(files->record, line), 0);
	}
	assert_int_equal(login_record_login(files->record, "pts/64"), -ENOSPC);
	assert_int_equal(login_record_logout(files->record, "pts/0"), 0);
	assert_int_equal(login_record_login(files->record, "pts/64"), 0);
}

static void test_record_without_files(void **state)
{
	struct record_files *files = *state;

	unlink(files->utmp);
	unlink(files->wtmp);
	unlink(files->lastlog);
	assert_int_equal(login_record_login(files->record, "pts/1"), 0);
	assert_int_equal(login_record_logout(files->record, "pts/1"), 0);
	assert_int_equal(access(files->utmp, F_OK), -1);
	assert_int_equal(access(files->wtmp, F_OK), -1);
	assert_int_equal(access(files->lastlog, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_environment_set),
		cmocka_unit_test(test_login_environment),
		cmocka_unit_test(test_session_environment),
		cmocka_unit_test(test_login_defs),
		cmocka_unit_test(test_login_text),
		cmocka_unit_test(test_login_text_is_bounded),
		cmocka_unit_test(test_shells),
		cmocka_unit_test(test_account),
		cmocka_unit_test(test_hushlogin),
		cmocka_unit_test(test_line_names),
		cmocka_unit_test_setup_teardown(test_record, set_up_records, tear_down_records),
		cmocka_unit_test_setup_teardown(test_last_login, set_up_records, tear_down_records),
		cmocka_unit_test_setup_teardown(test_last_login_of_strange_files, set_up_records,
						tear_down_records),
		cmocka_unit_test_setup_teardown(test_last_login_and_the_next, set_up_records,
						tear_down_records),
		cmocka_unit_test_setup_teardown(test_record_bounds, set_up_records,
						tear_down_records),
		cmocka_unit_test_setup_teardown(test_record_without_files, set_up_records,
						tear_down_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
