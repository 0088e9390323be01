/*
 * The agent's parts, put together and taken apart. One direction of flow: a new map is judged
 * (agent_map.c), then leases are judged by it (rights end first), then the kernel follows, then the
 * files for others (agent_apply.c).
 */
#include <errno.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "agent/agent_internal.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/text.h"

void agent_set_problem(char **problem, char *text)
{
	free(*problem);
	*problem = text;
}

void agent_publish_status(const struct agent *agent)
{
	if (agent->kernel_problem)
		sd_notifyf(0, "STATUS=Kernel not in step with the map: %s", agent->kernel_problem);
	else if (agent->self_expired)
		sd_notify(0, "STATUS=This node's own key has expired, the mesh is blocked");
	else if (!agent->map)
		sd_notifyf(0, "STATUS=No map, the mesh is blocked: %s",
			   agent->map_problem ? agent->map_problem : "none read yet");
	else
		sd_notifyf(0, "STATUS=Map generation %llu in force, %zu peer%s%s%s",
			   (unsigned long long)agent->map->generation, agent->map->n_peers,
			   text_plural(agent->map->n_peers),
			   agent->map_problem ? "; a newer one was refused: " : "",
			   agent->map_problem ? agent->map_problem : "");
}

static int open_kernel(struct agent *agent)
{
	const struct kernel_config config = {
		.ifname = agent->config->interface,
		.listen_port = (uint16_t)agent->config->listen_port,
		.fwmark = (uint32_t)agent->config->fwmark,
		.gateway_port = (uint16_t)agent->config->gateway_port,
		.own_table = true,
	};

	return kernel_new(agent->event, &config, state_private_key(agent->state), &agent->kernel);
}

static int open_state(struct agent *agent, const char *dir, char **reterr_text)
{
	_cleanup_free_ char *warning = NULL;
	int r;

	r = state_open(dir, reterr_text, &agent->state);
	if (r < 0)
		return r;
	r = state_load_map(agent->state, &warning);
	if (r < 0)
		log_warning("Could not recall the newest map's generation, continuing without: %s",
			    warning ? warning : strerror(-r));
	return mapcache_new(agent->event, agent->state, &agent->mapcache);
}

int agent_new(sd_event *event, struct agent_config *config, const struct agent_paths *paths,
	      char **reterr_text, struct agent **ret_agent)
{
	_cleanup_(agent_freep) struct agent *agent = NULL;
	int r;

	agent = calloc(1, sizeof(*agent));
	if (!agent)
		return -ENOMEM;
	agent->event = sd_event_ref(event);
	agent->stats.started_usec = clock_usec(CLOCK_REALTIME);
	agent->clock_fd = -1;
	r = hostfiles_new(paths->runtime_dir, &agent->hostfiles);
	if (r < 0)
		return r;
	r = open_state(agent, paths->state_dir, reterr_text);
	if (r < 0)
		return r;
	/* Borrowed until we are sure to succeed, see below. */
	agent->config = config;
	r = lease_table_new(LEASE_MAX_LEASES, &agent->leases);
	if (r >= 0)
		r = open_kernel(agent);
	if (r >= 0)
		r = agent_apply_open(agent);
	if (r >= 0)
		r = agent_age_open(agent);
	if (r >= 0)
		r = config->netmap ? agent_map_watch(agent, paths->map_owner, reterr_text)
				   : agent_link_open(agent, reterr_text);
	if (r < 0) {
		agent->config = NULL;
		return r;
	}
	*ret_agent = take_ptr(agent);
	return 0;
}

struct agent *agent_free(struct agent *agent)
{
	if (!agent)
		return NULL;
	mapfile_free(agent->mapfile);
	link_free(agent->link);
	sd_event_source_disable_unref(agent->apply_timer);
	sd_event_source_disable_unref(agent->files_timer);
	sd_event_source_disable_unref(agent->expiry_timer);
	sd_event_source_disable_unref(agent->clock_source);
	sd_event_source_disable_unref(agent->age_timer);
	close_fd(agent->clock_fd);
	lease_table_free(agent->leases);
	kernel_free(agent->kernel);
	mapcache_free(agent->mapcache);
	state_free(agent->state);
	netmap_free(agent->map);
	free(agent->map_source);
	agent_config_free(agent->config);
	hostfiles_free(agent->hostfiles);
	free(agent->map_problem);
	free(agent->kernel_problem);
	repair_clear(&agent->repair);
	sd_event_unref(agent->event);
	free(agent);
	return NULL;
}

int agent_start(struct agent *agent)
{
	agent_map_start(agent);
	/* With a map, accepting it has brought the kernel in step. */
	if (!agent->map)
		agent_apply(agent, false);
	return agent->kernel_problem ? -EIO : 0;
}

const struct netmap *agent_netmap(const struct agent *agent)
{
	return agent->map;
}

uint64_t agent_map_serial(const struct agent *agent)
{
	return agent->map_serial;
}

const char *agent_map_source(const struct agent *agent)
{
	return agent->map_source;
}

const char *agent_map_problem(const struct agent *agent)
{
	return agent->map_problem;
}

const char *agent_kernel_problem(const struct agent *agent)
{
	return agent->kernel_problem;
}

int agent_watch_drops(struct agent *agent, void (*fn)(const struct drop *drop, void *userdata),
		      void *userdata)
{
	int r = kernel_watch_drops(agent->kernel, agent->event, fn, userdata);

	if (r < 0)
		return r;
	log_info(fn ? "What the packet filter drops is logged in samples, as asked for"
		    : "What the packet filter drops is not logged any more");
	agent_schedule_apply(agent, 0);
	return 0;
}

struct stats *agent_stats(struct agent *agent)
{
	return &agent->stats;
}

struct kernel *agent_kernel(const struct agent *agent)
{
	return agent->kernel;
}

struct lease_table *agent_leases(const struct agent *agent)
{
	return agent->leases;
}

const struct agent_config *agent_config(const struct agent *agent)
{
	return agent->config;
}

const struct wg_key *agent_public_key(const struct agent *agent)
{
	return state_public_key(agent->state);
}

sd_event *agent_event(const struct agent *agent)
{
	return agent->event;
}
