/*
 * One direction of flow: a new map is judged, then leases are judged by it (rights end first),
 * then the kernel follows, then the files for others. Everything that makes the kernel or the
 * leases differ from the map (an expiry, a foreign change, a failed attempt) comes back to
 * agent_apply().
 */
#include "agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-daemon.h>

#include "agent/clock_watch.h"
#include "agent/expiry.h"
#include "agent/hostfiles.h"
#include "agent/lease.h"
#include "agent/mapfile.h"
#include "agent/repair.h"
#include "agent/state.h"
#include "agent/stats.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/text.h"

#define USEC_PER_MSEC 1000u

/* A failed attempt is repeated after a pause that doubles up to the longest. */
#define RETRY_FIRST_USEC   (USEC_PER_SEC / 4)
#define RETRY_LONGEST_USEC (30 * USEC_PER_SEC)

/*
 * Foreign changes are undone at once, but not more often than this: whoever fights with us over
 * the table must not get all of a processor. Well below the 200 ms that we promise.
 */
#define FOREIGN_PAUSE_USEC (100 * USEC_PER_MSEC)

struct agent {
	sd_event *event;
	struct agent_config *config;
	struct hostfiles *hostfiles;
	struct state *state;
	struct kernel *kernel;
	struct lease_table *leases;
	struct mapfile *mapfile; /* NULL: no Netmap= */
	sd_event_source *apply_timer;
	sd_event_source *expiry_timer;
	sd_event_source *clock_source;
	int clock_fd;

	struct netmap *map; /* in force; NULL: none yet */
	uint64_t map_serial;
	char *map_problem;
	char *kernel_problem;
	struct repair repair;  /* of what others change */
	uint64_t retry_usec;   /* the next pause */
	uint64_t applied_usec; /* CLOCK_MONOTONIC, of the last attempt */
	uint64_t judged_usec;  /* CLOCK_REALTIME, by which the last attempt judged expiries */
	bool self_expired;     /* found then */
	struct stats stats;
};

/* Takes over text. */
static void set_problem(char **problem, char *text)
{
	free(*problem);
	*problem = text;
}

static void publish_status(const struct agent *agent)
{
	if (agent->kernel_problem)
		sd_notifyf(0, "STATUS=Kernel not in step with the map: %s", agent->kernel_problem);
	else if (agent->self_expired)
		sd_notify(0, "STATUS=This node's own key has expired, the mesh is blocked");
	else if (!agent->map)
		sd_notifyf(0, "STATUS=No map, the mesh is blocked: %s",
			   agent->map_problem ? agent->map_problem : "none read yet");
	else
		sd_notifyf(0, "STATUS=Map generation %llu in force, %zu peers%s%s",
			   (unsigned long long)agent->map->generation, agent->map->n_peers,
			   agent->map_problem ? "; a newer one was refused: " : "",
			   agent->map_problem ? agent->map_problem : "");
}

static void schedule_apply(struct agent *agent, uint64_t delay_usec)
{
	int r = sd_event_source_set_time_relative(agent->apply_timer, delay_usec);

	if (r >= 0)
		r = sd_event_source_set_enabled(agent->apply_timer, SD_EVENT_ONESHOT);
	if (r < 0)
		log_error_errno(r, "Could not schedule the next attempt at the kernel");
}

static uint64_t next_expiry(const struct agent *agent)
{
	uint64_t of_leases = lease_table_next_expiry(agent->leases), of_map = UINT64_MAX;

	/* What ended before the last judgement was seen by it; what ended since has to be told. */
	if (agent->map)
		of_map = netmap_next_expiry(agent->map, agent->judged_usec);
	return of_map < of_leases ? of_map : of_leases;
}

static void arm_expiry(struct agent *agent)
{
	uint64_t next = next_expiry(agent);
	int r;

	r = sd_event_source_set_time(agent->expiry_timer, next);
	if (r >= 0)
		r = sd_event_source_set_enabled(
			agent->expiry_timer, next == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
	if (r < 0)
		log_error_errno(r, "Could not set the timer for expiring keys and rules");
}

static void log_changes(const struct kernel_changes *c)
{
	log_debug("Kernel in step: table %s, elements +%u -%u, peers +%u ~%u -%u, "
		  "addresses +%u -%u, routes +%u -%u, links +%u ~%u, sockets destroyed %u",
		  c->nft_full_replacements ? "replaced" : "kept", c->nft_elements_added,
		  c->nft_elements_removed, c->peers_added, c->peers_changed, c->peers_removed,
		  c->addresses_added, c->addresses_removed, c->routes_added, c->routes_removed,
		  c->links_created, c->links_changed, c->sockets_destroyed);
}

static void kernel_failed(struct agent *agent, int error, char *text)
{
	bool news;

	if (!text)
		text = text_printf("%s", strerror(-error));
	news = !agent->kernel_problem || !text || strcmp(agent->kernel_problem, text) != 0;
	if (news)
		log_error("Could not bring the kernel in step with the map, trying again: %s",
			  text ? text : strerror(-error));
	set_problem(&agent->kernel_problem, text ? text : strdup("no memory"));
	repair_failed(&agent->repair, news);
	schedule_apply(agent, agent->retry_usec);
	agent->retry_usec *= 2;
	if (agent->retry_usec > RETRY_LONGEST_USEC)
		agent->retry_usec = RETRY_LONGEST_USEC;
}

/* Once this host's own key has expired it is no part of the mesh any more. */
static const struct netmap *usable_map(struct agent *agent, uint64_t now)
{
	bool expired = agent->map && netmap_node_expired(&agent->map->self, now);

	if (expired && !agent->self_expired)
		log_warning("This node's own key has expired, the mesh is blocked");
	agent->self_expired = expired;
	return expired ? NULL : agent->map;
}

static void apply_kernel(struct agent *agent, uint64_t now, bool for_news)
{
	uint64_t began = clock_usec(CLOCK_MONOTONIC);
	struct kernel_changes changes = { 0 };
	char *error = NULL;
	int r;

	repair_begin(&agent->repair, for_news);
	r = kernel_apply(agent->kernel, usable_map(agent, now), now, &changes, &error);
	agent->applied_usec = clock_usec(CLOCK_MONOTONIC);
	stats_count_apply(&agent->stats, agent->applied_usec - began, r);
	if (r < 0)
		return kernel_failed(agent, r, error);
	if (repair_succeeded(&agent->repair, &changes, agent->kernel_problem != NULL))
		agent->stats.foreign_changes++;
	if (agent->kernel_problem)
		log_info("The kernel is in step with the map again");
	set_problem(&agent->kernel_problem, NULL);
	agent->retry_usec = RETRY_FIRST_USEC;
	log_changes(&changes);
}

static int note_generation(struct agent *agent)
{
	int r = state_store_generation(agent->state, agent->config->netmap, agent->map->generation);

	if (r < 0)
		log_warning_errno(r, "Could not note the map's generation on disk, continuing");
	return r;
}

/*
 * Last, for a slow disk must not hold up a revocation. What could not be written (a full disk) is
 * tried again, by and by.
 */
static void write_files(struct agent *agent)
{
	int r;

	if (!agent->map)
		return;
	r = hostfiles_write(agent->hostfiles, agent->map);
	if ((note_generation(agent) < 0 || r < 0) && !agent->kernel_problem)
		schedule_apply(agent, RETRY_LONGEST_USEC);
}

/* Leases first: their sessions are gone, and do not see the flow that carries them break off. */
static void agent_apply(struct agent *agent, bool for_news)
{
	uint64_t now = clock_usec(CLOCK_REALTIME);

	agent->judged_usec = now;
	lease_table_recheck(agent->leases, agent->map, now);
	apply_kernel(agent, now, for_news);
	arm_expiry(agent);
	publish_status(agent);
	write_files(agent);
}

/*
 * A map's text, and what the kernel tells of a whole table, take many times what stays of them; the
 * C library would keep most of it.
 */
static void give_back_memory(void)
{
	malloc_trim(0);
}

static int on_apply_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	agent_apply(userdata, true);
	give_back_memory();
	return 0;
}

static int on_expiry_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	log_info("A key, a rule or a lease has expired");
	agent_apply(userdata, false);
	return 0;
}

/* What had expired by the old time may not have by the new one, and the other way round. */
static int on_clock(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	if (clock_watch_ask(fd)) {
		log_notice("The wall clock was set, judging keys, rules and leases again");
		agent_apply(userdata, false);
	}
	return 0;
}

static void on_lease_expiry_change(void *userdata)
{
	arm_expiry(userdata);
}

static void on_foreign_change(void *userdata, const char *what)
{
	struct agent *agent = userdata;
	uint64_t since = clock_usec(CLOCK_MONOTONIC) - agent->applied_usec;

	if (!repair_note(&agent->repair, what))
		return;
	if (since >= FOREIGN_PAUSE_USEC)
		return schedule_apply(agent, 0);
	kernel_hold(agent->kernel);
	schedule_apply(agent, FOREIGN_PAUSE_USEC - since);
}

/* Takes over problem. */
static void refuse_map(struct agent *agent, char *problem)
{
	if (!problem)
		problem = strdup("no memory");
	log_error("Map refused, %s: %s",
		  agent->map ? "the last one stays in force" : "the mesh stays blocked",
		  problem ? problem : "no memory");
	set_problem(&agent->map_problem, problem);
	agent->stats.maps_refused++;
	publish_status(agent);
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
	set_problem(&agent->map_problem, NULL);
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
	give_back_memory();
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
	int r;

	r = kernel_new(agent->event, &config, state_private_key(agent->state), &agent->kernel);
	if (r < 0)
		return r;
	kernel_on_foreign_change(agent->kernel, on_foreign_change, agent);
	return 0;
}

static int open_leases(struct agent *agent)
{
	int r = lease_table_new(LEASE_MAX_LEASES, &agent->leases);

	if (r < 0)
		return r;
	lease_table_on_expiry_change(agent->leases, on_lease_expiry_change, agent);
	return 0;
}

static int add_timers(struct agent *agent)
{
	int r;

	r = sd_event_add_time_relative(agent->event, &agent->apply_timer, CLOCK_MONOTONIC, 0, 1,
				       on_apply_timer, agent);
	if (r >= 0)
		r = sd_event_source_set_enabled(agent->apply_timer, SD_EVENT_OFF);
	/* Whatever callers of the socket want, what may take away rights goes before. */
	if (r >= 0)
		r = sd_event_source_set_priority(agent->apply_timer, SD_EVENT_PRIORITY_IMPORTANT);
	if (r >= 0)
		r = sd_event_add_time(agent->event, &agent->expiry_timer, CLOCK_REALTIME, 0,
				      USEC_PER_MSEC, on_expiry_timer, agent);
	if (r >= 0)
		r = sd_event_source_set_enabled(agent->expiry_timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_priority(agent->expiry_timer, SD_EVENT_PRIORITY_IMPORTANT);
	return r;
}

static int watch_clock(struct agent *agent)
{
	int r;

	agent->clock_fd = clock_watch_open();
	if (agent->clock_fd < 0)
		return agent->clock_fd;
	r = sd_event_add_io(agent->event, &agent->clock_source, agent->clock_fd, EPOLLIN, on_clock,
			    agent);
	if (r >= 0)
		r = sd_event_source_set_priority(agent->clock_source, SD_EVENT_PRIORITY_IMPORTANT);
	return r;
}

static int open_state(struct agent *agent, const char *dir, char **reterr_text)
{
	_cleanup_free_ char *warning = NULL;
	int r;

	r = state_open(dir, reterr_text, &agent->state);
	if (r < 0)
		return r;
	r = state_load_generation(agent->state, &warning);
	if (r < 0)
		log_warning("Could not recall the newest map's generation, continuing without: %s",
			    warning ? warning : strerror(-r));
	return 0;
}

static int watch_map(struct agent *agent, uid_t owner, char **reterr_text)
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

int agent_new(sd_event *event, struct agent_config *config, const struct agent_paths *paths,
	      char **reterr_text, struct agent **ret_agent)
{
	_cleanup_(agent_freep) struct agent *agent = NULL;
	int r;

	agent = calloc(1, sizeof(*agent));
	if (!agent)
		return -ENOMEM;
	agent->event = sd_event_ref(event);
	agent->retry_usec = RETRY_FIRST_USEC;
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
	r = add_timers(agent);
	if (r >= 0)
		r = watch_clock(agent);
	if (r >= 0)
		r = open_leases(agent);
	if (r >= 0)
		r = open_kernel(agent);
	if (r >= 0)
		r = watch_map(agent, paths->map_owner, reterr_text);
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
	sd_event_source_disable_unref(agent->apply_timer);
	sd_event_source_disable_unref(agent->expiry_timer);
	sd_event_source_disable_unref(agent->clock_source);
	close_fd(agent->clock_fd);
	lease_table_free(agent->leases);
	kernel_free(agent->kernel);
	state_free(agent->state);
	netmap_free(agent->map);
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
	if (agent->mapfile)
		mapfile_read(agent->mapfile);
	else
		log_warning("No map is configured (Netmap=), the mesh is blocked");
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
	schedule_apply(agent, 0);
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
