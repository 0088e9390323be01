/* What is asked of the coordinator about nodes, and of what waits for an answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/text.h"
#include "coord/registry/checks.h"
#include "tests/unit/admin-fixture.h"

static void enrol(struct coord_fix *coord, const char *auth_key)
{
	struct agent_fix agent;

	agent_fix_init(coord, &agent);
	(void)agent_fix_ask(coord, &agent, "/v1/enrol", agent_fix_enrolment(&agent, auth_key),
			    &admin_reply);
	agent_fix_done(&agent);
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
		.n_logins = 1,
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

	admin_set_node(coord, 1, "web");
	admin_set_node(coord, 2, "desk");
	ask_for_check(coord, "desk", "web");
	approve_check(coord);
	ask_for_check(coord, "desk", "web");
	ask_for_check(coord, "desk", NULL);
	list = admin_expect(admin_ask(coord, "GET", "checks", ""), 200);
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
	assert_null(strstr(admin_reply.text, check_id));

	assert_refused(admin_ask(coord, "DELETE", "checks/nowhere", ""), 404, "not-found",
		       "no such node and no such user");
	assert_ok(admin_ask(coord, "DELETE", "checks/web", ""));
	assert_ok(admin_ask(coord, "DELETE", "checks/alice@example.com", ""));
	after = admin_expect(admin_ask(coord, "GET", "checks", ""), 200);
	assert_int_equal(json_array_size(json_object_get(after, "checks")), 0);
	assert_int_equal(json_array_size(json_object_get(after, "waiting")), 1);

	assert_int_equal(admin_ask(coord, "GET", "metrics", ""), 200);
	assert_non_null(
		strstr(admin_reply.text, "peergate_coord_checks_total{what=\"asked\"} 3\n"));
	assert_non_null(
		strstr(admin_reply.text, "peergate_coord_checks_total{what=\"approved\"} 1\n"));
	assert_non_null(strstr(admin_reply.text, "peergate_coord_checks_waiting 1\n"));
	assert_non_null(strstr(admin_reply.text, "peergate_coord_checks_held 0\n"));
}

static void test_nodes(void **state)
{
	struct coord_fix *coord = *state;
	json_auto_t *node = NULL, *list = NULL, *map = NULL;
	_cleanup_free_ char *path = NULL;

	admin_set_node(coord, 1, "web");
	admin_set_node(coord, 2, "db");
	list = admin_expect(admin_ask(coord, "GET", "nodes", ""), 200);
	assert_int_equal(json_array_size(json_object_get(list, "nodes")), 2);
	node = admin_expect(admin_ask(coord, "GET", "nodes/web", ""), 200);
	assert_text(node, "user", "alice@example.com");
	assert_text(node, "key_expiry", "2027-07-14T08:00:00Z");
	assert_true(json_is_false(json_object_get(node, "online")));
	map = admin_expect(admin_ask(coord, "GET", "nodes/web/map", ""), 200);
	assert_text(map, "type", "full");
	assert_int_equal(json_array_size(json_object_get(map, "peers")), 1);

	/* By its id as well. */
	path = text_printf("nodes/%s", json_string_value(json_object_get(node, "id")));
	assert_ok(admin_ask(coord, "PATCH", path, "{\"name\":\"www\",\"key_expiry\":null}"));
	assert_non_null(strstr(admin_reply.text, "\"name\":\"www\""));
	assert_non_null(strstr(admin_reply.text, "\"key_expiry\":null"));
	assert_ok(admin_ask(coord, "PATCH", path, "{\"key_expiry\":\"2027-02-01T00:00:00Z\"}"));
	assert_non_null(strstr(admin_reply.text, "\"key_expiry\":\"2027-02-01T00:00:00Z\""));
	assert_refused(admin_ask(coord, "PATCH", path, "{\"name\":\"db\"}"), 409, "conflict", "db");
	assert_refused(admin_ask(coord, "PATCH", path, "{\"tags\":[\"tag:prod\"]}"), 403, "bad-tag",
		       "tag:prod");
	assert_ok(admin_ask(coord, "POST", "nodes/www/expire", ""));
	assert_non_null(strstr(admin_reply.text, "\"expired\":true"));
	assert_ok(admin_ask(coord, "DELETE", "nodes/www", ""));
	assert_refused(admin_ask(coord, "GET", "nodes/www", ""), 404, "not-found", "no such node");
	assert_refused(admin_ask(coord, "GET", "nodes/www/map", ""), 404, "not-found",
		       "no such node");
	assert_refused(admin_ask(coord, "DELETE", "nodes/www", ""), 404, "not-found", "");
}

/* The one machine that waits. */
static void waiting_code(struct coord_fix *coord, char code[16])
{
	json_auto_t *list = admin_expect(admin_ask(coord, "GET", "auth", ""), 200);
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

	admin_make_key(*state, SCOPE_ALL);
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
	assert_refused(admin_ask(coord, "POST", approve, "{}"), 400, "bad-request", "");
	node = admin_expect(admin_ask(coord, "POST", approve, "{\"user\":\"alice@example.com\"}"),
			    200);
	assert_text(node, "name", "server");
	assert_text(node, "user", "alice@example.com");
	assert_refused(admin_ask(coord, "POST", reject, "{}"), 409, "conflict", "");
	assert_refused(admin_ask(coord, "POST", "auth/AAAAAAAA/approve", "{}"), 404, "not-found",
		       "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ADMIN_TEST(test_checks, admin_set_up_with_key),
		ADMIN_TEST(test_nodes, admin_set_up_with_key),
		ADMIN_TEST(test_machines_that_wait, set_up_now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
