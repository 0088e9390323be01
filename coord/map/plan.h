/*
 * What one node is to be told: worked out before anything is written, so that nodes that are to be
 * told the same share one text.
 */
#pragma once

#include "coord/map/peer_rows.h"
#include "coord/map/world.h"

/* A node, and what it was told. */
struct map_viewer {
	struct world_node *node;
	struct map_tokens told;
	uint64_t filter_serial, ssh_serial; /* of the engine, that told goes by; 0: not known */
	bool tokens_due;		    /* it has not got the tokens of what it was told */
};

enum plan_kind {
	PLAN_CHANGED, /* the whole record of a peer */
	PLAN_PATCHED, /* how to reach a peer */
	PLAN_REMOVED, /* no peer any more */
	PLAN_GONE,    /* the same, by its number among the removed */
	PLAN_USER,    /* the name of a user, who owns no record in the plan */
};

struct plan_entry {
	uint8_t kind;
	uint8_t tail; /* record_tail(), of the first two */
	uint16_t zero;
	uint32_t number; /* slot, number among the removed, number of the user */
};

/* Zero-initialise; map_plan_done() frees; map_plan_clear() to use it again. */
struct map_plan {
	struct plan_entry *entries;
	size_t n, size;
	bool self;				/* tell it of itself */
	const struct shared_text *filter, *ssh; /* NULL: unchanged. Borrowed from the world */
	bool own_texts;				/* one of these is this node's alone */
	struct map_tokens tokens;		/* that hold when all this has been told */
	bool tokens_follow;			/* on the next line: until then there are none */
	uint64_t filter_serial, ssh_serial;
};
void map_plan_clear(struct map_plan *plan);
void map_plan_done(struct map_plan *plan);
bool map_plan_is_empty(const struct map_plan *plan);

/* What a flush changed, as far as it is worked out for many nodes at once. */
struct plan_live {
	struct world *world;
	const struct world_changes *changes;
	struct peer_rows old_rows, new_rows; /* of the engines, if there are two */
	struct world_node **renamed;	     /* nodes of users that changed */
	size_t n_renamed;
};
/* Return: 0, -ENOMEM. plan_live_done() is due, also on failure. */
int plan_live_begin(struct world *world, const struct world_changes *changes,
		    struct plan_live *ret_live);
void plan_live_done(struct plan_live *live);

/* Of all of these the plan is empty before. The viewer's key is valid. */

/* For a node that was told everything up to the flush. Return: 0, -ENOMEM, -EIO. */
int map_plan_live(struct plan_live *live, const struct map_viewer *viewer, struct map_plan *plan);

enum {
	MAP_PLAN_FULL = 1, /* it cannot be told any more what has changed */
};
/* For one that was told everything up to this generation. Return: 0, MAP_PLAN_FULL, as above. */
int map_plan_since(struct world *world, const struct map_viewer *viewer, uint64_t generation,
		   struct map_plan *plan);
