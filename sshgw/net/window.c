#include "sshgw/net/window.h"

#include <errno.h>

/*
 * As much as the kernel takes for a connection by default (tcp(7), tcp_rmem). Both are well below
 * what libssh allocates for them, a power of two: full to the brim, it would move all of it for
 * each packet.
 */
#define MOST  (6u << 20)
#define LEAST (MOST / 4)
/* Bytes in a microsecond: 80 MB/s. */
#define RATE 80u

static uint64_t least_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* What the client may still send, and what it has sent and is kept here. */
static uint64_t promised(const struct window *w)
{
	return w->granted - w->used;
}

void window_init(struct window *w)
{
	*w = (struct window){ .granted = WINDOW_FLOOR };
}

int window_receive(struct window *w, size_t len)
{
	if (len > w->granted - w->received)
		return -EPROTO;
	w->received += len;
	return 0;
}

uint64_t window_share(const struct window *w)
{
	return promised(w) > WINDOW_FLOOR ? promised(w) - WINDOW_FLOOR : 0;
}

uint32_t window_target(uint32_t rtt_usec)
{
	uint64_t bytes = (uint64_t)rtt_usec * RATE;

	return bytes < LEAST ? LEAST : (uint32_t)least_of(bytes, MOST);
}

uint32_t window_due(const struct window *w, uint32_t target, uint64_t shares)
{
	uint64_t left = shares < WINDOW_POOL ? WINDOW_POOL - shares : 0, most, due;

	/* What was used says what could be: idle channels keep the pool from nobody. */
	most = least_of(target, WINDOW_FLOOR + w->used);
	/* Half of what is left, so that something is left for the next. */
	most = least_of(most, WINDOW_FLOOR + left / 2);
	due = promised(w) < most ? most - promised(w) : 0;
	return due < most / 4 ? 0 : (uint32_t)due;
}
