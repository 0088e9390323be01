/*
 * A map from anywhere: parsed, written as known_hosts and as names, and asked about every address
 * and user that it names. What was accepted must hold what netmap.h promises.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/names.h"
#include "agent/netmap/json.h"
#include "agent/netmap/netmap.h"
#include "agent/ssh/known_hosts.h"
#include "agent/ssh/policy.h"
#include "common/names.h"
#include "common/text.h"
#include "tests/unit/netmap-same.h"

#define NOW 1795564800000000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static bool in_mesh(const struct netmap *map, const struct ip_addr *addr)
{
	for (size_t i = 0; i < map->n_prefixes; i++)
		if (ip_prefix_contains(&map->prefixes[i], addr))
			return true;
	return false;
}

static void check_node(const struct netmap *map, const struct netmap_node *node)
{
	for (size_t i = 0; i < node->n_addresses; i++)
		require(in_mesh(map, &node->addresses[i]));
	for (size_t i = 0; i < node->n_routes; i++)
		for (size_t k = 0; k < map->n_prefixes; k++)
			require(!ip_prefix_overlaps(&node->routes[i], &map->prefixes[k]));
}

static void check_peers(const struct netmap *map)
{
	check_node(map, &map->self);
	for (size_t i = 0; i < map->n_peers; i++) {
		const struct netmap_node *peer = &map->peers[i];

		check_node(map, peer);
		require(netmap_peer_by_id(map, peer->id) == peer);
		for (size_t k = 0; k < peer->n_addresses; k++)
			require(netmap_peer_by_address(map, &peer->addresses[k]) == peer);
	}
}

static void check_known_hosts(const struct netmap *map)
{
	_cleanup_free_ char *text = NULL;
	size_t lines = 2, seen = 0;

	for (size_t i = 0; i < map->n_peers; i++)
		lines += map->peers[i].n_ssh_host_keys;
	require(known_hosts_format(map, &text) == 0);
	for (const char *p = text; *p; p++)
		seen += *p == '\n';
	require(seen == lines);
}

/* Of this node and some others: all of them would take too long. */
static void check_names(const struct netmap *map)
{
	size_t n_nodes = 1 + (map->n_peers < 8 ? map->n_peers : 8), len;
	_cleanup_close_ int fd = memfd_create("names", MFD_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	struct names names;

	require(names_of_map(map, &text, &len) == 0);
	require(fd >= 0 && write(fd, text, len) == (ssize_t)len);
	require(names_open_fd(fd, &names) == 0);
	for (size_t i = 0; i < n_nodes; i++) {
		const struct netmap_node *node = i == 0 ? &map->self : &map->peers[i - 1];
		char label[NAMES_MAX_LABEL + 1];
		struct names_host host;

		require(names_label(&names, node->name, label) == 0);
		require(names_find(&names, label, &host) == 0);
		require(host.n_addresses == node->n_addresses);
		for (size_t k = 0; k < node->n_addresses; k++) {
			require(names_find_address(&names, &node->addresses[k], label) == 0);
			require(strcmp(label, node->name) == 0);
		}
	}
}

/* Written and read again it is the same map. */
static void check_written(const struct netmap *map)
{
	_cleanup_(netmap_freep) struct netmap *again = NULL;
	_cleanup_free_ char *text = NULL, *error = NULL;
	size_t len;

	require(netmap_to_json(map, &text, &len) == 0);
	/* Compact, but with what was left out: it may be too large then. */
	if (len > NETMAP_MAX_BYTES)
		return;
	require(netmap_parse(text, len, "m", &error, &again) == 0);
	require(netmap_same(map, again));
}

static void decide(const struct netmap *map, const struct ip_addr *addr, const char *user)
{
	_cleanup_free_ char *text = NULL;
	struct ssh_decision d;

	ssh_policy_decide(map, addr, user, NOW, &d);
	text = ssh_decision_explain(map, &d, user);
	require(text && !text_has_control(text));
	if (d.verdict != SSH_VERDICT_ACCEPT)
		return;
	require(netmap_peer_by_address(map, addr) == d.peer);
	require(d.rule->action == SSH_ACTION_ACCEPT && d.rule->rule_expires > NOW);
	require(ssh_user_is_valid(d.local_user) && d.valid_until > NOW);
	require(!d.nonroot || strcmp(d.local_user, "root") != 0);
}

static void check_decisions(const struct netmap *map)
{
	static const char *const users[] = { "root", "0", "+0", "x", "-x", "\x1b", "" };

	for (size_t i = 0; i < map->n_ssh_rules && i < 8; i++) {
		const struct ssh_rule *rule = &map->ssh_rules[i];

		for (size_t k = 0; k < rule->n_principals && k < 8; k++) {
			for (size_t u = 0; u < ARRAY_SIZE(users); u++)
				decide(map, &rule->principals[k], users[u]);
			for (size_t u = 0; u < rule->n_users && u < 8; u++)
				decide(map, &rule->principals[k], rule->users[u].ssh_user);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(netmap_freep) struct netmap *map = NULL;
	_cleanup_free_ char *error = NULL;
	int r;

	r = netmap_parse((const char *)data, size, "m", &error, &map);
	require(r == 0 || (error && !map && !text_has_control(error)));
	if (r < 0)
		return 0;
	check_peers(map);
	check_known_hosts(map);
	check_names(map);
	check_written(map);
	check_decisions(map);
	return 0;
}
