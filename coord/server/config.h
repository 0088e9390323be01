/* The coordinator's configuration: /etc/peergate/coord.conf (peergate-coord.conf(5)). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/ip.h"

struct coord_config {
	char *url;		       /* Url=: "https://coord.example"; required */
	char *authority;	       /* of it: "coord.example" */
	char **listen;		       /* Listen=: "192.0.2.1:443", ...; may be empty */
	struct ip_endpoint *endpoints; /* of Listen= */
	size_t n_endpoints;
	char *certificate, *private_key; /* PEM files; both, or neither: plain HTTP */
	char **proxies;			 /* TrustedProxies= */
	struct ip_prefix *trusted;	 /* of TrustedProxies= */
	size_t n_trusted;
	uint64_t key_lifetime_usec;   /* NodeKeyLifetime=: 180 days */
	uint64_t event_lifetime_usec; /* EventLifetime=: 400 days */
	uint64_t max_nodes;	      /* MaxConnectedNodes=: 20000 */
	uint64_t max_connections;     /* MaxConnectionsPerAddress=: 256 */
	uint64_t max_pending;	      /* MaxPendingPerAddress=: 8 */
	char *admin_group;	      /* AdminGroup=: "peergate-admin" */
	int log_level;		      /* LogLevel=: LOG_INFO */
};

struct coord_config *coord_config_free(struct coord_config *config);
DEFINE_CLEANUP(struct coord_config *, coord_config_free);

/* Is it one for Url=? */
bool coord_url_is_good(const char *text);

/*
 * Parse the text of a file over the defaults, and what its values say together.
 * Return: 0; -EINVAL and *reterr_text ("FILE:LINE: Key: ..."; the caller's), -ENOMEM.
 */
int coord_config_parse(const char *text, size_t len, const char *source, char **reterr_text,
		       struct coord_config **ret_config);
/* Load the file, which has to be there. Return: likewise, and -ENOENT, ... */
int coord_config_load(const char *path, char **reterr_text, struct coord_config **ret_config);
