/* Which environment variables of a client reach its session. Pure. */
#pragma once

#include <stdbool.h>

/*
 * LANG and LC_* always; what matches one of the patterns ("*", "?"; NULL-terminated list, may be
 * NULL) besides; never what changes how programs are loaded or shells start.
 */
bool env_is_allowed(const char *name, char *const *patterns);
