#include "agent/wg/diff.h"

#include <errno.h>
#include <string.h>

/* WireGuard's REJECT_AFTER_TIME: no session is older. */
#define SESSION_USEC 180000000u

static bool has_endpoint(const struct wg_peer *peer)
{
	return peer->endpoint.addr.family != AF_UNSPEC;
}

static bool silent(const struct wg_peer *peer, uint64_t now_usec)
{
	return peer->last_handshake == 0 ||
	       (now_usec > peer->last_handshake && now_usec - peer->last_handshake > SESSION_USEC);
}

static bool endpoint_changed(const struct wg_peer *from, const struct wg_device *last,
			     const struct wg_peer *to, uint64_t now_usec)
{
	const struct wg_peer *told = last ? wg_device_find(last, &to->key) : NULL;

	if (!has_endpoint(to))
		return false;
	if (!has_endpoint(from))
		return true;
	if (told)
		return !ip_endpoint_equal(&told->endpoint, &to->endpoint);
	return silent(from, now_usec) && !ip_endpoint_equal(&from->endpoint, &to->endpoint);
}

static bool allows(const struct wg_peer *peer, const struct ip_prefix *prefix)
{
	size_t low = 0, high = peer->n_allowed;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = ip_prefix_compare(&peer->allowed[mid], prefix);

		if (c == 0)
			return true;
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

/* Is everything that a may send from in b's list? */
static bool allowed_within(const struct wg_peer *a, const struct wg_peer *b)
{
	for (size_t i = 0; i < a->n_allowed; i++)
		if (!allows(b, &a->allowed[i]))
			return false;
	return true;
}

static bool change_peer(const struct wg_peer *from, const struct wg_device *last,
			const struct wg_peer *to, uint64_t now_usec, struct wg_change *ret_change)
{
	struct wg_change change = {
		.peer = to,
		.set_endpoint = endpoint_changed(from, last, to, now_usec),
		.set_keepalive = from->keepalive != to->keepalive,
		.replace_allowed = !allowed_within(from, to),
	};

	/* Adding what is there already does no harm: only removal needs the list replaced. */
	if (change.replace_allowed || !allowed_within(to, from)) {
		change.allowed = to->allowed;
		change.n_allowed = to->n_allowed;
	}
	*ret_change = change;
	return change.set_endpoint || change.set_keepalive || change.replace_allowed ||
	       change.n_allowed > 0;
}

static void diff_removals(const struct wg_device *from, const struct wg_device *to,
			  struct wg_diff *diff)
{
	for (size_t i = 0; i < from->n_peers; i++) {
		if (wg_device_find(to, &from->peers[i].key))
			continue;
		diff->changes[diff->n_changes++] = (struct wg_change){
			.peer = &from->peers[i],
			.remove = true,
		};
		diff->n_removed++;
	}
}

static void diff_changes(const struct wg_device *from, const struct wg_device *last,
			 const struct wg_device *to, uint64_t now_usec, struct wg_diff *diff)
{
	for (size_t i = 0; i < to->n_peers; i++) {
		const struct wg_peer *peer = &to->peers[i];
		const struct wg_peer *old = wg_device_find(from, &peer->key);

		if (old &&
		    change_peer(old, last, peer, now_usec, &diff->changes[diff->n_changes])) {
			diff->n_changes++;
			diff->n_changed++;
		}
	}
}

static void diff_additions(const struct wg_device *from, const struct wg_device *to,
			   struct wg_diff *diff)
{
	for (size_t i = 0; i < to->n_peers; i++) {
		const struct wg_peer *peer = &to->peers[i];

		if (wg_device_find(from, &peer->key))
			continue;
		diff->changes[diff->n_changes++] = (struct wg_change){
			.peer = peer,
			.add = true,
			.set_endpoint = has_endpoint(peer),
			.set_keepalive = peer->keepalive != 0,
			.replace_allowed = true,
			.allowed = peer->allowed,
			.n_allowed = peer->n_allowed,
		};
		diff->n_added++;
	}
}

int wg_diff_build(const struct wg_device *from, const struct wg_device *last,
		  const struct wg_device *to, uint64_t now_usec, struct wg_diff *ret_diff)
{
	struct wg_diff diff = {
		.set_private_key = !wg_key_equal(&from->public_key, &to->public_key),
		/* 0 leaves the choice to the kernel, which has made it. */
		.set_listen_port = to->listen_port && from->listen_port != to->listen_port,
		.set_fwmark = from->fwmark != to->fwmark,
		.changes = calloc(from->n_peers + to->n_peers + 1, sizeof(*diff.changes)),
	};

	if (!diff.changes)
		return -ENOMEM;
	diff_removals(from, to, &diff);
	diff_changes(from, last, to, now_usec, &diff);
	diff_additions(from, to, &diff);
	*ret_diff = diff;
	return 0;
}

void wg_diff_done(struct wg_diff *diff)
{
	free(diff->changes);
	*diff = (struct wg_diff){ 0 };
}

bool wg_diff_empty(const struct wg_diff *diff)
{
	return diff->n_changes == 0 && !diff->set_private_key && !diff->set_listen_port &&
	       !diff->set_fwmark;
}
