/* From the text of a full map to a struct netmap: the outer objects, by tables. */
#include <errno.h>
#include <string.h>

#include "agent/netmap/index.h"
#include "agent/netmap/read.h"
#include "common/text.h"

/* What the document says about itself. */
struct document {
	char *type;
	uint64_t version;
};

static int read_peers(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	struct netmap *map = target;

	return json_read_array(v, at, NETMAP_MAX_PEERS, sizeof(struct netmap_node),
			       netmap_read_peer, &map->peers, &map->n_peers, rep);
}

static int read_prefixes(const json_t *v, const struct json_at *at, void *target,
			 struct json_report *rep)
{
	struct netmap *map = target;

	return json_read_array(v, at, NETMAP_MAX_PREFIXES, sizeof(struct ip_prefix),
			       json_read_prefix, &map->prefixes, &map->n_prefixes, rep);
}

int netmap_read_mesh(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	static const struct json_field fields[] = {
		{ "domain", json_read_domain, offsetof(struct netmap, domain), JSON_REQUIRED },
		{ "prefixes", read_prefixes, 0, JSON_REQUIRED },
	};

	return json_read_object(v, at, fields, ARRAY_SIZE(fields), target, rep);
}

static int read_user(const json_t *v, const struct json_at *at, const char *login,
		     struct netmap_user *user, struct json_report *rep)
{
	static const struct json_field fields[] = {
		{ "name", netmap_read_text, offsetof(struct netmap_user, name), JSON_NULLABLE },
	};
	int r = netmap_check_word(login, at, rep);

	if (r < 0)
		return r;
	user->login = strdup(login);
	if (!user->login)
		return -ENOMEM;
	return json_read_object(v, at, fields, ARRAY_SIZE(fields), user, rep);
}

/* Names for display: a login that is missing here costs its owner nothing but the name. */
int netmap_read_users(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	struct netmap *map = target;
	size_t n = json_object_size(v);
	const char *login;
	json_t *user;

	if (!json_is_object(v))
		return json_fail_type(rep, at, "an object", v);
	if (n > NETMAP_MAX_PEERS)
		return json_fail(rep, at, "has %zu users; at most %u are allowed", n,
				 NETMAP_MAX_PEERS);
	map->users = calloc(n ? n : 1, sizeof(*map->users));
	if (!map->users)
		return -ENOMEM;
	json_object_foreach ((json_t *)v, login, user) {
		const struct json_at member = { .parent = at, .key = login };
		int r = read_user(user, &member, login, &map->users[map->n_users++], rep);

		if (r < 0)
			return r;
	}
	netmap_sort_users(map);
	return 0;
}

int netmap_read_tokens(const json_t *v, const struct json_at *at, void *target,
		       struct json_report *rep)
{
	static const struct json_field fields[] = {
		{ "policy", netmap_read_word, offsetof(struct netmap_tokens, policy),
		  JSON_NULLABLE },
		{ "filter", netmap_read_word, offsetof(struct netmap_tokens, filter),
		  JSON_NULLABLE },
		{ "ssh", netmap_read_word, offsetof(struct netmap_tokens, ssh), JSON_NULLABLE },
	};
	struct netmap *map = target;

	return json_read_object(v, at, fields, ARRAY_SIZE(fields), &map->tokens, rep);
}

/* The kind of document first: all other complaints would be misleading. */
static int check_kind(const json_t *v, const struct json_at *at, struct json_report *rep)
{
	static const struct json_field fields[] = {
		{ "type", json_read_string, offsetof(struct document, type), JSON_REQUIRED },
		{ "version", json_read_u64, offsetof(struct document, version), JSON_REQUIRED },
	};
	const struct json_at type_at = { .parent = at, .key = "type" };
	const struct json_at version_at = { .parent = at, .key = "version" };
	struct document doc = { 0 };
	_cleanup_free_ char *type = NULL;
	int r;

	r = json_read_object(v, at, fields, ARRAY_SIZE(fields), &doc, rep);
	type = doc.type;
	if (r < 0)
		return r;
	if (strcmp(type, "full") != 0)
		return json_fail(rep, &type_at, "\"%s\" is no whole map; expected \"full\"", type);
	if (doc.version != 1)
		return json_fail(rep, &version_at,
				 "%llu needs a newer agent; this one understands version 1",
				 (unsigned long long)doc.version);
	return 0;
}

#define AT(member) offsetof(struct netmap, member)
static const struct json_field map_fields[] = {
	{ "for", netmap_read_id, AT(for_node), JSON_REQUIRED },
	{ "generation", json_read_u64, AT(generation), JSON_REQUIRED },
	{ "issued_at", json_read_time, AT(issued_at), JSON_NULLABLE },
	{ "self", netmap_read_self, 0, JSON_REQUIRED },
	{ "mesh", netmap_read_mesh, 0, JSON_REQUIRED },
	{ "users", netmap_read_users, 0, JSON_NULLABLE },
	{ "peers", read_peers, 0, JSON_REQUIRED },
	{ "packet_filter", netmap_read_filter, 0, JSON_REQUIRED },
	{ "ssh_rules", netmap_read_ssh_rules, 0, JSON_REQUIRED },
	{ "tokens", netmap_read_tokens, 0, JSON_NULLABLE },
};
#undef AT

static int read_document(const json_t *document, struct netmap *map, struct json_report *rep)
{
	const struct json_at root = { 0 };
	int r;

	r = check_kind(document, &root, rep);
	if (r == 0)
		r = json_read_object(document, &root, map_fields, ARRAY_SIZE(map_fields), map, rep);
	return r < 0 ? r : netmap_check(map, NULL, rep);
}

int netmap_report(int error, const char *source, const struct json_report *rep, char **reterr_text)
{
	char *text = NULL;

	if (!rep->text)
		return error;
	text = text_printf("%s: %s", source, rep->text);
	if (!text)
		return -ENOMEM;
	*reterr_text = text;
	return error;
}

int netmap_from_json(const json_t *document, const char *source, char **reterr_text,
		     struct netmap **ret_map)
{
	_cleanup_(json_report_done) struct json_report rep = { 0 };
	_cleanup_(netmap_freep) struct netmap *map = NULL;
	int r;

	r = netmap_new(&map);
	if (r == 0)
		r = read_document(document, map, &rep);
	if (r < 0)
		return netmap_report(r, source, &rep, reterr_text);
	r = netmap_finish(map, 0);
	if (r < 0)
		return r;
	*ret_map = take_ptr(map);
	return 0;
}

int netmap_load_json(const char *text, size_t len, const char *source, char **reterr_text,
		     json_t **ret_document)
{
	_cleanup_(json_report_done) struct json_report rep = { 0 };
	int r;

	if (len > NETMAP_MAX_BYTES)
		r = json_fail(&rep, NULL, "the map is larger than %u MiB", NETMAP_MAX_BYTES >> 20);
	else
		r = json_parse(text, len, &rep, ret_document);
	return r < 0 ? netmap_report(r, source, &rep, reterr_text) : 0;
}

int netmap_parse(const char *text, size_t len, const char *source, char **reterr_text,
		 struct netmap **ret_map)
{
	json_auto_t *document = NULL;
	int r = netmap_load_json(text, len, source, reterr_text, &document);

	return r < 0 ? r : netmap_from_json(document, source, reterr_text, ret_map);
}
