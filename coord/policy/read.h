/* Reading the parts of a policy out of its tree. Errors are collected; reading goes on. */
#pragma once

#include "coord/policy/model.h"

struct reader {
	struct policy *policy;
	struct policy_problems *problems;
	const struct policy_mapped *mapped;
	bool no_memory;
};

void read_error(struct reader *rd, struct place at, const char *fmt, ...) _printf_(3, 4);
void read_warn(struct reader *rd, struct place at, const char *fmt, ...) _printf_(3, 4);
/* arena_alloc() that remembers a failure; the caller gives up on NULL. */
void *read_alloc(struct reader *rd, size_t n, size_t size);

/* null and absent count as the same. */
bool is_absent(const struct hujson_value *v);

/*
 * The members of an object: found[i] becomes the member called names[i], or stays NULL. Names are
 * compared without regard to case, as Tailscale does. Others are errors.
 */
void read_members(struct reader *rd, const struct hujson_value *v, const char *const *names,
		  size_t n_names, const struct hujson_value **found);

/* The text of a string, without blanks around it; NULL: reported. what: "a source". */
const char *read_string(struct reader *rd, const struct hujson_value *v, const char *what);
/* NULL unless it is an array of at most max elements (reported); absent is no array. */
const struct hujson_value *read_array(struct reader *rd, const struct hujson_value *v, size_t max,
				      const char *what);
bool read_object(struct reader *rd, const struct hujson_value *v, const char *what);
void read_bool(struct reader *rd, const struct hujson_value *v, const char *what, bool *target);

/* "; did you mean X?", or "": of the names that differ little from what was written. */
const char *read_suggestion(struct reader *rd, const char *written, const char *const *names,
			    size_t n_names);

/* The group's number; STRMAP_NONE: it is neither defined nor mapped, which is reported. */
uint32_t read_group_name(struct reader *rd, const char *name, struct place at);

/* Sections; each takes the section's value, which is not absent. */
void read_groups(struct reader *rd, const struct hujson_value *v);
void read_hosts(struct reader *rd, const struct hujson_value *v);
void read_ipsets(struct reader *rd, const struct hujson_value *v);
void read_tag_owners(struct reader *rd, const struct hujson_value *v);
void read_acls(struct reader *rd, const struct hujson_value *v);
void read_grants(struct reader *rd, const struct hujson_value *v);
void read_ssh(struct reader *rd, const struct hujson_value *v);
void read_auto_approvers(struct reader *rd, const struct hujson_value *v);
void read_tests(struct reader *rd, const struct hujson_value *v);
void read_ssh_tests(struct reader *rd, const struct hujson_value *v);

/* Add a rule that lets packets in. */
void read_add_rule(struct reader *rd, const struct net_rule *rule);
/* All sources of a rule with autogroup:self in dst are people (allow_any: or "*"). */
void read_check_self(struct reader *rd, const struct net_rule *rule, bool allow_any);
