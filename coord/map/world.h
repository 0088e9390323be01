/*
 * What all maps are made of: nodes, users, and the policy applied to them. Pure: no I/O, no clock.
 *
 * Changes are handed in as they come (world_set_...()) and take effect together, with
 * world_flush(), which says what they were; between two flushes all that is shown is the same
 * generation. The policy engine is kept in step, and made anew when the policy, the mesh, roles or
 * the groups of people change. It knows the nodes by their ids.
 *
 * Parts of the map library look into these structs; others use the functions.
 */
#pragma once

#include "common/cleanup.h"
#include "coord/map/record.h"
#include "coord/map/removed.h"
#include "coord/map/texts.h"
#include "coord/policy/policy.h"
#include "coord/policy/strmap.h"

#define WORLD_NONE UINT32_MAX

struct stream;

struct world_node {
	char *id;
	uint32_t slot;	/* its number here */
	uint32_t index; /* in the engine; WORLD_NONE: it is in nobody's map */
	uint32_t user;	/* number of the user; WORLD_NONE: tagged */
	bool exists;	/* false: it comes with the next flush */
	bool expired;
	struct record record;
	/* Last revisions in which it came or went for somebody, its text, its reach changed. */
	uint64_t identity_rev, text_rev, reach_rev, self_rev;
	struct world_node *older, *newer; /* by revision of the record */
	struct stream *stream;		  /* the node's; NULL: not connected */

	/* What comes with the next flush. */
	bool pending, removed;
	uint64_t removed_rev;
	struct record next;
	uint32_t next_user;
	struct policy_node identity; /* that next has, as the engine takes it */
	uint32_t change;	     /* number in struct world_changes, while there is one */
	uint64_t mark;		     /* world.mark: it is in what is being written */
};

struct world_user {
	char *login;
	char *name;  /* NULL: none */
	bool exists; /* it has a record */
	unsigned roles;
	struct text_list groups; /* of the policy, by what providers say */
	uint64_t revision;	 /* of the last change */
	bool changed;		 /* since the last flush */
	uint64_t mark;		 /* world.mark: it is in what is being written */
};

/* An engine and the policy it was made of; zeroed: none. */
struct world_engine {
	struct policy *policy;
	struct policy_engine *engine;
	uint32_t *slots; /* of nodes, by index */
	size_t size;
};

struct world {
	char *domain; /* of the mesh; NULL: there is none yet */
	struct ip_prefix prefixes[2];
	uint64_t revision;   /* of what has been handed in */
	uint64_t generation; /* of what is shown: the last flush */

	struct world_node **nodes; /* by slot; NULL: free */
	size_t n_nodes, size_nodes;
	struct strmap node_map;
	struct world_node *newest;
	uint32_t *free_slots;
	size_t n_free, size_free;
	uint32_t *pending; /* slots; there is room for all */
	size_t n_pending, size_pending;
	uint64_t n_superseded;	/* changes of what was still pending */
	uint64_t next_expiry;	/* no key ends before */
	size_t n_clock_expired; /* by the clock; the record does not say so yet */
	struct removed removed;

	struct world_user *users;
	size_t n_users, size_users;
	struct strmap user_map;
	uint64_t users_rev; /* of the last change */
	bool users_changed; /* since the last flush */
	uint64_t mark;

	struct world_engine now;
	struct policy *next_policy; /* comes with the next flush; NULL: stays */
	struct map_hash network;    /* of what the policy says of the network, by the text */
	struct map_hash next_network;
	bool rebuild;	      /* the engine has to be made anew */
	bool lost;	      /* a flush failed half-way: everybody needs a full map */
	struct map_hash base; /* of all that decides who sees whom, nodes apart */
	struct texts filters, ssh_rules;
};

int world_new(struct world **ret_world);
struct world *world_free(struct world *world);
DEFINE_CLEANUP(struct world *, world_free);

enum {
	WORLD_SAME,    /* nothing that anybody is told */
	WORLD_CHANGED, /* flush soon */
	WORLD_URGENT,  /* somebody may lose something: flush at once */
};
/*
 * Hand in what there is now; revisions grow. All of these return one of the above, or -ENOMEM:
 * then nothing has changed, and everything has to be handed in again some time.
 */
int world_set_mesh(struct world *world, const char *domain, const struct ip_prefix prefixes[2]);
/* As stored: it has been checked. -EINVAL: it cannot be read, and the one in force stays; -EIO. */
int world_set_policy(struct world *world, const char *text, size_t len);
/* groups: of the policy, that others than it say the user is in. Copied. */
int world_set_user(struct world *world, const struct user_record *user,
		   const struct text_list *groups);
int world_remove_user(struct world *world, const char *login, uint64_t revision);
/* There is a mesh. addresses: IPv4, IPv6. */
int world_set_node(struct world *world, const struct node_record *node,
		   const struct ip_addr addresses[2]);
int world_remove_node(struct world *world, const char *id, uint64_t revision);
/* All up to this revision has been handed in. */
void world_set_revision(struct world *world, uint64_t revision);

/* NULL: there is none; one that comes with the next flush is found. */
struct world_node *world_find(const struct world *world, const char *id);

/* Out of all tables; nothing may point to it any more. */
void world_drop_node(struct world *world, struct world_node *node);
void world_engine_done(struct world_engine *engine);

/* ---- flush.c ---- */

enum world_what {
	WORLD_IDENTITY = 1 << 0, /* it came, went, or is another for the policy */
	WORLD_TEXT = 1 << 1,	 /* what all viewers are told */
	WORLD_REACH = 1 << 2,	 /* how viewers may reach it */
	WORLD_VIEW = 1 << 3,	 /* how it may reach others */
	WORLD_SELF = 1 << 4,	 /* what it is told of itself, that its key expired as well */
	WORLD_REMOVED = 1 << 5,
};

struct world_change {
	struct world_node *node;
	unsigned what;
	uint64_t *before; /* WORLD_IDENTITY: slots of its peers before; NULL: it had none */
	struct reach_view old_view;
};

struct world_changes {
	uint64_t from, to; /* generations */
	struct world_change *items;
	size_t n;
	bool everybody;		 /* needs a full map */
	bool engine;		 /* filters, SSH rules and peers may have changed */
	struct world_engine old; /* another engine took its place */
	uint32_t *old_index;	 /* by slot, in the old engine */
	bool users;		 /* some have "changed" set */
	size_t n_slots;
};

/* Is there anything to flush? wall: microseconds since 1970; keys expire by it. */
bool world_is_pending(const struct world *world, uint64_t wall);
/*
 * Put in force what was handed in. world_changes_done() is due, also on failure. Return: 0;
 * -EAGAIN: there is no mesh or no policy yet; -ENOMEM, -EIO: try again later.
 */
int world_flush(struct world *world, uint64_t wall, struct world_changes *ret_changes);
/* Nodes that were removed go here; who holds them has let go. */
void world_changes_done(struct world *world, struct world_changes *changes);
/* What changed of the node; NULL: nothing. */
struct world_change *world_change_of(const struct world_changes *changes,
				     const struct world_node *node);

/* ---- rows of bits by slot ---- */

#define SLOT_WORDS(n) (((n) + 63) / 64)

static inline bool slot_get(const uint64_t *bits, uint32_t slot)
{
	return bits[slot / 64] >> (slot % 64) & 1;
}

static inline void slot_set(uint64_t *bits, uint32_t slot)
{
	bits[slot / 64] |= (uint64_t)1 << (slot % 64);
}

/* The peers of a node, as slots. The caller frees. Return: 0, -ENOMEM. */
int world_row(const struct world_engine *engine, uint32_t index, size_t n_slots,
	      uint64_t **ret_row);

static inline bool world_sees(const struct world *world, const struct world_node *a,
			      const struct world_node *b)
{
	return a->index != WORLD_NONE && b->index != WORLD_NONE &&
	       policy_sees(world->now.engine, a->index, b->index);
}
