#include "tests/unit/coord-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/frame_sig.h"
#include "common/text.h"
#include "coord/store/sqlite.h"

const char *coord_fix_url = COORD_FIX_URL;
uint16_t coord_fix_port;
uint64_t coord_fix_tick_usec = 5000;
const struct web_provider *coord_fix_providers;
size_t coord_fix_n_providers;

#define DONE(coord) fix_done, &(coord)->result

static void on_ready(int status, const char *text, void *userdata)
{
	assert_int_equal(status, 0);
}

static void on_problem(const char *text, void *userdata)
{
	fail_msg("%s", text);
}

static void open_registry(struct coord_fix *coord)
{
	char text[ED25519_TEXT_LEN];
	const struct registry_config config = {
		.coordinator_key = ed25519_public_to_string(ED25519_COORDINATOR,
							    ed25519_key_public(coord->key), text),
		.mappings = fix_mappings,
		.n_mappings = fix_n_mappings,
	};

	assert_int_equal(registry_new(coord->store, coord->http.event, coord->clock, &config,
				      on_ready, on_problem, coord, &coord->registry),
			 0);
}

static void open_store(struct coord_fix *coord)
{
	const struct registry_user_patch nothing = { 0 };
	char *error = NULL;

	assert_int_equal(store_sqlite_open(NULL, STORE_CREATE, &error, &coord->store), 0);
	open_registry(coord);
	registry_init_mesh(coord->registry, &fix_root, "mesh.example", DONE(coord));
	assert_int_equal(coord->result.code, REGISTRY_OK);
	registry_add_user(coord->registry, &fix_root, "alice@example.com", &nothing, DONE(coord));
	assert_int_equal(coord->result.code, REGISTRY_OK);
}

static bool is_waited_for(const char *check, void *userdata)
{
	return api_check_is_waited_for(userdata, check);
}

static void open_web(struct coord_fix *coord)
{
	struct http_route_table tables[2] = { { .userdata = coord->api } };
	struct web_config config = {
		.registry = coord->registry,
		.map = coord->map,
		.url = coord_fix_url,
		.providers = coord_fix_providers,
		.n_providers = coord_fix_n_providers,
		.is_waited_for = is_waited_for,
		.check_userdata = coord->api,
	};

	assert_int_equal(verifier_new(coord->http.event, coord->registry, &coord->verifier), 0);
	config.verifier = coord->verifier;
	assert_int_equal(web_new(&config, &coord->web), 0);
	tables[0].routes = api_routes(&tables[0].n_routes);
	tables[1].routes = web_routes(&tables[1].n_routes);
	tables[1].userdata = coord->web;
	assert_int_equal(http_routes_join(tables, ARRAY_SIZE(tables), &coord->routes,
					  &coord->http.config.n_routes),
			 0);
	coord->http.config.routes = coord->routes;
	coord->http.config.fallback = web_fallback(coord->web);
}

static void open_api(struct coord_fix *coord)
{
	const struct map_config map_config = { .key = coord->key };
	struct api_config config = {
		.registry = coord->registry,
		.store = coord->store,
		.key = coord->key,
		.url = coord_fix_url,
		.state_dir = coord->folder,
		.max_machines = 1000,
		.admin_group = (gid_t)-1,
	};

	assert_int_equal(
		map_new(coord->http.event, coord->registry, coord->store, &map_config, &coord->map),
		0);
	config.map = coord->map;
	assert_int_equal(api_new(coord->http.event, &config, &coord->api), 0);
	open_web(coord);
	coord->http.endpoint.port = coord_fix_port;
	http_fixture_start(&coord->http, NULL);
	api_set_server(coord->api, coord->http.server);
}

static int set_up(void **state, registry_clock_fn clock)
{
	struct coord_fix *coord = calloc(1, sizeof(*coord));

	assert_non_null(coord);
	http_fixture_init(&coord->http, NULL, 0, NULL);
	coord->http.config.limits.tick_usec = coord_fix_tick_usec;
	assert_int_equal(ed25519_key_generate(&coord->key), 0);
	coord->clock = clock;
	strcpy(coord->folder, "/tmp/coord-fixture-XXXXXX");
	assert_non_null(mkdtemp(coord->folder));
	open_store(coord);
	open_api(coord);
	*state = coord;
	return 0;
}

int coord_fix_setup(void **state)
{
	return set_up(state, registry_clock);
}

int coord_fix_setup_then(void **state)
{
	fix_set_time(FIX_START);
	return set_up(state, fix_time);
}

static void close_all(struct coord_fix *coord)
{
	api_set_server(coord->api, NULL);
	http_server_free(coord->http.server);
	api_free(coord->api);
	verifier_free(coord->verifier);
	map_free(coord->map);
	registry_free(coord->registry);
	web_free(coord->web);
	free(coord->routes);
}

void coord_fix_restart(struct coord_fix *coord)
{
	close_all(coord);
	open_registry(coord);
	open_api(coord);
}

int coord_fix_teardown(void **state)
{
	struct coord_fix *coord = *state;

	close_all(coord);
	store_free(coord->store);
	ed25519_key_free(coord->key);
	sd_event_unref(coord->http.event);
	/* Nothing was left in it. */
	assert_int_equal(rmdir(coord->folder), 0);
	free(coord);
	return 0;
}

void agent_fix_init(struct coord_fix *coord, struct agent_fix *agent)
{
	struct wg_key private;

	*agent = (struct agent_fix){ .nonce = 1000 };
	assert_int_equal(ed25519_key_generate(&agent->key), 0);
	assert_int_equal(wg_key_generate(&private), 0);
	assert_int_equal(wg_key_public(&private, &agent->node_key), 0);
	agent_fix_meet(coord, agent);
}

void agent_fix_meet(struct coord_fix *coord, struct agent_fix *agent)
{
	struct http_reply *reply = calloc(1, sizeof(*reply));
	const char *epoch;

	assert_non_null(reply);
	agent->audience.key = *ed25519_key_public(coord->key);
	assert_int_equal(http_fixture_ask(&coord->http,
					  "GET /v1/coordinator HTTP/1.1\r\nHost: c\r\n\r\n", reply),
			 200);
	epoch = strstr(reply->text, "\"epoch\":\"");
	assert_non_null(epoch);
	assert_int_equal(
		httpsig_epoch_parse(epoch + 9, HTTPSIG_EPOCH_LEN - 1, &agent->audience.epoch), 0);
	free(reply);
}

void agent_fix_done(struct agent_fix *agent)
{
	agent->key = ed25519_key_free(agent->key);
}

char *agent_fix_request(struct agent_fix *agent, const char *path, const char *body)
{
	const struct httpsig_request request = {
		.method = "POST", .path = path, .body = body, .body_len = strlen(body)
	};
	uint64_t now =
		(uint64_t)((int64_t)(clock_usec(CLOCK_REALTIME) / USEC_PER_SEC) + agent->clock);
	struct httpsig_signed s;
	char *text;

	assert_int_equal(
		httpsig_sign(agent->key, &request, &agent->audience, now, ++agent->nonce, &s), 0);
	text = text_printf("POST %s HTTP/1.1\r\nHost: c\r\nContent-Length: %zu\r\n"
			   "%s: %s\r\n%s: %s\r\n%s: %s\r\n%s: %s\r\n\r\n%s",
			   path, strlen(body), httpsig_field_name(0), s.field[0],
			   httpsig_field_name(1), s.field[1], httpsig_field_name(2), s.field[2],
			   httpsig_field_name(3), s.field[3], body);
	assert_non_null(text);
	return text;
}

unsigned agent_fix_ask(struct coord_fix *coord, struct agent_fix *agent, const char *path,
		       const char *body, struct http_reply *reply)
{
	_cleanup_free_ char *request = agent_fix_request(agent, path, body);

	return http_fixture_ask(&coord->http, request, reply);
}

bool agent_fix_answer_is_signed(struct coord_fix *coord, const struct agent_fix *agent,
				unsigned status, const struct http_reply *reply)
{
	const struct frame_id id = { .purpose = FRAME_ANSWER,
				     .machine = *ed25519_key_public(agent->key),
				     .nonce = agent->nonce,
				     .number = status };
	const char *sig = strstr(reply->text, "Peergate-Answer: ");
	const char *body = http_reply_body(reply);

	if (!sig)
		return false;
	sig += strlen("Peergate-Answer: ");
	return frame_verify(ed25519_key_public(coord->key), &id, sig, strcspn(sig, "\r"), body,
			    (size_t)(reply->text + reply->len - body)) == 0;
}

const char *agent_fix_enrolment(const struct agent_fix *agent, const char *auth_key)
{
	static char body[1024];
	char key[WG_KEY_B64LEN], auth[512] = "";

	if (auth_key)
		snprintf(auth, sizeof(auth), ",\"auth_key\":\"%s\"", auth_key);
	snprintf(body, sizeof(body),
		 "{\"version\":1,\"node_key\":\"%s\",\"hostname\":\"server\",\"listen_port\":51820,"
		 "\"endpoints\":[\"192.0.2.7:51820\"]%s}",
		 wg_key_to_string(&agent->node_key, key), auth);
	return body;
}

const char *coord_fix_authkey(struct coord_fix *coord)
{
	static char text[256];
	const struct registry_authkey_request request = { .user = "alice@example.com" };

	registry_create_authkey(coord->registry, &fix_root, &request, DONE(coord));
	assert_int_equal(coord->result.code, REGISTRY_OK);
	snprintf(text, sizeof(text), "%s", coord->result.secret);
	return text;
}

void agent_fix_enrol(struct coord_fix *coord, struct agent_fix *agent)
{
	struct http_reply *reply = calloc(1, sizeof(*reply));
	const char *auth_key = coord_fix_authkey(coord);

	assert_non_null(reply);
	assert_int_equal(agent_fix_ask(coord, agent, "/v1/enrol",
				       agent_fix_enrolment(agent, auth_key), reply),
			 200);
	free(reply);
}
