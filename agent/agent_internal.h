/* What the parts of agent.c, agent_apply.c and agent_map.c share; nobody else includes it. */
#pragma once

#include "agent/agent.h"
#include "agent/hostfiles.h"
#include "agent/kernel/repair.h"
#include "agent/link/link.h"
#include "agent/netmap/age.h"
#include "agent/netmap/cache.h"
#include "agent/netmap/file.h"
#include "agent/ssh/lease.h"
#include "agent/state.h"
#include "agent/stats.h"

struct agent {
	sd_event *event;
	struct agent_config *config;
	struct hostfiles *hostfiles;
	struct state *state;
	struct kernel *kernel;
	struct lease_table *leases;
	struct mapfile *mapfile; /* NULL: no Netmap= */
	struct mapcache *mapcache;
	struct link *link; /* NULL: maps come from a file */
	void (*link_fn)(void *userdata);
	void *link_userdata;
	void (*judged_fn)(void *userdata);
	void *judged_userdata;
	sd_event_source *apply_timer;
	sd_event_source *files_timer; /* for the files that could not be written */
	sd_event_source *expiry_timer;
	sd_event_source *clock_source;
	sd_event_source *age_timer;
	int clock_fd;

	struct netmap *map; /* in force; NULL: none yet */
	char *map_source;
	bool starting; /* the first map is being looked for */
	uint64_t map_serial;
	char *map_problem;
	struct map_age map_age;
	uint64_t note_age_usec; /* CLOCK_BOOTTIME: not before */
	char *kernel_problem;
	struct repair repair; /* of what others change */
	uint64_t retry_usec;  /* the next pause */
	uint64_t files_retry_usec;
	uint64_t applied_usec; /* CLOCK_MONOTONIC, of the last attempt */
	uint64_t judged_usec;  /* CLOCK_REALTIME, by which the last attempt judged expiries */
	bool self_expired;     /* found then */
	struct stats stats;
};

/* Takes over text. */
void agent_set_problem(char **problem, char *text);
/* Tells systemd, which shows it in "systemctl status". */
void agent_publish_status(const struct agent *agent);

/*
 * Bring leases, kernel and files in step with the map, in this order, and try again by itself
 * what failed. for_news: because somebody else may have changed the kernel.
 */
void agent_apply(struct agent *agent, bool for_news);
/*
 * A map's text, and what the kernel tells of a whole table, take many times what stays of them; the
 * C library would keep most of it.
 */
void agent_give_back_memory(void);
/* The same as agent_apply() from the event loop, after delay_usec, or earlier if that is planned.
 */
void agent_schedule_apply(struct agent *agent, uint64_t delay_usec);
/*
 * Watch for what makes an apply necessary: expiries, the wall clock, changes by others. Leases and
 * kernel have to be open. Return: 0, negative errno; what was begun is agent_free()'s.
 */
int agent_apply_open(struct agent *agent);

/* No map any more, on purpose: all that it gave ends. */
void agent_drop_map(struct agent *agent);
/* What is kept of maps is of a node that this host is no more: it goes, from the disk as well. */
void agent_forget_map(struct agent *agent);

/* The limit of the configuration, and a timer for it. Return: 0, negative errno. */
int agent_age_open(struct agent *agent);
/* The map ends if it is too old; else the timer is set for when it will be. */
void agent_judge_age(struct agent *agent);
/* Is a map that was kept on disk too old? Return: 0; -ESTALE and *reterr_text, -ENOMEM. */
int agent_check_kept_age(struct agent *agent, const struct netmap *map, const char *source,
			 char **reterr_text);

/* The coordinator's link. Return: 0; negative errno and *reterr_text. */
int agent_link_open(struct agent *agent, char **reterr_text);

/* Watch the map file of the configuration. Return: 0; negative errno and *reterr_text. */
int agent_map_watch(struct agent *agent, uid_t owner, char **reterr_text);
/* Read it for the first time; if it is no good, go on with the last map. */
void agent_map_start(struct agent *agent);
