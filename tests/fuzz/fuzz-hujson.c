/* HuJSON from anywhere: every value lies where the tree says, every refusal names a place. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "coord/policy/hujson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct hujson_limits limits = {
	.max_bytes = 1u << 20,
	.max_values = 10000,
	.max_depth = 12,
};

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* The byte at a place. */
static char at(const char *text, size_t len, struct place place)
{
	unsigned line = 1, column = 1;

	for (size_t i = 0; i < len; i++) {
		if (line == place.line && column == place.column &&
		    ((uint8_t)text[i] & 0xc0) != 0x80)
			return text[i];
		if (text[i] == '\n') {
			line++;
			column = 1;
		} else if (((uint8_t)text[i] & 0xc0) != 0x80) {
			column++;
		}
	}
	return '\0';
}

static const char *beginnings(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "{";
	case JSON_ARRAY:
		return "[";
	case JSON_STRING:
		return "\"";
	case JSON_INTEGER:
	case JSON_REAL:
		return "-0123456789";
	case JSON_TRUE:
		return "t";
	case JSON_FALSE:
		return "f";
	case JSON_NULL:
		return "n";
	}
	return "";
}

static void check_value(const char *text, size_t len, const struct hujson_value *v, unsigned depth)
{
	char c = at(text, len, v->at);

	require(depth <= limits.max_depth);
	require(c && strchr(beginnings(v->json), c));
	require(!v->key || at(text, len, v->key_at) == '"');
	require(json_is_object(v->json) || json_is_array(v->json) || !v->n_items);
	for (size_t i = 0; i < v->n_items; i++) {
		require(!v->items[i].key == json_is_array(v->json));
		check_value(text, len, &v->items[i], depth + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(policy_problems_done) struct policy_problems problems = { 0 };
	_cleanup_(hujson_freep) struct hujson *doc = NULL;
	int r = hujson_parse((const char *)data, size, &limits, &problems, &doc);

	require((r == 0) == (doc != NULL));
	require(problems.n == (r < 0));
	if (r < 0)
		require(problems.items[0].line > 0 && !text_has_control(problems.items[0].text));
	else if (size <= 2000) /* looking places up one by one is slow */
		check_value((const char *)data, size, &doc->values[0], 0);
	return 0;
}
