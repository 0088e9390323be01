/*
 * The network map of one node (peergate-netmap(5)): who the node is, whom it may talk to, its
 * packet filter and its SSH rules. Plain data, immutable once parsed; no I/O here.
 *
 * Successive maps share what a delta leaves as it was (agent/netmap/delta.h): what a node, a rule
 * or a user points to is counted, and freed with the last map that holds it. One thread only.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/ip.h"
#include "common/wgkey.h"

/* Limits, so that a map cannot exhaust the host. */
#define NETMAP_MAX_BYTES     (64u << 20)
#define NETMAP_MAX_PEERS     65536u
#define NETMAP_MAX_ADDRESSES 8u /* per node */
#define NETMAP_MAX_ROUTES    1024u
#define NETMAP_MAX_RULES     16384u
#define NETMAP_MAX_PREFIXES  8u		/* of the mesh */
#define NETMAP_MAX_LIST	     256u	/* endpoints, tags, host keys, users of a rule, ... */
#define NETMAP_MAX_FILTER    (1u << 20) /* prefixes in all packet filter rules together */
#define NETMAP_MAX_ID	     64u	/* bytes of a node id: [A-Za-z0-9._-] */
#define NETMAP_MAX_TEXT	     256u	/* bytes of user names, tags, origins after sanitising */

struct netmap_user {
	char *login; /* "alice@example.com" */
	char *name;  /* "Alice"; may be NULL */
};

/* Whether a peer is there, as the map says. */
enum netmap_presence {
	NETMAP_PRESENCE_UNKNOWN,
	NETMAP_OFFLINE,
	NETMAP_ONLINE,
};

/* A node: this one, or a peer. Fields that only one of them has are marked. */
struct netmap_node {
	char *id;
	char *name; /* single LDH label */
	struct ip_addr *addresses;
	size_t n_addresses;
	char *user; /* login; NULL for tagged nodes */
	char **tags;
	size_t n_tags;
	struct ip_prefix *routes; /* subnets behind the node */
	size_t n_routes;
	uint64_t key_expiry; /* usec since 1970; UINT64_MAX: never */

	bool ssh; /* self: divert tcp/22 of the mesh addresses to the gateway */

	struct wg_key key;	       /* peer */
	struct ip_endpoint *endpoints; /* peer, in order of preference */
	size_t n_endpoints;
	uint16_t keepalive;   /* peer, seconds; 0: none */
	char **ssh_host_keys; /* peer: "TYPE BASE64", validated, no comment */
	size_t n_ssh_host_keys;
	enum netmap_presence presence; /* peer, for display */
	bool no_path;	   /* peer: neither side can reach the other, as far as is known */
	char *path_reason; /* why; NULL: there is one, or nobody says */
	bool key_expired;  /* self: as the coordinator says */
	char *login_url;   /* self: where a new key is to be had; NULL: not said */

	unsigned *refs; /* maps that hold what the pointers above lead to (agent/refs.h) */
};

struct port_range {
	uint16_t first, last;
};

struct filter_dst {
	struct ip_prefix prefix;
	struct port_range ports; /* 0..65535: all, also for protocols without ports */
};

/* One packet filter entry: any src to any dst by any proto is let in. */
struct filter_rule {
	struct ip_prefix *src;
	size_t n_src;
	struct filter_dst *dst;
	size_t n_dst;
	uint8_t *proto; /* IP protocol numbers; none: TCP, UDP, ICMP and ICMPv6 */
	size_t n_proto;
	char *origin; /* "acls[0] line 14"; may be NULL */
};

enum ssh_action {
	SSH_ACTION_REJECT, /* also every action that we do not know */
	SSH_ACTION_ACCEPT,
	SSH_ACTION_CHECK,
};

/* "alice": "alice", "*": "=", "root": "" */
struct ssh_user_map {
	char *ssh_user;	  /* name asked for, or "*" */
	char *local_user; /* account; "=": the same name, not uid 0; "": refused */
};

struct ssh_forwarding {
	bool agent, local, remote;
};

struct ssh_rule {
	struct ip_addr *principals; /* exact mesh addresses, sorted; any: every peer besides */
	size_t n_principals;
	bool any;
	struct ssh_user_map *users;
	size_t n_users;
	enum ssh_action action;
	char *action_text; /* as written, sanitised: for display */
	char **accept_env; /* glob patterns */
	size_t n_accept_env;
	char *origin;	       /* may be NULL */
	uint64_t rule_expires; /* usec since 1970; UINT64_MAX: never */
	char *check_period;    /* display only */
	struct ssh_forwarding forwarding;
	char *force_command;	    /* may be NULL */
	uint64_t idle_timeout_usec; /* 0: none */
	uint64_t max_duration_usec; /* 0: none */
	char *message;		    /* may be NULL */
	bool needs_recorder;	    /* recorders given: refused until recording exists */
};

/* What the coordinator knows a map by, beside its generation: opaque, for resuming its stream. */
struct netmap_tokens {
	char *policy, *filter, *ssh; /* NULL: none */
};

struct netmap {
	uint64_t generation;
	uint64_t issued_at; /* usec since 1970 */
	char *for_node;
	struct netmap_node self;
	char *domain;		    /* "mesh.example" */
	struct ip_prefix *prefixes; /* mesh prefixes */
	size_t n_prefixes;
	struct netmap_user *users; /* sorted by login */
	size_t n_users;
	struct netmap_node *peers; /* sorted by id */
	size_t n_peers;
	struct filter_rule *filter;
	size_t n_filter;
	struct ssh_rule *ssh_rules;
	size_t n_ssh_rules;
	struct netmap_tokens tokens;
	unsigned *users_refs, *filter_refs, *ssh_rules_refs; /* as in struct netmap_node */

	/* Built by the parser. */
	struct netmap_index *index;  /* address -> peer */
	struct ssh_reach *ssh_reach; /* who gets through to tcp/22 here (agent/ssh/reach.h) */
};

/*
 * Parse and validate a full map. source names it in messages ("/etc/peergate/netmap.json").
 * On -EINVAL *reterr_text (the caller's) says what is wrong, where (line, or JSON path), and what
 * would be right; *ret_map is untouched.
 */
int netmap_parse(const char *text, size_t len, const char *source, char **reterr_text,
		 struct netmap **ret_map);
/* The same of JSON that has been parsed already. */
int netmap_from_json(const json_t *document, const char *source, char **reterr_text,
		     struct netmap **ret_map);
struct netmap *netmap_free(struct netmap *map);
DEFINE_CLEANUP(struct netmap *, netmap_free);

/*
 * A peer with the node's own key would be this host: somebody has copied its state directory.
 * Return: 0; -EINVAL and *reterr_text (the caller's; source names the map in it), -ENOMEM.
 */
int netmap_check_own_key(const struct netmap *map, const struct wg_key *own_key, const char *source,
			 char **reterr_text);

/* The peer that owns exactly this address; NULL if none. Borrowed. */
const struct netmap_node *netmap_peer_by_address(const struct netmap *map,
						 const struct ip_addr *addr);
const struct netmap_user *netmap_user_by_login(const struct netmap *map, const char *login);
const struct netmap_node *netmap_peer_by_id(const struct netmap *map, const char *id);
/* Is the peer with this address one of the rule's principals? */
bool ssh_rule_names(const struct ssh_rule *rule, const struct ip_addr *addr);
/* Display name of a node's owner: login, else first tag, else its name. Borrowed. */
const char *netmap_node_owner(const struct netmap_node *node);
bool netmap_is_own_address(const struct netmap *map, const struct ip_addr *addr);
/* The key's expiry has passed: the peer is treated as if it were not in the map. */
bool netmap_node_expired(const struct netmap_node *node, uint64_t now_usec);
