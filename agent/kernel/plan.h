/* What a map asks of the kernel, all in one: pure. */
#pragma once

#include "agent/filter/table.h"
#include "agent/netmap/netmap.h"
#include "agent/wg/device.h"

struct kernel_plan {
	struct filter_table *filter;
	bool divert_ssh;
	struct wg_device *wg;
	struct ip_addr *addresses; /* of the link: ascending, each once */
	size_t n_addresses;
	struct ip_prefix *routes; /* over the link: ascending, each once */
	size_t n_routes, n_routes_alloc;
	/* Prefixes of the mesh, likewise: they lead nowhere but over the link. */
	struct ip_prefix *guards;
	size_t n_guards;
};

/* map NULL: deny all, no peers. Return: 0, -ENOMEM, -E2BIG and *reterr_text (the caller's). */
int kernel_plan_build(const struct netmap *map, uint64_t now_usec, const struct wg_device *settings,
		      struct kernel_plan *ret_plan, char **reterr_text);
void kernel_plan_done(struct kernel_plan *plan);
