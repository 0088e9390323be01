/* What the table has counted, summed up over all its replacements. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/netlink/nlsock.h"

#define NFT_TALLY_MAX_REASONS 16

struct nft_count {
	uint64_t packets, bytes;
};

/* A counter as it was seen last. */
struct nft_seen {
	uint32_t rule; /* of chain acl_N; very large: a reason to drop */
	struct nft_count count;
};

/* Zeroed at first. */
struct nft_tally {
	struct nft_count accepted; /* by rules of the map, answers included */
	struct {
		char reason[64]; /* the dropping rule's comment */
		struct nft_count count;
	} dropped[NFT_TALLY_MAX_REASONS];
	size_t n_dropped;
	struct nft_seen *seen; /* by rule */
	size_t n_seen;
};
void nft_tally_done(struct nft_tally *tally);

/*
 * Look at the counters and add what has come since. A counter that is lower than it was has begun
 * anew: what it had counted between the last look and its end is lost.
 * Return: 0, negative errno; then nothing has been added.
 */
int nft_tally_update(struct nft_tally *tally, struct nlsock *sock);
