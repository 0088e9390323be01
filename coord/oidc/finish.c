/* Taking a person back: from the code to what the provider says of them. */
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "common/base64.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/query.h"
#include "common/text.h"
#include "coord/oidc/provider_internal.h"

/* Between two looks for keys that we do not have, besides the daily one. */
#define REFETCH_USEC (60 * USEC_PER_SEC)

static void finish(struct oidc_call *call)
{
	call->on_finish(&call->identity, NULL, call->userdata);
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
static void fill_in(struct oidc_call *call)
{
	const struct oidc_provider *p = call->provider;
	_cleanup_free_ char *header = NULL;
	bool complete = call->identity.email && call->identity.has_email_verified &&
			(call->identity.has_groups || !p->groups_claim);

	if (complete || !p->discovery.userinfo_endpoint || !call->access_token) {
		finish(call);
		return;
	}
	header = text_printf("Authorization: Bearer %s", call->access_token);
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
		.nonce = call->flow.nonce,
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
		fill_in(call);
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

static void header_safe_copy(const json_t *document, const char *name, char **target)
{
	const char *text = json_string_value(json_object_get(document, name));

	if (text && !text_has_control(text))
		*target = strdup(text);
}

/* "invalid_grant": one of a few words, or none. */
static char *error_word(const char *body, size_t len)
{
	_cleanup_(json_report_done) struct json_report rep = { 0 };
	json_t *document = NULL;
	const char *word;
	char *copy = NULL;

	if (json_parse(body, len, &rep, &document) == 0) {
		word = json_string_value(json_object_get(document, "error"));
		copy = word ? text_sanitize(word, 64) : NULL;
	}
	json_decref(document);
	return copy;
}

static void on_refused(struct oidc_call *call, const struct fetch_answer *answer)
{
	_cleanup_free_ char *word = error_word(answer->body, answer->body_len);
	_cleanup_free_ char *text = text_printf("the provider did not take the code (%u%s%s)",
						answer->status, word ? ", " : "", word ? word : "");

	oidc_give_up(call, text);
}

static void on_token(struct oidc_call *call, const struct fetch_answer *answer)
{
	_cleanup_(json_report_done) struct json_report rep = { 0 };
	_cleanup_free_ char *text = NULL;
	json_t *document = NULL;

	if (answer->status != 200) {
		on_refused(call, answer);
		return;
	}
	if (!oidc_is_document(call, answer))
		return;
	if (json_parse(answer->body, answer->body_len, &rep, &document) == 0) {
		header_safe_copy(document, "id_token", &call->token_text);
		header_safe_copy(document, "access_token", &call->access_token);
	}
	json_decref(document);
	if (!call->token_text) {
		oidc_give_up(call,
			     "the provider's answer has no token in it (\"id_token\"); is the "
			     "scope openid there?");
		return;
	}
	if (jws_parse(call->token_text, strlen(call->token_text), &call->token, &text) < 0)
		oidc_give_up(call, text);
	else
		check_signature(call);
}

/* RFC 6749 section 2.3.1: both escaped as in a form, then as one in Basic. NULL: no memory. */
static char *make_basic(const struct oidc_provider *p)
{
	char *id = query_escape(p->client_id), *secret = query_escape(p->client_secret);
	char *pair = id && secret ? text_printf("%s:%s", id, secret) : NULL;
	size_t len = pair ? strlen(pair) : 0;
	char *encoded = pair ? malloc(BASE64_LEN(len) + 1) : NULL;
	char *header = NULL;

	if (encoded)
		header = text_printf("Authorization: Basic %s", base64_encode(pair, len, encoded));
	free(id);
	oidc_erase(secret);
	oidc_erase(pair);
	oidc_erase(encoded);
	return header;
}

static void exchange(struct oidc_call *call)
{
	const struct oidc_provider *p = call->provider;
	_cleanup_(query_done) struct query form = { 0 };
	char *header = NULL;

	query_add(&form, "grant_type", "authorization_code");
	query_add(&form, "code", call->code);
	query_add(&form, "redirect_uri", p->redirect_uri);
	query_add(&form, "code_verifier", call->flow.verifier);
	if (p->discovery.post_secret) {
		query_add(&form, "client_id", p->client_id);
		query_add(&form, "client_secret", p->client_secret);
	} else {
		header = make_basic(p);
	}
	if (form.error || (!header && !p->discovery.post_secret))
		oidc_give_up(call, NULL);
	else
		oidc_ask(call, &(struct oidc_asking){ "a token", p->discovery.token_endpoint,
						      header, form.text, .step = on_token });
	oidc_erase(header);
}

static const char *check_callback(const struct oidc_provider *p, const struct oidc_flow *flow,
				  const struct oidc_callback *callback)
{
	if (!callback->state || strlen(callback->state) != strlen(flow->state) ||
	    CRYPTO_memcmp(callback->state, flow->state, strlen(flow->state)) != 0)
		return "this is not the answer to what was asked; begin anew";
	if (callback->iss && strcmp(callback->iss, p->issuer) != 0)
		return "the answer is another provider's";
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
		done(NULL, why, userdata);
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
