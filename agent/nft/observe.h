/* What the kernel has of our table. */
#pragma once

#include <stdbool.h>

#include "agent/filter/table.h"
#include "agent/netlink/nlsock.h"
#include "agent/nft/sets.h"

struct nft_observed {
	bool exists;
	uint32_t flags; /* NFT_TABLE_F_*, NFT_OWNER_PERSIST */
	uint32_t owner; /* port of the netlink socket that owns it; 0: nobody's */
	/* Structure as nft_layout_describe() says it; NULL: it cannot be ours. */
	char *structure;
	struct filter_table *table; /* elements; NULL with structure */
};

/* Ask for the elements of a set of ours; the rest is nlsock_request()'s. */
int nft_dump_set(struct nlsock *sock, enum nft_set_id id, nlsock_answer_fn fn,
		 void (*restart)(void *userdata), void *userdata);

/* Return: 0, negative errno. */
int nft_observe(struct nlsock *sock, struct nft_observed *ret_observed);
void nft_observed_done(struct nft_observed *observed);
