/*
 * Checks: before certain logins a person shows that they are there, on a page of the coordinator's
 * (coord/PROTOCOL.md, POST /v1/check). Asked by the host that the login goes to, or beforehand by
 * the one that it comes from. The coordinator decides by its own policy, and remembers.
 */
#pragma once

#include <stdint.h>

#include "common/cleanup.h"

struct link;
struct link_check;

/* That wait at a time: each is a connection to the coordinator. */
#define LINK_MAX_CHECKS 128u
/* Within this the coordinator says yes, no, or where a person has to say it. */
#define LINK_CHECK_ANSWER_USEC 8000000u
/* Longer than the coordinator gives a person, by far not for ever. */
#define LINK_CHECK_LONGEST_USEC 900000000u

struct link_check_question {
	const char *source;   /* id of the node that the login comes from; NULL: this host */
	const char *target;   /* if it is: where the login will go, an id or a name; or NULL */
	const char *ssh_user; /* as whom; NULL, with this host as source: anybody */
};

enum link_check_end {
	LINK_CHECK_PASSED,
	LINK_CHECK_DENIED,	/* a person said no */
	LINK_CHECK_REFUSED,	/* the coordinator did, by its policy */
	LINK_CHECK_RAN_OUT,	/* nobody said anything in time */
	LINK_CHECK_UNREACHABLE, /* nor did the coordinator */
};

struct link_check_result {
	enum link_check_end end;
	const char *message;   /* the coordinator's, fit for a terminal; NULL: none */
	uint64_t checked_usec; /* PASSED: when a person did, since 1970; 0: nobody had to */
	const char *method;    /* PASSED: how; NULL: not said */
};

struct link_check_events {
	/*
	 * A person is waited for, at this page, which has to show this code. Both are printable
	 * ASCII. Comes again if they change.
	 */
	void (*waiting)(const char *url, const char *code, void *userdata);
	/* The last one; the check is gone then. */
	void (*over)(const struct link_check_result *result, void *userdata);
};

/*
 * Begin. question is copied, events borrowed; they are called from the event loop only.
 * Return: 0; -ENOTCONN: this host has no coordinator; -ENOSPC: too many wait; -ENOMEM.
 */
int link_check(struct link *link, const struct link_check_question *question,
	       const struct link_check_events *events, void *userdata,
	       struct link_check **ret_check);
/* Nobody wants to know any more. Takes NULL, returns NULL. After link_free(), too. */
struct link_check *link_check_cancel(struct link_check *check);
DEFINE_CLEANUP(struct link_check *, link_check_cancel);
