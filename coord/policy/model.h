/* A parsed policy: names, selectors, rules and tests, each with its place. Immutable once parsed.
 */
#pragma once

#include "coord/policy/arena.h"
#include "coord/policy/hujson.h"
#include "coord/policy/policy.h"
#include "coord/policy/problem.h"
#include "coord/policy/range.h"
#include "coord/policy/strmap.h"

/* What an entry of src, dst, owners or approvers can be. */
enum selector_kind {
	SEL_ANY,	/* "*" */
	SEL_DANGER_ALL, /* autogroup:danger-all: also beyond the mesh */
	SEL_USER,	/* alice@example.com */
	SEL_DOMAIN,	/* user:*@example.com */
	SEL_GROUP,	/* group:x */
	SEL_TAG,	/* tag:x */
	SEL_MEMBER,	/* autogroup:member: all untagged nodes */
	SEL_TAGGED,	/* autogroup:tagged */
	SEL_ROLE,	/* autogroup:admin, ... */
	SEL_SHARED,	/* autogroup:shared: nobody, since nodes are not shared here */
	SEL_SELF,	/* autogroup:self */
	SEL_INTERNET,	/* autogroup:internet */
	SEL_RANGES,	/* address, prefix, range, host or ipset */
};

#define SEL_NONE UINT32_MAX

/* Selectors of the same text are one. Their number in policy->selectors stands for them. */
struct selector {
	enum selector_kind kind;
	const char *text;	 /* as written, without blanks around it */
	const char *domain;	 /* SEL_DOMAIN */
	uint32_t group;		 /* SEL_GROUP: into policy->groups */
	unsigned role;		 /* SEL_ROLE */
	struct range_set ranges; /* SEL_RANGES; in the arena */
	bool from_name;		 /* SEL_RANGES: a host or an ipset */
	bool is_prefix; /* SEL_RANGES: more than one bare address, or written with a length */
};

struct group {
	const char *name;
	const char **members; /* logins that the policy lists */
	size_t n_members;
	struct place at; /* in "groups"; zeroed if it is not there */
	bool mapped;	 /* others say of people that they are in it (struct policy_mapped) */
};

struct host {
	const char *name;
	struct range range;
	bool is_prefix; /* written with a length */
};

struct ipset {
	const char *name;
	struct range_set ranges;
	const struct hujson_value *source;
	int state; /* see names.c */
};

/* One entry of a list of selectors. */
struct entry {
	uint32_t sel;
	const char *text;
	struct place at;
};

struct ports {
	uint16_t first, last;
};

struct port_list {
	const struct ports *items;
	size_t n;
};

struct dst_entry {
	struct entry entry;
	struct port_list ports;
};

enum section {
	SECTION_DEFAULT, /* neither acls nor grants: everybody may do everything */
	SECTION_ACLS,
	SECTION_GRANTS,
	SECTION_SSH,
	SECTION_TESTS,
	SECTION_SSH_TESTS,
};

/* What lets packets in. A grant with several protocols becomes several of these. */
struct net_rule {
	enum section section;
	uint32_t index; /* in its section */
	struct place at;
	const struct entry *src;
	size_t n_src;
	const struct dst_entry *dst;
	size_t n_dst;
	const uint8_t *protos; /* none: the default four */
	size_t n_protos;
};

enum policy_ssh_action {
	POLICY_SSH_ACCEPT,
	POLICY_SSH_CHECK,
};

struct login_name {
	const char *name;
	struct place at;
};

struct ssh_rule_model {
	uint32_t index;
	struct place at;
	enum policy_ssh_action action;
	const struct entry *src, *dst;
	size_t n_src, n_dst;
	const struct login_name *logins; /* literal names, "root" included */
	size_t n_logins;
	const struct login_name *localparts; /* domains of localpart:*@domain */
	size_t n_localparts;
	bool root, nonroot;
	struct place nonroot_at;
	const char *check_period; /* as written; NULL: the default */
	struct place check_period_at;
	uint64_t check_period_usec; /* 0: always */
	const char **accept_env;
	size_t n_accept_env;
	const struct entry *recorders;
	size_t n_recorders;
	bool enforce_recorder;
	bool says_forwarding; /* the next three are not just what is there by default */
	bool forward_agent, forward_local, forward_remote;
	const char *force_command, *message;
	struct place force_command_at;
	uint64_t idle_timeout_usec, max_duration_usec; /* 0: none */
};

/* tests: one source to one host and port */
struct net_target {
	struct entry entry;
	uint16_t port;
	bool deny;
};

struct net_test {
	uint32_t index;
	struct place at;
	struct entry src;
	const struct net_target *targets;
	size_t n_targets;
	uint8_t proto; /* 0: TCP or UDP */
};

enum ssh_expectation {
	EXPECT_ACCEPT,
	EXPECT_CHECK,
	EXPECT_DENY,
};

struct ssh_assertion {
	const char *login;
	struct place at;
	enum ssh_expectation expect;
};

struct ssh_test {
	uint32_t index;
	struct place at;
	struct entry src;
	const struct entry *dst;
	size_t n_dst;
	const struct ssh_assertion *assertions;
	size_t n_assertions;
};

struct route_approver {
	struct range range;
	const struct entry *approvers;
	size_t n_approvers;
};

/* Who may give a tag. */
struct tag_owners {
	const struct hujson_value *source; /* while reading */
	const struct entry *entries;
	size_t n;
};

struct policy {
	struct arena arena;
	struct hujson *doc; /* strings are borrowed from it */

	struct selector *selectors;
	size_t n_selectors, size_selectors;
	struct strmap selector_map; /* by text */

	struct group *groups; /* those of the section, then others in the order of their use */
	size_t n_groups, size_groups;
	struct strmap group_map;
	struct host *hosts;
	size_t n_hosts;
	struct strmap host_map;
	struct ipset *ipsets;
	size_t n_ipsets;
	struct strmap ipset_map;
	const char **tags;
	struct tag_owners *tag_owners; /* of each */
	size_t n_tags;
	struct strmap tag_map;

	struct net_rule *rules; /* acls, then grants */
	size_t n_rules, size_rules;
	struct ssh_rule_model *ssh; /* in the order of the file */
	size_t n_ssh;
	struct net_test *tests;
	size_t n_tests;
	struct ssh_test *ssh_tests;
	size_t n_ssh_tests;
	struct route_approver *route_approvers;
	size_t n_route_approvers;
	const struct entry *exit_approvers;
	size_t n_exit_approvers;
};

const struct selector *entry_selector(const struct policy *policy, const struct entry *entry);
/* "acls", "grants", ... */
const char *section_to_string(enum section section);
/* Does the user, or the tag, fall under the selector? */
bool selector_matches_user(const struct policy *policy, const struct selector *sel,
			   const struct policy_user *user);
bool selector_matches_tag(const struct selector *sel, const char *tag);
/* The login is of this domain: "alice@example.com", "example.com". */
bool login_has_domain(const char *login, const char *domain);
