#include "agent/mapdiff/mapdiff.h"

#include <errno.h>

#include "agent/mapdiff/parts.h"

int mapdiff_build(const struct netmap *from, const struct netmap *to, uint64_t now_usec,
		  char **reterr_text, json_t **ret_changes)
{
	json_t *reach = NULL, *ssh = NULL;
	bool cut;
	int r;

	r = diff_reach(from, to, now_usec, reterr_text, &reach);
	if (r < 0)
		return r;
	r = diff_ssh(from, to, now_usec, &ssh, &cut);
	if (r < 0) {
		json_decref(reach);
		return r;
	}
	*ret_changes = json_pack("{s:o, s:o, s:o, s:o, s:b}", "self", diff_self(from, to), "peers",
				 diff_peers(from, to), "reach", reach, "ssh", ssh, "cut", cut);
	return *ret_changes ? 0 : -ENOMEM;
}

bool mapdiff_empty(const json_t *changes)
{
	const json_t *peers = json_object_get(changes, "peers");

	return json_array_size(json_object_get(changes, "self")) == 0 &&
	       json_array_size(json_object_get(peers, "added")) == 0 &&
	       json_array_size(json_object_get(peers, "removed")) == 0 &&
	       json_array_size(json_object_get(peers, "changed")) == 0 &&
	       json_array_size(json_object_get(changes, "reach")) == 0 &&
	       json_array_size(json_object_get(changes, "ssh")) == 0;
}
