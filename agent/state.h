/* What the agent keeps over restarts: the node's key, and how far the map has come. */
#pragma once

#include <stdint.h>

#include "common/cleanup.h"
#include "common/wgkey.h"

#define STATE_KEY_FILE	     "node.key"	     /* private key in base64, mode 0600 */
#define STATE_NEXT_KEY_FILE  "node.key.next" /* likewise; not in force yet */
#define STATE_MAP_FILE	     "map.state" /* Source=, Node= and Generation= of the newest map accepted */
#define STATE_CONFIRMED_FILE "map.confirmed" /* when its source last said that it holds */

struct state;

/*
 * Open the state in a directory that exists; makes the node's key if there is none. A key that is
 * there and cannot be used is an error, never overwritten.
 * Return: 0; negative errno and *reterr_text (the caller's).
 */
int state_open(const char *dir, char **reterr_text, struct state **ret_state);
/* Wipes the key. */
struct state *state_free(struct state *state);
DEFINE_CLEANUP(struct state *, state_free);

const struct wg_key *state_private_key(const struct state *state);
const struct wg_key *state_public_key(const struct state *state);

/*
 * The key that is to take the place of this one, when the coordinator's map shows it in force.
 * NULL: there is none.
 */
const struct wg_key *state_next_public_key(const struct state *state);
/* Make it, unless there is one. Return, of all three: 0, negative errno; then nothing has changed.
 */
int state_make_next_key(struct state *state);
/* It is in force: it is the key from now on, and the old one is gone. -ENOENT: there is none. */
int state_use_next_key(struct state *state);
/* A key that nobody knows, at once. */
int state_renew_key(struct state *state);

/* The directory, borrowed, for what else is kept there (agent/netmap/cache.h). */
const char *state_dir(const struct state *state);
int state_dir_fd(const struct state *state);

/*
 * Recall the newest map seen. A damaged file counts as none, since who can damage it can remove it
 * as well. Return: 0; -EINVAL or another errno, and *reterr_text for a warning.
 */
int state_load_map(struct state *state, char **reterr_text);

/*
 * May a map of this generation, from this source, follow those seen before? An older one may not,
 * or a copy of yesterday's file would bring back what was revoked since. An equal one may, whatever
 * it says: a map file belongs to root, who may edit it without counting. Another source starts
 * afresh. Return: 0; -ESTALE and *reterr_text (the caller's), -ENOMEM.
 */
int state_check_generation(const struct state *state, const char *source, uint64_t generation,
			   char **reterr_text);

/*
 * May a map that was kept on this host be used again in place of one from this source? It has to be
 * from there, for the node that this host was, and no older than the newest seen. path names it in
 * messages. Return: 0; -ESTALE and *reterr_text (the caller's), -ENOMEM.
 */
int state_check_kept(const struct state *state, const char *path, const char *source,
		     const char *node, uint64_t generation, char **reterr_text);

/* This map has been accepted. Return: 0, -ENOMEM (then the last one still counts). */
int state_note_map(struct state *state, const char *source, const char *node, uint64_t generation);

/* None has been seen: this host is another node from now on. */
void state_forget_map(struct state *state);

/* What STATE_MAP_FILE has to say of it. The caller's; NULL: no memory, or no map was noted. */
char *state_map_text(const struct state *state);
