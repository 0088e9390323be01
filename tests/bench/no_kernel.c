/*
 * A kernel that agrees with every map: linked before libagent's, so that the agent's main program
 * runs where there is no WireGuard. What it answers on its socket is the agent's own doing.
 */
#include <errno.h>
#include <stdlib.h>

#include "agent/kernel/kernel.h"

struct kernel {
	char unused;
};

int kernel_new(sd_event *event, const struct kernel_config *config,
	       const struct wg_key *private_key, struct kernel **ret_kernel)
{
	struct kernel *kernel = calloc(1, sizeof(*kernel));

	if (!kernel)
		return -ENOMEM;
	*ret_kernel = kernel;
	return 0;
}

struct kernel *kernel_free(struct kernel *kernel)
{
	free(kernel);
	return NULL;
}

int kernel_apply(struct kernel *kernel, const struct netmap *map, uint64_t now_usec,
		 struct kernel_changes *ret_changes, char **reterr_text)
{
	*ret_changes = (struct kernel_changes){ 0 };
	return 0;
}

int kernel_peer_status(struct kernel *kernel, struct kernel_peer_status **ret_peers, size_t *ret_n)
{
	*ret_peers = NULL;
	*ret_n = 0;
	return 0;
}

bool kernel_last_handshake(const struct kernel *kernel, const struct wg_key *key,
			   struct kernel_handshake *ret_handshake)
{
	return false;
}

void kernel_on_foreign_change(struct kernel *kernel, void (*fn)(void *userdata, const char *what),
			      void *userdata)
{
}

int kernel_set_key(struct kernel *kernel, const struct wg_key *private_key)
{
	return 0;
}

void kernel_shut(struct kernel *kernel)
{
}

void kernel_hold(struct kernel *kernel)
{
}

int kernel_down(struct kernel *kernel, char **reterr_text)
{
	return 0;
}

int kernel_count_packets(struct kernel *kernel, struct nft_tally *tally)
{
	return 0;
}

int kernel_watch_drops(struct kernel *kernel, sd_event *event,
		       void (*fn)(const struct drop *drop, void *userdata), void *userdata)
{
	return 0;
}
