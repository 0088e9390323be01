/* Which map is in force: what a source offers is taken or refused, whole. */
#include <errno.h>
#include <string.h>

#include "agent/agent_internal.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"

static const char *after_refusal(const struct agent *agent)
{
	if (agent->map)
		return "the last one stays in force";
	return agent->starting ? "looking for the last one" : "the mesh stays blocked";
}

/*
 * Said once: a file that is written again and again with the same mistake, or cannot be read for a
 * while, is no news.
 */
void agent_refuse_map(struct agent *agent, char *problem)
{
	bool news;

	if (!problem)
		problem = strdup("no memory");
	news = !agent->map_problem || !problem || strcmp(agent->map_problem, problem) != 0;
	log_full(news ? LOG_ERR : LOG_DEBUG, 0, NULL, 0, "Map refused, %s: %s",
		 after_refusal(agent), problem ? problem : "no memory");
	agent_set_problem(&agent->map_problem, problem);
	agent->stats.maps_refused++;
	agent_publish_status(agent);
}

/* May the map be in force here? Return: 0, negative errno and *reterr_text. */
static int judge_map(const struct agent *agent, const struct netmap *map, const char *source,
		     char **reterr_text)
{
	int r = state_check_generation(agent->state, source, map->generation, reterr_text);

	return r < 0 ? r
		     : netmap_check_own_key(map, state_public_key(agent->state), source,
					    reterr_text);
}

static int note_source(struct agent *agent, const struct netmap *map, const char *source)
{
	char *copy = strdup(source);
	int r = copy ? state_note_map(agent->state, source, map->for_node, map->generation)
		     : -ENOMEM;

	if (r < 0) {
		free(copy);
		return r;
	}
	free(agent->map_source);
	agent->map_source = copy;
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
	log_notice("Map generation %llu in force: %zu peer%s, %zu filter rule%s, %zu SSH rule%s, "
		   "SSH %s",
		   (unsigned long long)map->generation, map->n_peers, text_plural(map->n_peers),
		   map->n_filter, text_plural(map->n_filter), map->n_ssh_rules,
		   text_plural(map->n_ssh_rules), map->self.ssh ? "on" : "off");
	agent_apply(agent, false);
	mapcache_put(agent->mapcache, map);
	netmap_free(old);
}

int agent_offer_map(struct agent *agent, struct netmap *map, const char *source)
{
	char *error = NULL;
	int r;

	r = judge_map(agent, map, source, &error);
	if (r == 0)
		r = note_source(agent, map, source);
	if (r < 0) {
		netmap_free(map);
		agent_refuse_map(agent, error);
		return r;
	}
	accept_map(agent, map);
	return 0;
}

int agent_use_kept_map(struct agent *agent, const char *source, const char *node)
{
	_cleanup_free_ char *error = NULL;
	_cleanup_(netmap_freep) struct netmap *map = NULL;
	char *problem;
	int r;

	r = mapcache_load(agent->state, source, node, &error, &map);
	if (r < 0) {
		log_warning("There is no last map to go on with: %s", error ? error : strerror(-r));
		return r;
	}
	r = agent_check_kept_age(agent, map, source, &error);
	if (r < 0) {
		agent_refuse_map(agent, take_ptr(error));
		return r;
	}
	log_warning(
		"Going on with the last map that was in force, generation %llu of %s, as kept on "
		"disk: what has changed since is not known",
		(unsigned long long)map->generation, source);
	/* That it is in force does not mean that the source's own is good. */
	problem = take_ptr(agent->map_problem);
	r = agent_offer_map(agent, take_ptr(map), source);
	if (r < 0)
		free(problem);
	else
		agent_set_problem(&agent->map_problem, problem);
	agent_judge_age(agent);
	agent_publish_status(agent);
	return r;
}

static void on_map_text(void *userdata, const char *text, size_t len, const char *problem)
{
	struct agent *agent = userdata;
	const char *source = agent->config->netmap;
	struct netmap *map = NULL;
	char *error = NULL;
	int r;

	if (!text)
		return agent_refuse_map(agent, strdup(problem));
	r = netmap_parse(text, len, source, &error, &map);
	if (r < 0)
		agent_refuse_map(agent, error);
	else
		r = agent_offer_map(agent, map, source);
	if (r == -ENOMEM)
		mapfile_read_later(agent->mapfile);
	agent_give_back_memory();
}

void agent_drop_map(struct agent *agent)
{
	struct netmap *old = agent->map;

	agent_set_problem(&agent->map_problem, NULL);
	if (!old)
		return;
	log_notice("The map is not in force any more, the mesh is blocked");
	agent->map = NULL;
	free(agent->map_source);
	agent->map_source = NULL;
	agent->map_serial++;
	agent_apply(agent, false);
	hostfiles_remove(agent->hostfiles);
	mapcache_drop(agent->mapcache);
	netmap_free(old);
}

void agent_forget_map(struct agent *agent)
{
	state_forget_map(agent->state);
	mapcache_forget(agent->mapcache);
}

int agent_map_watch(struct agent *agent, uid_t owner, char **reterr_text)
{
	int r;

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

void agent_map_start(struct agent *agent)
{
	if (!agent->mapfile)
		return link_start(agent->link);
	agent->starting = true;
	mapfile_read(agent->mapfile);
	agent->starting = false;
	if (!agent->map)
		(void)agent_use_kept_map(agent, agent->config->netmap, NULL);
}
