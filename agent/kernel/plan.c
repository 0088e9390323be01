#include "agent/kernel/plan.h"

#include <errno.h>

#include "agent/filter/compile.h"
#include "agent/grow.h"
#include "agent/wg/wanted.h"

static int prefix_order(const void *a, const void *b)
{
	return ip_prefix_compare(a, b);
}

static int add_routes(struct kernel_plan *plan, const struct ip_prefix *prefixes, size_t n)
{
	int r;

	for (size_t i = 0; i < n; i++) {
		r = array_grow(&plan->routes, &plan->n_routes_alloc, plan->n_routes,
			       sizeof(*plan->routes));
		if (r < 0)
			return r;
		plan->routes[plan->n_routes++] = prefixes[i];
	}
	return 0;
}

static void unique_routes(struct kernel_plan *plan)
{
	size_t n = 0;

	if (plan->n_routes > 1)
		qsort(plan->routes, plan->n_routes, sizeof(*plan->routes), prefix_order);
	for (size_t i = 0; i < plan->n_routes; i++)
		if (n == 0 || ip_prefix_compare(&plan->routes[n - 1], &plan->routes[i]) != 0)
			plan->routes[n++] = plan->routes[i];
	plan->n_routes = n;
}

/* One route for each mesh prefix leads to all peers; networks behind them have their own. */
static int plan_routes(struct kernel_plan *plan, const struct netmap *map, uint64_t now_usec)
{
	int r;

	r = add_routes(plan, map->prefixes, map->n_prefixes);
	for (size_t i = 0; i < map->n_peers && r == 0; i++)
		if (!netmap_node_expired(&map->peers[i], now_usec))
			r = add_routes(plan, map->peers[i].routes, map->peers[i].n_routes);
	unique_routes(plan);
	return r;
}

static int plan_guards(struct kernel_plan *plan, const struct netmap *map)
{
	plan->guards = calloc(map->n_prefixes + 1, sizeof(*plan->guards));
	if (!plan->guards)
		return -ENOMEM;
	for (size_t i = 0; i < map->n_prefixes; i++)
		plan->guards[plan->n_guards++] = map->prefixes[i];
	qsort(plan->guards, plan->n_guards, sizeof(*plan->guards), prefix_order);
	return 0;
}

static int plan_addresses(struct kernel_plan *plan)
{
	plan->addresses = calloc(plan->filter->n_own + 1, sizeof(*plan->addresses));
	if (!plan->addresses)
		return -ENOMEM;
	for (size_t i = 0; i < plan->filter->n_own; i++)
		plan->addresses[plan->n_addresses++] = plan->filter->own[i];
	return 0;
}

int kernel_plan_build(const struct netmap *map, uint64_t now_usec, const struct wg_device *settings,
		      struct kernel_plan *ret_plan, char **reterr_text)
{
	struct kernel_plan plan = { .divert_ssh = map && map->self.ssh };
	int r;

	r = filter_compile(map, now_usec, &plan.filter, reterr_text);
	if (r == 0)
		r = wg_wanted(map, now_usec, settings, &plan.wg);
	if (r == 0)
		r = plan_addresses(&plan);
	if (r == 0 && map)
		r = plan_routes(&plan, map, now_usec);
	if (r == 0 && map)
		r = plan_guards(&plan, map);
	if (r < 0) {
		kernel_plan_done(&plan);
		return r;
	}
	*ret_plan = plan;
	return 0;
}

void kernel_plan_done(struct kernel_plan *plan)
{
	plan->filter = filter_table_free(plan->filter);
	plan->wg = wg_device_free(plan->wg);
	free(plan->addresses);
	free(plan->routes);
	free(plan->guards);
	*plan = (struct kernel_plan){ 0 };
}
