#include "coord/web/html.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "common/text.h"

#define MAX_PAGE (4u << 20) /* a policy may be half a megabyte, and each "&" five */
#define FIRST	 4096u

void html_done(struct html *html)
{
	/* Pages bear tokens, and secrets of accounts. */
	if (html->data)
		explicit_bzero(html->data, html->size);
	free(html->data);
	*html = (struct html){ 0 };
}

/* By hand: realloc() would leave the old page behind. */
static int grow(struct html *html, size_t size)
{
	char *data = size <= MAX_PAGE ? malloc(size) : NULL;

	if (!data)
		return -1;
	if (html->data) {
		memcpy(data, html->data, html->len);
		explicit_bzero(html->data, html->size);
		free(html->data);
	}
	html->data = data;
	html->size = size;
	return 0;
}

static void append(struct html *html, const char *data, size_t len)
{
	size_t size = html->size ? html->size : FIRST;

	if (html->failed)
		return;
	while (size < html->len + len + 1)
		size *= 2;
	if (size > html->size && grow(html, size) < 0) {
		html->failed = true;
		return;
	}
	memcpy(html->data + html->len, data, len);
	html->len += len;
	html->data[html->len] = '\0';
}

/* ---- values ---- */

static const char *escape_of(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

/* Bytes of the character that begins here, by its first byte; a lone one counts for itself. */
static size_t char_len(const char *text)
{
	size_t len = 1;

	while (((unsigned char)text[len] & 0xc0) == 0x80 && len < 4)
		len++;
	return len;
}

/* May it be shown as it is? */
static bool is_plain(const char *text, size_t len)
{
	char one[5] = "";

	if (len == 1 && (*text == '\n' || *text == '\t'))
		return true;
	memcpy(one, text, len);
	return text_is_utf8(one) && !text_has_control(one);
}

static void add_text(struct html *html, const char *text)
{
	while (text && *text) {
		const char *escape = escape_of(*text);
		size_t len = (unsigned char)*text < 0x80 ? 1 : char_len(text);

		if (escape)
			append(html, escape, strlen(escape));
		else if (is_plain(text, len))
			append(html, text, len);
		else
			append(html, "\xef\xbf\xbd", 3);
		text += len;
	}
}

static void add_number(struct html *html, unsigned long long n)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%llu", n);

	append(html, digits, (size_t)len);
}

/* ---- markup ---- */

/* One conversion, whose '%' is at. Return: what follows it. */
static const char *convert(struct html *html, const char *at, va_list *ap)
{
	if (strncmp(at, "%s", 2) == 0) {
		add_text(html, va_arg(*ap, const char *));
		return at + 2;
	}
	if (strncmp(at, "%u", 2) == 0) {
		add_number(html, va_arg(*ap, unsigned));
		return at + 2;
	}
	if (strncmp(at, "%zu", 3) == 0) {
		add_number(html, va_arg(*ap, size_t));
		return at + 3;
	}
	if (strncmp(at, "%llu", 4) == 0) {
		add_number(html, va_arg(*ap, unsigned long long));
		return at + 4;
	}
	/* None that there is: no page is better than one that lacks something. */
	html->failed = true;
	return at + strlen(at);
}

void html_add(struct html *html, const char *markup, ...)
{
	va_list ap;

	va_start(ap, markup);
	while (*markup) {
		size_t len = strcspn(markup, "%");

		append(html, markup, len);
		markup += len;
		if (*markup)
			markup = convert(html, markup, &ap);
	}
	va_end(ap);
}

char *html_take(struct html *html, size_t *ret_len)
{
	char *page = NULL;

	if (!html->failed && html->data) {
		*ret_len = html->len;
		page = take_ptr(html->data);
		*html = (struct html){ 0 };
	}
	html_done(html);
	return page;
}
