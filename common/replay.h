/*
 * No signed request is accepted twice: which nonces each key has used.
 *
 * Of each key the REPLAY_NONCES highest nonces are kept, so that requests which overtake each
 * other are accepted as long as not that many others came between; what is below the lowest of
 * them is refused, seen or not. A key is forgotten when everything it signed is too old for
 * httpsig_verify(): then `created` keeps replays out. That holds when the clock is set back, too:
 * what was created at or before the newest thing that may be forgotten is refused.
 *
 * Nothing is on disk. After a restart the table is empty, and a replay of what was accepted before
 * it does nothing: it was signed for the epoch of the former process (httpsig.h). The same holds
 * between several coordinators with one key: each has its own epoch and table. Two limits belong to
 * the callers: verify first, or anybody could use up the nonces of others; and give strangers, who
 * make keys as they please, a table of their own, so that they do not fill that of the members. A
 * key that passes from one to the other has its nonces in both: replay_check() the one that it is
 * not to be accepted in.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ed25519.h"

#define REPLAY_NONCES 32

struct replay;

/* For at most max_keys keys at a time. Return: 0, -ENOMEM. */
int replay_new(size_t max_keys, struct replay **ret_replay);
struct replay *replay_free(struct replay *replay);
DEFINE_CLEANUP(struct replay *, replay_free);

/*
 * A verified request: accept it, once. created and now in seconds since 1970, |created - now| at
 * most HTTPSIG_WINDOW. Return: 0: it is new, and taken down; otherwise nothing changes:
 *   -EALREADY	this nonce was used before: a replay
 *   -ESTALE	too far below the highest one (replay_highest()) to be sure, or (clock set back)
 *		created too early to be sure: the agent signs anew
 *   -ENOBUFS	max_keys others were here lately
 *   -ENOMEM
 */
int replay_accept(struct replay *replay, const struct ed25519_public *key, uint64_t nonce,
		  uint64_t created, uint64_t now);

/* As that, but nothing is taken down, and there is room always. */
int replay_check(const struct replay *replay, const struct ed25519_public *key, uint64_t nonce,
		 uint64_t created);
/* Is something of this key taken down? */
bool replay_knows(const struct replay *replay, const struct ed25519_public *key);

/* The highest nonce accepted from a key that is not forgotten yet; 0: none. */
uint64_t replay_highest(const struct replay *replay, const struct ed25519_public *key);
/* Keys held now. */
size_t replay_count(const struct replay *replay);
