/*
 * The kernel's probes, and what they show of a peer that is gone, or only asleep. A host that is
 * awake answers them: with an acknowledgement if it still has the connection, with a reset if not
 * (it was restarted, the client was killed while the network was down), and the connection ends at
 * once. No answer at all is a laptop whose lid is shut: its connection waits, also with output
 * under way, which by itself the kernel would give up after some fifteen minutes (tcp(7),
 * tcp_retries2). Or it is a host whose packet filter drops what it knows nothing of: absence.h
 * tells them apart.
 *
 * They are the kernel's probes, not SSH's: clients and the idle timeout do not see them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * fd: a TCP connection, which keeps this wherever it goes. interval: of the probes, when nothing
 * flows; absence: how long it waits for a peer that says nothing; both in microseconds. A shorter
 * interval than before has a connection that owes a probe send it at once. Return: 0, negative
 * errno.
 */
int keepalive_set(int fd, uint64_t interval_usec, uint64_t absence_usec);

/* The longest pause between two attempts to send what is not acknowledged (TCP_RTO_MAX). */
#define KEEPALIVE_RETRY_USEC (120 * 1000000ull)

struct keepalive_state {
	uint64_t now_usec;   /* CLOCK_MONOTONIC, as the next */
	uint64_t acked_usec; /* when the peer last acknowledged anything, be it a probe */
	bool unanswered;     /* probes, or output that was sent again: nothing came back */
	bool waiting;	     /* there is output: that is sent again and again, and no probe is */
};
/* Return: 0, negative errno. */
int keepalive_look(int fd, struct keepalive_state *ret_state);

/*
 * Have the kernel forget the connection when it is closed, with a reset: nobody would acknowledge
 * an orderly end. Return: 0, negative errno.
 */
int keepalive_abandon(int fd);
