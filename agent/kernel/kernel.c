#include "agent/kernel/kernel.h"

#include <errno.h>
#include <string.h>

#include "agent/kernel/link.h"
#include "agent/kernel/state.h"
#include "agent/netlink/nflog.h"
#include "common/text.h"

void kernel_tell(struct kernel *kernel, const char *what)
{
	if (kernel->foreign_fn)
		kernel->foreign_fn(kernel->foreign_userdata, what);
}

static void on_table_change(void *userdata, const char *what)
{
	kernel_tell(userdata, what);
}

static void on_link_change(void *userdata, const char *what)
{
	struct kernel *kernel = userdata;

	kernel->net_holds = false;
	kernel_tell(kernel, what);
}

static int open_sockets(struct kernel *kernel, sd_event *event, const struct kernel_config *config)
{
	const struct nft_config nft_config = {
		.ifname = kernel->ifname,
		.gateway_port = config->gateway_port,
		.own = config->own_table,
	};
	int r;

	r = nft_open(event, &nft_config, &kernel->nft);
	if (r == 0)
		r = rtnl_open(&kernel->rtnl);
	if (r == 0)
		r = wg_open(&kernel->wg);
	if (r < 0)
		return r;
	nft_on_foreign_change(kernel->nft, on_table_change, kernel);
	if (!event)
		return 0;
	r = rtnl_watch_new(event, kernel->ifname, rtnl_portid(kernel->rtnl), on_link_change, kernel,
			   &kernel->rtnl_watch);
	return r < 0 ? r : kernel_poll_new(event, kernel, &kernel->poll);
}

int kernel_new(sd_event *event, const struct kernel_config *config,
	       const struct wg_key *private_key, struct kernel **ret_kernel)
{
	_cleanup_(kernel_freep) struct kernel *kernel = calloc(1, sizeof(*kernel));
	int r;

	if (!kernel)
		return -ENOMEM;
	kernel->ifname = strdup(config->ifname);
	if (!kernel->ifname)
		return -ENOMEM;
	kernel->private_key = *private_key;
	kernel->settings.listen_port = config->listen_port;
	kernel->settings.fwmark = config->fwmark;
	r = wg_key_public(private_key, &kernel->settings.public_key);
	if (r == 0)
		r = open_sockets(kernel, event, config);
	if (r < 0)
		return r;
	*ret_kernel = take_ptr(kernel);
	return 0;
}

int kernel_set_key(struct kernel *kernel, const struct wg_key *private_key)
{
	struct wg_key public;
	int r = wg_key_public(private_key, &public);

	if (r < 0)
		return r;
	kernel->private_key = *private_key;
	kernel->settings.public_key = public;
	return 0;
}

struct kernel *kernel_free(struct kernel *kernel)
{
	if (!kernel)
		return NULL;
	kernel->poll = kernel_poll_free(kernel->poll);
	kernel->rtnl_watch = rtnl_watch_free(kernel->rtnl_watch);
	kernel->nflog = nflog_free(kernel->nflog);
	kernel->nft = nft_free(kernel->nft);
	kernel->rtnl = rtnl_free(kernel->rtnl);
	kernel->wg = wg_free(kernel->wg);
	kernel_plan_done(&kernel->done);
	wg_key_wipe(&kernel->private_key);
	free(kernel->ifname);
	free(kernel);
	return NULL;
}

void kernel_on_foreign_change(struct kernel *kernel, void (*fn)(void *userdata, const char *what),
			      void *userdata)
{
	kernel->foreign_fn = fn;
	kernel->foreign_userdata = userdata;
}

void kernel_hold(struct kernel *kernel)
{
	if (kernel->ifindex)
		kernel_close_link(kernel);
}

int kernel_down(struct kernel *kernel, char **reterr_text)
{
	struct rtnl_changes changes = { 0 };
	int r;

	r = kernel_delete_link(kernel, reterr_text);
	if (r < 0)
		return r;
	kernel->told_holds = kernel->net_holds = false;
	r = rtnl_sync_guards(kernel->rtnl, NULL, 0, &changes);
	if (r < 0) {
		*reterr_text = text_printf("could not remove the unreachable routes of the mesh: "
					   "%s",
					   strerror(-r));
		return r;
	}
	return nft_remove(kernel->nft, reterr_text);
}

int kernel_peer_status(struct kernel *kernel, struct kernel_peer_status **ret_peers, size_t *ret_n)
{
	_cleanup_(wg_device_freep) struct wg_device *device = NULL;
	struct kernel_peer_status *peers;
	int r;

	r = wg_get(kernel->wg, kernel->ifname, &device);
	if (r < 0)
		return r;
	peers = calloc(device->n_peers + 1, sizeof(*peers));
	if (!peers)
		return -ENOMEM;
	for (size_t i = 0; i < device->n_peers; i++) {
		const struct wg_peer *peer = &device->peers[i];

		peers[i] = (struct kernel_peer_status){
			.key = peer->key,
			.endpoint = peer->endpoint,
			.last_handshake = peer->last_handshake,
			.rx_bytes = peer->rx_bytes,
			.tx_bytes = peer->tx_bytes,
		};
	}
	*ret_peers = peers;
	*ret_n = device->n_peers;
	return 0;
}

int kernel_count_packets(struct kernel *kernel, struct nft_tally *tally)
{
	return nft_count(kernel->nft, tally);
}
