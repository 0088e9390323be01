/* Fields that are text, and lists of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_values.h"
#include "coord/registry/field.h"
#include "coord/registry/names.h"

static int refuse(struct json_report *rep, const struct json_at *at, const char *text,
		  const char *problem)
{
	return json_fail(rep, at, "\"%.80s\" %s", text, problem);
}

/* NULL is left out. What is no UTF-8 cannot be written, like what there is no memory for. */
static int write_text(const void *field, json_t **ret_value)
{
	const char *text = *(char *const *)field;

	if (!text)
		return 0;
	*ret_value = json_string(text);
	return *ret_value ? 0 : -ENOMEM;
}

static int read_checked(const json_t *v, const struct json_at *at, void *target,
			struct json_report *rep, const char *(*problem)(const char *text))
{
	int r = json_read_string(v, at, target, rep);
	const char *wrong;

	if (r < 0)
		return r;
	wrong = problem(*(char **)target);
	return wrong ? refuse(rep, at, *(char **)target, wrong) : 0;
}

static const char *short_text_problem(const char *text)
{
	return text_problem(text, RECORD_MAX_TEXT);
}

static const char *long_text_problem(const char *text)
{
	return text_problem(text, RECORD_MAX_DETAILS);
}

static const char *name_problem(const char *name)
{
	size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-");

	return n > 0 && n <= 64 && name[n] == '\0'
		       ? NULL
		       : "is no id; expected 1 to 64 letters, digits and hyphens";
}

static int read_short_text(const json_t *v, const struct json_at *at, void *target,
			   struct json_report *rep)
{
	return read_checked(v, at, target, rep, short_text_problem);
}

static int read_long_text(const json_t *v, const struct json_at *at, void *target,
			  struct json_report *rep)
{
	return read_checked(v, at, target, rep, long_text_problem);
}

static int read_name(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	return read_checked(v, at, target, rep, name_problem);
}

static int read_label(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	return read_checked(v, at, target, rep, label_problem);
}

static int read_domain(const json_t *v, const struct json_at *at, void *target,
		       struct json_report *rep)
{
	return read_checked(v, at, target, rep, domain_problem);
}

static int read_login(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	return read_checked(v, at, target, rep, login_problem);
}

static int read_tag(const json_t *v, const struct json_at *at, void *target,
		    struct json_report *rep)
{
	return read_checked(v, at, target, rep, tag_problem);
}

static int write_list(const void *field, json_t **ret_value)
{
	const struct text_list *list = field;
	json_auto_t *array = NULL;

	if (list->n == 0)
		return 0;
	array = json_array();
	if (!array)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++)
		if (json_array_append_new(array, json_string(list->items[i])) < 0)
			return -ENOMEM;
	*ret_value = take_ptr(array);
	return 0;
}

/* what: "tag", ...: one of them. */
static int read_sorted(const json_t *v, const struct json_at *at, size_t max, json_read_fn read,
		       const char *what, struct text_list *list, struct json_report *rep)
{
	int r = json_read_array(v, at, max, sizeof(char *), read, &list->items, &list->n, rep);

	if (r < 0)
		return r;
	for (size_t i = 1; i < list->n; i++)
		if (strcmp(list->items[i - 1], list->items[i]) >= 0)
			return json_fail(rep, at, "is not sorted; expected each %s once, sorted",
					 what);
	return 0;
}

static int read_tags(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	return read_sorted(v, at, RECORD_MAX_TAGS, read_tag, "tag", target, rep);
}

static int read_groups(const json_t *v, const struct json_at *at, void *target,
		       struct json_report *rep)
{
	return read_sorted(v, at, RECORD_MAX_GROUPS, read_short_text, "group", target, rep);
}

/* Nothing of a secret is repeated in what is reported. */
static int read_secret(const json_t *v, const struct json_at *at, void *target,
		       struct json_report *rep, const char *(*problem)(const char *text))
{
	int r = json_read_string(v, at, target, rep);
	const char *wrong;

	if (r < 0)
		return r;
	wrong = problem(*(char **)target);
	return wrong ? json_fail(rep, at, "%s", wrong) : 0;
}

static int read_crypt(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	return read_secret(v, at, target, rep, crypt_problem);
}

static int read_totp(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	return read_secret(v, at, target, rep, totp_problem);
}

static int read_host_keys(const json_t *v, const struct json_at *at, void *target,
			  struct json_report *rep)
{
	struct text_list *list = target;

	return json_read_array(v, at, RECORD_MAX_HOST_KEYS, sizeof(char *), json_read_host_key,
			       &list->items, &list->n, rep);
}

const struct field_type field_text = { read_short_text, write_text };
const struct field_type field_long_text = { read_long_text, write_text };
const struct field_type field_name = { read_name, write_text };
const struct field_type field_label = { read_label, write_text };
const struct field_type field_domain = { read_domain, write_text };
const struct field_type field_login = { read_login, write_text };
const struct field_type field_tags = { read_tags, write_list };
const struct field_type field_host_keys = { read_host_keys, write_list };
const struct field_type field_groups = { read_groups, write_list };
const struct field_type field_crypt = { read_crypt, write_text };
const struct field_type field_totp = { read_totp, write_text };

/* ---- lists in memory ---- */

void text_list_done(struct text_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct text_list){ 0 };
}

int text_list_copy(const struct text_list *list, struct text_list *ret_copy)
{
	struct text_list copy = { 0 };

	if (list->n > 0) {
		copy.items = calloc(list->n, sizeof(*copy.items));
		if (!copy.items)
			return -ENOMEM;
	}
	for (; copy.n < list->n; copy.n++) {
		copy.items[copy.n] = strdup(list->items[copy.n]);
		if (!copy.items[copy.n]) {
			text_list_done(&copy);
			return -ENOMEM;
		}
	}
	*ret_copy = copy;
	return 0;
}

bool text_list_equal(const struct text_list *a, const struct text_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

bool text_list_has(const struct text_list *list, const char *text)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->items[i], text) == 0)
			return true;
	return false;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void text_list_sort(struct text_list *list)
{
	size_t n = 0;

	if (list->n == 0)
		return;
	qsort(list->items, list->n, sizeof(*list->items), compare_texts);
	for (size_t i = 0; i < list->n; i++) {
		if (n > 0 && strcmp(list->items[n - 1], list->items[i]) == 0)
			free(list->items[i]);
		else
			list->items[n++] = list->items[i];
	}
	list->n = n;
}
