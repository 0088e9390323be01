/*
 * People who sign in: with a provider, or with a password that is kept here; their sessions in
 * browsers, and what ends all that. What is known of them is in their records (model.h).
 *
 * The actor of an operation that a person does for themselves has their login; without one it is an
 * operator's, or the coordinator's own.
 */
#pragma once

#include "coord/registry/registry.h"

#define REGISTRY_MAX_SESSIONS_EACH 50u /* of one person; the oldest goes */
#define REGISTRY_MAX_WEBSESSIONS   100000u
#define REGISTRY_MAX_PWLINKS	   10000u

/* ------------------------------------------------------------------- reading */

/* NULL: nobody has this identity. */
const struct user_record *registry_user_by_identity(const struct registry *registry,
						    const char *issuer, const char *subject);
/* They are there, and not suspended. */
bool registry_user_is_active(const struct registry *registry, const char *login);

/*
 * By the secret, whatever text that is: the session of an active user, valid now; NULL: it is not.
 * Borrowed, as all records are.
 */
const struct websession_record *registry_session(const struct registry *registry,
						 const char *secret);
/* The same for links that set a password. */
const struct pwlink_record *registry_pwlink(const struct registry *registry, const char *secret);

/* All of them, by position; also those that are void, and will be reaped. */
size_t registry_n_websessions(const struct registry *registry);
const struct websession_record *registry_websession_at(const struct registry *registry, size_t i);
size_t registry_n_pwlinks(const struct registry *registry);
const struct pwlink_record *registry_pwlink_at(const struct registry *registry, size_t i);
bool registry_websession_is_valid(const struct registry *registry,
				  const struct websession_record *session);

/* ---------------------------------------------------------------- signing in */

struct registry_identity {
	const char *issuer, *subject;
	const char *email; /* that the provider has verified; NULL */
	const char *name;  /* may be NULL */
	struct text_list groups;
};
/*
 * Somebody comes from a provider. OK: user, who has this identity; else it becomes that of the
 * user who is called like the address and has none yet; else of a new one, if may_create. What the
 * provider says of groups is kept. Whom this provider had forgotten (registry_renewal_gone()) is
 * suspended no more. NOT_ALLOWED: unknown, suspended. This opens no session.
 */
void registry_sign_in_identity(struct registry *registry, const struct registry_actor *actor,
			       const struct registry_identity *identity, bool may_create,
			       registry_done_fn done, void *userdata);

/*
 * Whoever signs in there as this is theirs no more; with what the provider said of their groups.
 * issuer and subject: NULL, both: the only one that there is. Their sessions that began at a
 * provider end. OK: user. NOT_FOUND: they have no such identity; CONFLICT: several, and none named;
 * BAD_REQUEST: half of one named.
 */
void registry_unbind_identity(struct registry *registry, const struct registry_actor *actor,
			      const char *login, const char *issuer, const char *subject,
			      registry_done_fn done, void *userdata);

struct registry_session_request {
	const char *user;
	const char *method; /* "password", "password+totp", "oidc:NAME" */
	enum auth_strength strength;
	uint64_t auth_time;
	uint64_t lifetime_usec; /* 0: 12 hours */
	struct ip_addr from;
	const char *agent; /* what the browser calls itself, of any length; may be NULL */
};
/* OK: secret, for the cookie; user. NOT_ALLOWED: suspended. The event is "user.sign-in". */
void registry_open_session(struct registry *registry, const struct registry_actor *actor,
			   const struct registry_session_request *request, registry_done_fn done,
			   void *userdata);
/*
 * Somebody was sent away before it came to a session: the event "user.sign-in", whose result is
 * "not-allowed". login: as it was typed; why: for operators. At most 60 refusals a minute, of all
 * kinds, become events: they are there for anybody to cause.
 */
void registry_refused_sign_in(struct registry *registry, const struct registry_actor *actor,
			      const char *login, const char *why);
/* OK also if there is none. */
void registry_close_session(struct registry *registry, const struct registry_actor *actor,
			    const char *secret, registry_done_fn done, void *userdata);
/* All of somebody's. OK: user. */
void registry_close_sessions(struct registry *registry, const struct registry_actor *actor,
			     const char *login, registry_done_fn done, void *userdata);

/* ----------------------------------------------------- passwords and codes */

/*
 * hash: of password_hash() (coord/accounts/password.h); NULL: no password any more. All sessions
 * of theirs end.
 */
void registry_set_password(struct registry *registry, const struct registry_actor *actor,
			   const char *login, const char *hash, registry_done_fn done,
			   void *userdata);
/*
 * secret: base32 (coord/accounts/totp.h), from now on asked for besides the password; step: of the
 * code that showed that they have it. NULL, 0: not any more.
 */
void registry_set_totp(struct registry *registry, const struct registry_actor *actor,
		       const char *login, const char *secret, uint64_t step, registry_done_fn done,
		       void *userdata);
/* A code of this step was given, and right. CONFLICT: one of this step, or later, was before. */
void registry_used_totp(struct registry *registry, const struct registry_actor *actor,
			const char *login, uint64_t step, registry_done_fn done, void *userdata);

/* OK: secret, part of the link, valid for 24 hours; older links of theirs are void. */
void registry_create_pwlink(struct registry *registry, const struct registry_actor *actor,
			    const char *login, registry_done_fn done, void *userdata);
/* OK: user. NOT_FOUND: used, void, or none. Otherwise as registry_set_password(). */
void registry_use_pwlink(struct registry *registry, const struct registry_actor *actor,
			 const char *secret, const char *hash, registry_done_fn done,
			 void *userdata);

/* ---------------------------------------------------------------- suspending */

/*
 * Suspended: they may not sign in, the keys of their nodes expire, their auth keys are revoked,
 * sessions and links are void; most of it in the same transaction, the rest right after it by the
 * reaper. Not any more: they may sign in; keys stay expired until they log in with each host.
 */
void registry_suspend_user(struct registry *registry, const struct registry_actor *actor,
			   const char *login, bool suspended, registry_done_fn done,
			   void *userdata);
