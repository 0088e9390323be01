/*
 * Trips to a provider. What is needed when the browser is back is kept here: a bounded number, for
 * ten minutes, each for one return of the browser that set out.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "coord/registry/renewal.h"
#include "coord/web/internal.h"

#define MAX_FLOWS 1024u
#define FLOW_USEC (10 * 60 * USEC_PER_SEC)

struct web_flow {
	TAILQ_ENTRY(web_flow) entry;
	const struct web_provider *provider;
	struct web_flow_state *flow;
	char *state, *next;
	char visit[COOKIE_SIZE]; /* of the browser */
	uint64_t until;		 /* CLOCK_MONOTONIC */
	uint64_t began;		 /* by the registry's clock */
	bool reauth;
};

static struct web_flow *flow_free(struct web_flow *flow)
{
	if (!flow)
		return NULL;
	if (flow->flow)
		flow->provider->flow_free(flow->flow);
	free(flow->state);
	free(flow->next);
	explicit_bzero(flow->visit, sizeof(flow->visit));
	free(flow);
	return NULL;
}
DEFINE_CLEANUP(struct web_flow *, flow_free);

static struct web_flow *unlink_flow(struct web *web, struct web_flow *flow)
{
	TAILQ_REMOVE(&web->flows, flow, entry);
	web->n_flows--;
	return flow;
}

void web_flows_free(struct web *web)
{
	while (!TAILQ_EMPTY(&web->flows))
		flow_free(unlink_flow(web, TAILQ_FIRST(&web->flows)));
}

/* Those whose time is over; if it is full the oldest, which is the likeliest to be given up. */
static void make_place(struct web *web, uint64_t now)
{
	struct web_flow *first;

	while ((first = TAILQ_FIRST(&web->flows)) &&
	       (first->until <= now || web->n_flows >= MAX_FLOWS))
		flow_free(unlink_flow(web, first));
}

char *web_callback_url(const char *url, const char *provider)
{
	return text_printf("%s/oidc/callback/%s", url, provider);
}

/* ---- there ---- */

/* A check is answered by who shows anew that they are there. */
static bool needs_reauth(const char *next)
{
	return strncmp(next, "/check/", 7) == 0;
}

static const struct web_provider *find_provider(const struct web *web, const char *name)
{
	for (size_t i = 0; i < web->n_providers; i++)
		if (strcmp(web->providers[i].name, name) == 0)
			return &web->providers[i];
	return NULL;
}

/* Return: 0 and *ret_flow, whose flow is begun's; -ENOMEM, and that stays the caller's. */
static int flow_new(struct web_call *call, const struct web_begun *begun,
		    struct web_flow **ret_flow)
{
	_cleanup_(flow_freep) struct web_flow *flow = calloc(1, sizeof(*flow));

	if (!flow)
		return -ENOMEM;
	flow->provider = &call->web->providers[call->number];
	flow->state = strdup(begun->state);
	flow->next = strdup(call->next);
	if (!flow->state || !flow->next)
		return -ENOMEM;
	memcpy(flow->visit, call->visit, sizeof(flow->visit));
	flow->until = clock_usec(CLOCK_MONOTONIC) + FLOW_USEC;
	flow->began = registry_now(call->web->registry);
	flow->reauth = needs_reauth(call->next);
	flow->flow = begun->flow;
	*ret_flow = take_ptr(flow);
	return 0;
}

static void on_begun(int status, const char *text, const struct web_begun *begun, void *userdata)
{
	struct web_call *call = userdata;
	struct web *web = call->web;
	struct web_flow *flow;

	if (status < 0) {
		web_error(call, 503, "Signing in is not possible there at the moment", "%s", text);
		return;
	}
	if (flow_new(call, begun, &flow) < 0) {
		web->providers[call->number].flow_free(begun->flow);
		web_fail(call);
		return;
	}
	make_place(web, clock_usec(CLOCK_MONOTONIC));
	TAILQ_INSERT_TAIL(&web->flows, flow, entry);
	web->n_flows++;
	web_redirect_away(call, begun->url);
}

int web_provider_begin(struct web_call *call)
{
	const struct web_provider *provider = find_provider(call->web, web_param(call, "provider"));
	struct web_begin begin = { 0 };

	if (!provider)
		return web_error(call, 404, "There is no such provider",
				 "Nobody signs in with \"%s\" here.", web_param(call, "provider"));
	if (!call->login && !web_may_try(call))
		return web_error(call, 429, "Too many attempts", "Please wait a moment.");
	call->number = (uint64_t)(provider - call->web->providers);
	call->next = strdup(web_next(http_request_query(call->req, "next", 0)));
	if (!call->next)
		return web_fail(call);
	begin.reauth = needs_reauth(call->next);
	provider->begin(provider->userdata, &begin, on_begun, call);
	return 0;
}

/* ---- and back ---- */

struct web_renewal *web_renewal_free(struct web_renewal *renewal)
{
	if (!renewal)
		return NULL;
	free(renewal->issuer);
	free(renewal->subject);
	free(renewal->sealed);
	free(renewal);
	return NULL;
}
DEFINE_CLEANUP(struct web_renewal *, web_renewal_free);

/* Return: 0, -ENOMEM. */
static int renewal_copy(const struct web_identity *identity, struct web_renewal **ret_renewal)
{
	_cleanup_(web_renewal_freep) struct web_renewal *renewal = NULL;

	if (!identity->sealed)
		return 0;
	renewal = calloc(1, sizeof(*renewal));
	if (!renewal)
		return -ENOMEM;
	renewal->issuer = strdup(identity->issuer);
	renewal->subject = strdup(identity->subject);
	renewal->sealed = strdup(identity->sealed);
	if (!renewal->issuer || !renewal->subject || !renewal->sealed)
		return -ENOMEM;
	*ret_renewal = take_ptr(renewal);
	return 0;
}

static void open_session(struct web_call *call, const char *known)
{
	_cleanup_free_ char *login = strdup(known);

	if (login)
		web_sign_in(call, login, call->word, call->strength, call->number);
	else
		web_fail(call);
}

static void on_kept(const struct registry_result *result, void *userdata)
{
	struct web_call *call = userdata;
	const struct user_record *user;

	if (web_refused(call, result) == 0)
		return;
	user = registry_user_by_identity(call->web->registry, call->renewal->issuer,
					 call->renewal->subject);
	if (user)
		open_session(call, user->head.id);
	else
		web_fail(call);
}

static void on_user(const struct registry_result *result, void *userdata)
{
	struct web_call *call = userdata;
	const struct registry_actor actor = web_self(call, call->word);
	struct registry_renewal renewal;

	if (web_refused(call, result) == 0)
		return;
	if (!call->renewal) {
		open_session(call, result->user->head.id);
		return;
	}
	renewal = (struct registry_renewal){
		.issuer = call->renewal->issuer,
		.subject = call->renewal->subject,
		.provider = strchr(call->word, ':') + 1,
		.sealed = call->renewal->sealed,
	};
	registry_keep_renewal(call->web->registry, &actor, &renewal, on_kept, call);
}

static void on_finished(int status, const char *text, const struct web_identity *identity,
			void *userdata)
{
	struct web_call *call = userdata;
	uint64_t now = registry_now(call->web->registry);
	const struct registry_actor actor = web_self(call, call->word);
	struct registry_identity who;

	if (status < 0) {
		web_error(call, 403, "You were not signed in", "%s", text);
		return;
	}
	who = (struct registry_identity){
		.issuer = identity->issuer,
		.subject = identity->subject,
		.email = identity->email,
		.name = identity->name,
		.groups = identity->groups,
	};
	/*
	 * The provider has another clock. What it was asked to make sure of on this trip, it has
	 * seen to since the trip began, by our own.
	 */
	if (call->number < identity->auth_time)
		call->number = identity->auth_time;
	if (call->number > now)
		call->number = now;
	call->strength = identity->strength;
	if (renewal_copy(identity, &call->renewal) < 0) {
		web_fail(call);
		return;
	}
	registry_sign_in_identity(call->web->registry, &actor, &who, call->may_create, on_user,
				  call);
}

/* In a time that does not depend on where they differ. */
static bool same(const char *a, const char *b)
{
	return strlen(a) == strlen(b) && CRYPTO_memcmp(a, b, strlen(a)) == 0;
}

/*
 * Each provider has a path of its own, which is all that it sends browsers to. An answer that comes
 * by another's was made by another: one provider could have people bring it the codes of the next
 * (RFC 9700, section 4.4).
 */
static bool is_from(const struct web_flow *flow, const struct web_call *call)
{
	return strcmp(flow->provider->name, web_param(call, "provider")) == 0;
}

/* Taken off the list: whatever comes of it, it comes once. NULL: there is none. */
static struct web_flow *take_flow(struct web_call *call, const char *state)
{
	struct web_flow *flow, *found = NULL;

	make_place(call->web, clock_usec(CLOCK_MONOTONIC));
	for (flow = TAILQ_FIRST(&call->web->flows); flow; flow = TAILQ_NEXT(flow, entry))
		if (same(flow->state, state))
			found = flow;
	if (!found || !same(found->visit, call->visit) || !is_from(found, call))
		return NULL;
	return unlink_flow(call->web, found);
}

int web_provider_return(struct web_call *call)
{
	const struct web_return back = {
		.code = http_request_query(call->req, "code", 0),
		.state = http_request_query(call->req, "state", 0),
		.iss = http_request_query(call->req, "iss", 0),
		.error = http_request_query(call->req, "error", 0),
		.error_description = http_request_query(call->req, "error_description", 0),
	};
	_cleanup_(flow_freep) struct web_flow *flow =
		back.state ? take_flow(call, back.state) : NULL;
	const struct web_provider *provider;

	if (!flow)
		return web_error(call, 400, "Please sign in again",
				 "This answer belongs to no sign-in that was begun in this browser "
				 "within the last ten minutes, or it was used already.");
	provider = flow->provider;
	call->next = take_ptr(flow->next);
	call->word = text_printf("oidc:%s", provider->name);
	if (!call->word)
		return web_fail(call);
	call->may_create = provider->may_create;
	call->number = flow->reauth ? flow->began : 0;
	provider->finish(provider->userdata, take_ptr(flow->flow), &back, on_finished, call);
	return 0;
}
