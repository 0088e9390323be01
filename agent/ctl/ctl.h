/* agentctl: what its verbs share. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/cli/cli.h"
#include "common/cli/style.h"

#define CTL_SOCKET	 "/run/peergate/agent.sock"
#define CTL_ROOT_SOCKET	 "/run/peergate/agent-root.sock"
#define CTL_MAX_SESSIONS 64 /* that one "kill" may name */

/* Of up, login and set; NULL: not said. */
struct ctl_up {
	const char *coordinator, *coordinator_key, *auth_key, *auth_key_file;
	const char *tags; /* "tag:a,tag:b" */
	const char *hostname;
	bool set_ssh, ssh;
};

struct ctl {
	const char *socket;
	bool json;
	bool per_peer;	   /* of metrics */
	uint64_t for_usec; /* of drops; 0: for ever */
	struct cli_out out;
	const char *ceiling; /* the gateway's sshgw.conf */
	const char *message; /* for whom it ends */
	struct ctl_up up;
	json_t *link;	  /* what was told of it last */
	bool accept_risk; /* of losing the SSH connection that we are called through */
};

/* Errors that the verbs themselves answer; anything else ctl_call() tells and turns into a status.
 */
struct ctl_error {
	const char *name; /* "io.peergate.Agent.NotAPeer" */
	json_t *params;	  /* the caller's when the error occurred */
	bool occurred;
};

/*
 * Connect, call, hang up. What goes wrong is told on stderr.
 * Return: CLI_OK and *ret_reply (the caller's), or the exit status. error (may be NULL): this one
 * is left to the caller (CLI_NO, error->occurred).
 */
int ctl_call(struct ctl *ctl, const char *method, json_t *params, struct ctl_error *error,
	     json_t **ret_reply);
/*
 * The same for methods that answer in parts: array members of the later parts are appended to
 * those of the first.
 */
int ctl_call_parts(struct ctl *ctl, const char *method, json_t **ret_reply);
/*
 * The same for methods that answer many times (params is stolen), until they end or take() says so:
 * CLI_OK goes on, anything else is the exit status. reply is take()'s to read.
 */
int ctl_stream(struct ctl *ctl, const char *method, json_t *params,
	       int (*take)(struct ctl *ctl, const json_t *reply));
/* "agentctl: ...", made fit for a terminal. Return: status. */
int ctl_tell(int status, const char *fmt, ...) _printf_(2, 3);

/*
 * Ask without a word about failure, of methods that may answer in parts. Return: all parts in one
 * (the caller's); NULL: no answer.
 */
json_t *ctl_ask(const struct ctl *ctl, const char *method);

/* For --json. Return: exit status. */
int ctl_print_json(struct ctl *ctl, const json_t *value);
/* On one line, of a stream of them. */
int ctl_print_json_line(struct ctl *ctl, const json_t *value);
/* Turn what a render function returned into an exit status. */
int ctl_rendered(int r);

/* ---- verbs in files of their own ---- */

int verb_acl_explain(int argc, char **argv, void *userdata);
int verb_ssh_policy_explain(int argc, char **argv, void *userdata);
int verb_sessions_list(int argc, char **argv, void *userdata);
int verb_sessions_kill(int argc, char **argv, void *userdata);
int verb_sessions_watch(int argc, char **argv, void *userdata);
int verb_netmap_check(int argc, char **argv, void *userdata);

extern const struct cli_program ctl_program;
