/* Messages of a WireGuard device dump: pure. */
#pragma once

#include <libmnl/libmnl.h>

#include "agent/wg/device.h"

struct wg_parse {
	struct wg_device *device;
	size_t n_allowed_alloc; /* of the newest peer */
};

/* Forget what was gathered: the dump begins anew. */
void wg_parse_restart(struct wg_parse *parse);
/* A peer that does not fit into a message goes on in the next. Return: 0, -EBADMSG, -ENOMEM. */
int wg_parse_message(struct wg_parse *parse, const struct nlmsghdr *nlh);
