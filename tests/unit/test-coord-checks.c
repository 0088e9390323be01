/* Checks as agents ask for them, over HTTP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/text.h"
#include "coord/api/internal.h"
#include "coord/registry/accounts.h"
#include "coord/registry/checks.h"
#include "tests/unit/coord-fixture.h"

#define ALICE "alice@example.com"
#define BOB   "bob@example.com"

/* Alice's, all of them; the default policy has her checked when she logs in from one to another. */
struct checks {
	struct coord_fix *coord;
	struct agent_fix laptop, web;
	char laptop_id[16], web_id[16];
	char id[64], page[64]; /* of the last login that was asked for, and its page */
};

static struct http_reply reply;

static const struct registry_actor alice = { .who = ALICE, .from = "192.0.2.9", .login = ALICE };
static const struct registry_actor bob = { .who = BOB, .from = "192.0.2.8", .login = BOB };

static int set_up(void **state)
{
	struct checks *c = calloc(1, sizeof(*c));
	const struct registry_user_patch nothing = { 0 };
	void *coord;

	assert_non_null(c);
	coord_fix_setup_then(&coord);
	c->coord = coord;
	registry_add_user(c->coord->registry, &fix_root, BOB, &nothing, fix_done,
			  &c->coord->result);
	agent_fix_init(c->coord, &c->laptop);
	agent_fix_enrol(c->coord, &c->laptop);
	agent_fix_init(c->coord, &c->web);
	agent_fix_enrol(c->coord, &c->web);
	snprintf(c->laptop_id, sizeof(c->laptop_id), "%s",
		 registry_node_by_name(c->coord->registry, "server")->head.id);
	snprintf(c->web_id, sizeof(c->web_id), "%s",
		 registry_node_by_name(c->coord->registry, "server-1")->head.id);
	*state = c;
	return 0;
}

static int tear_down(void **state)
{
	struct checks *c = *state;
	void *coord = c->coord;

	agent_fix_done(&c->laptop);
	agent_fix_done(&c->web);
	free(c);
	return coord_fix_teardown(&coord);
}

static void set_policy(struct checks *c, const char *text)
{
	const struct registry_policy_request request = { .text = text, .len = strlen(text) };

	registry_set_policy(c->coord->registry, &fix_root, &request, fix_done, &c->coord->result);
	assert_int_equal(c->coord->result.code, REGISTRY_OK);
}

static void tag(struct checks *c, const char *node, const char *name)
{
	struct text_list tags = { .items = (char *[]){ (char *)name }, .n = 1 };
	const struct registry_node_patch patch = { .tags = &tags };

	registry_patch_node(c->coord->registry, &fix_root, node, &patch, fix_done,
			    &c->coord->result);
	assert_int_equal(c->coord->result.code, REGISTRY_OK);
}

#define RULE(action, more)                                                              \
	"{\"ssh\":[{\"action\":\"" action "\",\"src\":[\"autogroup:member\"],\"dst\":[" \
	"\"autogroup:self\"],\"users\":[\"root\"]" more "}]}"
#define NO_RULES "{\"ssh\":[]}"

/* ---- asking ---- */

static const char *body_of(const char *source, const char *user)
{
	static char body[512];

	snprintf(body, sizeof(body), "{\"source\":\"%s\",\"ssh_user\":\"%s\"}", source, user);
	return body;
}

static const char *wait_body(const char *id)
{
	static char body[128];

	snprintf(body, sizeof(body), "{\"id\":\"%s\"}", id);
	return body;
}

static unsigned post(struct checks *c, struct agent_fix *agent, const char *path, const char *body)
{
	unsigned status = agent_fix_ask(c->coord, agent, path, body, &reply);

	assert_true(agent_fix_answer_is_signed(c->coord, agent, status, &reply));
	return status;
}

static void take_ids(struct checks *c)
{
	assert_int_equal(sscanf(strstr(reply.text, "\"id\":\""), "\"id\":\"%63[^\"]", c->id), 1);
	assert_int_equal(sscanf(strstr(reply.text, "/check/"), "/check/%63[^\"]", c->page), 1);
}

static unsigned ask(struct checks *c, const char *user)
{
	unsigned status = post(c, &c->web, "/v1/check", body_of(c->laptop_id, user));

	if (status == 202)
		take_ids(c);
	return status;
}

static void ask_and_wait_for(struct checks *c)
{
	assert_int_equal(ask(c, "root"), 202);
}

static void expect(const char *text)
{
	if (!strstr(http_reply_body(&reply), text))
		fail_msg("expected %s, got %s", text, http_reply_body(&reply));
}

static void expect_error(unsigned status, unsigned wanted, const char *code, const char *text)
{
	_cleanup_free_ char *error = text_printf("{\"error\":{\"code\":\"%s\",", code);

	assert_int_equal(status, wanted);
	expect(error);
	expect(text);
}

/* A request that is held. */
static int hold(struct checks *c, struct agent_fix *agent, const char *id)
{
	_cleanup_free_ char *request = agent_fix_request(agent, "/v1/check/wait", wait_body(id));
	unsigned n = c->coord->api->checking.n;
	int fd = http_fixture_connect(&c->coord->http);

	http_fixture_send(fd, request);
	http_fixture_wait(&c->coord->http, c->coord->api->checking.n == n + 1);
	return fd;
}

static void receive(struct checks *c, int fd, const char *wanted)
{
	reply = (struct http_reply){ 0 };
	http_fixture_receive(&c->coord->http, fd, wanted, &reply);
	close(fd);
	assert_int_equal(c->coord->api->checking.n, 0);
}

static void answer_as(struct checks *c, const struct registry_actor *actor, bool approve)
{
	const struct checkreq_record *req = registry_checkreq(c->coord->registry, c->page);
	const struct registry_check_answer answer = {
		.approve = approve,
		.method = "password",
		.strength = AUTH_MAX_AGE,
		.auth_time = fix_time(),
		.n_logins = req ? req->logins.n : 0,
	};

	registry_answer_check(c->coord->registry, actor, c->page, &answer, fix_done,
			      &c->coord->result);
}

static void approve(struct checks *c)
{
	answer_as(c, &alice, true);
	assert_int_equal(c->coord->result.code, REGISTRY_OK);
}

/* ---- by the rules ---- */

static void test_rules(void **state)
{
	struct checks *c = *state;

	set_policy(c, RULE("accept", ""));
	assert_int_equal(ask(c, "root"), 200);
	expect("{\"state\":\"accepted\"}");
	expect_error(ask(c, "alice"), 403, "not-allowed",
		     "no rule lets people log in from server to server-1 as alice");
	set_policy(c, NO_RULES);
	expect_error(ask(c, "root"), 403, "not-allowed", "as root");
	/* A check comes first, as agents have it. */
	set_policy(c, "{\"ssh\":["
		      "{\"action\":\"accept\",\"src\":[\"autogroup:member\"],"
		      "\"dst\":[\"autogroup:self\"],\"users\":[\"root\"]},"
		      "{\"action\":\"check\",\"src\":[\"autogroup:member\"],"
		      "\"dst\":[\"autogroup:self\"],\"users\":[\"root\"]}]}");
	assert_int_equal(ask(c, "root"), 202);
	assert_int_equal(registry_n_checkreqs(c->coord->registry), 1);
}

/* That is for members to log in to their own hosts. */
static void test_default_policy(void **state)
{
	struct checks *c = *state;
	const struct registry_node_patch to_bob = { .user = BOB };
	const struct checkreq_record *req;
	char name[64];

	assert_int_equal(ask(c, "root"), 202);
	expect("{\"state\":\"waiting\",\"id\":\"");
	expect("\"url\":\"http://127.0.0.1/check/");
	req = registry_checkreq(c->coord->registry, c->page);
	snprintf(name, sizeof(name), "\"code\":\"%s\",\"expires_at\":\"2027-01-15T08:10:00Z\"",
		 req->code);
	expect(name);
	assert_string_equal(req->user, ALICE);
	assert_int_equal(ask(c, "alice"), 202);
	assert_int_equal(registry_n_checkreqs(c->coord->registry), 1);
	registry_patch_node(c->coord->registry, &fix_root, c->web_id, &to_bob, fix_done,
			    &c->coord->result);
	expect_error(ask(c, "root"), 403, "not-allowed", "no rule lets people log in");
}

static void test_remembered(void **state)
{
	struct checks *c = *state;

	set_policy(c, RULE("check", ",\"checkPeriod\":\"1h\""));
	ask_and_wait_for(c);
	approve(c);
	fix_set_time(fix_time() + FIX_HOUR - FIX_SEC);
	assert_int_equal(ask(c, "root"), 200);
	expect("{\"state\":\"accepted\",\"checked_at\":\"2027-01-15T08:00:00Z\","
	       "\"method\":\"password\"}");
	/* By the rule of now. */
	set_policy(c, RULE("check", ",\"checkPeriod\":\"30m\""));
	assert_int_equal(ask(c, "root"), 202);
	set_policy(c, RULE("check", ",\"checkPeriod\":\"1h\""));
	assert_int_equal(ask(c, "root"), 200);
	fix_set_time(fix_time() + FIX_SEC);
	assert_int_equal(ask(c, "root"), 202);
	assert_int_equal(c->coord->api->checks.remembered, 2);
}

static void test_always(void **state)
{
	struct checks *c = *state;
	int fd;

	set_policy(c, RULE("check", ",\"checkPeriod\":\"always\""));
	ask_and_wait_for(c);
	approve(c);
	assert_int_equal(post(c, &c->web, "/v1/check/wait", wait_body(c->id)), 200);
	fix_set_time(fix_time() + FIX_SEC);
	ask_and_wait_for(c);
	fd = hold(c, &c->web, c->id);
	approve(c);
	receive(c, fd, "\"state\":\"accepted\"");
	assert_int_equal(ask(c, "root"), 202);
}

/* ---- waiting ---- */

static void test_approved(void **state)
{
	struct checks *c = *state;
	int fd;

	ask_and_wait_for(c);
	fd = hold(c, &c->web, c->id);
	http_fixture_pump(&c->coord->http, 100000);
	reply = (struct http_reply){ 0 };
	http_fixture_take(fd, &reply);
	assert_int_equal(reply.len, 0);
	answer_as(c, &bob, true);
	assert_int_equal(c->coord->result.code, REGISTRY_NOT_ALLOWED);
	http_fixture_pump(&c->coord->http, 100000);
	http_fixture_take(fd, &reply);
	assert_int_equal(reply.len, 0);
	approve(c);
	receive(c, fd, "\"state\":\"accepted\",\"checked_at\":");
	assert_true(agent_fix_answer_is_signed(c->coord, &c->web, 200, &reply));
	assert_int_equal(c->coord->api->checks.asked, 1);
	assert_int_equal(c->coord->api->checks.approved, 1);
}

static void test_denied(void **state)
{
	struct checks *c = *state;
	int fd;

	ask_and_wait_for(c);
	fd = hold(c, &c->web, c->id);
	answer_as(c, &alice, false);
	receive(c, fd, "\"code\":\"denied\",\"message\":\"alice@example.com has said no");
	expect_error(post(c, &c->web, "/v1/check/wait", wait_body(c->id)), 403, "denied", "no");
	assert_int_equal(c->coord->api->checks.denied, 1);
}

static void test_runs_out(void **state)
{
	struct checks *c = *state;
	int fd;

	ask_and_wait_for(c);
	fd = hold(c, &c->web, c->id);
	fix_set_time(fix_time() + 600 * FIX_SEC);
	registry_tick(c->coord->registry);
	receive(c, fd, "\"code\":\"not-found\",\"message\":\"this check is over");
	assert_int_equal(c->coord->api->checks.expired, 1);
}

static void test_goes(void **state)
{
	struct checks *c = *state;
	int fd;

	ask_and_wait_for(c);
	fd = hold(c, &c->web, c->id);
	close(fd);
	http_fixture_wait(&c->coord->http, c->coord->api->checking.n == 0);
	/* It is still there to be answered, and to be asked about. */
	approve(c);
	assert_int_equal(post(c, &c->web, "/v1/check/wait", wait_body(c->id)), 200);
}

/* What is approved is let in only if there still is a rule for it. */
static void test_rule_goes(void **state)
{
	struct checks *c = *state;
	int fd;

	ask_and_wait_for(c);
	fd = hold(c, &c->web, c->id);
	set_policy(c, NO_RULES);
	receive(c, fd, "\"code\":\"not-allowed\"");
	approve(c);
	expect_error(post(c, &c->web, "/v1/check/wait", wait_body(c->id)), 403, "not-allowed",
		     "(any more)");
	/* Accept instead of check: there is nothing to wait for. */
	set_policy(c, RULE("check", ""));
	fix_set_time(fix_time() + 13 * FIX_HOUR);
	ask_and_wait_for(c);
	fd = hold(c, &c->web, c->id);
	set_policy(c, RULE("accept", ""));
	receive(c, fd, "{\"state\":\"accepted\"}");
}

static void test_people_go(void **state)
{
	struct checks *c = *state;
	const struct registry_node_patch to_bob = { .user = BOB };
	int fd;

	ask_and_wait_for(c);
	fd = hold(c, &c->web, c->id);
	registry_patch_node(c->coord->registry, &fix_root, c->laptop_id, &to_bob, fix_done,
			    &c->coord->result);
	receive(c, fd, "\"code\":\"not-found\"");
	set_policy(c, "{\"tagOwners\":{\"tag:web\":[]},\"ssh\":[{\"action\":\"check\",\"src\":["
		      "\"" BOB "\"],\"dst\":[\"tag:web\"],\"users\":[\"root\"]}]}");
	tag(c, c->web_id, "tag:web");
	ask_and_wait_for(c);
	fd = hold(c, &c->web, c->id);
	registry_suspend_user(c->coord->registry, &fix_root, BOB, true, fix_done,
			      &c->coord->result);
	assert_int_equal(c->coord->result.code, REGISTRY_OK);
	receive(c, fd, "\"code\":\"not-found\"");
	answer_as(c, &bob, true);
	assert_int_equal(c->coord->result.code, REGISTRY_NOT_ALLOWED);
	expect_error(ask(c, "root"), 403, "not-allowed", "no rule");
}

/* Ids are for those who asked. */
static void test_who_may_wait(void **state)
{
	struct checks *c = *state;
	struct agent_fix other;
	char root[64];

	agent_fix_init(c->coord, &other);
	agent_fix_enrol(c->coord, &other);
	ask_and_wait_for(c);
	strcpy(root, c->id);
	approve(c);
	expect_error(post(c, &other, "/v1/check/wait", wait_body(c->id)), 404, "not-found",
		     "was never asked for here");
	expect_error(post(c, &c->laptop, "/v1/check/wait", wait_body(c->id)), 404, "not-found",
		     "never");
	assert_int_equal(post(c, &c->web, "/v1/check/wait", wait_body(c->id)), 200);
	/* The page's id is none, and of a login that was not asked for there is none. */
	expect_error(post(c, &c->web, "/v1/check/wait", wait_body(c->page)), 404, "not-found", "");
	root[strlen(root) - 1] = 'b';
	expect_error(post(c, &c->web, "/v1/check/wait", wait_body(root)), 404, "not-found", "");
	expect_error(post(c, &c->web, "/v1/check/wait", wait_body("")), 404, "not-found", "");
	agent_fix_done(&other);
}

static void test_revoked(void **state)
{
	struct checks *c = *state;

	ask_and_wait_for(c);
	approve(c);
	registry_forget_checks(c->coord->registry, &fix_root, ALICE, fix_done, &c->coord->result);
	expect_error(post(c, &c->web, "/v1/check/wait", wait_body(c->id)), 404, "not-found",
		     "this check is over");
}

/* A hundred logins at once from one device, of two users: one page, two logins, all let in. */
static void test_many(void **state)
{
	struct checks *c = *state;
	char page[64];
	int fds[100];

	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
		assert_int_equal(ask(c, i % 2 ? "root" : "alice"), 202);
		if (i > 0)
			assert_string_equal(c->page, page);
		strcpy(page, c->page);
		fds[i] = hold(c, &c->web, c->id);
	}
	assert_int_equal(registry_n_checkreqs(c->coord->registry), 1);
	assert_int_equal(registry_checkreq(c->coord->registry, page)->logins.n, 2);
	approve(c);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
		reply = (struct http_reply){ 0 };
		http_fixture_receive(&c->coord->http, fds[i], "\"state\":\"accepted\"", &reply);
		close(fds[i]);
	}
	assert_int_equal(c->coord->api->checking.n, 0);
}

static void test_restart(void **state)
{
	struct checks *c = *state;
	int fd;

	ask_and_wait_for(c);
	fd = hold(c, &c->web, c->id);
	coord_fix_restart(c->coord);
	close(fd);
	agent_fix_meet(c->coord, &c->web);
	fd = hold(c, &c->web, c->id);
	approve(c);
	receive(c, fd, "\"state\":\"accepted\"");
	coord_fix_restart(c->coord);
	agent_fix_meet(c->coord, &c->web);
	assert_int_equal(ask(c, "root"), 200);
	expect("\"method\":\"password\"");
}

/* ---- beforehand ---- */

static void test_beforehand(void **state)
{
	struct checks *c = *state;
	int fd;

	assert_int_equal(post(c, &c->laptop, "/v1/check", "{}"), 202);
	take_ids(c);
	fd = hold(c, &c->laptop, c->id);
	expect_error(post(c, &c->web, "/v1/check/wait", wait_body(c->id)), 404, "not-found", "");
	approve(c);
	receive(c, fd, "\"state\":\"accepted\",\"checked_at\":");
	/* Then there is nothing to ask. */
	assert_int_equal(ask(c, "root"), 200);
	assert_int_equal(post(c, &c->laptop, "/v1/check", "{\"target\":\"server-1\"}"), 200);
	/* But whoever wants to do it again may. */
	assert_int_equal(post(c, &c->laptop, "/v1/check", "{}"), 202);
	expect_error(post(c, &c->laptop, "/v1/check", "{\"target\":\"nowhere\"}"), 404, "not-found",
		     "target: there is no such node");
}

static void test_beforehand_by_target(void **state)
{
	struct checks *c = *state;

	set_policy(c, RULE("check", ",\"checkPeriod\":\"always\""));
	expect_error(post(c, &c->laptop, "/v1/check", "{\"target\":\"server-1\"}"), 409, "conflict",
		     "server-1 checks each login anew");
	set_policy(c, RULE("accept", ""));
	assert_int_equal(post(c, &c->laptop, "/v1/check", "{\"target\":\"server-1\"}"), 200);
	expect_error(post(c, &c->laptop, "/v1/check",
			  "{\"target\":\"server-1\",\"ssh_user\":\"alice\"}"),
		     403, "not-allowed", "as alice");
	set_policy(c, NO_RULES);
	expect_error(post(c, &c->laptop, "/v1/check", "{\"target\":\"server-1\"}"), 403,
		     "not-allowed", "no rule lets people log in from server to server-1");
	/* For all users: the check that has to be done most often. */
	set_policy(c, "{\"ssh\":["
		      "{\"action\":\"accept\",\"src\":[\"autogroup:member\"],"
		      "\"dst\":[\"autogroup:self\"],\"users\":[\"a\"]},"
		      "{\"action\":\"check\",\"src\":[\"autogroup:member\"],"
		      "\"dst\":[\"autogroup:self\"],\"users\":[\"b\"],\"checkPeriod\":\"2h\"},"
		      "{\"action\":\"check\",\"src\":[\"autogroup:member\"],"
		      "\"dst\":[\"autogroup:self\"],\"users\":[\"c\"],\"checkPeriod\":\"always\"},"
		      "{\"action\":\"check\",\"src\":[\"autogroup:member\"],"
		      "\"dst\":[\"autogroup:self\"],\"users\":[\"d\"],\"checkPeriod\":\"1h\"}]}");
	assert_int_equal(post(c, &c->laptop, "/v1/check", "{\"target\":\"server-1\"}"), 202);
	take_ids(c);
	approve(c);
	fix_set_time(fix_time() + FIX_HOUR - FIX_SEC);
	assert_int_equal(post(c, &c->laptop, "/v1/check", "{\"target\":\"server-1\"}"), 200);
	fix_set_time(fix_time() + FIX_SEC);
	assert_int_equal(post(c, &c->laptop, "/v1/check", "{\"target\":\"server-1\"}"), 202);
}

/* ---- what is no request ---- */

static void test_bad_requests(void **state)
{
	static const struct {
		const char *path, *body;
		unsigned status;
		const char *code, *text;
	} cases[] = {
		{ "/v1/check", "{\"source\":\"n\"}", 400, "bad-request", "ssh_user: is missing" },
		{ "/v1/check", "{\"source\":1}", 400, "bad-request", "source: expected" },
		{ "/v1/check", "{\"ssh_user\":\"root\"}", 400, "bad-request",
		  "ssh_user: belongs to a login" },
		{ "/v1/check", "{\"source\":\"n\",\"ssh_user\":\"root\",\"target\":\"x\"}", 400,
		  "bad-request", "target: is the host that asks" },
		{ "/v1/check", "{\"source\":\"naaaaaaaaaaaa\",\"ssh_user\":\"root\"}", 404,
		  "not-found", "source: there is no such node" },
		/* Ids only: names may change hands. */
		{ "/v1/check", "{\"source\":\"server\",\"ssh_user\":\"root\"}", 404, "not-found",
		  "source: there is no such node" },
		{ "/v1/check/wait", "{}", 400, "bad-request", "id: expected the id" },
		{ "/v1/check/wait", "{\"id\":1}", 400, "bad-request", "id: expected the id" },
	};
	struct checks *c = *state;
	struct agent_fix stranger;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_error(post(c, &c->web, cases[i].path, cases[i].body), cases[i].status,
			     cases[i].code, cases[i].text);
	/* A name that the rule lets in, but that is none. */
	expect_error(ask(c, "a\\nb"), 400, "bad-request", "ssh_user: holds a control character");
	agent_fix_init(c->coord, &stranger);
	expect_error(post(c, &stranger, "/v1/check", body_of(c->laptop_id, "root")), 403,
		     "not-enrolled", "");
	agent_fix_done(&stranger);
	assert_int_equal(registry_n_checkreqs(c->coord->registry), 0);
}

static void test_tagged_source(void **state)
{
	struct checks *c = *state;

	set_policy(c,
		   "{\"tagOwners\":{\"tag:ci\":[],\"tag:web\":[]},\"ssh\":[{\"action\":\"accept\","
		   "\"src\":[\"tag:ci\"],\"dst\":[\"tag:web\"],\"users\":[\"root\"]}]}");
	tag(c, c->laptop_id, "tag:ci");
	tag(c, c->web_id, "tag:web");
	assert_int_equal(ask(c, "root"), 200);
	/* Nobody is there to be checked. */
	expect_error(post(c, &c->laptop, "/v1/check", "{}"), 403, "not-allowed",
		     "server belongs to nobody");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_rules),	 TEST(test_default_policy),
		TEST(test_remembered),	 TEST(test_always),
		TEST(test_approved),	 TEST(test_denied),
		TEST(test_runs_out),	 TEST(test_goes),
		TEST(test_rule_goes),	 TEST(test_people_go),
		TEST(test_who_may_wait), TEST(test_revoked),
		TEST(test_many),	 TEST(test_restart),
		TEST(test_beforehand),	 TEST(test_beforehand_by_target),
		TEST(test_bad_requests), TEST(test_tagged_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
