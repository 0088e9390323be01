/*
 * A coordinator's maps without registry, store and HTTP, and agents that keep what they are told as
 * JSON: by the rules of peergate-netmap(5). Beside them is the code of the real agent, which has to
 * take all of it, and to understand the same.
 */
#pragma once

#include <jansson.h>

#include "agent/netmap/netmap.h"
#include "common/frame_stream.h"
#include "coord/map/streams.h"
#include "coord/map/world.h"

#define MAX_NODES 32u
#define MAX_USERS 6u

struct sim;

struct sim_node {
	bool exists;
	char id[16], name[32];
	struct node_record record; /* texts are owned */
	struct ip_addr addresses[2];
};

struct line {
	char *head;
	size_t head_len;
	struct http_buf *body;
};

/* A connection: the sink of a stream. */
struct conn {
	struct agent *agent; /* NULL: it has another one by now */
	struct line lines[64];
	size_t n_lines;
};

/* The agent of the node of the same number. */
struct agent {
	struct sim *sim;
	unsigned number;
	char id[16];
	struct stream *stream; /* NULL: not connected */
	struct wg_key private;
	uint64_t nonce;
	bool greeted;
	struct frame_stream key;
	struct conn *conn;     /* that is read from; NULL: none */
	size_t n_max;	       /* lines that a connection takes */
	bool slow;	       /* does not read */
	unsigned n_left;       /* lines until its connection breaks; 0: it does not */
	json_t *map;	       /* as an object "peers" by id; NULL: none yet */
	struct netmap *netmap; /* the same, as the agent itself has it */
	char ended[32];	       /* reason; "": it did not */
	unsigned n_full, n_delta, n_keepalive;
	size_t bytes;
	char *last; /* the last line's body */
};

struct sim {
	struct ed25519_key *key;
	struct world *world;
	struct streams *streams;
	uint64_t now, wall, revision, nonce;
	struct sim_node nodes[MAX_NODES];
	unsigned serial; /* of nodes that were ever made */
	bool user_exists[MAX_USERS];
	char user_name[MAX_USERS][32];
	unsigned user_roles[MAX_USERS];
	uint64_t user_revision[MAX_USERS];
	const char *policy, *policy_before;
	struct removed log; /* what the store remembers */
	struct agent agents[MAX_NODES];
	unsigned max_full;
	unsigned n_online, n_replaced;
};

extern const char *const sim_users[MAX_USERS];

void sim_begin(struct sim *sim, const char *policy);
void sim_end(struct sim *sim);
/* A new process, which has what was stored, and a log that is complete from log_from on. */
void sim_restart(struct sim *sim, uint64_t log_from);

/* user -1: tag:web. Returns the number. */
unsigned sim_add_node(struct sim *sim, int user);
void sim_remove_node(struct sim *sim, unsigned number);
void sim_set_owner(struct sim *sim, unsigned number, int user, const char *tag);
/* The record was changed: it gets a revision, and is handed in. */
void sim_store_node(struct sim *sim, unsigned number);
/* "192.0.2.1:51820 ..."; seen NULL: not known. */
void sim_set_facts(struct sim *sim, unsigned number, const char *endpoints, const char *configured,
		   const char *seen);
void sim_store_user(struct sim *sim, unsigned user, const char *name, unsigned roles);
void sim_set_policy(struct sim *sim, const char *policy);

/* An older connection that is still there is told that it is replaced. */
void sim_connect(struct sim *sim, unsigned number, bool resume);
void sim_disconnect(struct sim *sim, unsigned number);
/* Let time pass, run what is due, let agents read. */
void sim_run(struct sim *sim, uint64_t usec);
/* Until there is nothing to do for now. */
void sim_settle(struct sim *sim);
size_t agent_n_lines(const struct agent *agent);
/* Read all that is queued, as far as the agent is not slow. */
void agent_read(struct agent *agent);

/* The full map of the node now, in the form of struct agent; the caller's. */
json_t *sim_full(struct sim *sim, unsigned number);
/* The agent's map is what the full one is now. */
void sim_check(struct sim *sim, unsigned number);
void sim_check_all(struct sim *sim);
