/* What agents ask of the coordinator, over HTTP: signatures, enrolment, changes, the stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base64.h"
#include "common/frame_stream.h"
#include "common/log.h"
#include "common/text.h"
#include "coord/api/internal.h"
#include "tests/unit/coord-fixture.h"

static struct http_reply reply;

/* The answer is this error, and bears the coordinator's signature. */
static void assert_refused(struct coord_fix *coord, const struct agent_fix *agent, unsigned status,
			   unsigned wanted, const char *code)
{
	_cleanup_free_ char *text = text_printf("{\"error\":{\"code\":\"%s\",", code);

	assert_int_equal(status, wanted);
	if (strncmp(http_reply_body(&reply), text, strlen(text)) != 0)
		fail_msg("expected %s, got %s", code, http_reply_body(&reply));
	assert_true(agent_fix_answer_is_signed(coord, agent, status, &reply));
}

static void test_enrols_with_a_key(void **state)
{
	struct coord_fix *coord = *state;
	const char *key = coord_fix_authkey(coord);
	struct agent_fix agent, other;
	unsigned status;

	agent_fix_init(coord, &agent);
	status =
		agent_fix_ask(coord, &agent, "/v1/enrol", agent_fix_enrolment(&agent, key), &reply);
	assert_int_equal(status, 200);
	assert_true(agent_fix_answer_is_signed(coord, &agent, status, &reply));
	assert_non_null(strstr(reply.text, "\"state\":\"enrolled\""));
	assert_non_null(strstr(reply.text, "\"name\":\"server\""));
	assert_non_null(strstr(reply.text, "\"domain\":\"mesh.example\""));

	/* Its key is used up; who has it, and the machine that came with it, is what it was. */
	agent_fix_init(coord, &other);
	status =
		agent_fix_ask(coord, &other, "/v1/enrol", agent_fix_enrolment(&other, key), &reply);
	assert_refused(coord, &other, status, 403, "bad-auth-key");
	status = agent_fix_ask(coord, &agent, "/v1/enrol", agent_fix_enrolment(&agent, NULL),
			       &reply);
	assert_int_equal(status, 200);
	agent_fix_done(&agent);
	agent_fix_done(&other);
}

static void test_waits_for_approval(void **state)
{
	struct coord_fix *coord = *state;
	_cleanup_free_ char *body = NULL, *request = NULL;
	struct http_reply held = { 0 };
	struct agent_fix agent;
	char id[64], code[16];
	int fd;

	agent_fix_init(coord, &agent);
	assert_int_equal(agent_fix_ask(coord, &agent, "/v1/enrol",
				       agent_fix_enrolment(&agent, NULL), &reply),
			 202);
	assert_int_equal(sscanf(strstr(reply.text, "\"id\":\""), "\"id\":\"%63[^\"]", id), 1);
	assert_int_equal(sscanf(strstr(reply.text, "\"code\":\""), "\"code\":\"%15[^\"]", code), 1);

	body = text_printf("{\"id\":\"%s\"}", id);
	request = agent_fix_request(&agent, "/v1/enrol/wait", body);
	fd = http_fixture_connect(&coord->http);
	http_fixture_send(fd, request);
	http_fixture_pump(&coord->http, 200000);
	http_fixture_take(fd, &held);
	assert_int_equal(held.len, 0);

	registry_approve(coord->registry, &fix_root, code, "alice@example.com", NULL, fix_done,
			 &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
	http_fixture_receive(&coord->http, fd, "\"state\":\"enrolled\"", &held);
	assert_true(agent_fix_answer_is_signed(coord, &agent, 200, &held));
	close(fd);
	agent_fix_done(&agent);
}

/* One that waits, and goes away, is forgotten. */
static void test_waits_and_goes(void **state)
{
	struct coord_fix *coord = *state;
	_cleanup_free_ char *body = NULL, *request = NULL;
	struct agent_fix agent;
	char id[64];
	int fd;

	agent_fix_init(coord, &agent);
	assert_int_equal(agent_fix_ask(coord, &agent, "/v1/enrol",
				       agent_fix_enrolment(&agent, NULL), &reply),
			 202);
	assert_int_equal(sscanf(strstr(reply.text, "\"id\":\""), "\"id\":\"%63[^\"]", id), 1);
	body = text_printf("{\"id\":\"%s\"}", id);
	request = agent_fix_request(&agent, "/v1/enrol/wait", body);
	fd = http_fixture_connect(&coord->http);
	http_fixture_send(fd, request);
	http_fixture_wait(&coord->http, coord->api->enrolling.n == 1);
	close(fd);
	http_fixture_wait(&coord->http, coord->api->enrolling.n == 0);
	agent_fix_done(&agent);
}

/* One that asks again is heard; the request before it is sent home. */
static void test_waits_once(void **state)
{
	struct coord_fix *coord = *state;
	struct http_reply *older = calloc(1, sizeof(*older));
	_cleanup_free_ char *body = NULL;
	struct agent_fix agent;
	char id[64];
	int fds[3];

	agent_fix_init(coord, &agent);
	assert_int_equal(agent_fix_ask(coord, &agent, "/v1/enrol",
				       agent_fix_enrolment(&agent, NULL), &reply),
			 202);
	assert_int_equal(sscanf(strstr(reply.text, "\"id\":\""), "\"id\":\"%63[^\"]", id), 1);
	body = text_printf("{\"id\":\"%s\"}", id);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		_cleanup_free_ char *request = agent_fix_request(&agent, "/v1/enrol/wait", body);

		fds[i] = http_fixture_connect(&coord->http);
		http_fixture_send(fds[i], request);
		http_fixture_pump(&coord->http, 50000);
		assert_int_equal(coord->api->enrolling.n, 1);
	}
	for (size_t i = 0; i + 1 < ARRAY_SIZE(fds); i++) {
		*older = (struct http_reply){ 0 };
		http_fixture_receive(&coord->http, fds[i], "\"state\":\"pending\"", older);
	}
	http_fixture_take(fds[2], older);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	free(older);
	agent_fix_done(&agent);
}

/* In whatever order a person has typed them. */
static void test_asks_for_tags(void **state)
{
	struct coord_fix *coord = *state;
	const struct pending_record *pending;
	_cleanup_free_ char *body = NULL;
	struct agent_fix agent;
	char key[WG_KEY_B64LEN];

	agent_fix_init(coord, &agent);
	body = text_printf("{\"node_key\":\"%s\",\"hostname\":\"web\","
			   "\"tags\":[\"tag:web\",\"tag:db\",\"tag:web\"]}",
			   wg_key_to_string(&agent.node_key, key));
	assert_int_equal(agent_fix_ask(coord, &agent, "/v1/enrol", body, &reply), 202);
	pending = registry_pending_at(coord->registry, 0);
	assert_int_equal(pending->tags.n, 2);
	assert_string_equal(pending->tags.items[0], "tag:db");
	assert_string_equal(pending->tags.items[1], "tag:web");
	agent_fix_done(&agent);
}

static char logged[256];

static void note_log(void *userdata, int level, const char *text)
{
	snprintf(logged, sizeof(logged), "%s", text);
}

static void test_strangers(void **state)
{
	static const char *const paths[] = { "/v1/node", "/v1/rotate", "/v1/logout", "/v1/map" };
	struct coord_fix *coord = *state;
	struct agent_fix agent;

	log_set_sink(note_log, NULL);
	agent_fix_init(coord, &agent);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		assert_refused(coord, &agent, agent_fix_ask(coord, &agent, paths[i], "{}", &reply),
			       403, "not-enrolled");
		assert_non_null(strstr(logged, paths[i]));
		assert_non_null(strstr(logged, ": 403 (not-enrolled)"));
	}
	log_set_sink(NULL, NULL);
	agent_fix_done(&agent);
}

/* Who makes up keys takes few places, and none from who was invited. */
static void test_many_strangers(void **state)
{
	static const struct http_rate_config slow = { 0.001, 60, 100 };
	struct coord_fix *coord = *state;
	struct agent_fix agent;
	unsigned status, n_later = 0;

	coord->api->refusals = http_rate_free(coord->api->refusals);
	assert_int_equal(http_rate_new(&slow, &coord->api->refusals), 0);
	agent_fix_init(coord, &agent);
	for (unsigned i = 0; i < 200; i++) {
		ed25519_key_free(agent.key);
		assert_int_equal(ed25519_key_generate(&agent.key), 0);
		status = agent_fix_ask(coord, &agent, "/v1/enrol/wait", "{\"id\":\"x\"}", &reply);
		assert_true(status == 404 || status == 429);
		n_later += status == 429;
	}
	assert_int_equal(n_later, 140);
	assert_int_equal(replay_count(coord->api->strangers), 60);
	assert_int_equal(replay_count(coord->api->members), 0);
	status = agent_fix_ask(coord, &agent, "/v1/enrol", agent_fix_enrolment(&agent, "pgauth.x"),
			       &reply);
	assert_int_equal(status, 429);
	agent_fix_enrol(coord, &agent);
	agent_fix_done(&agent);
}

/* The rate is kept in time; the places are not, for ten minutes. */
static void test_places_of_strangers(void **state)
{
	static const struct http_rate_config all = { 1e6, 100000, 100 };
	struct coord_fix *coord = *state;
	struct agent_fix agent;
	unsigned status;

	coord->api->refusals = http_rate_free(coord->api->refusals);
	assert_int_equal(http_rate_new(&all, &coord->api->refusals), 0);
	agent_fix_init(coord, &agent);
	for (unsigned i = 0; i < 200; i++) {
		ed25519_key_free(agent.key);
		assert_int_equal(ed25519_key_generate(&agent.key), 0);
		status = agent_fix_ask(coord, &agent, "/v1/enrol/wait", "{\"id\":\"x\"}", &reply);
		assert_int_equal(status, i < 64 ? 404 : status);
	}
	assert_int_equal(status, 429);
	assert_true(replay_count(coord->api->strangers) < 150);
	agent_fix_enrol(coord, &agent);
	agent_fix_done(&agent);
}

static void test_bad_signatures(void **state)
{
	struct coord_fix *coord = *state;
	struct agent_fix agent;
	struct ed25519_key *other;
	struct httpsig_audience audience;
	char *request, *at;
	unsigned status;

	agent_fix_init(coord, &agent);
	agent_fix_enrol(coord, &agent);
	audience = agent.audience;

	agent.audience.epoch = (struct httpsig_epoch){ 0 };
	status = agent_fix_ask(coord, &agent, "/v1/node", "{}", &reply);
	assert_refused(coord, &agent, status, 401, "other-epoch");
	assert_non_null(strstr(reply.text, "Peergate-Epoch: "));

	assert_int_equal(ed25519_key_generate(&other), 0);
	agent.audience = (struct httpsig_audience){ *ed25519_key_public(other), audience.epoch };
	status = agent_fix_ask(coord, &agent, "/v1/node", "{}", &reply);
	assert_refused(coord, &agent, status, 401, "other-coordinator");
	ed25519_key_free(other);
	agent.audience = audience;

	agent.clock = -1000;
	status = agent_fix_ask(coord, &agent, "/v1/node", "{}", &reply);
	assert_refused(coord, &agent, status, 401, "clock");
	/* By what it is to sign anew. */
	assert_non_null(strstr(reply.text, "\"time\":\"2"));
	agent.clock = 0;

	/* Another path, another body than what was signed. */
	request = agent_fix_request(&agent, "/v1/logout", "{\"a\":1}");
	at = strstr(request, "{\"a\":1}");
	at[5] = '2';
	status = http_fixture_ask(&coord->http, request, &reply);
	assert_refused(coord, &agent, status, 401, "bad-signature");
	free(request);
	request = agent_fix_request(&agent, "/v1/rotate", "{}");
	memcpy(strstr(request, "/v1/rotate"), "/v1/logout", strlen("/v1/logout"));
	status = http_fixture_ask(&coord->http, request, &reply);
	assert_refused(coord, &agent, status, 401, "bad-signature");
	free(request);

	/* Nothing of that did anything. */
	assert_int_equal(registry_n_nodes(coord->registry), 1);
	assert_false(node_is_expired(registry_node_at(coord->registry, 0),
				     registry_now(coord->registry)));
	agent_fix_done(&agent);
}

static void test_replay(void **state)
{
	struct coord_fix *coord = *state;
	_cleanup_free_ char *request = NULL;
	struct agent_fix agent;

	agent_fix_init(coord, &agent);
	agent_fix_enrol(coord, &agent);
	request = agent_fix_request(&agent, "/v1/node", "{}");
	assert_int_equal(http_fixture_ask(&coord->http, request, &reply), 200);
	assert_refused(coord, &agent, http_fixture_ask(&coord->http, request, &reply), 401,
		       "replay");
	agent_fix_done(&agent);
}

/* A coordinator that has just started: all of an office come at once, and none is told to wait. */
static void test_other_epoch_of_many(void **state)
{
	struct coord_fix *coord = *state;
	struct agent_fix agent;

	agent_fix_init(coord, &agent);
	agent_fix_enrol(coord, &agent);
	agent.audience.epoch = (struct httpsig_epoch){ 0 };
	for (unsigned i = 0; i < 200; i++)
		assert_refused(coord, &agent, agent_fix_ask(coord, &agent, "/v1/map", "{}", &reply),
			       401, "other-epoch");
	agent_fix_done(&agent);
}

/* What a machine sent as a stranger is not new because it is a member by now, nor the other way. */
static void test_replay_across_enrolment(void **state)
{
	const struct registry_authkey_request reusable = { .user = "alice@example.com",
							   .reusable = true };
	struct coord_fix *coord = *state;
	_cleanup_free_ char *first = NULL, *second = NULL;
	struct agent_fix agent;
	char key[256];

	registry_create_authkey(coord->registry, &fix_root, &reusable, fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
	snprintf(key, sizeof(key), "%s", coord->result.secret);
	agent_fix_init(coord, &agent);
	first = agent_fix_request(&agent, "/v1/enrol", agent_fix_enrolment(&agent, key));
	assert_int_equal(http_fixture_ask(&coord->http, first, &reply), 200);
	assert_int_equal(http_fixture_ask(&coord->http, first, &reply), 401);
	assert_non_null(strstr(reply.text, "\"code\":\"replay\""));
	assert_int_equal(agent_fix_ask(coord, &agent, "/v1/logout", "{}", &reply), 200);
	assert_int_equal(http_fixture_ask(&coord->http, first, &reply), 401);
	assert_true(node_is_expired(registry_node_at(coord->registry, 0),
				    registry_now(coord->registry)));
	/* As a member, and again when its node was deleted. */
	second = agent_fix_request(&agent, "/v1/enrol", agent_fix_enrolment(&agent, key));
	assert_int_equal(http_fixture_ask(&coord->http, second, &reply), 200);
	registry_delete_node(coord->registry, &fix_root, "server", fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
	assert_int_equal(http_fixture_ask(&coord->http, second, &reply), 401);
	assert_non_null(strstr(reply.text, "\"code\":\"replay\""));
	assert_int_equal(http_fixture_ask(&coord->http, first, &reply), 401);
	assert_int_equal(registry_n_nodes(coord->registry), 0);
	/* It itself may come back. */
	assert_int_equal(
		agent_fix_ask(coord, &agent, "/v1/enrol", agent_fix_enrolment(&agent, key), &reply),
		200);
	agent_fix_done(&agent);
}

static void test_unsigned(void **state)
{
	struct coord_fix *coord = *state;

	assert_int_equal(http_fixture_ask(&coord->http,
					  "POST /v1/node HTTP/1.1\r\nHost: c\r\n"
					  "Content-Length: 2\r\n\r\n{}",
					  &reply),
			 400);
	assert_non_null(strstr(reply.text, "\"code\":\"bad-request\""));
}

static void test_bad_bodies(void **state)
{
	static const struct {
		const char *path, *body, *says;
	} cases[] = {
		{ "/v1/node", "", "bad-request" },
		{ "/v1/node", "[]", "bad-request" },
		{ "/v1/node", "{\"listen_port\":70000}", "listen_port" },
		{ "/v1/node", "{\"endpoints\":[\"x\"]}", "endpoints[0]" },
		{ "/v1/node", "{\"ssh_host_keys\":[\"ssh-ed25519 AAAA\\nroot\"]}",
		  "ssh_host_keys[0]" },
		{ "/v1/rotate", "{}", "node_key" },
		{ "/v1/map", "{\"version\":1}", "ephemeral" },
		{ "/v1/map", "{\"version\":2}", "version" },
		{ "/v1/map", "{\"ephemeral\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
		  "ephemeral" },
		{ "/v1/enrol", "{\"version\":1}", "node_key" },
		{ "/v1/enrol/wait", "{}", "id" },
	};
	struct coord_fix *coord = *state;
	struct agent_fix agent;

	agent_fix_init(coord, &agent);
	agent_fix_enrol(coord, &agent);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		print_message("%s %s\n", cases[i].path, cases[i].body);
		assert_refused(coord, &agent,
			       agent_fix_ask(coord, &agent, cases[i].path, cases[i].body, &reply),
			       400, "bad-request");
		assert_non_null(strstr(reply.text, cases[i].says));
	}
	agent_fix_done(&agent);
}

static void test_facts(void **state)
{
	struct coord_fix *coord = *state;
	const struct node_record *node;
	struct agent_fix agent;

	agent_fix_init(coord, &agent);
	agent_fix_enrol(coord, &agent);
	assert_int_equal(agent_fix_ask(coord, &agent, "/v1/node",
				       "{\"ssh\":true,\"seen\":\"192.0.2.99\"}", &reply),
			 200);
	node = registry_node_at(coord->registry, 0);
	assert_true(node->facts.ssh);
	/* What was not said stays, and where it was seen is not its to say. */
	assert_int_equal(node->facts.endpoints.n, 1);
	assert_int_equal(node->facts.listen_port, 51820);
	assert_int_equal(node->facts.seen.bytes[0], 127);
	agent_fix_done(&agent);
}

static void test_rotates_and_leaves(void **state)
{
	struct coord_fix *coord = *state;
	_cleanup_free_ char *body = NULL;
	char key[WG_KEY_B64LEN];
	struct wg_key private, fresh;
	struct agent_fix agent;

	agent_fix_init(coord, &agent);
	agent_fix_enrol(coord, &agent);
	assert_int_equal(wg_key_generate(&private), 0);
	assert_int_equal(wg_key_public(&private, &fresh), 0);
	body = text_printf("{\"node_key\":\"%s\"}", wg_key_to_string(&fresh, key));
	assert_int_equal(agent_fix_ask(coord, &agent, "/v1/rotate", body, &reply), 200);
	assert_non_null(strstr(reply.text, "\"domain\":\"mesh.example\""));
	assert_memory_equal(registry_node_at(coord->registry, 0)->key.bytes, fresh.bytes, 32);
	assert_int_equal(agent_fix_ask(coord, &agent, "/v1/logout", "{}", &reply), 200);
	assert_true(node_is_expired(registry_node_at(coord->registry, 0),
				    registry_now(coord->registry)));
	assert_refused(coord, &agent, agent_fix_ask(coord, &agent, "/v1/rotate", body, &reply), 403,
		       "key-expired");
	agent_fix_done(&agent);
}

/* Also one that is enrolled, and takes itself for the only one. */
static void test_members_are_limited(void **state)
{
	struct coord_fix *coord = *state;
	struct agent_fix agent, other;
	unsigned status = 0, n_keys = 0, n_facts = 0, n = 0;

	agent_fix_init(coord, &agent);
	agent_fix_enrol(coord, &agent);
	for (unsigned i = 0; i < 15; i++) {
		_cleanup_free_ char *body = NULL;
		char key[WG_KEY_B64LEN];
		struct wg_key private, fresh;

		assert_int_equal(wg_key_generate(&private), 0);
		assert_int_equal(wg_key_public(&private, &fresh), 0);
		body = text_printf("{\"node_key\":\"%s\"}", wg_key_to_string(&fresh, key));
		status = agent_fix_ask(coord, &agent, "/v1/rotate", body, &reply);
		n_keys += status == 200;
	}
	assert_int_equal(n_keys, 10);
	assert_int_equal(status, 429);
	assert_non_null(strstr(reply.text, "Retry-After: "));
	/* Enrolling anew is no way around it. */
	status = agent_fix_ask(coord, &agent, "/v1/enrol",
			       agent_fix_enrolment(&agent, coord_fix_authkey(coord)), &reply);
	assert_int_equal(status, 429);
	for (unsigned i = 0; i < 45; i++) {
		_cleanup_free_ char *body = text_printf("{\"listen_port\":%u}", 1000 + i);

		n_facts += agent_fix_ask(coord, &agent, "/v1/node", body, &reply) == 200;
	}
	assert_in_range(n_facts, 30, 40);
	while (n++ < 2000 && agent_fix_ask(coord, &agent, "/v1/map", "{}", &reply) == 400)
		;
	assert_in_range(n, 30, 1999);
	/* Nobody else has to wait for that. */
	agent_fix_init(coord, &other);
	agent_fix_enrol(coord, &other);
	assert_int_equal(agent_fix_ask(coord, &other, "/v1/node", "{\"listen_port\":7}", &reply),
			 200);
	agent_fix_done(&agent);
	agent_fix_done(&other);
}

/* ---- the stream ---- */

/* The next line of a chunked body: one chunk may hold several, or a part; lines have none in them.
 */
static char *next_line(struct coord_fix *coord, int fd, struct http_reply *r, size_t *at)
{
	char *line = calloc(1, sizeof(r->text)), *to = line;

	assert_non_null(line);
	for (;;) {
		size_t len;
		char *end, *data;

		http_fixture_wait(&coord->http,
				  (http_fixture_take(fd, r), strstr(r->text + *at, "\r\n")));
		len = strtoul(r->text + *at, &end, 16);
		assert_true(end > r->text + *at);
		data = end + 2;
		http_fixture_wait(&coord->http,
				  (http_fixture_take(fd, r), r->text + r->len >= data + len + 2));
		memcpy(to, data, len);
		to += len;
		*at = (size_t)(data + len + 2 - r->text);
		if (to[-1] == '\n') {
			to[-1] = '\0';
			return line;
		}
	}
}

static void test_stream(void **state)
{
	struct coord_fix *coord = *state;
	_cleanup_free_ char *body = NULL, *request = NULL, *hello = NULL, *line = NULL,
			    *more = NULL;
	char ours[64];
	struct wg_key private, public, theirs;
	struct frame_id id = { .purpose = FRAME_HELLO };
	struct frame_stream stream;
	uint8_t digest[SHA256_LEN];
	const char *said, *key;
	struct agent_fix agent;
	size_t len, at;
	int fd;

	agent_fix_init(coord, &agent);
	agent_fix_enrol(coord, &agent);
	assert_int_equal(wg_key_generate(&private), 0);
	assert_int_equal(wg_key_public(&private, &public), 0);
	body = text_printf("{\"version\":1,\"ephemeral\":\"%s\"}",
			   base64url_encode(public.bytes, 32, ours));
	request = agent_fix_request(&agent, "/v1/map", body);
	fd = http_fixture_connect(&coord->http);
	http_fixture_send(fd, request);
	reply = (struct http_reply){ 0 };
	http_fixture_receive(&coord->http, fd, "\r\n\r\n", &reply);
	assert_non_null(strstr(reply.text, "X-Accel-Buffering: no"));
	at = (size_t)(http_reply_body(&reply) - reply.text);

	hello = next_line(coord, fd, &reply, &at);
	id.machine = *ed25519_key_public(agent.key);
	id.nonce = agent.nonce;
	assert_int_equal(frame_verify_line(ed25519_key_public(coord->key), &id, hello,
					   strlen(hello), &said, &len),
			 0);
	key = strstr(said, "\"ephemeral\":\"");
	assert_non_null(key);
	assert_int_equal(base64url_decode(key + 13, 43, theirs.bytes, 32), 0);
	assert_int_equal(sha256(said, len, digest), 0);
	assert_int_equal(frame_stream_begin(&private, &theirs, &id, digest, &stream), 0);

	line = next_line(coord, fd, &reply, &at);
	assert_int_equal(frame_stream_open(&stream, line, strlen(line), &said, &len), 0);
	assert_non_null(strstr(said, "\"type\":\"full\""));
	assert_non_null(strstr(said, "\"name\":\"server\""));

	/* Somebody deletes the node: it is told, and the stream ends. */
	registry_delete_node(coord->registry, &fix_root, "server", fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
	more = next_line(coord, fd, &reply, &at);
	assert_int_equal(frame_stream_open(&stream, more, strlen(more), &said, &len), 0);
	assert_non_null(strstr(said, "\"reason\":\"deleted\""));
	http_fixture_receive(&coord->http, fd, "\r\n0\r\n\r\n", &reply);
	close(fd);
	agent_fix_done(&agent);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, coord_fix_setup, coord_fix_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_enrols_with_a_key),
		TEST(test_waits_for_approval),
		TEST(test_waits_and_goes),
		TEST(test_waits_once),
		TEST(test_asks_for_tags),
		TEST(test_strangers),
		TEST(test_many_strangers),
		TEST(test_places_of_strangers),
		TEST(test_bad_signatures),
		TEST(test_replay),
		TEST(test_other_epoch_of_many),
		TEST(test_replay_across_enrolment),
		TEST(test_unsigned),
		TEST(test_bad_bodies),
		TEST(test_facts),
		TEST(test_rotates_and_leaves),
		TEST(test_members_are_limited),
		TEST(test_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
