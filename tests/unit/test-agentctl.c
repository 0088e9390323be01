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
#include "agent/ctl/link.h"
#include "agent/ctl/render.h"
#include "agent/ctl/render_explain.h"
#include "agent/ctl/render_sessions.h"
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

static int render_flow_to_server(const json_t *v, const struct cli_out *out)
{
	return render_flow(v, "laptop", "server", "server:22", out);
}

static int render_flow_to_laptop(const json_t *v, const struct cli_out *out)
{
	return render_flow(v, "server", "laptop", "laptop:443", out);
}

static int render_login_of_laptop(const json_t *v, const struct cli_out *out)
{
	return render_login(v, "laptop", "root", out);
}

static int render_login_from_here(const json_t *v, const struct cli_out *out)
{
	return render_login_elsewhere(v, "root", "laptop", out);
}

static int render_session_list(const json_t *v, const struct cli_out *out)
{
	return render_sessions(json_object_get(v, "sessions"), NOW, out);
}

/* As they come, one after the other. */
static int render_up(const json_t *v, const struct cli_out *out)
{
	const json_t *states = json_object_get(v, "states"), *before = NULL;
	int r = 0;

	for (size_t i = 0; i < json_array_size(states) && r == 0; i++) {
		r = ctl_render_link(json_array_get(states, i), before, out);
		before = json_array_get(states, i);
	}
	return r;
}

static int render_checks(const json_t *v, const struct cli_out *out)
{
	const json_t *answers = json_object_get(v, "answers");
	int r = 0;

	for (size_t i = 0; i < json_array_size(answers) && r == 0; i++)
		r = ctl_render_check(json_array_get(answers, i), out);
	return r;
}

static int render_events(const json_t *v, const struct cli_out *out)
{
	const json_t *events = json_object_get(v, "events");
	int r = 0;

	for (size_t i = 0; i < json_array_size(events) && r == 0; i++)
		r = render_event(json_array_get(events, i), out);
	return r;
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
	{ "agentctl/link.json", render_status, false, "agentctl/link.txt" },
	{ "agentctl/up.json", render_up, false, "agentctl/up.txt" },
	{ "agentctl/up.json", render_up, true, "agentctl/up-colour.txt" },
	{ "agentctl/check.json", render_checks, false, "agentctl/check.txt" },
	{ "agentctl/check.json", render_checks, true, "agentctl/check-colour.txt" },
	{ "agentctl/login-checked.json", render_login_of_laptop, false,
	  "agentctl/login-checked.txt" },
	{ "agentctl/no-path.json", render_peers, false, "agentctl/no-path.txt" },
	{ "agentctl/no-map.json", render_status, false, "agentctl/no-map.txt" },
	{ "agentctl/crowd.json", render_ssh_policy, false, "agentctl/crowd.txt" },
	{ "agentctl/hostile.json", render_status, false, "agentctl/hostile-status.txt" },
	{ "agentctl/hostile.json", render_whois_bare, false, "agentctl/hostile-whois.txt" },
	{ "agentctl/hostile.json", render_peers, false, "agentctl/no-peers.txt" },
	{ "agentctl/hostile.json", render_filter, false, "agentctl/no-filter.txt" },
	{ "agentctl/hostile.json", render_ssh_policy, false, "agentctl/no-ssh-policy.txt" },
	{ "api/flow-ssh.json", render_flow_to_server, false, "agentctl/flow-ssh.txt" },
	{ "api/flow-any.json", render_flow_to_server, true, "agentctl/flow-any-colour.txt" },
	{ "agentctl/flow-ranges.json", render_flow_to_server, false, "agentctl/flow-ranges.txt" },
	{ "api/flow-near.json", render_flow_to_server, false, "agentctl/flow-near.txt" },
	{ "api/flow-icmp.json", render_flow_to_server, false, "agentctl/flow-icmp.txt" },
	{ "api/flow-expired.json", render_flow_to_server, false, "agentctl/flow-expired.txt" },
	{ "api/flow-elsewhere.json", render_flow_to_laptop, false, "agentctl/flow-elsewhere.txt" },
	{ "api/login-yes.json", render_login_of_laptop, false, "agentctl/login-yes.txt" },
	{ "agentctl/login-sftp.json", render_login_of_laptop, false, "agentctl/login-sftp.txt" },
	{ "agentctl/login-host.json", render_login_of_laptop, true,
	  "agentctl/login-host-colour.txt" },
	{ "agentctl/login-off.json", render_login_of_laptop, false, "agentctl/login-off.txt" },
	{ "agentctl/login-partly.json", render_login_of_laptop, false,
	  "agentctl/login-partly.txt" },
	{ "api/login-check.json", render_login_of_laptop, false, "agentctl/login-check.txt" },
	{ "api/login-user.json", render_login_of_laptop, false, "agentctl/login-user.txt" },
	{ "api/login-cut-off.json", render_login_of_laptop, false, "agentctl/login-cut-off.txt" },
	{ "api/login-self.json", render_login_of_laptop, false, "agentctl/login-self.txt" },
	/* A map that does not say where its rules come from. */
	{ "agentctl/unnamed-acl.json", render_filter, false, "agentctl/unnamed-acl.txt" },
	{ "agentctl/unnamed-flow.json", render_flow_to_server, false, "agentctl/unnamed-flow.txt" },
	{ "agentctl/unnamed-login.json", render_login_of_laptop, false,
	  "agentctl/unnamed-login.txt" },
	{ "api/login-stranger.json", render_login_of_laptop, false, "agentctl/login-stranger.txt" },
	{ "api/flow-login-elsewhere.json", render_login_from_here, false,
	  "agentctl/login-elsewhere.txt" },
	{ "agentctl/sessions.json", render_session_list, false, "agentctl/sessions.txt" },
	{ "agentctl/hostile.json", render_session_list, false, "agentctl/no-sessions.txt" },
	{ "agentctl/events.json", render_events, false, "agentctl/events.txt" },
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

/* Words that decide what is shown, not only how it reads. */
static bool is_word(const char *key)
{
	static const char *const words[] = { "answer", "verdict", "reason", "fit",
					     "event",  "state",	  "join" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i], key) == 0)
			return true;
	return false;
}

/* Put bytes that a terminal would obey behind every text. */
static json_t *poison(json_t *value, bool words_too)
{
	const char *key;
	size_t i;
	void *next;
	json_t *member;

	if (json_is_string(value))
		return json_sprintf("%s\033[2J\nwarning:\r\u202e", json_string_value(value));
	json_array_foreach (value, i, member)
		assert_int_equal(json_array_set_new(value, i, poison(member, words_too)), 0);
	json_object_foreach_safe (value, next, key, member)
		if (words_too || !is_word(key))
			assert_int_equal(json_object_set_new(value, key, poison(member, words_too)),
					 0);
	return json_incref(value);
}

static size_t count_char(const char *text, char wanted)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == wanted;
	return n;
}

static char *render_poisoned(size_t i, bool words_too)
{
	_cleanup_free_ char *input = golden_read(cases[i].input), *text = NULL;
	json_auto_t *value = json_loads(input, 0, NULL), *poisoned = poison(value, words_too);

	text = render(cases[i].fn, poisoned, false);
	assert_null(strchr(text, '\033'));
	assert_null(strchr(text, '\r'));
	assert_null(strstr(text, "\u202e"));
	return take_ptr(text);
}

/* Whatever the agent answers, nothing of it moves a cursor or makes a line of its own. */
static void test_poisoned(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *input = golden_read(cases[i].input), *tame = NULL,
				    *wild = NULL, *wilder = NULL;
		json_auto_t *value = json_loads(input, 0, NULL);

		print_message("%s\n", cases[i].golden);
		tame = render(cases[i].fn, value, false);
		wild = render_poisoned(i, false);
		assert_int_equal(count_char(wild, '\n'), count_char(tame, '\n'));
		wilder = render_poisoned(i, true);
		assert_null(strstr(wilder, "\nwarning:\r"));
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

static int fake_sessions(struct varlink_call *call, const json_t *params, void *userdata)
{
	return reply_file(call, "agentctl/sessions.json");
}

/* One has ended meanwhile; one is not for us. */
static int fake_kill(struct varlink_call *call, const json_t *params, void *userdata)
{
	const char *id = json_string_value(json_object_get(params, "leaseId"));

	if (strlen(id) != 32)
		return varlink_call_invalid_parameter(call, "leaseId");
	if (strncmp(id, "0123456789f", 11) == 0)
		return varlink_call_error(call, "io.peergate.Agent.NoSuchSession", NULL);
	if (id[0] == 'f')
		return varlink_call_error(call, "org.varlink.service.PermissionDenied", NULL);
	return varlink_call_reply(call, json_pack("{s:{s:s, s:O*}}", "session", "leaseId", id,
						  "message", json_object_get(params, "message")));
}

static int fake_subscribe(struct varlink_call *call, const json_t *params, void *userdata)
{
	_cleanup_free_ char *text = golden_read("agentctl/events.json");
	json_auto_t *all = json_loads(text, 0, NULL);
	json_t *events = json_object_get(all, "events");

	for (size_t i = 0; i < json_array_size(events); i++)
		varlink_call_notify(call, json_incref(json_array_get(events, i)));
	return varlink_call_error(call, "io.peergate.Agent.TooSlow", NULL);
}

static int fake_flow(struct varlink_call *call, const json_t *params, void *userdata)
{
	const char *dst = json_string_value(json_object_get(params, "dst"));
	json_int_t port = json_integer_value(json_object_get(params, "port"));

	if (strcmp(dst, "nobody") == 0)
		return varlink_call_error(call, "io.peergate.Agent.UnknownNode",
					  json_pack("{s:s}", "name", "nobody"));
	if (strcmp(dst, "server") == 0 && !json_object_get(params, "src"))
		return varlink_call_reply(call, json_pack("{s:s, s:[{s:s}]}", "answer", "yes",
							  "flows", "reason", "own-traffic"));
	if (strcmp(dst, "laptop") == 0)
		return reply_file(call, port == 22 ? "api/flow-login-elsewhere.json"
						   : "api/flow-elsewhere.json");
	return reply_file(call, strcmp(dst, "fd7a::1") == 0 && port == 22 ? "api/flow-ssh.json"
									  : "api/flow-near.json");
}

static int fake_login(struct varlink_call *call, const json_t *params, void *userdata)
{
	const char *user = json_string_value(json_object_get(params, "sshUser"));

	return reply_file(call,
			  strcmp(user, "root") == 0 ? "api/login-yes.json" : "api/login-user.json");
}

static int fake_not_ready(struct varlink_call *call, const json_t *params, void *userdata)
{
	return varlink_call_error(call, "io.peergate.Agent.NotReady", NULL);
}

static const struct varlink_method fake_methods[] = {
	{ "Status", fake_status, false },	  { "WhoIs", fake_whois, false },
	{ "GetPeers", fake_peers, false },	  { "GetFilter", fake_not_ready, false },
	{ "ListSessions", fake_sessions, false }, { "KillSession", fake_kill, false },
	{ "Subscribe", fake_subscribe, true },	  { "ExplainFlow", fake_flow, false },
	{ "ExplainSSH", fake_login, false },
};
static const struct varlink_interface fake_interface = {
	.name = "io.peergate.Agent",
	.description = "",
	.methods = fake_methods,
	.n_methods = ARRAY_SIZE(fake_methods),
};
static const struct varlink_info fake_info = { "", "", "", "" };
static const struct varlink_limits fake_limits = { 64, 64, 4, 1 << 20 };

static void serve(int fd, const char *status_file, pid_t parent)
{
	struct varlink_server *server = NULL;
	sd_event *event = NULL;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* It may have ended before: whoever reads its output would wait for us for ever. */
	if (getppid() != parent)
		_exit(0);
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
	pid_t parent = getpid(), pid;

	assert_true(fd >= 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 16), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		serve(fd, status_file, parent);
	close_fd(fd);
	return pid;
}

/* Where the tests are run from is another matter. */
#define SURE "--accept-risk=lose-ssh"

static const struct {
	const char *argv[7];
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
	{ { "acl", "explain", "laptop", "[fd7a::1]:22" },
	  NULL,
	  CLI_OK,
	  "agentctl/verb-flow.txt",
	  NULL },
	{ { "acl", "explain", "--json", "192.0.2.9", "server:90/udp" },
	  NULL,
	  CLI_NO,
	  "api/flow-near.json",
	  NULL },
	{ { "acl", "explain", "server", "laptop:443" },
	  NULL,
	  CLI_NO,
	  "agentctl/flow-elsewhere.txt",
	  NULL },
	{ { "acl", "explain", "server", "laptop:x" }, NULL, CLI_USAGE, NULL, "" },
	{ { "acl", "explain", "server", "nobody" }, NULL, CLI_NO, NULL, "" },
	{ { "ssh-policy", "explain", "root@laptop" },
	  NULL,
	  CLI_NO,
	  "agentctl/login-elsewhere.txt",
	  NULL },
	{ { "ssh-policy", "explain", "root@server" }, NULL, CLI_USAGE, NULL, "" },
	{ { "ssh-policy", "explain", "laptop" }, NULL, CLI_USAGE, NULL, "" },
	{ { "ssh-policy", "explain", "@laptop" }, NULL, CLI_USAGE, NULL, "" },
	/* There is no sshgw.conf: SSH is off, whatever the agent says. */
	{ { "ssh-policy", "explain", "laptop", "root" },
	  NULL,
	  CLI_NO,
	  "agentctl/verb-login.txt",
	  NULL },
	{ { "--json", "ssh-policy", "explain", "laptop", "backup" },
	  NULL,
	  CLI_NO,
	  "agentctl/verb-login.json",
	  NULL },
	{ { "--json", "ssh-sessions" }, NULL, CLI_OK, "agentctl/verb-sessions.json", NULL },
	{ { "ssh-sessions", "nonsense" }, NULL, CLI_USAGE, NULL, "" },
	{ { "ssh-sessions", "kill" }, NULL, CLI_USAGE, NULL, "" },
	{ { "ssh-sessions", "kill", SURE, "0123456789ab", "0123456789a" },
	  NULL,
	  CLI_OK,
	  NULL,
	  "0123456789a  alice@example.com (laptop) as root  ended\n" },
	{ { "ssh-sessions", "kill", SURE, "--message=dinner", "--json", "ssh-1234abcd" },
	  NULL,
	  CLI_OK,
	  NULL,
	  "{\n  \"sessions\": [\n    {\n      \"leaseId\": "
	  "\"0123456789abcdef0123456789abcdef\",\n      \"message\": \"dinner\"\n    }\n  "
	  "]\n}\n" },
	{ { "ssh-sessions", "kill", SURE, "ssh-9" },
	  NULL,
	  CLI_OK,
	  NULL,
	  "0123456789f  山田雪@example.com (tablet) as devel  had ended already\n" },
	/* What is not clear ends nothing. */
	{ { "ssh-sessions", "kill", "0123456789ab", "012345" }, NULL, CLI_NO, NULL, "" },
	{ { "ssh-sessions", "kill", "0123456789ab", "" }, NULL, CLI_NO, NULL, "" },
	{ { "ssh-sessions", "kill", "0123456789ab", "77" }, NULL, CLI_NO, NULL, "" },
	{ { "ssh-sessions", "kill", SURE, "fedc" }, NULL, CLI_NO, NULL, "" },
	{ { "ssh-sessions", "kill", "--accept-risk=all", "fedc" }, NULL, CLI_USAGE, NULL, "" },
	/* To standard output, without the agent. */
	{ { "--version" }, NULL, CLI_OK, NULL, "" },
	{ { "ssh-sessions", "watch" }, NULL, CLI_NO, "agentctl/events.txt", NULL },
	{ { "ssh-sessions", "watch", "--json" }, NULL, CLI_NO, "agentctl/verb-watch.json", NULL },
};

/* Return: exit status; *ret_shown is the caller's. */
static int run_agentctl(const char *socket_path, const char *const *words, char **ret_shown)
{
	char *argv[8] = { (char *)"agentctl" };
	struct ctl ctl = { .socket = socket_path, .ceiling = "/nonexistent/sshgw.conf" };
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

	/* QR codes are for terminals that show UTF-8. */
	setenv("LC_ALL", "C.UTF-8", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
