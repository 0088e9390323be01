/* Reading the table from the kernel, in progress: for observe.c and observe_elements.c. */
#pragma once

#include <stdbool.h>

#include "agent/filter/table.h"
#include "agent/netlink/nlsock.h"
#include "agent/nft/layout.h"
#include "agent/nft/sets.h"

struct observation {
	struct nlsock *sock;
	bool foreign; /* something is there that we do not make */
	struct nft_layout layout;
	struct filter_table *table;
	size_t n_own_alloc, n_exact_alloc, n_nets_alloc, n_flows_alloc, n_counters_alloc;

	/* Of the dump that runs. */
	enum nft_set_id set;
	struct edge *edges; /* of intervals; see observe_elements.c */
	size_t n_edges, n_edges_alloc;
	size_t n_before; /* elements there were when the dump began */
};

/* Read the elements of one set. Return: 0, negative errno. */
int nft_observe_elements(struct observation *ob, enum nft_set_id id);
