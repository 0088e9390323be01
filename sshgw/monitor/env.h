/* Which environment variables of a client reach its session. Pure. */
#pragma once

#include <stdbool.h>

/*
 * LANG and LC_* always; what matches one of the patterns ("*", "?"; NULL-terminated list, may be
 * NULL) besides; never what changes how programs are loaded or shells start.
 *
 * forced: the program is not the client's choice. Then patterns with wildcards do not count: there
 * is no list of all variables that make some program run another (EDITOR, PAGER, AWKPATH), which
 * is nothing new to people who may run what they like, and a way round the rule for others.
 */
bool env_is_allowed(const char *name, char *const *patterns, bool forced);
