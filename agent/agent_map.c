/* Which map is in force: a text that the map file offers is taken or refused, whole. */
#include <errno.h>
#include <string.h>

#include "agent/agent_internal.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"

/* Takes over problem. */
static void refuse_map(struct agent *agent, char *problem)
{
	if (!problem)
		problem = strdup("no memory");
	log_error("Map refused, %s: %s",
		  agent->map ? "the last one stays in force" : "the mesh stays blocked",
		  problem ? problem : "no memory");
	agent_set_problem(&agent->map_problem, problem);
	agent->stats.maps_refused++;
	agent_publish_status(agent);
}

/* Parses and judges a map as a whole. Return: 0, negative errno and *reterr_text. */
static int read_map(const struct agent *agent, const char *text, size_t len, char **reterr_text,
		    struct netmap **ret_map)
{
	_cleanup_(netmap_freep) struct netmap *map = NULL;
	int r;

	r = netmap_parse(text, len, agent->config->netmap, reterr_text, &map);
	if (r == 0)
		r = state_check_generation(agent->state, agent->config->netmap, map->generation,
					   reterr_text);
	if (r == 0)
		r = netmap_check_own_key(map, state_public_key(agent->state), agent->config->netmap,
					 reterr_text);
	if (r < 0)
		return r;
	*ret_map = take_ptr(map);
	return 0;
}

/* Takes over map. */
static void accept_map(struct agent *agent, struct netmap *map)
{
	struct netmap *old = agent->map;

	agent->map = map;
	agent->map_serial++;
	stats_count_map(&agent->stats, clock_usec(CLOCK_REALTIME));
	hostfiles_outdate(agent->hostfiles);
	agent_set_problem(&agent->map_problem, NULL);
	log_notice("Map generation %llu in force: %zu peers, %zu filter rules, %zu SSH rules, SSH "
		   "%s",
		   (unsigned long long)map->generation, map->n_peers, map->n_filter,
		   map->n_ssh_rules, map->self.ssh ? "on" : "off");
	agent_apply(agent, false);
	netmap_free(old);
}

static void on_map_text(void *userdata, const char *text, size_t len, const char *problem)
{
	struct agent *agent = userdata;
	struct netmap *map = NULL;
	char *error = NULL;
	int r = 0;

	if (!text)
		refuse_map(agent, strdup(problem));
	else
		r = read_map(agent, text, len, &error, &map);
	if (r < 0)
		refuse_map(agent, error);
	if (r == -ENOMEM)
		mapfile_read_later(agent->mapfile);
	if (map)
		accept_map(agent, map);
	agent_give_back_memory();
}

int agent_map_watch(struct agent *agent, uid_t owner, char **reterr_text)
{
	int r;

	if (!agent->config->netmap) {
		agent->map_problem = strdup("no map is configured; expected Netmap= in agent.conf");
		return agent->map_problem ? 0 : -ENOMEM;
	}
	r = mapfile_new(agent->event, agent->config->netmap, owner, on_map_text, agent,
			&agent->mapfile);
	if (r == -EINVAL)
		*reterr_text = text_printf("%s: is no plain path; expected an absolute one without "
					   "\".\", \"..\" and \"//\"",
					   agent->config->netmap);
	else if (r < 0)
		*reterr_text = text_printf("%s: cannot be watched: %s", agent->config->netmap,
					   strerror(-r));
	return r;
}
