/* What this host tells the coordinator of itself (coord/PROTOCOL.md, "POST /v1/node"). */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/ip.h"

#define LINK_MAX_ENDPOINTS 16u /* of each kind */

/* Where it is read from. */
struct link_places {
	const char *etc;	  /* "/etc" */
	const char *gateway_keys; /* file of what the gateway shows its clients */
};

/* Of the host, as it is now; all may be missing. */
struct link_host {
	char *name; /* a DNS label */
	char *os;   /* "Debian GNU/Linux 12 (bookworm)" */
	json_t *ssh_host_keys;
};
/* Return: 0, -ENOMEM. */
int link_host_read(const struct link_places *places, struct link_host *ret_host);
void link_host_done(struct link_host *host);

/* All that is told. Pointers are borrowed. */
struct link_facts {
	const struct link_host *host;
	const char *hostname; /* instead of the host's; NULL: that */
	bool ssh;	      /* wanted here */
	uint16_t listen_port;
	const struct ip_endpoint *endpoints, *configured;
	size_t n_endpoints, n_configured;
};
/* As members of a request. NULL: no memory. */
json_t *link_facts_json(const struct link_facts *facts);

/* ---- pure parts ---- */

/* The host's part of a name ("Web_1.example" gives "web-1"). The caller frees; NULL: no memory. */
char *link_label_of(const char *hostname);
/* PRETTY_NAME of os-release(5), else "Linux". The caller frees; NULL: no memory. */
char *link_os_of(const char *os_release);
