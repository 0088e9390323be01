/* From a map's packet filter to what the kernel's sets hold: pure. */
#pragma once

#include "agent/filter/table.h"

/* A map whose filter would need more flows than this on one node is refused. */
#define FILTER_MAX_FLOWS (1u << 20)

/*
 * Who may send what to this node. A source is let in only at the exact address of a live peer, or
 * from a route of one; peers whose key has expired at now_usec count as absent. Destinations are
 * the node's own mesh addresses; rules that open nothing here vanish.
 * map NULL: the table that denies all.
 * Return: 0; -ENOMEM; -E2BIG and *reterr_text (the caller's).
 */
int filter_compile(const struct netmap *map, uint64_t now_usec, struct filter_table **ret_table,
		   char **reterr_text);
