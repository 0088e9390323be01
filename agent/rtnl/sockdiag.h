/* Ends TCP connections of this host from outside their program, as "ss -K" does. */
#pragma once

#include <stdbool.h>

#include "common/ip.h"

/* Shall the connection end? */
typedef bool (*sockdiag_doomed_fn)(const struct ip_endpoint *local,
				   const struct ip_endpoint *remote, void *userdata);

/*
 * Destroy connections at these local addresses that fn says are doomed; listeners are not asked
 * about. Kernels without INET_DIAG_DESTROY destroy nothing: such sockets time out.
 * Return: 0 and how many; negative errno.
 */
int sockdiag_destroy(const struct ip_addr *local, size_t n, sockdiag_doomed_fn fn, void *userdata,
		     unsigned *ret_n);
