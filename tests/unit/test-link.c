/*
 * The coordinator link against a coordinator in the same event loop (tests/coordinator), by HTTP
 * over the loopback: what reaches the agent, and what is remembered.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/log.h"
#include "common/text.h"
#include "tests/unit/link-fixture.h"

/* ---- time that passes all at once ---- */

static time_t ahead_sec;

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	int r = (int)syscall(SYS_clock_gettime, clock, ts);

	if (clock == CLOCK_MONOTONIC)
		ts->tv_sec += ahead_sec;
	return r;
}

static const char *fact(const struct fixture *f, const char *name)
{
	return json_string_value(json_object_get(f->tc->nodes[0].facts, name));
}

/* ---- enrolment ---- */

static void test_enrols_and_gets_maps(void **state)
{
	struct fixture *f = *state;
	struct link_view view;
	json_t *facts;

	assert_true(is(f, "unenrolled"));
	come_up(f);
	link_view(f->link, &view);
	assert_string_equal(view.node_id, "n1");
	assert_string_equal(view.domain, "mesh.example");
	assert_null(view.problem);
	assert_int_equal(f->tc->n_contact, 1);
	/* The epoch was not known. */
	assert_int_equal(f->tc->n_refused, 1);
	facts = f->tc->nodes[0].facts;
	assert_string_equal(fact(f, "os"), "Some \"Linux\" 1");
	assert_int_equal(json_array_size(json_object_get(facts, "ssh_host_keys")), 1);
	assert_string_equal(json_string_value(json_array_get(
				    json_object_get(facts, "configured_endpoints"), 0)),
			    "192.0.2.7:51820");
	assert_int_equal(json_integer_value(json_object_get(facts, "listen_port")), 51820);
	assert_true(wg_key_equal(&f->tc->nodes[0].key, state_public_key(f->state)));
	tc_publish(f->tc);
	AWAIT(f, f->last_generation == f->tc->generation);
}

static bool tells_of_host_key(const struct fixture *f, const char *key)
{
	const json_t *keys = json_object_get(f->tc->nodes[0].facts, "ssh_host_keys"), *item;
	size_t i;

	json_array_foreach (keys, i, item)
		if (strcmp(json_string_value(item), key) == 0)
			return true;
	return false;
}

/* The gateway may have made one for itself: clients see it, so the coordinator hears of it. */
static void test_tells_of_the_gateways_host_key(void **state)
{
	static const char own[] = "ssh-ed25519 "
				  "AAAAC3NzaC1lZDI1NTE5AAAAILRabXP/kbucWLpCAYQYZoQEdnLmVGUefkc2"
				  "qXoDJ/X3";
	struct fixture *f = *state;
	_cleanup_free_ char *text = text_printf("%s\nnonsense\n%s\n", own, own);

	come_up(f);
	assert_false(tells_of_host_key(f, own));
	put_etc(f, "gateway-keys", text);
	AWAIT(f, tells_of_host_key(f, own));
	/* Once, and the machine's own as well. */
	assert_int_equal(json_array_size(json_object_get(f->tc->nodes[0].facts, "ssh_host_keys")),
			 2);
}

static void test_waits_for_approval(void **state)
{
	struct fixture *f = *state;
	struct link_view view;

	up(f, (struct link_wish){ 0 });
	AWAIT(f, is(f, "pending") && f->tc->n_wait == 1);
	link_view(f->link, &view);
	assert_string_equal(view.code, "CODE-n1");
	assert_string_equal(view.login_url, "https://coord.example/a/1");
	tc_approve(f->tc, true);
	AWAIT(f, is(f, "connected") && f->map);
	link_view(f->link, &view);
	assert_null(view.code);
}

static void test_is_turned_away(void **state)
{
	struct fixture *f = *state;

	up(f, (struct link_wish){ 0 });
	AWAIT(f, f->tc->n_wait == 1);
	tc_approve(f->tc, false);
	AWAIT(f, is(f, "refused"));
	assert_non_null(strstr(problem_of(f), "not you"));
	assert_non_null(strstr(problem_of(f), "rejected"));
}

static char *auth_key_of(const struct ed25519_key *coordinator)
{
	char key[ED25519_TEXT_LEN];

	return text_printf("pgauth.id.secret.%s",
			   ed25519_public_to_string(ED25519_COORDINATOR,
						    ed25519_key_public(coordinator), key));
}

static bool on_disk(const struct fixture *f, const char *text)
{
	_cleanup_free_ char *data = NULL;
	size_t len;

	if (file_read(state_dir_fd(f->state), LINK_STORE_FILE, 65536, &data, &len) < 0)
		return false;
	return strstr(data, text);
}

static void test_auth_key(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *key = auth_key_of(f->tc->key);

	f->tc->auth_key = key;
	up(f, (struct link_wish){ .auth_key = key });
	/* Until it has been used, it is there after a crash, too. */
	assert_true(on_disk(f, key));
	AWAIT(f, is(f, "connected"));
	assert_int_equal(f->tc->n_contact, 0);
	assert_false(on_disk(f, "pgauth"));
	/* Scripts may say it again. */
	up(f, (struct link_wish){ .auth_key = key });
	assert_false(on_disk(f, "pgauth"));
	assert_int_equal(f->tc->n_enrol, 1);
}

static void test_auth_key_of_another_coordinator(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *key = auth_key_of(f->tc->other_key);

	up(f, (struct link_wish){ .auth_key = key });
	AWAIT(f, problem_of(f) != NULL);
	assert_non_null(strstr(problem_of(f), "another coordinator"));
	assert_true(is(f, "backoff"));
	assert_int_equal(f->tc->n_enrol, 0);
}

static void test_bad_auth_key_is_forgotten(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *key = auth_key_of(f->tc->key);

	up(f, (struct link_wish){ .auth_key = key });
	AWAIT(f, is(f, "refused"));
	assert_non_null(strstr(problem_of(f), "bad-auth-key"));
	assert_false(on_disk(f, "pgauth"));
}

static void test_restart_while_enrolling(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *key = auth_key_of(f->tc->key);
	struct wg_key before = *state_public_key(f->state);

	f->tc->auth_key = key;
	tc_stop(f->tc);
	up(f, (struct link_wish){
		      .auth_key = key, .hostname = "web-1", .set_ssh = true, .ssh = true });
	AWAIT(f, is(f, "backoff"));
	close_link(f);
	tc_start(f->tc);
	open_link(f);
	AWAIT(f, is(f, "connected"));
	assert_string_equal(fact(f, "hostname"), "web-1");
	assert_true(json_is_true(json_object_get(f->tc->nodes[0].facts, "ssh")));
	assert_true(wg_key_equal(&before, state_public_key(f->state)));
}

/* ---- who may say what ---- */

static void test_proxys_errors_change_nothing(void **state)
{
	struct fixture *f = *state;
	unsigned n_map;

	come_up(f);
	n_map = f->tc->n_map;
	f->tc->fault_status = 404;
	f->tc->fault_path = "/v1/map";
	f->tc->n_faults = 1;
	tc_stop(f->tc);
	AWAIT(f, is(f, "backoff"));
	tc_start(f->tc);
	AWAIT(f, f->tc->n_map > n_map && is(f, "connected"));
	assert_int_equal(f->tc->n_faults, 0);
	assert_int_equal(f->n_left, 0);
	assert_non_null(f->map);
}

static void test_forged_answers_change_nothing(void **state)
{
	struct fixture *f = *state;

	come_up(f);
	f->tc->forge_answers = true;
	f->tc->nodes[0].enrolled = false; /* so that it says "not-enrolled", but with another key */
	tc_stop(f->tc);
	tc_start(f->tc);
	AWAIT(f, f->tc->n_refused >= 3);
	run_for(f, 200000);
	assert_true(is(f, "backoff") || is(f, "connecting"));
	assert_int_equal(f->n_left, 0);
	/* The coordinator itself is believed. */
	f->tc->forge_answers = false;
	AWAIT(f, is(f, "deleted"));
	assert_int_equal(f->n_left, 1);
}

static void test_forged_stream_brings_nothing(void **state)
{
	struct fixture *f = *state;

	f->tc->approve_all = true;
	f->tc->forge_hello = true;
	up(f, (struct link_wish){ 0 });
	AWAIT(f, f->tc->n_map >= 2);
	assert_int_equal(f->n_offered, 0);
	assert_non_null(strstr(problem_of(f), "signed"));
	f->tc->forge_hello = false;
	AWAIT(f, f->map);
}

static void test_clock_that_is_wrong(void **state)
{
	struct fixture *f = *state;
	struct link_view view;

	f->tc->ahead_sec = -7200;
	come_up(f);
	link_view(f->link, &view);
	assert_in_range(view.clock_ahead_sec + 7205, 0, 10);
}

/* ---- the stream ---- */

static void test_resumes(void **state)
{
	struct fixture *f = *state;
	json_t *resume;

	come_up(f);
	/* What it says of itself once connected may have moved the generation on. */
	AWAIT(f, f->tc->n_node >= 1 && f->last_generation == f->tc->generation);
	tc_stop(f->tc);
	AWAIT(f, is(f, "backoff"));
	tc_start(f->tc);
	AWAIT(f, is(f, "connected") && f->tc->nodes[0].resume);
	resume = f->tc->nodes[0].resume;
	assert_int_equal(json_integer_value(json_object_get(resume, "generation")),
			 f->tc->generation);
	assert_string_equal(json_string_value(json_object_get(resume, "filter")), "f1");
	assert_null(problem_of(f));
	tc_say(f->tc, &f->tc->nodes[0],
	       "{\"type\":\"delta\",\"generation\":1000,\"peers_changed\":[{\"id\":\"n9\","
	       "\"name\":\"nine\",\"addresses\":[\"100.64.0.9\"],\"node_key\":"
	       "\"dHdvMnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI=\",\"path\":\"none\","
	       "\"path_reason\":\"both are behind NAT\"}]}");
	AWAIT(f, f->last_generation == 1000);
	assert_int_equal(f->map->n_peers, 1);
	assert_string_equal(f->map->peers[0].path_reason, "both are behind NAT");
	assert_int_equal(f->n_refused, 0);
}

static void test_asks_for_a_whole_map(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	come_up(f);
	before = f->last_generation;
	tc_say(f->tc, &f->tc->nodes[0],
	       "{\"type\":\"delta\",\"generation\":1000,\"peers_patched\":[{\"id\":\"n9\","
	       "\"endpoints\":[]}]}");
	AWAIT(f, is(f, "backoff"));
	f->tc->generation = before + 10;
	AWAIT(f, f->last_generation == before + 10);
	assert_null(f->tc->nodes[0].resume);
}

static void pass(struct fixture *f, unsigned seconds)
{
	int r;

	ahead_sec += seconds;
	/* All that is due by then. */
	while ((r = sd_event_run(f->event, 20000)) > 0)
		;
	assert_int_equal(r, 0);
}

/* A connection that nothing comes from is as good as none, whatever TCP thinks of it. */
static void test_silence(void **state)
{
	struct fixture *f = *state;

	come_up(f);
	AWAIT(f, f->tc->n_node >= 1 && f->last_generation == f->tc->generation);
	assert_int_equal(f->tc->n_map, 1);
	pass(f, 70);
	assert_true(is(f, "connected"));
	/* One line, and the time begins anew. */
	tc_say(f->tc, &f->tc->nodes[0], "{\"type\":\"keepalive\"}");
	run_for(f, 100000);
	pass(f, 70);
	assert_true(is(f, "connected"));
	assert_int_equal(f->tc->n_map, 1);
	ahead_sec += 6;
	AWAIT(f, problem_of(f));
	assert_string_equal(problem_of(f), "nothing came from the coordinator for 75 s");
	/* What is in force stays, and it comes back. */
	assert_int_equal(f->n_left, 0);
	AWAIT(f, is(f, "connected") && f->tc->n_map == 2);
	assert_null(problem_of(f));
}

/* A long line that is still coming is no silence; one that comes to a halt is. */
static void test_silence_within_a_line(void **state)
{
	struct fixture *f = *state;
	char *part = malloc(300 << 10);
	struct http_buf *buf = http_buf_take(part, 300 << 10);

	assert_non_null(buf);
	memset(part, 'x', 300 << 10);
	come_up(f);
	AWAIT(f, f->tc->n_node >= 1 && f->last_generation == f->tc->generation);
	assert_int_equal(http_stream_write(f->tc->nodes[0].stream, buf), 0);
	http_buf_unref(buf);
	AWAIT(f, http_stream_queued(f->tc->nodes[0].stream) == 0);
	pass(f, 0);
	pass(f, 76);
	assert_true(is(f, "connected") && f->tc->n_map == 1);
	ahead_sec += 76;
	AWAIT(f, f->tc->n_map == 2);
}

/* What the coordinator says makes the map in force young; what is refused does not. */
static void test_confirms_the_map(void **state)
{
	struct fixture *f = *state;
	unsigned n;

	come_up(f);
	AWAIT(f, f->tc->n_node >= 1 && f->last_generation == f->tc->generation);
	n = f->n_confirmed;
	assert_true(n >= 1 && n == f->n_offered);
	tc_say(f->tc, &f->tc->nodes[0], "{\"type\":\"keepalive\"}");
	AWAIT(f, f->n_confirmed == n + 1);
	tc_publish(f->tc);
	AWAIT(f, f->n_confirmed == n + 2);
	f->offer = -ESTALE;
	tc_publish(f->tc);
	AWAIT(f, f->n_offered == n + 2 && is(f, "backoff"));
	assert_int_equal(f->n_confirmed, n + 2);
}

static void test_map_for_somebody_else(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	come_up(f);
	before = f->last_generation;
	tc_say(f->tc, &f->tc->nodes[0],
	       "{\"type\":\"full\",\"version\":1,\"for\":\"n1\",\"generation\":1000,\"self\":{"
	       "\"id\":\"n1\",\"name\":\"x\",\"addresses\":[\"100.64.0.1\"]},\"mesh\":{\"domain\":"
	       "\"other.example\",\"prefixes\":[\"100.64.0.0/10\"]},\"peers\":[],"
	       "\"packet_filter\":[],\"ssh_rules\":[]}");
	AWAIT(f, f->n_refused == 1);
	assert_non_null(strstr(f->refused, "other.example"));
	assert_int_equal(f->last_generation, before);
	AWAIT(f, is(f, "connected"));
}

static void test_deleted(void **state)
{
	struct fixture *f = *state;
	struct wg_key before;

	come_up(f);
	before = *state_public_key(f->state);
	tc_delete(f->tc, &f->tc->nodes[0]);
	AWAIT(f, is(f, "deleted"));
	assert_int_equal(f->n_left, 1);
	assert_int_equal(f->n_forgot, 1);
	assert_false(on_disk(f, "\"n1\""));
	/* Its key is not that of another node to come. */
	assert_false(wg_key_equal(&before, state_public_key(f->state)));
	close_link(f);
	open_link(f);
	assert_true(is(f, "deleted"));
	come_up(f);
}

/* The stream is open still. */
static void test_deleted_hears_it_when_it_tells(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *error = NULL;
	const struct link_wish wish = { .hostname = "other" };
	unsigned n_refused;

	come_up(f);
	n_refused = f->tc->n_refused;
	f->tc->nodes[0].enrolled = false;
	assert_int_equal(link_set(f->link, &wish, &error), 0);
	AWAIT(f, is(f, "deleted"));
	assert_int_equal(f->tc->n_refused, n_refused + 1);
	assert_int_equal(f->n_left, 1);
}

static void test_replaced_is_not_fought_over(void **state)
{
	struct fixture *f = *state;
	unsigned n_map;

	come_up(f);
	n_map = f->tc->n_map;
	tc_say(f->tc, &f->tc->nodes[0], "{\"type\":\"end\",\"reason\":\"replaced\"}");
	AWAIT(f, is(f, "backoff"));
	assert_non_null(strstr(problem_of(f), "another agent"));
	run_for(f, 100000);
	assert_true(f->tc->n_map <= n_map + 1);
}

/* ---- what the host says of itself ---- */

static void test_tells_of_changes(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *error = NULL;
	const struct link_wish wish = { .hostname = "other", .set_ssh = true, .ssh = true };
	unsigned n;

	come_up(f);
	AWAIT(f, f->tc->n_node == 1);
	n = f->tc->n_node;
	f->tc->fault_status = 503;
	f->tc->fault_path = "/v1/node";
	f->tc->n_faults = 1;
	assert_int_equal(link_set(f->link, &wish, &error), LINK_WISH_FOR_ROOT);
	AWAIT(f, f->tc->n_node == n + 1);
	assert_string_equal(fact(f, "hostname"), "other");
	assert_true(json_is_true(json_object_get(f->tc->nodes[0].facts, "ssh")));
	/* Once is enough. */
	assert_int_equal(link_set(f->link, &wish, &error), 0);
	run_for(f, 100000);
	assert_int_equal(f->tc->n_node, n + 1);
}

/* ---- keys ---- */

static void test_rotates(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *error = NULL;
	const struct link_wish wish = { 0 };
	struct wg_key before, next;

	come_up(f);
	before = *state_public_key(f->state);
	f->tc->hide_key = true;
	assert_int_equal(link_login(f->link, &wish, &error), 0);
	AWAIT(f, f->tc->n_rotate == 1 && f->last_generation == f->tc->generation);
	/* It is not used before the map shows it. */
	next = *state_next_public_key(f->state);
	assert_true(wg_key_equal(&f->tc->nodes[0].key, &next));
	assert_true(wg_key_equal(&before, state_public_key(f->state)));
	/* Also not by the agent that comes after a crash. */
	close_link(f);
	open_link(f);
	assert_true(wg_key_equal(&before, state_public_key(f->state)));
	assert_true(wg_key_equal(&next, state_next_public_key(f->state)));
	f->n_keys = 0;
	f->tc->hide_key = false;
	tc_publish(f->tc);
	AWAIT(f, wg_key_equal(&next, state_public_key(f->state)));
	assert_int_equal(f->n_keys, 1);
	assert_null(state_next_public_key(f->state));
	assert_int_equal(f->n_left, 0);
}

static void test_key_that_is_not_here(void **state)
{
	struct fixture *f = *state;

	struct wg_key before;

	come_up(f);
	before = *state_public_key(f->state);
	/* There is one that might come, but not that one. */
	assert_int_equal(state_make_next_key(f->state), 0);
	assert_int_equal(wg_key_generate(&f->tc->nodes[0].key), 0);
	tc_publish(f->tc);
	AWAIT(f, problem_of(f) != NULL);
	assert_true(wg_key_equal(&before, state_public_key(f->state)));
	assert_non_null(strstr(problem_of(f), "agentctl login"));
}

static void test_expired_key_is_renewed(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *error = NULL;
	const struct link_wish wish = { 0 };
	struct link_view view;
	struct wg_key before;

	come_up(f);
	before = *state_public_key(f->state);
	f->tc->nodes[0].expired = true;
	f->tc->approve_all = false;
	tc_publish(f->tc);
	AWAIT(f, is(f, "key-expired"));
	link_view(f->link, &view);
	assert_string_equal(view.login_url, "https://coord.example/login");
	assert_int_equal(link_login(f->link, &wish, &error), 0);
	AWAIT(f, f->tc->n_wait == 1);
	assert_int_equal(f->tc->n_rotate, 0);
	link_view(f->link, &view);
	assert_string_equal(view.join, "pending");
	assert_string_equal(view.code, "CODE-n1");
	tc_approve(f->tc, true);
	AWAIT(f, is(f, "connected") && !state_next_public_key(f->state));
	assert_false(wg_key_equal(&before, state_public_key(f->state)));
	assert_int_equal(f->n_left, 0);
}

/* ---- operators ---- */

static void on_logged_out(const char *problem, void *userdata)
{
	struct fixture *f = userdata;

	f->logged_out = true;
	f->logout_problem = problem ? strdup(problem) : NULL;
}

static void test_down_and_up(void **state)
{
	struct fixture *f = *state;

	come_up(f);
	assert_int_equal(link_down(f->link), 0);
	assert_true(is(f, "down"));
	assert_int_equal(f->n_left, 1);
	close_link(f);
	open_link(f);
	run_for(f, 50000);
	assert_true(is(f, "down"));
	assert_int_equal(f->n_kept, 1);
	up(f, (struct link_wish){ 0 });
	AWAIT(f, is(f, "connected") && f->map);
	assert_int_equal(f->tc->n_enrol, 1);
	assert_int_equal(f->n_kept, 2);
}

static void test_logout(void **state)
{
	struct fixture *f = *state;

	come_up(f);
	assert_int_equal(link_logout(f->link, on_logged_out, f), 0);
	assert_int_equal(link_logout(f->link, on_logged_out, f), -EALREADY);
	AWAIT(f, f->logged_out);
	assert_null(f->logout_problem);
	assert_true(is(f, "unenrolled"));
	assert_int_equal(f->n_left, 1);
	assert_int_equal(link_logout(f->link, on_logged_out, f), -ENOENT);
	/* The same node again. */
	come_up(f);
	assert_int_equal(f->tc->n_nodes, 1);
}

static void test_logout_fails(void **state)
{
	struct fixture *f = *state;

	come_up(f);
	f->tc->fault_status = 502;
	f->tc->fault_path = "/v1/logout";
	f->tc->n_faults = 1;
	assert_int_equal(link_logout(f->link, on_logged_out, f), 0);
	AWAIT(f, f->logged_out);
	assert_non_null(f->logout_problem);
	assert_true(is(f, "connected"));
	assert_int_equal(f->n_left, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_enrols_and_gets_maps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tells_of_the_gateways_host_key, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_waits_for_approval, setup, teardown),
		cmocka_unit_test_setup_teardown(test_is_turned_away, setup, teardown),
		cmocka_unit_test_setup_teardown(test_auth_key, setup, teardown),
		cmocka_unit_test_setup_teardown(test_auth_key_of_another_coordinator, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_bad_auth_key_is_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart_while_enrolling, setup, teardown),
		cmocka_unit_test_setup_teardown(test_proxys_errors_change_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forged_answers_change_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_forged_stream_brings_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_clock_that_is_wrong, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resumes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_asks_for_a_whole_map, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silence_within_a_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_confirms_the_map, setup, teardown),
		cmocka_unit_test_setup_teardown(test_map_for_somebody_else, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deleted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deleted_hears_it_when_it_tells, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_replaced_is_not_fought_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tells_of_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rotates, setup, teardown),
		cmocka_unit_test_setup_teardown(test_key_that_is_not_here, setup, teardown),
		cmocka_unit_test_setup_teardown(test_expired_key_is_renewed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_down_and_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_logout, setup, teardown),
		cmocka_unit_test_setup_teardown(test_logout_fails, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
