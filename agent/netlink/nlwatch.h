/* Multicast news from the kernel, in the event loop. */
#pragma once

#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"

struct nlwatch;

struct nlwatch_handler {
	/* Each message. */
	void (*message)(const struct nlmsghdr *nlh, void *userdata);
	/* The kernel had to drop news: anything may have happened. */
	void (*lost)(void *userdata);
	/* All that had arrived has been told: bursts can become one action. */
	void (*settled)(void *userdata);
	void *userdata;
};

/*
 * groups: RTNLGRP_*, NFNLGRP_*. filter: what the kernel shall pass over without waking us
 * (socket(7), SO_ATTACH_FILTER); NULL: nothing. Return: 0, negative errno.
 */
int nlwatch_new(sd_event *event, int protocol, const int *groups, size_t n_groups,
		const struct sock_fprog *filter, const struct nlwatch_handler *handler,
		struct nlwatch **ret_watch);
struct nlwatch *nlwatch_free(struct nlwatch *watch);
DEFINE_CLEANUP(struct nlwatch *, nlwatch_free);
/* Handle what has arrived so far, without waiting for the event loop. */
void nlwatch_poll(struct nlwatch *watch);
