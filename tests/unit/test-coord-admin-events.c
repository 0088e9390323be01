/* The coordinator's events, once and as they happen, and lists that come in parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/text.h"
#include "coord/api/admin.h"
#include "coord/registry/accounts.h"
#include "tests/unit/admin-fixture.h"

/* ---- events ---- */

static void test_events(void **state)
{
	struct coord_fix *coord = *state;
	json_auto_t *page = NULL, *next = NULL;
	_cleanup_free_ char *path = NULL;
	const char *last;

	assert_ok(admin_ask(coord, "POST", "users", "{\"login\":\"bob@example.com\"}"));
	page = admin_expect(admin_ask(coord, "GET", "events?limit=2", ""), 200);
	assert_int_equal(json_array_size(json_object_get(page, "events")), 2);
	assert_true(json_is_true(json_object_get(page, "more")));
	last = json_string_value(
		json_object_get(json_array_get(json_object_get(page, "events"), 1), "id"));
	path = text_printf("events?after=%s", last);
	next = admin_expect(admin_ask(coord, "GET", path, ""), 200);
	assert_true(json_array_size(json_object_get(next, "events")) > 0);
	assert_true(json_is_false(json_object_get(next, "more")));
	assert_null(strstr(admin_reply.text, last));
	assert_ok(admin_ask(coord, "GET", "events?since=2027-01-15T08:00:01Z", ""));
	assert_non_null(strstr(admin_reply.text, "\"events\":[]"));
}

static int ask_to_follow(struct coord_fix *coord, const char *query)
{
	_cleanup_free_ char *text =
		text_printf("GET /v1/admin/events?follow=1%s HTTP/1.0\r\nHost: c\r\n%s\r\n", query,
			    admin_authorization);
	int fd = http_fixture_connect(&coord->http);

	http_fixture_send(fd, text);
	admin_reply = (struct http_reply){ 0 };
	return fd;
}

static int follow(struct coord_fix *coord, const char *query)
{
	int fd = ask_to_follow(coord, query);

	http_fixture_receive(&coord->http, fd, "\r\n\r\n", &admin_reply);
	assert_non_null(strstr(admin_reply.text, "application/x-ndjson"));
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
	http_fixture_receive(&coord->http, fd, "after@example.com", &admin_reply);
	assert_null(strstr(admin_reply.text, "before@example.com"));
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
	http_fixture_take(fd, &admin_reply);
	assert_null(strstr(admin_reply.text, "after@example.com"));
	assert_null(strstr(admin_reply.text, "revoke"));
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
	snprintf(admin_authorization, sizeof(admin_authorization), "Authorization: Bearer %s\r\n",
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
	request = text_printf("GET /v1/admin/users HTTP/1.0\r\nHost: c\r\n%s\r\n",
			      admin_authorization);
	fd = http_fixture_connect(&coord->http);
	http_fixture_send(fd, request);
	/* Until the first part is there; no further. */
	admin_reply = (struct http_reply){ 0 };
	while (!strchr(admin_reply.text, '[')) {
		assert_true(sd_event_run(coord->http.event, HTTP_PATIENCE_USEC) > 0);
		http_fixture_take(fd, &admin_reply);
	}
	assert_null(strstr(admin_reply.text, "u300@example.com"));
	add_user(coord, "a000@example.com");
	add_user(coord, "z999@example.com");
	registry_delete_user(coord->registry, &fix_root, "u899@example.com", fix_done,
			     &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
	rest = receive_all(coord, fd, "]}");
	text = text_printf("%s%s", admin_reply.text, rest);
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
	request = text_printf("GET /v1/admin/users HTTP/1.0\r\nHost: c\r\n%s\r\n",
			      admin_authorization);
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
	admin_reply = (struct http_reply){ 0 };
	http_fixture_receive(&coord->http, fd, line, &admin_reply);
	assert_non_null(strstr(admin_reply.text, "\"mesh.init\""));
	close(fd);
	fd = follow(coord, "");
	http_fixture_wait(&coord->http, (http_fixture_take(fd, &admin_reply),
					 count(admin_reply.text, line) >= 3));
	/* Events go on in between. */
	add_user(coord, "after@example.com");
	http_fixture_receive(&coord->http, fd, "after@example.com", &admin_reply);
	http_fixture_wait(&coord->http, (http_fixture_take(fd, &admin_reply),
					 count(admin_reply.text, line) >= 5));
	close(fd);
	http_fixture_wait(&coord->http, coord->api->n_followers == 0);
}

static void test_followers_are_few(void **state)
{
	struct coord_fix *coord = *state;
	int fds[16];

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = follow(coord, "");
	assert_refused(admin_ask(coord, "GET", "events?follow=1", ""), 429, "too-many", "follow");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		ADMIN_TEST(test_events, admin_set_up_with_key),
		ADMIN_TEST(test_long_list, admin_set_up_with_key),
		ADMIN_TEST(test_long_list_at_rest, admin_set_up_with_key),
		ADMIN_TEST(test_follow_from_now, admin_set_up_with_key),
		ADMIN_TEST(test_follow_until_revoked, admin_set_up_with_key),
		ADMIN_TEST(test_follow_until_expired, admin_set_up_with_key),
		ADMIN_TEST(test_follow_until_it_expires, admin_set_up),
		ADMIN_TEST(test_follower_hears_that_it_is_alive, admin_set_up_with_key),
		ADMIN_TEST(test_follow_from_the_beginning, admin_set_up_with_key),
		ADMIN_TEST(test_followers_are_few, admin_set_up_with_key),
		ADMIN_TEST(test_a_follower_that_does_not_read, admin_set_up_with_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
