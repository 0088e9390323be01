#include "agent/link/store.h"

#include <errno.h>
#include <string.h>

#include "common/file.h"
#include "common/json.h"
#include "common/json_values.h"
#include "common/text.h"

#define MAX_BYTES (64u << 10)

static void free_wiped(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

void link_store_done(struct link_store *store)
{
	free(store->url);
	free(store->hostname);
	for (size_t i = 0; i < store->n_tags; i++)
		free(store->tags[i]);
	free(store->tags);
	free_wiped(store->auth_key);
	link_store_forget_node(store, false);
	*store = (struct link_store){ 0 };
}

bool link_store_is_member(const struct link_store *store)
{
	return store->node_id != NULL;
}

void link_store_forget_node(struct link_store *store, bool deleted)
{
	free(store->node_id);
	free(store->node_name);
	free(store->domain);
	store->node_id = store->node_name = store->domain = NULL;
	store->deleted = deleted;
}

static int copy_text(const char *from, char **to)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

static int copy_tags(const struct link_store *store, struct link_store *copy)
{
	copy->tags = calloc(store->n_tags ? store->n_tags : 1, sizeof(char *));
	if (!copy->tags)
		return -ENOMEM;
	for (size_t i = 0; i < store->n_tags; i++)
		if (copy_text(store->tags[i], &copy->tags[copy->n_tags++]) < 0)
			return -ENOMEM;
	return 0;
}

int link_store_copy(const struct link_store *store, struct link_store *ret_copy)
{
	_cleanup_(link_store_done) struct link_store copy = {
		.have_key = store->have_key,
		.coordinator = store->coordinator,
		.up = store->up,
		.ssh = store->ssh,
		.deleted = store->deleted,
	};

	if (copy_text(store->url, &copy.url) < 0 ||
	    copy_text(store->hostname, &copy.hostname) < 0 ||
	    copy_text(store->auth_key, &copy.auth_key) < 0 ||
	    copy_text(store->node_id, &copy.node_id) < 0 ||
	    copy_text(store->node_name, &copy.node_name) < 0 ||
	    copy_text(store->domain, &copy.domain) < 0 || copy_tags(store, &copy) < 0)
		return -ENOMEM;
	*ret_copy = copy;
	copy = (struct link_store){ 0 };
	return 0;
}

/* ---- writing ---- */

static json_t *json_tags(const struct link_store *store)
{
	json_auto_t *tags = json_array();

	for (size_t i = 0; i < store->n_tags; i++)
		if (json_array_append_new(tags, json_string(store->tags[i])) < 0)
			return NULL;
	return take_ptr(tags);
}

static json_t *json_node(const struct link_store *store)
{
	return json_pack("{s:s, s:s, s:s}", "id", store->node_id, "name", store->node_name,
			 "domain", store->domain);
}

char *link_store_format(const struct link_store *store, size_t *ret_len)
{
	char key[ED25519_TEXT_LEN];
	json_auto_t *root = NULL;
	bool member = link_store_is_member(store);

	json_watch_memory();
	(void)json_lost();
	ed25519_public_to_string(ED25519_COORDINATOR, &store->coordinator, key);
	root = json_pack("{s:i, s:s*, s:s*, s:b, s:b, s:s*, s:o, s:s*, s:o*, s:b}", "version", 1,
			 "url", store->url, "coordinator", store->have_key ? key : NULL, "up",
			 store->up, "ssh", store->ssh, "hostname", store->hostname, "tags",
			 json_tags(store), "auth_key", store->auth_key, "node",
			 member ? json_node(store) : NULL, "deleted", store->deleted);
	return root ? json_compact(root, ret_len) : NULL;
}

/* ---- reading ---- */

static int read_version(const json_t *v, const struct json_at *at, void *target,
			struct json_report *rep)
{
	if (json_integer_value(v) != 1)
		return json_fail(rep, at, "is not 1: written by another version of the agent");
	return 0;
}

static int read_key(const json_t *v, const struct json_at *at, void *target,
		    struct json_report *rep)
{
	struct link_store *store = target;
	const char *text = json_string_value(v);

	if (!text ||
	    ed25519_public_parse(ED25519_COORDINATOR, text, strlen(text), &store->coordinator) < 0)
		return json_fail(rep, at, "is no coordinator's key");
	store->have_key = true;
	return 0;
}

static int read_tags(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	struct link_store *store = target;

	return json_read_array(v, at, LINK_MAX_TAGS, sizeof(char *), json_read_string, &store->tags,
			       &store->n_tags, rep);
}

static int read_node(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
#define AT(member) offsetof(struct link_store, member)
	static const struct json_field fields[] = {
		{ "id", json_read_string, AT(node_id), JSON_REQUIRED },
		{ "name", json_read_label, AT(node_name), JSON_REQUIRED },
		{ "domain", json_read_domain, AT(domain), JSON_REQUIRED },
	};

	return json_read_object(v, at, fields, ARRAY_SIZE(fields), target, rep);
}

static const struct json_field store_fields[] = {
	{ "version", read_version, 0, JSON_REQUIRED },
	{ "url", json_read_string, AT(url), JSON_NULLABLE },
	{ "coordinator", read_key, 0, JSON_NULLABLE },
	{ "up", json_read_bool, AT(up), JSON_REQUIRED },
	{ "ssh", json_read_bool, AT(ssh), JSON_REQUIRED },
	{ "hostname", json_read_label, AT(hostname), JSON_NULLABLE },
	{ "tags", read_tags, 0, JSON_NULLABLE },
	{ "auth_key", json_read_string, AT(auth_key), JSON_NULLABLE },
	{ "node", read_node, 0, JSON_NULLABLE },
	{ "deleted", json_read_bool, AT(deleted), JSON_NULLABLE },
};
#undef AT

int link_store_parse(const char *text, size_t len, struct link_store *ret_store, char **reterr_text)
{
	_cleanup_(link_store_done) struct link_store store = { 0 };
	_cleanup_(json_report_done) struct json_report rep = { 0 };
	const struct json_at root = { 0 };
	json_auto_t *document = NULL;
	int r;

	r = json_parse(text, len, &rep, &document);
	if (r == 0)
		r = json_read_object(document, &root, store_fields, ARRAY_SIZE(store_fields),
				     &store, &rep);
	if (r == 0 && link_store_is_member(&store) && (!store.url || !store.have_key)) {
		r = json_fail(&rep, &root, "has a node, but no coordinator");
	}
	if (r < 0) {
		if (r == -EINVAL)
			*reterr_text = take_ptr(rep.text);
		return r;
	}
	*ret_store = store;
	store = (struct link_store){ 0 };
	return 0;
}

/* ---- the file ---- */

int link_store_load(int dirfd, struct link_store *ret_store, char **reterr_text)
{
	_cleanup_free_ char *why = NULL;
	char *text = NULL;
	size_t len;
	int r;

	r = file_read(dirfd, LINK_STORE_FILE, MAX_BYTES, &text, &len);
	if (r == -ENOENT) {
		*ret_store = (struct link_store){ 0 };
		return 0;
	}
	if (r == 0) {
		r = link_store_parse(text, len, ret_store, &why);
		explicit_bzero(text, len);
		free(text);
	}
	if (r < 0)
		*reterr_text = text_printf("%s: %s (remove the file to enrol this host anew)",
					   LINK_STORE_FILE, why ? why : strerror(-r));
	return r;
}

int link_store_save(int dirfd, const struct link_store *store)
{
	size_t len;
	char *text = link_store_format(store, &len);
	int r;

	if (!text)
		return -ENOMEM;
	r = file_write_atomic(dirfd, LINK_STORE_FILE, text, len, 0600);
	free_wiped(text);
	return r;
}
