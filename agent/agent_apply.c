/*
 * Leases, kernel and files for others follow the map in force. Everything that makes them differ
 * from it (an expiry, a clock that is set, a foreign change, a failed attempt) comes back to
 * agent_apply().
 */
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/epoll.h>

#include "agent/agent_internal.h"
#include "agent/clock_watch.h"
#include "agent/netmap/expiry.h"
#include "common/clock.h"
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

/* Only ever earlier: whoever has asked for a time before this one relies on it. */
static int schedule(sd_event_source *timer, uint64_t delay_usec)
{
	uint64_t when = clock_usec(CLOCK_MONOTONIC) + delay_usec, planned;
	int r = sd_event_source_get_enabled(timer, NULL);

	if (r > 0 && sd_event_source_get_time(timer, &planned) >= 0 && planned <= when)
		return 0;
	r = sd_event_source_set_time(timer, when);
	return r < 0 ? r : sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

void agent_schedule_apply(struct agent *agent, uint64_t delay_usec)
{
	int r = schedule(agent->apply_timer, delay_usec);

	if (r < 0)
		log_error_errno(r, "Could not schedule the next attempt at the kernel");
}

/* Return: the pause before the next attempt; *pause becomes that before the one after it. */
static uint64_t lengthen(uint64_t *pause)
{
	uint64_t now = *pause;

	*pause = now < RETRY_LONGEST_USEC / 2 ? now * 2 : RETRY_LONGEST_USEC;
	return now;
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
	agent_set_problem(&agent->kernel_problem, text ? text : strdup("no memory"));
	repair_failed(&agent->repair, news);
	agent_schedule_apply(agent, lengthen(&agent->retry_usec));
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
	agent_set_problem(&agent->kernel_problem, NULL);
	agent->retry_usec = RETRY_FIRST_USEC;
	log_changes(&changes);
}

/*
 * Last. What could not be written (a full disk) is tried again, by and by: by a timer of its own,
 * since that of the kernel's is not to be had for it when somebody changes the table.
 */
static void write_files(struct agent *agent)
{
	int r;

	if (!agent->map || hostfiles_write(agent->hostfiles, agent->map) == 0) {
		agent->files_retry_usec = RETRY_FIRST_USEC;
		return;
	}
	r = schedule(agent->files_timer, lengthen(&agent->files_retry_usec));
	if (r < 0)
		log_error_errno(r, "Could not schedule the next attempt at the files");
}

/* Leases first: their sessions are gone, and do not see the flow that carries them break off. */
void agent_apply(struct agent *agent, bool for_news)
{
	uint64_t now = clock_usec(CLOCK_REALTIME);

	agent->judged_usec = now;
	lease_table_recheck(agent->leases, agent->map, now);
	if (agent->judged_fn)
		agent->judged_fn(agent->judged_userdata);
	apply_kernel(agent, now, for_news);
	arm_expiry(agent);
	agent_publish_status(agent);
	write_files(agent);
}

void agent_on_judged(struct agent *agent, void (*fn)(void *userdata), void *userdata)
{
	agent->judged_fn = fn;
	agent->judged_userdata = userdata;
}

void agent_give_back_memory(void)
{
	malloc_trim(0);
}

static int on_apply_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	agent_apply(userdata, true);
	agent_give_back_memory();
	return 0;
}

static int on_files_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	write_files(userdata);
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
		agent_judge_age(userdata);
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
	if (since >= FOREIGN_PAUSE_USEC) {
		kernel_shut(agent->kernel);
		return agent_schedule_apply(agent, 0);
	}
	kernel_hold(agent->kernel);
	agent_schedule_apply(agent, FOREIGN_PAUSE_USEC - since);
}

/* A timer that is not set yet. */
static int add_timer(struct agent *agent, clockid_t clock, sd_event_time_handler_t fn,
		     int64_t priority, sd_event_source **ret_timer)
{
	int r = sd_event_add_time(agent->event, ret_timer, clock, 0, USEC_PER_MSEC, fn, agent);

	if (r >= 0)
		r = sd_event_source_set_enabled(*ret_timer, SD_EVENT_OFF);
	return r < 0 ? r : sd_event_source_set_priority(*ret_timer, priority);
}

/* Whatever callers of the socket want, what may take away rights goes before. */
static int add_timers(struct agent *agent)
{
	int r;

	r = add_timer(agent, CLOCK_MONOTONIC, on_apply_timer, SD_EVENT_PRIORITY_IMPORTANT,
		      &agent->apply_timer);
	if (r >= 0)
		r = add_timer(agent, CLOCK_REALTIME, on_expiry_timer, SD_EVENT_PRIORITY_IMPORTANT,
			      &agent->expiry_timer);
	if (r >= 0)
		r = add_timer(agent, CLOCK_MONOTONIC, on_files_timer, SD_EVENT_PRIORITY_NORMAL,
			      &agent->files_timer);
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

int agent_apply_open(struct agent *agent)
{
	int r;

	agent->retry_usec = agent->files_retry_usec = RETRY_FIRST_USEC;
	r = add_timers(agent);
	if (r >= 0)
		r = watch_clock(agent);
	if (r < 0)
		return r;
	lease_table_on_expiry_change(agent->leases, on_lease_expiry_change, agent);
	kernel_on_foreign_change(agent->kernel, on_foreign_change, agent);
	return 0;
}
