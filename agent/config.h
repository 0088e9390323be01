/* The agent's configuration: /etc/peergate/agent.conf (peergate-agent.conf(5)). */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/ip.h"

#define AGENT_CONFIG_MAX_ENDPOINTS 16u

struct agent_config {
	char *netmap;		       /* Netmap=: map file; NULL: maps come from the coordinator */
	char *coordinator;	       /* Coordinator=: its URL; NULL: whoever comes up says */
	char *ca_file;		       /* CAFile=: NULL: the system's */
	char *proxy;		       /* Proxy=: NULL: none */
	bool insecure_http;	       /* InsecureHTTP=: no */
	struct ip_endpoint *endpoints; /* Endpoint= */
	size_t n_endpoints;
	char *interface;	   /* Interface=: "mesh0" */
	uint64_t listen_port;	   /* ListenPort=: 51820, UDP */
	uint64_t fwmark;	   /* FwMark=: 0, none */
	uint64_t gateway_port;	   /* GatewayPort=: 2022 */
	uint64_t max_map_age_usec; /* MaxMapAge=: 0, no limit */
	int log_level;		   /* LogLevel=: LOG_INFO */
};

/* The built-in defaults. Return: 0, -ENOMEM. */
int agent_config_new(struct agent_config **ret_config);
struct agent_config *agent_config_free(struct agent_config *config);
DEFINE_CLEANUP(struct agent_config *, agent_config_free);

/*
 * Parse the text of a configuration file over the defaults.
 * Return: 0; -EINVAL and *reterr_text ("FILE:LINE: Key: ..."; the caller's), -ENOMEM.
 */
int agent_config_parse(const char *text, size_t len, const char *source, char **reterr_text,
		       struct agent_config **ret_config);

/*
 * Load the file, which owner (0, except in tests) alone may write: -EPERM. One that does not exist
 * gives the defaults, unless required.
 */
int agent_config_load(const char *path, uid_t owner, bool required, char **reterr_text,
		      struct agent_config **ret_config);

/* "info", as in the file. */
const char *agent_config_log_level(const struct agent_config *config);

/* Instead of the name and password in Proxy=. */
#define AGENT_CONFIG_HIDDEN "://...@"

/*
 * {"Interface": "mesh0", ...}: every option as text, "" if it is not set; fit to be shown to
 * everybody. The caller's; NULL: no memory.
 */
json_t *agent_config_values(const struct agent_config *config);
