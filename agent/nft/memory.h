/*
 * Who has asked which port of UDP: what the rules have put into their own sets, carried over from a
 * table to the one that takes its place.
 */
#pragma once

#include <netinet/in.h> /* before the kernel headers that libnftnl includes */

#include "agent/nft/batch.h"

struct nft_memory;

/* Return: 0 (also when there is no such set yet), negative errno. */
int nft_memory_read(struct nlsock *sock, struct nft_memory **ret_memory);
/* Put it into the sets of a table that the same batch makes. */
void nft_memory_put(const struct nft_memory *memory, struct nft_batch *batch);
struct nft_memory *nft_memory_free(struct nft_memory *memory);
DEFINE_CLEANUP(struct nft_memory *, nft_memory_free);
