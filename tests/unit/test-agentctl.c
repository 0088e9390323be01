#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "agent/ctl/ctl.h"
#include "agent/ctl/render.h"
#include "common/cleanup.h"
#include "common/varlink.h"
#include "tests/unit/golden.h"

#define NOW UINT64_C(1800000000000000) /* 2027-01-15T08:00:00Z */

/* All with the same face, for the table below. */
static int render_status(const json_t *v, const struct cli_out *out)
{
	return ctl_render_status(v, NOW, out);
}

static int render_peers(const json_t *v, const struct cli_out *out)
{
	return ctl_render_peers(json_object_get(v, "peers"), NOW, out);
}

static int render_whois(const json_t *v, const struct cli_out *out)
{
	return ctl_render_whois("100.64.0.6", json_object_get(v, "node"), NOW, out);
}

static int render_whois_bare(const json_t *v, const struct cli_out *out)
{
	return ctl_render_whois("100.64.0.6", v, NOW, out);
}

static int render_filter(const json_t *v, const struct cli_out *out)
{
	return ctl_render_filter(json_object_get(v, "rules"), out);
}

static int render_ssh_policy(const json_t *v, const struct cli_out *out)
{
	return ctl_render_ssh_policy(v, NOW, out);
}

static int render_known_hosts(const json_t *v, const struct cli_out *out)
{
	return ctl_render_known_hosts(json_object_get(v, "lines"), out);
}

static char *render(int (*fn)(const json_t *, const struct cli_out *), const json_t *value,
		    bool colour)
{
	struct cli_out out = { .colour = colour };
	char *text = NULL;
	size_t len;

	out.file = open_memstream(&text, &len);
	assert_non_null(out.file);
	assert_int_equal(fn(value, &out), 0);
	assert_int_equal(fclose(out.file), 0);
	return text;
}

/* The inputs in api/ are what test-api makes sure the agent answers. */
static const struct {
	const char *input;
	int (*fn)(const json_t *, const struct cli_out *);
	bool colour;
	const char *golden;
} cases[] = {
	{ "api/status.json", render_status, false, "agentctl/status.txt" },
	{ "api/status.json", render_status, true, "agentctl/status-colour.txt" },
	{ "api/peers.json", render_peers, false, "agentctl/peers.txt" },
	{ "api/peers.json", render_peers, true, "agentctl/peers-colour.txt" },
	{ "api/whois-laptop.json", render_whois, false, "agentctl/whois-laptop.txt" },
	{ "api/whois-router.json", render_whois, false, "agentctl/whois-router.txt" },
	{ "api/filter.json", render_filter, false, "agentctl/acl.txt" },
	{ "api/ssh-policy.json", render_ssh_policy, false, "agentctl/ssh-policy.txt" },
	{ "api/known-hosts.json", render_known_hosts, false, "agentctl/known-hosts.txt" },
	{ "agentctl/no-map.json", render_status, false, "agentctl/no-map.txt" },
	{ "agentctl/crowd.json", render_ssh_policy, false, "agentctl/crowd.txt" },
	{ "agentctl/hostile.json", render_status, false, "agentctl/hostile-status.txt" },
	{ "agentctl/hostile.json", render_whois_bare, false, "agentctl/hostile-whois.txt" },
	{ "agentctl/hostile.json", render_peers, false, "agentctl/no-peers.txt" },
	{ "agentctl/hostile.json", render_filter, false, "agentctl/no-filter.txt" },
	{ "agentctl/hostile.json", render_ssh_policy, false, "agentctl/no-ssh-policy.txt" },
};

static void test_golden(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *input = golden_read(cases[i].input), *text = NULL;
		json_auto_t *value = json_loads(input, 0, NULL);

		print_message("%s\n", cases[i].golden);
		assert_non_null(value);
		text = render(cases[i].fn, value, cases[i].colour);
		golden_check(cases[i].golden, text);
	}
}

/* Put bytes that a terminal would obey behind every text. */
static json_t *poison(json_t *value)
{
	const char *key;
	size_t i;
	void *next;
	json_t *member;

	if (json_is_string(value))
		return json_sprintf("%s\033[2J\nwarning:\r\u202e", json_string_value(value));
	json_array_foreach (value, i, member)
		assert_int_equal(json_array_set_new(value, i, poison(member)), 0);
	json_object_foreach_safe (value, next, key, member)
		assert_int_equal(json_object_set_new(value, key, poison(member)), 0);
	return json_incref(value);
}

static size_t count_char(const char *text, char wanted)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == wanted;
	return n;
}

/* Whatever the agent answers, nothing of it moves a cursor or makes a line of its own. */
static void test_poisoned(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *input = golden_read(cases[i].input), *tame = NULL,
				    *wild = NULL;
		json_auto_t *value = json_loads(input, 0, NULL), *poisoned = NULL;

		print_message("%s\n", cases[i].golden);
		tame = render(cases[i].fn, value, false);
		poisoned = poison(value);
		wild = render(cases[i].fn, poisoned, false);
		assert_int_equal(count_char(wild, '\n'), count_char(tame, '\n'));
		assert_null(strchr(wild, '\033'));
		assert_null(strchr(wild, '\r'));
		assert_null(strstr(wild, "\u202e"));
	}
}

/* ---- verbs, with a process that answers like an agent ---- */

static int reply_file(struct varlink_call *call, const char *name)
{
	_cleanup_free_ char *text = golden_read(name);

	return varlink_call_reply(call, json_loads(text, 0, NULL));
}

static int fake_status(struct varlink_call *call, const json_t *params, void *userdata)
{
	return reply_file(call, userdata);
}

static int fake_whois(struct varlink_call *call, const json_t *params, void *userdata)
{
	const char *address = json_string_value(json_object_get(params, "address"));

	if (strcmp(address, "100.64.0.2") == 0)
		return reply_file(call, "api/whois-laptop.json");
	return varlink_call_error(call, "io.peergate.Agent.NotAPeer",
				  json_pack("{s:s, s:b}", "address", address, "self",
					    strcmp(address, "100.64.0.1") == 0));
}

/* One peer in each part. */
static int fake_peers(struct varlink_call *call, const json_t *params, void *userdata)
{
	json_int_t first = json_integer_value(json_object_get(params, "first"));
	_cleanup_free_ char *text = golden_read("api/peers.json");
	json_auto_t *all = json_loads(text, 0, NULL);
	json_t *peers = json_object_get(all, "peers");
	bool last = (size_t)first + 1 >= json_array_size(peers);

	return varlink_call_reply(call, json_pack("{s:[O], s:o*}", "peers",
						  json_array_get(peers, (size_t)first), "next",
						  last ? NULL : json_integer(first + 1)));
}

static int fake_not_ready(struct varlink_call *call, const json_t *params, void *userdata)
{
	return varlink_call_error(call, "io.peergate.Agent.NotReady", NULL);
}

static const struct varlink_method fake_methods[] = {
	{ "Status", fake_status, false },
	{ "WhoIs", fake_whois, false },
	{ "GetPeers", fake_peers, false },
	{ "GetFilter", fake_not_ready, false },
};
static const struct varlink_interface fake_interface = {
	.name = "io.peergate.Agent",
	.description = "",
	.methods = fake_methods,
	.n_methods = ARRAY_SIZE(fake_methods),
};
static const struct varlink_info fake_info = { "", "", "", "" };
static const struct varlink_limits fake_limits = { 64, 64, 4, 1 << 20 };

static void serve(int fd, const char *status_file)
{
	struct varlink_server *server = NULL;
	sd_event *event = NULL;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sd_event_new(&event) < 0 ||
	    varlink_server_new(event, &fake_info, &fake_interface, &fake_limits,
			       (void *)status_file, &server) < 0 ||
	    varlink_server_listen(server, fd) < 0)
		_exit(1);
	_exit(sd_event_loop(event) < 0);
}

static pid_t start_agent(const char *path, const char *status_file)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	assert_true(fd >= 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 16), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		serve(fd, status_file);
	close_fd(fd);
	return pid;
}

static const struct {
	const char *argv[6];
	const char *status_file;
	int status;
	const char *golden; /* NULL: shown is compared instead */
	const char *shown;  /* on standard output */
} verb_cases[] = {
	{ { "whois", "100.64.0.2", "--json" }, NULL, CLI_OK, "agentctl/verb-whois.json", NULL },
	{ { "whois", "100.64.0.1" }, NULL, CLI_NO, NULL, "100.64.0.1 is this host itself\n" },
	{ { "whois", "100.64.0.9" }, NULL, CLI_NO, NULL, "100.64.0.9 is no peer of this host\n" },
	{ { "whois", "100.64.0.9", "--json" },
	  NULL,
	  CLI_NO,
	  NULL,
	  "{\n  \"address\": \"100.64.0.9\",\n  \"self\": false\n}\n" },
	{ { "whois", "laptop" }, NULL, CLI_USAGE, NULL, "" },
	{ { "--json", "peers" }, NULL, CLI_OK, "api/peers.json", NULL },
	{ { "--json", "status" }, "api/status.json", CLI_OK, "api/status.json", NULL },
	{ { "--json", "status" },
	  "agentctl/no-map.json",
	  CLI_NO,
	  "agentctl/verb-no-map.json",
	  NULL },
	{ { "--json", "status" },
	  "agentctl/no-map-yet.json",
	  CLI_NO,
	  "agentctl/no-map-yet.json",
	  NULL },
	{ { "pubkey" },
	  "api/status.json",
	  CLI_OK,
	  NULL,
	  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=\n" },
	{ { "pubkey", "--json" },
	  "api/status.json",
	  CLI_OK,
	  NULL,
	  "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=\"\n" },
	{ { "acl", "show" }, NULL, CLI_NO, NULL, "" },
	{ { "known-hosts" }, NULL, CLI_NO, NULL, "" }, /* an agent of another version */
	{ { "status", "--socket", "/nonexistent/s" }, NULL, CLI_UNREACHABLE, NULL, "" },
};

/* Return: exit status; *ret_shown is the caller's. */
static int run_agentctl(const char *socket_path, const char *const *words, char **ret_shown)
{
	char *argv[8] = { (char *)"agentctl" };
	struct ctl ctl = { .socket = socket_path };
	size_t len;
	int argc = 1, status;

	for (; words[argc - 1]; argc++)
		argv[argc] = (char *)words[argc - 1];
	ctl.out.file = open_memstream(ret_shown, &len);
	assert_non_null(ctl.out.file);
	status = cli_run(&ctl_program, argc, argv, &ctl);
	assert_int_equal(fclose(ctl.out.file), 0);
	return status;
}

static void test_verbs(void **state)
{
	char dir[] = "/tmp/test-agentctl-XXXXXX", path[64];

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sock", dir);
	for (size_t i = 0; i < ARRAY_SIZE(verb_cases); i++) {
		const char *status_file = verb_cases[i].status_file;
		_cleanup_free_ char *shown = NULL;
		pid_t pid = start_agent(path, status_file ? status_file : "api/status.json");

		assert_int_equal(run_agentctl(path, verb_cases[i].argv, &shown),
				 verb_cases[i].status);
		if (verb_cases[i].golden)
			golden_check(verb_cases[i].golden, shown);
		else
			assert_string_equal(shown, verb_cases[i].shown);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		unlink(path);
	}
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_poisoned),
		cmocka_unit_test(test_verbs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
