/* What the agent does with what its link has for it, for tests that have a link and no agent. */
#pragma once

#include "agent/link/link.h"

/* Zero-initialise. */
struct link_keeper {
	struct netmap *map; /* the newest one; NULL: none */
	char *refused;	    /* why the last one that was refused was; NULL: none was */
	unsigned n_left, n_forgot;
};
/* Their userdata is a struct link_keeper. */
extern const struct link_hooks link_keeper_hooks;
void link_keeper_done(struct link_keeper *keeper);
