#include <errno.h>
#include <string.h>

#include "agent/grow.h"
#include "agent/mapdiff/parts.h"
#include "common/text.h"

static void add_addresses(const struct netmap *map, bool is_to, struct diff_address *all, size_t *n)
{
	for (size_t i = 0; map && i < map->n_peers; i++) {
		const struct netmap_node *peer = &map->peers[i];

		for (size_t k = 0; k < peer->n_addresses; k++)
			all[(*n)++] = (struct diff_address){
				.addr = peer->addresses[k],
				.from = is_to ? NULL : peer,
				.to = is_to ? peer : NULL,
			};
	}
}

static int compare_addresses(const void *a, const void *b)
{
	const struct diff_address *x = a, *y = b;

	return ip_addr_compare(&x->addr, &y->addr);
}

int diff_addresses(const struct netmap *from, const struct netmap *to,
		   struct diff_address **ret_addresses, size_t *ret_n)
{
	size_t max = ((from ? from->n_peers : 0) + to->n_peers) * NETMAP_MAX_ADDRESSES;
	struct diff_address *all = calloc(max + 1, sizeof(*all));
	size_t n = 0, n_unique = 0;

	if (!all)
		return -ENOMEM;
	add_addresses(from, false, all, &n);
	add_addresses(to, true, all, &n);
	qsort(all, n, sizeof(*all), compare_addresses);
	/* One map has an address once: at most two of a kind. */
	for (size_t i = 0; i < n; i++) {
		if (n_unique > 0 && ip_addr_equal(&all[n_unique - 1].addr, &all[i].addr)) {
			struct diff_address *same = &all[n_unique - 1];

			same->from = same->from ? same->from : all[i].from;
			same->to = same->to ? same->to : all[i].to;
		} else {
			all[n_unique++] = all[i];
		}
	}
	*ret_addresses = all;
	*ret_n = n_unique;
	return 0;
}

static int new_group(struct diff_groups *groups, const char *key, json_t *change)
{
	int r;

	r = array_grow(&groups->changes, &groups->n_alloc, groups->n, sizeof(*groups->changes));
	if (r == 0)
		r = array_grow(&groups->who, &groups->n_who_alloc, groups->n, sizeof(*groups->who));
	if (r < 0)
		return r;
	groups->who[groups->n] = json_array();
	if (!groups->who[groups->n])
		return -ENOMEM;
	groups->changes[groups->n++] = json_incref(change);
	return json_object_set_new(groups->index, key, json_integer((json_int_t)groups->n)) < 0
		       ? -ENOMEM
		       : 0;
}

int diff_group_of(struct diff_groups *groups, json_t *change, size_t *ret_group)
{
	json_auto_t *stolen = change;
	_cleanup_free_ char *key = NULL;
	json_t *known;
	int r = 0;

	*ret_group = 0;
	if (!change)
		return 0;
	if (!groups->index)
		groups->index = json_object();
	key = json_dumps(change, JSON_COMPACT);
	if (!key || !groups->index)
		return -ENOMEM;
	known = json_object_get(groups->index, key);
	if (!known)
		r = new_group(groups, key, stolen);
	*ret_group = known ? (size_t)json_integer_value(known) : groups->n;
	return r;
}

int diff_group_add(struct diff_groups *groups, size_t group, const char *who)
{
	return json_array_append_new(groups->who[group - 1], json_string(who)) < 0 ? -ENOMEM : 0;
}

/* Under its new name, if it has one. */
static const struct netmap_node *peer_of(const struct diff_address *address)
{
	return address->to ? address->to : address->from;
}

/* By peer, then group: a peer whose addresses are all in one group is one run. */
static int compare_peers(const void *a, const void *b)
{
	const struct diff_address *x = a, *y = b;
	const struct netmap_node *p = peer_of(x), *q = peer_of(y);
	int r = strcmp(p->name, q->name);

	if (r == 0)
		r = strcmp(p->id, q->id);
	if (r == 0)
		r = (x->group > y->group) - (x->group < y->group);
	return r ? r : ip_addr_compare(&x->addr, &y->addr);
}

static int name_addresses(struct diff_groups *groups, const struct diff_address *addresses,
			  size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		char addr[IP_ADDR_STRLEN];
		_cleanup_free_ char *who = text_printf("%s (%s)", peer_of(&addresses[i])->name,
						       ip_addr_to_string(&addresses[i].addr, addr));

		if (!who)
			return -ENOMEM;
		if (addresses[i].group)
			r = diff_group_add(groups, addresses[i].group, who);
	}
	return r;
}

int diff_groups_name(struct diff_groups *groups, struct diff_address *addresses, size_t n)
{
	size_t end;
	int r = 0;

	qsort(addresses, n, sizeof(*addresses), compare_peers);
	for (size_t i = 0; i < n && r == 0; i = end) {
		const struct netmap_node *peer = peer_of(&addresses[i]);

		end = i + 1;
		while (end < n && strcmp(peer_of(&addresses[end])->id, peer->id) == 0 &&
		       strcmp(peer_of(&addresses[end])->name, peer->name) == 0)
			end++;
		if (addresses[i].group != addresses[end - 1].group)
			r = name_addresses(groups, &addresses[i], end - i);
		else if (addresses[i].group)
			r = diff_group_add(groups, addresses[i].group, peer->name);
	}
	return r;
}

/* A group's change with its members in front. */
static json_t *group_json(const struct diff_groups *groups, size_t i)
{
	json_auto_t *group = json_pack("{s:O}", "who", groups->who[i]);

	if (!group || json_object_update(group, groups->changes[i]) < 0)
		return NULL;
	return take_ptr(group);
}

static int compare_sizes(const void *a, const void *b, void *userdata)
{
	const struct diff_groups *groups = userdata;
	size_t x = *(const size_t *)a, y = *(const size_t *)b;
	size_t n_x = json_array_size(groups->who[x]), n_y = json_array_size(groups->who[y]);

	return n_x != n_y ? (n_x < n_y) - (n_x > n_y) : (x > y) - (x < y);
}

json_t *diff_groups_json(struct diff_groups *groups)
{
	_cleanup_free_ size_t *order = calloc(groups->n + 1, sizeof(*order));
	json_auto_t *array = json_array();

	if (!order || !array)
		return NULL;
	for (size_t i = 0; i < groups->n; i++)
		order[i] = i;
	qsort_r(order, groups->n, sizeof(*order), compare_sizes, groups);
	for (size_t i = 0; i < groups->n; i++)
		if (json_array_append_new(array, group_json(groups, order[i])) < 0)
			return NULL;
	return take_ptr(array);
}

void diff_groups_done(struct diff_groups *groups)
{
	for (size_t i = 0; i < groups->n; i++) {
		json_decref(groups->changes[i]);
		json_decref(groups->who[i]);
	}
	free(groups->changes);
	free(groups->who);
	json_decref(groups->index);
	*groups = (struct diff_groups){ 0 };
}
