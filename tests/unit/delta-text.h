/* A change of a map from its text. */
#pragma once

#include "agent/netmap/delta.h"
#include "agent/netmap/read.h"

static inline int delta_parse(const struct netmap *base, const char *text, size_t len,
			      const char *source, char **reterr_text, struct netmap **ret_map)
{
	json_auto_t *delta = NULL;
	int r = netmap_load_json(text, len, source, reterr_text, &delta);

	return r < 0 ? r : netmap_delta_from_json(base, delta, source, reterr_text, ret_map);
}
