#include "coord/http/head.h"

#include <string.h>
#include <strings.h>

/* RFC 9110, 5.6.2 */
static bool is_token(const char *s, size_t len)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < len; i++) {
		bool alnum = (s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'z') ||
			     (s[i] >= 'A' && s[i] <= 'Z');

		if (!alnum && (s[i] == '\0' || !strchr(others, s[i])))
			return false;
	}
	return len > 0;
}

/* Blanks, and whatever prints; what is beyond ASCII is the handler's to judge. */
static bool is_field_value(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

/* Step over text that ends in n NULs, exactly. Return: where the next begins; NULL: not so. */
static const char *step(const char *at, const char *end, size_t n, size_t *ret_len)
{
	size_t len = strnlen(at, (size_t)(end - at));

	if ((size_t)(end - at) < len + n)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (at[len + i] != '\0')
			return NULL;
	*ret_len = len;
	return at + len + n;
}

/* "METHOD TARGET VERSION" CRLF, with nothing in between. Return: the first field; NULL. */
static const char *check_first_line(const struct http_head *head, const char *end)
{
	size_t len;

	if (step(head->start, end, 1, &len) != head->target || !is_token(head->start, len))
		return NULL;
	if (head->target + head->target_len + 1 != head->version || head->version >= end)
		return NULL;
	return step(head->version, end, 2, &len);
}

const char *http_head_check(const struct http_head *head)
{
	const char *end = head->start + head->len;
	const char *at = check_first_line(head, end);
	size_t n_fields = 0, len;

	if (!at)
		return "the first line is not \"METHOD TARGET VERSION\"";
	while (end - at > 2) {
		const char *name = at;

		at = step(name, end, 1, &len);
		if (!at || !is_token(name, len))
			return "a header field does not begin with a name and a colon";
		name = at;
		at = step(name, end, 2, &len);
		if (!at || !is_field_value(name, len))
			return "a header field has control characters, or does not end in CR LF";
		n_fields++;
	}
	if (end - at != 2 || at[0] || at[1])
		return "the header does not end in an empty line";
	if (n_fields != head->n_fields)
		return "the header is ambiguous";
	return NULL;
}

const char *http_framing_check(const struct http_framing *f)
{
	if (f->n_transfer_encoding > 0 && f->n_content_length > 0)
		return "Transfer-Encoding and Content-Length exclude each other";
	if (f->n_content_length > 1)
		return "there must not be more than one Content-Length";
	if (f->n_host > 1)
		return "there must not be more than one Host";
	if (f->n_transfer_encoding == 0)
		return NULL;
	if (f->http10)
		return "HTTP/1.0 has no Transfer-Encoding";
	if (f->n_transfer_encoding > 1 || strcasecmp(f->transfer_encoding, "chunked") != 0)
		return "Transfer-Encoding has to be \"chunked\", once";
	return NULL;
}
