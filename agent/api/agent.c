/* What the agent proper tells the api. */
#include "agent/agent.h"
#include "agent/api/api.h"
#include "common/clock.h"

static void view_agent(void *userdata, struct api_view *ret_view)
{
	struct agent *agent = userdata;

	*ret_view = (struct api_view){
		.map = agent_netmap(agent),
		.map_serial = agent_map_serial(agent),
		.map_source = agent_map_source(agent) ? agent_map_source(agent)
						      : agent_config(agent)->netmap,
		.link = agent_link(agent),
		.map_problem = agent_map_problem(agent),
		.kernel_problem = agent_kernel_problem(agent),
		.ifname = agent_config(agent)->interface,
		.listen_port = (uint16_t)agent_config(agent)->listen_port,
		.gateway_port = (uint16_t)agent_config(agent)->gateway_port,
		.fwmark = (uint32_t)agent_config(agent)->fwmark,
		.log_level = agent_config_log_level(agent_config(agent)),
		.config = agent_config(agent),
		.public_key = agent_public_key(agent),
		.leases = agent_leases(agent),
		.stats = agent_stats(agent),
		.now_usec = clock_usec(CLOCK_REALTIME),
	};
}

static int agent_peer_status(void *userdata, struct kernel_peer_status **ret_peers, size_t *ret_n)
{
	return kernel_peer_status(agent_kernel(userdata), ret_peers, ret_n);
}

static bool agent_last_handshake(void *userdata, const struct wg_key *key,
				 struct kernel_handshake *ret_handshake)
{
	return kernel_last_handshake(agent_kernel(userdata), key, ret_handshake);
}

static int agent_count_packets(void *userdata, struct nft_tally *tally)
{
	return kernel_count_packets(agent_kernel(userdata), tally);
}

static int watch_agent_drops(void *userdata, void (*fn)(const struct drop *drop, void *fn_userdata),
			     void *fn_userdata)
{
	return agent_watch_drops(userdata, fn, fn_userdata);
}

static struct link *link_of_agent(void *userdata)
{
	return agent_link(userdata);
}

static void on_link_change(void *userdata)
{
	api_link_changed(userdata);
}

static void on_judged(void *userdata)
{
	api_recheck(userdata);
}

static const struct api_hooks agent_hooks = {
	.view = view_agent,
	.peer_status = agent_peer_status,
	.last_handshake = agent_last_handshake,
	.count_packets = agent_count_packets,
	.watch_drops = watch_agent_drops,
	.link = link_of_agent,
};

int api_new_for_agent(struct agent *agent, struct api **ret_api)
{
	int r = api_new(agent_event(agent), &agent_hooks, agent, ret_api);

	if (r < 0)
		return r;
	agent_on_link_change(agent, on_link_change, *ret_api);
	agent_on_judged(agent, on_judged, *ret_api);
	return 0;
}
