#include "coord/policy/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "coord/policy/grow.h"

void policy_text_done(struct policy_text *text)
{
	free(text->data);
	*text = (struct policy_text){ 0 };
}

static bool make_room(struct policy_text *text, size_t len)
{
	if (text->failed)
		return false;
	if (len > SIZE_MAX / 4 - text->len ||
	    grow(&text->data, text->len + len + 1, &text->size) < 0)
		text->failed = true;
	return !text->failed;
}

void policy_text_append(struct policy_text *text, const char *data, size_t len)
{
	if (!make_room(text, len))
		return;
	memcpy(text->data + text->len, data, len);
	text->len += len;
	text->data[text->len] = '\0';
}

void policy_text_puts(struct policy_text *text, const char *s)
{
	policy_text_append(text, s, strlen(s));
}

void policy_text_printf(struct policy_text *text, const char *fmt, ...)
{
	va_list ap, again;
	int len;

	va_start(ap, fmt);
	va_copy(again, ap);
	len = vsnprintf(NULL, 0, fmt, ap);
	if (len >= 0 && make_room(text, (size_t)len)) {
		vsnprintf(text->data + text->len, (size_t)len + 1, fmt, again);
		text->len += (size_t)len;
	}
	va_end(again);
	va_end(ap);
}

static bool needs_escape(unsigned char c)
{
	return c < 0x20 || c == '"' || c == '\\' || c == 0x7f;
}

void policy_text_string(struct policy_text *text, const char *s)
{
	policy_text_append(text, "\"", 1);
	while (*s) {
		size_t plain = 0;

		while (s[plain] && !needs_escape((unsigned char)s[plain]))
			plain++;
		policy_text_append(text, s, plain);
		s += plain;
		if (*s == '"' || *s == '\\')
			policy_text_printf(text, "\\%c", *s++);
		else if (*s)
			policy_text_printf(text, "\\u%04x", (unsigned char)*s++);
	}
	policy_text_append(text, "\"", 1);
}

int policy_text_result(const struct policy_text *text)
{
	return text->failed ? -ENOMEM : 0;
}

char *policy_text_take(struct policy_text *text)
{
	char *data;

	policy_text_append(text, "", 0);
	data = text->failed ? NULL : take_ptr(text->data);
	policy_text_done(text);
	return data;
}
