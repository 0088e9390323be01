/*
 * Peers that are gone, and peers that are only asleep. A host that is awake answers the kernel's
 * probes: with an acknowledgement if it still has the connection, with a reset if not (it was
 * restarted, the client was killed while the network was down), and the connection ends at once. No
 * answer at all is a laptop whose lid is shut: its connection waits, also with output under way,
 * which by itself the kernel would give up after some fifteen minutes (tcp(7), tcp_retries2).
 *
 * They are the kernel's probes, not SSH's: clients and the idle timeout do not see them.
 */
#pragma once

#include <stdint.h>

/*
 * fd: a TCP connection, which keeps this wherever it goes. interval: of the probes, when nothing
 * flows; absence: how long it waits for a peer that says nothing; both in microseconds. Return: 0,
 * negative errno.
 */
int keepalive_set(int fd, uint64_t interval_usec, uint64_t absence_usec);
