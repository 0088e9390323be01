/*
 * The agent's link to its coordinator: enrols this host, keeps its key good, tells what it says of
 * itself, and brings maps. What to do when is machine.c's to say; here it is done.
 *
 * Everything goes on in the event loop. Nothing that fails here takes away what is in force: the
 * last map stays until the coordinator says otherwise, or the operator.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "agent/link/facts.h"
#include "agent/link/machine.h"
#include "agent/link/wish.h"
#include "agent/netmap/netmap.h"
#include "agent/state.h"
#include "common/cleanup.h"
#include "common/ip.h"

struct link;

/* What becomes of maps and keys: the agent's, or a test's. */
struct link_hooks {
	/* The map in force, if it is from this source; NULL: none. */
	const struct netmap *(*map)(void *userdata, const char *source);
	/* As agent_offer_map(), agent_refuse_map(), agent_confirm_map() and agent_use_kept_map().
	 */
	int (*offer)(void *userdata, struct netmap *map, const char *source);
	void (*refuse)(void *userdata, char *problem);
	void (*confirm)(void *userdata);
	int (*use_kept)(void *userdata, const char *source, const char *node);
	/* This host is not the node any more that the maps so far were for. */
	void (*forget)(void *userdata);
	/* No map any more: everything that it gave ends. */
	void (*leave)(void *userdata);
	/* The node has another key from now on (state_private_key()). */
	void (*key_changed)(void *userdata);
	/* What link_view() shows has changed. */
	void (*changed)(void *userdata);
};

struct link_config {
	int dirfd;		 /* of the state directory; borrowed for good, as state is */
	const char *default_url; /* Coordinator=; NULL: none */
	bool plain_http;	 /* InsecureHTTP= */
	const char *ca_file, *proxy;
	const char *ifname; /* of the mesh */
	uint16_t listen_port;
	const struct ip_endpoint *endpoints; /* Endpoint= */
	size_t n_endpoints;
	struct link_places places;
};

/*
 * Read what is remembered; make the machine key if there is none. Strings and endpoints are copied.
 * Return: 0; negative errno and *reterr_text (the caller's).
 */
int link_new(sd_event *event, const struct link_config *config, struct state *state,
	     const struct link_hooks *hooks, void *userdata, char **reterr_text,
	     struct link **ret_link);
/* What was going on is dropped; what is remembered goes on with the next one. */
struct link *link_free(struct link *link);
DEFINE_CLEANUP(struct link *, link_free);

/* Go on from where the agent stopped. */
void link_start(struct link *link);

/* ---- what operators ask for ---- */

/*
 * Would link_up() or link_set() do it? Return: as link_wish_apply(); so do these. What they begin
 * goes on after they return: see link_view().
 */
int link_check_wish(const struct link *link, const struct link_wish *wish, char **reterr_text);
/* Be in the mesh; enrol if need be. */
int link_up(struct link *link, const struct link_wish *wish, char **reterr_text);
/* Get a new node key, by rotation or by enrolling anew. */
int link_login(struct link *link, const struct link_wish *wish, char **reterr_text);
/* Change what this host says of itself. */
int link_set(struct link *link, const struct link_wish *wish, char **reterr_text);
/* Leave the mesh; the enrolment stays. Return: 0, negative errno: it could not be remembered. */
int link_down(struct link *link);
enum {
	LINK_LOGOUT_DONE = 1,
};
/*
 * End the enrolment: the coordinator has to be told. fn is called once, from the event loop, with
 * NULL when it is done, else why it could not be done. Return: 0; LINK_LOGOUT_DONE: this host was
 * not enrolled (any more), and the coordinator's key, which it knew still, is forgotten; fn is not
 * called; -EALREADY: that is going on; -ENOENT: there was nothing to forget; -ENOMEM.
 */
int link_logout(struct link *link, void (*fn)(const char *problem, void *userdata), void *userdata);
/* Do not call fn any more. */
void link_logout_forget(struct link *link);

/* ---- what there is to see; borrowed until control returns to the event loop ---- */

struct link_view {
	const char *state; /* "connected", see machine.h */
	const char *join;  /* "idle", "pending", ...: beside the state of a member */
	const char *url;   /* NULL: no coordinator */
	const struct ed25519_public *coordinator; /* NULL: not known */
	const char *node_id, *node_name, *domain; /* NULL: not enrolled */
	bool wanted, ssh, renewing;
	const char *hostname; /* NULL: the host's own */
	/* While somebody has to approve, or log in. */
	const char *login_url, *code, *approve;
	uint64_t approve_until_usec; /* UINT64_MAX: not said */
	const char *problem;	     /* why it is not as wanted; NULL: it is */
	int64_t clock_ahead_sec;     /* of the coordinator's clock before ours, if that matters */
	uint64_t heard_usec;	     /* CLOCK_MONOTONIC, of the last line; 0: none */
};
void link_view(const struct link *link, struct link_view *ret_view);
