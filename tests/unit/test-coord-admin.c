/* What people and programs ask of the coordinator, over HTTP and the unix socket. */
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/listen.h"
#include "common/text.h"
#include "coord/api/admin.h"
#include "coord/api/admin_policy.h"
#include "coord/registry/accounts.h"
#include "coord/registry/checks.h"
#include "tests/unit/coord-fixture.h"

static struct http_reply reply;
static char authorization[384];

/* ---- asking ---- */

static char *request_text(const char *method, const char *path, const char *headers,
			  const char *body)
{
	char *text = text_printf("%s /v1/admin/%s HTTP/1.1\r\nHost: c\r\nContent-Length: %zu\r\n%s"
				 "\r\n%s",
				 method, path, strlen(body), headers, body);

	assert_non_null(text);
	return text;
}

/* With these headers over the network. */
static unsigned ask_with(struct coord_fix *coord, const char *headers, const char *method,
			 const char *path, const char *body)
{
	_cleanup_free_ char *text = request_text(method, path, headers, body);

	return http_fixture_ask(&coord->http, text, &reply);
}

static const char *make_key(struct coord_fix *coord, unsigned scopes)
{
	const struct registry_apikey_request request = { .scopes = scopes };

	registry_create_apikey(coord->registry, &fix_root, &request, fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
	snprintf(authorization, sizeof(authorization), "Authorization: Bearer %s\r\n",
		 coord->result.secret);
	return authorization;
}

/* With the key that was made last. */
static unsigned ask(struct coord_fix *coord, const char *method, const char *path, const char *body)
{
	return ask_with(coord, authorization, method, path, body);
}

/* The answer, whose status has to be this, as JSON; the caller's. */
static json_t *expect(unsigned status, unsigned wanted)
{
	json_t *json = json_loads(http_reply_body(&reply), 0, NULL);

	if (status != wanted)
		fail_msg("%u, not %u: %s", status, wanted, http_reply_body(&reply));
	assert_non_null(json);
	return json;
}

static void assert_text(const json_t *json, const char *key, const char *wanted)
{
	const char *text = json_string_value(json_object_get(json, key));

	assert_non_null(text);
	assert_string_equal(text, wanted);
}

static void assert_refused(unsigned status, unsigned wanted, const char *code, const char *text)
{
	json_auto_t *json = expect(status, wanted);
	const json_t *error = json_object_get(json, "error");

	assert_text(error, "code", code);
	if (!strstr(json_string_value(json_object_get(error, "message")), text))
		fail_msg("\"%s\" does not say \"%s\"", http_reply_body(&reply), text);
}

static void assert_ok(unsigned status)
{
	json_auto_t *json = expect(status, 200);

	assert_true(json_is_object(json));
}

static int set_up(void **state)
{
	authorization[0] = '\0';
	return coord_fix_setup_then(state);
}

static int set_up_with_key(void **state)
{
	int r = coord_fix_setup_then(state);

	make_key(*state, SCOPE_ALL);
	return r;
}

/* ---- who asks ---- */

/* A path of the route, with something in the place of "{name}". */
static void fill_path(const char *path, char *buf)
{
	const char *rest = path + strlen("/v1/admin/");

	while (*rest) {
		if (*rest != '{') {
			*buf++ = *rest++;
			continue;
		}
		*buf++ = '1';
		rest = strchr(rest, '}') + 1;
	}
	*buf = '\0';
}

static bool is_admin(const struct http_route *route)
{
	return strncmp(route->path, "/v1/admin/", 10) == 0;
}

static void test_every_route_wants_a_key(void **state)
{
	struct coord_fix *coord = *state;
	const struct http_route *routes;
	size_t n, n_admin = 0;
	char path[128];

	routes = api_routes(&n);
	for (size_t i = 0; i < n; i++) {
		if (!is_admin(&routes[i]) || !(routes[i].on & HTTP_ON_NETWORK))
			continue;
		n_admin++;
		fill_path(routes[i].path, path);
		assert_refused(ask_with(coord, "", routes[i].method, path, ""), 401, "not-allowed",
			       "Authorization: Bearer");
		assert_non_null(strstr(reply.text, "\r\nWWW-Authenticate: Bearer\r\n"));
	}
	assert_true(n_admin > 25);
}

/* With all scopes but this one, one of those that the route names: refused, and told which. */
static void check_scope(struct coord_fix *coord, const struct http_route *route, unsigned bit,
			const char *scope)
{
	char path[128];

	/* A GET may read, whatever changes something may write. */
	assert_non_null(strstr(scope, strcmp(route->method, "GET") == 0 ||
						      strstr(route->path, "policy/check") ||
						      strstr(route->path, "/diff")
					      ? ":read"
					      : ":write"));
	make_key(coord, SCOPE_ALL & ~bit);
	fill_path(route->path, path);
	assert_refused(ask(coord, route->method, path, ""), 403, "not-allowed", scope);
}

static void test_every_route_wants_its_scopes(void **state)
{
	struct coord_fix *coord = *state;
	const struct http_route *routes;
	size_t n, n_scoped = 0;

	routes = api_routes(&n);
	for (size_t i = 0; i < n; i++) {
		const struct admin_verb *verb = routes[i].data;
		const char *scope;
		unsigned bit, left;

		if (!verb || verb->scope == 0 || !(routes[i].on & HTTP_ON_NETWORK))
			continue;
		n_scoped++;
		left = verb->scope;
		for (unsigned s = 0; (scope = scope_name(s, &bit)); s++) {
			if (left & bit)
				check_scope(coord, &routes[i], bit, scope);
			left &= ~bit;
		}
		assert_int_equal(left, 0);
	}
	assert_true(n_scoped > 25);
}

static void test_a_backup_is_not_for_the_network(void **state)
{
	assert_int_equal(ask(*state, "GET", "backup", ""), 404);
}

static void test_keys_that_are_none(void **state)
{
	struct coord_fix *coord = *state;
	char headers[1024], key[256];

	make_key(coord, SCOPE_ALL);
	snprintf(key, sizeof(key), "%s", coord->result.secret);
	assert_ok(ask(coord, "GET", "users", ""));
	/* Another letter at its end, another scheme, twice. */
	snprintf(headers, sizeof(headers), "Authorization: Bearer %.*s%c\r\n", (int)strlen(key) - 1,
		 key, key[strlen(key) - 1] == 'A' ? 'E' : 'A');
	assert_refused(ask_with(coord, headers, "GET", "users", ""), 401, "not-allowed",
		       "unknown, expired or revoked");
	snprintf(headers, sizeof(headers), "Authorization: Basic %s\r\n", key);
	assert_refused(ask_with(coord, headers, "GET", "users", ""), 401, "not-allowed", "Bearer");
	snprintf(headers, sizeof(headers),
		 "Authorization: Bearer %s\r\nAuthorization: Bearer %s\r\n", key, key);
	assert_refused(ask_with(coord, headers, "GET", "users", ""), 401, "not-allowed", "Bearer");
	/* Schemes know no case (RFC 9110, 11.1). */
	snprintf(headers, sizeof(headers), "Authorization: bEARER %s\r\n", key);
	assert_ok(ask_with(coord, headers, "GET", "users", ""));
}

static void test_revoked_and_expired(void **state)
{
	struct coord_fix *coord = *state;
	_cleanup_free_ char *path = NULL;

	make_key(coord, SCOPE_ALL);
	path = text_printf("apikeys/%s", coord->result.id);
	assert_ok(ask(coord, "GET", "users", ""));
	fix_set_time(FIX_START + 90 * FIX_DAY);
	assert_refused(ask(coord, "GET", "users", ""), 401, "not-allowed", "expired");
	fix_set_time(FIX_START + 89 * FIX_DAY);
	assert_ok(ask(coord, "DELETE", path, ""));
	assert_refused(ask(coord, "GET", "users", ""), 401, "not-allowed", "revoked");
}

/* A proxy that is not trusted has spoken TLS, or not: nobody knows. */
static void test_keys_in_the_clear(void **state)
{
	static const char *const forwarded[] = {
		"X-Forwarded-For: 127.0.0.1\r\n",
		"Forwarded: for=127.0.0.1\r\n",
		"Via: 1.1 proxy\r\n",
	};
	struct coord_fix *coord = *state;
	char headers[640];

	for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++) {
		snprintf(headers, sizeof(headers), "%s%s", authorization, forwarded[i]);
		assert_refused(ask_with(coord, headers, "GET", "users", ""), 403, "not-allowed",
			       "TLS");
	}
}

static int set_up_behind_proxy(void **state)
{
	static struct ip_prefix proxy;
	struct coord_fix *coord;
	int r = set_up_with_key(state);

	assert_int_equal(ip_prefix_parse("127.0.0.1", &proxy), 0);
	coord = *state;
	api_set_server(coord->api, NULL);
	http_server_free(coord->http.server);
	coord->http.config.trusted_proxies = &proxy;
	coord->http.config.n_trusted_proxies = 1;
	coord->http.config.authority = "coord.example";
	http_fixture_start(&coord->http, NULL);
	api_set_server(coord->api, coord->http.server);
	return r;
}

/* nginx that nobody told anything: the client may say what it likes. */
static void test_behind_a_silent_proxy(void **state)
{
	static const struct {
		const char *headers;
		unsigned status, n_unattributed;
	} cases[] = {
		{ "", 403, 1 },
		{ "X-Forwarded-For: 203.0.113.66\r\nX-Forwarded-Proto: https\r\n", 403, 1 },
		{ "Host: coord.example\r\n", 403, 2 },
		{ "Host: coord.example\r\nX-Forwarded-For: 203.0.113.66\r\n", 403, 1 },
		{ "Host: coord.example:8080\r\nX-Forwarded-For: 203.0.113.66\r\n"
		  "X-Forwarded-Proto: https\r\n",
		  403, 1 },
		{ "Host: Coord.example\r\nX-Forwarded-For: 203.0.113.66\r\n"
		  "X-Forwarded-Proto: https\r\n",
		  200, 0 },
	};
	struct coord_fix *coord = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = text_printf("GET /v1/admin/users HTTP/1.0\r\n%s%s\r\n",
							authorization, cases[i].headers);
		uint64_t before = http_fixture_stats(&coord->http).unattributed;

		print_message("%s\n", cases[i].headers);
		assert_int_equal(http_fixture_ask(&coord->http, text, &reply), cases[i].status);
		assert_int_equal(http_fixture_stats(&coord->http).unattributed - before,
				 cases[i].n_unattributed);
	}
	snprintf(authorization + strlen(authorization),
		 sizeof(authorization) - strlen(authorization),
		 "X-Forwarded-Proto: https\r\nX-Forwarded-For: 203.0.113.66\r\n"
		 "Host: coord.example\r\n");
	{
		_cleanup_free_ char *text =
			text_printf("GET /v1/admin/status HTTP/1.0\r\n%s\r\n", authorization);

		assert_int_equal(http_fixture_ask(&coord->http, text, &reply), 200);
		assert_non_null(strstr(reply.text, "a reverse proxy does not hand on"));
	}
}

static void test_refusals_are_limited(void **state)
{
	struct coord_fix *coord = *state;
	unsigned n = 0;

	while (ask_with(coord, "", "GET", "users", "") == 401)
		assert_true(++n < 1000);
	assert_non_null(strstr(reply.text, "HTTP/1.1 429"));
	assert_non_null(strstr(reply.text, "\r\nRetry-After: "));
	/* Whoever has a key is not in the way of the others' mistakes. */
	make_key(coord, SCOPE_ALL);
	assert_ok(ask(coord, "GET", "users", ""));
}

/* ---- the unix socket ---- */

static void listen_unix_socket(struct coord_fix *coord, char *path, size_t size)
{
	_cleanup_free_ char *error = NULL;
	int fd;

	snprintf(path, size, "%s/admin.sock", coord->folder);
	assert_int_equal(listen_unix(path, 0666, &error, &fd), 0);
	assert_int_equal(http_server_listen_fd(coord->http.server, fd, NULL, &error), 0);
	/* Whoever connects as somebody else has to get there. */
	assert_int_equal(chmod(coord->folder, 0711), 0);
}

static int connect_unix(const char *path)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static unsigned ask_unix(struct coord_fix *coord, int fd, const char *method, const char *path,
			 const char *body)
{
	_cleanup_free_ char *text = request_text(method, path, "", body);

	return http_fixture_exchange(&coord->http, fd, text, &reply);
}

/* A socket that was connected by somebody with these ids. */
static int connect_as(const char *path, uid_t uid, gid_t gid, gid_t supplementary)
{
	int fd, r;

	/* Of this thread alone, and only for the connection: its credentials are those of then. */
	assert_int_equal(setgroups(1, &supplementary), 0);
	assert_int_equal(setresgid(gid, gid, 0), 0);
	assert_int_equal(setresuid(uid, uid, 0), 0);
	fd = connect_unix(path);
	r = setresuid(0, 0, 0) | setresgid(0, 0, 0);
	assert_int_equal(r, 0);
	assert_int_equal(setgroups(0, NULL), 0);
	return fd;
}

#define ADMINS 4242u

static void test_peers_of_the_socket(void **state)
{
	static const struct {
		uid_t uid;
		gid_t gid, supplementary;
		unsigned status;
	} cases[] = {
		{ 65534, 65534, 65534, 403 },
		{ 65534, ADMINS, 65534, 200 },
		{ 65534, 65534, ADMINS, 200 },
		{ 65534, 0, 0, 403 },
		{ 0, 0, 0, 200 },
	};
	struct coord_fix *coord = *state;
	char path[128];

	if (geteuid() != 0)
		skip();
	listen_unix_socket(coord, path, sizeof(path));
	coord->api->admin_group = ADMINS;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int fd = connect_as(path, cases[i].uid, cases[i].gid, cases[i].supplementary);

		assert_int_equal(ask_unix(coord, fd, "GET", "users", ""), cases[i].status);
		close(fd);
	}
	/* Without such a group nobody but root may. */
	coord->api->admin_group = (gid_t)-1;
	for (size_t i = 0; i < 3; i++) {
		int fd = connect_as(path, 65534, (gid_t)-2, 65534);

		assert_refused(ask_unix(coord, fd, "GET", "users", ""), 403, "not-allowed",
			       "AdminGroup=");
		close(fd);
	}
	unlink(path);
}

/* The events say who did it. */
static void test_who_is_named(void **state)
{
	struct coord_fix *coord = *state;
	char path[128];
	int fd;

	if (geteuid() != 0)
		skip();
	listen_unix_socket(coord, path, sizeof(path));
	coord->api->admin_group = ADMINS;
	fd = connect_as(path, 65534, ADMINS, ADMINS);
	assert_ok(ask_unix(coord, fd, "POST", "users", "{\"login\":\"x@example.com\"}"));
	close(fd);
	fd = connect_as(path, 54321, ADMINS, ADMINS);
	assert_ok(ask_unix(coord, fd, "POST", "users", "{\"login\":\"y@example.com\"}"));
	close(fd);
	fd = connect_unix(path);
	assert_ok(ask_unix(coord, fd, "POST", "users", "{\"login\":\"z@example.com\"}"));
	assert_int_equal(ask_unix(coord, fd, "GET", "events", ""), 200);
	close(fd);
	assert_non_null(strstr(reply.text, "\"actor\":\"unix:nobody\",\"from\":\"unix\",\"action\":"
					   "\"user.add\",\"object\":\"x@example.com\""));
	assert_non_null(strstr(reply.text, "\"actor\":\"unix:54321\",\"from\":\"unix\",\"action\":"
					   "\"user.add\",\"object\":\"y@example.com\""));
	assert_non_null(strstr(reply.text, "\"actor\":\"root\",\"from\":\"unix\",\"action\":"
					   "\"user.add\",\"object\":\"z@example.com\""));
	unlink(path);
}

static void test_backup(void **state)
{
	struct coord_fix *coord = *state;
	char path[128];
	int fd;

	if (geteuid() != 0)
		skip();
	listen_unix_socket(coord, path, sizeof(path));
	coord->api->admin_group = ADMINS;
	fd = connect_as(path, 65534, ADMINS, ADMINS);
	assert_refused(ask_unix(coord, fd, "GET", "backup", ""), 403, "not-allowed", "root");
	close(fd);
	fd = connect_unix(path);
	http_fixture_send(fd, "GET /v1/admin/backup HTTP/1.0\r\n\r\n");
	reply = (struct http_reply){ 0 };
	http_fixture_receive(&coord->http, fd, NULL, &reply);
	close(fd);
	assert_non_null(strstr(reply.text, "200 OK"));
	assert_string_equal(http_reply_body(&reply), "SQLite format 3");
	assert_true(reply.len > 4096);
	assert_false(coord->api->is_backing_up);
	unlink(path);
}

/* So much that the copy takes many steps. */
static void fill_store(struct coord_fix *coord)
{
	const size_t len = 500000;
	_cleanup_free_ char *text = malloc(len);
	const struct registry_policy_request request = { .text = text, .len = len };

	assert_non_null(text);
	memset(text, ' ', len);
	memcpy(text, "{}", 2);
	for (unsigned i = 0; i < 40; i++) {
		memcpy(text + 3, i % 2 ? "//x\n" : "//y\n", 4);
		registry_set_policy(coord->registry, &fix_root, &request, fix_done, &coord->result);
		assert_int_equal(coord->result.code, REGISTRY_OK);
	}
}

/* Others are answered while the copy is made; and it ends when nobody waits for it any more. */
static void test_backup_takes_its_time(void **state)
{
	struct coord_fix *coord = *state;
	_cleanup_free_ char *copy = NULL;
	char socket_path[128], byte;
	int fds[2];

	if (geteuid() != 0)
		skip();
	listen_unix_socket(coord, socket_path, sizeof(socket_path));
	fill_store(coord);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = connect_unix(socket_path);
	http_fixture_send(fds[0], "GET /v1/admin/backup HTTP/1.0\r\n\r\n");
	http_fixture_wait(&coord->http, coord->api->is_backing_up);
	assert_refused(ask_unix(coord, fds[1], "GET", "backup", ""), 409, "conflict", "another");
	/* It is being put together still: nothing is sent before that. */
	copy = text_printf("%s/backup.db", coord->folder);
	assert_int_equal(access(copy, F_OK), 0);
	assert_int_equal(recv(fds[0], &byte, 1, 0), -1);
	close(fds[0]);
	close(fds[1]);
	/* At once, not when the copy is complete, of which there are twenty steps. */
	for (unsigned i = 0; i < 8; i++)
		assert_true(sd_event_run(coord->http.event, 0) >= 0);
	assert_false(coord->api->is_backing_up);
	assert_int_equal(http_fixture_stats(&coord->http).streams_total, 0);
	assert_int_equal(access(copy, F_OK), -1);
	unlink(socket_path);
}

/* ---- users ---- */

static void test_users(void **state)
{
	struct coord_fix *coord = *state;
	json_auto_t *user = NULL, *list = NULL;

	user = expect(ask(coord, "POST", "users",
			  "{\"login\":\"bob@example.com\",\"name\":\"Bob\",\"roles\":[\"admin\"]}"),
		      200);
	assert_text(user, "login", "bob@example.com");
	assert_text(user, "name", "Bob");
	assert_text(user, "created", "2027-01-15T08:00:00Z");
	assert_refused(ask(coord, "POST", "users", "{\"login\":\"bob@example.com\"}"), 409,
		       "conflict", "bob@example.com");
	/* Roles are replaced; the name stays. */
	assert_ok(ask(coord, "PATCH", "users/bob%40example.com", "{\"roles\":[]}"));
	assert_non_null(strstr(reply.text, "\"name\":\"Bob\",\"roles\":[]"));
	list = expect(ask(coord, "GET", "users", ""), 200);
	assert_int_equal(json_array_size(json_object_get(list, "users")), 2);
	assert_ok(ask(coord, "DELETE", "users/bob%40example.com", ""));
	assert_refused(ask(coord, "DELETE", "users/bob%40example.com", ""), 404, "not-found", "");
	assert_refused(ask(coord, "PATCH", "users/bob%40example.com", "{}"), 404, "not-found", "");
}

/* By an operator: no person of the registry. */
static void sign_in(struct coord_fix *coord)
{
	struct registry_session_request request = {
		.user = "alice@example.com",
		.method = "oidc:corp",
		.strength = AUTH_PROMPT_ONLY,
		.auth_time = FIX_START,
		.agent = "Firefox",
	};

	assert_int_equal(ip_addr_parse("192.0.2.7", &request.from), 0);
	registry_open_session(coord->registry, &fix_root, &request, fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
}

static void test_user_show(void **state)
{
	struct coord_fix *coord = *state;
	json_auto_t *user = NULL;
	const json_t *session, *node;
	struct agent_fix agent = { 0 };

	agent_fix_init(coord, &agent);
	agent_fix_enrol(coord, &agent);
	sign_in(coord);
	fix_put(coord->store, "users/carol@example.com",
		"{\"created\":1,\"password\":\"$y$j9T$secret\",\"totp\":\"GEZDGNBVGY3TQOJQ"
		"GEZDGNBVGY3TQOJQ\",\"identities\":[{\"issuer\":\"https://idp.example\","
		"\"subject\":\"7\"}],\"provider_groups\":[\"ops\"]}");
	user = expect(ask(coord, "GET", "users/alice%40example.com", ""), 200);
	assert_text(user, "login", "alice@example.com");
	assert_text(user, "last_sign_in", "2027-01-15T08:00:00Z");
	assert_true(json_is_null(json_object_get(user, "suspended")));
	assert_true(json_is_false(json_object_get(user, "password")));
	session = json_array_get(json_object_get(user, "sessions"), 0);
	assert_text(session, "method", "oidc:corp");
	assert_text(session, "strength", "prompt_only");
	assert_text(session, "from", "192.0.2.7");
	assert_text(session, "expires", "2027-01-15T20:00:00Z");
	node = json_array_get(json_object_get(user, "nodes"), 0);
	assert_true(json_is_false(json_object_get(node, "expired")));
	json_decref(user);
	/* That there are secrets is said; nothing of what they are. */
	user = expect(ask(coord, "GET", "users/carol%40example.com", ""), 200);
	assert_true(json_is_true(json_object_get(user, "password")));
	assert_true(json_is_true(json_object_get(user, "totp")));
	assert_text(json_array_get(json_object_get(user, "identities"), 0), "subject", "7");
	assert_int_equal(json_array_size(json_object_get(user, "nodes")), 0);
	assert_null(strstr(reply.text, "$y$"));
	assert_null(strstr(reply.text, "GEZD"));
	assert_ok(ask(coord, "GET", "users", ""));
	assert_null(strstr(reply.text, "$y$"));
	assert_null(strstr(reply.text, "GEZD"));
	assert_refused(ask(coord, "GET", "users/dave%40example.com", ""), 404, "not-found", "");
	agent_fix_done(&agent);
}

static void test_user_suspend(void **state)
{
	struct coord_fix *coord = *state;
	struct agent_fix agent = { 0 };
	json_auto_t *user = NULL;

	agent_fix_init(coord, &agent);
	agent_fix_enrol(coord, &agent);
	sign_in(coord);
	user = expect(ask(coord, "POST", "users/alice%40example.com/suspend", ""), 200);
	assert_text(user, "suspended", "2027-01-15T08:00:00Z");
	json_decref(user);
	user = expect(ask(coord, "GET", "users/alice%40example.com", ""), 200);
	assert_int_equal(json_array_size(json_object_get(user, "sessions")), 0);
	assert_true(json_is_true(
		json_object_get(json_array_get(json_object_get(user, "nodes"), 0), "expired")));
	json_decref(user);
	assert_refused(ask(coord, "POST", "users/alice%40example.com/password-link", ""), 403,
		       "not-allowed", "is suspended");
	user = expect(ask(coord, "POST", "users/alice%40example.com/resume", ""), 200);
	assert_true(json_is_null(json_object_get(user, "suspended")));
	assert_refused(ask(coord, "POST", "users/dave%40example.com/suspend", ""), 404, "not-found",
		       "");
	agent_fix_done(&agent);
}

static void test_user_sign_out(void **state)
{
	struct coord_fix *coord = *state;
	json_auto_t *user = NULL;

	sign_in(coord);
	assert_ok(ask(coord, "POST", "users/alice%40example.com/sign-out", ""));
	user = expect(ask(coord, "GET", "users/alice%40example.com", ""), 200);
	assert_int_equal(json_array_size(json_object_get(user, "sessions")), 0);
	fix_put(coord->store, "users/alice@example.com",
		"{\"created\":1,\"totp\":\"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\"}");
	json_decref(user);
	user = expect(ask(coord, "POST", "users/alice%40example.com/totp-reset", ""), 200);
	assert_true(json_is_false(json_object_get(user, "totp")));
}

static void test_password_link(void **state)
{
	static const char start[] = "http://127.0.0.1/set-password/";
	struct coord_fix *coord = *state;
	json_auto_t *link = NULL;
	const char *url;

	link = expect(ask(coord, "POST", "users/alice%40example.com/password-link", ""), 200);
	url = json_string_value(json_object_get(link, "url"));
	assert_non_null(url);
	assert_memory_equal(url, start, strlen(start));
	assert_non_null(registry_pwlink(coord->registry, url + strlen(start)));
	assert_text(link, "login", "alice@example.com");
	assert_text(link, "expires", "2027-01-16T08:00:00Z");
	assert_refused(ask(coord, "POST", "users/dave%40example.com/password-link", ""), 404,
		       "not-found", "");
}

static void test_bodies_that_make_no_sense(void **state)
{
	static const struct {
		const char *method, *path, *body, *text;
	} cases[] = {
		{ "POST", "users", "", "login: is missing" },
		{ "POST", "users", "[]", "an object" },
		{ "POST", "users", "{", "line 1" },
		{ "POST", "users", "{\"login\":7}", "login:" },
		{ "POST", "users", "{\"login\":\"x@y.example\",\"roles\":[\"king\"]}",
		  "roles[0]: \"king\": expected owner" },
		{ "POST", "apikeys", "{}", "scopes: is missing" },
		{ "POST", "apikeys", "{\"scopes\":[\"nodes\"]}", "scopes[0]: \"nodes\": expected" },
		{ "POST", "apikeys", "{\"scopes\":[]}", "scopes" },
		{ "POST", "authkeys", "{\"tags\":[\"prod\"]}", "tags[0]: \"prod\":" },
		{ "POST", "authkeys", "{\"user\":\"alice@example.com\",\"expires_in\":0}",
		  "expires_in: expected seconds" },
		{ "POST", "authkeys", "{\"user\":\"alice@example.com\",\"expires_in\":\"soon\"}",
		  "expires_in: expected seconds" },
		{ "POST", "authkeys", "{\"user\":\"alice@example.com\",\"reusable\":1}",
		  "reusable:" },
		{ "PATCH", "nodes/x", "{\"key_expiry\":\"tomorrow\"}", "key_expiry:" },
		{ "POST", "policy/rollback", "{}", "version: is missing" },
		{ "GET", "policy/history/x", "", "number" },
		{ "PUT", "policy?confirm_within=0", "{}", "confirm_within" },
		{ "PUT", "policy?confirm_within=5m", "{}", "confirm_within" },
		{ "GET", "policy/explain?src=x", "", "dst=" },
		{ "GET", "events?limit=0", "", "limit" },
		{ "GET", "events?since=yesterday", "", "since" },
		{ "GET", "events?since=2027-01-15T08:00:00Z&after=x", "", "one of them" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_refused(ask(*state, cases[i].method, cases[i].path, cases[i].body), 400,
			       "bad-request", cases[i].text);
}

/* ---- keys ---- */

static void test_authkeys(void **state)
{
	struct coord_fix *coord = *state;
	json_auto_t *made = NULL, *list = NULL;
	_cleanup_free_ char *path = NULL;
	const json_t *key;

	made = expect(ask(coord, "POST", "authkeys",
			  "{\"user\":\"alice@example.com\",\"reusable\":true,\"expires_in\":3600,"
			  "\"description\":\"rack 7\"}"),
		      200);
	assert_memory_equal(json_string_value(json_object_get(made, "key")), "pgauth.k", 8);
	assert_text(made, "expires", "2027-01-15T09:00:00Z");
	list = expect(ask(coord, "GET", "authkeys", ""), 200);
	/* The key is in no other answer. */
	assert_null(strstr(reply.text, "pgauth"));
	assert_null(strstr(reply.text, "hash"));
	key = json_array_get(json_object_get(list, "authkeys"), 0);
	assert_text(key, "state", "valid");
	assert_text(key, "description", "rack 7");
	path = text_printf("authkeys/%s", json_string_value(json_object_get(made, "id")));
	assert_ok(ask(coord, "DELETE", path, ""));
	assert_int_equal(ask(coord, "GET", "authkeys", ""), 200);
	assert_non_null(strstr(reply.text, "\"state\":\"revoked\""));
	assert_ok(ask(coord, "POST", "authkeys",
		      "{\"user\":\"alice@example.com\",\"expires_in\":\"never\"}"));
	assert_non_null(strstr(reply.text, "\"expires\":null"));
	assert_refused(ask(coord, "POST", "authkeys", "{\"user\":\"eve@example.com\"}"), 404,
		       "not-found", "no such user");
}

static void test_an_api_key_gives_what_it_has(void **state)
{
	const struct registry_apikey_request all = { .scopes = SCOPE_ALL },
					     some = { .scopes = SCOPE_POLICY_READ };
	struct coord_fix *coord = *state;
	char path[96];

	make_key(coord, SCOPE_KEYS_WRITE | SCOPE_POLICY_READ);
	assert_refused(ask(coord, "POST", "apikeys", "{\"scopes\":[\"policy:write\"]}"), 403,
		       "not-allowed", "policy:write");
	assert_refused(ask(coord, "POST", "apikeys", "{\"scopes\":[\"all\"]}"), 403, "not-allowed",
		       "do not have it");
	assert_ok(ask(coord, "POST", "apikeys", "{\"scopes\":[\"policy:read\"]}"));
	/* Nor does it take away what it has not. */
	registry_create_apikey(coord->registry, &fix_root, &all, fix_done, &coord->result);
	snprintf(path, sizeof(path), "apikeys/%s", coord->result.id);
	assert_refused(ask(coord, "DELETE", path, ""), 403, "not-allowed", "more than yours");
	registry_create_apikey(coord->registry, &fix_root, &some, fix_done, &coord->result);
	snprintf(path, sizeof(path), "apikeys/%s", coord->result.id);
	assert_ok(ask(coord, "DELETE", path, ""));
	make_key(coord, SCOPE_ALL);
	assert_ok(ask(coord, "POST", "apikeys", "{\"scopes\":[\"all\"],\"expires_in\":60}"));
}

/* ---- nodes ---- */

static void enrol(struct coord_fix *coord, const char *auth_key)
{
	struct agent_fix agent;

	agent_fix_init(coord, &agent);
	(void)agent_fix_ask(coord, &agent, "/v1/enrol", agent_fix_enrolment(&agent, auth_key),
			    &reply);
	agent_fix_done(&agent);
}

static void set_node(struct coord_fix *coord, unsigned number, const char *name)
{
	const struct registry_enrolment enrolment = {
		.machine = fix_machine_key(number),
		.key = fix_node_key(number),
		.facts.hostname = (char *)name,
		.facts.listen_port = 51820,
		.auth_key = coord_fix_authkey(coord),
	};

	registry_enrol(coord->registry, &fix_root, &enrolment, fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
}

/* Of the last one that was asked for. */
static char check_id[32];

static void on_check(const struct registry_result *result, void *userdata)
{
	assert_int_equal(result->code, REGISTRY_WAITING);
	snprintf(check_id, sizeof(check_id), "%s", result->checkreq->head.id);
}

static void ask_for_check(struct coord_fix *coord, const char *source, const char *target)
{
	const struct registry_check_request request = {
		.source = registry_node_by_name(coord->registry, source)->head.id,
		.target = target ? registry_node_by_name(coord->registry, target)->head.id : NULL,
		.ssh_user = target ? "root" : NULL,
	};

	registry_ask_check(coord->registry, &fix_root, &request, on_check, NULL);
}

static void approve_check(struct coord_fix *coord)
{
	const struct registry_actor alice = { .who = "alice@example.com",
					      .from = "192.0.2.9",
					      .login = "alice@example.com" };
	const struct registry_check_answer answer = {
		.approve = true,
		.method = "oidc:corp",
		.strength = AUTH_PROMPT_ONLY,
		.auth_time = registry_now(coord->registry),
	};

	registry_answer_check(coord->registry, &alice, check_id, &answer, fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
}

static const json_t *member(const json_t *list, const char *key, size_t i)
{
	return json_array_get(json_object_get(list, key), i);
}

static void test_checks(void **state)
{
	struct coord_fix *coord = *state;
	json_auto_t *list = NULL, *after = NULL;
	const json_t *login;

	set_node(coord, 1, "web");
	set_node(coord, 2, "desk");
	ask_for_check(coord, "desk", "web");
	approve_check(coord);
	ask_for_check(coord, "desk", "web");
	ask_for_check(coord, "desk", NULL);
	list = expect(ask(coord, "GET", "checks", ""), 200);
	assert_int_equal(json_array_size(json_object_get(list, "checks")), 1);
	assert_text(member(list, "checks", 0), "name", "desk");
	assert_text(member(list, "checks", 0), "user", "alice@example.com");
	assert_text(member(list, "checks", 0), "checked_at", "2027-01-15T08:00:00Z");
	assert_text(member(list, "checks", 0), "method", "oidc:corp");
	assert_text(member(list, "checks", 0), "strength", "prompt_only");
	assert_text(member(list, "checks", 0), "from", "192.0.2.9");
	assert_int_equal(json_array_size(json_object_get(list, "waiting")), 1);
	assert_text(member(list, "waiting", 0), "name", "desk");
	assert_text(member(list, "waiting", 0), "expires", "2027-01-15T08:10:00Z");
	login = member(member(list, "waiting", 0), "logins", 0);
	assert_text(login, "target_name", "web");
	assert_text(login, "ssh_user", "root");
	login = member(member(list, "waiting", 0), "logins", 1);
	assert_true(json_is_null(json_object_get(login, "target")));
	/* The page is for whom it was shown. */
	assert_null(strstr(reply.text, check_id));

	assert_refused(ask(coord, "DELETE", "checks/nowhere", ""), 404, "not-found",
		       "no such node and no such user");
	assert_ok(ask(coord, "DELETE", "checks/web", ""));
	assert_ok(ask(coord, "DELETE", "checks/alice@example.com", ""));
	after = expect(ask(coord, "GET", "checks", ""), 200);
	assert_int_equal(json_array_size(json_object_get(after, "checks")), 0);
	assert_int_equal(json_array_size(json_object_get(after, "waiting")), 1);

	assert_int_equal(ask(coord, "GET", "metrics", ""), 200);
	assert_non_null(strstr(reply.text, "peergate_coord_checks_total{what=\"asked\"} 3\n"));
	assert_non_null(strstr(reply.text, "peergate_coord_checks_total{what=\"approved\"} 1\n"));
	assert_non_null(strstr(reply.text, "peergate_coord_checks_waiting 1\n"));
	assert_non_null(strstr(reply.text, "peergate_coord_checks_held 0\n"));
}

static void test_nodes(void **state)
{
	struct coord_fix *coord = *state;
	json_auto_t *node = NULL, *list = NULL, *map = NULL;
	_cleanup_free_ char *path = NULL;

	set_node(coord, 1, "web");
	set_node(coord, 2, "db");
	list = expect(ask(coord, "GET", "nodes", ""), 200);
	assert_int_equal(json_array_size(json_object_get(list, "nodes")), 2);
	node = expect(ask(coord, "GET", "nodes/web", ""), 200);
	assert_text(node, "user", "alice@example.com");
	assert_text(node, "key_expiry", "2027-07-14T08:00:00Z");
	assert_true(json_is_false(json_object_get(node, "online")));
	map = expect(ask(coord, "GET", "nodes/web/map", ""), 200);
	assert_text(map, "type", "full");
	assert_int_equal(json_array_size(json_object_get(map, "peers")), 1);

	/* By its id as well. */
	path = text_printf("nodes/%s", json_string_value(json_object_get(node, "id")));
	assert_ok(ask(coord, "PATCH", path, "{\"name\":\"www\",\"key_expiry\":null}"));
	assert_non_null(strstr(reply.text, "\"name\":\"www\""));
	assert_non_null(strstr(reply.text, "\"key_expiry\":null"));
	assert_ok(ask(coord, "PATCH", path, "{\"key_expiry\":\"2027-02-01T00:00:00Z\"}"));
	assert_non_null(strstr(reply.text, "\"key_expiry\":\"2027-02-01T00:00:00Z\""));
	assert_refused(ask(coord, "PATCH", path, "{\"name\":\"db\"}"), 409, "conflict", "db");
	assert_refused(ask(coord, "PATCH", path, "{\"tags\":[\"tag:prod\"]}"), 403, "bad-tag",
		       "tag:prod");
	assert_ok(ask(coord, "POST", "nodes/www/expire", ""));
	assert_non_null(strstr(reply.text, "\"expired\":true"));
	assert_ok(ask(coord, "DELETE", "nodes/www", ""));
	assert_refused(ask(coord, "GET", "nodes/www", ""), 404, "not-found", "no such node");
	assert_refused(ask(coord, "GET", "nodes/www/map", ""), 404, "not-found", "no such node");
	assert_refused(ask(coord, "DELETE", "nodes/www", ""), 404, "not-found", "");
}

/* The one machine that waits. */
static void waiting_code(struct coord_fix *coord, char code[16])
{
	json_auto_t *list = expect(ask(coord, "GET", "auth", ""), 200);
	const json_t *one = json_array_get(json_object_get(list, "auth"), 0);

	assert_text(one, "hostname", "server");
	assert_text(one, "from", "127.0.0.1");
	assert_text(one, "state", "waiting");
	snprintf(code, 16, "%s", json_string_value(json_object_get(one, "code")));
}

/* The fixture's agents live now, not at FIX_START. */
static int set_up_now(void **state)
{
	int r = coord_fix_setup(state);

	make_key(*state, SCOPE_ALL);
	return r;
}

static void test_machines_that_wait(void **state)
{
	struct coord_fix *coord = *state;
	_cleanup_free_ char *approve = NULL, *reject = NULL;
	json_auto_t *node = NULL;
	char code[16];

	enrol(coord, NULL);
	waiting_code(coord, code);
	approve = text_printf("auth/%s/approve", code);
	reject = text_printf("auth/%s/reject", code);
	assert_refused(ask(coord, "POST", approve, "{}"), 400, "bad-request", "");
	node = expect(ask(coord, "POST", approve, "{\"user\":\"alice@example.com\"}"), 200);
	assert_text(node, "name", "server");
	assert_text(node, "user", "alice@example.com");
	assert_refused(ask(coord, "POST", reject, "{}"), 409, "conflict", "");
	assert_refused(ask(coord, "POST", "auth/AAAAAAAA/approve", "{}"), 404, "not-found", "");
}

/* ---- policy ---- */

#define POLICY "// ours\n{\"acls\":[{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"*:22\"]}]}"

static void etag_of(char buf[POLICY_ETAG_SIZE])
{
	const char *start = strstr(reply.text, "\r\nETag: ");

	assert_non_null(start);
	snprintf(buf, POLICY_ETAG_SIZE, "%.*s", (int)strcspn(start + 8, "\r"), start + 8);
}

static unsigned set_if(struct coord_fix *coord, const char *etag, const char *text)
{
	char headers[640];

	snprintf(headers, sizeof(headers), "%sIf-Match: %s\r\n", authorization, etag);
	return ask_with(coord, headers, "PUT", "policy", text);
}

static void test_etags(void **state)
{
	uint8_t hash[SHA256_LEN] = { 0x01, 0xfe }, parsed[SHA256_LEN];
	char text[POLICY_ETAG_SIZE];
	static const char *const bad[] = {
		"",
		"\"",
		"\"\"",
		"*",
		"W/\"1-00\"",
		"\"1-00\"",
		"\"1\"",
		"1-00",
		"\"x-01fe000000000000000000000000000000000000000000000000000000000000\"",
		"\"1-01FE000000000000000000000000000000000000000000000000000000000000\"",
		"\"1-01fe000000000000000000000000000000000000000000000000000000000000",
		"\"1-01fe00000000000000000000000000000000000000000000000000000000000000\"",
	};
	uint64_t version;

	policy_etag(18446744073709551615ull, hash, text);
	assert_int_equal(strlen(text), POLICY_ETAG_SIZE - 1);
	assert_int_equal(policy_etag_parse(text, &version, parsed), 0);
	assert_true(version == 18446744073709551615ull);
	assert_memory_equal(parsed, hash, sizeof(hash));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (policy_etag_parse(bad[i], &version, parsed) == 0)
			fail_msg("%s was taken for a tag", bad[i]);
}

static void test_policy_if_match(void **state)
{
	struct coord_fix *coord = *state;
	char first[POLICY_ETAG_SIZE], second[POLICY_ETAG_SIZE], again[POLICY_ETAG_SIZE];

	assert_int_equal(ask(coord, "GET", "policy", ""), 200);
	assert_non_null(strstr(reply.text, "\r\nContent-Type: application/hujson\r\n"));
	etag_of(first);
	assert_memory_equal(first, "\"0-", 3);
	assert_ok(set_if(coord, first, POLICY));
	etag_of(second);
	assert_memory_equal(second, "\"1-", 3);
	/* Somebody else was faster: which version it is, is said. */
	assert_refused(set_if(coord, first, "{}"), 412, "precondition-failed", "version 1");
	etag_of(again);
	assert_string_equal(again, second);
	assert_int_equal(ask(coord, "GET", "policy", ""), 200);
	assert_string_equal(http_reply_body(&reply), POLICY);
	assert_refused(set_if(coord, "\"1\"", "{}"), 400, "bad-request", "If-Match");
	assert_ok(set_if(coord, second, "{}"));
	assert_ok(set_if(coord, "*", POLICY));
	assert_int_equal(ask(coord, "GET", "policy/history", ""), 200);
	assert_non_null(strstr(reply.text, "\"version\":3"));
	assert_int_equal(ask(coord, "GET", "policy/history/1", ""), 200);
	assert_string_equal(http_reply_body(&reply), POLICY);
	assert_refused(ask(coord, "GET", "policy/history/9", ""), 404, "not-found", "9");
}

static void test_policy_refused(void **state)
{
	struct coord_fix *coord = *state;
	json_auto_t *json = NULL, *again = NULL;
	const json_t *problem;

	json = expect(ask(coord, "PUT", "policy", "{\n  \"acls\": [{\"action\":\"deny\"}]\n}"),
		      422);
	assert_text(json_object_get(json, "error"), "code", "policy-refused");
	problem = json_array_get(json_object_get(json, "problems"), 0);
	assert_text(problem, "severity", "error");
	assert_int_equal(json_integer_value(json_object_get(problem, "line")), 2);
	assert_true(json_is_string(json_object_get(problem, "text")));
	/* Its own tests count. */
	again = expect(ask(coord, "PUT", "policy",
			   "{\"acls\":[],\"tests\":[{\"src\":\"alice@example.com\","
			   "\"accept\":[\"alice@example.com:22\"]}]}"),
		       422);
	assert_true(json_array_size(json_object_get(again, "problems")) > 0);
	assert_int_equal(ask(coord, "GET", "policy", ""), 200);
	assert_non_null(strstr(reply.text, "\r\nETag: \"0-"));
}

static void test_policy_confirm(void **state)
{
	struct coord_fix *coord = *state;
	json_auto_t *json = NULL;

	assert_refused(ask(coord, "POST", "policy/confirm", ""), 409, "conflict",
		       "no policy waits");
	json = expect(ask(coord, "PUT", "policy?confirm_within=300&comment=trial", POLICY), 200);
	assert_text(json, "confirm_by", "2027-01-15T08:05:00Z");
	assert_refused(ask(coord, "PUT", "policy", "{}"), 409, "conflict", "confirm");
	assert_ok(ask(coord, "POST", "policy/confirm", ""));
	/* The same text again: there is nothing that could be confirmed. */
	assert_ok(ask(coord, "PUT", "policy?confirm_within=300", POLICY));
	assert_non_null(strstr(reply.text, "\"confirm_by\":null"));
	assert_non_null(strstr(reply.text, "\"changed\":false"));
	fix_set_time(FIX_START + FIX_HOUR);
	registry_tick(coord->registry);
	http_fixture_pump(&coord->http, 1000);
	assert_int_equal(ask(coord, "GET", "policy", ""), 200);
	assert_string_equal(http_reply_body(&reply), POLICY);

	/* Not confirmed: it is gone again, by itself. */
	assert_ok(ask(coord, "PUT", "policy?confirm_within=300", "{}"));
	fix_set_time(FIX_START + 2 * FIX_HOUR);
	registry_tick(coord->registry);
	http_fixture_pump(&coord->http, 1000);
	assert_int_equal(ask(coord, "GET", "policy", ""), 200);
	assert_string_equal(http_reply_body(&reply), POLICY);
	assert_non_null(strstr(reply.text, "\r\nETag: \"1-"));
	assert_ok(ask(coord, "POST", "policy/rollback", "{\"version\":0}"));
	assert_refused(ask(coord, "POST", "policy/rollback", "{\"version\":0}"), 409, "conflict",
		       "in force already");
	assert_refused(ask(coord, "POST", "policy/rollback", "{\"version\":77}"), 404, "not-found",
		       "77");
}

static void test_policy_tried(void **state)
{
	struct coord_fix *coord = *state;
	json_auto_t *check = NULL, *bad = NULL, *diff = NULL, *explained = NULL;

	set_node(coord, 1, "web");
	set_node(coord, 2, "db");
	check = expect(ask(coord, "POST", "policy/check", POLICY), 200);
	assert_true(json_is_true(json_object_get(check, "good")));
	bad = expect(ask(coord, "POST", "policy/check", "{\"acls\":7}"), 200);
	assert_true(json_is_false(json_object_get(bad, "good")));
	assert_true(json_is_null(json_object_get(bad, "tests")));
	diff = expect(ask(coord, "POST", "policy/diff", POLICY), 200);
	assert_int_equal(json_integer_value(json_object_get(diff, "gained")), 0);
	assert_true(json_integer_value(json_object_get(diff, "lost")) > 0);
	assert_refused(ask(coord, "POST", "policy/diff", "{\"acls\":7}"), 422, "policy-refused",
		       "");
	/* Nothing of it is in force. */
	explained = expect(ask(coord, "GET", "policy/explain?src=web&dst=db%3A80", ""), 200);
	assert_text(explained, "answer", "yes");
	assert_refused(ask(coord, "GET", "policy/explain?src=web&dst=nowhere", ""), 400,
		       "bad-request", "nowhere");
	assert_refused(ask(coord, "GET", "policy/explain?src=web&dst=db%3A80&proto=icmp", ""), 400,
		       "bad-request", "no ports");
	assert_int_equal(ask(coord, "GET", "policy/explain?src=web&dst=root%40db", ""), 200);
	assert_non_null(strstr(reply.text, "\"login\":\"root\""));
}

/* ---- events ---- */

static void test_events(void **state)
{
	struct coord_fix *coord = *state;
	json_auto_t *page = NULL, *next = NULL;
	_cleanup_free_ char *path = NULL;
	const char *last;

	assert_ok(ask(coord, "POST", "users", "{\"login\":\"bob@example.com\"}"));
	page = expect(ask(coord, "GET", "events?limit=2", ""), 200);
	assert_int_equal(json_array_size(json_object_get(page, "events")), 2);
	assert_true(json_is_true(json_object_get(page, "more")));
	last = json_string_value(
		json_object_get(json_array_get(json_object_get(page, "events"), 1), "id"));
	path = text_printf("events?after=%s", last);
	next = expect(ask(coord, "GET", path, ""), 200);
	assert_true(json_array_size(json_object_get(next, "events")) > 0);
	assert_true(json_is_false(json_object_get(next, "more")));
	assert_null(strstr(reply.text, last));
	assert_ok(ask(coord, "GET", "events?since=2027-01-15T08:00:01Z", ""));
	assert_non_null(strstr(reply.text, "\"events\":[]"));
}

static int ask_to_follow(struct coord_fix *coord, const char *query)
{
	_cleanup_free_ char *text =
		text_printf("GET /v1/admin/events?follow=1%s HTTP/1.0\r\nHost: c\r\n%s\r\n", query,
			    authorization);
	int fd = http_fixture_connect(&coord->http);

	http_fixture_send(fd, text);
	reply = (struct http_reply){ 0 };
	return fd;
}

static int follow(struct coord_fix *coord, const char *query)
{
	int fd = ask_to_follow(coord, query);

	http_fixture_receive(&coord->http, fd, "\r\n\r\n", &reply);
	assert_non_null(strstr(reply.text, "application/x-ndjson"));
	return fd;
}

static void add_user(struct coord_fix *coord, const char *login)
{
	const struct registry_user_patch nothing = { 0 };

	registry_add_user(coord->registry, &fix_root, login, &nothing, fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
}

static size_t count(const char *text, const char *part)
{
	size_t n = 0;

	for (; (text = strstr(text, part)); text++)
		n++;
	return n;
}

static void test_follow_from_now(void **state)
{
	struct coord_fix *coord = *state;
	int fd;

	add_user(coord, "before@example.com");
	fd = follow(coord, "");
	add_user(coord, "after@example.com");
	http_fixture_receive(&coord->http, fd, "after@example.com", &reply);
	assert_null(strstr(reply.text, "before@example.com"));
	assert_int_equal(coord->api->n_followers, 1);
	close(fd);
	http_fixture_wait(&coord->http, coord->api->n_followers == 0);
}

/* Whose key ends hears nothing any more: not even of that. */
static void test_follow_until_revoked(void **state)
{
	struct coord_fix *coord = *state;
	char id[32];
	int fd;

	snprintf(id, sizeof(id), "%s", registry_apikey_at(coord->registry, 0)->head.id);
	fd = follow(coord, "");
	registry_revoke_apikey(coord->registry, &fix_root, id, fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
	assert_int_equal(coord->api->n_followers, 0);
	add_user(coord, "after@example.com");
	http_fixture_pump(&coord->http, 50000);
	http_fixture_take(fd, &reply);
	assert_null(strstr(reply.text, "after@example.com"));
	assert_null(strstr(reply.text, "revoke"));
	close(fd);
}

static void test_follow_until_expired(void **state)
{
	struct coord_fix *coord = *state;
	int fd;

	fd = follow(coord, "");
	fix_set_time(registry_apikey_at(coord->registry, 0)->expires);
	add_user(coord, "after@example.com");
	assert_int_equal(coord->api->n_followers, 0);
	close(fd);
}

/* Also if nothing happens. */
static void test_follow_until_it_expires(void **state)
{
	struct coord_fix *coord = *state;
	struct registry_apikey_request request = { .scopes = SCOPE_ALL, .lifetime_usec = 3000000 };
	int fd;

	registry_create_apikey(coord->registry, &fix_root, &request, fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
	snprintf(authorization, sizeof(authorization), "Authorization: Bearer %s\r\n",
		 coord->result.secret);
	fd = follow(coord, "");
	assert_int_equal(coord->api->n_followers, 1);
	http_fixture_wait(&coord->http, coord->api->n_followers == 0);
	close(fd);
}

/* Receive until it is there; more than struct http_reply holds. */
static char *receive_all(struct coord_fix *coord, int fd, const char *wanted)
{
	const size_t size = 1 << 20;
	char *text = calloc(1, size);
	uint64_t late = http_fixture_deadline() + HTTP_PATIENCE_USEC;
	size_t len = 0;

	assert_non_null(text);
	while (!strstr(text, wanted)) {
		ssize_t n = recv(fd, text + len, size - 1 - len, MSG_DONTWAIT);

		http_fixture_pump(&coord->http, 1000);
		len += n > 0 ? (size_t)n : 0;
		assert_true(n != 0 && len < size - 1);
		assert_true(http_fixture_deadline() < late);
	}
	return text;
}

static void add_users(struct coord_fix *coord, char letter, unsigned n)
{
	char login[64];

	for (unsigned i = 0; i < n; i++) {
		snprintf(login, sizeof(login), "%c%03u@example.com", letter, i);
		add_user(coord, login);
	}
}

static void assert_once(const char *text, char letter, unsigned n)
{
	char login[64];

	for (unsigned i = 0; i < n; i++) {
		snprintf(login, sizeof(login), "\"%c%03u@example.com\"", letter, i);
		assert_int_equal(count(text, login), 1);
	}
}

/* ---- long lists ---- */

static json_t *parse_list(const char *text, const char *key)
{
	json_t *json = json_loads(strstr(text, "\r\n\r\n"), 0, NULL);

	if (!json_is_array(json_object_get(json, key)))
		fail_msg("no list: %.200s", text);
	return json;
}

/* In parts, between which things change: what stays is there once. */
static void test_long_list(void **state)
{
	struct coord_fix *coord = *state;
	_cleanup_free_ char *request = NULL, *text = NULL, *rest = NULL;
	json_auto_t *json = NULL;
	int fd;

	add_users(coord, 'u', 900);
	request = text_printf("GET /v1/admin/users HTTP/1.0\r\nHost: c\r\n%s\r\n", authorization);
	fd = http_fixture_connect(&coord->http);
	http_fixture_send(fd, request);
	/* Until the first part is there; no further. */
	reply = (struct http_reply){ 0 };
	while (!strchr(reply.text, '[')) {
		assert_true(sd_event_run(coord->http.event, HTTP_PATIENCE_USEC) > 0);
		http_fixture_take(fd, &reply);
	}
	assert_null(strstr(reply.text, "u300@example.com"));
	add_user(coord, "a000@example.com");
	add_user(coord, "z999@example.com");
	registry_delete_user(coord->registry, &fix_root, "u899@example.com", fix_done,
			     &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
	rest = receive_all(coord, fd, "]}");
	text = text_printf("%s%s", reply.text, rest);
	close(fd);
	json = parse_list(text, "users");
	assert_once(text, 'u', 899);
	assert_null(strstr(text, "u899@example.com"));
	assert_int_equal(count(text, "\"z999@example.com\""), 1);
}

static void test_long_list_at_rest(void **state)
{
	struct coord_fix *coord = *state;
	_cleanup_free_ char *request = NULL, *text = NULL;
	json_auto_t *json = NULL;
	int fd;

	add_users(coord, 'u', 900);
	request = text_printf("GET /v1/admin/users HTTP/1.0\r\nHost: c\r\n%s\r\n", authorization);
	fd = http_fixture_connect(&coord->http);
	http_fixture_send(fd, request);
	text = receive_all(coord, fd, "]}");
	close(fd);
	json = parse_list(text, "users");
	assert_int_equal(json_array_size(json_object_get(json, "users")), 901);
	assert_once(text, 'u', 900);
}

/*
 * All pages of what was, then what is; each once. What happens at the same time as the pages are
 * read has its place anywhere among them, what happens later fills pages that have been told.
 */
static void test_follow_from_the_beginning(void **state)
{
	struct coord_fix *coord = *state;
	_cleanup_free_ char *text = NULL;
	int fd;

	add_users(coord, 'u', 450);
	fd = ask_to_follow(coord, "&since=2027-01-15T08:00:00Z");
	/* Until the first page is there; no further. */
	while (coord->api->n_followers == 0)
		assert_true(sd_event_run(coord->http.event, HTTP_PATIENCE_USEC) > 0);
	add_users(coord, 'v', 50);
	fix_set_time(FIX_START + FIX_SEC);
	add_users(coord, 'w', 500);
	fix_set_time(FIX_START + 2 * FIX_SEC);
	http_fixture_pump(&coord->http, 100000);
	add_user(coord, "last@example.com");
	text = receive_all(coord, fd, "last@example.com");
	assert_once(text, 'u', 450);
	assert_once(text, 'v', 50);
	assert_once(text, 'w', 500);
	assert_int_equal(count(text, "last@example.com"), 1);
	close(fd);
	http_fixture_wait(&coord->http, coord->api->n_followers == 0);
}

static void test_follower_hears_that_it_is_alive(void **state)
{
	static const char line[] = "{\"type\":\"keepalive\"}\n";
	struct coord_fix *coord = *state;
	int fd;

	coord->api->follow_keepalive_usec = 50000;
	/* With pages to come, and without. */
	fd = ask_to_follow(coord, "&since=2027-01-15T08:00:00Z");
	reply = (struct http_reply){ 0 };
	http_fixture_receive(&coord->http, fd, line, &reply);
	assert_non_null(strstr(reply.text, "\"mesh.init\""));
	close(fd);
	fd = follow(coord, "");
	http_fixture_wait(&coord->http,
			  (http_fixture_take(fd, &reply), count(reply.text, line) >= 3));
	/* Events go on in between. */
	add_user(coord, "after@example.com");
	http_fixture_receive(&coord->http, fd, "after@example.com", &reply);
	http_fixture_wait(&coord->http,
			  (http_fixture_take(fd, &reply), count(reply.text, line) >= 5));
	close(fd);
	http_fixture_wait(&coord->http, coord->api->n_followers == 0);
}

static void test_followers_are_few(void **state)
{
	struct coord_fix *coord = *state;
	int fds[16];

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = follow(coord, "");
	assert_refused(ask(coord, "GET", "events?follow=1", ""), 429, "too-many", "follow");
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	http_fixture_wait(&coord->http, coord->api->n_followers == 0);
}

/* One that does not read is cut, and what is kept for it is bounded. */
static void test_a_follower_that_does_not_read(void **state)
{
	struct coord_fix *coord = *state;
	int fd = follow(coord, "");
	char login[64];

	for (unsigned i = 0; coord->api->n_followers > 0; i++) {
		assert_true(i < 50000);
		snprintf(login, sizeof(login), "u%05u@example.com", i);
		add_user(coord, login);
	}
	close(fd);
}

/* ---- status, metrics ---- */

static void test_status(void **state)
{
	struct coord_fix *coord = *state;
	json_auto_t *json = NULL;

	set_node(coord, 1, "web");
	make_key(coord, SCOPE_EVENTS_READ);
	json = expect(ask(coord, "GET", "status", ""), 200);
	assert_text(json_object_get(json, "mesh"), "domain", "mesh.example");
	assert_int_equal(json_integer_value(json_object_get(json, "nodes")), 1);
	assert_int_equal(json_integer_value(json_object_get(json, "generation")),
			 registry_revision(coord->registry));
	assert_non_null(strstr(reply.text, "AdminGroup="));
}

static void test_metrics(void **state)
{
	struct coord_fix *coord = *state;
	struct agent_fix agent;

	set_node(coord, 1, "web");
	agent_fix_init(coord, &agent);
	agent_fix_enrol(coord, &agent);
	assert_int_equal(ask(coord, "GET", "metrics", ""), 200);
	assert_non_null(strstr(reply.text, "peergate_coord_signers{kind=\"stranger\"} 1\n"));
	assert_non_null(strstr(reply.text, "peergate_coord_signers{kind=\"member\"} 0\n"));
	assert_non_null(strstr(reply.text, "\r\nContent-Type: application/openmetrics-text;"));
	assert_non_null(strstr(reply.text, "\npeergate_coord_nodes{key=\"valid\"} 2\n"));
	assert_non_null(strstr(reply.text, "\npeergate_coord_nodes{key=\"expired\"} 0\n"));
	assert_non_null(
		strstr(reply.text, "\npeergate_coord_http_requests_total{status=\"2xx\"} "));
	assert_string_equal(reply.text + reply.len - strlen("# EOF\n"), "# EOF\n");
	agent_fix_done(&agent);
}

#define TEST(test, setup) cmocka_unit_test_setup_teardown(test, setup, coord_fix_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_route_wants_a_key, set_up),
		TEST(test_every_route_wants_its_scopes, set_up),
		TEST(test_a_backup_is_not_for_the_network, set_up_with_key),
		TEST(test_keys_that_are_none, set_up),
		TEST(test_revoked_and_expired, set_up),
		TEST(test_keys_in_the_clear, set_up_with_key),
		TEST(test_behind_a_silent_proxy, set_up_behind_proxy),
		TEST(test_refusals_are_limited, set_up),
		TEST(test_peers_of_the_socket, set_up),
		TEST(test_who_is_named, set_up),
		TEST(test_backup, set_up),
		TEST(test_backup_takes_its_time, set_up),
		TEST(test_users, set_up_with_key),
		TEST(test_user_show, set_up_with_key),
		TEST(test_user_suspend, set_up_with_key),
		TEST(test_user_sign_out, set_up_with_key),
		TEST(test_password_link, set_up_with_key),
		TEST(test_bodies_that_make_no_sense, set_up_with_key),
		TEST(test_authkeys, set_up_with_key),
		TEST(test_an_api_key_gives_what_it_has, set_up_with_key),
		TEST(test_checks, set_up_with_key),
		TEST(test_nodes, set_up_with_key),
		TEST(test_machines_that_wait, set_up_now),
		cmocka_unit_test(test_etags),
		TEST(test_policy_if_match, set_up_with_key),
		TEST(test_policy_refused, set_up_with_key),
		TEST(test_policy_confirm, set_up_with_key),
		TEST(test_policy_tried, set_up_with_key),
		TEST(test_events, set_up_with_key),
		TEST(test_long_list, set_up_with_key),
		TEST(test_long_list_at_rest, set_up_with_key),
		TEST(test_follow_from_now, set_up_with_key),
		TEST(test_follow_until_revoked, set_up_with_key),
		TEST(test_follow_until_expired, set_up_with_key),
		TEST(test_follow_until_it_expires, set_up),
		TEST(test_follower_hears_that_it_is_alive, set_up_with_key),
		TEST(test_follow_from_the_beginning, set_up_with_key),
		TEST(test_followers_are_few, set_up_with_key),
		TEST(test_a_follower_that_does_not_read, set_up_with_key),
		TEST(test_status, set_up_with_key),
		TEST(test_metrics, set_up_with_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
