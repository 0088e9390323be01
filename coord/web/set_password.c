/* The link that sets a password, once. */
#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "coord/accounts/password.h"
#include "coord/web/internal.h"

static int refuse_link(struct web_call *call)
{
	return web_error(call, 404, "This link is of no use",
			 "It was used, has run out, or there is a newer one. Please ask for "
			 "another.");
}

static int show(struct web_call *call, const struct pwlink_record *link, unsigned status,
		const char *problem)
{
	_cleanup_free_ char *path = text_printf("/set-password/%s", web_param(call, "secret"));
	struct html page = { 0 };

	if (!path)
		return web_fail(call);
	page_begin(&page, call, "Set your password");
	html_add(&page, "<p>For the account <strong>%s</strong>.</p>\n", link->user);
	page_problem(&page, problem);
	page_form(&page, call, path, "set-password");
	page_account(&page, link->user);
	html_add(&page,
		 "<label>New password <small>At least %u characters. Several words are easy to "
		 "remember, and hard to guess.</small> <input type=\"password\" name=\"password\" "
		 "autocomplete=\"new-password\" minlength=\"%u\" maxlength=\"%u\" "
		 "required></label>\n"
		 "<label>The same again <input type=\"password\" name=\"again\" "
		 "autocomplete=\"new-password\" required></label>\n"
		 "<button>Set the password</button></form>\n",
		 PASSWORD_MIN, PASSWORD_MIN, PASSWORD_MAX);
	page_end(&page);
	return web_answer(call, status, &page);
}

int web_set_password(struct web_call *call)
{
	const struct pwlink_record *link =
		registry_pwlink(call->web->registry, web_param(call, "secret"));

	return link ? show(call, link, 200, NULL) : refuse_link(call);
}

/* ---- setting it ---- */

static void on_set(const struct registry_result *result, void *userdata)
{
	struct web_call *call = userdata;
	struct html page = { 0 };

	if (result->code == REGISTRY_NOT_FOUND) {
		refuse_link(call);
		return;
	}
	if (web_refused(call, result) == 0)
		return;
	page_begin(&page, call, "Your password is set");
	html_add(&page,
		 "<p class=\"done\">You can sign in with it now.</p>\n"
		 "<p><a class=\"button\" href=\"%s/login\">Sign in</a></p>\n",
		 call->web->base);
	page_end(&page);
	web_answer(call, 200, &page);
}

static void on_hashed(const struct verify_answer *answer, void *userdata)
{
	struct web_call *call = userdata;
	const struct registry_actor actor = web_self(call, "password link");

	if (answer->status != VERIFY_OK) {
		web_unavailable(call, answer->text);
		return;
	}
	registry_use_pwlink(call->web->registry, &actor, web_param(call, "secret"), answer->hash,
			    on_set, call);
}

/* Return: what is wrong with it, "The password ..." in buf or a literal; NULL: nothing. */
static const char *problem_of(const struct web_call *call, const char *login, char *buf,
			      size_t size)
{
	const char *password = web_field(call, "password");
	const char *problem = password_problem(password, login);

	if (problem) {
		snprintf(buf, size, "The password %s", problem);
		return buf;
	}
	return strcmp(password, web_field(call, "again")) == 0 ? NULL : "The two passwords differ.";
}

int web_set_password_post(struct web_call *call)
{
	const struct pwlink_record *link =
		registry_pwlink(call->web->registry, web_param(call, "secret"));
	const char *problem;
	char buf[256];

	if (!link)
		return refuse_link(call);
	if (web_check_form(call, "set-password") != 0)
		return 0;
	problem = problem_of(call, link->user, buf, sizeof(buf));
	if (problem)
		return show(call, link, 400, problem);
	verifier_hash(call->web->verifier, web_field(call, "password"), on_hashed, call);
	return 0;
}
