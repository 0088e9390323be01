/*
 * The agent's socket: io.peergate.Agent over varlink (see agent/PROTOCOL.md). Reading is for
 * everybody; the decisions of SSH logins, and the leases they open, are for root.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

#include "agent/kernel/kernel.h"
#include "agent/netmap/netmap.h"
#include "agent/ssh/lease.h"
#include "common/cleanup.h"
#include "common/wgkey.h"

struct agent;
struct agent_config;
struct api;
struct drop;
struct link;
struct nft_tally;
struct stats;

/* What the methods want to know of the agent. All borrowed until control returns to the loop. */
struct api_view {
	const struct netmap *map;   /* NULL: none yet */
	uint64_t map_serial;	    /* another one for each map that comes into force */
	const char *map_source;	    /* "/etc/peergate/netmap.json" */
	const char *map_problem;    /* why the newest map is not in force; NULL: it is */
	const char *kernel_problem; /* why the kernel does not agree with the map; NULL: it does */
	const char *ifname;
	uint16_t listen_port, gateway_port;
	uint32_t fwmark;		   /* 0: none */
	const char *log_level;		   /* "info" */
	const struct agent_config *config; /* for "options"; NULL: they are not told */
	const struct wg_key *public_key;
	const struct link *link; /* to the coordinator; NULL: maps come from a file */
	struct lease_table *leases;
	struct stats *stats; /* counted on by the api */
	uint64_t now_usec;   /* since 1970 */
};

/* Where they learn it from: the agent, or a test. */
struct api_hooks {
	void (*view)(void *userdata, struct api_view *ret_view);
	/* As kernel_peer_status(). */
	int (*peer_status)(void *userdata, struct kernel_peer_status **ret_peers, size_t *ret_n);
	/* As kernel_last_handshake(). */
	bool (*last_handshake)(void *userdata, const struct wg_key *key,
			       struct kernel_handshake *ret_handshake);
	/* As kernel_count_packets(). */
	int (*count_packets)(void *userdata, struct nft_tally *tally);
	/* As agent_watch_drops(). */
	int (*watch_drops)(void *userdata, void (*fn)(const struct drop *drop, void *fn_userdata),
			   void *fn_userdata);
	/* As agent_link(). */
	struct link *(*link)(void *userdata);
};

/*
 * hooks are borrowed. The lease table of the view must outlive the api. Rechecking the leases, on
 * changes of the map and when something expires, is the owner's to do.
 */
int api_new(sd_event *event, const struct api_hooks *hooks, void *userdata, struct api **ret_api);
/* The same for the agent proper. */
int api_new_for_agent(struct agent *agent, struct api **ret_api);
struct api *api_free(struct api *api);
DEFINE_CLEANUP(struct api *, api_free);

/*
 * The map has changed, or something has expired, and leases were judged anew: so are logins that
 * wait.
 */
void api_recheck(struct api *api);
/* Something about the coordinator's link has changed: who waits for it is told. */
void api_link_changed(struct api *api);

/* Serve a listening socket; the api owns fd, also on failure. */
int api_listen(struct api *api, int fd);
/* Likewise for one that is root's alone. */
int api_listen_root(struct api *api, int fd);
