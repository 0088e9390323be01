/*
 * Simulated agents: each has a machine key, an address of its own and one stream of maps. Of what
 * comes they read what they have to: kinds of lines, generation and tokens. Some (sim_is_checked())
 * take their stream by the agent's own code as well, which verifies and parses every line.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/link/signer.h"
#include "agent/link/stream.h"
#include "tests/bench/coord/conn.h"

struct sim {
	unsigned number;
	struct ed25519_key *machine;
	struct link_signer signer;
	struct link_asking asking;
	struct sockaddr_storage from;

	struct conn *stream;
	bool is_streaming;	     /* of it, the first line is there */
	struct link_stream *checked; /* NULL: it only counts */
	char *line;		     /* what has come of the present one */
	size_t len, size;
	char id[32];
	uint64_t generation; /* that it knows; 0: no map yet */
	char policy[32], filter[24], ssh[24];

	unsigned n_lines;  /* of the stream */
	uint64_t first_at; /* when the first map came, or what has changed since the last one */
	uint64_t told_at;  /* when what is waited for came (sims.awaited) */
	unsigned *peers;   /* numbers; only of some (sim_keep_peers()) */
	size_t n_peers;
	bool wants_peers;
};

struct sims {
	struct sim *items;
	unsigned n;
	/* Of the coordinator. */
	struct sockaddr_storage to;
	socklen_t to_len;
	char host[64]; /* Host: */
	bool tls;
	struct ed25519_public key;
	struct wg_key private, public; /* for all streams: it saves their time, not its */
	char public_text[48];

	/* Since they were last set to 0. */
	uint64_t n_hello, n_full, n_delta, n_keepalive;
	uint64_t bytes; /* of lines */
	uint64_t last_at;
	unsigned n_first; /* sims with first_at */

	/* What is waited for: a line of a delta with both texts in it. */
	char awaited[64], awaited_too[32]; /* "": nothing; no other one */
	unsigned n_told;

	unsigned n_streaming;
	bool ending; /* streams may end */
};
extern struct sims sims;

void sims_make(unsigned n);
/* Whose signatures are to be believed ("pgc:..."). Once: what they know of it stays. */
void sims_set_coordinator(const char *key);
/* Every fiftieth. */
bool sim_is_checked(const struct sim *sim);

/*
 * A signed request; on_answer of ops is called with the sim as userdata. body is copied. Return:
 * the caller's to close.
 */
struct conn *sim_ask(struct sim *sim, const char *path, const char *body,
		     const struct conn_ops *ops);
/* The same again on this connection, after sim_is_to_sign_anew() said so. */
void sim_ask_again(struct sim *sim, struct conn *conn, const char *path, const char *body);
/* Did it refuse the epoch? The next request has the right one. */
bool sim_is_to_sign_anew(struct sim *sim, const struct answer *answer);

/* Open the stream of maps. resume: show what it has. */
void sim_connect(struct sim *sim, bool resume);
void sim_disconnect(struct sim *sim);
/* Its next full map tells whom it sees. */
void sim_keep_peers(struct sim *sim);

/* Nothing has come, nothing is waited for. */
void sims_reset(void);
void sims_await(const char *text, const char *too);
