/* The agent's link and the coordinator proper, one with the other, in one event loop. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "agent/link/check.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "coord/registry/checks.h"
#include "tests/unit/coord-fixture.h"
#include "tests/unit/link-keeper.h"

/*
 * The node's keys, in memory: agent/state.c and the registry have functions of the same name, and
 * are not of one program.
 */
struct state {
	struct wg_key private, public, next_private, next_public;
	bool has_next;
};

const struct wg_key *state_public_key(const struct state *state)
{
	return &state->public;
}

const struct wg_key *state_next_public_key(const struct state *state)
{
	return state->has_next ? &state->next_public : NULL;
}

int state_make_next_key(struct state *state)
{
	if (!state->has_next) {
		assert_int_equal(wg_key_generate(&state->next_private), 0);
		assert_int_equal(wg_key_public(&state->next_private, &state->next_public), 0);
	}
	state->has_next = true;
	return 0;
}

int state_use_next_key(struct state *state)
{
	state->private = state->next_private;
	state->public = state->next_public;
	state->has_next = false;
	return 0;
}

int state_renew_key(struct state *state)
{
	return state_make_next_key(state) | state_use_next_key(state);
}

struct host {
	struct coord_fix *coord;
	char dir[64], url[64];
	struct state state;
	int dirfd;
	struct link *link;
	struct link_keeper keeper;
};

static void discard_log(void *userdata, int level, const char *text)
{
}

static void open_link(struct host *host)
{
	const struct link_config config = {
		.dirfd = host->dirfd,
		.ifname = "mesh-test",
		.listen_port = 51820,
		.places = { .etc = "/nonexistent", .gateway_keys = "/nonexistent/keys" },
	};
	char *error = NULL;

	if (link_new(host->coord->http.event, &config, &host->state, &link_keeper_hooks,
		     &host->keeper, &error, &host->link) < 0)
		fail_msg("%s", error);
}

/* The agent starts anew; what it remembers is not acted on before link_start(). */
static void reopen_link(struct host *host)
{
	host->link = link_free(host->link);
	host->keeper.map = netmap_free(host->keeper.map);
	open_link(host);
}

static struct host *host_new(struct coord_fix *coord)
{
	struct host *host = calloc(1, sizeof(*host));

	log_set_sink(discard_log, NULL);
	host->coord = coord;
	strcpy(host->dir, "/tmp/test-link-coord-XXXXXX");
	assert_non_null(mkdtemp(host->dir));
	snprintf(host->url, sizeof(host->url), "http://127.0.0.1:%u", coord->http.endpoint.port);
	assert_int_equal(state_renew_key(&host->state), 0);
	host->dirfd = open(host->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	open_link(host);
	return host;
}

static void host_free(struct host *host)
{
	_cleanup_free_ char *command = text_printf("rm -rf %s", host->dir);

	link_free(host->link);
	close(host->dirfd);
	link_keeper_done(&host->keeper);
	free(host);
	assert_int_equal(system(command), 0);
}

static struct link_view view_of(const struct host *host)
{
	struct link_view view;

	link_view(host->link, &view);
	return view;
}

static bool is(const struct host *host, const char *state)
{
	return strcmp(view_of(host).state, state) == 0;
}

#define AWAIT(host, condition)                                                                 \
	do {                                                                                   \
		uint64_t end_ = clock_usec(CLOCK_MONOTONIC) + HTTP_PATIENCE_USEC;              \
		while (!(condition) && clock_usec(CLOCK_MONOTONIC) < end_)                     \
			http_fixture_pump(&(host)->coord->http, 1000);                         \
		if (!(condition))                                                              \
			fail_msg("in vain: %s (state %s, problem %s, refused %s)", #condition, \
				 view_of(host).state, view_of(host).problem,                   \
				 (host)->keeper.refused);                                      \
	} while (0)

static void up(struct host *host, const char *auth_key, const char *name)
{
	const struct link_wish wish = { .url = host->url, .auth_key = auth_key, .hostname = name };
	_cleanup_free_ char *error = NULL;

	if (link_up(host->link, &wish, &error) < 0)
		fail_msg("%s", error);
}

static struct host *member(struct coord_fix *coord, const char *name)
{
	struct host *host = host_new(coord);

	up(host, coord_fix_authkey(coord), name);
	AWAIT(host, is(host, "connected") && host->keeper.map);
	assert_null(host->keeper.refused);
	return host;
}

static void test_two_hosts(void **state)
{
	struct coord_fix *coord = *state;
	struct host *a = member(coord, "server"), *b = member(coord, "laptop");

	AWAIT(a, a->keeper.map->n_peers == 1);
	AWAIT(b, b->keeper.map->n_peers == 1);
	assert_string_equal(a->keeper.map->peers[0].name, "laptop");
	assert_string_equal(b->keeper.map->self.name, "laptop");
	assert_true(wg_key_equal(&a->keeper.map->peers[0].key, state_public_key(&b->state)));
	assert_true(wg_key_equal(&b->keeper.map->self.key, state_public_key(&b->state)));
	assert_null(view_of(a).problem);
	host_free(a);
	host_free(b);
}

static void test_rotates(void **state)
{
	struct coord_fix *coord = *state;
	struct host *a = member(coord, "server"), *b = member(coord, "laptop");
	_cleanup_free_ char *error = NULL;
	const struct link_wish wish = { 0 };
	struct wg_key before = *state_public_key(&b->state);

	AWAIT(a, a->keeper.map->n_peers == 1);
	assert_int_equal(link_login(b->link, &wish, &error), 0);
	AWAIT(b, !view_of(b).renewing && strcmp(view_of(b).join, "idle") == 0);
	assert_false(wg_key_equal(&before, state_public_key(&b->state)));
	AWAIT(a, wg_key_equal(&a->keeper.map->peers[0].key, state_public_key(&b->state)));
	assert_int_equal(b->keeper.n_left, 0);
	host_free(a);
	host_free(b);
}

static void test_approval(void **state)
{
	struct coord_fix *coord = *state;
	struct host *host = host_new(coord);
	char code[64];

	up(host, NULL, "server");
	AWAIT(host, is(host, "pending") && view_of(host).code);
	snprintf(code, sizeof(code), "%s", view_of(host).code);
	registry_approve(coord->registry, &fix_root, code, "alice@example.com", NULL, fix_done,
			 &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
	AWAIT(host, is(host, "connected") && host->keeper.map);
	assert_string_equal(host->keeper.map->self.user, "alice@example.com");
	host_free(host);
}

static void test_expired_and_renewed(void **state)
{
	struct coord_fix *coord = *state;
	struct host *host = member(coord, "server");
	_cleanup_free_ char *error = NULL;
	struct link_wish wish = { 0 };
	struct wg_key before = *state_public_key(&host->state);

	registry_expire_node(coord->registry, &fix_root, "server", fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
	AWAIT(host, is(host, "key-expired"));
	wish.auth_key = coord_fix_authkey(coord);
	assert_int_equal(link_login(host->link, &wish, &error), 0);
	AWAIT(host, is(host, "connected") && !view_of(host).renewing);
	assert_false(wg_key_equal(&before, state_public_key(&host->state)));
	assert_int_equal(host->keeper.n_left, 0);
	host_free(host);
}

static void test_deleted(void **state)
{
	struct coord_fix *coord = *state;
	struct host *host = member(coord, "server");

	registry_delete_node(coord->registry, &fix_root, "server", fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
	AWAIT(host, is(host, "deleted"));
	assert_int_equal(host->keeper.n_left, 1);
	/* And back again, as another node. */
	up(host, coord_fix_authkey(coord), "server");
	AWAIT(host, is(host, "connected") && host->keeper.map);
	host_free(host);
}

static void on_logged_out(const char *problem, void *userdata)
{
	*(const char **)userdata = problem ? "a problem" : "done";
}

static void test_logout(void **state)
{
	struct coord_fix *coord = *state;
	struct host *host = member(coord, "server");
	const char *said = NULL;

	assert_int_equal(link_logout(host->link, on_logged_out, &said), 0);
	AWAIT(host, said);
	assert_string_equal(said, "done");
	assert_true(is(host, "unenrolled"));
	/* The same node, after an approval or with a key. */
	up(host, coord_fix_authkey(coord), "server");
	AWAIT(host,
	      is(host, "connected") && host->keeper.map && !host->keeper.map->self.key_expired);
	assert_int_equal(registry_n_nodes(coord->registry), 1);
	host_free(host);
}

static void test_tells(void **state)
{
	struct coord_fix *coord = *state;
	struct host *host = member(coord, "server");
	const struct link_wish wish = { .set_ssh = true, .ssh = true };
	_cleanup_free_ char *error = NULL;

	assert_false(host->keeper.map->self.ssh);
	assert_true(link_set(host->link, &wish, &error) >= 0);
	AWAIT(host, host->keeper.map->self.ssh);
	host_free(host);
}

/* ---- deleted while it was not there to hear of it ---- */

static struct host *deleted_member(struct coord_fix *coord)
{
	struct host *host = member(coord, "server");

	reopen_link(host);
	http_fixture_pump(&coord->http, 20000);
	registry_delete_node(coord->registry, &fix_root, "server", fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
	return host;
}

static void test_deleted_while_away(void **state)
{
	struct coord_fix *coord = *state;
	struct host *host = deleted_member(coord);

	link_start(host->link);
	AWAIT(host, is(host, "deleted"));
	assert_int_equal(host->keeper.n_left, 1);
	assert_null(view_of(host).node_id);
	up(host, coord_fix_authkey(coord), "server");
	AWAIT(host, is(host, "connected") && host->keeper.map);
	host_free(host);
}

/* The key was given before it was heard that it is needed. */
static void test_deleted_and_up_with_key(void **state)
{
	struct coord_fix *coord = *state;
	struct host *host = deleted_member(coord);

	up(host, coord_fix_authkey(coord), "server");
	AWAIT(host, is(host, "connected") && host->keeper.map);
	assert_int_equal(host->keeper.n_left, 1);
	assert_int_equal(registry_n_nodes(coord->registry), 1);
	host_free(host);
}

/* With the map of the node that it was in force: nothing goes on from that. */
static void test_deleted_and_enrols(void **state)
{
	struct coord_fix *coord = *state;
	struct host *host = member(coord, "server");
	_cleanup_free_ char *error = NULL, *before = strdup(view_of(host).node_id);
	struct link_wish wish = { 0 };

	host->link = link_free(host->link);
	http_fixture_pump(&coord->http, 20000);
	registry_delete_node(coord->registry, &fix_root, "server", fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
	open_link(host);
	wish.auth_key = coord_fix_authkey(coord);
	assert_int_equal(link_login(host->link, &wish, &error), 0);
	AWAIT(host, is(host, "connected") && host->keeper.map &&
			    strcmp(host->keeper.map->for_node, before) != 0);
	assert_string_equal(host->keeper.map->for_node, view_of(host).node_id);
	assert_int_equal(host->keeper.n_left, 1);
	assert_int_equal(host->keeper.n_forgot, 1);
	assert_null(host->keeper.refused);
	host_free(host);
}

static void test_deleted_and_rotates(void **state)
{
	struct coord_fix *coord = *state;
	struct host *host = deleted_member(coord);
	_cleanup_free_ char *error = NULL;
	const struct link_wish wish = { 0 };

	assert_int_equal(link_login(host->link, &wish, &error), 0);
	AWAIT(host, is(host, "deleted"));
	host_free(host);
}

static void test_deleted_and_logs_out(void **state)
{
	struct coord_fix *coord = *state;
	struct host *host = deleted_member(coord);
	const char *said = NULL;

	assert_int_equal(link_logout(host->link, on_logged_out, &said), 0);
	AWAIT(host, said);
	assert_string_equal(said, "done");
	assert_true(is(host, "unenrolled"));
	assert_null(view_of(host).coordinator);
	assert_int_equal(link_logout(host->link, on_logged_out, &said), -ENOENT);
	host_free(host);
}

/* Who knows that it is deleted knows the coordinator's key still, until it is told to forget it. */
static void test_logs_out_when_deleted(void **state)
{
	struct coord_fix *coord = *state;
	struct host *host = deleted_member(coord);
	_cleanup_free_ char *error = NULL;
	struct ed25519_key *other = NULL;
	char key[ED25519_TEXT_LEN];
	const struct link_wish wish = { .coordinator_key = key };

	assert_int_equal(ed25519_key_generate(&other), 0);
	ed25519_public_to_string(ED25519_COORDINATOR, ed25519_key_public(other), key);
	ed25519_key_free(other);
	link_start(host->link);
	AWAIT(host, is(host, "deleted"));
	assert_non_null(view_of(host).coordinator);
	assert_int_equal(link_check_wish(host->link, &wish, &error), -EINVAL);
	assert_int_equal(link_logout(host->link, NULL, NULL), LINK_LOGOUT_DONE);
	assert_true(is(host, "unenrolled"));
	assert_null(view_of(host).coordinator);
	free(take_ptr(error));
	assert_int_equal(link_check_wish(host->link, &wish, &error), LINK_WISH_FOR_ROOT);
	host_free(host);
}

/* ---- checks ---- */

/* What becomes of one. */
struct asking {
	struct link_check *check;
	char url[256], code[32], message[256], method[32];
	bool over;
	enum link_check_end end;
	uint64_t checked_usec;
};

static void on_waiting(const char *url, const char *code, void *userdata)
{
	struct asking *asking = userdata;

	snprintf(asking->url, sizeof(asking->url), "%s", url);
	snprintf(asking->code, sizeof(asking->code), "%s", code);
}

static void on_over(const struct link_check_result *result, void *userdata)
{
	struct asking *asking = userdata;

	asking->check = NULL;
	asking->over = true;
	asking->end = result->end;
	asking->checked_usec = result->checked_usec;
	snprintf(asking->message, sizeof(asking->message), "%s",
		 result->message ? result->message : "");
	snprintf(asking->method, sizeof(asking->method), "%s",
		 result->method ? result->method : "");
}

static const struct link_check_events check_events = { on_waiting, on_over };

static void ask(struct host *host, struct asking *asking, const char *source, const char *target,
		const char *user)
{
	const struct link_check_question question = { source, target, user };

	*asking = (struct asking){ 0 };
	assert_int_equal(link_check(host->link, &question, &check_events, asking, &asking->check),
			 0);
}

static void expect_end(struct host *host, const struct asking *asking, enum link_check_end end)
{
	AWAIT(host, asking->over);
	if (asking->end != end)
		fail_msg("%d, not %d: %s", asking->end, end, asking->message);
}

/* What alice would do on the page. */
static void answer(struct coord_fix *coord, const struct asking *asking, bool approve)
{
	const struct registry_actor alice = { .who = "alice@example.com",
					      .from = "192.0.2.9",
					      .login = "alice@example.com" };
	const char *id = strrchr(asking->url, '/') + 1;
	const struct checkreq_record *req = registry_checkreq(coord->registry, id);
	const struct registry_check_answer given = {
		.approve = approve,
		.method = "password",
		.strength = AUTH_MAX_AGE,
		.auth_time = clock_usec(CLOCK_REALTIME),
		.n_logins = req->logins.n,
	};

	assert_string_equal(req->code, asking->code);
	registry_answer_check(coord->registry, &alice, id, &given, fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
}

static void set_policy(struct coord_fix *coord, const char *text)
{
	const struct registry_policy_request request = { .text = text, .len = strlen(text) };

	registry_set_policy(coord->registry, &fix_root, &request, fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
}

/* By the default policy, alice's logins between her own hosts. */
static void test_checks(void **state)
{
	struct coord_fix *coord = *state;
	struct host *server = member(coord, "server"), *laptop = member(coord, "laptop");
	char source[64], here[64];
	struct asking asking, other;

	snprintf(source, sizeof(source), "%s", view_of(laptop).node_id);
	snprintf(here, sizeof(here), "%s", view_of(server).node_id);
	ask(server, &asking, source, NULL, "root");
	AWAIT(server, asking.url[0]);
	/* The same page for what waits for the same person. */
	ask(server, &other, source, NULL, "alice");
	AWAIT(server, other.url[0]);
	assert_string_equal(asking.url, other.url);
	answer(coord, &asking, true);
	expect_end(server, &asking, LINK_CHECK_PASSED);
	expect_end(server, &other, LINK_CHECK_PASSED);
	assert_string_equal(asking.method, "password");
	assert_true(asking.checked_usec > 0);
	/* Remembered, also when asked for by the other side. */
	ask(server, &asking, source, NULL, "root");
	expect_end(server, &asking, LINK_CHECK_PASSED);
	ask(laptop, &asking, NULL, "server", "root");
	expect_end(laptop, &asking, LINK_CHECK_PASSED);
	/* Beforehand, and in any case; no. */
	ask(laptop, &asking, NULL, NULL, NULL);
	AWAIT(laptop, asking.url[0]);
	answer(coord, &asking, false);
	expect_end(laptop, &asking, LINK_CHECK_DENIED);
	/* In the other direction nobody has confirmed anything; and then the rule goes. */
	ask(laptop, &asking, here, NULL, "root");
	AWAIT(laptop, asking.url[0]);
	set_policy(coord, "{\"ssh\":[]}");
	expect_end(laptop, &asking, LINK_CHECK_REFUSED);
	assert_non_null(strstr(asking.message, "no rule lets people log in from server to laptop"));
	ask(laptop, &asking, "n0", NULL, "root");
	expect_end(laptop, &asking, LINK_CHECK_REFUSED);
	host_free(server);
	host_free(laptop);
}

/* One person's, from one host: one page, one answer for all, and nobody waits any more. */
static void test_hundred_checks(void **state)
{
	struct coord_fix *coord = *state;
	struct host *server = member(coord, "server"), *laptop = member(coord, "laptop");
	struct asking asking[100];
	const char *id;
	char source[64];

	snprintf(source, sizeof(source), "%s", view_of(laptop).node_id);
	for (size_t i = 0; i < ARRAY_SIZE(asking); i++)
		ask(server, &asking[i], source, NULL, i % 2 ? "root" : "alice");
	for (size_t i = 0; i < ARRAY_SIZE(asking); i++) {
		AWAIT(server, asking[i].url[0]);
		assert_string_equal(asking[i].url, asking[0].url);
		assert_string_equal(asking[i].code, asking[0].code);
	}
	id = strrchr(asking[0].url, '/') + 1;
	AWAIT(server, api_check_is_waited_for(coord->api, id));
	answer(coord, &asking[0], true);
	for (size_t i = 0; i < ARRAY_SIZE(asking); i++)
		expect_end(server, &asking[i], LINK_CHECK_PASSED);
	assert_false(api_check_is_waited_for(coord->api, id));
	host_free(server);
	host_free(laptop);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, coord_fix_setup, coord_fix_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_two_hosts),
		TEST(test_rotates),
		TEST(test_approval),
		TEST(test_expired_and_renewed),
		TEST(test_deleted),
		TEST(test_logout),
		TEST(test_tells),
		TEST(test_deleted_while_away),
		TEST(test_deleted_and_up_with_key),
		TEST(test_deleted_and_enrols),
		TEST(test_deleted_and_rotates),
		TEST(test_deleted_and_logs_out),
		TEST(test_logs_out_when_deleted),
		TEST(test_checks),
		TEST(test_hundred_checks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
