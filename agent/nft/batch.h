/* One nftables transaction: messages collected, sent together, applied whole or not at all. */
#pragma once

#include <stdint.h>

#include "agent/netlink/nlsock.h"
#include "common/cleanup.h"

#define NFT_TABLE "peergate"

struct nft_batch;

/* sock is borrowed. */
int nft_batch_new(struct nlsock *sock, struct nft_batch **ret_batch);
struct nft_batch *nft_batch_free(struct nft_batch *batch);
DEFINE_CLEANUP(struct nft_batch *, nft_batch_free);

/*
 * Start a message (NFT_MSG_*, family inet). label names the object, for error messages. The caller
 * puts up to 100 KB of attributes behind the header, then calls nft_batch_end_message().
 * Return: the header; NULL when out of memory, which nft_batch_commit() reports as well.
 */
struct nlmsghdr *nft_batch_message(struct nft_batch *batch, uint16_t type, uint16_t flags,
				   const char *label, ...) _printf_(4, 5);
void nft_batch_end_message(struct nft_batch *batch);
/* The caller could not build its part: let nft_batch_commit() fail with -ENOMEM. */
void nft_batch_out_of_memory(struct nft_batch *batch);

/*
 * Send. An empty batch is not sent. Return: 0, -ENOMEM, the kernel's error and *reterr_text (the
 * caller's) with the object that failed.
 */
int nft_batch_commit(struct nft_batch *batch, char **reterr_text);
