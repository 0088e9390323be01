/* Parts of the map parser: readers (common/json.h) for the values and sections of a map. */
#pragma once

#include "agent/netmap/netmap.h"
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

/* A map without anything in it, to be read into. Return: 0, -ENOMEM. */
int netmap_new(struct netmap **ret_map);

/* Parse a document's text. Return: as netmap_parse(); *ret_document is the caller's. */
int netmap_load_json(const char *text, size_t len, const char *source, char **reterr_text,
		     json_t **ret_document);
/* Make "SOURCE: REPORT" the caller's text, if something was reported. Return: error, -ENOMEM. */
int netmap_report(int error, const char *source, const struct json_report *rep, char **reterr_text);

/* Sections; target is the struct netmap. */
int netmap_read_self(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep);
int netmap_read_mesh(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep);
int netmap_read_users(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep);
int netmap_read_tokens(const json_t *v, const struct json_at *at, void *target,
		       struct json_report *rep);
int netmap_read_filter(const json_t *v, const struct json_at *at, void *target,
		       struct json_report *rep);
int netmap_read_ssh_rules(const json_t *v, const struct json_at *at, void *target,
			  struct json_report *rep);

/* A peer; target is a struct netmap_node, zeroed. */
int netmap_read_peer(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep);

/* The same node, for one more map; it was read to its end. */
struct netmap_node netmap_node_share(const struct netmap_node *node);

/* Release what one of them holds, half-built ones included. */
void netmap_node_done(struct netmap_node *node);
void netmap_tokens_done(struct netmap_tokens *tokens);
void filter_rule_done(struct filter_rule *rule);
void ssh_rule_done(struct ssh_rule *rule);

/*
 * Where the peers of a delta's result come from, in this order: kept from the map before, changed,
 * patched.
 */
struct netmap_places {
	size_t n_kept, n_changed;
};

/*
 * What one value cannot show: uniqueness, overlaps, addresses within the mesh. Wants the peers in
 * the order of the document, for the paths in its reports: that of a whole map (places NULL), or of
 * a delta.
 */
int netmap_check(const struct netmap *map, const struct netmap_places *places,
		 struct json_report *rep);
