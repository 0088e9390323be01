/* coordctl and a coordinator far away: over the network, with an API key. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/listen.h"
#include "common/text.h"
#include "tests/unit/coordctl-fixture.h"

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

#define REMOTE(url) "--url", (url), "--ca-file", remote.cert, "--api-key-file", remote.key

static void test_over_https(void **state)
{
	const struct server *server = *state;
	_cleanup_(run_done) struct run status = { 0 }, list = { 0 }, added = { 0 }, set = { 0 };
	_cleanup_(run_done) struct run event = { 0 };
	struct remote remote;

	become_remote(server, "all", &remote);
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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		COORDCTL_TEST(test_over_the_network_is_tls_only),
		COORDCTL_TEST(test_api_key_files),
		COORDCTL_TEST(test_over_https),
		COORDCTL_TEST(test_over_https_refused),
		COORDCTL_TEST(test_certificates),
		COORDCTL_TEST(test_key_is_not_for_a_proxy),
		cmocka_unit_test(test_nobody_is_there),
		COORDCTL_TEST(test_it_is_no_coordinator),
	};

	if (argc == 3 && strcmp(argv[1], "--serve") == 0)
		return coordctl_serve(argv[2]);
	return cmocka_run_group_tests(tests, coordctl_enter_data, NULL);
}
