#include "common/replay.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "common/httpsig.h"

/* A request that was accepted at `seen` may have been created that much later, and is too old as
 * much after that. */
#define KEEP_SEC (2 * HTTPSIG_WINDOW)

struct user {
	struct ed25519_public key;  /* first: the tree compares it */
	struct user *older, *newer; /* by `seen` */
	uint64_t seen;		    /* when its last request came: `latest` then */
	uint64_t created;	    /* the highest of its requests */
	uint64_t unknown;	    /* `forgotten` when it came: what it did before nobody knows */
	size_t n_nonces;
	uint64_t nonces[REPLAY_NONCES]; /* ascending */
};

struct replay {
	void *tree; /* tsearch(3), balanced: keys that somebody chose do not make it slow */
	struct user *oldest, *newest;
	size_t n_users, max_users;
	uint64_t latest;    /* the highest `now` so far: goes on when the clock is set back */
	uint64_t forgotten; /* the highest `created` of those that were dropped */
};

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct ed25519_public));
}

int replay_new(size_t max_keys, struct replay **ret_replay)
{
	struct replay *replay = calloc(1, sizeof(*replay));

	if (!replay)
		return -ENOMEM;
	replay->max_users = max_keys;
	*ret_replay = replay;
	return 0;
}

struct replay *replay_free(struct replay *replay)
{
	if (!replay)
		return NULL;
	tdestroy(replay->tree, free);
	free(replay);
	return NULL;
}

static struct user *find(const struct replay *replay, const struct ed25519_public *key)
{
	struct user **node = tfind(key, &replay->tree, compare);

	return node ? *node : NULL;
}

static void unlink_user(struct replay *replay, struct user *user)
{
	*(user->older ? &user->older->newer : &replay->oldest) = user->newer;
	*(user->newer ? &user->newer->older : &replay->newest) = user->older;
}

static void append_user(struct replay *replay, struct user *user)
{
	user->older = replay->newest;
	user->newer = NULL;
	*(user->older ? &user->older->newer : &replay->oldest) = user;
	replay->newest = user;
}

/* Those of whom nothing can be replayed any more. */
static void forget_old(struct replay *replay)
{
	struct user *user;

	while ((user = replay->oldest) && replay->latest - user->seen > KEEP_SEC) {
		if (user->created > replay->forgotten)
			replay->forgotten = user->created;
		unlink_user(replay, user);
		tdelete(user, &replay->tree, compare);
		free(user);
		replay->n_users--;
	}
}

static int add_user(struct replay *replay, const struct ed25519_public *key, struct user **ret_user)
{
	struct user *user;

	if (replay->n_users >= replay->max_users)
		return -ENOBUFS;
	user = calloc(1, sizeof(*user));
	if (!user)
		return -ENOMEM;
	user->key = *key;
	user->unknown = replay->forgotten;
	if (!tsearch(user, &replay->tree, compare)) {
		free(user);
		return -ENOMEM;
	}
	append_user(replay, user);
	replay->n_users++;
	*ret_user = user;
	return 0;
}

/* Keep the list ascending; when it is full the lowest goes. */
static int add_nonce(struct user *user, uint64_t nonce)
{
	size_t at = user->n_nonces;

	while (at > 0 && user->nonces[at - 1] >= nonce)
		at--;
	if (at < user->n_nonces && user->nonces[at] == nonce)
		return -EALREADY;
	if (user->n_nonces < REPLAY_NONCES) {
		memmove(user->nonces + at + 1, user->nonces + at,
			(user->n_nonces++ - at) * sizeof(nonce));
	} else if (at == 0) {
		return -ESTALE;
	} else {
		at--;
		memmove(user->nonces, user->nonces + 1, at * sizeof(nonce));
	}
	user->nonces[at] = nonce;
	return 0;
}

static bool is_too_early(const struct replay *replay, const struct user *user, uint64_t created)
{
	return created <= (user ? user->unknown : replay->forgotten);
}

int replay_check(const struct replay *replay, const struct ed25519_public *key, uint64_t nonce,
		 uint64_t created)
{
	const struct user *user = find(replay, key);
	struct user copy;

	if (is_too_early(replay, user, created))
		return -ESTALE;
	if (!user)
		return 0;
	copy = *user;
	return add_nonce(&copy, nonce);
}

bool replay_knows(const struct replay *replay, const struct ed25519_public *key)
{
	return find(replay, key);
}

int replay_accept(struct replay *replay, const struct ed25519_public *key, uint64_t nonce,
		  uint64_t created, uint64_t now)
{
	struct user *user;
	int r = 0;

	if (now > replay->latest)
		replay->latest = now;
	forget_old(replay);
	user = find(replay, key);
	if (is_too_early(replay, user, created))
		return -ESTALE;
	if (!user)
		r = add_user(replay, key, &user);
	if (r == 0)
		r = add_nonce(user, nonce);
	if (r < 0)
		return r;
	if (created > user->created)
		user->created = created;
	user->seen = replay->latest;
	unlink_user(replay, user);
	append_user(replay, user);
	return 0;
}

uint64_t replay_highest(const struct replay *replay, const struct ed25519_public *key)
{
	const struct user *user = find(replay, key);

	return user ? user->nonces[user->n_nonces - 1] : 0;
}

size_t replay_count(const struct replay *replay)
{
	return replay->n_users;
}
