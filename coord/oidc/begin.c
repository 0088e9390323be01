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
	if (!call->flow.reauth)
		return;
	if (call->provider->reauth == OIDC_REAUTH_MAX_AGE)
		query_add(query, "max_age", "0");
	if (call->provider->reauth != OIDC_REAUTH_NONE)
		query_add(query, "prompt", "login");
}

static void send_there(struct oidc_call *call)
{
	const struct oidc_provider *p = call->provider;
	_cleanup_(query_done) struct query query = { 0 };
	_cleanup_free_ char *url = NULL;
	char challenge[OIDC_SECRET_SIZE];

	if (make_challenge(call->flow.verifier, challenge) < 0) {
		oidc_give_up(call, NULL);
		return;
	}
	query_add(&query, "response_type", "code");
	query_add(&query, "client_id", p->client_id);
	query_add(&query, "redirect_uri", p->redirect_uri);
	query_add(&query, "scope", p->scopes);
	query_add(&query, "state", call->flow.state);
	query_add(&query, "nonce", call->flow.nonce);
	query_add(&query, "code_challenge", challenge);
	query_add(&query, "code_challenge_method", "S256");
	query_add(&query, "login_hint", call->login_hint);
	add_reauth(call, &query);
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
