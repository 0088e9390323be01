/* The coordinator as the source of maps: what its link wants done, the agent does. */
#include <errno.h>
#include <string.h>

#include "agent/agent_internal.h"
#include "common/log.h"
#include "peergate-config.h"

static const struct netmap *map_from(void *userdata, const char *source)
{
	struct agent *agent = userdata;

	return agent->map && strcmp(agent->map_source, source) == 0 ? agent->map : NULL;
}

static int offer(void *userdata, struct netmap *map, const char *source)
{
	return agent_offer_map(userdata, map, source);
}

static void refuse(void *userdata, char *problem)
{
	agent_refuse_map(userdata, problem);
}

static int use_kept(void *userdata, const char *source, const char *node)
{
	return agent_use_kept_map(userdata, source, node);
}

static void forget(void *userdata)
{
	agent_forget_map(userdata);
}

static void confirm(void *userdata)
{
	agent_confirm_map(userdata);
}

static void leave(void *userdata)
{
	agent_drop_map(userdata);
}

static void key_changed(void *userdata)
{
	struct agent *agent = userdata;
	int r = kernel_set_key(agent->kernel, state_private_key(agent->state));

	if (r < 0)
		log_error_errno(r, "Could not take the node key into use");
	agent_schedule_apply(agent, 0);
}

static void changed(void *userdata)
{
	struct agent *agent = userdata;

	if (agent->link_fn)
		agent->link_fn(agent->link_userdata);
}

static const struct link_hooks hooks = {
	.map = map_from,
	.offer = offer,
	.refuse = refuse,
	.confirm = confirm,
	.use_kept = use_kept,
	.forget = forget,
	.leave = leave,
	.key_changed = key_changed,
	.changed = changed,
};

int agent_link_open(struct agent *agent, char **reterr_text)
{
	const struct agent_config *config = agent->config;
	const struct link_config link_config = {
		.dirfd = state_dir_fd(agent->state),
		.default_url = config->coordinator,
		.plain_http = config->insecure_http,
		.ca_file = config->ca_file,
		.proxy = config->proxy,
		.ifname = config->interface,
		.listen_port = (uint16_t)config->listen_port,
		.endpoints = config->endpoints,
		.n_endpoints = config->n_endpoints,
		.places = { .etc = "/etc", .gateway_keys = PEERGATE_SSHGW_HOST_KEYS },
	};

	return link_new(agent->event, &link_config, agent->state, &hooks, agent, reterr_text,
			&agent->link);
}

struct link *agent_link(const struct agent *agent)
{
	return agent->link;
}

void agent_on_link_change(struct agent *agent, void (*fn)(void *userdata), void *userdata)
{
	agent->link_fn = fn;
	agent->link_userdata = userdata;
}
