/* What the pages share. */
#pragma once

#include <sys/queue.h>

#include "coord/http/rate.h"
#include "coord/registry/accounts.h"
#include "coord/registry/code.h"
#include "coord/web/cookie.h"
#include "coord/web/csrf.h"
#include "coord/web/form.h"
#include "coord/web/html.h"
#include "coord/web/web.h"

struct web_call;
struct web_flow;

struct web {
	struct registry *registry;
	struct map *map;
	struct verifier *verifier;
	char *url;
	const char *base; /* of all paths, as browsers see them: "", "/coord"; part of url */
	char *origin;	  /* "https://coord.example": what browsers say they come from */
	bool https;
	const struct renewals *renewals; /* NULL: nobody is asked about */
	const struct web_provider *providers;
	size_t n_providers;
	bool (*is_waited_for)(const char *check, void *userdata);
	void *check_userdata;
	char key[SECRET_SIZE];	      /* of this process: for what a browser keeps for a while */
	struct http_rate *rate;	      /* of strangers */
	TAILQ_HEAD(, web_flow) flows; /* the oldest first */
	unsigned n_flows;
	struct http_route fallback; /* with these pages as userdata */
};

/* ---- a request: call.c ---- */

enum {
	PAGE_SIGNED_IN = 1 << 0, /* others are sent to sign in, and come back */
	PAGE_ADMIN = 1 << 1,	 /* those with a role in looking after the mesh */
};
/* The data of a route. */
struct web_page {
	unsigned flags;
	int (*run)(struct web_call *call);
};

struct web_call {
	struct web *web;
	struct http_request *req; /* a reference */
	struct ip_addr client;	  /* AF_UNSPEC: not known */
	struct form form;	  /* of a POST */
	char visit[COOKIE_SIZE];  /* secret of this browser before it has signed in; "": none */
	bool visit_is_new;
	char session[COOKIE_SIZE]; /* secret of the session; "": none */
	char *login;		   /* who has signed in; NULL: nobody */
	bool is_admin;
	char from[IP_ADDR_STRLEN];
	struct registry_actor actor; /* who, from, login */

	const char *new_session;  /* for the cookie; "": none any more; NULL: stays */
	char opened[COOKIE_SIZE]; /* may be that */
	unsigned retry_seconds;	  /* of the answer; 0: nothing */
	/* What pages remember while they wait for an answer. */
	char *next, *word;
	uint64_t number;
	enum auth_strength strength;
	bool may_create;
	struct web_renewal *renewal; /* that came with a sign-in; NULL */
};

/* flow.c: a provider's token, until it is known whose it is. */
struct web_renewal {
	char *issuer, *subject, *sealed;
};
struct web_renewal *web_renewal_free(struct web_renewal *renewal);

/* The handler of all pages. */
int web_handle(struct http_request *req, void *userdata);
/* Of what there is no page for. */
int web_handle_unknown(struct http_request *req, void *userdata);
/* Wipes. Without an answer it becomes 500. Returns NULL. */
struct web_call *web_call_free(struct web_call *call);
DEFINE_CLEANUP(struct web_call *, web_call_free);

/* A field of the form; "": there is none. */
const char *web_field(const struct web_call *call, const char *name);
/* The segment of the path; never NULL. */
const char *web_param(const struct web_call *call, const char *name);
/*
 * Was the form made here, in this browser, for this? What is not is answered, and the call is gone.
 * Return: 0, HTTP_ANSWERED.
 */
int web_check_form(struct web_call *call, const char *purpose, ...) _printf_(2, 3);
/* The token for that. "" without memory: the form is of no use then. */
const char *web_token(const struct web_call *call, const char *purpose, char buf[CSRF_SIZE]);
/* May a stranger of this address try again? If not, the answer will say when. */
bool web_may_try(struct web_call *call);
/* The person; NULL: nobody. Borrowed until control returns to the event loop. */
const struct user_record *web_user(const struct web_call *call);

/* answer.c: names of the cookies, by the scheme of the URL */
const char *web_session_cookie(const struct web *web);
const char *web_visit_cookie(const struct web *web);

/* Not the person but the coordinator does it, for the one who shows this or that. */
struct registry_actor web_self(const struct web_call *call, const char *who);

/* ---- answers: answer.c. All of them free the call, and return what a handler returns ---- */

/* Takes the page. */
int web_answer(struct web_call *call, unsigned status, struct html *page);
/* 303: by GET to a path of ours. */
int web_redirect(struct web_call *call, const char *path);
/* To the whole of an URL. */
int web_redirect_away(struct web_call *call, const char *url);
/* A page that says what is wrong. */
int web_error(struct web_call *call, unsigned status, const char *title, const char *fmt, ...)
	_printf_(4, 5);
/* Not at the moment: 503. */
int web_unavailable(struct web_call *call, const char *text);
/* The answer will say when to try again. */
void web_retry_after(struct web_call *call, uint64_t usec);
/* As the registry says. Return: 0: answered; -ENOENT: it is no refusal. */
int web_refused(struct web_call *call, const struct registry_result *result);
/* Without memory. */
int web_fail(struct web_call *call);
/* Anything but a page: the style sheet. */
int web_respond(struct http_request *req, const struct web *web, const char *type,
		struct http_buf *body);

/* ---- the frame of all pages, and its pieces: page.c ---- */

/* title is also the heading. */
void page_begin(struct html *html, const struct web_call *call, const char *title);
void page_end(struct html *html);
/* Beginning of a form that posts to a path; its end is literal. */
void page_form(struct html *html, const struct web_call *call, const char *path,
	       const char *purpose, ...) _printf_(4, 5);
/* Whose password is asked for: not shown, but for programs that know passwords. */
void page_account(struct html *html, const char *login);
/* An entry of a <dl>: what it is called, and text. */
void page_item(struct html *html, const char *name, const char *value);
void page_problem(struct html *html, const char *text); /* NULL: nothing */
/* "22 November 2026, 10:00 UTC"; 0: "never". */
void page_time(struct html *html, uint64_t usec);
/* The same for columns, which say "(UTC)": "2026-11-22 10:00". */
void page_time_short(struct html *html, uint64_t usec);
/* How long that is, roughly: "5 minutes". */
void page_duration(struct html *html, uint64_t usec);

/* ---- pages ---- */

int web_handle_style(struct http_request *req, void *userdata); /* style.c */
int web_home(struct web_call *call);				/* home.c */
int web_device_expire(struct web_call *call);
int web_logout(struct web_call *call); /* logout.c */
int web_logout_everywhere(struct web_call *call);
int web_login(struct web_call *call); /* login.c */
int web_login_post(struct web_call *call);
int web_login_code(struct web_call *call);     /* login_code.c */
int web_provider_begin(struct web_call *call); /* flow.c */
int web_provider_return(struct web_call *call);
int web_enrol(struct web_call *call); /* enrol.c */
int web_enrol_post(struct web_call *call);
int web_set_password(struct web_call *call); /* set_password.c */
int web_set_password_post(struct web_call *call);
int web_code_page(struct web_call *call); /* code_app.c */
int web_code_set(struct web_call *call);
int web_code_remove(struct web_call *call);
int web_check_page(struct web_call *call); /* check.c */
int web_check_post(struct web_call *call);
int web_admin_nodes(struct web_call *call);  /* admin_nodes.c */
int web_admin_node(struct web_call *call);   /* admin_node.c */
int web_admin_policy(struct web_call *call); /* admin_policy.c */
int web_admin_events(struct web_call *call); /* admin_events.c */

/* home.c: with the events that lately_read() came to. */
int web_home_show(struct web_call *call, const struct registry_result *result);
/* lately.c: read events from call->number on, which is 0 at first; and show them. */
void lately_read(struct web_call *call);
void lately_show(struct html *page, const struct web_call *call,
		 const struct registry_result *result);

/* login.c */
/* The page, with what is wrong; NULL: nothing. */
int web_login_show(struct web_call *call, unsigned status, const char *problem);
/* A path of ours that may follow after signing in; "/" if it is none. */
const char *web_next(const char *path);
/* They have shown who they are: open a session, and go on to call->next. */
void web_sign_in(struct web_call *call, const char *login, const char *method,
		 enum auth_strength strength, uint64_t auth_time);
/* login_code.c */
/* The password was right: ask for the code. */
int web_ask_code(struct web_call *call, const char *login, const char *problem, uint64_t expires);

/* flow.c */
void web_flows_free(struct web *web);
