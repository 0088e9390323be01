/*
 * The fold of the store's entries: what is known, in memory. Pure.
 *
 * Entries that cannot be read are set aside: a node that is missing reaches nothing, a key that is
 * missing opens nothing. Not so the policy in force, without which everybody could reach
 * everything: the last good one stays, and when loading begins with a bad one it fails.
 *
 * Names, keys and addresses mean one node each. The conditions of transactions see to it; but a
 * restored backup may be anybody's work, so a node that claims another's is set aside, too.
 */
#pragma once

#include "coord/policy/strmap.h"
#include "coord/registry/registry.h"
#include "coord/registry/table.h"

/* A node with what is not in the store. */
struct node_slot {
	struct node_record rec;
	char machine[ED25519_TEXT_LEN], key[WG_KEY_B64LEN], ipv4[IP_ADDR_STRLEN];
	uint32_t number; /* in slots */
	bool is_indexed; /* its names and keys mean it */
	bool online;
	uint64_t last_seen; /* 0: not yet */
};

struct state {
	uint64_t revision; /* the last one that was applied */
	bool loading;	   /* nothing is indexed yet */

	struct mesh_record *mesh;
	struct table nodes, users, authkeys, apikeys, pending, policies, addresses;
	struct table idps, websessions, pwlinks, renewals;
	struct table checkgrants, checkreqs;
	struct node_slot **slots; /* by number; NULL: free */
	size_t n_slots, size_slots, n_free;
	struct strmap names, machines, keys, ips; /* to numbers */
	struct policy_current *current;		  /* NULL: the default policy */
	struct policy *policy;			  /* current's, parsed; NULL: the default one */
	size_t n_events, n_machine_events;	  /* of all, those by machines */
	size_t n_suspended;			  /* users */

	const struct text_list *mapped; /* groups of providers; borrowed. NULL: none */
	registry_problem_fn problem;
	void *userdata;
};
struct state *state_new(registry_problem_fn problem, void *userdata);
struct state *state_free(struct state *state);
DEFINE_CLEANUP(struct state *, state_free);

/* What was changed, for subscribers. Zero-initialise; change_list_done() frees. */
struct change_list {
	struct registry_change *items; /* their ids are owned */
	size_t n, size;
	struct node_slot **gone; /* old nodes that the changes speak of */
	size_t n_gone, size_gone;
	struct event_record **events;
	size_t n_events, size_events;
};
void change_list_done(struct change_list *list);

/*
 * One entry of a list, while loading. Return: 0; -EINVAL: one that cannot be done without is
 * damaged, *reterr_text (the caller's) says which; -ENOMEM.
 */
int state_load(struct state *state, const struct store_entry *entry, char **reterr_text);
/* All has come: who is who. Return: 0, -ENOMEM. */
int state_loaded(struct state *state);
/*
 * The changes of a transaction. Return: 0; -ENOMEM: the state is of no use any more. Changes that
 * the state has seen already (by list, or before) are passed over.
 */
int state_apply(struct state *state, uint64_t revision, const struct store_entry *entries, size_t n,
		struct change_list *list);

const struct node_slot *state_node_by(const struct state *state, const struct strmap *map,
				      const char *key);
struct node_slot *state_slot(const struct state *state, const char *id);
