/*
 * The second step of signing in: the code of an app. That the first one was taken is not kept here
 * but goes with the form, under a token of this process, which holds for this browser, person and a
 * few minutes.
 */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "coord/web/internal.h"

/* Return: the caller's; NULL: no memory. */
static char *step_purpose(const struct web_call *call, const char *login, uint64_t expires)
{
	/* None of them has a line feed. */
	return text_printf("code\n%s\n%s\n%llu", call->visit, login, (unsigned long long)expires);
}

int web_ask_code(struct web_call *call, const char *login, const char *problem, uint64_t expires)
{
	_cleanup_free_ char *purpose = step_purpose(call, login, expires);
	struct html page = { 0 };
	char step[CSRF_SIZE];

	page_begin(&page, call, "Enter the code of your app");
	page_problem(&page, problem);
	if (!purpose || csrf_token(call->web->key, purpose, step) < 0)
		page.failed = true;
	page_form(&page, call, "/login/code", "login-code");
	html_add(&page,
		 "<input type=\"hidden\" name=\"next\" value=\"%s\">\n"
		 "<input type=\"hidden\" name=\"login\" value=\"%s\">\n"
		 "<input type=\"hidden\" name=\"expires\" value=\"%llu\">\n"
		 "<input type=\"hidden\" name=\"step\" value=\"%s\">\n"
		 "<label>Code <small>Six digits, of the app that you set up for this "
		 "account.</small> <input name=\"code\" inputmode=\"numeric\" "
		 "autocomplete=\"one-time-code\" maxlength=\"7\" required autofocus></label>\n"
		 "<button>Sign in</button></form>\n",
		 call->next, login, (unsigned long long)expires, page.failed ? "" : step);
	page_end(&page);
	return web_answer(call, problem ? 403 : 200, &page);
}

static void on_checked(const struct verify_answer *answer, void *userdata)
{
	struct web_call *call = userdata;
	const char *login = web_field(call, "login");

	switch (answer->status) {
	case VERIFY_OK:
		web_sign_in(call, answer->login, answer->method, AUTH_MAX_AGE,
			    registry_now(call->web->registry));
		return;
	case VERIFY_NEEDS_CODE:
	case VERIFY_WRONG:
		web_ask_code(call, login, "This code is not right, or was used before.",
			     call->number);
		return;
	case VERIFY_LATER:
		web_retry_after(call, answer->retry_usec);
		web_error(call, 429, "Too many attempts", "%s", answer->text);
		return;
	case VERIFY_UNAVAILABLE:
		web_unavailable(call, answer->text);
		return;
	}
}

/* Has the first step been taken, here, lately? */
static bool first_step_is_good(const struct web_call *call)
{
	_cleanup_free_ char *purpose = step_purpose(call, web_field(call, "login"), call->number);

	return purpose && call->number > registry_now(call->web->registry) &&
	       csrf_check(call->web->key, purpose, web_field(call, "step"));
}

int web_login_code(struct web_call *call)
{
	struct verify_attempt attempt = {
		.login = web_field(call, "login"),
		.code = web_field(call, "code"),
		.from = call->client,
	};

	if (web_check_form(call, "login-code") != 0)
		return 0;
	call->next = strdup(web_next(web_field(call, "next")));
	if (!call->next)
		return web_fail(call);
	if (parse_u64(web_field(call, "expires"), UINT64_MAX, &call->number) < 0 ||
	    !first_step_is_good(call))
		return web_login_show(call, 403, "That took too long. Please begin again.");
	verifier_check_code(call->web->verifier, &attempt, on_checked, call);
	return 0;
}
