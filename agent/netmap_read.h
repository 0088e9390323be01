/* Parts of the map parser: readers (common/json.h) for the values and sections of a map. */
#pragma once

#include "agent/netmap.h"
#include "common/json.h"
#include "common/json_values.h"

/* Identifiers are compared and looked up: what does not fit is refused. */
int netmap_read_id(const json_t *v, const struct json_at *at, void *target /* char ** */,
		   struct json_report *rep);
/* Logins, tags, account names, patterns: 1..NETMAP_MAX_TEXT bytes without control characters. */
int netmap_read_word(const json_t *v, const struct json_at *at, void *target /* char ** */,
		     struct json_report *rep);
/* The same check for the name of a member. Return: 0, -EINVAL (reported), -ENOMEM. */
int netmap_check_word(const char *word, const struct json_at *at, struct json_report *rep);

/* Text that is only shown: cleaned and cut instead of refused. */
int netmap_read_text(const json_t *v, const struct json_at *at, void *target /* char ** */,
		     struct json_report *rep);

/* Sections; target is the struct netmap. */
int netmap_read_filter(const json_t *v, const struct json_at *at, void *target,
		       struct json_report *rep);
int netmap_read_ssh_rules(const json_t *v, const struct json_at *at, void *target,
			  struct json_report *rep);

/* Release what one rule holds, half-built ones included. */
void filter_rule_done(struct filter_rule *rule);
void ssh_rule_done(struct ssh_rule *rule);

/*
 * What one value cannot show: uniqueness, overlaps, addresses within the mesh. Wants the peers in
 * the order of the document, for the paths in its reports.
 */
int netmap_check(const struct netmap *map, struct json_report *rep);
