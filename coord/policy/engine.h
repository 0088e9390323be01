/*
 * The engine: a policy applied to nodes.
 *
 * What rules can ask of a node are marks: that it falls under a selector, that its addresses or
 * routes touch a range, that it is tagged, and so on. Nodes with the same marks and the same
 * approved routes form a class; no rule tells them apart. All that follows is kept for classes, as
 * rows of bits with a column for each class:
 *
 *	marks	mark x class		the class bears the mark
 *	touch	source set x class	a rule with these sources lets the class in
 *	member	source set x class	...by who it is: the addresses of its nodes are written out
 *	dst	rule x class		the class has destinations of the rule
 *	see	class x class		they are peers
 *
 * autogroup:self goes by user instead, and is worked out for the node at hand.
 */
#pragma once

#include "coord/policy/bits.h"
#include "coord/policy/model.h"
#include "coord/policy/policy.h"
#include "coord/policy/stab.h"
#include "coord/policy/text.h"

#define NONE UINT32_MAX

/* Marks: first the selectors of the policy, by their number, then these, then parts of ipsets. */
enum mark {
	MARK_ALL,    /* every node */
	MARK_WILD,   /* "*" as a source covers something of it */
	MARK_EXIT,   /* has an approved exit route */
	MARK_TAGGED, /* belongs to nobody */
	N_EXTRA_MARKS,
};

struct id_list {
	uint32_t *items;
	size_t n, size;
};

struct engine_user {
	struct policy_user data;
	struct id_list nodes;
	struct id_list marks; /* that people of this login bear */
	uint64_t serial;      /* of the last change of his nodes */
};

struct engine_node {
	struct policy_node data; /* name NULL: unused index */
	uint32_t class, user;	 /* user NONE: tagged */
	uint64_t serial;
};

struct engine_class {
	char *key;		   /* marks and routes as text; NULL: unused number */
	struct id_list marks;	   /* ascending */
	struct ip_prefix *subnets; /* approved routes, exit routes apart */
	size_t n_subnets;
	struct id_list nodes;
	uint64_t filter_serial, ssh_serial; /* of the last change of the sources of its rules */
};

/* Sources of rules; one for all rules that list the same. */
struct source_set {
	const char *key;
	const uint32_t *touch_marks, *member_marks;
	size_t n_touch_marks, n_member_marks;
	bool any, danger_all;
	struct range_set literals;
	uint64_t serial;			   /* of the last change of what the texts say */
	struct policy_text filter, principals;	   /* cached */
	uint64_t filter_serial, principals_serial; /* that they were made for; 0: not */
};

/* A destination; a selector with several ranges becomes several of these. */
struct engine_dst {
	const struct dst_entry *entry;
	enum selector_kind kind;
	struct range range; /* SEL_RANGES */
	uint32_t mark;
	bool exit; /* MARK_EXIT does as well: the range is part of the internet */
};

struct engine_rule {
	const struct net_rule *rule;
	uint32_t set;
	struct engine_dst *dst; /* without autogroup:self */
	size_t n_dst;
	const struct dst_entry *self; /* autogroup:self; NULL */
	const char *origin;	      /* "acls[0] line 14" */
};

struct engine_ssh_rule {
	const struct ssh_rule_model *rule;
	uint32_t set;
	uint32_t recorder_set; /* NONE: no recorders */
	bool self;	       /* autogroup:self among dst */
	const char *origin;
	const char *users; /* JSON members of "users", localpart: apart */
	const char *tail;  /* JSON members behind "users", the same for every node */
};

struct addr_slot {
	unsigned __int128 value;
	uint32_t node;
	bool v6;
};

struct policy_engine {
	const struct policy *policy;
	struct range_set wild;	   /* what "*" stands for as a source, subnet routes apart */
	struct range_set internet; /* autogroup:internet */
	uint64_t serial;	   /* counts changes */
	bool loading; /* the first nodes come: order and matrices follow when all are there */

	struct engine_user *users;
	size_t n_users, size_users;
	struct strmap user_map;

	struct engine_node *nodes;
	size_t n_nodes, size_nodes, n_used_nodes;
	struct strmap node_map;
	struct id_list free_nodes;
	struct addr_slot *addrs; /* of all nodes, sorted */
	size_t n_addrs, size_addrs;
	struct id_list routers; /* nodes with approved subnet routes */

	struct engine_class *classes;
	size_t n_classes, size_classes;
	struct strmap class_map;
	struct id_list free_classes;

	struct arena arena; /* rules, sets and their parts */
	bool *sel_used;	    /* by a rule, by selector */
	uint32_t n_marks;
	struct stab stab; /* ranges that rules name, and their marks */
	struct source_set *sets;
	size_t n_sets, size_sets;
	struct strmap set_map;
	size_t cached;	   /* bytes in the texts of sets */
	uint32_t next_out; /* the set whose texts go next when there are too many */
	struct engine_rule *rules;
	size_t n_rules;
	struct engine_ssh_rule *ssh; /* in the order of evaluation: check first */
	size_t n_ssh;

	struct bit_matrix marks, touch, member, dst, ssh_dst, see;
	struct bit_matrix self; /* a single row: sources of rules with autogroup:self */
};

static inline uint32_t mark_of(const struct policy_engine *e, enum mark mark)
{
	return (uint32_t)e->policy->n_selectors + mark;
}

/* Return: 0, -ENOMEM. */
int id_list_add(struct id_list *list, uint32_t id);
/* The order of the others changes. */
void id_list_remove(struct id_list *list, uint32_t id);
void id_list_sort_unique(struct id_list *list);

/* rules_compile.c: what follows from the policy alone. */
int engine_compile_rules(struct policy_engine *e);
void engine_rules_done(struct policy_engine *e);

/* users.c: the number of a user, who is added if need be. */
int engine_user_get(struct policy_engine *e, const struct policy_user *user, uint32_t *ret_user);
/* The marks of all users, once they and the rules are known. */
int engine_mark_users(struct policy_engine *e);
void engine_users_done(struct policy_engine *e);

/* classes.c: find or make the class of a node. */
int engine_class_get(struct policy_engine *e, const struct policy_node *node, uint32_t user,
		     uint32_t *ret_class);
/* Room for one more class in everything that has a column or a row for it. */
int engine_make_room(struct policy_engine *e);
/* Drop it if it has no nodes left. */
void engine_class_put(struct policy_engine *e, uint32_t class);
void engine_classes_done(struct policy_engine *e);
bool prefix_is_exit(const struct ip_prefix *prefix);

/* visibility.c: fill and empty columns; see. */
int engine_fill_all(struct policy_engine *e);
void engine_fill_class(struct policy_engine *e, uint32_t class);
void engine_empty_class(struct policy_engine *e, uint32_t class);
/* The class bears the destination's mark. */
bool dst_hits(const struct policy_engine *e, const struct engine_dst *dst, uint32_t class);
static inline bool class_is_tagged(const struct policy_engine *e, uint32_t class)
{
	return bit_get(&e->marks, mark_of(e, MARK_TAGGED), class);
}
/* The node's user may be among the sources of autogroup:self with it. */
static inline bool set_has_self(const struct policy_engine *e, uint32_t set, uint32_t class)
{
	return !class_is_tagged(e, class) && (e->sets[set].any || bit_get(&e->member, set, class));
}

/* sources.c */
int source_set_get(struct policy_engine *e, const struct entry *entries, size_t n,
		   uint32_t *ret_set);
void source_sets_done(struct policy_engine *e);
/* Elements of a JSON array; borrowed until the next call of either. NULL: out of memory. */
const struct policy_text *source_filter_text(struct policy_engine *e, uint32_t set);
const struct policy_text *source_principals_text(struct policy_engine *e, uint32_t set);
/* Nodes of the class changed; routes: so did approved subnet routes. */
void sources_touch(struct policy_engine *e, uint32_t class, bool routes);
/* The set's addresses beyond those of its members. */
int source_ranges(const struct policy_engine *e, const struct source_set *set,
		  struct range_set *ranges);
/* Append the node's addresses as elements of a JSON array. */
void text_add_addresses(struct policy_text *out, const struct policy_node *node);
/*
 * The same of several, in the order of their addresses: engines that came to the same nodes by
 * other ways write the same text. The list is sorted.
 */
void text_add_nodes(const struct policy_engine *e, struct policy_text *out, struct id_list *nodes);
/* A comma unless the text ends in an opening bracket. */
void text_add_comma(struct policy_text *out);
