/* Signing in with a password, and the page that offers all the ways. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "coord/web/internal.h"

#define CODE_USEC (5 * 60 * USEC_PER_SEC)

const char *web_next(const char *path)
{
	const char *plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_/";

	/* "//host" leads away. */
	if (!path || path[0] != '/' || path[1] == '/' || strlen(path) > 256 ||
	    path[strspn(path, plain)])
		return "/";
	return path;
}

/* ---- the page ---- */

/* Why somebody who did not expect it is asked. */
static const char *reason(const char *next)
{
	if (strncmp(next, "/a/", 3) == 0)
		return "A device asks to be let into the network. Sign in to see which.";
	if (strncmp(next, "/check/", 7) == 0)
		return "A login by SSH waits for your consent. Sign in to see which.";
	return NULL;
}

static void add_providers(struct html *page, const struct web *web, const char *next)
{
	html_add(page, "<div class=\"buttons\">\n");
	for (size_t i = 0; i < web->n_providers; i++)
		html_add(page,
			 "<a class=\"button\" href=\"%s/login/%s?next=%s\">Continue with %s</a>\n",
			 web->base, web->providers[i].name, next, web->providers[i].title);
	html_add(page, "</div>\n<h2>Or with a password</h2>\n");
}

int web_login_show(struct web_call *call, unsigned status, const char *problem)
{
	const char *next = call->next ? call->next : "/", *why = reason(next);
	struct html page = { 0 };

	page_begin(&page, call, "Sign in");
	if (why)
		html_add(&page, "<p>%s</p>\n", why);
	page_problem(&page, problem);
	if (call->web->n_providers > 0)
		add_providers(&page, call->web, next);
	page_form(&page, call, "/login", "login");
	html_add(&page,
		 "<input type=\"hidden\" name=\"next\" value=\"%s\">\n"
		 "<label>Account <input name=\"login\" value=\"%s\" autocomplete=\"username\" "
		 "autocapitalize=\"none\" spellcheck=\"false\" required></label>\n"
		 "<label>Password <input type=\"password\" name=\"password\" "
		 "autocomplete=\"current-password\" required></label>\n"
		 "<button>Sign in</button></form>\n"
		 "<p class=\"soft\">No password yet, or forgotten? Those who look after the "
		 "network can send you a link that sets one.</p>\n",
		 next, web_field(call, "login"));
	page_end(&page);
	return web_answer(call, status, &page);
}

static int keep_next(struct web_call *call, const char *next)
{
	free(call->next);
	call->next = strdup(web_next(next));
	return call->next ? 0 : -ENOMEM;
}

int web_login(struct web_call *call)
{
	if (keep_next(call, http_request_query(call->req, "next", 0)) < 0)
		return web_fail(call);
	if (call->login)
		return web_redirect(call, call->next);
	return web_login_show(call, 200, NULL);
}

/* ---- who has shown who they are ---- */

static void on_closed(const struct registry_result *result, void *userdata)
{
	struct web_call *call = userdata;

	/* If the old one stays, it runs out. */
	web_redirect(call, call->next);
}

static void on_opened(const struct registry_result *result, void *userdata)
{
	struct web_call *call = userdata;

	if (web_refused(call, result) == 0)
		return;
	snprintf(call->opened, sizeof(call->opened), "%s", result->secret);
	call->new_session = call->opened;
	if (call->session[0])
		registry_close_session(call->web->registry, &call->actor, call->session, on_closed,
				       call);
	else
		web_redirect(call, call->next);
}

void web_sign_in(struct web_call *call, const char *login, const char *method,
		 enum auth_strength strength, uint64_t auth_time)
{
	struct registry_session_request request = {
		.user = login,
		.method = method,
		.strength = strength,
		.auth_time = auth_time,
		.from = call->client,
		.agent = http_request_header(call->req, "User-Agent", 0),
	};
	const struct registry_actor actor = web_self(call, login);

	registry_open_session(call->web->registry, &actor, &request, on_opened, call);
}

/* ---- the password ---- */

static void on_checked(const struct verify_answer *answer, void *userdata)
{
	struct web_call *call = userdata;
	uint64_t now;

	switch (answer->status) {
	case VERIFY_OK:
		now = registry_now(call->web->registry);
		web_sign_in(call, answer->login, answer->method, AUTH_MAX_AGE, now);
		return;
	case VERIFY_NEEDS_CODE:
		now = registry_now(call->web->registry);
		web_ask_code(call, answer->login, NULL, now + CODE_USEC);
		return;
	case VERIFY_WRONG:
		web_login_show(call, 403, answer->text);
		return;
	case VERIFY_LATER:
		web_retry_after(call, answer->retry_usec);
		web_login_show(call, 429, answer->text);
		return;
	case VERIFY_UNAVAILABLE:
		web_unavailable(call, answer->text);
		return;
	}
}

int web_login_post(struct web_call *call)
{
	struct verify_attempt attempt = {
		.login = web_field(call, "login"),
		.password = web_field(call, "password"),
		.from = call->client,
	};

	if (keep_next(call, web_field(call, "next")) < 0)
		return web_fail(call);
	if (web_check_form(call, "login") != 0)
		return 0;
	verifier_check(call->web->verifier, &attempt, on_checked, call);
	return 0;
}
