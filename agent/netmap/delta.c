/*
 * The peers of the result are put together from those of the base that nothing is said of, those
 * that come whole, and those that are patched, in this order; then everything is checked by the
 * same code as a whole map.
 */
#include "agent/netmap/delta.h"

#include <errno.h>
#include <string.h>

#include "agent/netmap/delta_peers.h"
#include "agent/netmap/index.h"
#include "agent/netmap/read.h"
#include "agent/refs.h"
#include "common/text.h"

/* A delta while it is applied. */
struct change {
	const struct netmap *base;
	struct netmap *map; /* the result, as far as it has come */
};

/* ---- the head ---- */

struct head {
	char *type, *for_node;
	uint64_t version;
};

static int check_head(const struct head *head, const struct netmap *base, const struct json_at *at,
		      struct json_report *rep)
{
	const struct json_at type_at = { .parent = at, .key = "type" };
	const struct json_at version_at = { .parent = at, .key = "version" };
	const struct json_at for_at = { .parent = at, .key = "for" };

	if (strcmp(head->type, "delta") != 0)
		return json_fail(rep, &type_at, "\"%s\" is no change of a map; expected \"delta\"",
				 head->type);
	if (head->version != 1)
		return json_fail(rep, &version_at,
				 "%llu needs a newer agent; this one understands version 1",
				 (unsigned long long)head->version);
	if (head->for_node && strcmp(head->for_node, base->for_node) != 0)
		return netmap_delta_stale(
			json_fail(rep, &for_at,
				  "the delta is for node \"%s\", the map in force for "
				  "\"%s\"",
				  head->for_node, base->for_node));
	return 0;
}

static int read_head(const json_t *delta, const struct netmap *base, const struct json_at *at,
		     struct json_report *rep)
{
	static const struct json_field fields[] = {
		{ "type", json_read_string, offsetof(struct head, type), JSON_REQUIRED },
		{ "version", json_read_u64, offsetof(struct head, version), 0 },
		{ "for", netmap_read_id, offsetof(struct head, for_node), 0 },
	};
	struct head head = { .version = 1 };
	int r = json_read_object(delta, at, fields, ARRAY_SIZE(fields), &head, rep);

	if (r == 0)
		r = check_head(&head, base, at, rep);
	free(head.type);
	free(head.for_node);
	return r;
}

static int read_generation(const json_t *delta, struct change *change, const struct json_at *at,
			   struct json_report *rep)
{
	static const struct json_field fields[] = {
		{ "generation", json_read_u64, offsetof(struct netmap, generation), JSON_REQUIRED },
	};
	const struct json_at generation_at = { .parent = at, .key = "generation" };
	int r = json_read_object(delta, at, fields, ARRAY_SIZE(fields), change->map, rep);

	if (r < 0 || change->map->generation >= change->base->generation)
		return r;
	return netmap_delta_stale(json_fail(rep, &generation_at,
					    "%llu is older than %llu, which is in force",
					    (unsigned long long)change->map->generation,
					    (unsigned long long)change->base->generation));
}

/* ---- sections: replaced, or the base's ---- */

static int keep_issued_at(struct netmap *map, const struct netmap *base)
{
	map->issued_at = base->issued_at;
	return 0;
}

static int read_issued_at(const json_t *v, const struct json_at *at, void *target,
			  struct json_report *rep)
{
	struct netmap *map = target;

	return json_read_time(v, at, &map->issued_at, rep);
}

static int keep_self(struct netmap *map, const struct netmap *base)
{
	map->self = netmap_node_share(&base->self);
	return 0;
}

static int keep_mesh(struct netmap *map, const struct netmap *base)
{
	map->domain = strdup(base->domain);
	map->prefixes = calloc(base->n_prefixes, sizeof(*map->prefixes));
	if (!map->domain || !map->prefixes)
		return -ENOMEM;
	memcpy(map->prefixes, base->prefixes, base->n_prefixes * sizeof(*map->prefixes));
	map->n_prefixes = base->n_prefixes;
	return 0;
}

/* The map's own count goes, and it holds the base's part as well. */
static void share_refs(unsigned **refs, unsigned *of_base)
{
	refs_drop(*refs);
	*refs = refs_take(of_base);
}

static int keep_users(struct netmap *map, const struct netmap *base)
{
	share_refs(&map->users_refs, base->users_refs);
	map->users = base->users;
	map->n_users = base->n_users;
	return 0;
}

static int keep_filter(struct netmap *map, const struct netmap *base)
{
	share_refs(&map->filter_refs, base->filter_refs);
	map->filter = base->filter;
	map->n_filter = base->n_filter;
	return 0;
}

static int keep_ssh_rules(struct netmap *map, const struct netmap *base)
{
	share_refs(&map->ssh_rules_refs, base->ssh_rules_refs);
	map->ssh_rules = base->ssh_rules;
	map->n_ssh_rules = base->n_ssh_rules;
	return 0;
}

static int copy_text(const char *from, char **to)
{
	if (!from)
		return 0;
	*to = strdup(from);
	return *to ? 0 : -ENOMEM;
}

static int keep_tokens(struct netmap *map, const struct netmap *base)
{
	int r = copy_text(base->tokens.policy, &map->tokens.policy);

	if (r == 0)
		r = copy_text(base->tokens.filter, &map->tokens.filter);
	if (r == 0)
		r = copy_text(base->tokens.ssh, &map->tokens.ssh);
	return r;
}

static const struct {
	const char *name;
	unsigned flags;	   /* as for a whole map */
	json_read_fn read; /* target: the struct netmap */
	int (*keep)(struct netmap *map, const struct netmap *base);
} sections[] = {
	{ "issued_at", JSON_NULLABLE, read_issued_at, keep_issued_at },
	{ "self", 0, netmap_read_self, keep_self },
	{ "mesh", 0, netmap_read_mesh, keep_mesh },
	{ "users", JSON_NULLABLE, netmap_read_users, keep_users },
	{ "packet_filter", 0, netmap_read_filter, keep_filter },
	{ "ssh_rules", 0, netmap_read_ssh_rules, keep_ssh_rules },
	{ "tokens", JSON_NULLABLE, netmap_read_tokens, keep_tokens },
};

/* What the delta says of it; NULL: nothing. */
static const json_t *section_of(const json_t *delta, size_t i)
{
	const json_t *v = json_object_get(delta, sections[i].name);

	return v && json_is_null(v) && (sections[i].flags & JSON_NULLABLE) ? NULL : v;
}

/*
 * Tokens stand for what they came with. Where they would not be true any more there are none: what
 * was in force before may be so again when the map is resumed, and its tokens would hide from the
 * coordinator that this delta came.
 */
static bool ends_tokens(const json_t *delta)
{
	const json_t *tokens = json_object_get(delta, "tokens");

	return tokens ? json_is_null(tokens)
		      : json_object_get(delta, "packet_filter") ||
				json_object_get(delta, "ssh_rules");
}

static int read_sections(const json_t *delta, struct change *change, const struct json_at *at,
			 struct json_report *rep)
{
	int r = copy_text(change->base->for_node, &change->map->for_node);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(sections); i++) {
		const struct json_at member = { .parent = at, .key = sections[i].name };
		const json_t *v = section_of(delta, i);

		r = v ? sections[i].read(v, &member, change->map, rep)
		      : sections[i].keep(change->map, change->base);
	}
	if (ends_tokens(delta))
		netmap_tokens_done(&change->map->tokens);
	return r;
}

/* ---- users: those that are named come or change, the others stay ---- */

static int copy_user(struct netmap *map, const struct netmap_user *user)
{
	struct netmap_user *copy = &map->users[map->n_users++];
	int r = copy_text(user->login, &copy->login);

	return r < 0 ? r : copy_text(user->name, &copy->name);
}

static int add_old_users(struct netmap *map, const struct netmap *base)
{
	struct netmap_user *room;
	size_t n_new = map->n_users;

	room = reallocarray(map->users, n_new + base->n_users + 1, sizeof(*room));
	if (!room)
		return -ENOMEM;
	memset(room + n_new, 0, (base->n_users + 1) * sizeof(*room));
	map->users = room;
	for (size_t i = 0; i < base->n_users; i++) {
		const struct netmap named = { .users = room, .n_users = n_new };
		int r;

		if (netmap_user_by_login(&named, base->users[i].login))
			continue;
		r = copy_user(map, &base->users[i]);
		if (r < 0)
			return r;
	}
	netmap_sort_users(map);
	return 0;
}

static int merge_users(const struct change *change, const struct json_at *at,
		       struct json_report *rep)
{
	const struct json_at users_at = { .parent = at, .key = "users" };
	int r;

	if (change->map->users == change->base->users)
		return 0;
	r = add_old_users(change->map, change->base);
	if (r == 0 && change->map->n_users > NETMAP_MAX_PEERS)
		return json_fail(rep, &users_at,
				 "makes %zu users of them, with those before; at most %u are "
				 "allowed",
				 change->map->n_users, NETMAP_MAX_PEERS);
	return r;
}

/* ---- all of it ---- */

static int read_delta(const json_t *delta, struct change *change, struct json_report *rep,
		      size_t *ret_n_kept)
{
	struct netmap_places places = { 0 };
	const struct json_at root = { 0 };
	int r;

	r = read_head(delta, change->base, &root, rep);
	if (r == 0)
		r = read_generation(delta, change, &root, rep);
	if (r == 0)
		r = read_sections(delta, change, &root, rep);
	if (r == 0)
		r = merge_users(change, &root, rep);
	if (r == 0)
		r = netmap_delta_read_peers(delta, change->base, &root, rep, change->map, &places);
	*ret_n_kept = places.n_kept;
	return r < 0 ? r : netmap_check(change->map, &places, rep);
}

int netmap_delta_from_json(const struct netmap *base, const json_t *delta, const char *source,
			   char **reterr_text, struct netmap **ret_map)
{
	_cleanup_(json_report_done) struct json_report rep = { 0 };
	_cleanup_(netmap_freep) struct netmap *map = NULL;
	struct change change = { .base = base };
	size_t n_kept;
	int r;

	r = netmap_new(&map);
	if (r < 0)
		return r;
	change.map = map;
	r = read_delta(delta, &change, &rep, &n_kept);
	if (r < 0)
		return netmap_report(r, source, &rep, reterr_text);
	r = netmap_finish(map, n_kept);
	if (r < 0)
		return r;
	*ret_map = take_ptr(map);
	return 0;
}
