/* Taking a person back: from the code to what the provider says of them. */
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "coord/oidc/provider_internal.h"

/* Between two looks for keys that we do not have, besides the daily one. */
#define REFETCH_USEC (60 * USEC_PER_SEC)

static void finish(struct oidc_call *call)
{
	if (call->on_refresh) {
		oidc_refreshed(call);
		return;
	}
	call->on_finish(&call->identity, oidc_wants_refresh(call) ? call->tokens.refresh : NULL,
			NULL, call->userdata);
	oidc_call_free(call);
}

static void on_userinfo(struct oidc_call *call, const struct fetch_answer *answer)
{
	_cleanup_free_ char *text = NULL;

	if (!oidc_is_document(call, answer))
		return;
	if (oidc_userinfo_add(answer->body, answer->body_len, call->provider->groups_claim,
			      &call->identity, &text) < 0)
		oidc_give_up(call, text);
	else
		finish(call);
}

/* Tokens are short with some providers; who the person is stands elsewhere then. */
void oidc_fill_in(struct oidc_call *call)
{
	const struct oidc_provider *p = call->provider;
	_cleanup_free_ char *header = NULL;
	bool complete = call->identity.email && call->identity.has_email_verified &&
			(call->identity.has_groups || !p->groups_claim);

	if (complete || !p->discovery.userinfo_endpoint || !call->tokens.access) {
		finish(call);
		return;
	}
	header = text_printf("Authorization: Bearer %s", call->tokens.access);
	if (!header) {
		oidc_give_up(call, NULL);
		return;
	}
	oidc_ask(call, &(struct oidc_asking){ "what it knows of the person",
					      p->discovery.userinfo_endpoint, header,
					      .step = on_userinfo });
	explicit_bzero(header, strlen(header));
}

static void check_claims(struct oidc_call *call)
{
	const struct oidc_provider *p = call->provider;
	_cleanup_free_ char *text = NULL;
	const struct oidc_expected expected = {
		.issuer = p->issuer,
		.client_id = p->client_id,
		.nonce = call->on_refresh ? call->nonce : call->flow.nonce,
		.renews = call->subject,
		.groups_claim = p->groups_claim,
		.now = clock_usec(CLOCK_REALTIME),
		.signed_in_after = call->flow.reauth && p->reauth == OIDC_REAUTH_MAX_AGE
					   ? call->flow.begun
					   : 0,
	};

	if (oidc_claims_check(call->token.payload, call->token.payload_len, &expected,
			      &call->identity, &text) < 0)
		oidc_give_up(call, text);
	else
		oidc_fill_in(call);
}

/* A key that we do not have may be new; but tokens that name such keys are cheap to make. */
static bool may_look_again(struct oidc_call *call)
{
	struct oidc_provider *p = call->provider;
	uint64_t now = clock_usec(CLOCK_BOOTTIME);

	if (call->keys_are_new || (p->looked_again && now - p->looked_again < REFETCH_USEC))
		return false;
	p->looked_again = now;
	return true;
}

static void check_signature(struct oidc_call *call)
{
	struct oidc_provider *p = call->provider;
	_cleanup_free_ char *text = NULL;
	int r;

	if (!oidc_is_fresh(p->keys_fetched)) {
		oidc_fetch_keys(call, check_signature);
		return;
	}
	r = jwks_verify(p->jwks, p->alg, &call->token, &text);
	if (r == JWKS_NO_KEY && may_look_again(call))
		oidc_fetch_keys(call, check_signature);
	else if (r != 0)
		oidc_give_up(call, text);
	else
		check_claims(call);
}

/* ---- the token endpoint ---- */

void oidc_check_token(struct oidc_call *call)
{
	_cleanup_free_ char *text = NULL;

	if (jws_parse(call->tokens.id, strlen(call->tokens.id), &call->token, &text) < 0)
		oidc_give_up(call, text);
	else
		check_signature(call);
}

static void on_token(struct oidc_call *call, const struct fetch_answer *answer)
{
	_cleanup_free_ char *why = NULL, *text = NULL;
	int r = oidc_tokens_parse(answer->status, answer->body, answer->body_len, &call->tokens,
				  &why);

	if (r != 0) {
		text = why ? text_printf("the provider did not take the code: %s", why) : NULL;
		oidc_give_up(call, text);
	} else if (!call->tokens.id) {
		oidc_give_up(call,
			     "the provider's answer has no token in it (\"id_token\"); is the "
			     "scope openid there?");
	} else {
		oidc_check_token(call);
	}
}

static void exchange(struct oidc_call *call)
{
	const struct oidc_provider *p = call->provider;
	struct query form = { 0 };

	query_add(&form, "grant_type", "authorization_code");
	query_add(&form, "code", call->code);
	query_add(&form, "redirect_uri", p->redirect_uri);
	query_add(&form, "code_verifier", call->flow.verifier);
	oidc_ask_as_client(call, "a token", p->discovery.token_endpoint, &form, on_token);
}

static const char *check_callback(const struct oidc_provider *p, const struct oidc_flow *flow,
				  const struct oidc_callback *callback)
{
	if (!callback->state || strlen(callback->state) != strlen(flow->state) ||
	    CRYPTO_memcmp(callback->state, flow->state, strlen(flow->state)) != 0)
		return "this is not the answer to what was asked; begin anew";
	if (callback->iss && strcmp(callback->iss, p->issuer) != 0)
		return "the answer is another provider's";
	if (!callback->iss && p->discovery.names_itself)
		return "the answer does not say which provider it is from";
	if (callback->error && strcmp(callback->error, "access_denied") == 0)
		return "the provider says that you did not agree, or may not sign in here";
	if (callback->error)
		return "the provider could not sign you in";
	return callback->code && *callback->code ? NULL : "the provider's answer has no code in it";
}

int oidc_finish(struct oidc_provider *provider, const struct oidc_flow *flow,
		const struct oidc_callback *callback, oidc_finish_fn done, void *userdata,
		struct oidc_call **ret_call)
{
	const char *why = check_callback(provider, flow, callback);
	struct oidc_call *call;
	int r;

	if (why) {
		*ret_call = NULL;
		done(NULL, NULL, why, userdata);
		return 0;
	}
	r = oidc_call_new(provider, &call);
	if (r < 0)
		return r;
	call->on_finish = done;
	call->userdata = userdata;
	call->flow = *flow;
	call->code = strdup(callback->code);
	if (!call->code) {
		oidc_call_free(call);
		return -ENOMEM;
	}
	oidc_with_description(call, exchange);
	*ret_call = oidc_still_there(provider, call);
	return 0;
}
