/* What the link, its addresses and routes shall be, for tests on a real kernel. */
#pragma once

#include "agent/rtnl/rtnl.h"

#define STATE_LINK "mesh0"

/*
 * Make it so: the link, which is there, up and with an MTU; two addresses, two routes, two guards;
 * then less of each. *changes (may be NULL) is what was done. Return: 0; the first error, after
 * which nothing more was tried.
 */
int rtnl_state_make(struct rtnl *rtnl, struct rtnl_changes *changes);
int rtnl_state_clear(struct rtnl *rtnl);
/* Is all there, as ip(8) shows it? The test fails otherwise. */
void rtnl_state_assert(void);
