/*
 * An OpenID provider: sending a person there, and taking them back (authorization code with PKCE,
 * RFC 6749, RFC 7636, RFC 9207, OpenID Connect Core 1.0). What it says of itself and its keys are
 * fetched when they are needed, and kept for a day at most.
 *
 * All texts of refusals are one line for people, and have no secrets in them.
 */
#pragma once

#include <systemd/sd-event.h>

#include "common/fetch.h"
#include "common/random.h"
#include "coord/oidc/claims.h"
#include "coord/oidc/jwks.h"

/* How it makes sure that a person is there, when a check asks for it. */
enum oidc_reauth {
	OIDC_REAUTH_MAX_AGE,	 /* max_age=0, and a fresh auth_time: the only one to rely on */
	OIDC_REAUTH_PROMPT_ONLY, /* prompt=login, and no proof that it was done */
	OIDC_REAUTH_NONE,	 /* whoever is signed in there */
};
/* "max-age", "prompt-only", "none". */
const char *oidc_reauth_name(enum oidc_reauth reauth);
int oidc_reauth_parse(const char *text, enum oidc_reauth *ret_reauth);

/* Whether a person who signs in leaves a refresh token here, and how it is asked for. */
enum oidc_offline {
	OIDC_OFFLINE_NO,
	OIDC_OFFLINE_SCOPE,  /* the scope offline_access (OpenID Connect Core 1.0, section 11) */
	OIDC_OFFLINE_ACCESS, /* access_type=offline, which one big provider has instead */
	OIDC_OFFLINE_PLAIN,  /* it comes without being asked for */
};
/* "no", "offline-access", "access-type", "plain". Return: 0, -EINVAL. */
int oidc_offline_parse(const char *text, enum oidc_offline *ret_offline);

struct oidc_provider_config {
	const char *issuer, *client_id, *client_secret;
	const char *redirect_uri; /* ours, as it is registered there */
	const char *scopes;	  /* "openid email profile", for one */
	const char *groups_claim; /* NULL: none */
	enum jws_alg alg;
	enum oidc_reauth reauth;
	enum oidc_offline offline;
};

struct oidc_provider;
/*
 * fetch is borrowed and outlives it; config is copied. Return: 0; -EINVAL and
 * *reterr_text (the caller's); -ENOMEM, negative errno.
 */
int oidc_provider_new(struct fetch *fetch, const struct oidc_provider_config *config,
		      char **reterr_text, struct oidc_provider **ret_provider);
/* Calls that are under way are answered with a failure from here. */
struct oidc_provider *oidc_provider_free(struct oidc_provider *provider);
DEFINE_CLEANUP(struct oidc_provider *, oidc_provider_free);

#define OIDC_SECRET_SIZE RANDOM_SECRET_SIZE

/* What has to be remembered until the person is back, by us alone. */
struct oidc_flow {
	char state[OIDC_SECRET_SIZE];
	char nonce[OIDC_SECRET_SIZE];
	char verifier[OIDC_SECRET_SIZE]; /* PKCE */
	bool reauth;			 /* the person had to sign in anew */
	uint64_t begun;			 /* usec since 1970 */
};

/*
 * Where to send the person, or why not (problem; url is NULL then). Borrowed, as flow, until it
 * returns.
 */
typedef void (*oidc_begin_fn)(const char *url, const struct oidc_flow *flow, const char *problem,
			      void *userdata);
/*
 * done is called once, from the event loop or from within this. login_hint may be NULL. Return: 0
 * and *ret_call, for oidc_cancel(); NULL when it is over already; -ENOMEM, negative errno.
 */
struct oidc_call;
int oidc_begin(struct oidc_provider *provider, bool reauth, const char *login_hint,
	       oidc_begin_fn done, void *userdata, struct oidc_call **ret_call);

/* The query that the person came back with; NULL: was not there. */
struct oidc_callback {
	const char *code, *state;
	const char *iss;   /* RFC 9207 */
	const char *error; /* "access_denied" */
};
/*
 * identity NULL: problem says why not. refresh_token: for oidc_refresh(), with the flow's nonce;
 * NULL: there is none, or it was not wanted. All are borrowed until it returns.
 */
typedef void (*oidc_finish_fn)(const struct oidc_identity *identity, const char *refresh_token,
			       const char *problem, void *userdata);
/*
 * Everything is checked here but who may come (domains, known people): state, issuer, code, token,
 * keys, claims, and a fresh sign-in if the flow demanded one. Call it once for a flow, whatever
 * comes of it. Return: as oidc_begin().
 */
int oidc_finish(struct oidc_provider *provider, const struct oidc_flow *flow,
		const struct oidc_callback *callback, oidc_finish_fn done, void *userdata,
		struct oidc_call **ret_call);

enum oidc_refresh {
	OIDC_REFRESHED,	     /* the provider knows them still */
	OIDC_REFRESH_GONE,   /* it takes this token no more (RFC 6749, "invalid_grant") */
	OIDC_REFRESH_FAILED, /* nothing is known: it was not reached, or its answer was no good */
	OIDC_REFRESH_SILENT, /* as FAILED, and it may have heard, and changed the token */
};
struct oidc_renewal {
	const char *refresh_token;
	const char *subject; /* whose it is */
	const char *nonce;   /* of the sign-in that it comes from */
};
/*
 * The provider took it. refresh_token: the one to keep from now on, since the old one may be void;
 * NULL: the old one stays. Told before the rest of the answer is looked at, and whatever comes of
 * that. Borrowed until it returns.
 */
typedef void (*oidc_tokens_fn)(const char *refresh_token, void *userdata);
/*
 * identity: of OIDC_REFRESHED, what the provider says of the person now; NULL: nothing. problem:
 * of the others, for people. Borrowed until it returns.
 */
typedef void (*oidc_refresh_fn)(enum oidc_refresh result, const struct oidc_identity *identity,
				const char *problem, void *userdata);
/*
 * Ask whether the provider knows the person still (OpenID Connect Core 1.0, section 12). An ID
 * token in the answer has to be about the same subject, for us, and signed as at the sign-in.
 * Return: as oidc_begin().
 */
int oidc_refresh(struct oidc_provider *provider, const struct oidc_renewal *renewal,
		 oidc_tokens_fn on_tokens, oidc_refresh_fn done, void *userdata,
		 struct oidc_call **ret_call);

/* problem NULL: done, or the provider has no such thing. */
typedef void (*oidc_revoke_fn)(const char *problem, void *userdata);
/* Tell the provider that the refresh token is not needed any more (RFC 7009). Likewise. */
int oidc_revoke(struct oidc_provider *provider, const char *refresh_token, oidc_revoke_fn done,
		void *userdata, struct oidc_call **ret_call);

/* Nobody waits any more: done is not called. Takes NULL, returns NULL. */
struct oidc_call *oidc_cancel(struct oidc_call *call);
