/*
 * Requests to the coordinator, and what its answers are worth (coord/PROTOCOL-signatures.md). Pure:
 * clock and bytes are the caller's.
 *
 * What an answer says is acted upon only if the coordinator signed it in answer to this very
 * request. All else, errors of proxies included, is "not now". A refusal that only the agent's idea
 * of epoch, clock or nonce has caused is cured, and the request signed anew: each cure once.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/ed25519.h"
#include "common/fetch.h"
#include "common/httpsig.h"

/* One for all requests of the agent. Embed it. */
struct link_signer {
	const struct ed25519_key *machine;
	struct httpsig_audience audience; /* the coordinator's epoch as far as it is known */
	uint64_t nonce;			  /* the last one */
	int64_t ahead_sec;		  /* of the coordinator's clock before ours */
};

/* machine is borrowed for good. */
void link_signer_init(struct link_signer *signer, const struct ed25519_key *machine,
		      const struct ed25519_public *coordinator);

/* A request that is being made. Zero-initialise. */
struct link_asking {
	uint64_t nonce; /* of the last attempt */
	struct httpsig_epoch epoch;
	bool cured_epoch, cured_clock, cured_nonce;
};

/* Return: as httpsig_sign(). now_usec: of this host's clock. */
int link_sign(struct link_signer *signer, struct link_asking *asking,
	      const struct httpsig_request *request, uint64_t now_usec,
	      struct httpsig_signed *ret_signed);

enum link_verdict_kind {
	LINK_ANSWER_GOOD,  /* signed, and of 2xx: see status and body */
	LINK_ANSWER_NO,	   /* signed, and of 4xx: see code */
	LINK_ANSWER_AGAIN, /* sign anew and ask at once */
	LINK_ANSWER_LATER, /* it may pass; or it is not from the coordinator */
};

#define LINK_MAX_CODE 32u /* with the final NUL */

/* Zero-initialise; link_verdict_done() frees. */
struct link_verdict {
	enum link_verdict_kind kind;
	unsigned status;
	json_t *body;		  /* GOOD: an object */
	char code[LINK_MAX_CODE]; /* "bad-auth-key"; "" if there is none */
	char *message;		  /* of all but GOOD: one line for people, fit for a terminal */
	uint64_t retry_after_usec;
	bool skewed; /* this host's clock had to be corrected */
};
void link_verdict_done(struct link_verdict *verdict);
/* To a member's request: the coordinator itself says that it knows no such node. */
bool link_verdict_is_deleted(const struct link_verdict *verdict);

/* Return: 0 and *ret_verdict, -ENOMEM. */
int link_answer_judge(struct link_signer *signer, struct link_asking *asking,
		      const struct fetch_answer *answer, uint64_t now_usec,
		      struct link_verdict *ret_verdict);
