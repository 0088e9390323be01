#include "coord/policy/hujson_blank.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct scan {
	char *text; /* changed in place */
	const char *original;
	size_t len, pos;
	unsigned depth;
	size_t n_values; /* tokens that can begin a value or a key */
	size_t comma;	 /* place of a comma with nothing but blanks behind it so far... */
	bool has_comma;	 /* ...if there is one */
	const struct hujson_limits *limits;
	struct policy_problems *problems;
};

static int fail(const struct scan *s, size_t pos, const char *what)
{
	return problem_error(s->problems, hujson_place(s->original, pos), "%s", what);
}

static void blank(struct scan *s, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (s->text[i] != '\n' && s->text[i] != '\r')
			s->text[i] = ' ';
}

static int scan_string(struct scan *s)
{
	size_t start = s->pos++;

	for (; s->pos < s->len && s->text[s->pos] != '"'; s->pos++) {
		if (s->text[s->pos] == '\n')
			break;
		if (s->text[s->pos] == '\\')
			s->pos++;
	}
	if (s->pos >= s->len || s->text[s->pos] != '"')
		return fail(s, start,
			    "this text has no end; close it with a quote on the same line");
	s->pos++;
	return 0;
}

static int scan_comment(struct scan *s)
{
	size_t start = s->pos;
	const char *end;

	if (s->pos + 1 < s->len && s->text[s->pos + 1] == '/') {
		end = memchr(s->text + s->pos, '\n', s->len - s->pos);
		s->pos = end ? (size_t)(end - s->text) : s->len;
	} else if (s->pos + 1 < s->len && s->text[s->pos + 1] == '*') {
		end = memmem(s->text + s->pos + 2, s->len - s->pos - 2, "*/", 2);
		if (!end)
			return fail(s, start, "this comment has no end; close it with */");
		s->pos = (size_t)(end - s->text) + 2;
	} else {
		return fail(s, start, "a lone /; comments begin with // or /*");
	}
	blank(s, start, s->pos);
	return 0;
}

static int scan_token(struct scan *s)
{
	char c = s->text[s->pos];

	if (c == '/')
		return scan_comment(s);
	if (strchr(" \t\r\n", c)) {
		s->pos++;
		return 0;
	}
	if ((c == ']' || c == '}') && s->has_comma)
		s->text[s->comma] = ' ';
	s->has_comma = c == ',';
	s->comma = s->pos;
	if (c == '[' || c == '{') {
		if (++s->depth > s->limits->max_depth)
			return fail(s, s->pos,
				    "nested too deeply; a policy needs no more than a few "
				    "levels");
	} else if ((c == ']' || c == '}') && s->depth > 0) {
		s->depth--;
	}
	if (c == '"') {
		s->n_values++;
		return scan_string(s);
	}
	s->n_values += c == '[' || c == '{' || c == ',' || c == ':';
	s->pos++;
	return 0;
}

/* "[,]" is no trailing comma: jansson shall see it. */
static bool only_blanks_before(const struct scan *s)
{
	for (size_t i = s->comma; i-- > 0;)
		if (!strchr(" \t\r\n", s->text[i]))
			return strchr("[{,:", s->text[i]) != NULL;
	return true;
}

static int scan_all(struct scan *s)
{
	while (s->pos < s->len) {
		int r;

		if (s->has_comma && strchr("]}", s->text[s->pos]) && only_blanks_before(s))
			s->has_comma = false;
		r = scan_token(s);
		if (r < 0)
			return r;
		if (s->n_values > s->limits->max_values)
			return fail(s, s->pos, "too many values in one policy");
	}
	return 0;
}

int hujson_blank(const char *text, size_t len, const struct hujson_limits *limits,
		 struct policy_problems *problems, char **ret_plain, size_t *ret_n_values)
{
	_cleanup_free_ char *plain = NULL;
	struct scan s = { .original = text, .len = len, .limits = limits, .problems = problems };
	const char *nul = memchr(text, '\0', len);
	int r;

	if (len > limits->max_bytes)
		return problem_error(problems, (struct place){ 0 },
				     "the policy has %zu bytes; at most %zu are read", len,
				     limits->max_bytes);
	if (nul)
		return problem_error(problems, hujson_place(text, (size_t)(nul - text)),
				     "a NUL byte; a policy is plain UTF-8 text");
	plain = strndup(text, len);
	if (!plain)
		return -ENOMEM;
	s.text = plain;
	r = scan_all(&s);
	if (r < 0)
		return r;
	*ret_plain = take_ptr(plain);
	*ret_n_values = s.n_values + 1;
	return 0;
}
