/* What agentctl shows: JSON of the agent in, text out. Nothing else is read or asked. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "common/cli/style.h"

/* Each returns 0 or -ENOMEM. Members that are missing are shown as "-". */
int ctl_render_status(const json_t *status, uint64_t now_usec, const struct cli_out *out);
/* peers: of GetPeers. */
int ctl_render_peers(const json_t *peers, uint64_t now_usec, const struct cli_out *out);
/* address: as asked for; node: of WhoIs. */
int ctl_render_whois(const char *address, const json_t *node, uint64_t now_usec,
		     const struct cli_out *out);
/* rules: of GetFilter. */
int ctl_render_filter(const json_t *rules, const struct cli_out *out);
/* policy: of GetSSHPolicy, all parts in one. */
int ctl_render_ssh_policy(const json_t *policy, uint64_t now_usec, const struct cli_out *out);
/* lines: of GetKnownHosts. */
int ctl_render_known_hosts(const json_t *lines, const struct cli_out *out);
/* check: what "netmap check" found out. */
int ctl_render_netmap_check(const json_t *check, const struct cli_out *out);
