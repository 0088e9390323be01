/* What the handlers share. */
#pragma once

#include <sys/queue.h>

#include "common/frame_sig.h"
#include "common/httpsig.h"
#include "common/replay.h"
#include "coord/api/api.h"
#include "coord/http/rate.h"

#define PROTOCOL_VERSION 1

struct agent_waiter;

struct api {
	sd_event *event;
	struct registry *registry;
	struct map *map;
	struct store *store;
	const struct http_server *server;
	const struct ed25519_key *key;
	char key_text[ED25519_TEXT_LEN];
	char *url, *state_dir;
	gid_t admin_group;
	unsigned n_followers; /* of events */
	bool is_backing_up;

	struct httpsig_epoch epoch; /* of this process */
	char epoch_text[HTTPSIG_EPOCH_LEN];
	struct replay *members, *strangers; /* machines that are enrolled, and others */
	struct http_rate *refusals;	    /* requests that were refused, and those of strangers */

	struct registry_subscription *changes; /* for those who wait */
	LIST_HEAD(, agent_waiter) waiters;
	unsigned n_waiters;
};

/* ---- status.c ---- */

/* The HTTP status of an answer of the registry's. */
unsigned api_status(enum registry_code code);

/* ---- agents: enrol.c, node.c, maps.c ---- */

int api_handle_coordinator(struct http_request *req, void *userdata);
int api_handle_enrol(struct http_request *req, void *userdata);
int api_handle_enrol_wait(struct http_request *req, void *userdata);
int api_handle_node(struct http_request *req, void *userdata);
int api_handle_rotate(struct http_request *req, void *userdata);
int api_handle_logout(struct http_request *req, void *userdata);
int api_handle_map(struct http_request *req, void *userdata);

/* enrol.c: answer those who wait for what has changed; all of them if the api ends. */
void api_waiters_wake(struct api *api);
void api_waiters_end(struct api *api);
