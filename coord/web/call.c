/* A request of a browser: who it is, and whether it may. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/text.h"
#include "coord/accounts/password.h"
#include "coord/web/internal.h"

/* Those who may read all. */
#define ADMIN_ROLES                                                          \
	(POLICY_ROLE_OWNER | POLICY_ROLE_ADMIN | POLICY_ROLE_NETWORK_ADMIN | \
	 POLICY_ROLE_IT_ADMIN | POLICY_ROLE_AUDITOR)

struct web_call *web_call_free(struct web_call *call)
{
	if (!call)
		return NULL;
	http_request_unref(call->req);
	form_done(&call->form);
	free(call->login);
	web_renewal_free(call->renewal);
	free(call->next);
	secret_free(call->word);
	explicit_bzero(call, sizeof(*call));
	free(call);
	return NULL;
}

/* ---- cookies ---- */

/* Of all Cookie fields. Return: as cookie_find(). */
static int find_cookie(const struct http_request *req, const char *name,
		       char ret_value[COOKIE_SIZE])
{
	const char *field;
	int r = -ENOENT;

	for (size_t i = 0; (field = http_request_header(req, "Cookie", i)); i++) {
		char value[COOKIE_SIZE];
		int found = cookie_find(field, name, value);

		if (found == -EINVAL || (found == 0 && r == 0))
			return -EINVAL;
		if (found == 0) {
			memcpy(ret_value, value, sizeof(value));
			r = 0;
		}
	}
	return r;
}

static int find_session(struct web_call *call)
{
	const struct websession_record *session;
	char secret[COOKIE_SIZE];

	if (find_cookie(call->req, web_session_cookie(call->web), secret) < 0)
		return 0;
	session = registry_session(call->web->registry, secret);
	if (!session)
		return 0;
	memcpy(call->session, secret, sizeof(secret));
	call->login = strdup(session->user);
	return call->login ? 0 : -ENOMEM;
}

/* What binds forms and trips to a provider to this browser as long as nobody has signed in. */
static int find_visit(struct web_call *call)
{
	uint8_t hash[SHA256_LEN];

	if (find_cookie(call->req, web_visit_cookie(call->web), call->visit) == 0)
		return 0;
	call->visit[0] = '\0';
	/* Not as an answer to what another site may have posted. */
	if (strcmp(http_request_method(call->req), "POST") == 0)
		return 0;
	call->visit_is_new = true;
	return secret_new(call->visit, hash);
}

const struct user_record *web_user(const struct web_call *call)
{
	return call->login ? registry_user(call->web->registry, call->login) : NULL;
}

struct registry_actor web_self(const struct web_call *call, const char *who)
{
	return (struct registry_actor){ .who = who, .from = call->actor.from };
}

static int identify(struct web_call *call)
{
	const struct ip_addr *from = http_request_client(call->req);
	const struct user_record *user;
	int r = find_session(call);

	if (r == 0)
		r = find_visit(call);
	user = web_user(call);
	call->is_admin = user && (user->roles & ADMIN_ROLES);
	if (from) {
		call->client = *from;
		ip_addr_to_string(from, call->from);
	}
	call->actor = (struct registry_actor){
		.who = call->login ? call->login : "browser",
		.from = from ? call->from : NULL,
		.login = call->login,
	};
	return r;
}

/* ---- forms ---- */

/*
 * A form of ours comes from a page of ours. Browsers say where it comes from; where they do not,
 * the token has to do.
 */
static bool is_from_here(const struct web_call *call)
{
	const char *origin = http_request_header(call->req, "Origin", 0);
	const char *site = http_request_header(call->req, "Sec-Fetch-Site", 0);

	if (origin &&
	    (strcmp(origin, call->web->origin) != 0 || http_request_header(call->req, "Origin", 1)))
		return false;
	return !site || strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0;
}

static bool is_form(const struct web_call *call)
{
	const char *type = http_request_header(call->req, "Content-Type", 0);
	size_t len = type ? strcspn(type, "; ") : 0;

	return len == strlen("application/x-www-form-urlencoded") &&
	       strncasecmp(type, "application/x-www-form-urlencoded", len) == 0;
}

static int refuse_form(struct web_call *call, const char *why)
{
	web_error(call, 400, "This cannot be read", "The form was refused: %s.", why);
	return HTTP_ANSWERED;
}

/* Return: 0; HTTP_ANSWERED, and the call is gone; -ENOMEM. */
static int read_form(struct web_call *call)
{
	const char *why = NULL;
	size_t len;
	const char *body = http_request_body(call->req, &len);
	int r;

	if (!is_from_here(call))
		return refuse_form(call, "it was sent from another site");
	if (!is_form(call))
		return refuse_form(call, "it was not sent as a form");
	r = form_parse(body, len, &call->form, &why);
	return r == -EINVAL ? refuse_form(call, why) : r;
}

const char *web_field(const struct web_call *call, const char *name)
{
	const char *value = form_get(&call->form, name);

	return value ? value : "";
}

const char *web_param(const struct web_call *call, const char *name)
{
	const char *value = http_request_param(call->req, name);

	return value ? value : "";
}

/* ---- tokens ---- */

static const char *token_secret(const struct web_call *call)
{
	return call->login ? call->session : call->visit;
}

const char *web_token(const struct web_call *call, const char *purpose, char buf[CSRF_SIZE])
{
	if (csrf_token(token_secret(call), purpose, buf) < 0)
		buf[0] = '\0';
	return buf;
}

int web_check_form(struct web_call *call, const char *purpose, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, purpose);
	text = text_vprintf(purpose, ap);
	va_end(ap);
	if (text && *token_secret(call) &&
	    csrf_check(token_secret(call), text, form_get(&call->form, "csrf")))
		return 0;
	web_error(
		call, 400, "This page is out of date",
		"It was open for too long, what it showed has changed, or the browser keeps no "
		"cookies. Nothing was done. Please go back, load the page again, and have another "
		"look.");
	return HTTP_ANSWERED;
}

/* ---- the handler ---- */

static bool is_post(const struct web_call *call)
{
	return strcmp(http_request_method(call->req), "POST") == 0;
}

static int send_to_sign_in(struct web_call *call)
{
	const char *next = web_next(http_request_raw_path(call->req));
	_cleanup_free_ char *path =
		text_printf("/login%s%s", next[1] ? "?next=" : "", next[1] ? next : "");

	if (is_post(call))
		return web_error(call, 403, "You are not signed in any more",
				 "Nothing was done. Please sign in, and try again.");
	return path ? web_redirect(call, path) : web_fail(call);
}

static int run(struct web_call *call, const struct web_page *page)
{
	if ((page->flags & (PAGE_SIGNED_IN | PAGE_ADMIN)) && !call->login)
		return send_to_sign_in(call);
	if ((page->flags & PAGE_ADMIN) && !call->is_admin)
		return web_error(call, 403, "This page is not for you",
				 "It is for those who look after the mesh. %s has no such role.",
				 call->login);
	return page->run(call);
}

bool web_may_try(struct web_call *call)
{
	return call->client.family == AF_UNSPEC ||
	       http_rate_take(call->web->rate, &call->client, clock_usec(CLOCK_MONOTONIC),
			      &call->retry_seconds) == 0;
}

/* Those who have signed in have shown who they are. */
static int limit(struct web_call *call)
{
	if (call->login || !is_post(call) || web_may_try(call))
		return 0;
	web_error(call, 429, "Too many attempts",
		  "There were too many attempts from your address. Please wait a moment.");
	return HTTP_ANSWERED;
}

static int call_new(struct web *web, struct http_request *req, struct web_call **ret_call)
{
	_cleanup_(web_call_freep) struct web_call *call = calloc(1, sizeof(*call));
	int r;

	if (!call)
		return -ENOMEM;
	call->web = web;
	call->req = http_request_ref(req);
	r = identify(call);
	if (r == 0)
		*ret_call = take_ptr(call);
	return r;
}

int web_handle_unknown(struct http_request *req, void *userdata)
{
	const char *accept = http_request_header(req, "Accept", 0);
	struct web_call *call;
	int r;

	if (!accept || !strstr(accept, "text/html"))
		return http_respond_error(req, 404, "not_found", "there is nothing at this path");
	r = call_new(userdata, req, &call);
	return r < 0 ? r
		     : web_error(call, 404, "There is no such page",
				 "The link may be old, or not complete.");
}

int web_handle(struct http_request *req, void *userdata)
{
	const struct web_page *page = http_request_route(req)->data;
	struct web_call *call;
	int r = call_new(userdata, req, &call);

	if (r < 0)
		return r;
	r = limit(call);
	if (r == 0 && is_post(call))
		r = read_form(call);
	if (r == HTTP_ANSWERED)
		return 0;
	if (r < 0) {
		web_call_free(call);
		return r;
	}
	return run(call, page);
}
