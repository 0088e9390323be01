/*
 * A login waits until the owner of the host that it comes from shows that they are there. The page
 * is behind the link in the terminal, with the same code. Approving takes two things: that they
 * have shown who they are since the login was asked for (here and now by password, or by a sign-in
 * with the provider), and a click. Opening the page does nothing. More logins may come while it is
 * open: the form says how many it was shown with, and whoever has not seen all of them looks again.
 */
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "coord/registry/checks.h"
#include "coord/web/internal.h"

static int refuse_link(struct web_call *call)
{
	return web_error(
		call, 404, "Nothing waits here any more",
		"Such a link is good for some minutes. Start the login again, and it shows "
		"a new one.");
}

/* What there is of it for this person. NULL: answered. */
static const struct checkreq_record *find(struct web_call *call)
{
	const struct checkreq_record *req =
		registry_checkreq(call->web->registry, web_param(call, "id"));

	if (!req) {
		refuse_link(call);
		return NULL;
	}
	if (strcmp(req->user, call->login) == 0)
		return req;
	web_error(call, 403, "This is not for you",
		  "The login comes from somebody else's device, and only they can answer. You are "
		  "signed in as %s. If somebody sent you this link, tell those who look after the "
		  "network.",
		  call->login);
	return NULL;
}

/* Have they signed in since it was asked for? */
static const struct websession_record *fresh_session(const struct web_call *call,
						     const struct checkreq_record *req)
{
	const struct websession_record *session =
		registry_session(call->web->registry, call->session);

	return session && session->auth_time >= req->created ? session : NULL;
}

/* ---- what is asked ---- */

static const char *name_of(const struct web_call *call, const char *node_id)
{
	const struct node_record *node =
		node_id ? registry_node(call->web->registry, node_id) : NULL;

	return node ? node->name : "a host that has gone";
}

static void add_login(struct html *page, const struct web_call *call,
		      const struct check_login *login)
{
	if (!login->ssh_user && !login->target)
		html_add(page, "<li>beforehand, for logins that are to come</li>\n");
	else if (!login->ssh_user)
		html_add(page, "<li>beforehand, for logins to <strong>%s</strong></li>\n",
			 name_of(call, login->target));
	else
		html_add(page, "<li><strong>%s</strong> on <strong>%s</strong></li>\n",
			 login->ssh_user, name_of(call, login->target));
}

static void add_request(struct html *page, const struct web_call *call,
			const struct checkreq_record *req)
{
	const struct node_record *source = registry_node(call->web->registry, req->node);
	uint64_t now = registry_now(call->web->registry);
	size_t n = req->logins.n;
	char address[IP_ADDR_STRLEN];

	html_add(page, "<dl>\n<div><dt>Code</dt><dd class=\"code\">%s</dd></div>\n", req->code);
	page_item(page, "Person", req->user);
	html_add(page, "<div><dt>From your device</dt><dd>%s%s%s</dd></div>\n",
		 name_of(call, req->node), source ? ", " : "",
		 source ? ip_addr_to_string(&source->ipv4, address) : "");
	html_add(page, "<div><dt>%s</dt><dd><ul class=\"bare\">\n", n == 1 ? "Login" : "Logins");
	/* All of them, since it is all that a yes is for. */
	for (size_t i = 0; i < n; i++)
		add_login(page, call, &req->logins.items[i]);
	html_add(page, "</ul></dd></div>\n<div><dt>Asked</dt><dd>");
	page_duration(page, now > req->created ? now - req->created : 0);
	html_add(page, " ago; waits for another ");
	page_duration(page, req->expires > now ? req->expires - now : 0);
	html_add(page, "</dd></div>\n</dl>\n");
}

/* The terminal was closed, for one: a yes has another meaning then. */
static void add_nobody_waits(struct html *page, const struct web_call *call,
			     const struct checkreq_record *req)
{
	const struct web *web = call->web;

	if (web->is_waited_for(req->head.id, web->check_userdata))
		return;
	html_add(page,
		 "<p><strong>No login waits at the moment.</strong> It was given up, or its host "
		 "is cut off for a while. To let it in now counts for logins from this device that "
		 "come later, if their rule remembers that.</p>\n");
}

/* ---- how they show that they are there ---- */

static void add_providers(struct html *page, const struct web_call *call,
			  const struct checkreq_record *req)
{
	const struct web *web = call->web;

	html_add(page, "<div class=\"buttons\">\n");
	for (size_t i = 0; i < web->n_providers; i++)
		html_add(page,
			 "<a class=\"button\" href=\"%s/login/%s?next=/check/%s\">Show that "
			 "it "
			 "is you with %s</a>\n",
			 web->base, web->providers[i].name, req->head.id, web->providers[i].title);
	html_add(page, "</div>\n<p class=\"soft\">Then you are asked for your answer.</p>\n");
}

static void add_password(struct html *page, const struct user_record *user)
{
	page_account(page, user->head.id);
	html_add(page, "<label>Your password, to show that it is you <input type=\"password\" "
		       "name=\"password\" autocomplete=\"current-password\" required></label>\n");
	if (user->totp)
		html_add(page, "<label>Code of your app <input name=\"code\" "
			       "inputmode=\"numeric\" autocomplete=\"one-time-code\" "
			       "maxlength=\"7\" required></label>\n");
}

static void add_answers(struct html *page, bool may_approve)
{
	html_add(page, "<div class=\"buttons\">\n");
	if (may_approve)
		html_add(page, "<button name=\"answer\" value=\"yes\">Let it in</button>\n");
	html_add(page, "<button name=\"answer\" value=\"no\" class=\"bad\" formnovalidate>Turn it "
		       "away</button>\n</div></form>\n");
}

static int show(struct web_call *call, const struct checkreq_record *req, unsigned status,
		const char *problem)
{
	const struct user_record *user = web_user(call);
	bool is_fresh = fresh_session(call, req), has_password = user && user->password;
	struct html page = { 0 };
	char path[64];

	snprintf(path, sizeof(path), "/check/%s", req->head.id);
	page_begin(&page, call, "Is this login yours?");
	html_add(&page, "<p>A login by SSH waits until you show that you are there. Let it in only "
			"if you have just started it yourself, and the terminal shows the same "
			"code.</p>\n");
	add_request(&page, call, req);
	add_nobody_waits(&page, call, req);
	page_problem(&page, problem);
	if (!is_fresh && call->web->n_providers > 0)
		add_providers(&page, call, req);
	page_form(&page, call, path, "check %s", req->head.id);
	html_add(&page, "<input type=\"hidden\" name=\"logins\" value=\"%zu\">\n", req->logins.n);
	if (!is_fresh && has_password)
		add_password(&page, user);
	add_answers(&page, is_fresh || has_password);
	page_end(&page);
	return web_answer(call, status, &page);
}

/* ---- what was answered ---- */

static int show_answered(struct web_call *call, const struct checkreq_record *req)
{
	bool approved = req->state == CHECK_APPROVED;
	struct html page = { 0 };

	page_begin(&page, call, approved ? "It is let in" : "It was turned away");
	if (approved)
		html_add(&page, "<p class=\"done\">If the terminal still waits, it goes on by "
				"itself; you can close this page.</p>\n");
	else
		html_add(&page,
			 "<p class=\"done\">The login was told no. If you did not start it, "
			 "somebody else can use your device: lock it out <a "
			 "href=\"%s/\">here</a>, and tell those who look after the "
			 "network.</p>\n",
			 call->web->base);
	page_end(&page);
	return web_answer(call, 200, &page);
}

int web_check_page(struct web_call *call)
{
	const struct checkreq_record *req = find(call);

	if (!req)
		return 0;
	return req->state == CHECK_WAITING ? show(call, req, 200, NULL) : show_answered(call, req);
}

/* It was answered meanwhile, in another window may be; or it is not what they were shown any more.
 */
static void show_again(struct web_call *call)
{
	const struct checkreq_record *req = find(call);

	if (!req)
		return;
	if (req->state != CHECK_WAITING)
		show_answered(call, req);
	else
		show(call, req, 409,
		     "Another login has come since this page was loaded, and nothing was let in. "
		     "Please look at all of them, and answer again.");
}

static void on_answered(const struct registry_result *result, void *userdata)
{
	struct web_call *call = userdata;

	if (result->code == REGISTRY_NOT_FOUND)
		refuse_link(call);
	else if (result->code == REGISTRY_CONFLICT)
		show_again(call);
	else if (web_refused(call, result) < 0)
		show_answered(call, result->checkreq);
}

static void answer(struct web_call *call, const struct registry_check_answer *answer)
{
	registry_answer_check(call->web->registry, &call->actor, web_param(call, "id"), answer,
			      on_answered, call);
}

static void on_checked(const struct verify_answer *verified, void *userdata)
{
	struct web_call *call = userdata;
	const struct checkreq_record *req;

	if (verified->status == VERIFY_OK) {
		answer(call, &(struct registry_check_answer){
				     .approve = true,
				     .method = verified->method,
				     .strength = AUTH_MAX_AGE,
				     .auth_time = registry_now(call->web->registry),
				     .n_logins = call->number,
			     });
		return;
	}
	if (verified->status == VERIFY_UNAVAILABLE) {
		web_unavailable(call, verified->text);
		return;
	}
	/* It may have been answered meanwhile, in another window. */
	req = find(call);
	if (!req)
		return;
	if (req->state != CHECK_WAITING) {
		show_answered(call, req);
		return;
	}
	if (verified->status == VERIFY_LATER)
		web_retry_after(call, verified->retry_usec);
	show(call, req, verified->status == VERIFY_LATER ? 429 : 403,
	     verified->text ? verified->text : "The code of your app is missing.");
}

/* Return: what a handler returns. */
static int approve(struct web_call *call, const struct checkreq_record *req)
{
	const struct websession_record *session = fresh_session(call, req);
	struct verify_attempt attempt = {
		.login = call->login,
		.password = web_field(call, "password"),
		.code = form_get(&call->form, "code"),
		.from = call->client,
	};

	/* Before a password is asked for: it would have to be given again. */
	if (parse_u64(web_field(call, "logins"), RECORD_MAX_LOGINS, &call->number) < 0 ||
	    call->number != req->logins.n) {
		show_again(call);
		return 0;
	}
	if (session) {
		answer(call, &(struct registry_check_answer){
				     .approve = true,
				     .method = session->method,
				     .strength = session->strength,
				     .auth_time = session->auth_time,
				     .n_logins = call->number,
			     });
		return 0;
	}
	if (!*attempt.password)
		return show(call, req, 403, "Please show first that it is you.");
	verifier_check(call->web->verifier, &attempt, on_checked, call);
	return 0;
}

int web_check_post(struct web_call *call)
{
	const struct checkreq_record *req = find(call);
	const char *said;

	if (!req)
		return 0;
	if (req->state != CHECK_WAITING)
		return show_answered(call, req);
	if (web_check_form(call, "check %s", req->head.id) != 0)
		return 0;
	said = web_field(call, "answer");
	if (strcmp(said, "yes") == 0)
		return approve(call, req);
	if (strcmp(said, "no") != 0)
		return web_error(call, 400, "This cannot be read", "The answer is missing.");
	answer(call, &(struct registry_check_answer){ .approve = false });
	return 0;
}
