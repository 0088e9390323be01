/* Which link is the mesh's: never another program's, and ours under whatever name. */
#pragma once

#include "agent/kernel_state.h"

/*
 * Find it. One that was renamed gets its name back. If a foreign link has the name, ours is taken
 * down, since the table goes by the name; the foreign one is left alone.
 * Return: 0, *ret_link (ifindex 0: there is none) and what was changed of it added to *n_changed;
 * -EEXIST (the name is taken) or another negative errno, and *reterr_text.
 */
int kernel_find_link(struct kernel *kernel, struct rtnl_link_state *ret_link, unsigned *n_changed,
		     char **reterr_text);
