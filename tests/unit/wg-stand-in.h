/*
 * A mesh without WireGuard, where the kernel has none: another link stands in for WireGuard's, and
 * shared memory for its peers. The linker puts functions of the stand-in in the place of libagent's
 * (--wrap); all the rest is real.
 */
#pragma once

#include <stdbool.h>

/* Links are known under these names only. */
#define WG_STAND_IN_NAME       "mesh0"
#define WG_STAND_IN_OTHER_NAME "old0"

/* From here on, for this process and its children. Return: false: there is a real one. */
bool wg_stand_in_begin(void);
/* The link is gone: so are its key and peers. */
void wg_stand_in_wipe(void);

/* Real or not: called before a device is read, unless it is NULL. */
extern void (*wg_stand_in_on_read)(void);
/* What looking for a link by its name comes to; 0: it works. */
extern int wg_stand_in_link_error;
