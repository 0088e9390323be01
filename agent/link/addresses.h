/*
 * Addresses of this host at which peers may reach it directly, as they come and go: those of
 * interfaces that are up, but for the mesh itself and what containers and virtual machines have
 * among themselves.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/ip.h"

/* An address of an interface. */
struct link_address {
	char ifname[IFNAMSIZ];
	bool up;      /* the interface */
	bool passing; /* temporary, deprecated, tentative, or a duplicate */
	struct ip_addr addr;
};

/*
 * Those that are worth telling, at this port, best ones first (global before private ones), at most
 * max. mesh: the interface that is left out. Pure. Return: how many.
 */
size_t link_addresses_choose(const struct link_address *addresses, size_t n, const char *mesh,
			     uint16_t port, struct ip_endpoint *endpoints, size_t max);

/* Ask the kernel. Return: 0 and *ret_addresses (the caller's), negative errno. */
int link_addresses_read(struct link_address **ret_addresses, size_t *ret_n);

struct link_addresses;

/* fn is called some time after something has changed; many changes are told as one. */
int link_addresses_watch(sd_event *event, void (*fn)(void *userdata), void *userdata,
			 struct link_addresses **ret_watch);
struct link_addresses *link_addresses_free(struct link_addresses *watch);
DEFINE_CLEANUP(struct link_addresses *, link_addresses_free);
