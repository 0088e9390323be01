/* What the coordinator's answers say, read and checked (coord/PROTOCOL.md). Pure. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/ed25519.h"

/* GET /v1/coordinator */
struct link_contact {
	struct ed25519_public key;
	char *domain;
};
void link_contact_done(struct link_contact *contact);
/* Return: 0; -EINVAL and *reterr_text (the caller's); -ENOMEM. So do all of these. */
int link_contact_read(const char *text, size_t len, struct link_contact *ret_contact,
		      char **reterr_text);

/* 200 of enrol, enrol/wait and rotate. Both texts are the pinned identity of this host. */
struct link_enrolment {
	char *node_id, *name, *domain;
};
void link_enrolment_done(struct link_enrolment *enrolment);
int link_enrolment_read(const json_t *body, struct link_enrolment *ret_enrolment,
			char **reterr_text);

/* 202: somebody has to say yes. */
struct link_approval {
	char *id; /* a secret */
	char *code;
	char *url;	/* NULL: none */
	char *approve;	/* a command for an operator; NULL: none */
	uint64_t until; /* usec since 1970; UINT64_MAX: not said */
};
void link_approval_done(struct link_approval *approval);
int link_approval_read(const json_t *body, struct link_approval *ret_approval, char **reterr_text);
