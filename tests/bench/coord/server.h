/* The coordinator's process: the real program, as its own account. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* Start it, and wait until its admin socket answers. What it logs goes to its log file. */
void server_start(const char *program, const char *log);
/* SIGTERM, and wait for its end. The sims' streams are expected to end. */
void server_stop(void);

/* CPU seconds that it has taken. */
double server_cpu(void);
/* kB of memory, its own and its share of what it shares (PSS, proc(5)). */
double server_pss(void);
