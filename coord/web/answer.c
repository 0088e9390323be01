/* Answers to browsers. Whatever is answered bears all the fields that keep it apart from others. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "coord/web/internal.h"

/* Of the cookie; the registry decides how long the session is good. */
#define SESSION_SECONDS (12u * 3600u)

/* "__Host-": no other host, and nobody in between without TLS, can have set it. */
const char *web_session_cookie(const struct web *web)
{
	return web->https ? "__Host-peergate" : "peergate";
}

const char *web_visit_cookie(const struct web *web)
{
	return web->https ? "__Host-peergate-visit" : "peergate-visit";
}

/* ---- fields ---- */

#define MAX_FIELDS 16u

struct fields {
	struct http_header items[MAX_FIELDS];
	size_t n;
	char cookies[2][COOKIE_SET_SIZE];
	char retry[16];
};

static void add(struct fields *fields, const char *name, const char *value)
{
	fields->items[fields->n++] = (struct http_header){ name, value };
}

/*
 * No scripts, no frames, nothing from elsewhere. Referrer: a form says its Origin only if pages of
 * the same origin may know where they were linked from.
 */
static void add_protection(struct fields *fields, const struct web *web)
{
	add(fields, "Content-Security-Policy",
	    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
	    "frame-ancestors 'none'; base-uri 'none'");
	add(fields, "X-Content-Type-Options", "nosniff");
	add(fields, "Referrer-Policy", "same-origin");
	if (web->https)
		add(fields, "Strict-Transport-Security", "max-age=31536000");
}

static void add_cookies(struct fields *fields, const struct web_call *call)
{
	struct cookie_set cookie = { .secure = call->web->https };

	if (call->visit_is_new) {
		cookie.name = web_visit_cookie(call->web);
		cookie.value = call->visit;
		add(fields, "Set-Cookie", cookie_set_text(&cookie, fields->cookies[0]));
	}
	if (call->new_session) {
		cookie.name = web_session_cookie(call->web);
		cookie.value = call->new_session;
		cookie.max_age = SESSION_SECONDS;
		add(fields, "Set-Cookie", cookie_set_text(&cookie, fields->cookies[1]));
	}
}

static int respond(struct web_call *call, unsigned status, const char *location,
		   struct http_buf *body)
{
	struct fields fields = { 0 };
	struct http_response response = { .status = status, .body = body };
	int r;

	add_protection(&fields, call->web);
	add_cookies(&fields, call);
	if (location)
		add(&fields, "Location", location);
	if (call->retry_seconds > 0) {
		snprintf(fields.retry, sizeof(fields.retry), "%u", call->retry_seconds);
		add(&fields, "Retry-After", fields.retry);
	}
	response.headers = fields.items;
	response.n_headers = fields.n;
	response.content_type = body ? "text/html; charset=utf-8" : NULL;
	r = http_respond(call->req, &response);
	explicit_bzero(&fields, sizeof(fields));
	web_call_free(call);
	/* Nobody is left to see it: no fault. */
	return r == -ENOTCONN ? 0 : r;
}

int web_respond(struct http_request *req, const struct web *web, const char *type,
		struct http_buf *body)
{
	struct fields fields = { 0 };
	struct http_response response = { .status = 200, .content_type = type, .body = body };

	add_protection(&fields, web);
	response.headers = fields.items;
	response.n_headers = fields.n;
	return http_respond(req, &response);
}

/* ---- pages ---- */

int web_answer(struct web_call *call, unsigned status, struct html *page)
{
	_cleanup_(http_buf_unrefp) struct http_buf *body = NULL;
	size_t len;
	char *text = html_take(page, &len);

	if (text)
		body = http_buf_take(text, len);
	if (!body)
		return web_fail(call);
	return respond(call, status, NULL, body);
}

int web_fail(struct web_call *call)
{
	web_call_free(call);
	return -ENOMEM;
}

int web_redirect_away(struct web_call *call, const char *url)
{
	return respond(call, 303, url, NULL);
}

int web_redirect(struct web_call *call, const char *path)
{
	_cleanup_free_ char *url = text_printf("%s%s", call->web->url, path);

	if (!url)
		return web_fail(call);
	return web_redirect_away(call, url);
}

int web_error(struct web_call *call, unsigned status, const char *title, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	struct html page = { 0 };
	va_list ap;

	va_start(ap, fmt);
	text = text_vprintf(fmt, ap);
	va_end(ap);
	page_begin(&page, call, title);
	html_add(&page, "<p>%s</p>\n<p><a href=\"%s/\">%s</a></p>\n", text, call->web->base,
		 call->login ? "To your devices" : "Sign in");
	page_end(&page);
	return web_answer(call, status, &page);
}

int web_unavailable(struct web_call *call, const char *text)
{
	return web_error(call, 503, "Not possible at the moment", "%s", text);
}

void web_retry_after(struct web_call *call, uint64_t usec)
{
	call->retry_seconds = (unsigned)(usec / USEC_PER_SEC) + 1;
}

/* ---- what the registry says ---- */

static unsigned status_of(enum registry_code code)
{
	static const struct {
		enum registry_code code;
		unsigned status;
	} statuses[] = {
		{ REGISTRY_NOT_FOUND, 404 },   { REGISTRY_NOT_ALLOWED, 403 },
		{ REGISTRY_BAD_TAG, 403 },     { REGISTRY_REJECTED, 403 },
		{ REGISTRY_CONFLICT, 409 },    { REGISTRY_TOO_MANY, 429 },
		{ REGISTRY_UNAVAILABLE, 503 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
		if (statuses[i].code == code)
			return statuses[i].status;
	return 400;
}

int web_refused(struct web_call *call, const struct registry_result *result)
{
	if (result->code == REGISTRY_OK)
		return -ENOENT;
	web_error(call, status_of(result->code),
		  result->code == REGISTRY_UNAVAILABLE ? "Not possible at the moment"
						       : "This was refused",
		  "%s", result->text ? result->text : registry_code_to_string(result->code));
	return 0;
}
