/*
 * What lies around the monitor's logic, for fuzzers of the gateway: processes, control groups and
 * accounts that are none. It stands in for sshgw/monitor/monitor.c, sshgw/child.c, sshgw/scope.c
 * and common/account.c, of which a fuzzer brings the rest: mon_send(), mon_enter(), mon_end() and
 * what else tells it what the monitor does.
 */
#pragma once

#include <stdbool.h>
#include <stdlib.h>

#include "sshgw/monitor/monitor.h"

/* Ends the process, which is how a fuzzer finds something. */
static inline void check(bool ok)
{
	if (!ok)
		abort();
}

/* A monitor at its beginning, with small limits and SSH switched on. */
void outside_monitor_init(struct monitor *m);
void outside_monitor_done(struct monitor *m);

/* Return: the master of a terminal of the user's; -1. */
int outside_open_terminal(void);
