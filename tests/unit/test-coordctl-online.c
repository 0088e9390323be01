/*
 * coordctl and a coordinator: the verbs that ask one, against a real one in another process, on a
 * unix socket. Its time stands still at FIX_START; coordctl lives five minutes later.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/json.h"
#include "common/listen.h"
#include "common/text.h"
#include "coord/api/internal.h"
#include "coord/ctl/ctl.h"
#include "coord/ctl/offline.h"
#include "coord/registry/accounts.h"
#include "coord/registry/checks.h"
#include "coord/registry/code.h"
#include "coord/store/sqlite.h"
#include "tests/unit/certificate.h"
#include "tests/unit/coord-fixture.h"
#include "tests/unit/golden.h"

#define POLICY "policy.hujson"

struct server {
	char folder[64], socket[96];
	pid_t pid;
	int keep; /* the coordinator ends when this is closed */
};

/* ---- the coordinator's process ---- */

static void enrol(struct coord_fix *coord, unsigned number, const char *name, const char *auth_key)
{
	struct registry_enrolment enrolment = {
		.machine = fix_machine_key(number),
		.key = fix_node_key(number),
		.facts = { .hostname = (char *)name,
			   .os = (char *)"Debian GNU/Linux 12",
			   .listen_port = 51820,
			   .ssh = number == 1 },
		.auth_key = auth_key,
	};

	assert_int_equal(ip_addr_parse("192.0.2.7", &enrolment.from), 0);
	registry_enrol(coord->registry, &fix_root, &enrolment, fix_done, &coord->result);
	assert_int_equal(coord->result.code, auth_key ? REGISTRY_OK : REGISTRY_WAITING);
}

static void sign_in(struct coord_fix *coord)
{
	const struct registry_identity identity = {
		.issuer = "https://idp.example",
		.subject = "7",
		.email = "alice@example.com",
		.groups = { .items = (char *[]){ (char *)"ops" }, .n = 1 },
	};
	struct registry_session_request request = {
		.user = "alice@example.com",
		.method = "oidc:corp",
		.strength = AUTH_MAX_AGE,
		.auth_time = FIX_START,
		.agent = "Firefox",
	};

	registry_sign_in_identity(coord->registry, &fix_root, &identity, false, fix_done,
				  &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
	assert_int_equal(ip_addr_parse("192.0.2.7", &request.from), 0);
	registry_open_session(coord->registry, &fix_root, &request, fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
}

/* Of the last one that was asked for. */
static char check_id[32];

static void on_check(const struct registry_result *result, void *userdata)
{
	assert_int_equal(result->code, REGISTRY_WAITING);
	snprintf(check_id, sizeof(check_id), "%s", result->checkreq->head.id);
}

static void ask_for_check(struct coord_fix *coord, const char *user)
{
	const struct registry_check_request request = {
		.source = registry_node_by_name(coord->registry, "desk")->head.id,
		.target = registry_node_by_name(coord->registry, "web")->head.id,
		.ssh_user = user,
	};

	registry_ask_check(coord->registry, &fix_root, &request, on_check, NULL);
}

/* One that was answered, and one that is not. */
static void check_somebody(struct coord_fix *coord)
{
	const struct registry_actor alice = { .who = "alice@example.com",
					      .from = "192.0.2.9",
					      .login = "alice@example.com" };
	const struct registry_check_answer answer = {
		.approve = true,
		.method = "password+totp",
		.strength = AUTH_MAX_AGE,
		.auth_time = FIX_START,
	};

	ask_for_check(coord, "root");
	registry_answer_check(coord->registry, &alice, check_id, &answer, fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
	ask_for_check(coord, "root");
	ask_for_check(coord, "alice");
}

static int on_parent_gone(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	return sd_event_exit(sd_event_source_get_event(source), 0);
}

#define KEEPALIVE_USEC 20000
#define CERT	       ".cert.pem"
#define KEY	       ".key.pem"
#define PORTS	       ".ports"
#define READY_FD       3
#define KEEP_FD	       4

/* Also over the network, with TLS: beside the socket are the certificate, and the ports in a file.
 */
static void listen_tls(struct coord_fix *coord, const char *socket)
{
	_cleanup_free_ char *cert = text_printf("%s" CERT, socket), *error = NULL;
	_cleanup_free_ char *key = text_printf("%s" KEY, socket);
	_cleanup_free_ char *path = text_printf("%s" PORTS, socket), *text = NULL;
	const struct http_tls_files files = { cert, key };
	struct ip_endpoint endpoint = coord->http.endpoint;

	certificate_make("coordinator", "IP:127.0.0.1", cert, key);
	endpoint.port = 0;
	assert_int_equal(http_server_listen(coord->http.server, &endpoint, &files, &error), 0);
	assert_int_equal(http_server_endpoint(coord->http.server, 2, &endpoint), 0);
	text = text_printf("%u %u\n", endpoint.port, coord->http.endpoint.port);
	assert_int_equal(file_write_atomic(AT_FDCWD, path, text, strlen(text), 0600), 0);
}

/* In a program of its own: whatever fails there is none of cmocka's business here. */
static int serve(const char *path)
{
	_cleanup_free_ char *error = NULL;
	struct coord_fix *coord;
	int fd;

	assert_int_equal(coord_fix_setup_then((void **)&coord), 0);
	coord->api->follow_keepalive_usec = KEEPALIVE_USEC;
	enrol(coord, 1, "web", coord_fix_authkey(coord));
	enrol(coord, 2, "desk", coord_fix_authkey(coord));
	enrol(coord, 3, "newcomer", NULL);
	sign_in(coord);
	check_somebody(coord);
	assert_int_equal(listen_unix(path, 0600, &error, &fd), 0);
	assert_int_equal(http_server_listen_fd(coord->http.server, fd, NULL, &error), 0);
	listen_tls(coord, path);
	assert_true(sd_event_add_io(coord->http.event, NULL, KEEP_FD, EPOLLIN, on_parent_gone,
				    NULL) >= 0);
	assert_int_equal(write(READY_FD, "x", 1), 1);
	close(READY_FD);
	assert_int_equal(sd_event_loop(coord->http.event), 0);
	return coord_fix_teardown((void **)&coord);
}

static void start_process(struct server *server, int ready, int keep)
{
	server->pid = fork();
	assert_true(server->pid >= 0);
	if (server->pid > 0)
		return;
	/* Out of the way of the numbers they get. */
	ready = fcntl(ready, F_DUPFD, 10);
	keep = fcntl(keep, F_DUPFD, 10);
	if (dup2(ready, READY_FD) == READY_FD && dup2(keep, KEEP_FD) == KEEP_FD &&
	    close_range(KEEP_FD + 1, UINT32_MAX, 0) == 0)
		execl("/proc/self/exe", "coordinator", "--serve", server->socket, NULL);
	_exit(1);
}

static int start(void **state)
{
	struct server *server = calloc(1, sizeof(*server));
	int ready[2], keep[2];
	char byte;

	assert_non_null(server);
	strcpy(server->folder, "/tmp/coordctl-online-XXXXXX");
	assert_non_null(mkdtemp(server->folder));
	snprintf(server->socket, sizeof(server->socket), "%s/admin.sock", server->folder);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(keep, O_CLOEXEC), 0);
	start_process(server, ready[1], keep[0]);
	close(ready[1]);
	close(keep[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	server->keep = keep[1];
	*state = server;
	return 0;
}

static void remove_beside(const struct server *server, const char *suffix)
{
	_cleanup_free_ char *path = text_printf("%s%s", server->socket, suffix);

	assert_int_equal(unlink(path), 0);
}

static int stop(void **state)
{
	struct server *server = *state;
	int status;

	close_fd(server->keep);
	assert_int_equal(waitpid(server->pid, &status, 0), server->pid);
	assert_int_equal(status, 0);
	unlink(server->socket);
	remove_beside(server, CERT);
	remove_beside(server, KEY);
	remove_beside(server, PORTS);
	assert_int_equal(rmdir(server->folder), 0);
	free(server);
	return 0;
}

/* ---- coordctl ---- */

struct run {
	char *out, *err;
	int status;
};

static void run_done(struct run *run)
{
	free(run->out);
	free(run->err);
}

static struct ctl ctl_for(const struct server *server)
{
	return (struct ctl){
		.server.socket = server->socket,
		.state_dir = "/nonexistent",
		.now_usec = FIX_START + 300 * FIX_SEC,
	};
}

static void run_ctl(struct ctl *ctl, const char *const *words, struct run *run)
{
	char *argv[24] = { (char *)"coordctl" };
	size_t out_len, err_len;
	int argc = 1;

	for (; words[argc - 1]; argc++)
		argv[argc] = (char *)words[argc - 1];
	ctl->out.file = open_memstream(&run->out, &out_len);
	ctl->err.file = open_memstream(&run->err, &err_len);
	assert_non_null(ctl->out.file);
	assert_non_null(ctl->err.file);
	run->status = cli_run(&ctl_program, argc, argv, ctl);
	assert_int_equal(fclose(ctl->out.file), 0);
	assert_int_equal(fclose(ctl->err.file), 0);
	ctl->client = client_free(ctl->client);
}

static void run_coordctl(const struct server *server, const char *const *words, struct run *run)
{
	struct ctl ctl = ctl_for(server);

	run_ctl(&ctl, words, run);
}
#define RUN(server, run, ...) run_coordctl((server), (const char *[]){ __VA_ARGS__, NULL }, (run))

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

/* A key of the network in a file, which stands in for a person's. */
static void test_over_the_network_is_tls_only(void **state)
{
	static const char *const urls[] = {
		"http://coord.example",	    "ftp://x",
		"https://user@x",	    "http://localhost.example",
		"http://127.0.0.1.example", "coord.example",
	};
	struct server *server = *state;

	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		_cleanup_(run_done) struct run run = { 0 };

		RUN(server, &run, "status", "--url", urls[i], "--api-key-file", "/dev/null");
		assert_int_equal(run.status, CLI_USAGE);
		assert_non_null(strstr(run.err, "in the clear"));
	}
}

/* ---- over the network, with an API key ---- */

struct remote {
	char https[64], http[64], by_name[64], cert[128], key[128];
};

/* Where it is, and a key for these scopes. */
static void become_remote(const struct server *server, const char *scope, struct remote *remote)
{
	_cleanup_free_ char *path = text_printf("%s" PORTS, server->socket), *text = NULL;
	_cleanup_(run_done) struct run made = { 0 };
	json_auto_t *json = NULL;
	unsigned tls_port, plain_port;
	size_t len;
	const char *key;

	assert_int_equal(file_read(AT_FDCWD, path, 64, &text, &len), 0);
	assert_int_equal(sscanf(text, "%u %u", &tls_port, &plain_port), 2);
	snprintf(remote->https, sizeof(remote->https), "https://127.0.0.1:%u", tls_port);
	snprintf(remote->by_name, sizeof(remote->by_name), "https://localhost:%u", tls_port);
	snprintf(remote->http, sizeof(remote->http), "http://127.0.0.1:%u", plain_port);
	snprintf(remote->cert, sizeof(remote->cert), "%s" CERT, server->socket);
	snprintf(remote->key, sizeof(remote->key), "%s/api-key", server->folder);
	RUN(server, &made, "apikeys", "create", "--scope", scope, "--json");
	json = json_loads(made.out, 0, NULL);
	key = json_string_value(json_object_get(json, "key"));
	assert_non_null(key);
	assert_int_equal(file_write_atomic(AT_FDCWD, remote->key, key, strlen(key), 0600), 0);
}

static void test_over_https(void **state)
{
	const struct server *server = *state;
	_cleanup_(run_done) struct run status = { 0 }, list = { 0 }, added = { 0 }, set = { 0 };
	_cleanup_(run_done) struct run event = { 0 };
	struct remote remote;

	become_remote(server, "all", &remote);
#define REMOTE(url) "--url", (url), "--ca-file", remote.cert, "--api-key-file", remote.key
	RUN(server, &status, "status", REMOTE(remote.https));
	if (status.status != CLI_OK)
		fail_msg("%s", status.err);
	assert_non_null(strstr(status.out, "mesh.example"));
	RUN(server, &list, "nodes", "list", REMOTE(remote.https));
	assert_non_null(strstr(list.out, "web"));
	RUN(server, &added, "users", "add", "dora@example.com", REMOTE(remote.https));
	assert_int_equal(added.status, CLI_OK);
	/* A body of some size, and what is answered by it. */
	RUN(server, &set, "policy", "set", POLICY, REMOTE(remote.https));
	assert_int_equal(set.status, CLI_OK);
	RUN(server, &event, "events", REMOTE(remote.https));
	assert_non_null(strstr(event.out, "apikey:"));
	assert_non_null(strstr(event.out, "user.add dora@example.com ok"));
	unlink(remote.key);
}

static void test_over_https_refused(void **state)
{
	const struct server *server = *state;
	_cleanup_(run_done) struct run scope = { 0 }, backup = { 0 }, revoked = { 0 };
	struct remote remote;

	become_remote(server, "users:read", &remote);
	RUN(server, &scope, "nodes", "list", REMOTE(remote.https));
	assert_int_equal(scope.status, CLI_NO);
	assert_non_null(strstr(scope.err, "lacks the scope nodes:read"));
	RUN(server, &backup, "backup", "/nonexistent/file", REMOTE(remote.https));
	assert_int_equal(backup.status, CTL_NO_ANSWER);
	assert_int_equal(file_write_atomic(AT_FDCWD, remote.key, "pgapi.x.y", 9, 0600), 0);
	RUN(server, &revoked, "users", "list", REMOTE(remote.https));
	assert_int_equal(revoked.status, CLI_NO);
	assert_non_null(strstr(revoked.err, "unknown, expired or revoked"));
	unlink(remote.key);
}

/* Whoever cannot be told from somebody in between gets no key to read. */
static void test_certificates(void **state)
{
	const struct server *server = *state;
	_cleanup_(run_done) struct run unknown = { 0 }, name = { 0 }, missing = { 0 };
	struct remote remote;

	become_remote(server, "all", &remote);
	RUN(server, &unknown, "status", "--url", remote.https, "--api-key-file", remote.key);
	assert_int_equal(unknown.status, CTL_NO_ANSWER);
	assert_non_null(strstr(unknown.err, "certificate"));
	RUN(server, &name, "status", REMOTE(remote.by_name));
	assert_int_equal(name.status, CTL_NO_ANSWER);
	assert_non_null(strstr(name.err, "certificate"));
	RUN(server, &missing, "status", "--url", remote.https, "--ca-file", "/no/such",
	    "--api-key-file", remote.key);
	assert_int_equal(missing.status, CTL_NO_ANSWER);
	assert_non_null(strstr(missing.err, "--ca-file /no/such: No such file"));
	unlink(remote.key);
}

/* On this host in the clear, but never by a proxy that the environment names. */
static void test_key_is_not_for_a_proxy(void **state)
{
	const struct server *server = *state;
	_cleanup_(run_done) struct run plain = { 0 };
	struct remote remote;

	become_remote(server, "all", &remote);
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	RUN(server, &plain, "status", "--url", remote.http, "--api-key-file", remote.key);
	unsetenv("http_proxy");
	if (plain.status != CLI_OK)
		fail_msg("%s", plain.err);
	unlink(remote.key);
}

static void test_api_key_files(void **state)
{
	_cleanup_(run_done) struct run none = { 0 }, empty = { 0 }, missing = { 0 };

	RUN(*state, &none, "status", "--url", "https://x.invalid");
	assert_int_equal(none.status, CLI_USAGE);
	assert_non_null(strstr(none.err, "--api-key-file"));
	RUN(*state, &empty, "status", "--url", "https://x.invalid", "--api-key-file", "/dev/null");
	assert_int_equal(empty.status, CLI_USAGE);
	assert_non_null(strstr(empty.err, "holds no API key"));
	RUN(*state, &missing, "status", "--url", "https://x.invalid", "--api-key-file", "/no/such");
	assert_int_equal(missing.status, CTL_NO_ANSWER);
	assert_non_null(strstr(missing.err, "No such file"));
}

static void test_nobody_is_there(void **state)
{
	_cleanup_(run_done) struct run run = { 0 };
	struct ctl ctl = { .server.socket = "/nonexistent/admin.sock" };

	run_ctl(&ctl, (const char *[]){ "nodes", "list", NULL }, &run);
	assert_int_equal(run.status, CTL_NO_ANSWER);
	assert_string_equal(run.err, "coordctl: the coordinator is not running: nobody listens at "
				     "/nonexistent/admin.sock; see \"systemctl status "
				     "peergate-coord\"\n");
}

/* Somebody else answers. */
static void test_it_is_no_coordinator(void **state)
{
	static const char answer[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n";
	struct server *server = *state;
	_cleanup_(run_done) struct run run = { 0 };
	_cleanup_free_ char *path = text_printf("%s/other.sock", server->folder), *error = NULL;
	struct ctl ctl = { .server.socket = path };
	int fd, status;
	pid_t pid;

	assert_int_equal(listen_unix(path, 0600, &error, &fd), 0);
	pid = fork();
	if (pid == 0) {
		int conn;
		char text[4096];

		assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
		conn = accept(fd, NULL, NULL);
		_exit(read(conn, text, sizeof(text)) <= 0 ||
		      write(conn, answer, strlen(answer)) < 0);
	}
	run_ctl(&ctl, (const char *[]){ "status", NULL }, &run);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(fd);
	unlink(path);
	assert_int_equal(run.status, CTL_NO_ANSWER);
	assert_non_null(strstr(run.err, "no Peergate coordinator"));
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

/* ---- backup and restore ---- */

static void test_backup_and_restore(void **state)
{
	struct server *server = *state;
	_cleanup_(run_done) struct run backup = { 0 }, restore = { 0 }, broken = { 0 };
	_cleanup_free_ char *file = text_printf("%s/backup", server->folder);
	_cleanup_free_ char *store = text_printf("%s/" OFFLINE_STORE, server->folder);
	_cleanup_free_ char *lock = text_printf("%s.lock", store);
	struct ctl ctl = ctl_for(server);
	struct stat st;

	if (geteuid() != 0)
		skip();
	RUN(server, &backup, "backup", file);
	if (backup.status != CLI_OK)
		fail_msg("%s", backup.err);
	assert_non_null(strstr(backup.out, "coordinator.key"));
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	ctl.state_dir = server->folder;
	run_ctl(&ctl, (const char *[]){ "restore", file, NULL }, &restore);
	if (restore.status != CLI_OK)
		fail_msg("%s", restore.err);
	assert_non_null(strstr(restore.out, "restored"));
	assert_non_null(strstr(restore.err, "coordinator.key: No such file"));
	assert_int_equal(truncate(file, st.st_size / 2), 0);
	ctl = ctl_for(server);
	ctl.state_dir = server->folder;
	run_ctl(&ctl, (const char *[]){ "restore", file, NULL }, &broken);
	assert_int_equal(broken.status, CTL_NO_ANSWER);
	unlink(file);
	unlink(store);
	unlink(lock);
}

/* ---- setting up ---- */

static void test_config_text(void **state)
{
	const struct offline_config plain = { .url = "https://coord.example" };
	const struct offline_config tls = { .url = "https://coord.example:8443",
					    .listen = "192.0.2.1:8443",
					    .certificate = "/etc/c.pem",
					    .private_key = "/etc/c.key" };
	_cleanup_free_ char *first = NULL, *second = NULL, *error = NULL;

	assert_int_equal(offline_config_text(&plain, &error, &first), 0);
	golden_check("coordctl-online/coord-plain.conf", first);
	assert_int_equal(offline_config_text(&tls, &error, &second), 0);
	golden_check("coordctl-online/coord-tls.conf", second);
}

static void test_config_text_refused(void **state)
{
	static const struct offline_config cases[] = {
		{ .url = "coord.example" },
		{ .url = "https://coord.example/" },
		{ .url = "https://coord.example\nListen=[::]:80" },
		{ .url = "https://coord.example", .listen = "here" },
		{ .url = "https://coord.example", .listen = "[::]:443\nLogLevel=debug" },
		{ .url = "https://coord.example", .certificate = "/etc/c.pem" },
		{ .url = "https://coord.example", .certificate = "c.pem", .private_key = "c.key" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = NULL, *error = NULL;

		assert_int_equal(offline_config_text(&cases[i], &error, &text), -EINVAL);
		assert_non_null(error);
		assert_null(text);
	}
}

static void test_set_up(void **state)
{
	char folder[] = "/tmp/coordctl-init-XXXXXX", key[ED25519_TEXT_LEN], again[ED25519_TEXT_LEN];
	static const char *const made[] = { OFFLINE_STORE, OFFLINE_STORE ".lock", OFFLINE_KEY };
	_cleanup_free_ char *error = NULL, *bad = NULL;

	assert_non_null(mkdtemp(folder));
	assert_int_equal(offline_set_up(folder, "not a domain", &bad, key), -EINVAL);
	assert_non_null(strstr(bad, "domain"));
	assert_int_equal(offline_set_up(folder, "mesh.example", &error, key), 0);
	/* Once more: it is all there, the key too. */
	assert_int_equal(offline_set_up(folder, "mesh.example", &error, again), 0);
	assert_string_equal(again, key);
	assert_int_equal(offline_set_up(folder, "other.example", &error, key), -EEXIST);
	assert_non_null(strstr(error, "mesh.example"));
	for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
		_cleanup_free_ char *path = text_printf("%s/%s", folder, made[i]);

		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(folder), 0);
}

static int enter_data(void **state)
{
	const char *dir = getenv("TEST_DATA");

	json_watch_memory();
	signal(SIGPIPE, SIG_IGN);
	return dir && chdir(dir) == 0 ? chdir("coordctl-online") : -1;
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_day),
		TEST(test_approve),
		TEST(test_keys_are_revoked),
		TEST(test_map_and_metrics),
		TEST(test_over_the_network_is_tls_only),
		TEST(test_api_key_files),
		TEST(test_over_https),
		TEST(test_over_https_refused),
		TEST(test_certificates),
		TEST(test_key_is_not_for_a_proxy),
		cmocka_unit_test(test_nobody_is_there),
		TEST(test_it_is_no_coordinator),
		TEST(test_follow),
		TEST(test_backup_and_restore),
		cmocka_unit_test(test_config_text),
		cmocka_unit_test(test_config_text_refused),
		cmocka_unit_test(test_set_up),
	};

	if (argc == 3 && strcmp(argv[1], "--serve") == 0)
		return serve(argv[2]);
	return cmocka_run_group_tests(tests, enter_data, NULL);
}
