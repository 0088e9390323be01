/* Which link is the mesh's: never another program's, and ours under whatever name. */
#pragma once

#include "agent/kernel/state.h"

/*
 * Find it. One that was renamed is taken down and gets its name back; one that has lost its group
 * gets that. A foreign link that has the name is left alone. On failure ours is closed.
 * Return: 0, *ret_link (ifindex 0: there is none) and what was changed of it added to *n_changed;
 * -EEXIST (the name is taken) or another negative errno, and *reterr_text.
 */
int kernel_find_link(struct kernel *kernel, struct rtnl_link_state *ret_link, unsigned *n_changed,
		     char **reterr_text);
/* Take it down, unless it has its name and the table is in force. */
void kernel_close_link(struct kernel *kernel);
/*
 * Delete it, under whatever name: by its mark, or, if it has the name and no mark, by its key.
 * Return: 0 also if there is none; -EEXIST: a WireGuard link has the name, and is not known to be
 * ours; other negative errno. Then *reterr_text (the caller's, NULL before) says what to do.
 */
int kernel_delete_link(struct kernel *kernel, char **reterr_text);
