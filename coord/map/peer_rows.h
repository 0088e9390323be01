/* Peers as rows of bits, worked out once for all nodes that have the same (policy_peers_key()). */
#pragma once

#include "coord/map/world.h"

struct peer_rows_item {
	uint64_t key;
	uint64_t *row; /* NULL: unused */
};

/* Zero-initialise, but for engine and n_slots; peer_rows_done() frees. */
struct peer_rows {
	const struct world_engine *engine;
	size_t n_slots;
	struct peer_rows_item *items; /* hashed by key; size is a power of two */
	size_t n, size;
};
void peer_rows_done(struct peer_rows *rows);
/*
 * Slots of the peers of the node with this index; its own bit means nothing. *ret_row is borrowed
 * until peer_rows_done(). Return: 0, -ENOMEM.
 */
int peer_rows_get(struct peer_rows *rows, uint32_t index, const uint64_t **ret_row);
