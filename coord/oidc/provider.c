#include "coord/oidc/provider_internal.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/text.h"

#define SECOND	     UINT64_C(1000000)
#define FRESH_USEC   (24 * 3600 * SECOND)
#define TIMEOUT_USEC (15 * SECOND)
#define MAX_DOCUMENT (256u << 10)
#define MAX_CALLS    256u /* people on their way */

static const char *const reauth_names[] = {
	[OIDC_REAUTH_MAX_AGE] = "max-age",
	[OIDC_REAUTH_PROMPT_ONLY] = "prompt-only",
	[OIDC_REAUTH_NONE] = "none",
};
static const char *const offline_names[] = {
	[OIDC_OFFLINE_NO] = "no",
	[OIDC_OFFLINE_SCOPE] = "offline-access",
	[OIDC_OFFLINE_ACCESS] = "access-type",
	[OIDC_OFFLINE_PLAIN] = "plain",
};

const char *oidc_reauth_name(enum oidc_reauth reauth)
{
	return reauth_names[reauth];
}

static int find(const char *const *names, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], text) == 0)
			return (int)i;
	return -EINVAL;
}

int oidc_reauth_parse(const char *text, enum oidc_reauth *ret_reauth)
{
	int i = find(reauth_names, ARRAY_SIZE(reauth_names), text);

	if (i >= 0)
		*ret_reauth = (enum oidc_reauth)i;
	return i < 0 ? i : 0;
}

int oidc_offline_parse(const char *text, enum oidc_offline *ret_offline)
{
	int i = find(offline_names, ARRAY_SIZE(offline_names), text);

	if (i >= 0)
		*ret_offline = (enum oidc_offline)i;
	return i < 0 ? i : 0;
}

/* ---- calls ---- */

void oidc_call_free(struct oidc_call *call)
{
	LIST_REMOVE(call, entry);
	call->provider->n_calls--;
	fetch_cancel(call->fetch);
	oidc_erase(call->code);
	oidc_tokens_done(&call->tokens);
	oidc_erase(call->refresh_token);
	free(call->subject);
	free(call->nonce);
	jws_done(&call->token);
	oidc_identity_done(&call->identity);
	free(call->login_hint);
	explicit_bzero(&call->flow, sizeof(call->flow));
	free(call);
}

struct oidc_call *oidc_cancel(struct oidc_call *call)
{
	if (call)
		oidc_call_free(call);
	return NULL;
}

int oidc_call_new(struct oidc_provider *provider, struct oidc_call **ret_call)
{
	struct oidc_call *call;

	if (provider->n_calls >= MAX_CALLS)
		return -EBUSY;
	call = calloc(1, sizeof(*call));
	if (!call)
		return -ENOMEM;
	call->provider = provider;
	LIST_INSERT_HEAD(&provider->calls, call, entry);
	provider->n_calls++;
	*ret_call = call;
	return 0;
}

/* The end, in failure. problem NULL: no memory. */
void oidc_give_up(struct oidc_call *call, const char *problem)
{
	const char *text = problem ? problem : "out of memory";

	if (call->on_begin)
		call->on_begin(NULL, NULL, text, call->userdata);
	else if (call->on_refresh)
		call->on_refresh(call->may_have_redeemed ? OIDC_REFRESH_SILENT
							 : OIDC_REFRESH_FAILED,
				 NULL, text, call->userdata);
	else if (call->on_revoke)
		call->on_revoke(text, call->userdata);
	else
		call->on_finish(NULL, NULL, text, call->userdata);
	oidc_call_free(call);
}

/*
 * Steps may end the call before this has returned, when nothing had to be fetched: then there is
 * none to be cancelled.
 */
struct oidc_call *oidc_still_there(struct oidc_provider *provider, const struct oidc_call *wanted)
{
	struct oidc_call *call;

	LIST_FOREACH(call, &provider->calls, entry)
	if (call == wanted)
		return call;
	return NULL;
}

/* ---- requests ---- */

static void on_fetched(const struct fetch_answer *answer, const char *problem, void *userdata)
{
	struct oidc_call *call = userdata;
	_cleanup_free_ char *text = NULL;

	if (problem && !fetch_was_sent(call->fetch))
		call->may_have_redeemed = false;
	call->fetch = NULL;
	if (problem) {
		text = text_printf("the provider cannot be asked for %s: %s", call->what, problem);
		oidc_give_up(call, text);
		return;
	}
	call->step(call, answer);
}

void oidc_ask(struct oidc_call *call, const struct oidc_asking *request)
{
	const char *headers[3] = { "Accept: application/json" };
	struct fetch_request fetch = {
		.url = request->url,
		.headers = headers,
		.n_headers = 1,
		.body = request->body,
		.body_len = request->body ? strlen(request->body) : 0,
		.timeout_usec = TIMEOUT_USEC,
		.on_done = on_fetched,
		.userdata = call,
	};
	int r;

	if (request->body)
		headers[fetch.n_headers++] = "Content-Type: application/x-www-form-urlencoded";
	if (request->header)
		headers[fetch.n_headers++] = request->header;
	call->what = request->what;
	call->step = request->step;
	r = fetch_start(call->provider->fetch, &fetch, &call->fetch);
	if (r < 0)
		oidc_give_up(call,
			     r == -ENOMEM ? NULL : "the provider's URL is none that can be asked");
}

/* A document with status 200 and a bounded size, or the end of the call. */
bool oidc_is_document(struct oidc_call *call, const struct fetch_answer *answer)
{
	_cleanup_free_ char *text = NULL;

	if (answer->status == 200 && answer->body_len <= MAX_DOCUMENT)
		return true;
	if (answer->status == 200)
		text = text_printf("the provider's answer about %s is too long", call->what);
	else
		text = text_printf("the provider answered %u when asked for %s", answer->status,
				   call->what);
	oidc_give_up(call, text);
	return false;
}

bool oidc_is_fresh(uint64_t since)
{
	return since && clock_usec(CLOCK_BOOTTIME) - since < FRESH_USEC;
}

/* ---- what it says of itself ---- */

static void on_description(struct oidc_call *call, const struct fetch_answer *answer)
{
	struct oidc_provider *p = call->provider;
	_cleanup_free_ char *text = NULL;
	struct oidc_discovery discovery;

	if (!oidc_is_document(call, answer))
		return;
	if (oidc_discovery_parse(answer->body, answer->body_len, p->issuer, &discovery, &text) <
	    0) {
		oidc_give_up(call, text);
		return;
	}
	oidc_discovery_done(&p->discovery);
	p->discovery = discovery;
	p->discovered = clock_usec(CLOCK_BOOTTIME);
	call->next(call);
}

void oidc_with_description(struct oidc_call *call, void (*next)(struct oidc_call *call))
{
	struct oidc_provider *p = call->provider;
	_cleanup_free_ char *url = NULL;

	call->next = next;
	if (oidc_is_fresh(p->discovered)) {
		next(call);
		return;
	}
	url = text_printf("%s%s.well-known/openid-configuration", p->issuer,
			  p->issuer[strlen(p->issuer) - 1] == '/' ? "" : "/");
	if (!url) {
		oidc_give_up(call, NULL);
		return;
	}
	oidc_ask(call, &(struct oidc_asking){ "its description", url, .step = on_description });
}

/* ---- its keys ---- */

static void on_keys(struct oidc_call *call, const struct fetch_answer *answer)
{
	struct oidc_provider *p = call->provider;
	_cleanup_free_ char *text = NULL;
	struct jwks *jwks;

	if (!oidc_is_document(call, answer))
		return;
	if (jwks_parse(answer->body, answer->body_len, &jwks, &text) < 0) {
		oidc_give_up(call, text);
		return;
	}
	jwks_free(p->jwks);
	p->jwks = jwks;
	p->keys_fetched = clock_usec(CLOCK_BOOTTIME);
	call->keys_are_new = true;
	call->next(call);
}

void oidc_fetch_keys(struct oidc_call *call, void (*next)(struct oidc_call *call))
{
	call->next = next;
	oidc_ask(call, &(struct oidc_asking){ "its keys", call->provider->discovery.jwks_uri,
					      .step = on_keys });
}

/* ---- together ---- */

static int set(char **target, const char *value)
{
	if (value && !(*target = strdup(value)))
		return -ENOMEM;
	return 0;
}

int oidc_provider_new(struct fetch *fetch, const struct oidc_provider_config *config,
		      char **reterr_text, struct oidc_provider **ret_provider)
{
	_cleanup_(oidc_provider_freep) struct oidc_provider *p = NULL;

	if (!oidc_url_is_safe(config->issuer) || strpbrk(config->issuer, "?#")) {
		*reterr_text =
			text_printf("\"%s\" is no issuer: expected an https URL without a query",
				    config->issuer);
		return *reterr_text ? -EINVAL : -ENOMEM;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	LIST_INIT(&p->calls);
	p->fetch = fetch;
	p->alg = config->alg;
	p->reauth = config->reauth;
	p->offline = config->offline;
	if (set(&p->issuer, config->issuer) < 0 || set(&p->client_id, config->client_id) < 0 ||
	    set(&p->client_secret, config->client_secret) < 0 ||
	    set(&p->redirect_uri, config->redirect_uri) < 0 ||
	    set(&p->scopes, config->scopes) < 0 || set(&p->groups_claim, config->groups_claim) < 0)
		return -ENOMEM;
	*ret_provider = take_ptr(p);
	return 0;
}

struct oidc_provider *oidc_provider_free(struct oidc_provider *p)
{
	if (!p)
		return NULL;
	while (!LIST_EMPTY(&p->calls))
		oidc_give_up(LIST_FIRST(&p->calls), "the coordinator is being stopped");
	oidc_discovery_done(&p->discovery);
	jwks_free(p->jwks);
	free(p->issuer);
	free(p->client_id);
	oidc_erase(p->client_secret);
	free(p->redirect_uri);
	free(p->scopes);
	free(p->groups_claim);
	free(p);
	return NULL;
}
