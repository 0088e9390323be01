/* What the agent granted, as its answers say it. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"

enum lease_state {
	LEASE_ACCEPT,
	LEASE_REJECT,
	LEASE_KEEP,
	LEASE_REVOKED,
	LEASE_CHECK, /* a person is being asked; accept or reject follows */
};

struct lease {
	char *id, *node_id, *node_name, *node_key;
	char *user;	      /* person, or first tag; may be NULL */
	char *local_user;     /* account */
	bool nonroot;	      /* must not be uid 0 */
	uint64_t valid_until; /* usec since 1970; UINT64_MAX: no end */
	bool forward_agent, forward_local, forward_remote;
	char **accept_env; /* NULL-terminated; may be NULL */
	char *force_command;
	uint64_t idle_timeout_usec, max_duration_usec; /* 0: none */
	char *message;				       /* for the person, before the login */
	char *rule;				       /* where it stands in the policy */
	uint64_t since_usec;			       /* of the grant; 0: it did not say */
};

/* Where a person says that it is them. */
struct lease_check {
	char *message;
	char *url, *code; /* printable ASCII */
};

/* The peer's last one, as WireGuard tells. */
struct lease_handshake {
	uint64_t time_usec; /* since 1970, by the wall clock of then */
	uint64_t read_usec; /* CLOCK_MONOTONIC: it was read then, or later */
};

/* One answer of AuthorizeSSH or ResumeSSH. */
struct lease_answer {
	enum lease_state state;
	struct lease lease;	/* accept: all; keep: valid_until */
	char *reason, *message; /* reject, revoked */
	struct lease_check check;
	/* accept, keep: how often at least the agent will say "keep"; 0: it promises nothing. */
	uint64_t keep_interval_usec;
	struct lease_handshake handshake; /* keep; all 0: it did not say */
};

/*
 * Read an answer's parameters. Unknown states and answers that lack what their state needs are
 * -EINVAL with *reterr_text: nobody is let in by something we do not understand.
 */
int lease_answer_read(const json_t *parameters, struct lease_answer *ret_answer,
		      char **reterr_text);
void lease_answer_done(struct lease_answer *answer);
void lease_done(struct lease *lease);
