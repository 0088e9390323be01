/*
 * What an agent is given along with a map, keeps, and shows when it connects anew, so that it is
 * told only what has changed since: nothing of it is kept here, and it outlives the coordinator's
 * restart.
 *
 * generation	revision that the map shows
 * policy	hash of whatever decides, nodes' records apart, which peers the node has; and how
 *		the node was reached (reach.h), in clear
 * filter, ssh	hashes of "packet_filter" and "ssh_rules"
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coord/map/reach.h"

#define MAP_HASH_LEN	      12
#define MAP_HASH_SIZE	      17 /* text of a hash with a NUL */
#define MAP_POLICY_TOKEN_SIZE 32 /* of the token "policy" */

struct map_hash {
	uint8_t bytes[MAP_HASH_LEN];
};

struct map_tokens {
	struct map_hash policy, filter, ssh;
	struct reach_view view;
};

/* "resume" of a request for maps, as it came. */
struct map_resume {
	uint64_t generation;
	const char *policy, *filter, *ssh; /* borrowed; NULL: none, which fits nothing */
};

/* Of the SHA-256 of data. Return: 0, -EIO. */
int map_hash_make(const void *data, size_t len, struct map_hash *ret_hash);
bool map_hash_equal(const struct map_hash *a, const struct map_hash *b);

/* Writes MAP_HASH_SIZE, MAP_POLICY_TOKEN_SIZE bytes; return buf. */
char *map_hash_to_string(const struct map_hash *hash, char *buf);
char *map_policy_token(const struct map_tokens *tokens, char *buf);
/* A resume that is none of ours has zeros for what cannot be read, which fit nothing either. */
void map_tokens_parse(const struct map_resume *resume, struct map_tokens *ret_tokens);
