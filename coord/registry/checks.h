/*
 * Checks: before certain logins a person shows that they are there. An SSH rule with action check
 * asks for one; the host to log in to tells the coordinator; a page in the browser is where the
 * person answers. That they did is remembered per source host, against the rule's period.
 *
 * What is asked for has an id, which is part of the page's address, and a code that the terminal
 * and the page both show. All logins from one host at a time are one request: one page for all of
 * them. Each of them has an id of its own, which is the request's and RECORD_LOGIN_SUFFIX
 * characters more.
 *
 * Only the owner of the source host may answer, and what was remembered ends with the owner, with
 * the validity of the host's key, and with the person's own. Hosts with tags belong to nobody, so
 * nobody can answer for them.
 */
#pragma once

#include "coord/registry/registry.h"

#define REGISTRY_MAX_CHECKS	 1024u /* that wait at a time */
#define REGISTRY_MAX_CHECKS_FOR	 256u  /* of these, for logins to one target */
#define REGISTRY_MAX_CHECKS_FROM 20u   /* asked for by one source within ten minutes */
#define REGISTRY_MAX_LOGINS_TO	 32u   /* of one request, to one target */

/* ------------------------------------------------------------------- reading */

/*
 * When the owner of this source node last showed that they are there, and it still counts (its
 * owner is the same, and both are in good standing). NULL: never.
 */
const struct checkgrant_record *registry_checkgrant(const struct registry *registry,
						    const char *node);
/* By its id; NULL: none, or it ran out, or its node is not what it was. Any state. */
const struct checkreq_record *registry_checkreq(const struct registry *registry, const char *id);
/* The request of a login's id, and the login. NULL: as above. */
const struct checkreq_record *registry_check_login(const struct registry *registry, const char *id,
						   const struct check_login **ret_login);
/*
 * May the login go on? REGISTRY_OK: *ret_grant says why; WAITING; DENIED; NOT_FOUND: it was
 * approved, and that was taken back. period_usec: of the rule; 0: only an approval of this very
 * request counts, since no other has shown the login.
 */
enum registry_code registry_check_state(const struct registry *registry,
					const struct checkreq_record *req,
					const struct check_login *login, uint64_t period_usec,
					const struct checkgrant_record **ret_grant);
/* Both by position, sorted by id; also those that do not count any more. */
size_t registry_n_checkgrants(const struct registry *registry);
const struct checkgrant_record *registry_checkgrant_at(const struct registry *registry, size_t i);
size_t registry_n_checkreqs(const struct registry *registry);
const struct checkreq_record *registry_checkreq_at(const struct registry *registry, size_t i);

/* ---------------------------------------------------------------- operations */

struct registry_check_request {
	const char *source; /* id of the node that the login comes from */
	const char *target; /* id of the one that it goes to; NULL: no particular one */
	/* As which user; NULL: no login at all, the person at the source does it beforehand. */
	const char *ssh_user;
	uint64_t period_usec; /* of the rule; 0: always ask */
};
/*
 * OK: checkgrant, which still holds. WAITING: checkreq, and secret: the id of the login, for
 * registry_check_login(). NOT_ALLOWED: the source is nobody's, its owner is suspended.
 */
void registry_ask_check(struct registry *registry, const struct registry_actor *actor,
			const struct registry_check_request *request, registry_done_fn done,
			void *userdata);

struct registry_check_answer {
	bool approve;
	/* How they showed who they are just now; needed to approve. */
	const char *method; /* "password", "password+totp", "oidc:NAME" */
	enum auth_strength strength;
	uint64_t auth_time; /* not before the request */
	/* Of the request, that they were shown; needed to approve, and has to be all of them. */
	size_t n_logins;
};
/*
 * A person (actor->login) answers; id: of the request. OK: checkreq. NOT_ALLOWED: the source host
 * is not theirs; they have not signed in anew. CONFLICT: it was answered already, or waits still,
 * with logins that they were not shown. NOT_FOUND.
 */
void registry_answer_check(struct registry *registry, const struct registry_actor *actor,
			   const char *id, const struct registry_check_answer *answer,
			   registry_done_fn done, void *userdata);

/*
 * Forget what is remembered: word is a login, or the id or name of a node. OK also if there was
 * nothing; NOT_FOUND: no such user or node. Requests that wait go on doing so.
 */
void registry_forget_checks(struct registry *registry, const struct registry_actor *actor,
			    const char *word, registry_done_fn done, void *userdata);
