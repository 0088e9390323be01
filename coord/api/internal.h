/* What the handlers share. */
#pragma once

#include "common/frame_sig.h"
#include "common/httpsig.h"
#include "common/replay.h"
#include "coord/api/api.h"
#include "coord/api/waiters.h"
#include "coord/http/rate.h"
#include "coord/renewal/renewals.h"

#define PROTOCOL_VERSION 1

/* What became of checks, since the start. */
struct check_counts {
	uint64_t asked, remembered, approved, denied, expired;
};

struct api {
	sd_event *event;
	struct registry *registry;
	struct map *map;
	struct store *store;
	const struct renewals *renewals;
	const struct http_server *server;
	const struct ed25519_key *key;
	char key_text[ED25519_TEXT_LEN];
	char *url, *state_dir;
	gid_t admin_group;
	unsigned n_followers;		/* of events */
	uint64_t follow_keepalive_usec; /* silence until a line that says nothing */
	bool is_backing_up;

	struct httpsig_epoch epoch; /* of this process */
	char epoch_text[HTTPSIG_EPOCH_LEN];
	struct replay *members, *strangers; /* machines that are enrolled, and others */
	struct http_rate *refusals;	    /* requests that were refused, and those of strangers */
	struct http_rate *requests;	    /* of members, by machine key, as the next three */
	struct http_rate *logins;	    /* apart from these: about logins to them */
	struct http_rate *facts;	    /* that change */
	struct http_rate *rotations;	    /* and other new node keys */
	struct http_rate *newcomers;	    /* keys of strangers that were not seen before */

	struct registry_subscription *changes; /* for those who wait */
	struct waiters enrolling, checking;
	struct check_counts checks;
};

/* ---- status.c ---- */

/* The HTTP status of an answer of the registry's. */
unsigned api_status(enum registry_code code);

/* ---- agents: enrol.c, node.c, maps.c, check.c ---- */

int api_handle_coordinator(struct http_request *req, void *userdata);
int api_handle_enrol(struct http_request *req, void *userdata);
int api_handle_enrol_wait(struct http_request *req, void *userdata);
int api_handle_node(struct http_request *req, void *userdata);
int api_handle_rotate(struct http_request *req, void *userdata);
int api_handle_logout(struct http_request *req, void *userdata);
int api_handle_map(struct http_request *req, void *userdata);

int api_handle_check(struct http_request *req, void *userdata);
int api_handle_check_wait(struct http_request *req, void *userdata);

extern const struct waiters_kind api_enrolling, api_checking;

/* check.c: count it, if it is about a check; may it matter to a login that waits? */
void api_check_count(struct api *api, const struct event_record *event);
bool api_check_concerns(const struct registry_change *change);
