#include "coord/map/network.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "coord/map/world.h"
#include "coord/policy/hujson.h"
#include "coord/policy/text.h"

static int hash_text(struct policy_text *text, struct map_hash *ret_hash)
{
	return text->failed ? -ENOMEM : map_hash_make(text->data, text->len, ret_hash);
}

static int dump_network_part(const json_t *policy, char **ret_text)
{
	static const char *const others[] = { "ssh", "tests", "sshTests" };
	json_auto_t *part = json_copy((json_t *)policy);

	if (!part)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		json_object_del(part, others[i]);
	*ret_text = json_dumps(part, JSON_COMPACT | JSON_SORT_KEYS);
	return *ret_text ? 0 : -ENOMEM;
}

int network_part_hash(const char *text, size_t len, struct map_hash *ret_hash)
{
	static const struct hujson_limits limits = { POLICY_MAX_BYTES, POLICY_MAX_VALUES,
						     POLICY_MAX_DEPTH };
	_cleanup_(policy_problems_done) struct policy_problems problems = { 0 };
	_cleanup_(hujson_freep) struct hujson *hujson = NULL;
	_cleanup_free_ char *part = NULL;
	int r = hujson_parse(text, len, &limits, &problems, &hujson);

	if (r == 0)
		r = dump_network_part(hujson->root, &part);
	return r < 0 ? r : map_hash_make(part, strlen(part), ret_hash);
}

static int compare_users(const void *a, const void *b)
{
	const struct world_user *const *x = a, *const *y = b;

	return strcmp((*x)->login, (*y)->login);
}

static int add_people(const struct world *w, struct policy_text *text)
{
	_cleanup_free_ const struct world_user **users = calloc(w->n_users + 1, sizeof(*users));
	size_t n = 0;

	if (!users)
		return -ENOMEM;
	for (size_t i = 0; i < w->n_users; i++)
		if (w->users[i].roles || w->users[i].groups.n > 0)
			users[n++] = &w->users[i];
	qsort(users, n, sizeof(*users), compare_users);
	for (size_t i = 0; i < n; i++) {
		policy_text_printf(text, "%s %u", users[i]->login, users[i]->roles);
		for (size_t k = 0; k < users[i]->groups.n; k++)
			policy_text_printf(text, "\n%s", users[i]->groups.items[k]);
		policy_text_puts(text, "\n");
	}
	return 0;
}

int network_base_hash(const struct world *w, const struct map_hash *part, struct map_hash *ret_hash)
{
	_cleanup_(policy_text_done) struct policy_text text = { 0 };
	char hash[MAP_HASH_SIZE], v4[IP_PREFIX_STRLEN], v6[IP_PREFIX_STRLEN];

	policy_text_printf(&text, "%s %s %s %s\n", map_hash_to_string(part, hash), w->domain,
			   ip_prefix_to_string(&w->prefixes[0], v4),
			   ip_prefix_to_string(&w->prefixes[1], v6));
	if (add_people(w, &text) < 0)
		return -ENOMEM;
	return hash_text(&text, ret_hash);
}

int network_node_hash(const struct world *w, const struct policy_node *node,
		      struct map_hash *ret_hash)
{
	_cleanup_(policy_text_done) struct policy_text text = { 0 };
	char buf[IP_ADDR_STRLEN];

	policy_text_append(&text, (const char *)w->base.bytes, sizeof(w->base.bytes));
	policy_text_printf(&text, "%s %s", node->name, node->user ? node->user : "");
	for (size_t i = 0; i < node->n_tags; i++)
		policy_text_printf(&text, " %s", node->tags[i]);
	for (size_t i = 0; i < node->n_addresses; i++)
		policy_text_printf(&text, " %s", ip_addr_to_string(&node->addresses[i], buf));
	return hash_text(&text, ret_hash);
}
