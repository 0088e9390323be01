/* Signals: of a process that others will judge us by, and their names in SSH. */
#pragma once

#include <stdint.h>

/*
 * All signals get their default action and none is blocked. A service is started with SIGPIPE
 * ignored, and what is ignored or blocked would pass through exec into the login's programs.
 */
void signals_reset(void);

/* RFC 4254 section 6.9, without "SIG". NULL: it has no name there. */
const char *signal_to_name(uint32_t number);
/* The number of one that a client may send; 0: there is no such name. */
uint32_t signal_from_name(const char *name);
