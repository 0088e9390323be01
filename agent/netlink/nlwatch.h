/* Multicast news from the kernel, in the event loop: bursts become one call. */
#pragma once

#include <libmnl/libmnl.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"

struct nlwatch;

struct nlwatch_handler {
	/* What a message means, in words ("the table was deleted"); NULL: nothing to us. */
	const char *(*classify)(const struct nlmsghdr *nlh, void *userdata);
	/* Told the last that meant something, or lost, if the kernel had to drop news. */
	void (*notify)(void *userdata, const char *what);
	const char *lost;
	void *userdata;
};

/* groups: RTNLGRP_*, NFNLGRP_*. Return: 0, negative errno. */
int nlwatch_new(sd_event *event, int protocol, const int *groups, size_t n_groups,
		const struct nlwatch_handler *handler, struct nlwatch **ret_watch);
struct nlwatch *nlwatch_free(struct nlwatch *watch);
DEFINE_CLEANUP(struct nlwatch *, nlwatch_free);
/* Handle what has arrived so far, without waiting for the event loop. */
void nlwatch_poll(struct nlwatch *watch);
