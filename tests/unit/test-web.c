/* Pages: signing in and out, what is one's own, who may see what; and what keeps others out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/text.h"
#include "coord/accounts/totp.h"
#include "coord/registry/accounts.h"
#include "tests/unit/web-fixture.h"

static void make_user(struct coord_fix *coord, const char *login, unsigned roles)
{
	const struct registry_user_patch patch = { .roles = &roles };

	registry_add_user(coord->registry, &fix_root, login, &patch, fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
}

static size_t n_sessions(const struct coord_fix *coord)
{
	size_t n = 0;

	for (size_t i = 0; i < registry_n_websessions(coord->registry); i++)
		n += registry_websession_is_valid(coord->registry,
						  registry_websession_at(coord->registry, i));
	return n;
}

/* ---- signing in ---- */

static void test_sign_in(void **state)
{
	struct coord_fix *coord = *state;
	struct browser *b = browser_new(coord);

	web_fix_password(coord, ALICE);
	assert_int_equal(browser_get(b, "/"), 303);
	assert_string_equal(browser_location(b), "/login");
	assert_int_equal(browser_get(b, "/login"), 200);
	assert_int_equal(browser_submit(b, "/login", "login=Alice@Example.com&password=" PASSWORD),
			 303);
	assert_string_equal(browser_location(b), "/");
	assert_int_equal(browser_get(b, "/"), 200);
	browser_sees(b, "<h1>Your devices</h1>");
	browser_sees(b, "<span>alice@example.com</span>");
	browser_sees(b, "<strong>Signed in</strong>");
	browser_misses(b, "/admin/");
	assert_int_equal(n_sessions(coord), 1);
	/* Who is in is not asked again. */
	assert_int_equal(browser_get(b, "/login?next=/code"), 303);
	assert_string_equal(browser_location(b), "/code");
	free(b);
}

static void test_wrong_password(void **state)
{
	struct coord_fix *coord = *state;
	struct browser *b = browser_new(coord);
	_cleanup_free_ char *known = NULL;
	char *at;

	web_fix_password(coord, ALICE);
	browser_get(b, "/login");
	assert_int_equal(browser_submit(b, "/login", "login=" ALICE "&password=wrong"), 403);
	browser_sees(b, "role=\"alert\"");
	browser_sees(b, "value=\"alice@example.com\"");
	browser_misses(b, "wrong");
	known = strdup(http_reply_body(&b->reply));
	/* Whoever has no account is told the same. */
	assert_int_equal(browser_submit(b, "/login", "login=alina@example.com&password=wrong"),
			 403);
	at = strstr(b->reply.text, "alina@");
	assert_non_null(at);
	memcpy(at, "alice@", 6);
	assert_string_equal(http_reply_body(&b->reply), known);
	assert_int_equal(n_sessions(coord), 0);
	assert_int_equal(browser_get(b, "/"), 303);
	free(b);
}

static void test_next_stays_here(void **state)
{
	struct coord_fix *coord = *state;
	static const char *const away[] = { "//evil.example", "https://evil.example",
					    "/%5Cevil",	      "/a%0d%0aX:y",
					    "evil",	      "" };
	char path[300];

	web_fix_password(coord, ALICE);
	for (size_t i = 0; i < ARRAY_SIZE(away); i++) {
		struct browser *b = browser_new(coord);

		snprintf(path, sizeof(path), "/login?next=%s", away[i]);
		if (browser_get(b, path) == 400) {
			free(b);
			continue;
		}
		assert_int_equal(browser_submit(b, "/login", "login=" ALICE "&password=" PASSWORD),
				 303);
		assert_string_equal(browser_location(b), "/");
		free(b);
	}
}

static void test_too_many_attempts(void **state)
{
	struct coord_fix *coord = *state;
	struct browser *b = browser_new(coord);
	unsigned n = 0;

	web_fix_password(coord, ALICE);
	browser_get(b, "/login");
	while (browser_submit(b, "/login", "login=" ALICE "&password=wrong") == 403)
		assert_true(++n < 30);
	assert_int_equal(b->status, 429);
	assert_non_null(strstr(b->reply.text, "\r\nRetry-After: "));
	browser_sees(b, "role=\"alert\"");
	free(b);
}

/* One address, whatever the account. */
static void test_strangers_are_limited(void **state)
{
	struct coord_fix *coord = *state;
	struct browser *b = browser_new(coord);
	unsigned n = 0;

	while (browser_post(b, "/login", "a=b") == 400)
		assert_true(++n < 200);
	assert_int_equal(b->status, 429);
	assert_true(n >= 20);
	assert_non_null(strstr(b->reply.text, "\r\nRetry-After: "));
	browser_sees(b, "Too many attempts");
	/* Looking is allowed. */
	assert_int_equal(browser_get(b, "/login"), 200);
	free(b);
}

/* ---- the second step ---- */

static void set_totp(struct coord_fix *coord, const char *secret)
{
	registry_set_totp(coord->registry, &fix_root, ALICE, secret, 1, fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
}

static const char *code_field(struct coord_fix *coord, const char *secret, int step)
{
	static char field[32];
	uint64_t now = registry_now(coord->registry) / 30000000;

	strcpy(field, "code=");
	assert_int_equal(totp_code(secret, (uint64_t)((int64_t)now + step), field + 5), 0);
	return field;
}

static void test_code_of_an_app(void **state)
{
	struct coord_fix *coord = *state;
	struct browser *b = browser_new(coord), *other = browser_new(coord);
	char secret[TOTP_TEXT_SIZE];

	web_fix_password(coord, ALICE);
	assert_int_equal(totp_secret_new(secret), 0);
	set_totp(coord, secret);
	browser_get(b, "/login?next=/code");
	assert_int_equal(browser_submit(b, "/login", "login=" ALICE "&password=" PASSWORD), 200);
	browser_sees(b, "Enter the code of your app");
	assert_int_equal(n_sessions(coord), 0);
	/* The first step is for this browser, person, and time. */
	browser_get(other, "/login");
	snprintf(other->reply.text, sizeof(other->reply.text), "%s", b->reply.text);
	assert_int_equal(browser_submit(other, "/login/code", code_field(coord, secret, 0)), 400);
	assert_int_equal(browser_submit(b, "/login/code", "code=000000"), 403);
	browser_sees(b, "This code is not right");
	assert_int_equal(browser_submit(b, "/login/code", code_field(coord, secret, 0)), 303);
	assert_string_equal(browser_location(b), "/code");
	assert_string_equal(registry_websession_at(coord->registry, 0)->method, "password+totp");
	free(other);
	free(b);
}

/* Hidden fields are for changing: whose code it is, and when the first step was taken. */
static void test_first_step_cannot_be_made_up(void **state)
{
	struct coord_fix *coord = *state;
	struct browser *b = browser_new(coord);
	char secret[TOTP_TEXT_SIZE], body[1024], *at;

	make_user(coord, BOB, 0);
	web_fix_password(coord, ALICE);
	web_fix_password(coord, BOB);
	assert_int_equal(totp_secret_new(secret), 0);
	set_totp(coord, secret);
	registry_set_totp(coord->registry, &fix_root, BOB, secret, 1, fix_done, &coord->result);
	browser_get(b, "/login");
	assert_int_equal(browser_submit(b, "/login", "login=" BOB "&password=" PASSWORD), 200);
	at = strstr(b->reply.text, "value=\"" BOB);
	assert_non_null(at);
	memmove(at + 7 + strlen(ALICE), at + 7 + strlen(BOB), strlen(at + 7 + strlen(BOB)) + 1);
	memcpy(at + 7, ALICE, strlen(ALICE));
	assert_int_equal(browser_submit(b, "/login/code", code_field(coord, secret, 0)), 403);
	browser_sees(b, "That took too long");
	/* Without any first step at all. */
	browser_submit(b, "/login", "login=" BOB "&password=" PASSWORD);
	snprintf(body, sizeof(body),
		 "csrf=%s&next=/&login=" BOB "&expires=99999999999999999&step=&%s",
		 browser_token(b, "/login/code"), code_field(coord, secret, 0));
	assert_int_equal(browser_post(b, "/login/code", body), 403);
	assert_int_equal(n_sessions(coord), 0);
	free(b);
}

static void test_setting_up_an_app(void **state)
{
	struct coord_fix *coord = *state;
	struct browser *b = browser_new(coord);
	char secret[TOTP_TEXT_SIZE], fields[128];
	const char *at;

	web_fix_password(coord, ALICE);
	browser_sign_in(b, ALICE);
	browser_sees(b, "The password is all that is asked for.");
	assert_int_equal(browser_get(b, "/code"), 200);
	browser_sees(b, "src=\"data:image/svg+xml;base64,");
	at = strstr(b->reply.text, "name=\"secret\" value=\"");
	assert_non_null(at);
	snprintf(secret, sizeof(secret), "%.32s", at + strlen("name=\"secret\" value=\""));
	snprintf(fields, sizeof(fields), "%s&password=wrong", code_field(coord, secret, 0));
	assert_int_equal(browser_submit(b, "/code", fields), 403);
	assert_int_equal(browser_submit(b, "/code", "code=000000&password=" PASSWORD), 403);
	browser_sees(b, "This is not the code");
	assert_null(registry_user(coord->registry, ALICE)->totp);
	snprintf(fields, sizeof(fields), "%s&password=" PASSWORD, code_field(coord, secret, 0));
	assert_int_equal(browser_submit(b, "/code", fields), 303);
	assert_string_equal(registry_user(coord->registry, ALICE)->totp, secret);

	/* And to be rid of it. */
	assert_int_equal(browser_get(b, "/code"), 200);
	browser_misses(b, secret);
	assert_int_equal(browser_submit(b, "/code/remove", "password=" PASSWORD "&code="), 403);
	snprintf(fields, sizeof(fields), "%s&password=" PASSWORD, code_field(coord, secret, 1));
	assert_int_equal(browser_submit(b, "/code/remove", fields), 303);
	assert_null(registry_user(coord->registry, ALICE)->totp);
	free(b);
}

/* ---- the link that sets a password ---- */

static void test_set_password(void **state)
{
	struct coord_fix *coord = *state;
	struct browser *b = browser_new(coord);
	char path[300];

	registry_create_pwlink(coord->registry, &fix_root, ALICE, fix_done, &coord->result);
	snprintf(path, sizeof(path), "/set-password/%s", coord->result.secret);
	assert_int_equal(browser_get(b, path), 200);
	browser_sees(b, "alice@example.com");
	assert_int_equal(browser_submit(b, path, "password=short&again=short"), 400);
	browser_sees(b, "The password ");
	assert_int_equal(
		browser_submit(b, path, "password=" PASSWORD "&again=correct horse battered"), 400);
	browser_sees(b, "The two passwords differ.");
	assert_null(registry_user(coord->registry, ALICE)->password);
	assert_int_equal(browser_submit(b, path, "password=" PASSWORD "&again=" PASSWORD), 200);
	assert_non_null(registry_user(coord->registry, ALICE)->password);
	/* Once. */
	assert_int_equal(browser_get(b, path), 404);
	assert_int_equal(browser_get(b, "/set-password/nonsense"), 404);
	free(b);
}

/* ---- forms ---- */

static void test_forged_forms(void **state)
{
	struct coord_fix *coord = *state;
	struct browser *b = browser_new(coord), *other = browser_new(coord);
	char body[256];

	web_fix_password(coord, ALICE);
	browser_sign_in(b, ALICE);
	browser_sign_in(other, ALICE);
	assert_int_equal(browser_post(b, "/logout", ""), 400);
	browser_sees(b, "This page is out of date");
	assert_int_equal(browser_post(b, "/logout", "csrf="), 400);
	assert_int_equal(
		browser_post(b, "/logout", "csrf=0123456789012345678901234567890123456789012"),
		400);
	/* Of another form, of another browser. */
	browser_get(b, "/");
	snprintf(body, sizeof(body), "csrf=%s", browser_token(b, "/logout/everywhere"));
	assert_int_equal(browser_post(b, "/logout", body), 400);
	browser_get(other, "/");
	snprintf(body, sizeof(body), "csrf=%s", browser_token(other, "/logout"));
	assert_int_equal(browser_post(b, "/logout", body), 400);
	assert_int_equal(n_sessions(coord), 2);
	free(other);
	free(b);
}

static void test_forms_from_elsewhere(void **state)
{
	struct coord_fix *coord = *state;
	static const char *const foreign[] = {
		"Origin: https://evil.example\r\n",
		"Origin: null\r\n",
		"Origin: " COORD_FIX_URL "\r\nOrigin: https://evil.example\r\n",
		"Origin: " COORD_FIX_URL ".evil.example\r\n",
		"Sec-Fetch-Site: cross-site\r\n",
		"Sec-Fetch-Site: same-site\r\n",
	};
	struct browser *b = browser_new(coord);

	web_fix_password(coord, ALICE);
	browser_sign_in(b, ALICE);
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
		b->headers = NULL;
		browser_get(b, "/");
		b->headers = foreign[i];
		assert_int_equal(browser_submit(b, "/logout", ""), 400);
		browser_sees(b, "it was sent from another site");
	}
	assert_int_equal(n_sessions(coord), 1);
	b->headers = NULL;
	browser_get(b, "/");
	b->headers = "Origin: " COORD_FIX_URL "\r\nSec-Fetch-Site: same-origin\r\n";
	assert_int_equal(browser_submit(b, "/logout", ""), 303);
	free(b);
}

/* A page of another site cannot set our cookie anew by what it posts: who is in stays in. */
static void test_posts_set_no_cookie(void **state)
{
	struct browser *b = browser_new(*state);

	b->headers = "Sec-Fetch-Site: cross-site\r\n";
	assert_int_equal(browser_post(b, "/login", "login=a&password=b"), 400);
	browser_header(b, "Set-Cookie", NULL);
	b->headers = NULL;
	assert_int_equal(browser_post(b, "/login", "login=a&password=b"), 400);
	browser_header(b, "Set-Cookie", NULL);
	free(b);
}

static void test_unreadable_forms(void **state)
{
	struct browser *b = browser_new(*state);

	assert_int_equal(browser_post(b, "/login", "login=a&login=b"), 400);
	browser_sees(b, "a field comes twice");
	assert_int_equal(browser_post(b, "/login", "login=%"), 400);
	assert_int_equal(http_fixture_ask(&b->coord->http,
					  "POST /login HTTP/1.1\r\nHost: c\r\nContent-Type: "
					  "multipart/form-data\r\nContent-Length: 3\r\n\r\na=b",
					  &b->reply),
			 400);
	browser_sees(b, "it was not sent as a form");
	free(b);
}

/* ---- signing out ---- */

static void test_sign_out(void **state)
{
	struct coord_fix *coord = *state;
	struct browser *b = browser_new(coord), *other = browser_new(coord);
	char old[128];

	web_fix_password(coord, ALICE);
	browser_sign_in(b, ALICE);
	browser_sign_in(other, ALICE);
	assert_int_equal(n_sessions(coord), 2);
	memcpy(old, b->cookies[0], sizeof(old));
	assert_int_equal(browser_submit(b, "/logout", ""), 303);
	browser_header(b, "Set-Cookie", "peergate=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
	assert_int_equal(n_sessions(coord), 1);
	assert_int_equal(browser_get(b, "/"), 303);
	/* The cookie is of no use any more, wherever it was kept. */
	memcpy(b->cookies[0], old, sizeof(old));
	assert_int_equal(browser_get(b, "/"), 303);

	browser_get(other, "/");
	browser_sign_in(b, ALICE);
	assert_int_equal(n_sessions(coord), 2);
	assert_int_equal(browser_submit(other, "/logout/everywhere", ""), 303);
	assert_int_equal(n_sessions(coord), 0);
	assert_int_equal(browser_get(b, "/"), 303);
	free(other);
	free(b);
}

/* A form that was left open says so when it is sent, and does nothing. */
static void test_form_after_sign_out(void **state)
{
	struct coord_fix *coord = *state;
	struct browser *b = browser_new(coord);

	web_fix_password(coord, ALICE);
	browser_sign_in(b, ALICE);
	registry_close_sessions(coord->registry, &fix_root, ALICE, fix_done, &coord->result);
	assert_int_equal(browser_submit(b, "/logout/everywhere", ""), 403);
	browser_sees(b, "You are not signed in any more");
	free(b);
}

static void test_suspended(void **state)
{
	struct coord_fix *coord = *state;
	struct browser *b = browser_new(coord);

	web_fix_password(coord, ALICE);
	browser_sign_in(b, ALICE);
	registry_suspend_user(coord->registry, &fix_root, ALICE, true, fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
	assert_int_equal(browser_get(b, "/"), 303);
	browser_get(b, "/login");
	assert_int_equal(browser_submit(b, "/login", "login=" ALICE "&password=" PASSWORD), 403);
	assert_int_equal(n_sessions(coord), 0);
	free(b);
}

/* ---- devices ---- */

static void test_devices(void **state)
{
	struct coord_fix *coord = *state;
	struct agent_fix agent = { 0 };
	struct browser *b = browser_new(coord), *bob = browser_new(coord);
	const struct node_record *node;
	char path[64];

	make_user(coord, BOB, 0);
	web_fix_password(coord, ALICE);
	web_fix_password(coord, BOB);
	agent_fix_init(coord, &agent);
	agent_fix_enrol(coord, &agent);
	node = registry_node_by_name(coord->registry, "server");
	snprintf(path, sizeof(path), "/devices/%s/expire", node->head.id);

	browser_sign_in(bob, BOB);
	browser_misses(bob, "server");
	assert_int_equal(browser_post(bob, path, ""), 404);
	browser_sign_in(b, ALICE);
	browser_sees(b, "<h3>server</h3>");
	assert_int_equal(browser_post(b, path, ""), 400);
	assert_false(node_is_expired(registry_node_by_name(coord->registry, "server"),
				     registry_now(coord->registry)));
	browser_get(b, "/");
	assert_int_equal(browser_submit(b, path, ""), 303);
	assert_true(node_is_expired(registry_node_by_name(coord->registry, "server"),
				    registry_now(coord->registry)));
	browser_get(b, "/");
	browser_sees(b, "its key has expired");
	browser_misses(b, path);
	agent_fix_done(&agent);
	free(bob);
	free(b);
}

/* ---- those who look after the mesh ---- */

static void test_admin_pages(void **state)
{
	static const char *const paths[] = { "/admin/nodes", "/admin/policy", "/admin/events",
					     "/admin/nodes?page=1", "/admin/events?since=all" };
	struct coord_fix *coord = *state;
	struct agent_fix agent = { 0 }, second = { 0 };
	struct browser *b = browser_new(coord), *boss = browser_new(coord);
	char path[64];

	make_user(coord, "boss@example.com", POLICY_ROLE_AUDITOR);
	web_fix_password(coord, ALICE);
	web_fix_password(coord, "boss@example.com");
	agent_fix_init(coord, &agent);
	agent_fix_enrol(coord, &agent);
	agent_fix_init(coord, &second);
	agent_fix_enrol(coord, &second);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		assert_int_equal(browser_get(b, paths[i]), 303);
		assert_int_equal(strncmp(browser_location(b), "/login", 6), 0);
	}
	browser_sign_in(b, ALICE);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		assert_int_equal(browser_get(b, paths[i]), 403);
		browser_sees(b, "This page is not for you");
	}
	browser_sign_in(boss, "boss@example.com");
	browser_sees(boss, "/admin/nodes");
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		assert_int_equal(browser_get(boss, paths[i]), 200);
	browser_sees(boss, "node.enrol");
	browser_get(boss, "/admin/policy");
	browser_sees(boss, "The default one");
	browser_sees(boss, "<pre");
	browser_get(boss, "/admin/nodes");
	browser_sees(boss, ">server</a>");
	snprintf(path, sizeof(path), "/admin/nodes/%s",
		 registry_node_by_name(coord->registry, "server")->head.id);
	assert_int_equal(browser_get(boss, path), 200);
	browser_sees(boss, "What reaches it");
	browser_sees(boss, "Who may log in by SSH");
	/* By name, though the map has addresses; each node once. */
	browser_sees(boss, "<tr><td>server, server-1</td>");
	assert_int_equal(browser_get(boss, "/admin/nodes?page=2"), 404);
	assert_int_equal(browser_get(boss, "/admin/nodes/nope"), 404);
	agent_fix_done(&second);
	agent_fix_done(&agent);
	free(boss);
	free(b);
}

/* ---- all answers ---- */

static void assert_protected(const struct browser *b)
{
	browser_header(b, "Content-Security-Policy",
		       "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action "
		       "'self'; frame-ancestors 'none'; base-uri 'none'");
	browser_header(b, "X-Content-Type-Options", "nosniff");
	browser_header(b, "Referrer-Policy", "same-origin");
	browser_header(b, "Cache-Control", "no-store");
}

static void test_headers_of_every_answer(void **state)
{
	static const char *const paths[] = {
		"/",
		"/login",
		"/style.css",
		"/login/nobody",
		"/oidc/callback/nobody",
		"/a/xyz",
		"/check/xyz",
		"/admin/nodes",
		"/nonsense",
		"/set-password/x",
		"/code",
		"/nonsense/there",
	};
	struct coord_fix *coord = *state;
	struct browser *b = browser_new(coord);

	web_fix_password(coord, ALICE);
	for (unsigned round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
			b->headers = "Accept: text/html\r\n";
			browser_get(b, paths[i]);
			assert_protected(b);
		}
		browser_post(b, "/login", "");
		assert_protected(b);
		browser_header(b, "Strict-Transport-Security", NULL);
		if (round == 0)
			browser_sign_in(b, ALICE);
	}
	free(b);
}

static void test_no_such_page(void **state)
{
	struct browser *b = browser_new(*state);

	b->headers = "Accept: text/html,*/*\r\n";
	assert_int_equal(browser_get(b, "/nonsense"), 404);
	browser_header(b, "Content-Type", "text/html; charset=utf-8");
	browser_sees(b, "There is no such page");
	/* Programs read what they read before. */
	b->headers = "Accept: application/json\r\n";
	assert_int_equal(browser_get(b, "/v1/nonsense"), 404);
	browser_sees(b, "{\"error\":{\"code\":\"not_found\"");
	free(b);
}

static void test_style(void **state)
{
	struct browser *b = browser_new(*state);

	assert_int_equal(browser_get(b, "/style.css"), 200);
	browser_header(b, "Content-Type", "text/css; charset=utf-8");
	browser_sees(b, "prefers-color-scheme:dark");
	free(b);
}

static int setup_https(void **state)
{
	coord_fix_url = "https://coord.example:8443/mesh";
	return coord_fix_setup(state);
}

static int teardown_https(void **state)
{
	coord_fix_url = COORD_FIX_URL;
	return coord_fix_teardown(state);
}

/* By the configured URL alone: not by how this connection came, nor by what it says of itself. */
static void test_cookies_of_https(void **state)
{
	struct coord_fix *coord = *state;
	struct browser *b = browser_new(coord);

	b->headers = "X-Forwarded-Proto: http\r\nX-Forwarded-Host: evil.example\r\n";
	assert_int_equal(browser_get(b, "/"), 303);
	browser_header(b, "Location", "https://coord.example:8443/mesh/login");
	assert_non_null(strstr(b->reply.text, "Set-Cookie: __Host-peergate-visit="));
	assert_non_null(strstr(b->reply.text, "; Path=/; HttpOnly; SameSite=Lax; Secure\r\n"));
	browser_header(b, "Strict-Transport-Security", "max-age=31536000");
	browser_get(b, "/login");
	browser_sees(b, "action=\"/mesh/login\"");
	browser_sees(b, "href=\"/mesh/style.css\"");
	browser_misses(b, "evil");
	free(b);
}

/*
 * What answers bear besides leaves their heads enough place, with all cookies: up to the length
 * that is refused there is a page. (Above it there is a length that libmicrohttpd can only cut.)
 */
static void test_long_heads(void **state)
{
	struct coord_fix *coord = *state;
	struct browser *b = browser_new(coord);
	static char headers[8192];
	bool refused = false;

	web_fix_password(coord, ALICE);
	browser_sign_in(b, ALICE);
	for (size_t len = 100; len < 7000; len += 97) {
		snprintf(headers, sizeof(headers), "User-Agent: %0*d\r\n", (int)len, 0);
		b->headers = headers;
		browser_get(b, "/");
		refused |= b->status == 431;
		if (!refused)
			assert_int_equal(b->status, 200);
	}
	assert_true(refused);
	free(b);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, coord_fix_setup, coord_fix_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_sign_in),
		TEST(test_wrong_password),
		TEST(test_next_stays_here),
		TEST(test_too_many_attempts),
		TEST(test_strangers_are_limited),
		TEST(test_code_of_an_app),
		TEST(test_first_step_cannot_be_made_up),
		TEST(test_setting_up_an_app),
		TEST(test_set_password),
		TEST(test_forged_forms),
		TEST(test_forms_from_elsewhere),
		TEST(test_posts_set_no_cookie),
		TEST(test_unreadable_forms),
		TEST(test_sign_out),
		TEST(test_form_after_sign_out),
		TEST(test_suspended),
		TEST(test_devices),
		TEST(test_admin_pages),
		TEST(test_headers_of_every_answer),
		TEST(test_no_such_page),
		TEST(test_style),
		TEST(test_long_heads),
		cmocka_unit_test_setup_teardown(test_cookies_of_https, setup_https, teardown_https),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
