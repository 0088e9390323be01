/*
 * A peer that does not answer on this connection: asleep, or there and without the connection?
 * WireGuard knows. A handshake takes both hosts, so one that is later than the last acknowledgement
 * says that the peer's host was awake since. It may be asleep again; therefore the kernel's probes
 * are sent in short intervals from then on, and a peer that sleeps and wakes now and then meets one
 * of them. When several handshakes have come and still nothing is acknowledged, it was restarted,
 * or its packet filter has forgotten the connection and drops what it gets. That ends here; a peer
 * of which there is no handshake waits for MaxPeerAbsence=.
 *
 * Times are compared on CLOCK_MONOTONIC only, the handshake's own time for being another one: a
 * wall clock that is set ends nothing. Nor does it if handshakes are not known.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sshgw/monitor/keepalive.h"
#include "sshgw/monitor/lease.h"

struct monitor;

/* Probes of a peer that was awake not long ago. */
#define ABSENCE_PROBE_USEC (4 * 1000000ull)
/* So many handshakes since the last acknowledgement, and after the last of them so long. */
#define ABSENCE_N_HANDSHAKES 3u
#define ABSENCE_SETTLE_USEC  (2 * ABSENCE_PROBE_USEC)
/*
 * Who is awake and gets what we send makes a handshake every two minutes, or four if output is sent
 * again as rarely as that. One after a longer time is another awakening.
 */
#define ABSENCE_AWAKE_USEC (3 * KEEPALIVE_RETRY_USEC)
/* The agent was away for longer, or did not know: what was before does not count. */
#define ABSENCE_HOLE_USEC (120 * 1000000ull)

/* Zeroed: nothing is known. */
struct absence {
	struct lease_handshake last; /* as last told; read_usec 0: never */
	unsigned n; /* handshakes since the last acknowledgement, as far as counted */
	uint64_t first_usec, newest_usec; /* when the first and the newest of them were read */
	bool pressing;			  /* probes are sent in short intervals */
};

enum absence_verdict {
	ABSENCE_NONE,	  /* it answers, is not asked, or sleeps */
	ABSENCE_AWAKE,	  /* it was awake since it last answered: ask it more often */
	ABSENCE_FOR_GOOD, /* it is there, and has the connection no more */
};
/* Pure, but for a. */
enum absence_verdict absence_judge(struct absence *a, const struct lease_handshake *handshake,
				   const struct keepalive_state *state);

/* Have the kernel notice that the peer is away. */
void absence_watch(const struct monitor *m);
/*
 * The agent tells of a handshake: the one that it told of the last time, or a new one. NULL: it
 * knows of none.
 */
void absence_handshake(struct monitor *m, const struct lease_handshake *handshake);
