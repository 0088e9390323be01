/*
 * Printed directly, not by way of JSON values: it is done at every change of the map, and a map of
 * 10,000 peers has some hundred thousand of them.
 */
#include "agent/netmap/json.h"

#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "common/text_stream.h"

#define USEC_PER_SEC 1000000u
/* RFC 3339 has four digits for the year. */
#define LAST_SECOND UINT64_C(253402300799)

/* ---- values ---- */

/* RFC 8259, section 7. The text is UTF-8: the parser has seen to that. */
static void put_text(FILE *f, const char *text)
{
	putc_unlocked('"', f);
	for (; *text; text++) {
		size_t plain = strcspn(text, "\"\\\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r"
					     "\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a"
					     "\x1b\x1c\x1d\x1e\x1f");

		fwrite_unlocked(text, 1, plain, f);
		text += plain;
		if (!*text)
			break;
		if ((unsigned char)*text < ' ')
			fprintf(f, "\\u%04x", *text);
		else
			fprintf(f, "\\%c", *text);
	}
	putc_unlocked('"', f);
}

/* Of characters that need no escape. */
static void put_plain(FILE *f, const char *text)
{
	putc_unlocked('"', f);
	fputs_unlocked(text, f);
	putc_unlocked('"', f);
}

static void put_text_or_null(FILE *f, const char *text)
{
	if (text)
		put_text(f, text);
	else
		fputs_unlocked("null", f);
}

static void put_bool(FILE *f, bool value)
{
	fputs_unlocked(value ? "true" : "false", f);
}

/* null: no end. Fractions of a second are kept: an expiry must not move. */
static void put_time(FILE *f, uint64_t usec)
{
	char text[32];

	if (usec == UINT64_MAX) {
		fputs_unlocked("null", f);
		return;
	}
	if (usec / USEC_PER_SEC > LAST_SECOND)
		usec = LAST_SECOND * USEC_PER_SEC;
	format_rfc3339(usec, text, sizeof(text));
	if (usec % USEC_PER_SEC != 0)
		snprintf(strchr(text, 'Z'), 9, ".%06uZ", (unsigned)(usec % USEC_PER_SEC));
	put_text(f, text);
}

/* As the parser takes it; null: no limit. */
static void put_limit(FILE *f, uint64_t usec)
{
	if (usec == 0)
		fputs_unlocked("null", f);
	else
		fprintf(f, "\"%llums\"", (unsigned long long)usec / 1000);
}

static void put_address(FILE *f, const struct ip_addr *addr)
{
	char text[IP_ADDR_STRLEN];

	put_plain(f, ip_addr_to_string(addr, text));
}

static void put_prefix(FILE *f, const struct ip_prefix *prefix)
{
	char text[IP_PREFIX_STRLEN];

	put_plain(f, ip_prefix_to_string(prefix, text));
}

static void put_endpoint(FILE *f, const struct ip_endpoint *endpoint)
{
	char text[IP_ENDPOINT_STRLEN];

	put_plain(f, ip_endpoint_to_string(endpoint, text));
}

/* ,"key": and, of arrays, the bracket; elements are separated by next(). */
static void begin(FILE *f, const char *key, const char *bracket)
{
	putc_unlocked(',', f);
	put_plain(f, key);
	putc_unlocked(':', f);
	fputs_unlocked(bracket, f);
}

static void next(FILE *f, size_t i)
{
	if (i > 0)
		putc_unlocked(',', f);
}

static void put_member(FILE *f, const char *key, const char *text)
{
	begin(f, key, "");
	put_text_or_null(f, text);
}

static void put_time_member(FILE *f, const char *key, uint64_t usec)
{
	begin(f, key, "");
	put_time(f, usec);
}

static void put_bool_member(FILE *f, const char *key, bool value)
{
	begin(f, key, "");
	put_bool(f, value);
}

static void put_texts(FILE *f, const char *key, char *const *texts, size_t n)
{
	begin(f, key, "[");
	for (size_t i = 0; i < n; i++) {
		next(f, i);
		put_text(f, texts[i]);
	}
	putc_unlocked(']', f);
}

static void put_prefixes(FILE *f, const char *key, const struct ip_prefix *prefixes, size_t n)
{
	begin(f, key, "[");
	for (size_t i = 0; i < n; i++) {
		next(f, i);
		put_prefix(f, &prefixes[i]);
	}
	putc_unlocked(']', f);
}

/* ---- nodes ---- */

/* What self and peers have alike; the object stays open. */
static void put_node(FILE *f, const struct netmap_node *node)
{
	fputs_unlocked("{\"id\":", f);
	put_text(f, node->id);
	put_member(f, "name", node->name);
	begin(f, "addresses", "[");
	for (size_t i = 0; i < node->n_addresses; i++) {
		next(f, i);
		put_address(f, &node->addresses[i]);
	}
	putc_unlocked(']', f);
	put_member(f, "user", node->user);
	put_texts(f, "tags", node->tags, node->n_tags);
	put_prefixes(f, "routes", node->routes, node->n_routes);
	put_time_member(f, "key_expiry", node->key_expiry);
}

static void put_peer_node(FILE *f, const struct netmap_node *peer)
{
	char key[WG_KEY_B64LEN];

	put_node(f, peer);
	put_member(f, "node_key", wg_key_to_string(&peer->key, key));
	begin(f, "endpoints", "[");
	for (size_t k = 0; k < peer->n_endpoints; k++) {
		next(f, k);
		put_endpoint(f, &peer->endpoints[k]);
	}
	fprintf(f, "],\"keepalive\":%u", peer->keepalive);
	put_texts(f, "ssh_host_keys", peer->ssh_host_keys, peer->n_ssh_host_keys);
	if (peer->presence != NETMAP_PRESENCE_UNKNOWN)
		put_bool_member(f, "online", peer->presence == NETMAP_ONLINE);
	if (peer->no_path) {
		put_member(f, "path", "none");
		put_member(f, "path_reason", peer->path_reason);
	}
	putc_unlocked('}', f);
}

/* The object stays open. */
static void put_self(FILE *f, const struct netmap_node *self)
{
	char key[WG_KEY_B64LEN];

	put_node(f, self);
	put_bool_member(f, "ssh", self->ssh);
	if (!wg_key_is_zero(&self->key))
		put_member(f, "node_key", wg_key_to_string(&self->key, key));
	if (self->key_expired)
		put_bool_member(f, "key_expired", true);
	if (!self->login_url)
		return;
	begin(f, "login", "{\"url\":");
	put_text(f, self->login_url);
	putc_unlocked('}', f);
}

static void put_peer(FILE *f, const struct netmap *map, size_t i)
{
	put_peer_node(f, &map->peers[i]);
}

/* ---- rules ---- */

static void put_filter_rule(FILE *f, const struct netmap *map, size_t i)
{
	const struct filter_rule *rule = &map->filter[i];

	fputs_unlocked("{\"origin\":", f);
	put_text_or_null(f, rule->origin);
	put_prefixes(f, "src", rule->src, rule->n_src);
	begin(f, "dst", "[");
	for (size_t k = 0; k < rule->n_dst; k++) {
		next(f, k);
		fputs_unlocked("{\"ip\":", f);
		put_prefix(f, &rule->dst[k].prefix);
		fprintf(f, ",\"ports\":[%u,%u]}", rule->dst[k].ports.first,
			rule->dst[k].ports.last);
	}
	fputs_unlocked("],\"proto\":[", f);
	for (size_t k = 0; k < rule->n_proto; k++) {
		next(f, k);
		fprintf(f, "%u", rule->proto[k]);
	}
	fputs_unlocked("]}", f);
}

static void put_principals(FILE *f, const struct ssh_rule *rule)
{
	begin(f, "principals", "[");
	for (size_t i = 0; i < rule->n_principals; i++) {
		next(f, i);
		put_address(f, &rule->principals[i]);
	}
	if (rule->any) {
		next(f, rule->n_principals);
		put_text(f, "*");
	}
	putc_unlocked(']', f);
}

static void put_users(FILE *f, const struct ssh_rule *rule)
{
	begin(f, "users", "{");
	for (size_t i = 0; i < rule->n_users; i++) {
		next(f, i);
		put_text(f, rule->users[i].ssh_user);
		putc_unlocked(':', f);
		put_text(f, rule->users[i].local_user);
	}
	putc_unlocked('}', f);
}

static void put_forwarding(FILE *f, const struct ssh_forwarding *fwd)
{
	begin(f, "forwarding", "{\"agent\":");
	put_bool(f, fwd->agent);
	put_bool_member(f, "local", fwd->local);
	put_bool_member(f, "remote", fwd->remote);
	putc_unlocked('}', f);
}

static void put_ssh_rule(FILE *f, const struct netmap *map, size_t i)
{
	const struct ssh_rule *rule = &map->ssh_rules[i];

	fputs_unlocked("{\"origin\":", f);
	put_text_or_null(f, rule->origin);
	put_principals(f, rule);
	put_users(f, rule);
	put_member(f, "action", rule->action_text);
	put_texts(f, "accept_env", rule->accept_env, rule->n_accept_env);
	put_time_member(f, "rule_expires", rule->rule_expires);
	put_member(f, "check_period", rule->check_period);
	put_forwarding(f, &rule->forwarding);
	put_member(f, "force_command", rule->force_command);
	begin(f, "idle_timeout", "");
	put_limit(f, rule->idle_timeout_usec);
	begin(f, "max_duration", "");
	put_limit(f, rule->max_duration_usec);
	put_member(f, "message", rule->message);
	put_bool_member(f, "enforce_recorder", rule->needs_recorder);
	putc_unlocked('}', f);
}

/* ---- the document ---- */

/* One line for each element. */
static void put_list(FILE *f, const char *key, const struct netmap *map, size_t n,
		     void (*put)(FILE *f, const struct netmap *map, size_t i))
{
	begin(f, key, "[");
	for (size_t i = 0; i < n; i++) {
		next(f, i);
		putc_unlocked('\n', f);
		put(f, map, i);
	}
	putc_unlocked(']', f);
}

static void put_user_names(FILE *f, const struct netmap *map)
{
	begin(f, "users", "{");
	for (size_t i = 0; i < map->n_users; i++) {
		next(f, i);
		put_text(f, map->users[i].login);
		fputs_unlocked(":{\"name\":", f);
		put_text_or_null(f, map->users[i].name);
		putc_unlocked('}', f);
	}
	putc_unlocked('}', f);
}

static void put_tokens(FILE *f, const struct netmap_tokens *tokens)
{
	if (!tokens->policy && !tokens->filter && !tokens->ssh)
		return;
	begin(f, "tokens", "{\"policy\":");
	put_text_or_null(f, tokens->policy);
	put_member(f, "filter", tokens->filter);
	put_member(f, "ssh", tokens->ssh);
	putc_unlocked('}', f);
}

static void put_map(FILE *f, const struct netmap *map)
{
	fputs_unlocked("{\"type\":\"full\",\"version\":1", f);
	put_member(f, "for", map->for_node);
	fprintf(f, ",\"generation\":%llu", (unsigned long long)map->generation);
	put_time_member(f, "issued_at", map->issued_at);
	put_tokens(f, &map->tokens);
	fputs_unlocked(",\n\"self\":", f);
	put_self(f, &map->self);
	fputs_unlocked("},\n\"mesh\":{\"domain\":", f);
	put_text(f, map->domain);
	put_prefixes(f, "prefixes", map->prefixes, map->n_prefixes);
	putc_unlocked('}', f);
	put_user_names(f, map);
	put_list(f, "peers", map, map->n_peers, put_peer);
	put_list(f, "packet_filter", map, map->n_filter, put_filter_rule);
	put_list(f, "ssh_rules", map, map->n_ssh_rules, put_ssh_rule);
	fputs_unlocked("}\n", f);
}

static int finish(struct text_stream *out, char **ret_text, size_t *ret_len)
{
	char *text = text_stream_close(out);

	if (!text)
		return -ENOMEM;
	*ret_len = strlen(text);
	*ret_text = text;
	return 0;
}

int netmap_to_json(const struct netmap *map, char **ret_text, size_t *ret_len)
{
	struct text_stream out;

	if (text_stream_open(&out) < 0)
		return -ENOMEM;
	put_map(out.file, map);
	return finish(&out, ret_text, ret_len);
}

int netmap_peer_to_json(const struct netmap_node *peer, char **ret_text, size_t *ret_len)
{
	struct text_stream out;

	if (text_stream_open(&out) < 0)
		return -ENOMEM;
	put_peer_node(out.file, peer);
	return finish(&out, ret_text, ret_len);
}
