#include "coord/http/target.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/*
 * Decode len bytes to *out, which moves on behind the final NUL.
 * Return: the decoded text; NULL: it is no text.
 */
static char *decode(const char *in, size_t len, bool plus_is_space, char **out)
{
	char *text = *out, *to = text;

	for (const char *end = in + len; in < end; in++) {
		char c = *in;

		if (c == '+' && plus_is_space) {
			c = ' ';
		} else if (c == '%') {
			int high = end - in > 2 ? hex_value(in[1]) : -1;
			int low = end - in > 2 ? hex_value(in[2]) : -1;

			if (high < 0 || low < 0)
				return NULL;
			c = (char)(high << 4 | low);
			in += 2;
		}
		if (c == '\0')
			return NULL;
		*to++ = c;
	}
	*to++ = '\0';
	*out = to;
	return text_is_utf8(text) && !text_has_control(text) ? text : NULL;
}

static size_t count(const char *text, char c)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == c;
	return n;
}

static int parse_segments(struct http_target *t, char **out, const char **ret_why)
{
	const char *at = t->path;

	while (*at == '/') {
		size_t len = strcspn(++at, "/");
		char *segment = decode(at, len, false, out);

		if (!segment) {
			*ret_why = "a segment of the path is not percent-encoded text";
			return -EINVAL;
		}
		if (strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0) {
			*ret_why = "\".\" and \"..\" do not belong in the path";
			return -EINVAL;
		}
		t->segments[t->n_segments++] = segment;
		at += len;
	}
	return 0;
}

static int parse_parameters(struct http_target *t, char **out, const char **ret_why)
{
	const char *at = t->query;

	while (at && *at) {
		size_t len = strcspn(at, "&");
		size_t name_len = strcspn(at, "&=");
		struct http_pair *pair = &t->parameters[t->n_parameters];

		pair->name = decode(at, name_len, true, out);
		if (name_len < len)
			name_len++;
		pair->value = decode(at + name_len, len - name_len, true, out);
		if (!pair->name || !pair->value) {
			*ret_why = "a parameter of the query is not percent-encoded text";
			return -EINVAL;
		}
		if (len > 0)
			t->n_parameters++;
		at += len;
		at += *at == '&';
	}
	return 0;
}

static int allocate(const char *text, struct http_target *t, const char **ret_why)
{
	size_t n_segments, n_parameters;

	t->path = strdup(text);
	if (!t->path)
		return -ENOMEM;
	t->query = strchr(t->path, '?');
	if (t->query)
		*t->query++ = '\0';
	n_segments = count(t->path, '/');
	n_parameters = t->query ? count(t->query, '&') + 1 : 0;
	if (n_segments > HTTP_MAX_SEGMENTS || n_parameters > HTTP_MAX_PARAMETERS) {
		*ret_why = "the path has too many segments, or the query too many parameters";
		return -EINVAL;
	}
	/* Decoding does not lengthen; each piece gets a NUL. */
	t->decoded = malloc(strlen(text) + 1 + n_segments + 2 * n_parameters);
	t->segments = calloc(n_segments, sizeof(*t->segments));
	t->parameters = calloc(n_parameters + 1, sizeof(*t->parameters));
	return t->decoded && t->segments && t->parameters ? 0 : -ENOMEM;
}

int http_target_parse(const char *text, struct http_target *ret_target, const char **ret_why)
{
	struct http_target t = { 0 };
	char *out;
	int r;

	if (text[0] != '/') {
		*ret_why = "the target has to be a path that begins with '/'";
		return -EINVAL;
	}
	r = allocate(text, &t, ret_why);
	out = t.decoded;
	if (r == 0)
		r = parse_segments(&t, &out, ret_why);
	if (r == 0)
		r = parse_parameters(&t, &out, ret_why);
	if (r < 0)
		http_target_done(&t);
	else
		*ret_target = t;
	return r;
}

void http_target_done(struct http_target *t)
{
	free(t->path);
	free(t->decoded);
	free(t->segments);
	free(t->parameters);
	*t = (struct http_target){ 0 };
}
