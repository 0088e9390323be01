/*
 * Maps: what each node is told. Follows the registry, and serves the nodes that are connected.
 *
 *	registry ── changes ──> world.h (nodes, policy) ── flush ──> streams.h ──> sinks
 *
 * A full map and what has changed since a generation follow from the records and the policy alone
 * (world.h), so agents resume after a restart of the coordinator as they do after one of theirs.
 */
#pragma once

#include <systemd/sd-event.h>

#include "coord/http/http.h"
#include "coord/map/streams.h"
#include "coord/registry/registry.h"
#include "coord/store/store.h"

struct map;

struct map_config {
	const struct ed25519_key *key;	/* the coordinator's; borrowed */
	unsigned max_streams, max_full; /* 0: as in struct streams_config */
	/* Something for the log; may be NULL. */
	void (*problem)(const char *text, void *userdata);
	void *userdata;
};

/*
 * The registry is ready. It and the store (for its history: which nodes were removed of late) are
 * borrowed and outlive the map. Return: 0, -ENOMEM, negative errno of sd-event.
 */
int map_new(sd_event *event, struct registry *registry, struct store *store,
	    const struct map_config *config, struct map **ret_map);
struct map *map_free(struct map *map);
DEFINE_CLEANUP(struct map *, map_free);

/* As stream_new() and stream_start(), which say what they return. */
int map_open(struct map *map, const struct stream_request *request, struct stream **ret_stream);
int map_start(struct map *map, struct stream *stream, const struct stream_sink_ops *ops,
	      void *sink);
/* The same into the answer to a request; sink.c. Also -ENOTCONN: the client is gone. */
int map_start_http(struct map *map, struct stream *stream, struct http_request *request);

/*
 * The full map that the node gets now, as one line without an authenticator ("coordctl debug map").
 * Return: 0 and *ret_json (the caller's reference, with a newline at its end); -ENOENT; -EAGAIN:
 * there was no memory to bring it up to date; -ENOMEM, -EIO.
 */
int map_show(struct map *map, const char *node, struct http_buf **ret_json);

/*
 * May somebody log in from one node to the other, by the policy and the nodes of this moment? Ids;
 * as policy_decide_login(). Nodes that are in nobody's map are denied. Return: 0; -EAGAIN: it
 * cannot be said now, for want of memory or of a mesh.
 */
int map_decide_login(struct map *map, const char *source, const char *target, const char *ssh_user,
		     struct policy_login *ret_login);

/* Tell all that the coordinator stops; what is queued still goes out. */
void map_stop(struct map *map);

struct map_stats {
	struct streams_stats streams;
	size_t nodes, nodes_expired, classes, rules, ssh_rules;
	uint64_t generation;
	size_t removed;	       /* that are remembered */
	uint64_t removed_from; /* resumes from before this generation get a full map */
};
void map_get_stats(const struct map *map, struct map_stats *ret_stats);
