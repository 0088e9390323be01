/*
 * The policy as a whole: which peers and rules have only one of the two rights that a login needs.
 * Every rule and every peer has to be looked at for that, so it is done once for each map, and
 * again when something has expired: not for each of the callers, who can be anybody.
 */
#include <errno.h>
#include <string.h>

#include "agent/api/internal.h"
#include "agent/netmap/expiry.h"
#include "agent/ssh/reach.h"

/* What is known of each peer while the digest is made. */
struct peer_state {
	bool expired;
	bool reaches; /* the packet filter lets it through to tcp/22 here */
	bool ruled;   /* a rule names it */
};

bool api_rule_admits(const struct ssh_rule *rule, uint64_t now_usec)
{
	return rule->action != SSH_ACTION_REJECT && rule->rule_expires > now_usec;
}

static int judge_peers(const struct netmap *map, uint64_t now_usec, struct api_digest *digest,
		       struct peer_state *states)
{
	int r = 0;

	for (size_t i = 0; i < map->n_peers && r == 0; i++) {
		struct peer_state *state = &states[i];

		state->expired = netmap_node_expired(&map->peers[i], now_usec);
		state->reaches = ssh_reach_has_node(map->ssh_reach, &map->peers[i]);
		if (state->expired)
			continue;
		digest->n_alive++;
		if (!state->reaches)
			r = node_set_add(&digest->unreachable, &map->peers[i]);
	}
	node_set_sort(&digest->unreachable);
	return r;
}

/* Does the rule name a peer that has not expired, and one of these that cannot reach us? */
static void look_at_principals(const struct netmap *map, const struct ssh_rule *rule,
			       struct peer_state *states, bool *ret_named, bool *ret_unreachable)
{
	*ret_named = *ret_unreachable = false;
	for (size_t i = 0; i < rule->n_principals; i++) {
		const struct netmap_node *peer = netmap_peer_by_address(map, &rule->principals[i]);
		struct peer_state *state;

		if (!peer)
			continue;
		state = &states[peer - map->peers];
		state->ruled = true;
		*ret_named |= !state->expired;
		*ret_unreachable |= !state->expired && !state->reaches;
	}
}

static void count_rule(const struct netmap *map, const struct ssh_rule *rule, uint64_t now_usec,
		       struct api_digest *digest, struct peer_state *states)
{
	bool named, unreachable;

	look_at_principals(map, rule, states, &named, &unreachable);
	if (rule->any) {
		named = digest->n_alive > 0;
		unreachable = digest->unreachable.n > 0;
	}
	if (!named || !api_rule_admits(rule, now_usec))
		return;
	digest->n_admitting++;
	digest->n_checks += rule->action == SSH_ACTION_CHECK;
	digest->n_recorders += rule->needs_recorder;
	digest->n_unreachable += unreachable;
}

static int collect_unruled(const struct netmap *map, const struct peer_state *states,
			   struct api_digest *digest)
{
	int r = 0;

	for (size_t i = 0; i < map->n_ssh_rules; i++)
		if (map->ssh_rules[i].any)
			return 0;
	for (size_t i = 0; i < map->n_peers && r == 0; i++)
		if (!states[i].ruled && !states[i].expired && states[i].reaches)
			r = node_set_add(&digest->unruled, &map->peers[i]);
	node_set_sort(&digest->unruled);
	return r;
}

int api_digest_make(const struct netmap *map, uint64_t now_usec, struct api_digest *digest)
{
	_cleanup_free_ struct peer_state *states = NULL;
	int r;

	states = calloc(map->n_peers + 1, sizeof(*states));
	if (!states)
		return -ENOMEM;
	r = judge_peers(map, now_usec, digest, states);
	if (r < 0)
		return r;
	for (size_t i = 0; i < map->n_ssh_rules; i++)
		count_rule(map, &map->ssh_rules[i], now_usec, digest, states);
	return collect_unruled(map, states, digest);
}

void api_digest_done(struct api_digest *digest)
{
	node_set_done(&digest->unreachable);
	node_set_done(&digest->unruled);
	*digest = (struct api_digest){ 0 };
}

static bool digest_holds(const struct api_digest *digest, const struct api_view *view)
{
	return digest->made && digest->map_serial == view->map_serial &&
	       view->now_usec >= digest->made_usec && view->now_usec < digest->until_usec;
}

int api_digest(struct api *api, const struct api_view *view, const struct api_digest **ret_digest)
{
	struct api_digest *digest = &api->digest;
	int r;

	if (!digest_holds(digest, view)) {
		api_digest_done(digest);
		r = api_digest_make(view->map, view->now_usec, digest);
		if (r < 0)
			return r;
		digest->made = true;
		digest->map_serial = view->map_serial;
		digest->made_usec = view->now_usec;
		digest->until_usec = netmap_next_expiry(view->map, view->now_usec);
	}
	*ret_digest = digest;
	return 0;
}
