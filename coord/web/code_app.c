/*
 * The second thing besides a password: codes of an app (TOTP). A fresh secret is shown and goes
 * with the form; it becomes the account's when a code shows that an app has it, and the password
 * that it is the owner who asks.
 */
#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "coord/accounts/password.h"
#include "coord/accounts/totp.h"
#include "coord/web/internal.h"
#include "coord/web/qr.h"

static const char password_field[] =
	"<label>Your password <input type=\"password\" name=\"password\" "
	"autocomplete=\"current-password\" required></label>\n";

/* ---- the pages ---- */

/* In groups of four, as they are typed. */
static void add_secret(struct html *page, const char *secret)
{
	char group[5];

	for (; *secret; secret += strlen(group)) {
		snprintf(group, sizeof(group), "%.4s", secret);
		html_add(page, "%s ", group);
	}
}

static void add_picture(struct html *page, const struct web_call *call, const char *secret)
{
	const struct mesh_record *mesh = registry_mesh(call->web->registry);
	_cleanup_(secret_freep) char *uri =
		totp_uri(mesh ? mesh->domain : "Peergate", call->login, secret);
	_cleanup_(secret_freep) char *picture = NULL;

	if (!uri || qr_data_uri(uri, &picture) < 0)
		page->failed = true;
	html_add(page,
		 "<p><img class=\"qr\" src=\"%s\" alt=\"The secret below, as a picture for the "
		 "camera of your app\"></p>\n",
		 picture);
}

static int show_new(struct web_call *call, const char *secret, const char *problem)
{
	struct html page = { 0 };

	page_begin(&page, call, "Ask for a code as well");
	html_add(&page, "<p>An app on your phone (any that makes codes of six digits which "
			"change with the time) will be asked for besides your password. Add "
			"an account to it by this picture, or by typing the secret.</p>\n");
	page_problem(&page, problem);
	add_picture(&page, call, secret);
	html_add(&page, "<p>Secret: <code>");
	add_secret(&page, secret);
	html_add(&page, "</code></p>\n");
	page_form(&page, call, "/code", "code %s", secret);
	page_account(&page, call->login);
	html_add(&page,
		 "<input type=\"hidden\" name=\"secret\" value=\"%s\">\n"
		 "<label>Code that the app shows <input name=\"code\" inputmode=\"numeric\" "
		 "autocomplete=\"one-time-code\" maxlength=\"7\" required></label>\n",
		 secret);
	html_add(&page, password_field);
	html_add(&page, "<button>Use it from now on</button></form>\n");
	page_end(&page);
	return web_answer(call, problem ? 403 : 200, &page);
}

static int show_old(struct web_call *call, const char *problem)
{
	struct html page = { 0 };

	page_begin(&page, call, "A code is asked for");
	html_add(&page, "<p>Besides your password a code of your app is asked for. To use "
			"another app, end this first.</p>\n");
	page_problem(&page, problem);
	page_form(&page, call, "/code/remove", "code-remove");
	page_account(&page, call->login);
	html_add(&page, password_field);
	html_add(&page, "<label>Code that the app shows <input name=\"code\" inputmode=\"numeric\" "
			"autocomplete=\"one-time-code\" maxlength=\"7\" required></label>\n"
			"<button class=\"bad\">Ask for the password only</button></form>\n");
	page_end(&page);
	return web_answer(call, problem ? 403 : 200, &page);
}

static int refuse_foreign(struct web_call *call)
{
	return web_error(call, 404, "There is no password here",
			 "You sign in with a provider: codes are set up there.");
}

int web_code_page(struct web_call *call)
{
	const struct user_record *user = web_user(call);
	char secret[TOTP_TEXT_SIZE];
	int r;

	if (!user || !user->password)
		return refuse_foreign(call);
	if (user->totp)
		return show_old(call, NULL);
	if (totp_secret_new(secret) < 0)
		return web_fail(call);
	r = show_new(call, secret, NULL);
	explicit_bzero(secret, sizeof(secret));
	return r;
}

/* ---- what was posted ---- */

static void on_changed(const struct registry_result *result, void *userdata)
{
	struct web_call *call = userdata;

	if (web_refused(call, result) < 0)
		web_redirect(call, "/");
}

static void refuse_password(struct web_call *call, const struct verify_answer *answer)
{
	if (answer->status != VERIFY_LATER) {
		web_unavailable(call, answer->text);
		return;
	}
	web_retry_after(call, answer->retry_usec);
	web_error(call, 429, "Too many attempts", "%s", answer->text);
}

/* The password was right, if 0 or NEEDS_CODE: there was no code of the account's to give yet. */
static void on_set_checked(const struct verify_answer *answer, void *userdata)
{
	struct web_call *call = userdata;
	const char *secret = web_field(call, "secret");

	if (answer->status == VERIFY_OK)
		registry_set_totp(call->web->registry, &call->actor, call->login, secret,
				  call->number, on_changed, call);
	else if (answer->status == VERIFY_WRONG)
		show_new(call, secret, answer->text);
	else if (answer->status == VERIFY_NEEDS_CODE)
		web_redirect(call, "/code");
	else
		refuse_password(call, answer);
}

static struct verify_attempt attempt_of(const struct web_call *call)
{
	struct verify_attempt attempt = {
		.login = call->login,
		.password = web_field(call, "password"),
		.from = call->client,
	};

	return attempt;
}

int web_code_set(struct web_call *call)
{
	struct verify_attempt attempt = attempt_of(call);
	const char *secret = web_field(call, "secret");
	int r;

	if (web_check_form(call, "code %s", secret) != 0)
		return 0;
	r = totp_check(secret, web_field(call, "code"), registry_now(call->web->registry), 0,
		       &call->number);
	if (r == TOTP_WRONG)
		return show_new(call, secret, "This is not the code that the app should show now.");
	if (r < 0)
		return web_error(call, 400, "This cannot be read", "The secret is none.");
	verifier_check(call->web->verifier, &attempt, on_set_checked, call);
	return 0;
}

static void on_remove_checked(const struct verify_answer *answer, void *userdata)
{
	struct web_call *call = userdata;

	if (answer->status == VERIFY_OK)
		registry_set_totp(call->web->registry, &call->actor, call->login, NULL, 0,
				  on_changed, call);
	else if (answer->status == VERIFY_WRONG || answer->status == VERIFY_NEEDS_CODE)
		show_old(call, answer->text ? answer->text : "The code is missing.");
	else
		refuse_password(call, answer);
}

int web_code_remove(struct web_call *call)
{
	struct verify_attempt attempt = attempt_of(call);

	attempt.code = web_field(call, "code");
	if (web_check_form(call, "code-remove") != 0)
		return 0;
	verifier_check(call->web->verifier, &attempt, on_remove_checked, call);
	return 0;
}
