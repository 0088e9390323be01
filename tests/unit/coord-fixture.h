/*
 * A whole coordinator in one event loop: store in memory, registry, maps, API, pages, HTTP on the
 * loopback. And agents that sign their requests.
 */
#pragma once

#include "common/httpsig.h"
#include "coord/api/api.h"
#include "coord/web/web.h"
#include "tests/unit/http-fixture.h"
#include "tests/unit/registry-fixture.h"

struct coord_fix {
	struct http_fixture http;
	struct store *store;
	struct registry *registry;
	struct map *map;
	struct api *api;
	registry_clock_fn clock;
	struct verifier *verifier;
	struct web *web;
	struct http_route *routes;
	struct ed25519_key *key;
	char folder[64];	  /* of state; empty */
	struct fix_result result; /* of the last operation: coord_fix_done */
};
/* Of the coordinators that are set up from now on; COORD_FIX_URL unless a test says otherwise. */
#define COORD_FIX_URL "http://127.0.0.1"
extern const char *coord_fix_url;
/* Of the listener; 0: any. */
extern uint16_t coord_fix_port;
/* http_limits.tick_usec. */
extern uint64_t coord_fix_tick_usec;
/* Where people sign in besides; none. */
extern const struct web_provider *coord_fix_providers;
extern size_t coord_fix_n_providers;

/* With the mesh "mesh.example" and the user alice@example.com. cmocka: *state. */
int coord_fix_setup(void **state);
/* The same at FIX_START; fix_set_time() goes on. */
int coord_fix_setup_then(void **state);
int coord_fix_teardown(void **state);
/* Everything but the store anew. The agents have to meet it again. */
void coord_fix_restart(struct coord_fix *coord);

/* A machine with its keys. Zero-initialise, then agent_fix_init(). */
struct agent_fix {
	struct ed25519_key *key;
	struct wg_key node_key; /* public */
	uint64_t nonce;		/* the last one */
	struct httpsig_audience audience;
	int64_t clock; /* seconds that it is ahead */
};
void agent_fix_init(struct coord_fix *coord, struct agent_fix *agent);
/* Learn the coordinator's key and epoch; part of agent_fix_init(). */
void agent_fix_meet(struct coord_fix *coord, struct agent_fix *agent);
void agent_fix_done(struct agent_fix *agent);
/* The text of a signed request with the next nonce; the caller frees. */
char *agent_fix_request(struct agent_fix *agent, const char *path, const char *body);
/* Send it; *reply has the answer. Return: the status. */
unsigned agent_fix_ask(struct coord_fix *coord, struct agent_fix *agent, const char *path,
		       const char *body, struct http_reply *reply);
/* Is the answer signed by the coordinator, for the agent's last request? */
bool agent_fix_answer_is_signed(struct coord_fix *coord, const struct agent_fix *agent,
				unsigned status, const struct http_reply *reply);
/* Body of an enrolment: with this auth key (NULL: none). Static buffer. */
const char *agent_fix_enrolment(const struct agent_fix *agent, const char *auth_key);
/* Make an auth key of alice's. Static buffer. */
const char *coord_fix_authkey(struct coord_fix *coord);
/* Enrol with one; ends the test if it is refused. */
void agent_fix_enrol(struct coord_fix *coord, struct agent_fix *agent);
