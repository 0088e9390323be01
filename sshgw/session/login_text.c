#include "sshgw/session/login_text.h"

#include <string.h>

#include "common/text.h"

#define CUT_MARK     "\033[0m[...]\n"
#define CUT_MARK_RAW "[...]\n"
#define ROOM	     (LOGIN_TEXT_MAX - sizeof(CUT_MARK))

static void append(struct login_text *text, const char *piece, size_t len)
{
	char *data;

	if (text->full)
		return;
	if (len > ROOM - text->len) {
		text->full = true;
		piece = text->colours ? CUT_MARK : CUT_MARK_RAW;
		len = strlen(piece);
	}
	data = realloc(text->data, text->len + len + 1);
	if (!data)
		return;
	memcpy(data + text->len, piece, len);
	data[text->len + len] = '\0';
	text->data = data;
	text->len += len;
}

static void append_cleaned(struct login_text *text, const char *piece, size_t len)
{
	_cleanup_free_ char *raw = strndup(piece, len);
	_cleanup_free_ char *clean = raw ? text_sanitize(raw, len) : NULL;

	if (clean)
		append(text, clean, strlen(clean));
}

/* Length of a "select graphic rendition" sequence ("ESC [ 1 ; 31 m") at s, 0 if there is none. */
static size_t colour_length(const char *s)
{
	size_t n;

	if (s[0] != '\033' || s[1] != '[')
		return 0;
	n = strspn(s + 2, "0123456789;");
	return s[2 + n] == 'm' ? n + 3 : 0;
}

void login_text_add(struct login_text *text, const char *message)
{
	const char *s = message;
	size_t n;

	for (; *s && !text->full; s += n) {
		n = text->colours ? colour_length(s) : 0;
		if (n == 0 && (*s == '\n' || *s == '\t'))
			n = 1;
		if (n > 0) {
			append(text, s, n);
		} else if (*s == '\r') {
			n = 1;
		} else {
			n = 1 + strcspn(s + 1, "\n\t\r\033");
			append_cleaned(text, s, n);
		}
	}
	if (s == message || s[-1] != '\n')
		append(text, "\n", 1);
}

const char *login_text_get(const struct login_text *text)
{
	return text->data ? text->data : "";
}

void login_text_done(struct login_text *text)
{
	free(text->data);
	*text = (struct login_text){ 0 };
}
