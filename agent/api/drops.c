/* WatchDrops: each open call is told of dropped packets; the filter logs them while there is one.
 */
#include <netinet/in.h> /* before the kernel headers */

#include <errno.h>
#include <linux/netfilter.h>
#include <net/if.h>
#include <string.h>

#include "agent/api/internal.h"
#include "agent/kernel/drop.h"
#include "agent/nft/nft.h"
#include "common/clock.h"
#include "common/text.h"

#define MAX_WATCHES 16
#define TICK_USEC   USEC_PER_SEC

struct drop_watch {
	struct api *api;
	struct varlink_call *call;
	struct drop_watch *next;
};

/* What is dropped and told, by the places that reasons have in the tally. */
struct drop_samples {
	sd_event_source *timer;
	uint64_t dropped[NFT_TALLY_MAX_REASONS]; /* when it was looked at last */
	uint64_t told[NFT_TALLY_MAX_REASONS];	 /* since */
};

/* ---- to the callers ---- */

static void tell(struct api *api, json_t *answer)
{
	struct drop_watch *next;

	/* Whoever cannot be told is gone with its connection, but not before the event loop. */
	for (struct drop_watch *watch = api->drop_watches; watch; watch = next) {
		next = watch->next;
		(void)varlink_call_notify(watch->call, json_deep_copy(answer));
	}
	json_decref(answer);
}

static const char *hook_to_string(uint8_t hook)
{
	switch (hook) {
	case NF_INET_PRE_ROUTING:
		return "prerouting";
	case NF_INET_LOCAL_IN:
		return "input";
	case NF_INET_FORWARD:
		return "forward";
	case NF_INET_LOCAL_OUT:
		return "output";
	default:
		return "?";
	}
}

static const char *node_name(const struct netmap *map, const struct ip_addr *addr)
{
	const struct netmap_node *peer = map ? netmap_peer_by_address(map, addr) : NULL;

	return peer ? peer->name : NULL;
}

static bool is_routed(const struct netmap *map, const struct ip_addr *addr)
{
	for (size_t i = 0; map && i < map->n_peers; i++)
		for (size_t k = 0; k < map->peers[i].n_routes; k++)
			if (ip_prefix_contains(&map->peers[i].routes[k], addr))
				return true;
	return false;
}

/* The filter has one rule for all that no rule lets in: say more where that is known. */
static const char *refine_reason(const struct netmap *map, const struct drop *drop)
{
	if (drop->hook == NF_INET_LOCAL_IN && drop->src.family &&
	    strcmp(drop->reason, NFT_REASON_NO_RULE) == 0 && !node_name(map, &drop->src) &&
	    !is_routed(map, &drop->src))
		return "from no peer's address";
	return drop->reason;
}

static json_t *json_port(const struct drop *drop, uint16_t port)
{
	return drop->has_ports ? json_integer(port) : NULL;
}

static json_t *json_addr(const struct ip_addr *addr)
{
	char text[IP_ADDR_STRLEN];

	return addr->family ? json_string(ip_addr_to_string(addr, text)) : NULL;
}

static json_t *json_drop(const struct api_view *view, const struct drop *drop)
{
	_cleanup_free_ char *reason =
		text_sanitize(refine_reason(view->map, drop), DROP_REASON_LEN);
	uint32_t index = drop->iif ? drop->iif : drop->oif;
	char ifname[IF_NAMESIZE];

	return json_pack("{s:I, s:s, s:s, s:s*, s:o*, s:o*, s:s*, s:s*, s:o*, s:o*, s:o*}", "time",
			 (json_int_t)view->now_usec, "reason", reason ? reason : "", "hook",
			 hook_to_string(drop->hook), "interface",
			 index ? if_indextoname(index, ifname) : NULL, "source",
			 json_addr(&drop->src), "destination", json_addr(&drop->dst), "sourceNode",
			 node_name(view->map, &drop->src), "destinationNode",
			 node_name(view->map, &drop->dst), "protocol",
			 drop->proto ? json_integer(drop->proto) : NULL, "sourcePort",
			 json_port(drop, drop->sport), "destinationPort",
			 json_port(drop, drop->dport));
}

/* ---- from the filter ---- */

static void count_told(struct api *api, const char *reason)
{
	for (size_t i = 0; i < api->tally.n_dropped; i++)
		if (strcmp(api->tally.dropped[i].reason, reason) == 0)
			api->drop_samples->told[i]++;
}

static void on_drop(const struct drop *drop, void *userdata)
{
	struct api *api = userdata;
	struct api_view view;
	json_t *answer;

	api_view(api, &view);
	answer = json_drop(&view, drop);
	if (!answer)
		return;
	count_told(api, drop->reason);
	tell(api, answer);
}

static void tell_suppressed(struct api *api, uint64_t now_usec)
{
	struct drop_samples *samples = api->drop_samples;

	for (size_t i = 0; i < api->tally.n_dropped; i++) {
		uint64_t dropped = api->tally.dropped[i].count.packets - samples->dropped[i];
		json_t *answer;

		if (dropped > samples->told[i]) {
			answer = json_pack("{s:I, s:s, s:I}", "time", (json_int_t)now_usec,
					   "reason", api->tally.dropped[i].reason, "suppressed",
					   (json_int_t)(dropped - samples->told[i]));
			if (answer)
				tell(api, answer);
		}
		samples->dropped[i] = api->tally.dropped[i].count.packets;
		samples->told[i] = 0;
	}
}

static int on_tick(sd_event_source *timer, uint64_t usec, void *userdata)
{
	struct api *api = userdata;
	struct api_view view;

	api_view(api, &view);
	api->tally_usec = 0;
	if (api_refresh_tally(api) == 0)
		tell_suppressed(api, view.now_usec);
	if (sd_event_source_set_time_relative(timer, TICK_USEC) >= 0)
		(void)sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
	return 0;
}

/* ---- who watches ---- */

static int start(struct api *api)
{
	struct drop_samples *samples = calloc(1, sizeof(*samples));
	int r;

	if (!samples)
		return -ENOMEM;
	api->drop_samples = samples;
	r = sd_event_add_time_relative(api->event, &samples->timer, CLOCK_MONOTONIC, TICK_USEC, 0,
				       on_tick, api);
	if (r >= 0)
		r = sd_event_source_set_priority(samples->timer, SD_EVENT_PRIORITY_IDLE);
	if (r >= 0)
		r = api->hooks->watch_drops(api->userdata, on_drop, api);
	if (r < 0)
		return r;
	/* What was dropped before is nobody's news. */
	api->tally_usec = 0;
	if (api_refresh_tally(api) == 0)
		for (size_t i = 0; i < api->tally.n_dropped; i++)
			samples->dropped[i] = api->tally.dropped[i].count.packets;
	return 0;
}

static void stop(struct api *api)
{
	if (!api->drop_samples)
		return;
	(void)api->hooks->watch_drops(api->userdata, NULL, NULL);
	sd_event_source_disable_unref(api->drop_samples->timer);
	free(api->drop_samples);
	api->drop_samples = NULL;
}

static void drop_watch_free(struct drop_watch *watch)
{
	struct drop_watch **link = &watch->api->drop_watches;

	while (*link && *link != watch)
		link = &(*link)->next;
	if (*link)
		*link = watch->next;
	varlink_call_unref(watch->call);
	free(watch);
}

static void on_disconnect(struct varlink_call *call, void *userdata)
{
	struct drop_watch *watch = userdata;
	struct api *api = watch->api;

	drop_watch_free(watch);
	if (!api->drop_watches)
		stop(api);
}

void api_drops_done(struct api *api)
{
	while (api->drop_watches)
		drop_watch_free(api->drop_watches);
	stop(api);
}

static size_t count_watches(const struct api *api)
{
	size_t n = 0;

	for (const struct drop_watch *watch = api->drop_watches; watch; watch = watch->next)
		n++;
	return n;
}

static int add_watch(struct api *api, struct varlink_call *call)
{
	struct drop_watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return -ENOMEM;
	watch->api = api;
	watch->call = varlink_call_ref(call);
	watch->next = api->drop_watches;
	api->drop_watches = watch;
	varlink_call_on_disconnect(call, on_disconnect, watch);
	return 0;
}

static int refuse(struct varlink_call *call, int error)
{
	const char *reason = error == -EBUSY	? "another program listens to group 5182 of NFLOG: "
						  "end it, or give it another group "
						  "(/proc/net/netfilter/nfnetlink_log has the "
						  "netlink port of each)"
			     : error == -EINVAL ? "it has no NFLOG (module nfnetlink_log)"
						: strerror(-error);

	return varlink_call_error(call, "io.peergate.Agent.CannotLog",
				  json_pack("{s:s}", "reason", reason));
}

int api_watch_drops(struct varlink_call *call, const json_t *params, void *userdata)
{
	struct api *api = userdata;
	int r = 0;

	if (varlink_call_creds(call)->uid != 0 && !varlink_call_in_group(call, getegid()))
		return varlink_call_error(call, "org.varlink.service.PermissionDenied", NULL);
	if (count_watches(api) == MAX_WATCHES)
		return varlink_call_error(call, "io.peergate.Agent.TooManySubscribers", NULL);
	if (!api->drop_samples)
		r = start(api);
	if (r == 0)
		r = add_watch(api, call);
	if (r == 0)
		return 0;
	if (!api->drop_watches)
		stop(api);
	return r == -ENOMEM ? r : refuse(call, r);
}
