/*
 * The coordinator's durable memory: keys and values with revisions, changed by transactions, and
 * watched. Modelled on what etcd gives (revisions, compare and set, ordered watch with resume), so
 * that it can be one of the backends; SQLite is the embedded one (coord/store/sqlite_*.c).
 *
 * Keys are printable ASCII without blanks, of at most STORE_MAX_KEY bytes, "nodes/n5x0..."; values
 * are bytes (JSON by convention). Every transaction that changes something gets one revision,
 * higher than all before; what it changed bears this revision.
 *
 * Answers come by callback, which may be called before the function that asked has returned (SQLite
 * always does so). A request that was accepted (0 returned) is answered exactly once, unless the
 * store is freed before. Results are borrowed: valid until the callback returns.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

#define STORE_MAX_KEY	200u
#define STORE_MAX_VALUE (1u << 20)
#define STORE_MAX_TXN	64u /* conditions, and operations, of one transaction */
/* Keys and values of one transaction together; etcd takes no more in one request. */
#define STORE_MAX_BYTES (5u << 18)
#define STORE_MAX_LIST	1000u /* entries of one list */

struct store;

struct store_entry {
	const char *key;
	const void *value; /* NULL: deleted (watch only) */
	size_t len;
	uint64_t revision; /* that the entry was last changed in */
};

/* A transaction happens only if every condition holds. */
struct store_cond {
	const char *key;
	uint64_t revision; /* 0: the key must not exist */
};

struct store_op {
	const char *key;
	const void *value; /* NULL: delete; it is no error if there is nothing */
	size_t len;
};

/*
 * status: 0; -ENOENT (get); -EBUSY: a condition does not hold (*conflict is the one, of the array
 * that the caller gave); -EIO, -ENOSPC, -ETIMEDOUT, -ENOMEM: the store's trouble, text says which
 * (fit for a log), and it may go on working. After these the transaction may have happened
 * nevertheless: at once (-ETIMEDOUT), or when the process dies before the next one (-EIO, -ENOSPC).
 * revision: of the transaction, or of the store, if there was nothing to change.
 */
struct store_answer {
	int status;
	const char *text; /* NULL on success */
	uint64_t revision;
	const struct store_entry *entries;
	size_t n_entries;
	bool more; /* list: there are more entries behind the last */
	const struct store_cond *conflict;
};
typedef void (*store_answer_fn)(const struct store_answer *answer, void *userdata);

/* Changes of one transaction, in its order. Return value of the watcher: none; it must not fail. */
typedef void (*store_watch_fn)(uint64_t revision, const struct store_entry *changes,
			       size_t n_changes, void *userdata);
/* The watch cannot go on (revisions too old): list again, then watch from that revision. */
typedef void (*store_lost_fn)(void *userdata);

/*
 * All of these return 0 (the answer comes or has come), -EINVAL (key or size out of bounds; a key
 * that a transaction changes twice), -ENOMEM. Of what they are given nothing is needed later.
 */
int store_get(struct store *store, const char *key, store_answer_fn fn, void *userdata);
/*
 * Keys with the prefix ("": all), ascending, behind `after` (NULL: from the first), at most limit.
 * There may come fewer, since the bytes of an answer are limited too: go on while there are more.
 * Who lists in pages and then watches starts from the revision of the first page.
 */
int store_list(struct store *store, const char *prefix, const char *after, unsigned limit,
	       store_answer_fn fn, void *userdata);
int store_txn(struct store *store, const struct store_cond *conds, size_t n_conds,
	      const struct store_op *ops, size_t n_ops, store_answer_fn fn, void *userdata);

/*
 * Tell fn of every change of keys with the prefix in transactions after from_revision, in order,
 * first those that happened before this call (perhaps before it returns; *ret_watch is set by
 * then). Of a transaction made through this store, watchers hear before its own answer comes.
 *
 * Watchers and answers may use the store, and free any watch, their own too. A transaction that
 * they start happens at once, but is told, and answered, after they have returned. A watch that is
 * lost tells nothing any more; it is still to be freed. Return: 0, -EINVAL, -ENOMEM.
 */
struct store_watch;
int store_watch(struct store *store, const char *prefix, uint64_t from_revision, store_watch_fn fn,
		store_lost_fn lost, void *userdata, struct store_watch **ret_watch);
struct store_watch *store_watch_free(struct store_watch *watch);
DEFINE_CLEANUP(struct store_watch *, store_watch_free);

/* The last revision known here. */
uint64_t store_revision(const struct store *store);
/* The oldest revision that a watch can still start from. */
uint64_t store_oldest(const struct store *store);

/* Not from within a callback; the watches have to be gone before. */
struct store *store_free(struct store *store);
DEFINE_CLEANUP(struct store *, store_free);
