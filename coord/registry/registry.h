/*
 * The domain of the coordinator: nodes, users, keys, enrolment and policy, with their rules. It
 * knows nothing of HTTP and of maps.
 *
 * The state lives in the store; here is the fold of its entries, in memory, kept up to date by a
 * watch. Reading is by plain functions and never waits. Changing is by operations: each decides by
 * the state in memory, writes one transaction whose conditions say that nothing it relied on has
 * changed, and begins anew if something has. The event that tells of it is in the same transaction.
 *
 * What is borrowed from here (records, texts of results) is valid until control returns to the
 * event loop, and until the next operation is started.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "coord/policy/policy.h"
#include "coord/registry/model.h"
#include "coord/store/store.h"

#define REGISTRY_MAX_NODES	  100000u
#define REGISTRY_MAX_USERS	  100000u
#define REGISTRY_MAX_AUTHKEYS	  10000u
#define REGISTRY_MAX_APIKEYS	  1000u
#define REGISTRY_MAX_CONFIRM_SEC  86400u /* that a policy may wait to be confirmed */
#define REGISTRY_MAX_PENDING	  256u
#define REGISTRY_MAX_PENDING_FROM 8u	/* from one address (IPv6: one /64), unless configured */
#define REGISTRY_MAX_POLICIES	  1000u /* versions kept */

struct registry;

/* ----------------------------------------------------------------- beginning */

/* Microseconds since 1970. registry_clock() is the one to use, tests have others. */
typedef uint64_t (*registry_clock_fn)(void);
uint64_t registry_clock(void);

/*
 * People of whom the OpenID provider `issuer` says that they are in its group `value` are in
 * `group` of the policy ("group:engineering").
 */
struct registry_mapping {
	char *issuer, *value, *group;
};

struct registry_config {
	const char *coordinator_key;  /* public, "pgc:...": part of auth keys */
	uint64_t key_lifetime_usec;   /* of node keys; 0: 180 days */
	uint64_t event_lifetime_usec; /* 0: 400 days */
	uint64_t max_events;	      /* 0: 200000 */
	unsigned max_pending_from;    /* from one address; 0: REGISTRY_MAX_PENDING_FROM */
	const struct registry_mapping *mappings;
	size_t n_mappings;
};

/*
 * The state has come, or cannot: status 0; else -EINVAL (an entry that cannot do without is
 * damaged) or what the store said, and text says why. Called once.
 */
typedef void (*registry_ready_fn)(int status, const char *text, void *userdata);
/* Something for the log: an entry that was set aside, a store that does not answer. */
typedef void (*registry_problem_fn)(const char *text, void *userdata);

/*
 * Starts to load; ready may be called before this returns (*ret_registry is set then). store and
 * event are borrowed and outlive the registry. Strings and mappings of the config are copied.
 * Return: 0, negative errno.
 */
int registry_new(struct store *store, sd_event *event, registry_clock_fn clock,
		 const struct registry_config *config, registry_ready_fn ready,
		 registry_problem_fn problem, void *userdata, struct registry **ret_registry);
/*
 * Operations that the store has not answered are answered REGISTRY_UNAVAILABLE from here. Their
 * memory goes when the store answers.
 */
struct registry *registry_free(struct registry *registry);
DEFINE_CLEANUP(struct registry *, registry_free);

/* The last revision whose changes are in memory: the generation of maps made now. */
uint64_t registry_revision(const struct registry *registry);
uint64_t registry_now(const struct registry *registry);
/*
 * Do what is due: unconfirmed policies, keys and enrolments that ran out, ephemeral nodes that have
 * gone, old events. The registry does this by itself, from the event loop.
 */
void registry_tick(struct registry *registry);

/* ------------------------------------------------------------------- reading */

/* NULL: "coordctl init" has not been run. */
const struct mesh_record *registry_mesh(const struct registry *registry);

/* Borrowed; NULL: there is none. */
const struct node_record *registry_node(const struct registry *registry, const char *id);
const struct node_record *registry_node_by_name(const struct registry *registry, const char *name);
/* By id, else by name. */
const struct node_record *registry_find_node(const struct registry *registry, const char *word);
const struct node_record *registry_node_by_machine(const struct registry *registry,
						   const struct ed25519_public *machine);
const struct node_record *registry_node_by_key(const struct registry *registry,
					       const struct wg_key *key);
/* Of the mesh, IPv4 or IPv6. */
const struct node_record *registry_node_by_address(const struct registry *registry,
						   const struct ip_addr *address);
const struct user_record *registry_user(const struct registry *registry, const char *login);
const struct authkey_record *registry_authkey(const struct registry *registry, const char *id);
/* Would this text of an auth key enrol a machine now? */
bool registry_authkey_is_good(const struct registry *registry, const char *text);
const struct apikey_record *registry_apikey(const struct registry *registry, const char *id);
/* Codes are taken as people type them: hyphens and case do not matter. */
const struct pending_record *registry_pending(const struct registry *registry, const char *code);
/* By the secret id that the machine got; one that ran out is not found. */
const struct pending_record *registry_pending_by_secret(const struct registry *registry,
							const char *secret);
/* By the id of its page; likewise. */
const struct pending_record *registry_pending_by_page(const struct registry *registry,
						      const char *page);

/* All of them, by position: 0 <= i < registry_n_...(); sorted by id (users by login). */
size_t registry_n_nodes(const struct registry *registry);
const struct node_record *registry_node_at(const struct registry *registry, size_t i);
size_t registry_n_users(const struct registry *registry);
const struct user_record *registry_user_at(const struct registry *registry, size_t i);
size_t registry_n_authkeys(const struct registry *registry);
const struct authkey_record *registry_authkey_at(const struct registry *registry, size_t i);
size_t registry_n_apikeys(const struct registry *registry);
const struct apikey_record *registry_apikey_at(const struct registry *registry, size_t i);
size_t registry_n_pending(const struct registry *registry);
const struct pending_record *registry_pending_at(const struct registry *registry, size_t i);
/* History of the policy, oldest first, without the texts. */
size_t registry_n_policies(const struct registry *registry);
const struct policy_record *registry_policy_at(const struct registry *registry, size_t i);

/* IPv4, then IPv6. */
void registry_node_addresses(const struct registry *registry, const struct node_record *node,
			     struct ip_addr ret_addresses[2]);
/* 100.64.0.0/10, then the mesh's own /48. There is a mesh. */
void registry_mesh_prefixes(const struct registry *registry, struct ip_prefix ret_prefixes[2]);

/* The policy in force. version 0: the default one. Borrowed until it changes. */
const struct policy_current *registry_policy_current(const struct registry *registry);
const struct policy *registry_policy(const struct registry *registry);

/* Groups of the policy that some mapping leads to: sorted, each once. Borrowed. */
const struct text_list *registry_mapped_groups(const struct registry *registry);
/* All mappings, by position: sorted by group, issuer and value. */
size_t registry_n_mappings(const struct registry *registry);
const struct registry_mapping *registry_mapping_at(const struct registry *registry, size_t i);
/*
 * Those that the user is in by what their providers said last: sorted, each once. The caller's:
 * text_list_done(). Return: 0, -ENOMEM.
 */
int registry_user_groups(const struct registry *registry, const struct user_record *user,
			 struct text_list *ret_groups);

/* Users and nodes as the policy compiler takes them; expired nodes are left out. -ENOMEM. */
int registry_network(const struct registry *registry, struct policy_network **ret_network);
/* One node of these; policy_node_done() (coord/policy/network.h) frees. Return: 0, -ENOMEM. */
int registry_policy_node(const struct registry *registry, const struct node_record *node,
			 struct policy_node *ret_node);
/* Parse a policy, which may use mapped groups. Otherwise as policy_parse(). */
int registry_parse_policy(const struct registry *registry, const char *text, size_t len,
			  struct policy_problems *problems, struct policy **ret_policy);
/*
 * Parse a policy and run its tests on the real nodes. Return: 0 and *ret_policy; -EINVAL with
 * errors in *problems (warnings may be there in both cases); -ENOMEM.
 */
int registry_check_policy(const struct registry *registry, const char *text, size_t len,
			  struct policy_problems *problems, struct policy **ret_policy);

/* Presence, told by who holds the streams; in memory only. Ephemeral nodes depend on it. */
void registry_set_online(struct registry *registry, const char *node, bool online);
bool registry_is_online(const struct registry *registry, const struct node_record *node);
/* When it was last online; 0: not since the coordinator started. */
uint64_t registry_last_seen(const struct registry *registry, const struct node_record *node);

/* ------------------------------------------------------------------- changes */

enum registry_change_kind {
	REGISTRY_RESET, /* anything may have changed: look at everything again */
	REGISTRY_MESH,
	REGISTRY_NODE, /* old and new node; NULL: was added, was removed */
	REGISTRY_USER, /* added, changed or removed; as the following ones */
	REGISTRY_AUTHKEY,
	REGISTRY_APIKEY,
	REGISTRY_PENDING,
	REGISTRY_RENEWAL,
	REGISTRY_CHECK,	 /* a check that is asked for, answered, remembered */
	REGISTRY_POLICY, /* another policy is in force, or it was confirmed */
	REGISTRY_EVENT,	 /* event */
};

struct registry_change {
	enum registry_change_kind kind;
	const char *id; /* of the record */
	const struct node_record *old_node, *new_node;
	const struct event_record *event;
};

/*
 * What one transaction changed; all of it is in memory already. Of an operation, subscribers hear
 * before it is answered. Everything is valid until fn returns. Subscribers may start operations and
 * end subscriptions.
 */
typedef void (*registry_changes_fn)(uint64_t revision, const struct registry_change *changes,
				    size_t n_changes, void *userdata);
struct registry_subscription;
int registry_subscribe(struct registry *registry, registry_changes_fn fn, void *userdata,
		       struct registry_subscription **ret_subscription);
/* Before registry_free(). */
struct registry_subscription *registry_subscription_free(struct registry_subscription *sub);
DEFINE_CLEANUP(struct registry_subscription *, registry_subscription_free);

/* ---------------------------------------------------------------- operations */

enum registry_code {
	REGISTRY_OK,
	REGISTRY_WAITING, /* enrolment: somebody has to approve it */
	REGISTRY_BAD_REQUEST,
	REGISTRY_NOT_ALLOWED,
	REGISTRY_NOT_FOUND,
	REGISTRY_CONFLICT,
	REGISTRY_TOO_LARGE,
	REGISTRY_TOO_MANY,
	REGISTRY_UNAVAILABLE, /* the store's trouble, or no memory: try again later */
	REGISTRY_BAD_AUTH_KEY,
	REGISTRY_BAD_TAG,
	REGISTRY_REJECTED,
	REGISTRY_DENIED, /* a check: the person said no */
	REGISTRY_NODE_KEY_IN_USE,
	REGISTRY_KEY_EXPIRED,
	REGISTRY_POLICY_REFUSED,
	REGISTRY_PRECONDITION_FAILED,
};
/* "bad-request", ...: as PROTOCOL.md has it. */
const char *registry_code_to_string(enum registry_code code);

/* Who asks. All texts are copied. */
struct registry_actor {
	const char *who;   /* "root", "apikey:a...", "node:n...": for the events */
	const char *from;  /* address or "unix"; may be NULL */
	const char *login; /* a person: their own nodes and keys only; NULL: an operator */
	unsigned scopes;   /* what it may hand on in API keys */
};

struct registry_result {
	enum registry_code code;
	const char *text;  /* of a refusal: one line for people; NULL on success */
	uint64_t revision; /* from which on the change is to be seen */
	/* Those that the operation is about; of a removal, NULL. */
	const struct node_record *node;
	const struct user_record *user;
	const struct authkey_record *authkey;
	const struct apikey_record *apikey;
	const struct pending_record *pending;
	const struct checkgrant_record *checkgrant;
	const struct checkreq_record *checkreq;
	const struct policy_record *policy; /* registry_policy_get() */
	const char *secret; /* text of a new key, id of a pending enrolment: shown this once */
	const struct policy_problems *problems; /* REGISTRY_POLICY_REFUSED; also warnings of OK */
	const struct event_record *events;	/* registry_events() */
	size_t n_events;
	bool more;	   /* registry_events(): there are more */
	bool is_unchanged; /* registry_set_policy(): this text was in force already */
};
/*
 * Every operation is answered exactly once, possibly before the function returns. Arguments are
 * copied where they are needed longer.
 */
typedef void (*registry_done_fn)(const struct registry_result *result, void *userdata);

/* Once: the mesh's domain; the ULA prefix is chosen here. CONFLICT: there is one. */
void registry_init_mesh(struct registry *registry, const struct registry_actor *actor,
			const char *domain, registry_done_fn done, void *userdata);

struct registry_enrolment {
	struct ed25519_public machine; /* that signed the request */
	struct wg_key key;
	struct node_facts facts;
	struct text_list tags; /* that the node asks for */
	const char *auth_key;  /* text; NULL */
	struct ip_addr from;   /* for the limits */
};
/*
 * OK: node. WAITING: pending, and secret for registry_pending_by_secret(). A machine that is known,
 * with the node key it has, valid, changes nothing but its facts. Otherwise an auth key or an
 * approval is needed, and id, name and address stay.
 */
void registry_enrol(struct registry *registry, const struct registry_actor *actor,
		    const struct registry_enrolment *enrolment, registry_done_fn done,
		    void *userdata);
/* The same for a pending one: OK, WAITING, REJECTED, NOT_FOUND. Answers at once. */
void registry_enrol_state(struct registry *registry, const char *secret, registry_done_fn done,
			  void *userdata);

/* user, or tags, or neither: then what the machine asked for, or what it belonged to. */
void registry_approve(struct registry *registry, const struct registry_actor *actor,
		      const char *code, const char *user, const struct text_list *tags,
		      registry_done_fn done, void *userdata);
void registry_reject(struct registry *registry, const struct registry_actor *actor,
		     const char *code, registry_done_fn done, void *userdata);

/* {node} is an id, or a name, in all that follow. */

/*
 * Those of the facts that are given (FACT_HOSTNAME, ...), and seen, replace those that are known
 * when it is their turn; nothing is written if they are the same.
 */
void registry_update_facts(struct registry *registry, const struct registry_actor *actor,
			   const char *node, const struct node_facts *facts, unsigned given,
			   registry_done_fn done, void *userdata);
void registry_rotate_key(struct registry *registry, const struct registry_actor *actor,
			 const char *node, const struct wg_key *key, registry_done_fn done,
			 void *userdata);
/* The key is not valid any more; an ephemeral node is deleted. */
void registry_logout(struct registry *registry, const struct registry_actor *actor,
		     const char *node, registry_done_fn done, void *userdata);
void registry_expire_node(struct registry *registry, const struct registry_actor *actor,
			  const char *node, registry_done_fn done, void *userdata);
void registry_delete_node(struct registry *registry, const struct registry_actor *actor,
			  const char *node, registry_done_fn done, void *userdata);

/* What an operator changes of a node; NULL: stays. All of it, or nothing. */
struct registry_node_patch {
	const char *name;
	const struct text_list *tags; /* the node belongs to nobody then. Not with user */
	const char *user;	      /* the node has no tags then */
	const uint64_t *key_expiry;   /* RECORD_NEVER: does not expire */
};
void registry_patch_node(struct registry *registry, const struct registry_actor *actor,
			 const char *node, const struct registry_node_patch *patch,
			 registry_done_fn done, void *userdata);

struct registry_user_patch {
	const char *name;      /* NULL: stays */
	const unsigned *roles; /* enum policy_role; NULL: stay */
};
void registry_add_user(struct registry *registry, const struct registry_actor *actor,
		       const char *login, const struct registry_user_patch *user,
		       registry_done_fn done, void *userdata);
void registry_patch_user(struct registry *registry, const struct registry_actor *actor,
			 const char *login, const struct registry_user_patch *patch,
			 registry_done_fn done, void *userdata);
/* CONFLICT while there are nodes of the user's. Auth keys go along. */
void registry_delete_user(struct registry *registry, const struct registry_actor *actor,
			  const char *login, registry_done_fn done, void *userdata);

struct registry_authkey_request {
	const char *user; /* or tags */
	struct text_list tags;
	bool reusable, ephemeral;
	uint64_t lifetime_usec;	 /* 0: one day; RECORD_NEVER */
	const char *description; /* may be NULL */
};
/* OK: authkey, and its text in secret. */
void registry_create_authkey(struct registry *registry, const struct registry_actor *actor,
			     const struct registry_authkey_request *request, registry_done_fn done,
			     void *userdata);
void registry_revoke_authkey(struct registry *registry, const struct registry_actor *actor,
			     const char *id, registry_done_fn done, void *userdata);

struct registry_apikey_request {
	unsigned scopes;
	uint64_t lifetime_usec;	 /* 0: 90 days; RECORD_NEVER */
	const char *description; /* may be NULL */
};
void registry_create_apikey(struct registry *registry, const struct registry_actor *actor,
			    const struct registry_apikey_request *request, registry_done_fn done,
			    void *userdata);
void registry_revoke_apikey(struct registry *registry, const struct registry_actor *actor,
			    const char *id, registry_done_fn done, void *userdata);
/* The API key of this text, if it is valid now. Return: borrowed; NULL: it is not. */
const struct apikey_record *registry_check_apikey(const struct registry *registry,
						  const char *text);

struct registry_policy_request {
	const char *text;
	size_t len;
	/* PRECONDITION_FAILED unless this is in force; hash NULL: whatever is */
	const uint8_t *if_hash;
	uint64_t if_version;
	uint64_t confirm_within_usec; /* 0: is final */
	const char *comment;	      /* may be NULL */
};
void registry_set_policy(struct registry *registry, const struct registry_actor *actor,
			 const struct registry_policy_request *request, registry_done_fn done,
			 void *userdata);
/* CONFLICT: nothing waits for it. */
void registry_confirm_policy(struct registry *registry, const struct registry_actor *actor,
			     registry_done_fn done, void *userdata);
/* An older version comes into force; 0: the default policy. It is checked as a new one is. */
void registry_rollback_policy(struct registry *registry, const struct registry_actor *actor,
			      uint64_t version, registry_done_fn done, void *userdata);
/* OK: policy, with its text. 0: the default policy. */
void registry_policy_get(struct registry *registry, uint64_t version, registry_done_fn done,
			 void *userdata);

/* Events behind `after` (an id; NULL: from the oldest), oldest first, at most limit (<= 1000). */
void registry_events(struct registry *registry, const char *after, unsigned limit,
		     registry_done_fn done, void *userdata);
/* Tell of something that the registry has no part in (a check that was decided, ...). */
struct registry_event {
	const char *action, *object, *result, *details;
};
void registry_add_event(struct registry *registry, const struct registry_actor *actor,
			const struct registry_event *event, registry_done_fn done, void *userdata);
