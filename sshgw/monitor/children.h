/* The monitor's children: net process, leader, and short-lived ones that nobody waits for. */
#pragma once

#include "sshgw/monitor/monitor.h"

/* Return: 0, negative errno. */
int children_init(struct monitor *m);
