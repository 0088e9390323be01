#include "coord/web/cookie.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define VALUE_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

/* Without blanks at both ends. */
static void trim(const char **text, size_t *len)
{
	while (*len > 0 && strchr(" \t", **text)) {
		(*text)++;
		(*len)--;
	}
	while (*len > 0 && strchr(" \t", (*text)[*len - 1]))
		(*len)--;
}

static int take_value(const char *value, size_t len, char ret_value[COOKIE_SIZE])
{
	trim(&value, &len);
	if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
		value++;
		len -= 2;
	}
	if (len == 0 || len >= COOKIE_SIZE || strspn(value, VALUE_CHARS) < len)
		return -EINVAL;
	memset(ret_value, 0, COOKIE_SIZE);
	memcpy(ret_value, value, len);
	return 0;
}

int cookie_find(const char *field, const char *name, char ret_value[COOKIE_SIZE])
{
	char found[COOKIE_SIZE];
	unsigned n = 0;
	int r = 0;

	while (*field && r == 0) {
		size_t len = strcspn(field, ";");
		const char *at = field, *equal = memchr(field, '=', len);
		size_t name_len = equal ? (size_t)(equal - field) : 0;

		if (equal) {
			trim(&at, &name_len);
			if (name_len == strlen(name) && memcmp(at, name, name_len) == 0) {
				r = take_value(equal + 1, (size_t)(field + len - equal - 1), found);
				n++;
			}
		}
		field += len + (field[len] == ';');
	}
	if (r == 0 && n > 1)
		r = -EINVAL;
	if (r == 0 && n == 0)
		r = -ENOENT;
	if (r == 0)
		memcpy(ret_value, found, sizeof(found));
	return r;
}

char *cookie_set_text(const struct cookie_set *cookie, char buf[COOKIE_SET_SIZE])
{
	char age[40] = "";

	if (!cookie->value[0])
		snprintf(age, sizeof(age), "; Max-Age=0");
	else if (cookie->max_age > 0)
		snprintf(age, sizeof(age), "; Max-Age=%" PRIu64, cookie->max_age);
	snprintf(buf, COOKIE_SET_SIZE, "%s=%s; Path=/; HttpOnly; SameSite=Lax%s%s", cookie->name,
		 cookie->value, cookie->secure ? "; Secure" : "", age);
	return buf;
}
