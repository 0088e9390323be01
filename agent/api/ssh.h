/* How AuthorizeSSH goes on: what it shares with the logins that wait for a check. */
#pragma once

#include "agent/ssh/lease.h"
#include "agent/ssh/policy.h"
#include "common/log.h"
#include "common/varlink.h"
#include "common/wgkey.h"

struct api;

struct resume_options {
	struct ssh_forwarding forwarding;
	char *force_command;
};

/* The parameters of AuthorizeSSH and ResumeSSH. */
struct ssh_request {
	struct ip_addr address, local_address;
	uint16_t port;
	char *ssh_user, *connection;
	char *lease_id, *node_id, *local_user;
	struct wg_key node_key;
	bool nonroot;
	struct resume_options options;
	uint64_t since_usec;
};
void ssh_request_done(struct ssh_request *req);

/*
 * Log a line about an SSH connection, with the journal fields that the gateway's records of it have
 * as well (peergate-agent(8)), and own ones: LOG_FIELDS(). lease_id may be NULL.
 */
void api_ssh_log(int level, const struct lease_terms *terms, const char *lease_id,
		 const struct log_field *own, size_t n_own, const char *fmt, ...) _printf_(6, 7);

/* The answers; d may be NULL, and reason is a literal. Return: 0, negative errno (no answer). */
int api_ssh_reject(struct api *api, struct varlink_call *call, const struct ssh_request *req,
		   const struct ssh_decision *d, const char *reason, const char *message);
int api_ssh_accept(struct api *api, struct varlink_call *call, const struct ssh_request *req,
		   const struct ssh_decision *d, uint64_t now_usec);

/* The decision is "check". req is stolen on success. Return: 0, negative errno (no answer). */
int api_check_begin(struct api *api, struct varlink_call *call, struct ssh_request *req,
		    const struct ssh_decision *d);
