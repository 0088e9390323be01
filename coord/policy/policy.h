/*
 * The policy compiler: a policy file, the users and the nodes in; packet filters, SSH rules, peers
 * and routes out. Pure: no I/O, no clock, no log. The language is Tailscale's.
 *
 *	policy_parse()		text -> struct policy: checked as far as that goes without nodes
 *	policy_network_parse()	text -> users, nodes and mesh prefixes ("--nodes FILE")
 *	policy_engine_new()	both -> struct policy_engine: all that is asked later
 *	policy_run_tests()	"tests" and "sshTests" of the policy, against the engine
 *	policy_lint()		warnings
 *
 * What is wrong is collected in a struct policy_problems, several at once. A policy is fit for use
 * if policy_parse() returned 0 and policy_run_tests() added no error.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/ip.h"

/* Limits, so that a policy cannot exhaust the host. */
#define POLICY_MAX_BYTES    (2u << 20)
#define POLICY_MAX_DEPTH    16u
#define POLICY_MAX_VALUES   200000u /* JSON values in the file */
#define POLICY_MAX_RULES    4096u   /* in each of acls, grants, ssh, tests, sshTests */
#define POLICY_MAX_TEXT	    1024u   /* bytes of one name, address or message */
#define POLICY_MAX_PROBLEMS 50u	    /* errors, and as many warnings, kept */

/* ------------------------------------------------------------------ problems */

enum policy_severity {
	POLICY_ERROR,	/* the policy is refused */
	POLICY_WARNING, /* it means something that was hardly meant */
};

struct policy_problem {
	enum policy_severity severity;
	unsigned line, column; /* from 1, column in characters; 0: the file as a whole */
	char *text;	       /* "what is wrong; what would be right", fit for a terminal */
};

/* Zero-initialise; policy_problems_done() frees. Sorted by place, errors first. */
struct policy_problems {
	struct policy_problem *items;
	size_t n;
	size_t n_errors, n_warnings; /* found; no more than POLICY_MAX_PROBLEMS each are kept */
};
void policy_problems_done(struct policy_problems *problems);

/* "LINE:COLUMN: text", or "text". Return: the caller's to free; NULL when out of memory. */
char *policy_problem_format(const struct policy_problem *problem);

/* -------------------------------------------------------------------- policy */

struct policy;

/*
 * Parse and check. Errors and the warnings that need no nodes (sections that are ignored, ...) are
 * added to *problems. Return: 0, -EINVAL (with at least one error added), -ENOMEM. *ret_policy is
 * untouched on failure.
 */
int policy_parse(const char *text, size_t len, struct policy_problems *problems,
		 struct policy **ret_policy);

/*
 * Groups of which somebody outside of the policy says who is in them: OpenID providers, by what
 * the coordinator's configuration makes of their groups (peergate-coord.conf(5)). Such a group need
 * not stand in "groups"; if it does, its members are those of there and these together. Who they
 * are, struct policy_user says.
 */
struct policy_mapped {
	char *const *groups; /* "group:engineering", each once */
	size_t n_groups;
	/*
	 * Every other group that is used without being defined is taken too, and has no members: of
	 * a policy that was taken in once, when its group was mapped.
	 */
	bool others;
};
/* policy_parse() with such groups. mapped: NULL: none. */
int policy_parse_mapped(const char *text, size_t len, const struct policy_mapped *mapped,
			struct policy_problems *problems, struct policy **ret_policy);
/* The first group that is used, and neither defined nor mapped; NULL: there is none. Borrowed. */
const char *policy_stray_group(const struct policy *policy);
struct policy *policy_free(struct policy *policy);
DEFINE_CLEANUP(struct policy *, policy_free);

/* Who wants to give a tag: a person, or what bears tags itself; nothing set: an operator. */
struct policy_giver {
	const char *login;   /* NULL */
	unsigned roles;	     /* enum policy_role, of the person */
	char *const *groups; /* of the person, as those of struct policy_user */
	size_t n_groups;
	char *const *tags;
	size_t n_tags;
};

/*
 * May they give a node this tag? Tags that "tagOwners" does not name nobody may give; all others,
 * its owners, operators, and people with the role of an owner, admin or network admin.
 * Return: 0; -EINVAL and *reterr_text (the caller's): they may not, and why; -ENOMEM.
 */
int policy_may_tag(const struct policy *policy, const struct policy_giver *giver, const char *tag,
		   char **reterr_text);

/* ------------------------------------------------------------------- network */

enum policy_role { /* who is meant by autogroup:admin and so on */
		   POLICY_ROLE_OWNER = 1 << 0,
		   POLICY_ROLE_ADMIN = 1 << 1,
		   POLICY_ROLE_NETWORK_ADMIN = 1 << 2,
		   POLICY_ROLE_IT_ADMIN = 1 << 3,
		   POLICY_ROLE_BILLING_ADMIN = 1 << 4,
		   POLICY_ROLE_AUDITOR = 1 << 5,
};

struct policy_user {
	char *login;	/* "alice@example.com" */
	unsigned roles; /* enum policy_role */
	char **groups;	/* "group:engineering": that they are in whatever the policy says */
	size_t n_groups;
};

struct policy_node {
	char *name; /* no two nodes have the same */
	char *user; /* login; NULL for tagged nodes */
	char **tags;
	size_t n_tags;		   /* not 0 for tagged nodes: they belong to nobody */
	struct ip_addr *addresses; /* in the mesh, and of this node alone */
	size_t n_addresses;
	struct ip_prefix *advertised; /* routes the node offers */
	size_t n_advertised;
	struct ip_prefix *approved; /* of these, the ones that somebody or autoApprovers enabled */
	size_t n_approved;
	struct ip_prefix *primary; /* of these, the ones that this node is the main router of */
	size_t n_primary;
};

struct policy_network {
	struct ip_prefix *prefixes; /* of the mesh: what "*" stands for as a source */
	size_t n_prefixes;
	struct policy_user *users; /* their order is that of localpart: rules */
	size_t n_users;
	char **groups; /* for struct policy_mapped; may be without members */
	size_t n_groups;
	struct policy_node *nodes;
	size_t n_nodes;
};

/*
 * Read {"mesh":{"prefixes":[...]}, "users":[{"login", "roles"?, "groups"?}], "nodes":[{"name",
 * "user"|"tags", "addresses" | "ipv4","ipv6", "routable_ips"?, "approved_routes"?,
 * "primary_routes"?}], "groups":[...]}. Other members are ignored. Without "mesh" the prefixes are
 * 100.64.0.0/10 and fd7a:115c:a1e0::/48. "groups" are those that are mapped; the ones that users
 * are in are added to it.
 * On -EINVAL *reterr_text (the caller's) says what is wrong and where. Return: 0, -EINVAL, -ENOMEM.
 */
int policy_network_parse(const char *text, size_t len, char **reterr_text,
			 struct policy_network **ret_network);
struct policy_network *policy_network_free(struct policy_network *network);
DEFINE_CLEANUP(struct policy_network *, policy_network_free);

/*
 * A network in which everybody and every tag that the policy names has one node: what a policy is
 * looked at with when nothing is known about the nodes ("coordctl policy check FILE").
 */
int policy_network_imagine(const struct policy *policy, struct policy_network **ret_network);

/* -------------------------------------------------------------------- engine */

/*
 * A policy applied to a network. Nodes that no rule tells apart form a class; filters are compiled
 * once for each class, who sees whom is a matrix of classes. Nodes come, change and go without the
 * policy being compiled anew.
 */
struct policy_engine;

/* The policy is borrowed and outlives the engine; the network is copied. Return: 0, -ENOMEM. */
int policy_engine_new(const struct policy *policy, const struct policy_network *network,
		      struct policy_engine **ret_engine);
struct policy_engine *policy_engine_free(struct policy_engine *engine);
DEFINE_CLEANUP(struct policy_engine *, policy_engine_free);

/*
 * Add a node, or replace the one of the same name (which keeps its index). A user whom the engine
 * does not know is added, last and without roles. Return: 0, -ENOMEM (nothing changed).
 */
int policy_engine_set_node(struct policy_engine *engine, const struct policy_node *node,
			   uint32_t *ret_index);
/* Return: 0, -ENOENT. */
int policy_engine_remove_node(struct policy_engine *engine, const char *name);

/* Nodes are numbered from 0; a number is used again after its node was removed. */
uint32_t policy_engine_n_indexes(const struct policy_engine *engine);
/* Borrowed; NULL: no node has this index. Valid until the node is changed. */
const struct policy_node *policy_engine_node(const struct policy_engine *engine, uint32_t index);
/* Return: 0, -ENOENT. */
int policy_engine_find(const struct policy_engine *engine, const char *name, uint32_t *ret_index);

struct policy_stats {
	size_t n_nodes, n_classes, n_rules, n_ssh_rules;
};
void policy_engine_stats(const struct policy_engine *engine, struct policy_stats *ret_stats);

/* Text that grows. Zero-initialise; policy_text_done() frees; len = 0 to use it again. */
struct policy_text {
	char *data; /* NUL-terminated once something was appended */
	size_t len, size;
	bool failed; /* out of memory: what was appended since is missing */
};
void policy_text_done(struct policy_text *text);

/*
 * Append the JSON array "packet_filter" or "ssh_rules" of the node's map (peergate-netmap(5)).
 * Return: 0, -ENOMEM.
 */
int policy_filter_json(struct policy_engine *engine, uint32_t node, struct policy_text *out);
int policy_ssh_json(struct policy_engine *engine, uint32_t node, struct policy_text *out);
/* Append the array of addresses that "*" stands for as a source, approved routes aside. As above.
 */
int policy_mesh_json(const struct policy_engine *engine, struct policy_text *out);

/*
 * Changes whenever the text above may have changed; never the same for two texts of a node. Cheap:
 * ask it of those that see a changed node, send what differs.
 */
uint64_t policy_filter_serial(const struct policy_engine *engine, uint32_t node);
uint64_t policy_ssh_serial(const struct policy_engine *engine, uint32_t node);

/* a and b are peers: one of them lets the other in. Symmetric; false for a == b. */
bool policy_sees(const struct policy_engine *engine, uint32_t a, uint32_t b);
/* Indexes of all peers, ascending. The caller frees. Return: 0, -ENOMEM. */
int policy_peers(const struct policy_engine *engine, uint32_t node, uint32_t **ret_peers,
		 size_t *ret_n_peers);
/*
 * Nodes of the same key have, as long as the engine is not changed, the same peers (themselves
 * apart); the same "packet_filter"; the same "ssh_rules".
 */
uint64_t policy_peers_key(const struct policy_engine *engine, uint32_t node);
uint64_t policy_filter_key(const struct policy_engine *engine, uint32_t node);
uint64_t policy_ssh_key(const struct policy_engine *engine, uint32_t node);
/* Are nodes of the same policy_peers_key() as this one peers of each other? */
bool policy_sees_alike(const struct policy_engine *engine, uint32_t node);
/* Routes of the peer that the viewer is told of, sorted. The caller frees. Return: 0, -ENOMEM. */
int policy_peer_routes(const struct policy_engine *engine, uint32_t viewer, uint32_t peer,
		       struct ip_prefix **ret_routes, size_t *ret_n_routes);
/* Of the node's advertised routes, those that autoApprovers enables. As above. */
int policy_auto_approved(const struct policy_engine *engine, const struct policy_node *node,
			 struct ip_prefix **ret_routes, size_t *ret_n_routes);

/* --------------------------------------------------------------- tests, lint */

struct policy_test_result {
	size_t n_tests;	 /* assertions in tests and sshTests */
	size_t n_failed; /* of these */
};

/*
 * Run "tests" and "sshTests"; every failure is an error in *problems. People and tags without a
 * node are tested with an imagined one. Return: 0 (also if tests failed), -ENOMEM.
 */
int policy_run_tests(struct policy_engine *engine, struct policy_problems *problems,
		     struct policy_test_result *ret_result);

/* Add warnings about what the language accepts silently. Return: 0, -ENOMEM. */
int policy_lint(struct policy_engine *engine, struct policy_problems *problems);

/* ------------------------------------------------------------------- explain */

enum policy_verdict {
	POLICY_DENIED,
	POLICY_ALLOWED, /* network: let in; SSH: accept */
	POLICY_CHECK,	/* SSH: let in after a check */
};

/* Logins that a check lets in are never asked for longer ago than this. */
#define POLICY_MAX_CHECK_PERIOD_USEC (UINT64_C(168) * 3600 * 1000000)

struct policy_login {
	enum policy_verdict verdict;
	uint64_t check_period_usec; /* POLICY_CHECK; 0: each login is checked */
};
/*
 * May people log in from one node to the other, as ssh_user? The first rule decides, in the order
 * that agents get them in. ssh_user NULL: whoever they log in as; a rule with a check counts before
 * others, and of these the one with the shortest period above 0. Nodes by index.
 */
void policy_decide_login(const struct policy_engine *engine, uint32_t src, uint32_t dst,
			 const char *ssh_user, struct policy_login *ret_login);

/* What one rule, or no rule, says about some of the pairs that were asked about. */
struct policy_finding {
	enum policy_verdict verdict;
	char *origin;		   /* "acls[0] line 14"; NULL: no rule decides */
	unsigned line, column;	   /* of the rule; 0: no rule */
	char *src_entry;	   /* entry of the rule that covers the source; NULL */
	char *dst_entry;	   /* entry of the rule that covers the destination; NULL */
	char *local_user;	   /* SSH: account; NULL when denied */
	char *why;		   /* one sentence for people */
	size_t n_pairs;		   /* pairs of source and destination node that this is about */
	char *src_name, *dst_name; /* the first of these: name of the node, or address */
};

struct policy_explanation {
	struct policy_finding *findings; /* what lets in first, then by line */
	size_t n_findings;
};
struct policy_explanation *policy_explanation_free(struct policy_explanation *explanation);
DEFINE_CLEANUP(struct policy_explanation *, policy_explanation_free);

/*
 * Which rule lets src reach dst? src and dst: a node's name, an address, a user, a tag, a group, a
 * host, autogroup:member or autogroup:tagged. port 0: any port will do. proto 0: TCP. The first
 * rule in the order of the policy that lets a pair in is the one named for it.
 * Return: 0; -EINVAL with *reterr_text (the caller's): src or dst means nothing, or too many pairs
 * of nodes; -ENOMEM.
 */
int policy_explain_network(struct policy_engine *engine, const char *src, const char *dst,
			   uint16_t port, uint8_t proto, char **reterr_text,
			   struct policy_explanation **ret_explanation);

/* Which SSH rule decides about src logging in to dst as login? The filter plays no part. As above.
 */
int policy_explain_ssh(struct policy_engine *engine, const char *src, const char *login,
		       const char *dst, char **reterr_text,
		       struct policy_explanation **ret_explanation);

/* "tcp", "udp", "icmp", "47" -> IP protocol number. Return: 0, -EINVAL. */
int policy_protocol_parse(const char *text, uint8_t *ret_proto);

/* ---------------------------------------------------------------------- diff */

/* Access that one of two policies gives and the other does not. */
struct policy_diff_item {
	bool gained; /* by the new policy; else lost */
	bool ssh;    /* about SSH rules; else about packets */
	char *src,
		*dst; /* who and where: "alice@example.com", "tag:prod", "10.0.0.0/8", "group..." */
	size_t n_src, n_dst; /* nodes meant by that; 0: an address range outside of the mesh */
	char *what;    /* "tcp 22, udp 53", "all ports"; SSH: "root: check instead of accept" */
	char *text;    /* all of it in plain words */
	unsigned line; /* in the policy that gives the access; 0: none */
};

struct policy_diff {
	struct policy_diff_item *items; /* packets, then SSH; gained, then lost */
	size_t n_items;
	bool truncated; /* more than POLICY_MAX_DIFF differ */
};
#define POLICY_MAX_DIFF 1000u
struct policy_diff *policy_diff_free(struct policy_diff *diff);
DEFINE_CLEANUP(struct policy_diff *, policy_diff_free);

/* Both engines were made of the same network. Return: 0, -EINVAL (they were not), -ENOMEM. */
int policy_diff(struct policy_engine *old_engine, struct policy_engine *new_engine,
		struct policy_diff **ret_diff);
