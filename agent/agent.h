/*
 * The agent: holds the map in force, the kernel object and the leases, and keeps them in step.
 * The socket's methods (agent/api/api.h) read it through the accessors below.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "agent/config.h"
#include "agent/kernel/kernel.h"
#include "agent/netmap/netmap.h"
#include "common/cleanup.h"
#include "common/wgkey.h"

struct agent;
struct drop;
struct link;
struct stats;
struct lease_table;

/* Where the agent keeps and puts its files: the directories that systemd made for it. */
struct agent_paths {
	const char *state_dir;	 /* "/var/lib/peergate" */
	const char *runtime_dir; /* "/run/peergate" */
	uid_t map_owner;	 /* who has to own the map file: 0, except in tests */
};

/*
 * Load or make the node key, open the kernel object, start to watch the map file. Nothing in the
 * kernel is changed before agent_start(). config is stolen on success only; paths are copied.
 * Return: 0; negative errno and *reterr_text (the caller's).
 */
int agent_new(sd_event *event, struct agent_config *config, const struct agent_paths *paths,
	      char **reterr_text, struct agent **ret_agent);
/* What is in the kernel stays: sessions and tunnels live through a restart. */
struct agent *agent_free(struct agent *agent);
DEFINE_CLEANUP(struct agent *, agent_free);

/*
 * Read the map file, or go on with the coordinator, and apply the map for the first time; if there
 * is no valid one, the last map that was in force, as kept on disk; else block the mesh; that too
 * is a success. Return: 0; negative errno when the kernel could not be brought into either state (a
 * retry is scheduled).
 */
int agent_start(struct agent *agent);

/*
 * For sources of maps: the map file, the coordinator. A map is offered with the name of its source
 * ("/etc/peergate/netmap.json", "https://coord.example"), and is in force when this returns 0. It
 * is consumed in any case. What is refused is logged, counted, and shown as the map problem.
 * Return: 0; -ESTALE: older than one from this source before; -EINVAL: it makes this very host a
 * peer; -ENOMEM.
 */
int agent_offer_map(struct agent *agent, struct netmap *map, const char *source);
/*
 * The source has something that is no map, or nothing: as above. problem ("SOURCE: why") is
 * consumed; NULL: no memory.
 */
void agent_refuse_map(struct agent *agent, char *problem);
/*
 * Where the source has none (yet): bring the last map that was in force into force again, if it was
 * from this source, and for this node (NULL: whichever). Return: 0; negative errno (logged).
 */
int agent_use_kept_map(struct agent *agent, const char *source, const char *node);

/*
 * The source has said that the map in force is what holds now: from here on its age is counted
 * (MaxMapAge=). Of a map file it is not.
 */
void agent_confirm_map(struct agent *agent);

/* Where the map in force is from; NULL: there is none. Borrowed, as the map. */
const char *agent_map_source(const struct agent *agent);
/* The map in force; NULL: none yet. Borrowed: valid until control returns to the event loop. */
const struct netmap *agent_netmap(const struct agent *agent);
/* How many maps have come into force: the map is the same as long as this is. */
uint64_t agent_map_serial(const struct agent *agent);
/* Why the newest map on offer is not in force; NULL: it is. */
const char *agent_map_problem(const struct agent *agent);
/* Why the kernel does not agree with the map; NULL: it does. */
const char *agent_kernel_problem(const struct agent *agent);
/*
 * Give fn samples of what the packet filter drops, soon and until this is called with NULL.
 * Return: as kernel_watch_drops().
 */
int agent_watch_drops(struct agent *agent, void (*fn)(const struct drop *drop, void *userdata),
		      void *userdata);
/* What has been done since the start. */
struct stats *agent_stats(struct agent *agent);
struct kernel *agent_kernel(const struct agent *agent);
struct lease_table *agent_leases(const struct agent *agent);
const struct agent_config *agent_config(const struct agent *agent);
const struct wg_key *agent_public_key(const struct agent *agent);
/* To the coordinator; NULL: maps come from a file. */
struct link *agent_link(const struct agent *agent);
/* fn is called whenever something about it has changed; NULL: nobody. */
void agent_on_link_change(struct agent *agent, void (*fn)(void *userdata), void *userdata);
/* fn is called whenever leases were judged anew; NULL: nobody. */
void agent_on_judged(struct agent *agent, void (*fn)(void *userdata), void *userdata);
sd_event *agent_event(const struct agent *agent);
