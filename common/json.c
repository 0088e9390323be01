#include "common/json.h"

#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "common/text_stream.h"

/* A report quotes what it refuses; one line of this many bytes is enough to find it. */
#define REPORT_MAX 512

void json_report_done(struct json_report *rep)
{
	free(rep->text);
	rep->text = NULL;
}

static void print_path(FILE *f, const struct json_at *at)
{
	if (!at || !at->parent)
		return;
	print_path(f, at->parent);
	if (!at->key)
		fprintf(f, "[%zu]", at->index);
	else
		fprintf(f, "%s%s", at->parent->parent ? "." : "", at->key);
}

int json_fail(struct json_report *rep, const struct json_at *at, const char *fmt, ...)
{
	_cleanup_free_ char *raw = NULL;
	struct text_stream out;
	va_list ap;

	if (rep->text)
		return -EINVAL;
	if (text_stream_open(&out) < 0)
		return -ENOMEM;
	print_path(out.file, at);
	if (at && at->parent)
		fputs(": ", out.file);
	va_start(ap, fmt);
	vfprintf(out.file, fmt, ap);
	va_end(ap);
	raw = text_stream_close(&out);
	rep->text = raw ? text_sanitize(raw, REPORT_MAX) : NULL;
	return rep->text ? -EINVAL : -ENOMEM;
}

static const char *type_name(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "a whole number";
	case JSON_REAL:
		return "a number with a fraction or an exponent";
	case JSON_TRUE:
	case JSON_FALSE:
		return "true or false";
	case JSON_NULL:
		return "null";
	}
	return "something else";
}

int json_fail_type(struct json_report *rep, const struct json_at *at, const char *wanted,
		   const json_t *value)
{
	return json_fail(rep, at, "expected %s, not %s", wanted, type_name(value));
}

int json_parse(const char *text, size_t len, struct json_report *rep, json_t **ret_value)
{
	json_error_t error;
	int r;

	r = json_load(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error, ret_value);
	if (r == -EINVAL)
		return json_fail(rep, NULL, "line %d column %d: %s", error.line, error.column,
				 error.text);
	return r;
}

char *json_compact(const json_t *value, size_t *ret_len)
{
	size_t len = json_dumpb(value, NULL, 0, JSON_COMPACT);
	_cleanup_free_ char *text = malloc(len + 1);

	/* Not json_dumps(): the name of a member that it cannot store it leaves out. */
	if (json_lost() || len == 0 || !text || json_dumpb(value, text, len, JSON_COMPACT) != len)
		return NULL;
	text[len] = '\0';
	*ret_len = len;
	return take_ptr(text);
}

static int read_field(const json_t *object, const struct json_at *at,
		      const struct json_field *field, void *target, struct json_report *rep)
{
	const struct json_at member = { .parent = at, .key = field->name };
	const json_t *value = json_object_get(object, field->name);

	if (value && json_is_null(value) && (field->flags & JSON_NULLABLE))
		value = NULL;
	if (value)
		return field->read(value, &member, (char *)target + field->offset, rep);
	if (field->flags & JSON_REQUIRED)
		return json_fail(rep, &member, "is missing; it has to be there");
	return 0;
}

int json_read_object(const json_t *value, const struct json_at *at, const struct json_field *fields,
		     size_t n_fields, void *target, struct json_report *rep)
{
	if (!json_is_object(value))
		return json_fail_type(rep, at, "an object", value);
	for (size_t i = 0; i < n_fields; i++) {
		int r = read_field(value, at, &fields[i], target, rep);

		if (r < 0)
			return r;
	}
	return 0;
}

int json_read_array(const json_t *value, const struct json_at *at, size_t max, size_t size,
		    json_read_fn read, void *items, size_t *n_items, struct json_report *rep)
{
	size_t n = json_array_size(value);
	char *memory;

	if (!json_is_array(value))
		return json_fail_type(rep, at, "an array", value);
	if (n > max)
		return json_fail(rep, at, "has %zu elements; at most %zu are allowed", n, max);
	if (n == 0)
		return 0;
	memory = calloc(n, size);
	if (!memory)
		return -ENOMEM;
	memcpy(items, &memory, sizeof(memory));
	for (size_t i = 0; i < n; i++) {
		const struct json_at element = { .parent = at, .index = i };
		int r;

		*n_items = i + 1;
		r = read(json_array_get(value, i), &element, memory + i * size, rep);
		if (r < 0)
			return r;
	}
	return 0;
}

int json_read_string(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	char **string = target, *copy;

	if (!json_is_string(v))
		return json_fail_type(rep, at, "a string", v);
	copy = strdup(json_string_value(v));
	if (!copy)
		return -ENOMEM;
	free(*string);
	*string = copy;
	return 0;
}

int json_read_bool(const json_t *v, const struct json_at *at, void *target, struct json_report *rep)
{
	if (!json_is_boolean(v))
		return json_fail_type(rep, at, "true or false", v);
	*(bool *)target = json_is_true(v);
	return 0;
}

int json_read_u64(const json_t *v, const struct json_at *at, void *target, struct json_report *rep)
{
	if (!json_is_integer(v))
		return json_fail_type(rep, at, "a whole number", v);
	if (json_integer_value(v) < 0)
		return json_fail(rep, at,
				 "%" JSON_INTEGER_FORMAT " is negative; expected 0 or more",
				 json_integer_value(v));
	*(uint64_t *)target = json_integer_value(v);
	return 0;
}

int json_read_time(const json_t *v, const struct json_at *at, void *target, struct json_report *rep)
{
	if (!json_is_string(v))
		return json_fail_type(rep, at, "a time such as \"2026-11-22T10:00:00Z\"", v);
	if (parse_rfc3339(json_string_value(v), target) < 0)
		return json_fail(rep, at,
				 "\"%s\" is no time; expected one such as \"2026-11-22T10:00:00Z\"",
				 json_string_value(v));
	return 0;
}
