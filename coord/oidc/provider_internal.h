/* Between the parts of a provider: its state, and the steps of a call. Threads: the event loop's
 * only. */
#pragma once

#include <sys/queue.h>

#include "coord/oidc/discovery.h"
#include "coord/oidc/provider.h"

struct oidc_provider {
	struct fetch *fetch;
	char *issuer, *client_id, *client_secret, *redirect_uri, *scopes, *groups_claim;
	enum jws_alg alg;
	enum oidc_reauth reauth;

	struct oidc_discovery discovery;
	uint64_t discovered; /* usec, CLOCK_BOOTTIME; 0: not yet */
	struct jwks *jwks;
	uint64_t keys_fetched; /* likewise */
	uint64_t looked_again; /* for a key that was not among them; likewise */

	LIST_HEAD(, oidc_call) calls;
	size_t n_calls;
};

/* One person, there or back; its steps follow one another, each with a request at most. */
struct oidc_call {
	struct oidc_provider *provider;
	LIST_ENTRY(oidc_call) entry;
	struct fetch_call *fetch;
	void (*step)(struct oidc_call *call,
		     const struct fetch_answer *answer); /* what to do with what comes */
	void (*next)(struct oidc_call *call);		 /* once description or keys are there */
	const char *what;				 /* is asked for, for people */

	struct oidc_flow flow;
	char *login_hint;
	oidc_begin_fn on_begin;
	oidc_finish_fn on_finish;
	void *userdata;

	char *code;
	char *access_token;
	struct jws token;
	char *token_text;
	struct oidc_identity identity;
	bool keys_are_new; /* were fetched for this token */
};

/* Return: 0; -EBUSY: too many people are on their way; -ENOMEM. */
int oidc_call_new(struct oidc_provider *provider, struct oidc_call **ret_call);
void oidc_call_free(struct oidc_call *call);
/* The end, in failure; frees the call. problem NULL: no memory. */
void oidc_give_up(struct oidc_call *call, const char *problem);
/*
 * Steps may end the call before the function that began it has returned, when nothing had to be
 * fetched. Return: the call; NULL: it is over.
 */
struct oidc_call *oidc_still_there(struct oidc_provider *provider, const struct oidc_call *wanted);

struct oidc_asking {
	const char *what, *url;
	const char *header; /* NULL: none besides Accept */
	const char *body;   /* a form; NULL: GET */
	void (*step)(struct oidc_call *call, const struct fetch_answer *answer);
};
/* Ask, and go on with the step; or give up. */
void oidc_ask(struct oidc_call *call, const struct oidc_asking *request);
/* A document with status 200 and a bounded size? Otherwise the call has ended. */
bool oidc_is_document(struct oidc_call *call, const struct fetch_answer *answer);
/* Go on when the provider's description is there; with its keys, fetched anew. Or give up. */
void oidc_with_description(struct oidc_call *call, void (*next)(struct oidc_call *call));
void oidc_fetch_keys(struct oidc_call *call, void (*next)(struct oidc_call *call));
/* Since then (CLOCK_BOOTTIME; 0: never), may it still be used? */
bool oidc_is_fresh(uint64_t since);

/* Free a secret; takes NULL. Returns NULL. */
char *oidc_erase(char *text);
