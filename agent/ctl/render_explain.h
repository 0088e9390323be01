/* What agentctl shows of ExplainFlow and ExplainSSH: JSON in, text out. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/cli/style.h"

/* Each returns 0 or -ENOMEM. */

/* reply: of ExplainFlow. src, dst: as they were typed, dst without port and protocol; target: with
 * them. */
int render_flow(const json_t *reply, const char *src, const char *dst, const char *target,
		const struct cli_out *out);
/*
 * reply: of ExplainSSH, with a member "hostCheck" for what the host itself says: "answer" ("yes",
 * "no", "unknown"), "message", and perhaps "problem" with its configuration. peer, user: as they
 * were typed.
 */
int render_login(const json_t *reply, const char *peer, const char *user,
		 const struct cli_out *out);
/* reply: of ExplainFlow, from this host to tcp/22 of host. */
int render_login_elsewhere(const json_t *reply, const char *user, const char *host,
			   const struct cli_out *out);

/* What ExplainSSH grants is sftp and nothing else. */
bool grant_is_sftp_only(const json_t *grant);

/* ---- for all of them (render_flows.c) ---- */

/* "yes:", "no:", "partly:" or "unknown:". */
void render_answer_word(const struct cli_out *out, const char *answer);
/* "  allowed  TEXT", the verdict in its colour; what is below it is indented as much. */
int render_verdict(const struct cli_out *out, const char *verdict, const char *fmt, ...)
	_printf_(3, 4);
/* Flows, each explanation once, with the addresses that it is about. */
int render_flows(const json_t *flows, bool any_port, const struct cli_out *out);
int render_notes(const json_t *notes, const struct cli_out *out);
