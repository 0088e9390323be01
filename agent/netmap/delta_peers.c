/*
 * The peers of a delta's result are put together from those of the base that nothing is said of,
 * those that come whole, and those that are patched, in this order.
 */
#include "agent/netmap/delta_peers.h"

#include <errno.h>
#include <string.h>

#include "agent/netmap/json.h"

/* What a delta says of peers. */
struct change {
	const struct netmap *base;
	bool *gone; /* of each peer of base: it is not in the result, or not as it was */
	struct netmap_node *changed, *patched;
	size_t n_changed, n_patched;
};

int netmap_delta_stale(int r)
{
	return r == -EINVAL ? -ESTALE : r;
}

static void set_gone(struct change *change, const struct netmap_node *peer)
{
	if (peer)
		change->gone[peer - change->base->peers] = true;
}

/* One that is not there has been removed already. */
static int read_removed(const json_t *v, const struct json_at *at, void *target,
			struct json_report *rep)
{
	struct change *change = target;
	const json_t *element;
	size_t i;

	if (!json_is_array(v))
		return json_fail_type(rep, at, "an array", v);
	json_array_foreach (v, i, element) {
		const struct json_at element_at = { .parent = at, .index = i };
		_cleanup_free_ char *id = NULL;
		int r = netmap_read_id(element, &element_at, &id, rep);

		if (r < 0)
			return r;
		set_gone(change, netmap_peer_by_id(change->base, id));
	}
	return 0;
}

static int read_changed(const json_t *v, const struct json_at *at, void *target,
			struct json_report *rep)
{
	struct change *change = target;
	int r = json_read_array(v, at, NETMAP_MAX_PEERS, sizeof(struct netmap_node),
				netmap_read_peer, &change->changed, &change->n_changed, rep);

	for (size_t i = 0; r == 0 && i < change->n_changed; i++)
		set_gone(change, netmap_peer_by_id(change->base, change->changed[i].id));
	return r;
}

/* The peer that is to be patched; NULL: reported, and *ret_error. */
static const struct netmap_node *find_patched(const struct change *change, const json_t *patch,
					      const struct json_at *at, struct json_report *rep,
					      int *ret_error)
{
	static const struct json_field fields[] = { { "id", netmap_read_id, 0, JSON_REQUIRED } };
	const struct json_at id_at = { .parent = at, .key = "id" };
	_cleanup_free_ char *id = NULL;
	const struct netmap_node *peer;

	*ret_error = json_read_object(patch, at, fields, ARRAY_SIZE(fields), &id, rep);
	if (*ret_error < 0)
		return NULL;
	peer = netmap_peer_by_id(change->base, id);
	if (!peer)
		*ret_error = netmap_delta_stale(
			json_fail(rep, &id_at,
				  "there is no peer \"%s\" to be patched; expected "
				  "one of the map in force",
				  id));
	else if (change->gone[peer - change->base->peers])
		*ret_error = json_fail(rep, &id_at,
				       "peer \"%s\" is removed, changed or patched by this delta "
				       "already; expected one change of a peer",
				       id);
	return *ret_error < 0 ? NULL : peer;
}

/* The peer as it is written, with members replaced, read anew: null means what it means in a map.
 */
static int patch_peer(const struct netmap_node *peer, const json_t *patch, const struct json_at *at,
		      struct netmap_node *node, struct json_report *rep)
{
	_cleanup_free_ char *text = NULL;
	json_auto_t *whole = NULL;
	json_error_t error;
	size_t len;
	int r;

	r = netmap_peer_to_json(peer, &text, &len);
	if (r == 0)
		r = json_load(text, len, 0, &error, &whole);
	if (r < 0)
		return r;
	if (json_object_update(whole, (json_t *)patch) < 0)
		return -ENOMEM;
	return netmap_read_peer(whole, at, node, rep);
}

static int read_patch(struct change *change, const json_t *patch, const struct json_at *at,
		      struct json_report *rep)
{
	const struct netmap_node *peer;
	int r = 0;

	peer = find_patched(change, patch, at, rep, &r);
	if (!peer)
		return r;
	set_gone(change, peer);
	return patch_peer(peer, patch, at, &change->patched[change->n_patched++], rep);
}

static int read_patched(const json_t *v, const struct json_at *at, void *target,
			struct json_report *rep)
{
	struct change *change = target;
	size_t n = json_array_size(v);

	if (!json_is_array(v))
		return json_fail_type(rep, at, "an array", v);
	if (n > NETMAP_MAX_PEERS)
		return json_fail(rep, at, "has %zu elements; at most %u are allowed", n,
				 NETMAP_MAX_PEERS);
	change->patched = calloc(n + 1, sizeof(*change->patched));
	if (!change->patched)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct json_at patch_at = { .parent = at, .index = i };
		int r = read_patch(change, json_array_get(v, i), &patch_at, rep);

		if (r < 0)
			return r;
	}
	return 0;
}

static size_t count_kept(const struct change *change)
{
	size_t n = 0;

	for (size_t i = 0; i < change->base->n_peers; i++)
		n += !change->gone[i];
	return n;
}

/* What the delta brings moves into the map. */
static void move_nodes(struct netmap *map, struct netmap_node *nodes, size_t *n)
{
	if (*n > 0)
		memcpy(&map->peers[map->n_peers], nodes, *n * sizeof(*nodes));
	map->n_peers += *n;
	*n = 0;
}

static int gather_peers(struct change *change, const struct json_at *at, struct json_report *rep,
			struct netmap *map, struct netmap_places *ret_places)
{
	const struct json_at changed_at = { .parent = at, .key = "peers_changed" };
	const struct netmap_places places = { count_kept(change), change->n_changed };
	size_t n = places.n_kept + change->n_changed + change->n_patched;

	if (n > NETMAP_MAX_PEERS)
		return json_fail(rep, &changed_at,
				 "makes %zu peers, with those before; at most %u are allowed", n,
				 NETMAP_MAX_PEERS);
	map->peers = calloc(n + 1, sizeof(*map->peers));
	if (!map->peers)
		return -ENOMEM;
	for (size_t i = 0; i < change->base->n_peers; i++)
		if (!change->gone[i])
			map->peers[map->n_peers++] = netmap_node_share(&change->base->peers[i]);
	move_nodes(map, change->changed, &change->n_changed);
	move_nodes(map, change->patched, &change->n_patched);
	*ret_places = places;
	return 0;
}

static void change_done(struct change *change)
{
	for (size_t i = 0; i < change->n_changed; i++)
		netmap_node_done(&change->changed[i]);
	for (size_t i = 0; i < change->n_patched; i++)
		netmap_node_done(&change->patched[i]);
	free(change->changed);
	free(change->patched);
	free(change->gone);
}

int netmap_delta_read_peers(const json_t *delta, const struct netmap *base,
			    const struct json_at *at, struct json_report *rep, struct netmap *map,
			    struct netmap_places *ret_places)
{
	static const struct json_field fields[] = {
		{ "peers_removed", read_removed, 0, 0 },
		{ "peers_changed", read_changed, 0, 0 },
		{ "peers_patched", read_patched, 0, 0 },
	};
	struct change change = { .base = base };
	int r = -ENOMEM;

	change.gone = calloc(base->n_peers + 1, sizeof(*change.gone));
	if (change.gone)
		r = json_read_object(delta, at, fields, ARRAY_SIZE(fields), &change, rep);
	if (r == 0)
		r = gather_peers(&change, at, rep, map, ret_places);
	change_done(&change);
	return r;
}
