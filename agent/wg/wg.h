/* Talking to WireGuard in the kernel: generic netlink. */
#pragma once

#include "agent/wg/device.h"
#include "agent/wg/diff.h"
#include "common/cleanup.h"

struct wg;

/* The kernel module may come later: it is looked for when it is needed. Return: 0, negative errno.
 */
int wg_open(struct wg **ret_wg);
struct wg *wg_free(struct wg *wg);
DEFINE_CLEANUP(struct wg *, wg_free);

/*
 * Read the device. Return: 0; -ENODEV (no such link), -EOPNOTSUPP (no WireGuard in this kernel, or
 * the link is of another kind), other negative errno.
 */
int wg_get(struct wg *wg, const char *ifname, struct wg_device **ret_device);

/*
 * Carry out a difference; removals go first. private_key is used only if the
 * difference asks for it. Return: 0; negative errno: then some of it may have been done.
 */
int wg_set(struct wg *wg, const char *ifname, const struct wg_device *to,
	   const struct wg_diff *diff, const struct wg_key *private_key);
