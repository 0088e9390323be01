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

struct oidc_provider_config {
	const char *issuer, *client_id, *client_secret;
	const char *redirect_uri; /* ours, as it is registered there */
	const char *scopes;	  /* "openid email profile", for one */
	const char *groups_claim; /* NULL: none */
	enum jws_alg alg;
	enum oidc_reauth reauth;
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
/* identity NULL: problem says why not. Both are borrowed until it returns. */
typedef void (*oidc_finish_fn)(const struct oidc_identity *identity, const char *problem,
			       void *userdata);
/*
 * Everything is checked here but who may come (domains, known people): state, issuer, code, token,
 * keys, claims, and a fresh sign-in if the flow demanded one. Call it once for a flow, whatever
 * comes of it. Return: as oidc_begin().
 */
int oidc_finish(struct oidc_provider *provider, const struct oidc_flow *flow,
		const struct oidc_callback *callback, oidc_finish_fn done, void *userdata,
		struct oidc_call **ret_call);

/* Nobody waits any more: done is not called. Takes NULL, returns NULL. */
struct oidc_call *oidc_cancel(struct oidc_call *call);
