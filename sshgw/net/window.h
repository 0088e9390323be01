/*
 * How much a client may send on a channel before we tell it to go on (RFC 4254 section 5.2). All of
 * it may have to be kept in memory, so it is no more than the link needs to stay busy, and what the
 * channels of a connection have together is bounded. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Of each channel, whatever the others have; where it begins. */
#define WINDOW_FLOOR (128u << 10)
/* Of all channels of a connection together, beyond that. */
#define WINDOW_POOL (32u << 20)

/* Bytes since the channel was opened. */
struct window {
	uint64_t granted; /* the client was told that it may send */
	uint64_t received;
	uint64_t used; /* are not kept any more */
};

void window_init(struct window *w);
/* Return: 0, -EPROTO: the client was not allowed to send that. */
int window_receive(struct window *w, size_t len);
/* What it has of the pool. */
uint64_t window_share(const struct window *w);
/* What one channel needs, where an answer takes so long. */
uint32_t window_target(uint32_t rtt_usec);
/*
 * What the client is to be told that it may send besides; 0: nothing, or too little to speak of.
 * shares: what other channels have of the pool.
 */
uint32_t window_due(const struct window *w, uint32_t target, uint64_t shares);
