/*
 * Tables that others cannot change: nf_tables' flags "owner" (Linux 5.12) and "persist" (6.9). The
 * owner is a netlink socket. While it is open, the kernel refuses everybody else's changes, and
 * "flush ruleset" passes the table over; when it is closed, the table stays, open to everybody.
 * Without "persist" it would go with its owner, and the link be open: then we rather have neither.
 */
#pragma once

#include <linux/netfilter/nf_tables.h>
#include <stdbool.h>

#include "agent/netlink/nlsock.h"

/* Headers are those of the oldest kernel that we build for. */
#define NFT_OWNER_PERSIST 0x4u
#define NFT_OWNER_FLAGS	  (NFT_TABLE_F_OWNER | NFT_OWNER_PERSIST)

/*
 * Does the kernel know both? It is asked in a transaction that is bound to fail: nothing changes,
 * and nobody is told. Return: 0 and *ret_can; negative errno and *reterr_text (the caller's).
 */
int nft_owner_probe(struct nlsock *sock, bool *ret_can, char **reterr_text);
