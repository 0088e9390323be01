/* Sending a person to the provider. */
#include <errno.h>
#include <string.h>

#include "common/base64.h"
#include "common/clock.h"
#include "common/query.h"
#include "common/random.h"
#include "common/sha256.h"
#include "common/text.h"
#include "coord/oidc/provider_internal.h"

/* RFC 7636 section 4.2, "S256". */
static int make_challenge(const char *verifier, char challenge[OIDC_SECRET_SIZE])
{
	uint8_t digest[SHA256_LEN];
	int r = sha256(verifier, strlen(verifier), digest);

	if (r == 0)
		base64url_encode(digest, sizeof(digest), challenge);
	return r;
}

static void add_reauth(const struct oidc_call *call, struct query *query)
{
	if (call->provider->reauth == OIDC_REAUTH_MAX_AGE)
		query_add(query, "max_age", "0");
	if (call->provider->reauth != OIDC_REAUTH_NONE)
		query_add(query, "prompt", "login");
}

/*
 * Without the consent, providers leave the token out (OpenID Connect Core 1.0, section 11; the
 * other one gives it with the first sign-in only).
 */
static void add_offline(const struct oidc_call *call, struct query *query)
{
	if (call->provider->offline == OIDC_OFFLINE_ACCESS)
		query_add(query, "access_type", "offline");
	if (call->provider->offline != OIDC_OFFLINE_PLAIN)
		query_add(query, "prompt", "consent");
}

/* The scope of section 11 may be among them already. NULL: no memory. */
static char *make_scopes(const struct oidc_call *call)
{
	const struct oidc_provider *p = call->provider;
	bool add = oidc_wants_refresh(call) && p->offline == OIDC_OFFLINE_SCOPE;

	return text_printf("%s%s", p->scopes, add ? " offline_access" : "");
}

static void send_there(struct oidc_call *call)
{
	const struct oidc_provider *p = call->provider;
	_cleanup_(query_done) struct query query = { 0 };
	_cleanup_free_ char *url = NULL, *scopes = make_scopes(call);
	char challenge[OIDC_SECRET_SIZE];

	if (!scopes || make_challenge(call->flow.verifier, challenge) < 0) {
		oidc_give_up(call, NULL);
		return;
	}
	query_add(&query, "response_type", "code");
	query_add(&query, "client_id", p->client_id);
	query_add(&query, "redirect_uri", p->redirect_uri);
	query_add(&query, "scope", scopes);
	query_add(&query, "state", call->flow.state);
	query_add(&query, "nonce", call->flow.nonce);
	query_add(&query, "code_challenge", challenge);
	query_add(&query, "code_challenge_method", "S256");
	query_add(&query, "login_hint", call->login_hint);
	if (call->flow.reauth)
		add_reauth(call, &query);
	else if (oidc_wants_refresh(call))
		add_offline(call, &query);
	if (!query.error)
		url = text_printf("%s%c%s", p->discovery.authorization_endpoint,
				  strchr(p->discovery.authorization_endpoint, '?') ? '&' : '?',
				  query.text);
	if (!url) {
		oidc_give_up(call, NULL);
		return;
	}
	call->on_begin(url, &call->flow, NULL, call->userdata);
	oidc_call_free(call);
}

int oidc_begin(struct oidc_provider *provider, bool reauth, const char *login_hint,
	       oidc_begin_fn done, void *userdata, struct oidc_call **ret_call)
{
	struct oidc_call *call;
	int r = oidc_call_new(provider, &call);

	if (r < 0)
		return r;
	call->on_begin = done;
	call->userdata = userdata;
	call->flow.reauth = reauth;
	call->flow.begun = clock_usec(CLOCK_REALTIME);
	r = random_secret(call->flow.state);
	if (r == 0)
		r = random_secret(call->flow.nonce);
	if (r == 0)
		r = random_secret(call->flow.verifier);
	if (r == 0 && login_hint && !(call->login_hint = strdup(login_hint)))
		r = -ENOMEM;
	if (r < 0) {
		oidc_call_free(call);
		return r;
	}
	oidc_with_description(call, send_there);
	*ret_call = oidc_still_there(provider, call);
	return 0;
}
