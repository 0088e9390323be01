/* Signals of a process that others will judge us by: nothing inherited. */
#pragma once

/*
 * All signals get their default action and none is blocked. A service is started with SIGPIPE
 * ignored, and what is ignored or blocked would pass through exec into the login's programs.
 */
void signals_reset(void);
