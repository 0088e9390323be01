#include "coord/map/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "coord/map/history.h"
#include "coord/map/world.h"
#include "coord/map/write.h"

#define RETRY_USEC USEC_PER_SEC

struct map {
	struct registry *registry;
	struct map_config config;
	struct world *world;
	struct streams *streams;
	struct history *history;
	struct registry_subscription *subscription;
	sd_event_source *timer;
	bool reload; /* something could not be handed in: hand in everything */
	uint64_t reload_at;
	uint8_t policy_hash[SHA256_LEN]; /* of the one that was handed in */
	bool has_policy;
};

static void complain(const struct map *map, const char *text)
{
	if (map->config.problem)
		map->config.problem(text, map->config.userdata);
}

/* ---- time ---- */

static void set_timer(struct map *map)
{
	uint64_t now = clock_usec(CLOCK_MONOTONIC);
	uint64_t due = streams_due(map->streams, now, registry_now(map->registry));

	if (map->reload && map->reload_at < due)
		due = map->reload_at;
	sd_event_source_set_time(map->timer, due);
	sd_event_source_set_enabled(map->timer,
				    due == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static void on_wake(void *userdata)
{
	set_timer(userdata);
}

static void on_presence(const char *node, bool online, void *userdata)
{
	struct map *map = userdata;

	registry_set_online(map->registry, node, online);
}

/* ---- what the registry has ---- */

static int hand_in_mesh(struct map *map)
{
	const struct mesh_record *mesh = registry_mesh(map->registry);
	struct ip_prefix prefixes[2];

	if (!mesh)
		return WORLD_SAME;
	registry_mesh_prefixes(map->registry, prefixes);
	return world_set_mesh(map->world, mesh->domain, prefixes);
}

static int hand_in_node(struct map *map, const struct node_record *node)
{
	struct ip_addr addresses[2];

	if (!registry_mesh(map->registry))
		return WORLD_SAME;
	registry_node_addresses(map->registry, node, addresses);
	return world_set_node(map->world, node, addresses);
}

static int set_user(struct map *map, const struct user_record *user)
{
	_cleanup_(text_list_done) struct text_list groups = { 0 };
	int r = registry_user_groups(map->registry, user, &groups);

	return r < 0 ? r : world_set_user(map->world, user, &groups);
}

static int hand_in_user(struct map *map, const char *login, uint64_t revision)
{
	const struct user_record *user = registry_user(map->registry, login);

	return user ? set_user(map, user) : world_remove_user(map->world, login, revision);
}

/* Confirmed, it is the same as before. */
static int hand_in_policy(struct map *map)
{
	const struct policy_current *current = registry_policy_current(map->registry);
	int r;

	if (map->has_policy && memcmp(map->policy_hash, current->hash, SHA256_LEN) == 0)
		return WORLD_SAME;
	r = world_set_policy(map->world, current->text, strlen(current->text));
	if (r == -EINVAL) {
		complain(map,
			 "the policy in the store cannot be read; the last one stays in force");
		return WORLD_SAME;
	}
	if (r < 0)
		return r;
	memcpy(map->policy_hash, current->hash, SHA256_LEN);
	map->has_policy = true;
	return r;
}

static int max_int(int a, int b)
{
	return a > b ? a : b;
}

static int remove_gone(struct map *map)
{
	uint64_t revision = registry_revision(map->registry);
	int urgency = WORLD_SAME;

	for (size_t i = 0; i < map->world->n_nodes; i++) {
		const struct world_node *node = map->world->nodes[i];

		if (node && !registry_node(map->registry, node->id))
			urgency =
				max_int(urgency, world_remove_node(map->world, node->id, revision));
	}
	for (size_t i = 0; i < map->world->n_users; i++)
		if (!registry_user(map->registry, map->world->users[i].login))
			urgency = max_int(urgency,
					  world_remove_user(map->world, map->world->users[i].login,
							    revision));
	return urgency;
}

/* Return: the highest urgency; -ENOMEM. */
static int hand_in_all(struct map *map)
{
	int urgency = hand_in_mesh(map), r = urgency;

	for (size_t i = 0; r >= 0 && i < registry_n_users(map->registry); i++) {
		r = set_user(map, registry_user_at(map->registry, i));
		urgency = max_int(urgency, r);
	}
	for (size_t i = 0; r >= 0 && i < registry_n_nodes(map->registry); i++) {
		r = hand_in_node(map, registry_node_at(map->registry, i));
		urgency = max_int(urgency, r);
	}
	if (r >= 0) {
		r = hand_in_policy(map);
		urgency = max_int(urgency, r);
	}
	return r < 0 ? r : max_int(urgency, remove_gone(map));
}

static void note(struct map *map, int urgency, uint64_t revision)
{
	if (urgency < 0) {
		map->reload = true;
		map->reload_at = clock_usec(CLOCK_MONOTONIC) + RETRY_USEC;
		set_timer(map);
		return;
	}
	world_set_revision(map->world, revision);
	if (urgency != WORLD_SAME)
		streams_changed(map->streams, urgency == WORLD_URGENT, clock_usec(CLOCK_MONOTONIC));
}

static void reload(struct map *map)
{
	map->reload = false;
	note(map, hand_in_all(map), registry_revision(map->registry));
}

static int hand_in_change(struct map *map, uint64_t revision, const struct registry_change *change)
{
	switch (change->kind) {
	case REGISTRY_RESET:
	case REGISTRY_MESH:
		return hand_in_all(map);
	case REGISTRY_NODE:
		return change->new_node ? hand_in_node(map, change->new_node)
					: world_remove_node(map->world, change->id, revision);
	case REGISTRY_USER:
		return hand_in_user(map, change->id, revision);
	case REGISTRY_POLICY:
		return hand_in_policy(map);
	case REGISTRY_AUTHKEY:
	case REGISTRY_APIKEY:
	case REGISTRY_PENDING:
	case REGISTRY_RENEWAL:
	case REGISTRY_CHECK:
	case REGISTRY_EVENT:
		return WORLD_SAME;
	}
	return WORLD_SAME;
}

static void on_changes(uint64_t revision, const struct registry_change *changes, size_t n_changes,
		       void *userdata)
{
	struct map *map = userdata;
	int urgency = WORLD_SAME;

	for (size_t i = 0; i < n_changes; i++) {
		int r = hand_in_change(map, revision, &changes[i]);

		urgency = r < 0 || urgency < 0 ? -ENOMEM : max_int(urgency, r);
	}
	note(map, urgency, revision);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct map *map = userdata;
	uint64_t now = clock_usec(CLOCK_MONOTONIC);

	if (map->reload && map->reload_at <= now)
		reload(map);
	streams_run(map->streams, now, registry_now(map->registry));
	set_timer(map);
	return 0;
}

/* ---- beginning and end ---- */

static int begin(struct map *map, sd_event *event, struct store *store)
{
	const struct streams_config config = { .key = map->config.key,
					       .max_streams = map->config.max_streams,
					       .max_full = map->config.max_full,
					       .on_presence = on_presence,
					       .on_wake = on_wake,
					       .userdata = map };
	int r = world_new(&map->world);

	if (r == 0)
		r = history_new(store, map->world, &map->history);
	if (r == 0)
		r = streams_new(map->world, &config, &map->streams);
	/* A tick of the loop is exact enough for all but keys that expire. */
	if (r == 0)
		r = sd_event_add_time(event, &map->timer, CLOCK_MONOTONIC, UINT64_MAX, 1000,
				      on_timer, map);
	if (r < 0)
		return r;
	reload(map);
	return registry_subscribe(map->registry, on_changes, map, &map->subscription);
}

int map_new(sd_event *event, struct registry *registry, struct store *store,
	    const struct map_config *config, struct map **ret_map)
{
	_cleanup_(map_freep) struct map *map = calloc(1, sizeof(*map));
	int r;

	if (!map)
		return -ENOMEM;
	map->registry = registry;
	map->config = *config;
	r = begin(map, event, store);
	if (r < 0)
		return r;
	*ret_map = take_ptr(map);
	return 0;
}

struct map *map_free(struct map *map)
{
	if (!map)
		return NULL;
	registry_subscription_free(map->subscription);
	streams_free(map->streams);
	history_free(map->history);
	world_free(map->world);
	sd_event_source_disable_unref(map->timer);
	free(map);
	return NULL;
}

void map_stop(struct map *map)
{
	streams_stop(map->streams);
}

/* ---- streams ---- */

int map_open(struct map *map, const struct stream_request *request, struct stream **ret_stream)
{
	return stream_new(map->streams, request, registry_now(map->registry), ret_stream);
}

int map_start(struct map *map, struct stream *stream, const struct stream_sink_ops *ops, void *sink)
{
	int r = stream_start(stream, ops, sink, clock_usec(CLOCK_MONOTONIC));

	if (r == 0)
		set_timer(map);
	return r;
}

/* ---- looking at it ---- */

/* What has only just been changed takes effect. */
static void catch_up(struct map *map)
{
	uint64_t now = clock_usec(CLOCK_MONOTONIC), wall = registry_now(map->registry);

	if (!world_is_pending(map->world, wall))
		return;
	streams_changed(map->streams, true, now);
	streams_run(map->streams, now, wall);
}

int map_show(struct map *map, const char *id, struct http_buf **ret_json)
{
	_cleanup_(map_frame_unrefp) struct map_frame *frame = NULL;
	struct world_node *node;
	struct map_viewer ignored;
	int r;

	catch_up(map);
	node = world_find(map->world, id);
	if (!node)
		return -ENOENT;
	if (!node->exists)
		return -EAGAIN;
	r = map_write_full(map->world, node, &ignored, &frame);
	if (r == 0)
		*ret_json = http_buf_ref(frame->line);
	return r;
}

int map_decide_login(struct map *map, const char *source, const char *target, const char *ssh_user,
		     struct policy_login *ret_login)
{
	const struct world_node *src, *dst;

	catch_up(map);
	/* What was in force before is nothing to let people in by. */
	if (map->reload || !map->world->now.engine ||
	    world_is_pending(map->world, registry_now(map->registry)))
		return -EAGAIN;
	src = world_find(map->world, source);
	dst = world_find(map->world, target);
	if (!src || !dst || src->index == WORLD_NONE || dst->index == WORLD_NONE)
		*ret_login = (struct policy_login){ .verdict = POLICY_DENIED };
	else
		policy_decide_login(map->world->now.engine, src->index, dst->index, ssh_user,
				    ret_login);
	return 0;
}

void map_get_stats(const struct map *map, struct map_stats *ret_stats)
{
	const struct world *w = map->world;
	struct map_stats stats = { .generation = w->generation,
				   .removed = w->removed.n,
				   .removed_from = w->removed.from };
	struct policy_stats policy = { 0 };

	streams_get_stats(map->streams, &stats.streams);
	for (size_t i = 0; i < w->n_nodes; i++) {
		stats.nodes += w->nodes[i] && w->nodes[i]->exists;
		stats.nodes_expired += w->nodes[i] && w->nodes[i]->expired;
	}
	if (w->now.engine)
		policy_engine_stats(w->now.engine, &policy);
	stats.classes = policy.n_classes;
	stats.rules = policy.n_rules;
	stats.ssh_rules = policy.n_ssh_rules;
	*ret_stats = stats;
}
