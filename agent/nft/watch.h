/* Tells of changes that others make to the table, and who they are. */
#pragma once

#include "agent/netlink/nlwatch.h"

struct nft_watch;

struct nft_watch_handler {
	/* At once: what was known of the table may hold no longer. */
	void (*stale)(void *userdata);
	/* Once the transaction is complete: "table inet peergate was deleted by nft (pid 812)". */
	void (*changed)(void *userdata, const char *what);
	void *userdata;
};

/* own_portid: changes made from that socket are ours. Return: 0, negative errno. */
int nft_watch_new(sd_event *event, uint32_t own_portid, const struct nft_watch_handler *handler,
		  struct nft_watch **ret_watch);
struct nft_watch *nft_watch_free(struct nft_watch *watch);
DEFINE_CLEANUP(struct nft_watch *, nft_watch_free);
/* Handle what has arrived so far. */
void nft_watch_poll(struct nft_watch *watch);
