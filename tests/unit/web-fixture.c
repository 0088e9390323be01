#include "tests/unit/web-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/text.h"
#include "coord/registry/accounts.h"

struct browser *browser_new(struct coord_fix *coord)
{
	struct browser *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->coord = coord;
	return b;
}

/* ---- asking ---- */

static void keep_cookie(struct browser *b, const char *cookie)
{
	size_t name_len = strcspn(cookie, "="), len = strcspn(cookie, ";");
	unsigned place = 0;

	/* In place of the one of this name; else in a free place. */
	for (unsigned i = 0; i < ARRAY_SIZE(b->cookies); i++)
		if (!b->cookies[i][0])
			place = i;
	for (unsigned i = 0; i < ARRAY_SIZE(b->cookies); i++)
		if (strncmp(b->cookies[i], cookie, name_len + 1) == 0)
			place = i;
	assert_true(len < sizeof(b->cookies[0]));
	snprintf(b->cookies[place], sizeof(b->cookies[place]), "%.*s",
		 len == name_len + 1 ? 0 : (int)len, cookie);
}

static void keep_cookies(struct browser *b)
{
	const char *end = strstr(b->reply.text, "\r\n\r\n");

	for (const char *at = b->reply.text; (at = strstr(at, "\r\nSet-Cookie: ")) && at < end;) {
		at += strlen("\r\nSet-Cookie: ");
		keep_cookie(b, at);
	}
}

static unsigned ask(struct browser *b, const char *method, const char *path, const char *body)
{
	_cleanup_free_ char *text = text_printf(
		"%s %s HTTP/1.1\r\nHost: c\r\n%s%s%s%s%s%s%sContent-Length: %zu\r\n\r\n%s", method,
		path, b->cookies[0][0] || b->cookies[1][0] ? "Cookie: " : "", b->cookies[0],
		b->cookies[0][0] && b->cookies[1][0] ? "; " : "", b->cookies[1],
		b->cookies[0][0] || b->cookies[1][0] ? "\r\n" : "", b->headers ? b->headers : "",
		body ? "Content-Type: application/x-www-form-urlencoded\r\n" : "",
		body ? strlen(body) : 0, body ? body : "");

	assert_non_null(text);
	b->status = http_fixture_ask(&b->coord->http, text, &b->reply);
	keep_cookies(b);
	return b->status;
}

unsigned browser_get(struct browser *b, const char *path)
{
	return ask(b, "GET", path, NULL);
}

unsigned browser_post(struct browser *b, const char *path, const char *body)
{
	return ask(b, "POST", path, body);
}

/* ---- forms ---- */

/* The form's text up to its end, behind its beginning. Return: NULL: there is none. */
static char *form_text(const struct browser *b, const char *path)
{
	_cleanup_free_ char *begin = text_printf("<form method=\"post\" action=\"%s\">", path);
	const char *at = strstr(http_reply_body(&b->reply), begin);
	const char *end = at ? strstr(at, "</form>") : NULL;

	return end ? strndup(at, (size_t)(end - at)) : NULL;
}

const char *browser_token(const struct browser *b, const char *path)
{
	static char token[64];
	_cleanup_free_ char *form = form_text(b, path);
	const char *at = form ? strstr(form, "name=\"csrf\" value=\"") : NULL;

	token[0] = '\0';
	if (at)
		snprintf(token, sizeof(token), "%.*s",
			 (int)strcspn(at + strlen("name=\"csrf\" value=\""), "\""),
			 at + strlen("name=\"csrf\" value=\""));
	return token;
}

static void append_encoded(char *body, size_t size, const char *value, size_t len)
{
	size_t n = strlen(body);

	for (size_t i = 0; i < len; i++)
		n += (size_t)snprintf(body + n, size - n, "%%%02X", (unsigned char)value[i]);
}

/* "NAME=VALUE&..." of the hidden fields; their values need no unescaping here. */
static void hidden_fields(const char *form, char *body, size_t size)
{
	const char *mark = "<input type=\"hidden\" name=\"";

	for (const char *at = form; (at = strstr(at, mark));) {
		const char *name = at + strlen(mark), *value = strstr(name, "value=\"");
		size_t n = strlen(body);

		assert_non_null(value);
		value += strlen("value=\"");
		snprintf(body + n, size - n, "%s%.*s=", n ? "&" : "", (int)strcspn(name, "\""),
			 name);
		append_encoded(body, size, value, strcspn(value, "\""));
		at = value;
	}
}

unsigned browser_submit(struct browser *b, const char *path, const char *fields)
{
	_cleanup_free_ char *form = form_text(b, path);
	char body[4096] = "";
	size_t n;

	if (!form)
		fail_msg("no form posts to %s: %s", path, b->reply.text);
	hidden_fields(form, body, sizeof(body));
	n = strlen(body);
	snprintf(body + n, sizeof(body) - n, "%s%s", *fields ? "&" : "", fields);
	return browser_post(b, path, body);
}

/* ---- looking ---- */

/* Return: a static buffer; NULL: there is no such field. */
static const char *header(const struct browser *b, const char *name)
{
	static char value[1024];
	_cleanup_free_ char *mark = text_printf("\r\n%s: ", name);
	const char *at = strstr(b->reply.text, mark), *end = strstr(b->reply.text, "\r\n\r\n");

	if (!at || at > end)
		return NULL;
	at += strlen(mark);
	snprintf(value, sizeof(value), "%.*s", (int)strcspn(at, "\r"), at);
	return value;
}

void browser_header(const struct browser *b, const char *name, const char *value)
{
	const char *found = header(b, name);

	if (!value)
		assert_null(found);
	else if (!found || strcmp(found, value) != 0)
		fail_msg("%s: %s: %s", name, found ? found : "is missing", b->reply.text);
}

const char *browser_location(const struct browser *b)
{
	const char *url = header(b, "Location");

	if (b->status != 303 || !url || strncmp(url, coord_fix_url, strlen(coord_fix_url)) != 0)
		fail_msg("leads nowhere: %s", b->reply.text);
	return url + strlen(coord_fix_url);
}

void browser_sees(const struct browser *b, const char *text)
{
	if (!strstr(http_reply_body(&b->reply), text))
		fail_msg("no \"%s\": %s", text, b->reply.text);
}

void browser_misses(const struct browser *b, const char *text)
{
	if (strstr(http_reply_body(&b->reply), text))
		fail_msg("\"%s\": %s", text, b->reply.text);
}

/* ---- accounts ---- */

void web_fix_password(struct coord_fix *coord, const char *login)
{
	struct browser *b = browser_new(coord);
	char path[300];

	registry_create_pwlink(coord->registry, &fix_root, login, fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
	snprintf(path, sizeof(path), "/set-password/%s", coord->result.secret);
	assert_int_equal(browser_get(b, path), 200);
	assert_int_equal(browser_submit(b, path, "password=" PASSWORD "&again=" PASSWORD), 200);
	browser_sees(b, "Your password is set");
	free(b);
}

void browser_sign_in(struct browser *b, const char *login)
{
	char fields[256], path[300];

	if (b->status != 200 || !strstr(b->reply.text, "action=\"/login\""))
		assert_int_equal(browser_get(b, "/login"), 200);
	snprintf(fields, sizeof(fields), "login=%s&password=" PASSWORD, login);
	assert_int_equal(browser_submit(b, "/login", fields), 303);
	snprintf(path, sizeof(path), "%s", browser_location(b));
	browser_get(b, path);
}
