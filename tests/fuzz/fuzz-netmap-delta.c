/*
 * A stream of maps from anywhere: whole ones and deltas, one a line, each applied to what came of
 * those before. What a delta makes of a map is a map that would have been accepted whole, and says
 * the same; what is refused leaves the map as it was.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/netmap/delta.h"
#include "agent/netmap/json.h"
#include "agent/ssh/reach.h"
#include "common/text.h"
#include "tests/unit/delta-text.h"
#include "tests/unit/netmap-same.h"

#define MAX_LINES 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char first_map[] =
	"{\"type\":\"full\",\"version\":1,\"for\":\"n1\",\"generation\":1,\"self\":{\"id\":\"n1\","
	"\"name\":\"a\","
	"\"addresses\":[\"100.64.0.1\"]},\"mesh\":{\"domain\":\"m.example\",\"prefixes\":[\"100.64."
	"0.0/10\"]},"
	"\"users\":{\"u\":{\"name\":\"U\"}},\"peers\":[{\"id\":\"n2\",\"name\":\"b\",\"addresses\":"
	"[\"100.64.0.2\"],"
	"\"node_key\":\"dHdvMnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI=\",\"user\":\"u\","
	"\"routes\":[\"10.1.0.0/"
	"16\"],\"endpoints\":[\"192.0.2.7:51820\"]},{\"id\":\"n3\",\"name\":\"c\","
	"\"addresses\":[\"100.64.0.3\"],\"node_key\":\"dGhyZWV0aHJlZXRocmVldGhyZWV0aHJlZXRocmVldGg="
	"\","
	"\"tags\":[\"tag:t\"]}],\"packet_filter\":[{\"src\":[\"*\"],\"dst\":[{\"ip\":\"*\","
	"\"ports\":[22,22]}]}],"
	"\"ssh_rules\":[{\"principals\":[\"*\"],\"users\":{\"*\":\"=\"},\"action\":\"accept\"}],"
	"\"tokens\":{\"policy\":\"p\",\"filter\":\"f\",\"ssh\":\"s\"}}";

static void require(bool ok)
{
	if (!ok)
		abort();
}

static char *written(const struct netmap *map, size_t *ret_len)
{
	char *text = NULL;

	require(netmap_to_json(map, &text, ret_len) == 0);
	return text;
}

static void check_lookups(const struct netmap *map, const struct netmap *whole)
{
	for (size_t i = 0; i < map->n_peers; i++) {
		const struct netmap_node *peer = &map->peers[i];

		require(netmap_peer_by_id(map, peer->id) == peer);
		require(ssh_reach_has_node(map->ssh_reach, peer) ==
			ssh_reach_has_node(whole->ssh_reach, peer));
		for (size_t k = 0; k < peer->n_addresses; k++)
			require(netmap_peer_by_address(map, &peer->addresses[k]) == peer);
	}
	for (size_t i = 0; i < map->n_users; i++)
		require(netmap_user_by_login(map, map->users[i].login) == &map->users[i]);
}

static void check_result(const struct netmap *map)
{
	_cleanup_(netmap_freep) struct netmap *whole = NULL;
	_cleanup_free_ char *text = NULL, *error = NULL;
	size_t len;

	text = written(map, &len);
	/* Compact, but with what was left out: it may be too large then. */
	if (len > NETMAP_MAX_BYTES)
		return;
	require(netmap_parse(text, len, "m", &error, &whole) == 0);
	require(netmap_same(map, whole));
	check_lookups(map, whole);
}

/* Return: the map in force from now on; old is consumed. */
static struct netmap *next_map(struct netmap *old, const char *line, size_t len)
{
	_cleanup_free_ char *error = NULL, *before = NULL, *after = NULL;
	struct netmap *map = NULL;
	size_t len_before, len_after;
	int r;

	if (netmap_parse(line, len, "m", &error, &map) == 0) {
		netmap_free(old);
		return map;
	}
	free(take_ptr(error));
	before = written(old, &len_before);
	r = delta_parse(old, line, len, "m", &error, &map);
	after = written(old, &len_after);
	require(len_before == len_after && memcmp(before, after, len_before) == 0);
	if (r < 0) {
		require(!map && error && !text_has_control(error));
		return old;
	}
	require(map->generation >= old->generation && strcmp(map->for_node, old->for_node) == 0);
	netmap_free(old);
	check_result(map);
	return map;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *line = (const char *)data, *end = line + size;
	struct netmap *map = NULL;
	char *error = NULL;

	require(netmap_parse(first_map, sizeof(first_map) - 1, "m", &error, &map) == 0);
	for (unsigned i = 0; i < MAX_LINES && line < end; i++) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		size_t len = (size_t)((newline ? newline : end) - line);

		map = next_map(map, line, len);
		line += len + 1;
	}
	netmap_free(map);
	return 0;
}
