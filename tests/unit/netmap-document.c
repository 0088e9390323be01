#include "tests/unit/netmap-document.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/text.h"

json_t *document_load(void)
{
	_cleanup_free_ char *path = text_printf("%s/netmap-full.json", getenv("TEST_DATA"));
	json_t *document = json_load_file(path, 0, NULL);

	assert_non_null(document);
	return document;
}

int document_parse(const json_t *document, char **reterr_text, struct netmap **ret_map)
{
	_cleanup_free_ char *text = json_dumps(document, 0);

	assert_non_null(text);
	return netmap_parse(text, strlen(text), "m.json", reterr_text, ret_map);
}

/* One step of "a.b[2].c": the name, or the index with a NULL name. */
static bool next_step(const char **path, char *name, size_t size, size_t *index)
{
	size_t n;

	if (**path == '\0')
		return false;
	if (**path == '[') {
		char *end;

		*index = strtoul(*path + 1, &end, 10);
		name[0] = '\0';
		*path = end + 1;
	} else {
		n = strcspn(*path, ".[");
		assert_true(n < size);
		memcpy(name, *path, n);
		name[n] = '\0';
		*path += n;
	}
	*path += **path == '.';
	return true;
}

void document_set(json_t *root, const char *path, const char *value_text)
{
	json_t *value = value_text ? json_loads(value_text, JSON_DECODE_ANY, NULL) : NULL;
	json_t *at = root, *next;
	char name[64];
	size_t index = 0;

	if (value_text && !value)
		fail_msg("test case is no JSON: %s", value_text);
	while (next_step(&path, name, sizeof(name), &index)) {
		if (*path) {
			next = name[0] ? json_object_get(at, name) : json_array_get(at, index);
			assert_non_null(next);
			at = next;
		} else if (!value) {
			assert_int_equal(name[0] ? json_object_del(at, name)
						 : json_array_remove(at, index),
					 0);
		} else if (name[0]) {
			json_object_set_new(at, name, value);
		} else if (index == json_array_size(at)) {
			json_array_append_new(at, value);
		} else {
			json_array_set_new(at, index, value);
		}
	}
}
