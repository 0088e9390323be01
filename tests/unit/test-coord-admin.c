/* What people and programs ask of the coordinator over HTTP: who may, and how it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/text.h"
#include "coord/api/admin.h"
#include "tests/unit/admin-fixture.h"
#include "tests/unit/metrics-page.h"

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
		assert_refused(admin_ask_with(coord, "", routes[i].method, path, ""), 401,
			       "not-allowed", "Authorization: Bearer");
		assert_non_null(strstr(admin_reply.text, "\r\nWWW-Authenticate: Bearer\r\n"));
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
	admin_make_key(coord, SCOPE_ALL & ~bit);
	fill_path(route->path, path);
	assert_refused(admin_ask(coord, route->method, path, ""), 403, "not-allowed", scope);
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
	assert_int_equal(admin_ask(*state, "GET", "backup", ""), 404);
}

static void test_keys_that_are_none(void **state)
{
	struct coord_fix *coord = *state;
	char headers[1024], key[256];

	admin_make_key(coord, SCOPE_ALL);
	snprintf(key, sizeof(key), "%s", coord->result.secret);
	assert_ok(admin_ask(coord, "GET", "users", ""));
	/* Another letter at its end, another scheme, twice. */
	snprintf(headers, sizeof(headers), "Authorization: Bearer %.*s%c\r\n", (int)strlen(key) - 1,
		 key, key[strlen(key) - 1] == 'A' ? 'E' : 'A');
	assert_refused(admin_ask_with(coord, headers, "GET", "users", ""), 401, "not-allowed",
		       "unknown, expired or revoked");
	snprintf(headers, sizeof(headers), "Authorization: Basic %s\r\n", key);
	assert_refused(admin_ask_with(coord, headers, "GET", "users", ""), 401, "not-allowed",
		       "Bearer");
	snprintf(headers, sizeof(headers),
		 "Authorization: Bearer %s\r\nAuthorization: Bearer %s\r\n", key, key);
	assert_refused(admin_ask_with(coord, headers, "GET", "users", ""), 401, "not-allowed",
		       "Bearer");
	/* Schemes know no case (RFC 9110, 11.1). */
	snprintf(headers, sizeof(headers), "Authorization: bEARER %s\r\n", key);
	assert_ok(admin_ask_with(coord, headers, "GET", "users", ""));
}

static void test_revoked_and_expired(void **state)
{
	struct coord_fix *coord = *state;
	_cleanup_free_ char *path = NULL;

	admin_make_key(coord, SCOPE_ALL);
	path = text_printf("apikeys/%s", coord->result.id);
	assert_ok(admin_ask(coord, "GET", "users", ""));
	fix_set_time(FIX_START + 90 * FIX_DAY);
	assert_refused(admin_ask(coord, "GET", "users", ""), 401, "not-allowed", "expired");
	fix_set_time(FIX_START + 89 * FIX_DAY);
	assert_ok(admin_ask(coord, "DELETE", path, ""));
	assert_refused(admin_ask(coord, "GET", "users", ""), 401, "not-allowed", "revoked");
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
		snprintf(headers, sizeof(headers), "%s%s", admin_authorization, forwarded[i]);
		assert_refused(admin_ask_with(coord, headers, "GET", "users", ""), 403,
			       "not-allowed", "TLS");
	}
}

static int set_up_behind_proxy(void **state)
{
	static struct ip_prefix proxy;
	struct coord_fix *coord;
	int r = admin_set_up_with_key(state);

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
							admin_authorization, cases[i].headers);
		uint64_t before = http_fixture_stats(&coord->http).unattributed;

		print_message("%s\n", cases[i].headers);
		assert_int_equal(http_fixture_ask(&coord->http, text, &admin_reply),
				 cases[i].status);
		assert_int_equal(http_fixture_stats(&coord->http).unattributed - before,
				 cases[i].n_unattributed);
	}
	snprintf(admin_authorization + strlen(admin_authorization),
		 sizeof(admin_authorization) - strlen(admin_authorization),
		 "X-Forwarded-Proto: https\r\nX-Forwarded-For: 203.0.113.66\r\n"
		 "Host: coord.example\r\n");
	{
		_cleanup_free_ char *text =
			text_printf("GET /v1/admin/status HTTP/1.0\r\n%s\r\n", admin_authorization);

		assert_int_equal(http_fixture_ask(&coord->http, text, &admin_reply), 200);
		assert_non_null(strstr(admin_reply.text, "a reverse proxy does not hand on"));
	}
}

static void test_refusals_are_limited(void **state)
{
	struct coord_fix *coord = *state;
	unsigned n = 0;

	while (admin_ask_with(coord, "", "GET", "users", "") == 401)
		assert_true(++n < 1000);
	assert_non_null(strstr(admin_reply.text, "HTTP/1.1 429"));
	assert_non_null(strstr(admin_reply.text, "\r\nRetry-After: "));
	/* Whoever has a key is not in the way of the others' mistakes. */
	admin_make_key(coord, SCOPE_ALL);
	assert_ok(admin_ask(coord, "GET", "users", ""));
}

/* ---- status, metrics ---- */

static void test_status(void **state)
{
	struct coord_fix *coord = *state;
	json_auto_t *json = NULL;

	admin_set_node(coord, 1, "web");
	admin_make_key(coord, SCOPE_EVENTS_READ);
	json = admin_expect(admin_ask(coord, "GET", "status", ""), 200);
	assert_text(json_object_get(json, "mesh"), "domain", "mesh.example");
	assert_int_equal(json_integer_value(json_object_get(json, "nodes")), 1);
	assert_int_equal(json_integer_value(json_object_get(json, "generation")),
			 registry_revision(coord->registry));
	assert_non_null(strstr(admin_reply.text, "AdminGroup="));
}

static void test_metrics(void **state)
{
	struct coord_fix *coord = *state;
	struct agent_fix agent;

	admin_set_node(coord, 1, "web");
	agent_fix_init(coord, &agent);
	agent_fix_enrol(coord, &agent);
	assert_int_equal(admin_ask(coord, "GET", "metrics", ""), 200);
	assert_non_null(strstr(admin_reply.text, "peergate_coord_signers{kind=\"stranger\"} 1\n"));
	assert_non_null(strstr(admin_reply.text, "peergate_coord_signers{kind=\"member\"} 0\n"));
	assert_non_null(
		strstr(admin_reply.text, "\r\nContent-Type: application/openmetrics-text;"));
	assert_non_null(strstr(admin_reply.text, "\npeergate_coord_nodes{key=\"valid\"} 2\n"));
	assert_non_null(strstr(admin_reply.text, "\npeergate_coord_nodes{key=\"expired\"} 0\n"));
	assert_non_null(
		strstr(admin_reply.text, "\npeergate_coord_http_requests_total{status=\"2xx\"} "));
	assert_string_equal(admin_reply.text + admin_reply.len - strlen("# EOF\n"), "# EOF\n");
	metrics_page_check("../../../coord/ctl/coordctl.1", admin_reply.text);
	agent_fix_done(&agent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ADMIN_TEST(test_every_route_wants_a_key, admin_set_up),
		ADMIN_TEST(test_every_route_wants_its_scopes, admin_set_up),
		ADMIN_TEST(test_a_backup_is_not_for_the_network, admin_set_up_with_key),
		ADMIN_TEST(test_keys_that_are_none, admin_set_up),
		ADMIN_TEST(test_revoked_and_expired, admin_set_up),
		ADMIN_TEST(test_keys_in_the_clear, admin_set_up_with_key),
		ADMIN_TEST(test_behind_a_silent_proxy, set_up_behind_proxy),
		ADMIN_TEST(test_refusals_are_limited, admin_set_up),
		ADMIN_TEST(test_status, admin_set_up_with_key),
		ADMIN_TEST(test_metrics, admin_set_up_with_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
