/*
 * What the coordinator answers (coord/PROTOCOL.md): requests of agents, which are signed, and
 * those of people and programs, on the unix socket or with an API key. Between HTTP
 * (coord/http/http.h) on one side, and the registry and the maps on the other.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/ed25519.h"
#include "coord/http/http.h"
#include "coord/map/map.h"
#include "coord/registry/registry.h"

struct api;

/* All of it is borrowed and outlives the api, but for texts, which are copied. */
struct api_config {
	struct registry *registry; /* ready */
	struct map *map;
	struct store *store;
	const struct renewals *renewals; /* NULL: nobody is asked about */
	const struct ed25519_key *key;	 /* the coordinator's */
	const char *url;		 /* how agents and browsers reach it; no "/" at its end */
	const char *state_dir;		 /* absolute: where a backup is put together */
	unsigned max_machines;		 /* that may send signed requests within five minutes */
	gid_t admin_group;		 /* may use the unix socket besides root; (gid_t)-1: none */
};

/* Return: 0, -ENOMEM, -EIO, negative errno of sd-event. */
int api_new(sd_event *event, const struct api_config *config, struct api **ret_api);
/* After the HTTP server, whose handlers it is the userdata of. */
struct api *api_free(struct api *api);
DEFINE_CLEANUP(struct api *, api_free);

/* The routes, for struct http_config; their handlers expect the api as userdata. */
const struct http_route *api_routes(size_t *ret_n);
/* Does a host wait for the answer to this check right now? check: the request's id. */
bool api_check_is_waited_for(const struct api *api, const char *check);
/* For the metrics; borrowed. NULL: the server is gone. */
void api_set_server(struct api *api, const struct http_server *server);
