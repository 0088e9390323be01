/*
 * Does somebody who signs in with a password know it? Asked and answered by way of the event loop,
 * which never waits: hashing is for a thread. Whoever has no account, or no password, is told the
 * same text after the same time as whoever mistypes theirs.
 *
 * Guessing is slowed down per account and per address: after a few failures each further try has to
 * wait, twice as long each time, for 15 minutes at most. A wait is never for ever, does not begin
 * anew by trying meanwhile, and does not concern an address (IPv6: a /64) from which this person
 * has signed in lately: nobody can lock them out there.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/ip.h"
#include "coord/registry/accounts.h"

struct verifier;

/* Starts the thread. event and registry are borrowed, and outlive it. Return: 0, negative errno. */
int verifier_new(sd_event *event, struct registry *registry, struct verifier **ret_verifier);
/* Waits for the thread, for one hash at most. What was not answered is answered from here:
 * VERIFY_UNAVAILABLE. */
struct verifier *verifier_free(struct verifier *verifier);
DEFINE_CLEANUP(struct verifier *, verifier_free);

enum verify_status {
	VERIFY_OK,
	VERIFY_NEEDS_CODE,  /* the password is right, and a code is asked for besides */
	VERIFY_WRONG,	    /* whatever it is that is wrong */
	VERIFY_LATER,	    /* too many failures: try again after retry_usec */
	VERIFY_UNAVAILABLE, /* too many are being checked, no memory: try again */
};

struct verify_answer {
	enum verify_status status;
	const char *text;    /* for people; NULL: OK, NEEDS_CODE */
	uint64_t retry_usec; /* LATER */
	const char *login;   /* OK, NEEDS_CODE: whose it is, as the registry has it */
	const char *method;  /* OK: "password", "password+totp" */
	const char *hash;    /* OK, of verifier_hash() */
};
/* What it holds is valid until this returns. Called exactly once. */
typedef void (*verify_fn)(const struct verify_answer *answer, void *userdata);

struct verify_attempt {
	const char *login; /* as it was typed: in whatever case */
	const char *password;
	const char *code; /* of TOTP; NULL: not given */
	struct ip_addr from;
};
/*
 * Texts are copied, and wiped at the end. Failures become events "user.sign-in"; what to do after
 * OK is the caller's (registry_open_session()). done may be called before this returns.
 */
void verifier_check(struct verifier *verifier, const struct verify_attempt *attempt, verify_fn done,
		    void *userdata);
/*
 * The second step alone, after VERIFY_NEEDS_CODE for the same login, which the caller remembers:
 * password is not looked at. OK: "password+totp".
 */
void verifier_check_code(struct verifier *verifier, const struct verify_attempt *attempt,
			 verify_fn done, void *userdata);
/* Make a hash of a new password, for which password_problem() found none. OK: hash. */
void verifier_hash(struct verifier *verifier, const char *password, verify_fn done, void *userdata);
