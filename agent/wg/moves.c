#include "agent/wg/moves.h"

#include <errno.h>
#include <string.h>

struct holding {
	struct ip_prefix prefix;
	const struct wg_peer *peer;
};

struct holdings {
	struct holding *all; /* ascending */
	size_t n;
};

static int holding_order(const void *a, const void *b)
{
	const struct holding *x = a, *y = b;

	return ip_prefix_compare(&x->prefix, &y->prefix);
}

static int list_holdings(const struct wg_device *device, struct holdings *ret)
{
	size_t max = 0;

	for (size_t i = 0; i < device->n_peers; i++)
		max += device->peers[i].n_allowed;
	ret->all = calloc(max + 1, sizeof(*ret->all));
	if (!ret->all)
		return -ENOMEM;
	for (size_t i = 0; i < device->n_peers; i++)
		for (size_t j = 0; j < device->peers[i].n_allowed; j++)
			ret->all[ret->n++] =
				(struct holding){ device->peers[i].allowed[j], &device->peers[i] };
	if (ret->n > 1)
		qsort(ret->all, ret->n, sizeof(*ret->all), holding_order);
	return 0;
}

static bool is_other(const struct holding *holding, const struct wg_peer *peer)
{
	return !wg_key_equal(&holding->peer->key, &peer->key);
}

static struct ip_prefix shorten(const struct ip_prefix *prefix, uint8_t len)
{
	struct ip_prefix wide = { .addr = prefix->addr, .len = len };

	wide.addr = ip_prefix_first(&wide);
	return wide;
}

/* A prefix that is, or contains, this one, in another's hands. */
static bool held_around(const struct holdings *holdings, const struct ip_prefix *prefix,
			const struct wg_peer *peer)
{
	for (int len = prefix->len; len >= 0; len--) {
		struct holding key = { .prefix = shorten(prefix, (uint8_t)len) };
		struct holding *found =
			bsearch(&key, holdings->all, holdings->n, sizeof(key), holding_order);

		if (found && is_other(found, peer))
			return true;
	}
	return false;
}

/* Prefixes within this one follow it in the order. */
static bool held_within(const struct holdings *holdings, const struct ip_prefix *prefix,
			const struct wg_peer *peer)
{
	size_t low = 0, high = holdings->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (ip_prefix_compare(&holdings->all[mid].prefix, prefix) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < holdings->n && ip_prefix_contains(prefix, &holdings->all[low].prefix.addr);
	     low++)
		if (is_other(&holdings->all[low], peer))
			return true;
	return false;
}

int wg_diff_moves(const struct wg_device *from, const struct wg_diff *diff, bool *ret_moves)
{
	struct holdings holdings = { 0 };
	bool moves = false;
	int r;

	r = list_holdings(from, &holdings);
	if (r < 0)
		return r;
	for (size_t i = 0; i < diff->n_changes && holdings.n > 0 && !moves; i++) {
		const struct wg_change *change = &diff->changes[i];

		for (size_t j = 0; j < change->n_allowed && !moves; j++)
			moves = held_around(&holdings, &change->allowed[j], change->peer) ||
				held_within(&holdings, &change->allowed[j], change->peer);
	}
	free(holdings.all);
	*ret_moves = moves;
	return 0;
}
