/* coordctl and a coordinator: the verbs that ask one, over its unix socket. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/text.h"
#include "coord/registry/checks.h"
#include "coord/registry/code.h"
#include "tests/unit/coordctl-fixture.h"
#include "tests/unit/golden.h"

/* ---- what is random in its output ---- */

static size_t id_len(const char *text)
{
	size_t n = strspn(text + 1, "abcdefghijklmnopqrstuvwxyz234567");

	return strchr("nka", text[0]) && text[0] && n == 12 && !isalnum((unsigned char)text[13])
		       ? 13
		       : 0;
}

static size_t code_len(const char *text)
{
	char code[CODE_LEN + 1];

	snprintf(code, sizeof(code), "%s", text);
	return strlen(code) == CODE_LEN && code_is_valid(code) &&
			       !isalnum((unsigned char)text[CODE_LEN])
		       ? CODE_LEN
		       : 0;
}

static size_t check_code_len(const char *text)
{
	char code[CHECK_CODE_SIZE];

	snprintf(code, sizeof(code), "%s", text);
	return check_code_is_valid(code) && !isalnum((unsigned char)text[CHECK_CODE_SIZE - 1])
		       ? CHECK_CODE_SIZE - 1
		       : 0;
}

/* Of the mesh's ULA prefix, "fd12:345:67::": groups have as many digits as they need. */
static size_t ula_len(const char *text)
{
	size_t n = strspn(text, "0123456789abcdef:");
	const char *end = strstr(text, "::");

	return strncmp(text, "fd", 2) == 0 && text[4] == ':' && end && (size_t)(end - text) < n
		       ? (size_t)(end - text)
		       : 0;
}

/* Whatever its length was. */
static void shorten(char *text, size_t *len, size_t max)
{
	if (*len <= max)
		return;
	memmove(text + max, text + *len, strlen(text + *len) + 1);
	*len = max;
}

/* Revisions, which begin with the time of day. */
static size_t revision_len(const char *text)
{
	size_t n = strspn(text, "0123456789");

	return n == 16 ? n : 0;
}

static size_t secret_len(const char *text)
{
	static const char *const prefixes[] = { "pgauth.", "pgapi.", "pgc:" };

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (strncmp(text, prefixes[i], strlen(prefixes[i])) == 0)
			return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					    "0123456789_-.:");
	return 0;
}

#define LINK "set-password/"

static size_t link_len(const char *text)
{
	return strncmp(text, LINK, strlen(LINK)) == 0 ? strlen(LINK) + SECRET_SIZE - 1 : 0;
}

/* Random letters become '#', as many of them. */
static void mask(char *text)
{
	char before = ' ';

	for (char *p = text; *p; p++) {
		size_t n = 0, keep = 1;

		if (!isalnum((unsigned char)before)) {
			n = id_len(p);
			if (n == 0 && (n = code_len(p)) > 0)
				keep = 0;
			if (n == 0 && (n = check_code_len(p)) > 0)
				keep = 0;
			if (n == 0 && (n = secret_len(p)) > 0)
				keep = 4;
			if (n == 0 && (n = link_len(p)) > 0)
				keep = strlen(LINK);
			if (n == 0 && (n = ula_len(p)) > 0) {
				keep = 2;
				shorten(p, &n, 4);
			}
			if (n == 0 && (n = revision_len(p)) > 0)
				keep = 0;
		}
		before = *p;
		if (n == 0)
			continue;
		memset(p + keep, '#', n - keep);
		p += n - 1;
		before = 'x';
	}
}

/* ---- a day's work ---- */

#define EXPECT(golden, ...)                     \
	{                                       \
		golden, { __VA_ARGS__ }, CLI_OK \
	}
#define REFUSED(golden, ...)                    \
	{                                       \
		golden, { __VA_ARGS__ }, CLI_NO \
	}

/* In this order: each finds what the ones before it have left. */
static const struct {
	const char *golden; /* of standard output, and behind it of standard error */
	const char *words[14];
	int status;
} steps[] = {
	EXPECT("status.txt", "status"),
	EXPECT("nodes-list.txt", "nodes", "list"),
	EXPECT("nodes-show.txt", "nodes", "show", "web"),
	REFUSED("nodes-show-none.txt", "nodes", "show", "nowhere"),
	EXPECT("checks-list.txt", "checks", "list"),
	REFUSED("checks-revoke-none.txt", "checks", "revoke", "nobody"),
	EXPECT("checks-revoke.txt", "checks", "revoke", "desk"),
	EXPECT("checks-list-after.txt", "checks", "list"),
	EXPECT("users-add.txt", "users", "add", "bob@example.com", "--name", "Bob B.", "--role",
	       "admin", "--role", "auditor"),
	REFUSED("users-add-again.txt", "users", "add", "bob@example.com"),
	EXPECT("users-set.txt", "users", "set", "bob@example.com", "--no-roles"),
	EXPECT("users-list.txt", "users", "list"),
	EXPECT("users-add-link.txt", "users", "add", "carol@example.com", "--set-password-link"),
	EXPECT("users-password-link.txt", "users", "password-link", "bob@example.com"),
	EXPECT("users-password-link.json", "users", "password-link", "bob@example.com", "--json"),
	REFUSED("users-password-link-none.txt", "users", "password-link", "dave@example.com"),
	EXPECT("users-show.txt", "users", "show", "alice@example.com"),
	EXPECT("users-groups.txt", "users", "groups"),
	EXPECT("users-groups.json", "users", "groups", "--json"),
	EXPECT("users-show-new.txt", "users", "show", "carol@example.com"),
	EXPECT("users-totp-reset.txt", "users", "totp-reset", "carol@example.com"),
	EXPECT("users-sign-out.txt", "users", "sign-out", "alice@example.com"),
	EXPECT("users-suspend.txt", "users", "suspend", "carol@example.com"),
	EXPECT("users-show-suspended.txt", "users", "show", "carol@example.com"),
	EXPECT("users-list-suspended.txt", "users", "list"),
	EXPECT("users-resume.txt", "users", "resume", "carol@example.com"),
	EXPECT("authkeys-create.txt", "authkeys", "create", "--user", "bob@example.com",
	       "--reusable", "--expires", "90d", "--description", "rack 7"),
	REFUSED("authkeys-create-bad.txt", "authkeys", "create", "--tag", "tag:prod"),
	EXPECT("authkeys-list.txt", "authkeys", "list"),
	EXPECT("apikeys-create.txt", "apikeys", "create", "--scope", "policy:read", "--scope",
	       "policy:write", "--expires", "never"),
	EXPECT("apikeys-list.txt", "apikeys", "list"),
	EXPECT("policy-get-default.txt", "policy", "get"),
	EXPECT("policy-check.txt", "policy", "check", POLICY),
	REFUSED("policy-check-bad.txt", "policy", "check", "bad.hujson"),
	EXPECT("policy-check.json", "policy", "check", POLICY, "--json"),
	REFUSED("policy-diff.txt", "policy", "diff", POLICY),
	{ "policy-diff-bad.txt", { "policy", "diff", "bad.hujson" }, CTL_NO_ANSWER },
	REFUSED("policy-set-bad.txt", "policy", "set", "bad.hujson"),
	REFUSED("policy-set-not-it.txt", "policy", "set", POLICY, "--if-version", "7"),
	EXPECT("policy-set.txt", "policy", "set", POLICY, "--confirm-within", "10m", "--if-version",
	       "0", "--comment", "ours & theirs"),
	EXPECT("status-unconfirmed.txt", "status"),
	EXPECT("policy-confirm.txt", "policy", "confirm"),
	REFUSED("policy-confirm-again.txt", "policy", "confirm"),
	EXPECT("policy-set-again.txt", "policy", "set", POLICY, "--confirm-within", "10m"),
	{ "policy-set-long.txt", { "policy", "set", POLICY, "--confirm-within", "2d" }, CLI_USAGE },
	EXPECT("policy-history.txt", "policy", "history"),
	EXPECT("policy-explain.txt", "policy", "explain", "desk", "web:22"),
	REFUSED("policy-explain-login.txt", "policy", "explain", "desk", "root@web"),
	{ "policy-explain-what.txt", { "policy", "explain", "desk", "printer" }, CTL_NO_ANSWER },
	EXPECT("policy-explain-file.txt", "policy", "explain", POLICY, "desk", "web:22"),
	EXPECT("policy-diff-files.txt", "policy", "diff", POLICY, POLICY),
	EXPECT("policy-check-groups.txt", "policy", "check", "groups.hujson", "--strict"),
	EXPECT("policy-explain-groups.txt", "policy", "explain", "groups.hujson", "desk", "web:22"),
	REFUSED("policy-diff-groups.txt", "policy", "diff", POLICY, "groups.hujson"),
	EXPECT("policy-test.txt", "policy", "test", POLICY),
	EXPECT("policy-compile.txt", "policy", "compile", POLICY, "--node", "web"),
	EXPECT("nodes-tag.txt", "nodes", "tag", "web", "tag:prod"),
	EXPECT("nodes-rename.txt", "nodes", "rename", "web", "www"),
	EXPECT("nodes-set-expiry.txt", "nodes", "set-expiry", "www", "30d"),
	{ "nodes-set-expiry-bare.txt", { "nodes", "set-expiry", "www", "90" }, CLI_USAGE },
	EXPECT("nodes-disable-expiry.txt", "nodes", "disable-key-expiry", "www"),
	EXPECT("nodes-expire.txt", "nodes", "expire", "desk"),
	EXPECT("nodes-list-after.txt", "nodes", "list"),
	EXPECT("nodes-assign.txt", "nodes", "assign", "www", "bob@example.com"),
	EXPECT("nodes-delete.txt", "nodes", "delete", "desk"),
	EXPECT("auth-list.txt", "auth", "list"),
	EXPECT("policy-rollback.txt", "policy", "rollback", "0"),
	EXPECT("users-list.json", "users", "list", "--json"),
	{ "users-unbind-half.txt",
	  { "users", "unbind", "alice@example.com", "https://idp.example" },
	  CLI_USAGE },
	REFUSED("users-unbind-other.txt", "users", "unbind", "alice@example.com",
		"https://idp.example", "8"),
	EXPECT("users-unbind.txt", "users", "unbind", "alice@example.com", "https://idp.example",
	       "7"),
	REFUSED("users-unbind-again.txt", "users", "unbind", "alice@example.com"),
	EXPECT("users-show-unbound.txt", "users", "show", "alice@example.com"),
	EXPECT("events.txt", "events"),
};

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What happened at the same time has no order. */
static void sort_lines(char *text)
{
	_cleanup_free_ char *copy = strdup(text);
	char *rest = copy, *lines[128], *line;
	size_t n = 0;

	while ((line = strsep(&rest, "\n")) && *line) {
		assert_true(n < ARRAY_SIZE(lines));
		lines[n++] = line;
	}
	qsort(lines, n, sizeof(*lines), compare_lines);
	for (size_t i = 0; i < n; i++)
		text += sprintf(text, "%s\n", lines[i]);
}

static void check_tame(const char *text)
{
	for (; *text; text++)
		assert_false(((unsigned char)*text < 0x20 && *text != '\n' && *text != '\t') ||
			     *text == 0x7f);
}

static void test_a_day(void **state)
{
	const struct server *server = *state;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		_cleanup_(run_done) struct run run = { 0 };
		_cleanup_free_ char *all = NULL, *name = NULL;

		run_coordctl(server, steps[i].words, &run);
		all = text_printf("%s%s%s", run.out, run.err[0] ? "--\n" : "", run.err);
		name = text_printf("coordctl-online/%s", steps[i].golden);
		mask(all);
		check_tame(all);
		if (strcmp(steps[i].words[0], "events") == 0)
			sort_lines(all);
		golden_check(name, all);
		if (run.status != steps[i].status)
			fail_msg("%s: %d, not %d", steps[i].golden, run.status, steps[i].status);
	}
}

/* ---- what has no golden file ---- */

static void test_approve(void **state)
{
	const struct server *server = *state;
	_cleanup_(run_done) struct run list = { 0 }, approved = { 0 }, again = { 0 };
	json_auto_t *json = NULL;
	const char *code;

	RUN(server, &list, "auth", "list", "--json");
	json = json_loads(list.out, 0, NULL);
	code = json_string_value(
		json_object_get(json_array_get(json_object_get(json, "auth"), 0), "code"));
	assert_non_null(code);
	RUN(server, &approved, "nodes", "approve", code, "--user", "alice@example.com");
	assert_int_equal(approved.status, CLI_OK);
	assert_non_null(strstr(approved.out, "newcomer (n"));
	assert_non_null(strstr(approved.out, "alice@example.com, key expires in"));
	RUN(server, &again, "auth", "reject", code);
	assert_int_equal(again.status, CLI_NO);
	assert_string_equal(again.out, "");
}

static void test_keys_are_revoked(void **state)
{
	static const char *const kinds[] = { "authkeys", "apikeys" };
	const struct server *server = *state;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		_cleanup_(run_done) struct run made = { 0 }, revoked = { 0 }, list = { 0 };
		json_auto_t *json = NULL;
		const char *id;

		if (i == 0)
			RUN(server, &made, "authkeys", "create", "--user", "alice@example.com",
			    "--json");
		else
			RUN(server, &made, "apikeys", "create", "--scope", "all", "--json");
		json = json_loads(made.out, 0, NULL);
		id = json_string_value(json_object_get(json, "id"));
		assert_non_null(id);
		RUN(server, &revoked, kinds[i], "revoke", id);
		assert_int_equal(revoked.status, CLI_OK);
		assert_non_null(strstr(revoked.out, ": revoked\n"));
		RUN(server, &list, kinds[i], "list");
		assert_non_null(strstr(list.out, "revoked"));
	}
}

static void test_map_and_metrics(void **state)
{
	_cleanup_(run_done) struct run map = { 0 }, metrics = { 0 };
	json_auto_t *json = NULL;

	RUN(*state, &map, "debug", "map", "web");
	json = json_loads(map.out, 0, NULL);
	assert_int_equal(map.status, CLI_OK);
	assert_string_equal(json_string_value(json_object_get(json, "type")), "full");
	RUN(*state, &metrics, "metrics");
	assert_int_equal(metrics.status, CLI_OK);
	assert_non_null(strstr(metrics.out, "peergate_coord_nodes{key=\"valid\"} 2\n"));
	assert_non_null(strstr(metrics.out, "# EOF\n"));
}

/* ---- events, as they happen ---- */

static void test_follow(void **state)
{
	struct server *server = *state;
	_cleanup_(run_done) struct run added = { 0 };
	char line[512];
	FILE *f;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct ctl ctl = ctl_for(server);
		char *argv[] = { (char *)"coordctl", (char *)"events", (char *)"--follow", NULL };

		ctl.out.file = fdopen(fds[1], "w");
		ctl.err.file = stderr;
		_exit(cli_run(&ctl_program, 3, argv, &ctl));
	}
	close(fds[1]);
	f = fdopen(fds[0], "r");
	/* What was, as far as the last enrolment; then what happens. */
	do
		assert_non_null(fgets(line, sizeof(line), f));
	while (!strstr(line, "mesh.init"));
	/* Keepalives come in between, of which nothing is to be seen. */
	usleep(5 * KEEPALIVE_USEC);
	RUN(server, &added, "users", "add", "carol@example.com");
	do {
		assert_non_null(fgets(line, sizeof(line), f));
		assert_int_equal(strncmp(line, "2027-01-15T", 11), 0);
	} while (!strstr(line, "user.add carol@example.com ok"));
	fclose(f);
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		COORDCTL_TEST(test_a_day),
		COORDCTL_TEST(test_approve),
		COORDCTL_TEST(test_keys_are_revoked),
		COORDCTL_TEST(test_map_and_metrics),
		COORDCTL_TEST(test_follow),
	};

	if (argc == 3 && strcmp(argv[1], "--serve") == 0)
		return coordctl_serve(argv[2]);
	return cmocka_run_group_tests(tests, coordctl_enter_data, NULL);
}
