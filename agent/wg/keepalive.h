/*
 * Keepalives by and by: a peer that is told to be kept alive answers with a handshake at once, and
 * thousands of them are a storm. Pure.
 */
#pragma once

#include "agent/wg/diff.h"

/* So many peers are told at a time. */
#define WG_KEEPALIVE_BURST 100u

/*
 * Of the peers of "to" that shall be kept alive and on "from" are not, all beyond a burst have to
 * wait: keepalive becomes 0, keepalive_later what it was.
 */
void wg_keepalive_hold(const struct wg_device *from, struct wg_device *to);
bool wg_keepalive_waits(const struct wg_device *device);
/*
 * The next burst: those peers get their keepalive in device, and *ret_diff (the caller's) tells the
 * kernel so; without changes when nobody waits. Return: 0, -ENOMEM.
 */
int wg_keepalive_release(struct wg_device *device, struct wg_diff *ret_diff);
