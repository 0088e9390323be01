#include "common/cli/value.h"

#include <errno.h>

#include "common/text.h"
#include "common/text_stream.h"

#define SHOWN_MAX 1024 /* bytes of one text */

const char *value_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text && text[0] ? text : "-";
}

uint64_t value_number(const json_t *object, const char *key)
{
	json_int_t number = json_integer_value(json_object_get(object, key));

	return number > 0 ? (uint64_t)number : 0;
}

char *value_shown(const json_t *object, const char *key)
{
	return text_sanitize(value_text(object, key), SHOWN_MAX);
}

static void print_list(FILE *f, const json_t *array, size_t max)
{
	size_t n = json_array_size(array), n_shown = n > max ? max : n;

	for (size_t i = 0; i < n_shown; i++) {
		const char *text = json_string_value(json_array_get(array, i));

		fprintf(f, "%s%s", i > 0 ? ", " : "", text ? text : "?");
	}
	if (n > n_shown)
		fprintf(f, " and %zu more", n - n_shown);
	if (n == 0)
		fputs("-", f);
}

char *value_list(const json_t *array, size_t max)
{
	_cleanup_free_ char *raw = NULL;
	struct text_stream out;

	if (text_stream_open(&out) < 0)
		return NULL;
	print_list(out.file, array, max);
	raw = text_stream_close(&out);
	return raw ? text_sanitize(raw, max * SHOWN_MAX) : NULL;
}
