/*
 * What WireGuard needs at times of its own. Its kernel side tells nobody of changes, so that it is
 * looked at: once a second, or as rarely as keeps the looks within a hundredth of a processor; what
 * it tells of handshakes then is kept (kernel_last_handshake()). And peers that are to be kept
 * alive are told so by and by: each of them sends a handshake at once.
 */
#pragma once

#include <systemd/sd-event.h>

#include "common/cleanup.h"

struct kernel;
struct kernel_poll;

/* kernel is borrowed, and outlives the object. Return: 0, negative errno. */
int kernel_poll_new(sd_event *event, struct kernel *kernel, struct kernel_poll **ret_poll);
struct kernel_poll *kernel_poll_free(struct kernel_poll *poll);
DEFINE_CLEANUP(struct kernel_poll *, kernel_poll_free);
/* WireGuard was told a plan: some of its peers may wait for their keepalive. */
void kernel_poll_told(struct kernel_poll *poll);
