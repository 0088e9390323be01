#include "coord/policy/read.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/text.h"

void read_error(struct reader *rd, struct place at, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = text_vprintf(fmt, ap);
	va_end(ap);
	if (!text || problem_error(rd->problems, at, "%s", text) == -ENOMEM)
		rd->no_memory = true;
}

void read_warn(struct reader *rd, struct place at, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = text_vprintf(fmt, ap);
	va_end(ap);
	if (!text || problem_warn(rd->problems, at, "%s", text) == -ENOMEM)
		rd->no_memory = true;
}

void *read_alloc(struct reader *rd, size_t n, size_t size)
{
	void *p = arena_alloc(&rd->policy->arena, n, size);

	if (!p)
		rd->no_memory = true;
	return p;
}

bool is_absent(const struct hujson_value *v)
{
	return !v || json_is_null(v->json);
}

static const char *kind_of(const struct hujson_value *v)
{
	switch (json_typeof(v->json)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "a list";
	case JSON_STRING:
		return "a text";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "true or false";
	case JSON_NULL:
		return "null";
	}
	return "something else";
}

/* Number of single-character changes between two names, as far as it is below limit. */
static unsigned distance(const char *a, const char *b, unsigned limit)
{
	size_t la = strlen(a), lb = strlen(b);
	unsigned row[64];

	if (la + limit < lb || lb + limit < la || lb >= ARRAY_SIZE(row))
		return limit;
	for (size_t k = 0; k <= lb; k++)
		row[k] = (unsigned)k;
	for (size_t i = 1; i <= la; i++) {
		unsigned corner = row[0];

		row[0] = (unsigned)i;
		for (size_t k = 1; k <= lb; k++) {
			unsigned same = corner + (strncasecmp(a + i - 1, b + k - 1, 1) != 0);
			unsigned best = row[k] < row[k - 1] ? row[k] + 1 : row[k - 1] + 1;

			corner = row[k];
			row[k] = same < best ? same : best;
		}
	}
	return row[lb];
}

const char *read_suggestion(struct reader *rd, const char *written, const char *const *names,
			    size_t n_names)
{
	unsigned best = 3;
	const char *name = NULL;
	char *text;

	for (size_t i = 0; i < n_names; i++) {
		unsigned d = distance(written, names[i], 3);

		if (d < best && d < strlen(written)) {
			best = d;
			name = names[i];
		}
	}
	if (!name)
		return "";
	text = read_alloc(rd, strlen(name) + 20, 1);
	if (!text)
		return "";
	sprintf(text, "; did you mean \"%s\"?", name);
	return text;
}

/* "src, dst, ip" */
static const char *list_names(struct reader *rd, const char *const *names, size_t n_names)
{
	size_t len = 1, at = 0;
	char *text;

	for (size_t i = 0; i < n_names; i++)
		len += strlen(names[i]) + 2;
	text = read_alloc(rd, len, 1);
	if (!text)
		return "";
	for (size_t i = 0; i < n_names; i++)
		at += (size_t)sprintf(text + at, "%s%s", i ? ", " : "", names[i]);
	return text;
}

static void unknown_member(struct reader *rd, const struct hujson_value *m,
			   const char *const *names, size_t n_names)
{
	const char *hint = read_suggestion(rd, m->key, names, n_names);

	if (*hint)
		read_error(rd, m->key_at, "\"%.60s\" is not known here%s", m->key, hint);
	else
		read_error(rd, m->key_at, "\"%.60s\" is not known here; known are %s", m->key,
			   list_names(rd, names, n_names));
}

void read_members(struct reader *rd, const struct hujson_value *v, const char *const *names,
		  size_t n_names, const struct hujson_value **found)
{
	for (size_t i = 0; i < v->n_items; i++) {
		const struct hujson_value *m = &v->items[i];
		size_t k = 0;

		while (k < n_names && strcasecmp(names[k], m->key) != 0)
			k++;
		if (k == n_names)
			unknown_member(rd, m, names, n_names);
		else if (found[k])
			read_error(rd, m->key_at,
				   "\"%s\" is the same as \"%s\" in line %u; keep one", m->key,
				   found[k]->key, found[k]->key_at.line);
		else
			found[k] = m;
	}
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

const char *read_string(struct reader *rd, const struct hujson_value *v, const char *what)
{
	const char *s, *end;

	if (!json_is_string(v->json)) {
		read_error(rd, v->at, "%s has to be a text in quotes, not %s", what, kind_of(v));
		return NULL;
	}
	s = json_string_value(v->json);
	end = s + strlen(s);
	while (is_blank(*s))
		s++;
	while (end > s && is_blank(end[-1]))
		end--;
	if (end - s > (ptrdiff_t)POLICY_MAX_TEXT) {
		read_error(rd, v->at, "%s has %zu bytes; at most %u are allowed", what,
			   (size_t)(end - s), POLICY_MAX_TEXT);
		return NULL;
	}
	if (!*end)
		return s;
	s = arena_strndup(&rd->policy->arena, s, (size_t)(end - s));
	rd->no_memory |= !s;
	return s;
}

const struct hujson_value *read_array(struct reader *rd, const struct hujson_value *v, size_t max,
				      const char *what)
{
	if (is_absent(v))
		return NULL;
	if (!json_is_array(v->json)) {
		if (v->key)
			read_error(rd, v->at, "\"%.60s\" has to be a list in [ ], not %s", v->key,
				   kind_of(v));
		else
			read_error(rd, v->at, "%s has to be a list in [ ], not %s", what,
				   kind_of(v));
		return NULL;
	}
	if (v->n_items > max) {
		read_error(rd, v->at, "%s has %zu entries; at most %zu are allowed", what,
			   v->n_items, max);
		return NULL;
	}
	return v;
}

bool read_object(struct reader *rd, const struct hujson_value *v, const char *what)
{
	if (json_is_object(v->json))
		return true;
	read_error(rd, v->at, "%s has to be an object in { }, not %s", what, kind_of(v));
	return false;
}

void read_bool(struct reader *rd, const struct hujson_value *v, const char *what, bool *target)
{
	if (is_absent(v))
		return;
	if (json_is_boolean(v->json))
		*target = json_is_true(v->json);
	else
		read_error(rd, v->at, "%s has to be true or false, not %s", what, kind_of(v));
}
