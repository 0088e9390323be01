/*
 * A coordinator for tests of the agent's side: it speaks coord/PROTOCOL.md with common/ and
 * coord/http, remembers nothing on disk, lets every node see every other one, and can be told to
 * misbehave.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "common/ed25519.h"
#include "common/frame_stream.h"
#include "common/httpsig.h"
#include "common/wgkey.h"
#include "coord/http/http.h"

#define TC_MAX_NODES  8
#define TC_MAX_CHECKS 256

/* POST /v1/check that a person is waited for. */
struct tc_check {
	char id[16];
	const struct tc_node *asker, *source;
	char ssh_user[64];
	enum {
		TC_CHECK_WAITING,
		TC_CHECK_APPROVED,
		TC_CHECK_DENIED,
		TC_CHECK_GONE,
	} state;
	struct http_request *waiting; /* POST /v1/check/wait */
	uint64_t waiting_nonce;
};

struct tc_node {
	struct ed25519_public machine;
	bool enrolled, expired, deleted;
	char id[16], name[64];
	struct wg_key key;   /* in force */
	struct wg_key asked; /* while approval is waited for */
	json_t *facts;	     /* members of the last enrol or node request */
	bool pending, approved, rejected;
	bool checked;		      /* its owner has shown that they are there */
	struct http_request *waiting; /* POST /v1/enrol/wait */
	uint64_t waiting_nonce;
	struct http_stream *stream;
	struct frame_stream frames;
	json_t *resume; /* of the last /v1/map; NULL: none */
};

struct tc {
	sd_event *event;
	struct http_server *server;
	struct ed25519_key *key, *other_key;
	struct httpsig_epoch epoch;
	char address[16], url[64];
	struct tc_node nodes[TC_MAX_NODES];
	size_t n_nodes;
	uint64_t generation;

	struct tc_check checks[TC_MAX_CHECKS]; /* the newest */
	size_t n_checks;		       /* so far */

	/* How it behaves. */
	struct http_tls_files tls; /* cert NULL: plain HTTP; from tc_start() on */
	const char *ssh_action;	   /* of the one SSH rule; NULL: there is none */
	bool forwarding;	   /* it lets everything be forwarded */
	bool any_source;	   /* checks of logins from nodes that are none here */
	const char *auth_key;	   /* the one that enrols at once; NULL: none does */
	bool approve_all;	   /* without an auth key, too */
	bool no_resume;		   /* always whole maps */
	bool whole_is_broken;	   /* whole maps are none */
	bool hide_key;		   /* maps show no key of the node itself */
	bool forge_answers;	   /* signed by another key */
	bool forge_hello;
	int64_t ahead_sec;		 /* of its clock */
	unsigned fault_status, n_faults; /* so many requests get this, not signed */
	const char *fault_path;		 /* of this path; NULL: any */

	/* What it has seen. */
	unsigned n_contact, n_enrol, n_wait, n_node, n_rotate, n_logout, n_map, n_refused;
	unsigned n_check, n_check_wait;
};

/* On an IPv4 address, at this port (0: any). Aborts when it cannot. */
struct tc *tc_new(sd_event *event, const char *address, uint16_t port);
struct tc *tc_free(struct tc *tc);
/* Listen again after tc_stop(), with a new epoch. */
void tc_stop(struct tc *tc);
void tc_start(struct tc *tc);

/* All that wait. */
void tc_approve(struct tc *tc, bool yes);
/* All checks that a person is waited for. Approved ones are remembered for their source. */
void tc_answer_checks(struct tc *tc, bool yes);
/* They run out. */
void tc_lapse_checks(struct tc *tc);
void tc_forget_checks(struct tc *tc);
/* Of these, those whose asker holds a request open. */
unsigned tc_n_held(const struct tc *tc);
/* A line to a node's stream, authenticated. */
void tc_say(struct tc *tc, struct tc_node *node, const char *body);
/* The node's map, whole, to all that listen. */
void tc_publish(struct tc *tc);
void tc_delete(struct tc *tc, struct tc_node *node);
/* The map a node gets. The caller's. */
json_t *tc_map(const struct tc *tc, const struct tc_node *node);
