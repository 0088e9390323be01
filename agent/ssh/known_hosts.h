/* The peers' SSH host keys as ssh(1) reads them (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
#pragma once

#include "agent/netmap/netmap.h"

/*
 * One line per key of every peer: "NAME,NAME.DOMAIN,ADDRESS,... TYPE BASE64". The same map gives
 * the same bytes. Return: 0 and *ret_text (the caller's), -ENOMEM.
 */
int known_hosts_format(const struct netmap *map, char **ret_text);
