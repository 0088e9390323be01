/* The parts of the api among themselves. */
#pragma once

#include <jansson.h>

#include "agent/api/api.h"
#include "agent/nft/tally.h"
#include "agent/stats.h"
#include "common/json.h"
#include "common/varlink.h"

/* What one answer lists at most, so that it stays far below VARLINK_MAX_MESSAGE. */
#define API_PAGE_ITEMS 8192u
/* The kernel is not asked more often than this, whoever calls. */
#define API_KERNEL_AGE_USEC 1000000u
/* Who holds a lease hears at least this often that it does; three times that is silence. */
#define API_KEEP_INTERVAL_USEC 10000000u

/* ---- sets of peers, by name (nodes.c) ---- */

struct node_set {
	const struct netmap_node **nodes;
	size_t n, n_alloc;
};
int node_set_add(struct node_set *set, const struct netmap_node *node);
/* Order by owner, then name; each node once. */
void node_set_sort(struct node_set *set);
void node_set_done(struct node_set *set);
/* Arrays of at most max names; what did not fit is added to *omitted. */
json_t *node_set_names(const struct node_set *set, size_t max, size_t *omitted);
json_t *node_set_owners(const struct node_set *set, size_t max, size_t *omitted);

/* ---- the policy as a whole, at one time (digest.c) ---- */

struct api_digest {
	bool made;
	uint64_t map_serial, made_usec, until_usec; /* what it was made of, and how long it holds */

	size_t n_alive;		     /* peers that have not expired */
	struct node_set unreachable; /* of these: the packet filter keeps them from tcp/22 here */
	struct node_set unruled;     /* let through to tcp/22, but no rule names them */

	size_t n_admitting;   /* rules that name a peer and are no reject */
	size_t n_checks;      /* of these, with "check" */
	size_t n_recorders;   /* of these, with recorders */
	size_t n_unreachable; /* of these, naming peers that the packet filter keeps out */
};

struct api {
	const struct api_hooks *hooks;
	void *userdata;
	struct varlink_server *server;
	struct lease_table *leases;
	struct stats *stats;
	struct kernel_peer_status *peer_status; /* sorted by key */
	size_t n_peer_status;
	uint64_t peer_status_usec; /* CLOCK_MONOTONIC; 0: never read */
	struct api_digest digest;
	struct link_waiter *link_waiters; /* link.c */
	struct varlink_call *logout_call; /* NULL: nobody waits */
	struct check_call *check_calls;	  /* check.c: logins that wait for a check */
	struct early_check *early_checks; /* check_login.c */
	json_t *link_said;		  /* what subscribers know of it */
	sd_event_source *alive;		  /* on while there are leases */
	unsigned alive_slice;
	struct subscriber *subscribers; /* sessions.c */
	struct nft_tally tally;
	uint64_t tally_usec; /* CLOCK_MONOTONIC; 0: never looked at */
	struct drop_watch *drop_watches;
	struct drop_samples *drop_samples; /* while there are such */
	sd_event *event;
};

void api_view(struct api *api, struct api_view *ret_view);
/* Root, and the members of the agent's own group. */
bool api_caller_is_operator(struct varlink_call *call);
/* Tells the subscribers. */
extern const struct lease_observer api_session_observer;

/* ---- signs of life (alive.c) ---- */

/* Return: 0, negative errno. */
int api_alive_init(struct api *api, sd_event *event);
/* There is a lease whose holder is to hear that we live. */
void api_alive_start(struct api *api);

/* ---- checks (check.c, check_login.c) ---- */

void api_check_done(struct api *api);
void api_check_login_done(struct api *api);

/* ---- parameters (params.c) ---- */

enum {
	API_ANSWERED = 1, /* with InvalidParameter */
};
/* Read parameters by a table. Return: 0, API_ANSWERED, -ENOMEM. */
int api_read_params(struct varlink_call *call, const json_t *params,
		    const struct json_field *fields, size_t n_fields, void *target);
/* Readers: struct ip_addr, struct wg_key, port 1..65535 into uint16_t, text up to 256 bytes. */
int api_read_address(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep);
int api_read_key(const json_t *v, const struct json_at *at, void *target, struct json_report *rep);
int api_read_port(const json_t *v, const struct json_at *at, void *target, struct json_report *rep);
int api_read_short_text(const json_t *v, const struct json_at *at, void *target,
			struct json_report *rep);
/* The one parameter of methods that answer in parts. Return: as api_read_params(). */
int api_read_first(struct varlink_call *call, const json_t *params, size_t *ret_first);

/* ---- values (json.c); each NULL when out of memory ---- */

json_t *api_json_node(const struct netmap *map, const struct netmap_node *node, uint64_t now_usec);
json_t *api_json_addresses(const struct ip_addr *addresses, size_t n);
/* "ADDRESS/LENGTH", a host without its length; buf of IP_PREFIX_STRLEN. */
const char *api_prefix_text(const struct ip_prefix *prefix, char *buf);
json_t *api_json_prefixes(const struct ip_prefix *prefixes, size_t n);
json_t *api_json_texts(char *const *texts, size_t n);
/* Absent: UINT64_MAX. */
json_t *api_json_end(uint64_t usec);
json_t *api_json_options(const struct ssh_rule *rule);
/* Answer with object, which is stolen; NULL is -ENOMEM. */
int api_reply(struct varlink_call *call, json_t *object);
/* As above, with a "next" unless all n were listed. */
int api_reply_page(struct varlink_call *call, json_t *object, size_t next, size_t n);

/* ---- for both ExplainFlow and ExplainSSH (explain.c) ---- */

struct flow_answer;
/* An end of a flow: an address, or all of a node's. */
struct api_end {
	struct ip_addr addresses[NETMAP_MAX_ADDRESSES];
	size_t n_addresses;
};
/* An address, or the name of a node; NULL: this host. Return: 0, -ENOENT. */
int api_resolve(const struct netmap *map, const char *text, struct api_end *ret_end);
/* Answer with the error UnknownNode. */
int api_unknown_node(struct varlink_call *call, const char *name);
/* NULL when out of memory. has_ports: the protocol has some. */
json_t *api_json_flow(const struct netmap *map, const struct flow_answer *answer, bool has_ports);

/* ---- methods ---- */

int api_whois(struct varlink_call *call, const json_t *params, void *userdata);
int api_status(struct varlink_call *call, const json_t *params, void *userdata);
int api_get_peers(struct varlink_call *call, const json_t *params, void *userdata);
int api_get_filter(struct varlink_call *call, const json_t *params, void *userdata);
int api_get_ssh_policy(struct varlink_call *call, const json_t *params, void *userdata);
int api_get_known_hosts(struct varlink_call *call, const json_t *params, void *userdata);
int api_get_metrics(struct varlink_call *call, const json_t *params, void *userdata);
int api_watch_drops(struct varlink_call *call, const json_t *params, void *userdata);
int api_authorize_ssh(struct varlink_call *call, const json_t *params, void *userdata);
int api_resume_ssh(struct varlink_call *call, const json_t *params, void *userdata);
int api_list_sessions(struct varlink_call *call, const json_t *params, void *userdata);
int api_kill_session(struct varlink_call *call, const json_t *params, void *userdata);
int api_subscribe(struct varlink_call *call, const json_t *params, void *userdata);
int api_check_login(struct varlink_call *call, const json_t *params, void *userdata);
int api_explain_flow(struct varlink_call *call, const json_t *params, void *userdata);
int api_explain_ssh(struct varlink_call *call, const json_t *params, void *userdata);
int api_up(struct varlink_call *call, const json_t *params, void *userdata);
int api_down(struct varlink_call *call, const json_t *params, void *userdata);
int api_login(struct varlink_call *call, const json_t *params, void *userdata);
int api_logout(struct varlink_call *call, const json_t *params, void *userdata);
int api_set(struct varlink_call *call, const json_t *params, void *userdata);

/* ---- the coordinator's link (link.c) ---- */

/* As Status and Subscribe have it. NULL: no memory. */
json_t *api_json_link(const struct link *link);
/* Return: 0, -ENOMEM. */
int api_link_warnings(const struct link *link, json_t *warnings);
/* Nobody waits any more; after the server has gone. */
void api_link_done(struct api *api);
/* Tell subscribers who asked for it, if it is news (sessions.c). */
void api_publish_link(struct api *api, const struct link *link);

/* Read the table's counters, unless that has just been done. Return: 0, negative errno. */
int api_refresh_tally(struct api *api);
/* Nobody is told any more; before the server goes. */
void api_drops_done(struct api *api);

/* ---- for both Status and GetSSHPolicy ---- */

/* Borrowed from the api; the view has a map. Return: 0, -ENOMEM. */
int api_digest(struct api *api, const struct api_view *view, const struct api_digest **ret_digest);
/* The same without an api to keep it; api_digest_done() is due in any case. Return: 0, -ENOMEM. */
int api_digest_make(const struct netmap *map, uint64_t now_usec, struct api_digest *digest);
void api_digest_done(struct api_digest *digest);
/*
 * Add the warnings that a map deserves (agent/api/warnings.h). can_check: there is a coordinator.
 * Return: 0, -ENOMEM.
 */
int api_map_warnings(const struct netmap *map, uint64_t now_usec, const struct api_digest *digest,
		     bool can_check, json_t *warnings);
/* Rules that let nobody in need no packet filter rule. */
bool api_rule_admits(const struct ssh_rule *rule, uint64_t now_usec);
/* [{code, message}]: what is wrong with the host or its policy. */
json_t *api_warnings(struct api *api, const struct api_view *view);
