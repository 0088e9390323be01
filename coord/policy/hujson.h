/*
 * HuJSON (JSON with comments and trailing commas) as a tree that knows its places.
 *
 * Comments and trailing commas are blanked to spaces, so that every byte keeps its place; jansson
 * parses the rest and owns the strings. A second walk over the text, in step with jansson's tree,
 * finds where each value begins.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "coord/policy/problem.h"

struct hujson_value {
	const json_t *json;
	const char *key;     /* of the member that this is; NULL: array element, or the root */
	struct place at;     /* where the value begins */
	struct place key_at; /* where the key begins; the value's place if there is none */
	struct hujson_value *items; /* array elements or object members, in the order of the text */
	size_t n_items;
};

struct hujson {
	json_t *root;
	struct hujson_value *values; /* all of them; values[0] is the root */
};

/*
 * Parse. Refused: text beyond max_bytes, nesting beyond max_depth, more than max_values values,
 * duplicate keys, NUL. Return: 0, -EINVAL (one error added), -ENOMEM.
 */
struct hujson_limits {
	size_t max_bytes, max_values;
	unsigned max_depth;
};
int hujson_parse(const char *text, size_t len, const struct hujson_limits *limits,
		 struct policy_problems *problems, struct hujson **ret_hujson);
struct hujson *hujson_free(struct hujson *hujson);
DEFINE_CLEANUP(struct hujson *, hujson_free);

/* Place of a byte of the text. */
struct place hujson_place(const char *text, size_t offset);
