/*
 * The table "inet peergate": brought to what is wanted by the smallest change, and watched. Works
 * without WireGuard: the link is only a name to it.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "agent/filter/table.h"
#include "common/cleanup.h"

struct nft;
struct nft_tally;

/* Comment of the rule that drops what no rule of the map lets in. */
#define NFT_REASON_NO_RULE "no rule lets it in"

struct nft_config {
	const char *ifname;
	uint16_t gateway_port;
	bool own; /* keep others from changing the table, where the kernel can (agent/nft/owner.h)
		   */
};

/* event may be NULL: then nothing is watched, and each apply looks at the kernel. */
int nft_open(sd_event *event, const struct nft_config *config, struct nft **ret_nft);
/* What is in the kernel stays. */
struct nft *nft_free(struct nft *nft);
DEFINE_CLEANUP(struct nft *, nft_free);

struct nft_changes {
	unsigned elements_added, elements_removed;
	unsigned full_replacements;
};

/*
 * Make the kernel's table agree, in one transaction; wanted is taken over in any case. *ret_old
 * becomes the table that was in force before (the caller's; NULL: there was none of ours).
 * Return: 0; negative errno and *reterr_text (the caller's): then nothing has changed.
 */
int nft_apply(struct nft *nft, struct filter_table *wanted, bool divert_ssh,
	      struct nft_changes *ret_changes, struct filter_table **ret_old, char **reterr_text);

/* Learn what is there, unless it is known. Return: 0; negative errno and *reterr_text. */
int nft_refresh(struct nft *nft, char **reterr_text);
/* A table of ours, whatever its elements, is in the kernel: what is not allowed is dropped. */
bool nft_in_force(struct nft *nft);
/* The table in force as far as we know; NULL: unknown, or none. Borrowed. */
const struct filter_table *nft_table(const struct nft *nft);

/* From the next nft_apply() on, samples of what is dropped go to NFT_LOG_GROUP, or no more. */
void nft_log_drops(struct nft *nft, bool on);

/* Add to tally what the table has counted since. Return: 0, negative errno. */
int nft_count(struct nft *nft, struct nft_tally *tally);

/* Take the table away. No table is no error. */
int nft_remove(struct nft *nft, char **reterr_text);

/*
 * fn is called when somebody else has changed the table: from the event loop, or from within
 * nft_apply() and nft_refresh(), which then see the change. what: a sentence that says who.
 */
void nft_on_foreign_change(struct nft *nft, void (*fn)(void *userdata, const char *what),
			   void *userdata);
