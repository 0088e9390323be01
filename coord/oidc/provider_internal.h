/* Between the parts of a provider: its state, and the steps of a call. Threads: the event loop's
 * only. */
#pragma once

#include <sys/queue.h>

#include "common/query.h"
#include "coord/oidc/discovery.h"
#include "coord/oidc/provider.h"
#include "coord/oidc/tokens.h"

struct oidc_provider {
	struct fetch *fetch;
	char *issuer, *client_id, *client_secret, *redirect_uri, *scopes, *groups_claim;
	enum jws_alg alg;
	enum oidc_reauth reauth;
	enum oidc_offline offline;

	struct oidc_discovery discovery;
	uint64_t discovered; /* usec, CLOCK_BOOTTIME; 0: not yet */
	struct jwks *jwks;
	uint64_t keys_fetched; /* likewise */
	uint64_t looked_again; /* for a key that was not among them; likewise */

	LIST_HEAD(, oidc_call) calls;
	size_t n_calls;
};

/*
 * One person, there or back, or a token of theirs; its steps follow one another, each with a
 * request at most.
 */
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
	oidc_tokens_fn on_tokens; /* of a renewal, as the next */
	oidc_refresh_fn on_refresh;
	oidc_revoke_fn on_revoke;
	void *userdata;

	char *code;
	struct oidc_tokens tokens; /* that it gave us */
	char *refresh_token;	   /* that we had */
	char *subject, *nonce;	   /* whose that is, and of the sign-in that it is from */
	struct jws token;
	struct oidc_identity identity;
	bool keys_are_new;	/* were fetched for this token */
	bool may_have_redeemed; /* the refresh token: the provider may have heard, and answered */
};

/*
 * Is a refresh token wanted from this trip? Not from those that only show that a person is there:
 * there was a sign-in before, and consent would be asked for each time.
 */
static inline bool oidc_wants_refresh(const struct oidc_call *call)
{
	return call->provider->offline != OIDC_OFFLINE_NO && !call->flow.reauth;
}

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
/* The same of a form, which only we can send: with the client's id and secret. Wipes the form. */
void oidc_ask_as_client(struct oidc_call *call, const char *what, const char *url,
			struct query *form,
			void (*step)(struct oidc_call *call, const struct fetch_answer *answer));
/* Go on when the provider's description is there; with its keys, fetched anew. Or give up. */
void oidc_with_description(struct oidc_call *call, void (*next)(struct oidc_call *call));
void oidc_fetch_keys(struct oidc_call *call, void (*next)(struct oidc_call *call));
/* Since then (CLOCK_BOOTTIME; 0: never), may it still be used? */
bool oidc_is_fresh(uint64_t since);

/* call->tokens.id is there: check it, and go on with what it and userinfo say (finish.c). */
void oidc_check_token(struct oidc_call *call);
/* The provider says who it is in userinfo; call->identity has the subject (finish.c). */
void oidc_fill_in(struct oidc_call *call);
/* There is all that there will be of call->identity: the end of a renewal (refresh.c). */
void oidc_refreshed(struct oidc_call *call);
