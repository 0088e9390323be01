/* GetSSHPolicy, and what is to be said about the policy as a whole. */
#include <errno.h>
#include <string.h>

#include "agent/api/internal.h"
#include "agent/api/warnings.h"
#include "agent/ssh/reach.h"
#include "common/text.h"
/*
 * The principals that a part looks at: whoever calls must not make work of any size. The digest
 * counts them all.
 */
static size_t n_listed(const struct ssh_rule *rule)
{
	return rule->n_principals < API_PAGE_ITEMS ? rule->n_principals : API_PAGE_ITEMS;
}

/* Peers that the rule names, and those of them that the packet filter keeps out. */
static int rule_nodes(const struct api_view *view, const struct ssh_rule *rule,
		      struct node_set *nodes, struct node_set *unreachable)
{
	bool admits = api_rule_admits(rule, view->now_usec);
	int r = 0;

	for (size_t i = 0; i < n_listed(rule) && r == 0; i++) {
		const struct netmap_node *peer =
			netmap_peer_by_address(view->map, &rule->principals[i]);

		if (!peer || netmap_node_expired(peer, view->now_usec))
			continue;
		r = node_set_add(nodes, peer);
		if (r == 0 && admits && !ssh_reach_has_node(view->map->ssh_reach, peer))
			r = node_set_add(unreachable, peer);
	}
	node_set_sort(nodes);
	node_set_sort(unreachable);
	return r;
}

static json_t *json_strangers(const struct netmap *map, const struct ssh_rule *rule,
			      size_t *omitted)
{
	json_auto_t *array = json_array();
	char text[IP_ADDR_STRLEN];

	*omitted += rule->n_principals - n_listed(rule);
	for (size_t i = 0; i < n_listed(rule); i++) {
		const struct ip_addr *addr = &rule->principals[i];

		if (!netmap_peer_by_address(map, addr) &&
		    json_array_append_new(array, json_string(ip_addr_to_string(addr, text))) < 0)
			return NULL;
	}
	return take_ptr(array);
}

static json_t *json_users(const struct ssh_rule *rule)
{
	json_auto_t *users = json_object();

	for (size_t i = 0; i < rule->n_users; i++)
		if (json_object_set_new(users, rule->users[i].ssh_user,
					json_string(rule->users[i].local_user)) < 0)
			return NULL;
	return take_ptr(users);
}

static const char *action_to_string(enum ssh_action action)
{
	switch (action) {
	case SSH_ACTION_REJECT:
		return "reject";
	case SSH_ACTION_ACCEPT:
		return "accept";
	case SSH_ACTION_CHECK:
		return "check";
	}
	return "reject";
}

/* What is listed is added to *n_items. */
static json_t *json_rule(const struct api_view *view, const struct ssh_rule *rule,
			 const struct api_digest *digest, size_t *n_items)
{
	_cleanup_(node_set_done) struct node_set nodes = { 0 }, named = { 0 };
	const struct node_set *unreachable = &named;
	json_t *who, *strangers, *cut_off;
	size_t omitted = 0;

	/* "any" names nobody: there is nobody to list. */
	if (!rule->any && rule_nodes(view, rule, &nodes, &named) < 0)
		return NULL;
	if (rule->any && api_rule_admits(rule, view->now_usec))
		unreachable = &digest->unreachable;
	*n_items += 8 + rule->n_principals + unreachable->n + rule->n_users + rule->n_accept_env;
	who = node_set_owners(&nodes, API_PAGE_ITEMS, &omitted);
	strangers = json_strangers(view->map, rule, &omitted);
	cut_off = node_set_names(unreachable, API_PAGE_ITEMS, &omitted);
	return json_pack("{s:s*, s:s, s:s, s:b, s:o, s:o, s:I, s:o, s:o*, s:b, s:s*, s:b, s:o, "
			 "s:o}",
			 "origin", rule->origin, "action", action_to_string(rule->action),
			 "actionText", rule->action_text ? rule->action_text : "", "any", rule->any,
			 "who", who, "strangers", strangers, "omitted", (json_int_t)omitted,
			 "users", json_users(rule), "expires", api_json_end(rule->rule_expires),
			 "expired", rule->rule_expires <= view->now_usec, "checkPeriod",
			 rule->check_period, "needsRecorder", rule->needs_recorder, "options",
			 api_json_options(rule), "unreachable", cut_off);
}

static json_t *json_policy_part(const struct api_view *view, const struct api_digest *digest,
				size_t *i)
{
	static const struct node_set nobody;
	const struct node_set *unruled = *i == 0 ? &digest->unruled : &nobody;
	json_auto_t *rules = json_array();
	size_t n_items = unruled->n, unruled_omitted = 0;
	json_t *names;

	for (size_t first = *i; *i < view->map->n_ssh_rules; (*i)++) {
		/* Never an empty part: who asks would come back for the same for ever. */
		if (n_items >= API_PAGE_ITEMS && *i > first)
			break;
		if (json_array_append_new(rules, json_rule(view, &view->map->ssh_rules[*i], digest,
							   &n_items)) < 0)
			return NULL;
	}
	names = node_set_names(unruled, API_PAGE_ITEMS, &unruled_omitted);
	return json_pack("{s:b, s:o, s:o, s:I}", "ssh", view->map->self.ssh, "rules",
			 take_ptr(rules), "unruled", names, "unruledOmitted",
			 (json_int_t)unruled_omitted);
}

int api_get_ssh_policy(struct varlink_call *call, const json_t *params, void *userdata)
{
	const struct api_digest *digest;
	struct api *api = userdata;
	struct api_view view;
	json_t *part;
	size_t i;
	int r;

	r = api_read_first(call, params, &i);
	if (r != 0)
		return r < 0 ? r : 0;
	api_view(api, &view);
	if (!view.map)
		return varlink_call_error(call, "io.peergate.Agent.NotReady", NULL);
	r = api_digest(api, &view, &digest);
	if (r < 0)
		return r;
	part = json_policy_part(&view, digest, &i);
	return api_reply_page(call, part, i, view.map->n_ssh_rules);
}

/* ---- warnings ---- */

static int warn_of_map(struct api *api, const struct api_view *view, json_t *warnings)
{
	const struct api_digest *digest;
	int r = api_digest(api, view, &digest);

	return r < 0 ? r
		     : api_map_warnings(view->map, view->now_usec, digest, view->link != NULL,
					warnings);
}

json_t *api_warnings(struct api *api, const struct api_view *view)
{
	json_auto_t *warnings = json_array();
	int r = 0;

	if (view->map_problem)
		r = warning_add(
			warnings, "map-refused",
			view->map ? "the newest map was refused, the one before stays in force: %s"
				  : "there is no map in force, the mesh is blocked: %s",
			view->map_problem);
	else if (!view->map)
		r = warning_add(warnings, "no-map", "there is no map yet, the mesh is blocked%s",
				view->link ? " (agentctl up brings this host into one)" : "");
	if (r == 0 && view->kernel_problem)
		r = warning_add(warnings, "kernel", "the kernel does not agree with the map: %s",
				view->kernel_problem);
	if (r == 0 && view->link)
		r = api_link_warnings(view->link, warnings);
	if (r == 0 && view->map)
		r = warn_of_map(api, view, warnings);
	return r < 0 ? NULL : take_ptr(warnings);
}
