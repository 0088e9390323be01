#include "tests/unit/netmap-same.h"

#include <string.h>

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : !a && !b;
}

static bool same_texts(char *const *a, size_t n_a, char *const *b, size_t n_b)
{
	for (size_t i = 0; i < n_a && i < n_b; i++)
		if (!same_text(a[i], b[i]))
			return false;
	return n_a == n_b;
}

static bool same_addresses(const struct ip_addr *a, size_t n_a, const struct ip_addr *b, size_t n_b)
{
	for (size_t i = 0; i < n_a && i < n_b; i++)
		if (!ip_addr_equal(&a[i], &b[i]))
			return false;
	return n_a == n_b;
}

static bool same_prefixes(const struct ip_prefix *a, size_t n_a, const struct ip_prefix *b,
			  size_t n_b)
{
	for (size_t i = 0; i < n_a && i < n_b; i++)
		if (ip_prefix_compare(&a[i], &b[i]) != 0)
			return false;
	return n_a == n_b;
}

static bool same_endpoints(const struct netmap_node *a, const struct netmap_node *b)
{
	for (size_t i = 0; i < a->n_endpoints && i < b->n_endpoints; i++)
		if (!ip_endpoint_equal(&a->endpoints[i], &b->endpoints[i]))
			return false;
	return a->n_endpoints == b->n_endpoints;
}

static bool same_node(const struct netmap_node *a, const struct netmap_node *b)
{
	return same_text(a->id, b->id) && same_text(a->name, b->name) &&
	       same_addresses(a->addresses, a->n_addresses, b->addresses, b->n_addresses) &&
	       same_text(a->user, b->user) && same_texts(a->tags, a->n_tags, b->tags, b->n_tags) &&
	       same_prefixes(a->routes, a->n_routes, b->routes, b->n_routes) &&
	       a->key_expiry == b->key_expiry && a->ssh == b->ssh &&
	       wg_key_equal(&a->key, &b->key) && same_endpoints(a, b) &&
	       a->keepalive == b->keepalive &&
	       same_texts(a->ssh_host_keys, a->n_ssh_host_keys, b->ssh_host_keys,
			  b->n_ssh_host_keys) &&
	       a->presence == b->presence && a->no_path == b->no_path &&
	       same_text(a->path_reason, b->path_reason) && a->key_expired == b->key_expired &&
	       same_text(a->login_url, b->login_url);
}

static bool same_filter_rule(const struct filter_rule *a, const struct filter_rule *b)
{
	for (size_t i = 0; i < a->n_dst && i < b->n_dst; i++)
		if (ip_prefix_compare(&a->dst[i].prefix, &b->dst[i].prefix) != 0 ||
		    a->dst[i].ports.first != b->dst[i].ports.first ||
		    a->dst[i].ports.last != b->dst[i].ports.last)
			return false;
	return a->n_dst == b->n_dst && same_prefixes(a->src, a->n_src, b->src, b->n_src) &&
	       a->n_proto == b->n_proto &&
	       (a->n_proto == 0 || memcmp(a->proto, b->proto, a->n_proto) == 0) &&
	       same_text(a->origin, b->origin);
}

static bool same_users_of(const struct ssh_rule *a, const struct ssh_rule *b)
{
	for (size_t i = 0; i < a->n_users && i < b->n_users; i++)
		if (!same_text(a->users[i].ssh_user, b->users[i].ssh_user) ||
		    !same_text(a->users[i].local_user, b->users[i].local_user))
			return false;
	return a->n_users == b->n_users;
}

static bool same_ssh_rule(const struct ssh_rule *a, const struct ssh_rule *b)
{
	return same_addresses(a->principals, a->n_principals, b->principals, b->n_principals) &&
	       a->any == b->any && same_users_of(a, b) && a->action == b->action &&
	       same_text(a->action_text, b->action_text) &&
	       same_texts(a->accept_env, a->n_accept_env, b->accept_env, b->n_accept_env) &&
	       same_text(a->origin, b->origin) && a->rule_expires == b->rule_expires &&
	       same_text(a->check_period, b->check_period) &&
	       a->forwarding.agent == b->forwarding.agent &&
	       a->forwarding.local == b->forwarding.local &&
	       a->forwarding.remote == b->forwarding.remote &&
	       same_text(a->force_command, b->force_command) &&
	       a->idle_timeout_usec == b->idle_timeout_usec &&
	       a->max_duration_usec == b->max_duration_usec && same_text(a->message, b->message) &&
	       a->needs_recorder == b->needs_recorder;
}

static bool same_head(const struct netmap *a, const struct netmap *b)
{
	return a->generation == b->generation && a->issued_at == b->issued_at &&
	       same_text(a->for_node, b->for_node) && same_text(a->domain, b->domain) &&
	       same_prefixes(a->prefixes, a->n_prefixes, b->prefixes, b->n_prefixes) &&
	       same_text(a->tokens.policy, b->tokens.policy) &&
	       same_text(a->tokens.filter, b->tokens.filter) &&
	       same_text(a->tokens.ssh, b->tokens.ssh) && a->n_users == b->n_users &&
	       a->n_peers == b->n_peers && a->n_filter == b->n_filter &&
	       a->n_ssh_rules == b->n_ssh_rules && same_node(&a->self, &b->self);
}

bool netmap_same(const struct netmap *a, const struct netmap *b)
{
	if (!same_head(a, b))
		return false;
	for (size_t i = 0; i < a->n_users; i++)
		if (!same_text(a->users[i].login, b->users[i].login) ||
		    !same_text(a->users[i].name, b->users[i].name))
			return false;
	for (size_t i = 0; i < a->n_peers; i++)
		if (!same_node(&a->peers[i], &b->peers[i]))
			return false;
	for (size_t i = 0; i < a->n_filter; i++)
		if (!same_filter_rule(&a->filter[i], &b->filter[i]))
			return false;
	for (size_t i = 0; i < a->n_ssh_rules; i++)
		if (!same_ssh_rule(&a->ssh_rules[i], &b->ssh_rules[i]))
			return false;
	return true;
}
