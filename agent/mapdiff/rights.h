/* What the sources of one class may send to this node, in a form that two maps can be compared by.
 */
#pragma once

#include <jansson.h>

#include "agent/filter/table.h"
#include "agent/netmap/netmap.h"

/* One map's compiled filter, and which of its sources has which class. */
struct rights_map {
	const struct netmap *map; /* NULL: no map, nobody may anything */
	struct filter_table *table;
};

/* Return: 0; -ENOMEM; -E2BIG and *reterr_text. */
int rights_map_init(struct rights_map *rights, const struct netmap *map, uint64_t now_usec,
		    char **reterr_text);
void rights_map_done(struct rights_map *rights);

#define RIGHTS_NONE UINT64_MAX

/*
 * What changes for sources of this family that have one class in the old map and another in the new
 * one (RIGHTS_NONE: no right). *ret_change {gained, lost}, the caller's; NULL: nothing changes,
 * but perhaps the rule that gives it. Return: 0, -ENOMEM.
 */
int rights_diff(const struct rights_map *from, uint64_t from_class, const struct rights_map *to,
		uint64_t to_class, int family, json_t **ret_change);
