/*
 * The exchange of new keys (RFC 4253 section 9). Until it is over, nothing else may be sent, and
 * what libssh is given to send waits in its memory, without limit. So programs and forwarded
 * connections wait where they are, what else may wait is counted, and the client has its time to
 * finish. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Long enough for a slow link that has megabytes under way in both directions, before the client
 * gets to see that it is asked, and after it has answered.
 */
#define REKEY_USEC (300 * 1000000ull)
/*
 * Answers to what the client had asked for before it knew, ends of programs, connections that came
 * in: more is there only where somebody makes it. A packet and what libssh keeps it in are a few
 * hundred bytes.
 */
#define REKEY_MAX_WAITING 4096u

struct rekey {
	uint64_t due; /* CLOCK_MONOTONIC usec: is to be over; 0: none is under way */
	unsigned n_waiting;
};

/* Either side has begun one; which does so first counts. */
void rekey_begin(struct rekey *rekey, uint64_t now);
void rekey_end(struct rekey *rekey);
bool rekey_is_under_way(const struct rekey *rekey);
/* libssh was given a packet; nothing changes if none is under way. */
void rekey_count(struct rekey *rekey);
/* When to look again; UINT64_MAX: none is under way. */
uint64_t rekey_deadline(const struct rekey *rekey);
/* Why the connection is to be given up, for the journal and the client; NULL: it is not. */
const char *rekey_why_over(const struct rekey *rekey, uint64_t now);
