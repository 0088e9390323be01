/*
 * "packet_filter" and "ssh_rules" of nodes, with their hashes. What is the same for many nodes
 * (policy_filter_key()) is kept until it changes; the others' is made when it is asked for.
 */
#pragma once

#include "coord/map/token.h"
#include "coord/policy/policy.h"

enum texts_kind {
	TEXTS_FILTER,
	TEXTS_SSH,
};

struct shared_text {
	uint64_t key;
	uint64_t serial; /* texts_serial() of when it was made; 0: unused */
	struct policy_text text;
	struct map_hash hash;
};

/* Of one kind. Zero-initialise, but for kind; texts_done() frees. */
struct texts {
	enum texts_kind kind;
	struct shared_text *items; /* hashed by key; size is a power of two */
	size_t n, size;
	size_t bytes;
	struct shared_text own; /* that was made last */
};
void texts_done(struct texts *texts);
/* Forget all: it is another engine from now on. */
void texts_clear(struct texts *texts);

/*
 * Of this node. *ret_text is borrowed until the next call, or until the engine is changed.
 * Return: 0, -ENOMEM, -EIO when libcrypto fails.
 */
int texts_get(struct texts *texts, struct policy_engine *engine, uint32_t node,
	      const struct shared_text **ret_text);
/* Changes when the text may have changed, within an engine. Never 0. */
uint64_t texts_serial(const struct texts *texts, const struct policy_engine *engine, uint32_t node);
