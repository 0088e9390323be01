#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "coord/ctl/ctl.h"
#include "coord/ctl/render.h"
#include "tests/unit/golden.h"

/* What a run of coordctl left behind. */
struct run {
	char *out, *err;
	int status;
};

static void run_done(struct run *run)
{
	free(run->out);
	free(run->err);
}

static void run_ctl(struct ctl ctl, const char *const *words, struct run *run)
{
	char *argv[16] = { (char *)"coordctl" };
	size_t out_len, err_len;
	int argc = 1;

	ctl.server.socket = "/nonexistent/admin.sock";
	for (; words[argc - 1]; argc++)
		argv[argc] = (char *)words[argc - 1];
	ctl.out.file = open_memstream(&run->out, &out_len);
	ctl.err.file = open_memstream(&run->err, &err_len);
	assert_non_null(ctl.out.file);
	assert_non_null(ctl.err.file);
	run->status = cli_run(&ctl_program, argc, argv, &ctl);
	assert_int_equal(fclose(ctl.out.file), 0);
	assert_int_equal(fclose(ctl.err.file), 0);
}

static void run_coordctl(const char *const *words, bool terminal, struct run *run)
{
	run_ctl((struct ctl){ .out.terminal = terminal, .err.terminal = terminal }, words, run);
}

/* The only control character in any output is the end of a line, whatever the files hold. */
static void check_tame(const char *text)
{
	assert_null(strstr(text, "\u202e"));
	for (; *text; text++)
		assert_false(((unsigned char)*text < 0x20 && *text != '\n') || *text == 0x7f);
}

/* ---- verbs, on the files of data/coordctl ---- */

#define ON_NODES "--nodes", "nodes.json"

static const struct {
	const char *golden; /* of standard output */
	const char *words[10];
	int status;
	bool terminal;
} golden_cases[] = {
	{ "check-good.txt", { "policy", "check", "policy.hujson" }, CLI_OK },
	{ "check-good.json", { "policy", "check", "--json", "policy.hujson" }, CLI_OK },
	{ "check-bad.txt", { "policy", "check", "bad.hujson" }, CLI_NO },
	{ "check-bad-terminal.txt", { "policy", "check", "bad.hujson" }, CLI_NO, true },
	{ "check-bad.json", { "policy", "check", "bad.hujson", "--json" }, CLI_NO },
	{ "check-open.txt", { "policy", "check", "open.hujson" }, CLI_NO, true },
	{ "check-warn.txt", { "policy", "check", "warn.hujson", ON_NODES }, CLI_NO, true },
	{ "check-corners.txt", { "policy", "check", "corners.hujson", ON_NODES }, CLI_OK },
	{ "check-strict.txt",
	  { "policy", "check", "corners.hujson", "--strict", ON_NODES },
	  CLI_NO },
	{ "check-strict.json",
	  { "policy", "check", "corners.hujson", "--strict", "--json", ON_NODES },
	  CLI_NO },
	{ "check-hostile.txt", { "policy", "check", "hostile.hujson" }, CLI_NO, true },
	{ "check-wild.txt", { "policy", "check", "wild.hujson", ON_NODES }, CLI_NO, true },
	{ "check-roles.txt", { "policy", "check", "roles.hujson" }, CLI_NO },
	{ "check-roles-nodes.txt", { "policy", "check", "roles.hujson", ON_NODES }, CLI_OK },
	{ "test-good.txt", { "policy", "test", "policy.hujson", ON_NODES }, CLI_OK },
	{ "test-bad.txt", { "policy", "test", "warn.hujson", ON_NODES }, CLI_NO },
	{ "test-bad.json", { "policy", "test", "warn.hujson", "--json", ON_NODES }, CLI_NO },
	{ "test-none.txt", { "policy", "test", "corners.hujson", ON_NODES }, CLI_OK },
	{ "compile.txt", { "policy", "compile", "policy.hujson", ON_NODES }, CLI_OK },
	{ "compile.json", { "policy", "compile", "policy.hujson", "--json", ON_NODES }, CLI_OK },
	{ "compile-db.txt",
	  { "policy", "compile", "policy.hujson", "--node", "db", ON_NODES },
	  CLI_OK },
	{ "compile-db.json",
	  { "policy", "compile", "policy.hujson", "--json", "--node", "db", ON_NODES },
	  CLI_OK },
	{ "compile-corners.txt", { "policy", "compile", "corners.hujson", ON_NODES }, CLI_OK },
	{ "compile-wild.txt", { "policy", "compile", "wild.hujson", ON_NODES }, CLI_OK, true },
	{ "compile-wild.json",
	  { "policy", "compile", "wild.hujson", "--json", ON_NODES },
	  CLI_OK,
	  true },
	{ "compile-refused.json",
	  { "policy", "compile", "open.hujson", "--json", ON_NODES },
	  CTL_NO_ANSWER },
	{ "explain-yes.txt",
	  { "policy", "explain", "policy.hujson", ON_NODES, "alice@example.com", "tag:prod:22" },
	  CLI_OK },
	{ "explain-yes.json",
	  { "policy", "explain", "policy.hujson", ON_NODES, "desk", "web:443", "--json" },
	  CLI_OK },
	{ "explain-no.txt",
	  { "policy", "explain", "policy.hujson", ON_NODES, "guest", "web:22" },
	  CLI_NO },
	{ "explain-any-port.txt",
	  { "policy", "explain", "policy.hujson", ON_NODES, "desk", "web" },
	  CLI_OK },
	{ "explain-any-port.txt",
	  { "policy", "explain", "policy.hujson", ON_NODES, "desk", "web:*" },
	  CLI_OK },
	{ "explain-no-port.txt",
	  { "policy", "explain", "policy.hujson", ON_NODES, "desk", "router" },
	  CLI_NO },
	{ "explain-v6.txt",
	  { "policy", "explain", "policy.hujson", ON_NODES, "desk", "fd7a:115c:a1e0::10" },
	  CLI_OK },
	{ "explain-v6-port.txt",
	  { "policy", "explain", "policy.hujson", ON_NODES, "desk", "[fd7a:115c:a1e0::10]:22" },
	  CLI_OK },
	{ "explain-partly.txt",
	  { "policy", "explain", "policy.hujson", ON_NODES, "autogroup:member", "tag:prod:443" },
	  CLI_NO },
	{ "explain-proto.txt",
	  { "policy", "explain", "policy.hujson", ON_NODES, "desk", "printer:631", "--proto=udp" },
	  CLI_NO },
	{ "explain-icmp.txt",
	  { "policy", "explain", "policy.hujson", ON_NODES, "tag:prod", "db", "--proto=icmp" },
	  CLI_OK },
	{ "explain-user.txt",
	  { "policy", "explain", "policy.hujson", ON_NODES, "phone", "alice@example.com:22" },
	  CLI_OK },
	{ "explain-default.txt",
	  { "policy", "explain", "empty.hujson", ON_NODES, "desk", "web:22" },
	  CLI_OK },
	{ "explain-login.txt",
	  { "policy", "explain", "policy.hujson", ON_NODES, "desk", "deploy@web" },
	  CLI_OK },
	{ "explain-login.json",
	  { "policy", "explain", "policy.hujson", ON_NODES, "desk", "deploy@web", "--json" },
	  CLI_OK },
	{ "explain-login-check.txt",
	  { "policy", "explain", "policy.hujson", ON_NODES, "alice@example.com", "root@web" },
	  CLI_OK },
	{ "explain-login-no-ssh.txt",
	  { "policy", "explain", "policy.hujson", ON_NODES, "desk", "nobody@tag:prod" },
	  CLI_NO },
	{ "explain-login-no-packets.txt",
	  { "policy", "explain", "warn.hujson", ON_NODES, "laptop", "x@web" },
	  CLI_NO },
	{ "explain-login-nothing.txt",
	  { "policy", "explain", "policy.hujson", ON_NODES, "guest", "root@web" },
	  CLI_NO },
	{ "diff.txt", { "policy", "diff", "policy.hujson", "changed.hujson", ON_NODES }, CLI_NO },
	{ "diff.json",
	  { "policy", "diff", "policy.hujson", "changed.hujson", ON_NODES, "--json" },
	  CLI_NO },
	{ "diff-none.txt",
	  { "policy", "diff", "policy.hujson", "policy.hujson", ON_NODES },
	  CLI_OK },
};

static void test_golden(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(golden_cases); i++) {
		_cleanup_(run_done) struct run run = { 0 };
		char name[128];

		snprintf(name, sizeof(name), "coordctl/%s", golden_cases[i].golden);
		print_message("%s\n", name);
		run_coordctl(golden_cases[i].words, golden_cases[i].terminal, &run);
		assert_string_equal(run.err, "");
		golden_check(name, run.out);
		assert_int_equal(run.status, golden_cases[i].status);
		check_tame(run.out);
	}
}

/* Colour adds nothing but colour, and ends where it should. */
static void test_colour(void **state)
{
	size_t n_styled = 0;

	for (size_t i = 0; i < ARRAY_SIZE(golden_cases); i++) {
		struct cli_out out = { .colour = true, .terminal = golden_cases[i].terminal };
		_cleanup_(run_done) struct run plain = { 0 }, run = { 0 };
		char *to;

		run_coordctl(golden_cases[i].words, golden_cases[i].terminal, &plain);
		run_ctl((struct ctl){ .out = out }, golden_cases[i].words, &run);
		to = run.out;
		for (const char *from = run.out; *from;) {
			if (*from != '\033') {
				*to++ = *from++;
				continue;
			}
			n_styled++;
			from = strchr(from, 'm') + 1;
		}
		*to = '\0';
		assert_string_equal(run.out, plain.out);
	}
	assert_true(n_styled > 100);
}

/* Whatever --json prints is one JSON value, and the verdict in it that of the exit status. */
static void test_json(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(golden_cases); i++) {
		_cleanup_(run_done) struct run run = { 0 };
		const char *words[12] = { "--json" };
		json_auto_t *value = NULL;

		memcpy(words + 1, golden_cases[i].words, sizeof(golden_cases[i].words));
		run_coordctl(words, golden_cases[i].terminal, &run);
		value = json_loads(run.out, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(value);
		assert_int_equal(run.status, golden_cases[i].status);
		if (json_object_get(value, "good"))
			assert_int_equal(json_is_true(json_object_get(value, "good")),
					 run.status == CLI_OK);
		if (json_object_get(value, "answer"))
			assert_int_equal(strcmp(json_string_value(json_object_get(value, "answer")),
						"yes") == 0,
					 run.status == CLI_OK);
	}
}

/* ---- what goes wrong ---- */

static const struct {
	const char *words[10];
	int status;
	const char *err;
} error_cases[] = {
	{ { "policy", "check", "nosuch.hujson" },
	  CTL_NO_ANSWER,
	  "coordctl: nosuch.hujson: No such file or directory\n" },
	{ { "policy", "check", "no\033[2Jsuch" },
	  CTL_NO_ANSWER,
	  "coordctl: no?[2Jsuch: No such file or directory\n" },
	{ { "policy", "check", "." }, CTL_NO_ANSWER, "coordctl: .: Is a directory\n" },
	{ { "policy", "check", "/dev/zero" },
	  CTL_NO_ANSWER,
	  "coordctl: /dev/zero: larger than 2 MiB, which is the most that is read\n" },
	{ { "policy", "test", "policy.hujson" },
	  CLI_USAGE,
	  "coordctl: this needs --nodes FILE, which says what users and nodes there are, or a "
	  "coordinator: none runs here, and no --url is given\n" },
	{ { "policy", "test", "policy.hujson", "--nodes", "policy.hujson" },
	  CTL_NO_ANSWER,
	  "coordctl: policy.hujson: line 1 column 1: invalid token near '/'\n" },
	{ { "policy", "test", "policy.hujson", "--nodes", "wild-nodes.json" },
	  CTL_NO_ANSWER,
	  "coordctl: wild-nodes.json: nodes[0].name: expected a text of 1 to 1024 bytes without "
	  "control characters\n" },
	{ { "policy", "compile", "open.hujson", ON_NODES },
	  CTL_NO_ANSWER,
	  "open.hujson:3:1: error: the policy ends too early; a bracket, brace or quote is open\n"
	  "\n"
	  "open.hujson: 1 error, no warnings\n" },
	{ { "policy", "diff", "policy.hujson", "open.hujson", ON_NODES },
	  CTL_NO_ANSWER,
	  "open.hujson:3:1: error: the policy ends too early; a bracket, brace or quote is open\n"
	  "\n"
	  "open.hujson: 1 error, no warnings\n" },
	{ { "policy", "compile", "policy.hujson", "--node", "x\ry", ON_NODES },
	  CTL_NO_ANSWER,
	  "coordctl: nodes.json: there is no node 'x?y'\n" },
	{ { "policy", "explain", "policy.hujson", ON_NODES, "x\033", "web" },
	  CTL_NO_ANSWER,
	  "coordctl: \"x?\" means no node and is no single address; name a node, a user, a tag, a "
	  "group, a host or an address\n" },
	{ { "policy", "explain", "policy.hujson", ON_NODES, "desk", "web:0" },
	  CTL_NO_ANSWER,
	  "coordctl: \"web:0\" means no node and is no single address; name a node, a user, a tag, "
	  "a group, a host or an address\n" },
	{ { "policy", "explain", "policy.hujson", ON_NODES, "desk", "dave@example.com" },
	  CTL_NO_ANSWER,
	  "coordctl: \"example.com\" means no node and is no single address; name a node, a user, "
	  "a "
	  "tag, a group, a host or an address (asked about the account 'dave' on "
	  "'example.com')\n" },
	{ { "policy", "explain", "policy.hujson", ON_NODES, "desk", "@web" },
	  CLI_USAGE,
	  "coordctl: '@web' lacks an account; write, say, root@server\n" },
	{ { "policy", "explain", "policy.hujson", ON_NODES, "desk", "root@" },
	  CLI_USAGE,
	  "coordctl: 'root@' lacks a node; write, say, root@server\n" },
	{ { "policy", "explain", "policy.hujson", ON_NODES, "desk", "root@web", "--proto=tcp" },
	  CLI_USAGE,
	  "coordctl: a protocol is for packets, and 'root@web' asks about a login\n" },
	{ { "policy", "explain", "policy.hujson", ON_NODES, "desk", "web", "--proto=foo" },
	  CLI_USAGE,
	  "coordctl: 'foo' is no protocol; write tcp, udp, icmp or a number from 1 to 255\n" },
	{ { "policy", "explain", "policy.hujson", ON_NODES, "desk", "web:22", "--proto=icmp" },
	  CLI_USAGE,
	  "coordctl: icmp has no ports; leave ':22' out\n" },
};

static void test_errors(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(error_cases); i++) {
		_cleanup_(run_done) struct run run = { 0 };

		run_coordctl(error_cases[i].words, false, &run);
		assert_string_equal(run.err, error_cases[i].err);
		assert_string_equal(run.out, "");
		assert_int_equal(run.status, error_cases[i].status);
	}
}

/* With a pipe on standard input. */
static void run_with_input(const char *input, const char *const *words, struct run *run)
{
	int saved = dup(STDIN_FILENO), fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], input, strlen(input)), strlen(input));
	close(fds[1]);
	assert_int_equal(dup2(fds[0], STDIN_FILENO), STDIN_FILENO);
	run_coordctl(words, false, run);
	dup2(saved, STDIN_FILENO);
	close(saved);
	close(fds[0]);
}

static void test_stdin(void **state)
{
	static const char *const one[] = { "policy", "check", "-", NULL };
	static const char *const two[] = { "policy", "check", "-", "--nodes", "-", NULL };
	_cleanup_(run_done) struct run first = { 0 }, second = { 0 };

	run_with_input("{\n\"x\": 1}", one, &first);
	assert_non_null(strstr(first.out, "<stdin>:2:1: error: \"x\" is not known here"));
	assert_int_equal(first.status, CLI_NO);
	run_with_input("{\"nodes\": []}", two, &second);
	assert_string_equal(second.err, "coordctl: standard input can be only one of the files\n");
	assert_int_equal(second.status, CLI_USAGE);
}

/* ---- more than is shown ---- */

static char *end_output(struct cli_out *out, char **text)
{
	assert_int_equal(fclose(out->file), 0);
	return *text;
}

static void test_many_problems(void **state)
{
	struct policy_problem items[2] = {
		{ POLICY_ERROR, 1, 2, (char *)"one\033[2J" },
		{ POLICY_WARNING, 0, 0, (char *)"all of it" },
	};
	struct policy_problems problems = { items, 2, 5, 2 };
	struct source source = { (char *)"f", (char *)"", 0 };
	struct ctl_check check = { .source = &source, .problems = &problems };
	_cleanup_free_ char *text = NULL;
	struct cli_out out = { 0 };
	size_t len;

	out.file = open_memstream(&text, &len);
	assert_int_equal(ctl_render_check(&check, &out), 0);
	assert_string_equal(end_output(&out, &text), "f:1:2: error: one?[2J\n"
						     "f: warning: all of it\n"
						     "... and 4 errors more\n"
						     "... and 1 warning more\n"
						     "\n"
						     "f: 5 errors, 2 warnings\n");
}

static void test_many_differences(void **state)
{
	struct policy_diff_item items[60];
	struct policy_diff diff = { items, ARRAY_SIZE(items), true };
	struct source old = { (char *)"old", NULL, 0 }, new = { (char *)"new", NULL, 0 };
	_cleanup_free_ char *text = NULL;
	struct cli_out out = { 0 };
	size_t len, lines = 0;

	for (size_t i = 0; i < ARRAY_SIZE(items); i++)
		items[i] = (struct policy_diff_item){
			.gained = i == 0, .ssh = i >= 55, .text = (char *)"x\ny", .line = 7
		};
	out.file = open_memstream(&text, &len);
	assert_int_equal(ctl_render_diff(&diff, &old, &new, &out), 0);
	end_output(&out, &text);
	assert_ptr_equal(strstr(text, "Packets\n  + x?y  new:7\n  - x?y  old:7\n"), text);
	assert_non_null(strstr(text, "\n  ... and 5 more; --json lists them\n\nLogins\n  - x"));
	assert_non_null(strstr(text, "\n1 gained, 59 lost; there are more differences than these "
				     "1000\n"));
	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	assert_int_equal(lines, 1 + 50 + 1 + 1 + 1 + 5 + 1 + 1);
}

static void test_many_findings(void **state)
{
	struct policy_finding findings[20];
	struct policy_explanation network = { findings, ARRAY_SIZE(findings) };
	struct source source = { (char *)"f", (char *)"", 0 };
	const struct policy_question question = { .src = (char *)"a\033",
						  .dst = (char *)"b",
						  .port = 22 };
	const struct policy_answers answers = { .network = &network };
	const struct ctl_explained explained = { &source, &question, &answers };
	_cleanup_free_ char *text = NULL;
	struct cli_out out = { 0 };
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(findings); i++)
		findings[i] = (struct policy_finding){
			.verdict = POLICY_ALLOWED,
			.why = (char *)"why\r",
			.n_pairs = i + 1,
			.src_name = (char *)"n\t",
			.dst_name = (char *)"b",
		};
	out.file = open_memstream(&text, &len);
	assert_int_equal(ctl_render_explained(&explained, &out), 0);
	end_output(&out, &text);
	assert_ptr_equal(strstr(text, "yes: a? can reach b on tcp 22\n\n"
				      "  allowed  why?\n"
				      "           n? to b\n"
				      "  allowed  why?\n"
				      "           n? to b and 1 more pair\n"
				      "  allowed  why?\n"
				      "           n? to b and 2 more pairs\n"),
			 text);
	assert_non_null(strstr(text, "and 11 more pairs\n  ... and 8 more; --json lists them\n"));
	check_tame(text);
}

/* ---- quoting ---- */

#define TEN	"0123456789"
#define FIFTY	TEN TEN TEN TEN TEN
#define HUNDRED FIFTY FIFTY

static const struct {
	const char *text;
	unsigned line, column;
	const char *shown;
} quote_cases[] = {
	{ "a\nbc\nd", 2, 2, "    2 | bc\n      |  ^\n" },
	{ "a\nbc\nd", 3, 1, "    3 | d\n      | ^\n" },
	{ "a\nbc\nd", 1, 0, "    1 | a\n" },
	{ "a\nbc\nd", 4, 1, "" },
	{ "a\nbc\nd", 0, 0, "" },
	/* Right behind the end, where something lacks. */
	{ "a\r\nbc", 1, 2, "    1 | a\n      |  ^\n" },
	{ "a\n", 2, 1, "    2 |\n      | ^\n" },
	{ "\t\tx", 1, 3, "    1 |         x\n      |         ^\n" },
	/* Wide characters, combining ones, and bytes that are none. */
	{ "雪雪x", 1, 3, "    1 | 雪雪x\n      |     ^\n" },
	{ "a\xcc\x88x", 1, 3, "    1 | a\xcc\x88x\n      |  ^\n" },
	{ "\xff\xfex\033y", 1, 3, "    1 | ??x?y\n      |   ^\n" },
	{ HUNDRED FIFTY, 1, 3, "    1 | " HUNDRED TEN TEN "...\n      |   ^\n" },
	{ HUNDRED FIFTY "x", 1, 151,
	  "    1 | ...23456789" TEN TEN TEN TEN "x\n"
	  "      |                                                    ^\n" },
	{ FIFTY FIFTY FIFTY FIFTY FIFTY, 1, 131,
	  "    1 | ...23456789" TEN HUNDRED "01...\n"
	  "      |                                                    ^\n" },
};

static void test_quote(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(quote_cases); i++) {
		struct source source = { NULL, (char *)quote_cases[i].text,
					 strlen(quote_cases[i].text) };
		_cleanup_free_ char *text = NULL;
		struct cli_out out = { 0 };
		size_t len;

		print_message("%zu\n", i);
		out.file = open_memstream(&text, &len);
		assert_int_equal(
			source_quote(&source, quote_cases[i].line, quote_cases[i].column, &out), 0);
		assert_string_equal(end_output(&out, &text), quote_cases[i].shown);
	}
}

static const struct {
	const char *text;
	unsigned line, column;
	const char *shown;
} object_cases[] = {
	{ "[{}, {\n\"a\": 1}, {}]\n", 1, 6, "    1 | [{}, {\n    2 | \"a\": 1}, {}]\n" },
	{ "[{}, {\n\"a\": 1}, {}]\n", 1, 2, "    1 | [{}, {\n" },
	/* Brackets in texts and comments are none. */
	{ "{\"}\\\"}\": // }\n[/*\n]}*/\n]} x\n", 1, 1,
	  "    1 | {\"}\\\"}\": // }\n    2 | [/*\n    3 | ]}*/\n    4 | ]} x\n" },
	{ "雪 {\n}\n", 1, 3, "    1 | 雪 {\n    2 | }\n" },
	{ "{\n\n\n\n\n\n\n\n\n}\n", 1, 1,
	  "    1 | {\n    2 |\n    3 |\n    4 |\n    5 |\n    6 |\n    7 |\n    8 |\n"
	  "      | ... 2 more lines\n" },
	/* A long line is shown from where the object begins. */
	{ HUNDRED FIFTY "{}", 1, 151, "    1 | ...{}\n" },
	/* Not what it should be: shown as far as it goes. */
	{ "}\n", 1, 1, "    1 | }\n" },
	{ "{ /*", 1, 1, "    1 | { /*\n" },
	{ "{ \"", 1, 1, "    1 | { \"\n" },
	{ "{ \"\\", 1, 1, "    1 | { \"\\\n" },
	{ "{ /", 1, 1, "    1 | { /\n" },
	{ "a", 1, 99, "    1 | a\n" },
	{ "a", 9, 1, "" },
	{ "a", 0, 0, "" },
};

static void test_quote_object(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(object_cases); i++) {
		struct source source = { NULL, (char *)object_cases[i].text,
					 strlen(object_cases[i].text) };
		_cleanup_free_ char *text = NULL;
		struct cli_out out = { 0 };
		size_t len;

		print_message("%zu\n", i);
		out.file = open_memstream(&text, &len);
		assert_int_equal(source_quote_object(&source, object_cases[i].line,
						     object_cases[i].column, &out),
				 0);
		assert_string_equal(end_output(&out, &text), object_cases[i].shown);
	}
}

/* ---- names ---- */

static const char network_text[] =
	"{\"nodes\": ["
	"{\"name\": \"a\", \"user\": \"u@x\", \"addresses\": [\"100.64.0.1\", "
	"\"fd7a:115c:a1e0::1\"]},"
	"{\"name\": \"b\", \"user\": \"u@x\", \"addresses\": [\"100.64.0.2\"]},"
	"{\"name\": \"c\", \"user\": \"u@x\","
	" \"addresses\": [\"100.64.0.255\", \"100.64.1.0\", \"100.64.1.1\"]}]}";

static const struct {
	const char *addresses, *names;
} name_cases[] = {
	{ "[]", "[]" },
	{ "[\"100.64.0.1\", \"fd7a:115c:a1e0::1\"]", "[\"a\"]" },
	{ "[\"100.64.0.1\"]", "[\"100.64.0.1 (a)\"]" },
	{ "[\"100.64.0.1-100.64.0.2\"]", "[\"100.64.0.1 (a)\", \"b\"]" },
	/* Over the edge of a byte; and in which not every address is a node's. */
	{ "[\"100.64.0.255-100.64.1.1\"]", "[\"c\"]" },
	{ "[\"100.64.0.255-100.64.1.0\"]", "[\"c (2 of its addresses)\"]" },
	{ "[\"100.64.0.2-100.64.0.3\"]", "[\"100.64.0.2-100.64.0.3\"]" },
	{ "[\"100.64.0.0/31\"]", "[\"100.64.0.0/31\"]" },
	{ "[\"100.64.1.0/31\", \"100.64.0.255\"]", "[\"c\"]" },
	{ "[\"*\"]", "[\"any address\"]" },
	{ "[\"100.64.0.0-100.115.91.255\", \"100.115.94.0-100.127.255.255\","
	  " \"fd7a:115c:a1e0::/48\", \"10.0.0.0/8\"]",
	  "[\"the mesh\", \"10.0.0.0/8\"]" },
	{ "[\"fd7a:115c:a1e0::/48\"]", "[\"fd7a:115c:a1e0::/48\"]" },
	/* Nothing of the list before is left. */
	{ "[\"100.64.0.2\", \"x\", \"1-2\", 3]", "[\"b\", \"x\", \"1-2\"]" },
};

static void test_names(void **state)
{
	_cleanup_(policy_problems_done) struct policy_problems problems = { 0 };
	_cleanup_(policy_network_freep) struct policy_network *network = NULL;
	_cleanup_(policy_engine_freep) struct policy_engine *engine = NULL;
	_cleanup_(policy_freep) struct policy *policy = NULL;
	_cleanup_(ctl_names_freep) struct ctl_names *names = NULL;
	_cleanup_free_ char *text = NULL;

	assert_int_equal(policy_parse("{}", 2, &problems, &policy), 0);
	assert_int_equal(policy_network_parse(network_text, strlen(network_text), &text, &network),
			 0);
	assert_int_equal(policy_engine_new(policy, network, &engine), 0);
	assert_int_equal(ctl_names_new(engine, &names), 0);
	for (size_t i = 0; i < ARRAY_SIZE(name_cases); i++) {
		json_auto_t *addresses = json_loads(name_cases[i].addresses, 0, NULL);
		json_auto_t *wanted = json_loads(name_cases[i].names, 0, NULL);
		json_auto_t *got = ctl_names_of(names, addresses);

		print_message("%s\n", name_cases[i].addresses);
		assert_true(json_equal(got, wanted));
	}
}

/* The cases name files as people do who are in their directory. */
static int enter_data(void **state)
{
	const char *dir = getenv("TEST_DATA");

	return dir && chdir(dir) == 0 ? chdir("coordctl") : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_colour),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_stdin),
		cmocka_unit_test(test_many_problems),
		cmocka_unit_test(test_many_differences),
		cmocka_unit_test(test_many_findings),
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_quote_object),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, enter_data, NULL);
}
