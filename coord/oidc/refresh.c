/* Whether a provider knows a person still: their refresh token is redeemed, or given back. */
#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "coord/oidc/provider_internal.h"

/* ---- redeeming ---- */

void oidc_refreshed(struct oidc_call *call)
{
	call->on_refresh(OIDC_REFRESHED, &call->identity, NULL, call->userdata);
	oidc_call_free(call);
}

static void on_gone(struct oidc_call *call, const char *why)
{
	call->on_refresh(OIDC_REFRESH_GONE, NULL, why ? why : "out of memory", call->userdata);
	oidc_call_free(call);
}

/* Without an ID token (it is optional here), userinfo says who it is. */
static void look_at_person(struct oidc_call *call)
{
	if (call->tokens.id) {
		oidc_check_token(call);
		return;
	}
	call->identity.subject = strdup(call->subject);
	if (call->identity.subject)
		oidc_fill_in(call);
	else
		oidc_give_up(call, NULL);
}

static void on_redeemed(struct oidc_call *call, const struct fetch_answer *answer)
{
	_cleanup_free_ char *why = NULL, *text = NULL;
	int r = oidc_tokens_parse(answer->status, answer->body, answer->body_len, &call->tokens,
				  &why);

	/* A refusal that the provider itself has spoken; others may be a proxy's. */
	if (r == 0 || r == OIDC_INVALID_GRANT || (answer->status >= 400 && answer->status < 500))
		call->may_have_redeemed = false;
	if (r == OIDC_INVALID_GRANT) {
		on_gone(call, why);
		return;
	}
	if (r < 0) {
		text = why ? text_printf("whether they are known still: %s", why) : NULL;
		oidc_give_up(call, text);
		return;
	}
	call->on_tokens(call->tokens.refresh, call->userdata);
	look_at_person(call);
}

static void redeem(struct oidc_call *call)
{
	struct query form = { 0 };

	query_add(&form, "grant_type", "refresh_token");
	query_add(&form, "refresh_token", call->refresh_token);
	call->may_have_redeemed = true;
	oidc_ask_as_client(call, "whether it knows a person still",
			   call->provider->discovery.token_endpoint, &form, on_redeemed);
}

int oidc_refresh(struct oidc_provider *provider, const struct oidc_renewal *renewal,
		 oidc_tokens_fn on_tokens, oidc_refresh_fn done, void *userdata,
		 struct oidc_call **ret_call)
{
	struct oidc_call *call;
	int r = oidc_call_new(provider, &call);

	if (r < 0)
		return r;
	call->on_tokens = on_tokens;
	call->on_refresh = done;
	call->userdata = userdata;
	call->refresh_token = strdup(renewal->refresh_token);
	call->subject = strdup(renewal->subject);
	call->nonce = strdup(renewal->nonce);
	if (!call->refresh_token || !call->subject || !call->nonce) {
		oidc_call_free(call);
		return -ENOMEM;
	}
	oidc_with_description(call, redeem);
	*ret_call = oidc_still_there(provider, call);
	return 0;
}

/* ---- giving back ---- */

static void revoked(struct oidc_call *call, const char *problem)
{
	call->on_revoke(problem, call->userdata);
	oidc_call_free(call);
}

/* A token that it does not know (any more) is answered 200 as well (RFC 7009, section 2.2). */
static void on_revoked(struct oidc_call *call, const struct fetch_answer *answer)
{
	_cleanup_free_ char *text = NULL;

	if (answer->status == 200) {
		revoked(call, NULL);
		return;
	}
	text = text_printf("the provider answered %u when a token was given back", answer->status);
	oidc_give_up(call, text);
}

static void give_back(struct oidc_call *call)
{
	struct query form = { 0 };

	if (!call->provider->discovery.revocation_endpoint) {
		revoked(call, NULL);
		return;
	}
	query_add(&form, "token", call->refresh_token);
	query_add(&form, "token_type_hint", "refresh_token");
	oidc_ask_as_client(call, "a token to be void",
			   call->provider->discovery.revocation_endpoint, &form, on_revoked);
}

int oidc_revoke(struct oidc_provider *provider, const char *refresh_token, oidc_revoke_fn done,
		void *userdata, struct oidc_call **ret_call)
{
	struct oidc_call *call;
	int r = oidc_call_new(provider, &call);

	if (r < 0)
		return r;
	call->on_revoke = done;
	call->userdata = userdata;
	call->refresh_token = strdup(refresh_token);
	if (!call->refresh_token) {
		oidc_call_free(call);
		return -ENOMEM;
	}
	oidc_with_description(call, give_back);
	*ret_call = oidc_still_there(provider, call);
	return 0;
}
