#include "coord/policy/hujson.h"

#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/text.h"
#include "coord/policy/hujson_blank.h"

struct place hujson_place(const char *text, size_t offset)
{
	struct place at = { .line = 1, .column = 1 };

	for (size_t i = 0; i < offset; i++) {
		if (text[i] == '\n')
			at = (struct place){ .line = at.line + 1, .column = 1 };
		else if (((unsigned char)text[i] & 0xc0) != 0x80)
			at.column++;
	}
	return at;
}

/*
 * The walk in step with jansson's tree. The text is known to be valid JSON by now. Columns are
 * those of the original, where a comment may have characters of several bytes.
 */
struct walk {
	const char *text, *original;
	size_t pos;
	struct place at;	   /* of pos */
	struct hujson_value *next; /* free values */
	const struct hujson_value *end;
};

static void advance(struct walk *w)
{
	unsigned char c = (unsigned char)w->original[w->pos++];

	if (c == '\n')
		w->at = (struct place){ .line = w->at.line + 1, .column = 1 };
	else if ((c & 0xc0) != 0x80)
		w->at.column++;
}

static void skip_to_token(struct walk *w)
{
	while (strchr(" \t\r\n,:", w->text[w->pos]) && w->text[w->pos])
		advance(w);
}

static void skip_string(struct walk *w)
{
	advance(w);
	while (w->text[w->pos] != '"') {
		if (w->text[w->pos] == '\\')
			advance(w);
		advance(w);
	}
	advance(w);
}

static void skip_scalar(struct walk *w)
{
	if (w->text[w->pos] == '"') {
		skip_string(w);
		return;
	}
	while (w->text[w->pos] && !strchr(" \t\r\n,:]}", w->text[w->pos]))
		advance(w);
}

static void place_value(struct walk *w, struct hujson_value *v, const json_t *json);

/* Children lie side by side, so they are reserved before the first of them is walked. */
static struct hujson_value *reserve(struct walk *w, struct hujson_value *v, size_t n)
{
	v->items = w->next;
	v->n_items = n;
	w->next += n;
	return v->items;
}

static void place_members(struct walk *w, struct hujson_value *v)
{
	struct hujson_value *item = reserve(w, v, json_object_size(v->json));
	json_t *object = (json_t *)v->json, *member;
	const char *key;

	advance(w);
	json_object_foreach (object, key, member) {
		skip_to_token(w);
		item->key = key;
		item->key_at = w->at;
		skip_string(w);
		place_value(w, item++, member);
	}
	skip_to_token(w);
	advance(w);
}

static void place_elements(struct walk *w, struct hujson_value *v)
{
	struct hujson_value *item = reserve(w, v, json_array_size(v->json));
	const json_t *element;
	size_t i;

	advance(w);
	json_array_foreach (v->json, i, element)
		place_value(w, item++, element);
	skip_to_token(w);
	advance(w);
}

/* Recursion is bounded by the nesting that blanking let pass. */
static void place_value(struct walk *w, struct hujson_value *v, const json_t *json)
{
	skip_to_token(w);
	v->json = json;
	v->at = w->at;
	if (!v->key)
		v->key_at = w->at;
	if (json_is_object(json))
		place_members(w, v);
	else if (json_is_array(json))
		place_elements(w, v);
	else
		skip_scalar(w);
}

static int place_all(struct hujson *hujson, const char *text, const char *original, size_t n_values)
{
	struct walk w = { .text = text, .original = original, .at = { 1, 1 } };

	hujson->values = calloc(n_values, sizeof(*hujson->values));
	if (!hujson->values)
		return -ENOMEM;
	w.next = hujson->values + 1;
	place_value(&w, hujson->values, hujson->root);
	return 0;
}

/* Where the string begins that ends before pos. */
static size_t string_start(const char *text, size_t pos)
{
	size_t start = pos;

	while (start > 0 && text[start - 1] != '"')
		start--;
	for (start = start ? start - 1 : 0; start > 0; start--)
		if (text[start - 1] == '"' && (start < 2 || text[start - 2] != '\\'))
			return start - 1;
	return pos;
}

/* jansson's message, without the quotation of the text that it ends with. */
static int report_syntax(const char *text, const json_error_t *err,
			 struct policy_problems *problems)
{
	const char *near = strstr(err->text, " near ");
	size_t pos = err->position > 0 ? (size_t)err->position : 0;
	int len = near ? (int)(near - err->text) : (int)strlen(err->text);

	switch (json_error_code(err)) {
	case json_error_duplicate_key:
		return problem_error(problems, hujson_place(text, string_start(text, pos)),
				     "a name occurs twice in one object; keep one of them");
	case json_error_premature_end_of_input:
		return problem_error(
			problems, hujson_place(text, pos),
			"the policy ends too early; a bracket, brace or quote is open");
	case json_error_null_byte_in_key:
	case json_error_null_character:
		return problem_error(problems, hujson_place(text, pos),
				     "a text holds a NUL character; leave it out");
	default:
		return problem_error(problems, hujson_place(text, pos),
				     "this is not JSON with comments: %.*s", len, err->text);
	}
}

int hujson_parse(const char *text, size_t len, const struct hujson_limits *limits,
		 struct policy_problems *problems, struct hujson **ret_hujson)
{
	_cleanup_(hujson_freep) struct hujson *hujson = NULL;
	_cleanup_free_ char *plain = NULL;
	json_error_t err;
	size_t n_values;
	int r;

	r = hujson_blank(text, len, limits, problems, &plain, &n_values);
	if (r < 0)
		return r;
	hujson = calloc(1, sizeof(*hujson));
	if (!hujson)
		return -ENOMEM;
	r = json_load(plain, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &err, &hujson->root);
	if (r < 0)
		return r == -EINVAL ? report_syntax(text, &err, problems) : r;
	r = place_all(hujson, plain, text, n_values);
	if (r < 0)
		return r;
	*ret_hujson = take_ptr(hujson);
	return 0;
}

struct hujson *hujson_free(struct hujson *hujson)
{
	if (!hujson)
		return NULL;
	free(hujson->values);
	json_decref(hujson->root);
	free(hujson);
	return NULL;
}
