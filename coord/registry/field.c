#include "coord/registry/field.h"

#include <errno.h>
#include <string.h>

#include "common/base64.h"
#include "common/text.h"

int fields_write(const struct field *fields, size_t n, const void *record, json_t **ret_object)
{
	json_auto_t *object = json_object();

	if (!object)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		json_t *value = NULL;
		int r = fields[i].type->write((const char *)record + fields[i].offset, &value);

		if (r < 0)
			return r;
		if (value && json_object_set_new(object, fields[i].name, value) < 0)
			return -ENOMEM;
	}
	*ret_object = take_ptr(object);
	return 0;
}

int fields_read(const json_t *v, const struct json_at *at, const struct field *fields, size_t n,
		void *record, struct json_report *rep)
{
	for (size_t i = 0; i < n; i++) {
		const struct json_field field = {
			.name = fields[i].name,
			.read = fields[i].type->read,
			.offset = fields[i].offset,
			.flags = fields[i].flags | JSON_NULLABLE,
		};
		int r = json_read_object(v, at, &field, 1, record, rep);

		if (r < 0)
			return r;
	}
	return 0;
}

static int read_into(const struct record_kind *kind, const void *json, size_t len, void *record,
		     struct json_report *rep)
{
	const struct json_at root = { 0 };
	json_auto_t *document = NULL;
	int r;

	r = json_parse(json, len, rep, &document);
	if (r == 0)
		r = fields_read(document, &root, kind->fields, kind->n_fields, record, rep);
	if (r == 0)
		r = kind->check(record, rep);
	return r;
}

/* Records begin with their head. */
static int set_id(const struct record_kind *kind, const char *key, void *record)
{
	struct record_head *head = record;
	size_t n = strlen(kind->prefix);

	head->id = strdup(strncmp(key, kind->prefix, n) == 0 ? key + n : "");
	return head->id ? 0 : -ENOMEM;
}

int record_read(const struct record_kind *kind, const char *key, const void *json, size_t len,
		char **reterr_text, void *ret_record)
{
	_cleanup_(json_report_done) struct json_report rep = { 0 };
	_cleanup_free_ void *draft = calloc(1, kind->size);
	char *text;
	int r;

	if (!draft)
		return -ENOMEM;
	if (kind->defaults)
		memcpy(draft, kind->defaults, kind->size);
	r = set_id(kind, key, draft);
	if (r == 0)
		r = read_into(kind, json, len, draft, &rep);
	if (r == 0) {
		memcpy(ret_record, draft, kind->size);
		return 0;
	}
	kind->done(draft);
	if (r != -EINVAL)
		return r;
	text = text_printf("%s: %s", key, rep.text);
	if (!text)
		return -ENOMEM;
	*reterr_text = text;
	return -EINVAL;
}

char *record_write(const struct record_kind *kind, const void *record, size_t *ret_len)
{
	json_auto_t *object = NULL;

	json_watch_memory();
	(void)json_lost(); /* of others, before */
	if (fields_write(kind->fields, kind->n_fields, record, &object) < 0)
		return NULL;
	return json_compact(object, ret_len);
}

int record_copy(const struct record_kind *kind, const void *record, void *ret_copy)
{
	const struct record_head *head = record;
	_cleanup_free_ char *key = text_printf("%s%s", kind->prefix, head->id);
	_cleanup_free_ char *json = NULL, *error = NULL;
	size_t len;
	int r;

	json = key ? record_write(kind, record, &len) : NULL;
	if (!json)
		return -ENOMEM;
	r = record_read(kind, key, json, len, &error, ret_copy);
	if (r == 0)
		((struct record_head *)ret_copy)->revision = head->revision;
	return r;
}

bool record_is_hash(const char *id)
{
	uint8_t hash[SHA256_LEN];

	return base64url_decode(id, strlen(id), hash, sizeof(hash)) == 0;
}

bool record_is_id(const char *id, char letter)
{
	return id[0] == letter && strlen(id) == 13 &&
	       strspn(id + 1, "abcdefghijklmnopqrstuvwxyz234567") == 12;
}
