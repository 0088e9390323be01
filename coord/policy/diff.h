/*
 * Comparing two policies on one network.
 *
 * Nodes that neither policy tells apart, and whose logins are of one domain, form a group; groups
 * and the address ranges outside of the mesh that either policy names are the ends between which
 * access is compared. What differs in the same way is put into one sentence.
 */
#pragma once

#include "coord/policy/access.h"
#include "coord/policy/decide.h"

/* As destination: the nodes of the same user. */
#define END_OWN (UINT32_MAX - 1)

struct diff_end {
	struct range range;	 /* a group without nodes: this range */
	struct id_list nodes;	 /* numbers in the old engine */
	struct net_end addrs[2]; /* of the first node, one for each family; or of the range */
	struct net_end new_addrs[2];
	size_t n_addrs;
	uint32_t old_class, new_class; /* NONE: a range */
	uint32_t old_node, new_node;   /* the first one */
};

/* One difference, from many ends to many. */
struct diff_entry {
	bool gained, ssh;
	char *what;
	unsigned line;
	struct id_list src, dst; /* ends; dst may be END_OWN alone */
};

struct diff_run {
	struct policy_engine *old, *new;
	struct diff_end *ends;
	size_t n_ends, size_ends, n_groups; /* groups come first */
	struct diff_entry *entries;
	size_t n_entries, size_entries;
	struct strmap map;  /* "gained, ssh, what, line, dst" to entries */
	struct arena arena; /* its keys */
	bool truncated;
};

/* diff_ends.c */
int diff_find_ends(struct diff_run *run);
/* Note one difference. Return: 0, -ENOMEM. */
int diff_note(struct diff_run *run, bool ssh, bool gained, uint32_t src, uint32_t dst,
	      const char *what, unsigned line);
/* diff_net.c, diff_ssh.c */
int diff_net(struct diff_run *run);
int diff_ssh(struct diff_run *run);
/* diff_words.c: entries to items of the result. */
int diff_to_items(struct diff_run *run, struct policy_diff *diff);
