/* A file whose last close takes its time: whoever does it waits (socket(7), SO_LINGER). */
#pragma once

/*
 * A TCP connection, over loopback, with bytes that the other side does not take. The caller's, and
 * nobody else's; what it needs on this side is closed by lingering_end().
 */
int lingering_open(unsigned seconds);
void lingering_end(void);
