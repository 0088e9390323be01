/* GetSSHPolicy, and what is to be said about the policy as a whole. */
#include <errno.h>
#include <string.h>

#include "agent/api_internal.h"
#include "agent/ssh_reach.h"
#include "common/text.h"

#define KEY_EXPIRY_SOON_USEC (7 * 24 * 3600 * UINT64_C(1000000))

int api_rule_nodes(const struct netmap *map, const struct ssh_rule *rule, uint64_t now_usec,
		   struct node_set *set)
{
	size_t n = rule->any ? map->n_peers : rule->n_principals;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		const struct netmap_node *peer =
			rule->any ? &map->peers[i]
				  : netmap_peer_by_address(map, &rule->principals[i]);

		if (peer && !netmap_node_expired(peer, now_usec))
			r = node_set_add(set, peer);
	}
	node_set_sort(set);
	return r;
}

int api_unreachable_nodes(const struct ssh_reach *reach, const struct node_set *nodes,
			  struct node_set *set)
{
	int r = 0;

	for (size_t i = 0; i < nodes->n && r == 0; i++)
		if (!ssh_reach_has_node(reach, nodes->nodes[i]))
			r = node_set_add(set, nodes->nodes[i]);
	return r;
}

/* Rules that let nobody in need no packet filter rule. */
static bool rule_admits(const struct ssh_rule *rule, uint64_t now_usec)
{
	return rule->action != SSH_ACTION_REJECT && rule->rule_expires > now_usec;
}

static json_t *json_strangers(const struct netmap *map, const struct ssh_rule *rule,
			      size_t *omitted)
{
	json_auto_t *array = json_array();
	char text[IP_ADDR_STRLEN];

	for (size_t i = 0; i < rule->n_principals; i++) {
		const struct ip_addr *addr = &rule->principals[i];

		if (netmap_peer_by_address(map, addr))
			continue;
		if (json_array_size(array) >= API_PAGE_ITEMS)
			(*omitted)++;
		else if (json_array_append_new(array, json_string(ip_addr_to_string(addr, text))) <
			 0)
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

static json_t *json_rule(const struct api_view *view, const struct ssh_rule *rule,
			 const struct ssh_reach *reach)
{
	_cleanup_(node_set_done) struct node_set nodes = { 0 }, unreachable = { 0 };
	json_t *who, *strangers, *cut_off;
	size_t omitted = 0;

	if (api_rule_nodes(view->map, rule, view->now_usec, &nodes) < 0)
		return NULL;
	if (rule_admits(rule, view->now_usec) &&
	    api_unreachable_nodes(reach, &nodes, &unreachable) < 0)
		return NULL;
	/* "any" names nobody: that is all there is to list. */
	if (rule->any)
		nodes.n = 0;
	who = node_set_owners(&nodes, API_PAGE_ITEMS, &omitted);
	strangers = json_strangers(view->map, rule, &omitted);
	cut_off = node_set_names(&unreachable, API_PAGE_ITEMS, &omitted);
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

/* Peers that no rule names, whatever it says, though the packet filter lets them through. */
static int unruled_nodes(const struct api_view *view, const struct ssh_reach *reach,
			 struct node_set *set)
{
	const struct netmap *map = view->map;
	_cleanup_free_ bool *ruled = NULL;
	int r = 0;

	ruled = calloc(map->n_peers + 1, sizeof(*ruled));
	if (!ruled)
		return -ENOMEM;
	for (size_t i = 0; i < map->n_ssh_rules; i++) {
		const struct ssh_rule *rule = &map->ssh_rules[i];

		if (rule->any)
			return 0;
		for (size_t k = 0; k < rule->n_principals; k++) {
			const struct netmap_node *peer =
				netmap_peer_by_address(map, &rule->principals[k]);

			if (peer)
				ruled[peer - map->peers] = true;
		}
	}
	for (size_t i = 0; i < map->n_peers && r == 0; i++)
		if (!ruled[i] && !netmap_node_expired(&map->peers[i], view->now_usec) &&
		    ssh_reach_has_node(reach, &map->peers[i]))
			r = node_set_add(set, &map->peers[i]);
	node_set_sort(set);
	return r;
}

static json_t *json_policy_part(const struct api_view *view, size_t *i)
{
	_cleanup_(node_set_done) struct node_set unruled = { 0 };
	_cleanup_(ssh_reach_freep) struct ssh_reach *reach = NULL;
	json_auto_t *rules = json_array();
	size_t n_items = 0, unruled_omitted = 0;
	json_t *names;

	if (ssh_reach_new(view->map, &reach) < 0)
		return NULL;
	if (*i == 0 && unruled_nodes(view, reach, &unruled) < 0)
		return NULL;
	for (; *i < view->map->n_ssh_rules && n_items < API_PAGE_ITEMS; (*i)++) {
		const struct ssh_rule *rule = &view->map->ssh_rules[*i];

		n_items += 8 + rule->n_principals + rule->n_users + rule->n_accept_env;
		if (json_array_append_new(rules, json_rule(view, rule, reach)) < 0)
			return NULL;
	}
	names = node_set_names(&unruled, API_PAGE_ITEMS, &unruled_omitted);
	return json_pack("{s:b, s:o, s:o, s:I}", "ssh", view->map->self.ssh, "rules",
			 take_ptr(rules), "unruled", names, "unruledOmitted",
			 (json_int_t)unruled_omitted);
}

int api_get_ssh_policy(struct varlink_call *call, const json_t *params, void *userdata)
{
	struct api_view view;
	json_t *part;
	size_t i;
	int r;

	r = api_read_first(call, params, &i);
	if (r != 0)
		return r < 0 ? r : 0;
	api_view(userdata, &view);
	if (!view.map)
		return varlink_call_error(call, "io.peergate.Agent.NotReady", NULL);
	part = json_policy_part(&view, &i);
	return api_reply_page(call, part, i, view.map->n_ssh_rules);
}

/* ---- warnings ---- */

static int warn(json_t *warnings, const char *code, const char *fmt, ...) _printf_(3, 4);
static int warn(json_t *warnings, const char *code, const char *fmt, ...)
{
	_cleanup_free_ char *message = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&message, fmt, ap);
	va_end(ap);
	if (n < 0) {
		message = NULL;
		return -ENOMEM;
	}
	return json_array_append_new(warnings,
				     json_pack("{s:s, s:s}", "code", code, "message", message)) < 0
		       ? -ENOMEM
		       : 0;
}

/* How many rules let somebody in, and what keeps them from it. */
struct policy_counts {
	size_t admitting;   /* rules that name a peer and are no reject */
	size_t checks;	    /* of these, with "check" */
	size_t recorders;   /* of these, with recorders */
	size_t unreachable; /* of these, naming peers that the packet filter keeps out */
};

static int count_rule(const struct api_view *view, const struct ssh_rule *rule,
		      const struct ssh_reach *reach, struct policy_counts *counts)
{
	_cleanup_(node_set_done) struct node_set nodes = { 0 }, unreachable = { 0 };
	int r;

	if (!rule_admits(rule, view->now_usec))
		return 0;
	r = api_rule_nodes(view->map, rule, view->now_usec, &nodes);
	if (r == 0)
		r = api_unreachable_nodes(reach, &nodes, &unreachable);
	if (r < 0)
		return r;
	if (nodes.n == 0)
		return 0;
	counts->admitting++;
	counts->checks += rule->action == SSH_ACTION_CHECK;
	counts->recorders += rule->needs_recorder;
	counts->unreachable += unreachable.n > 0;
	return 0;
}

static int count_policy(const struct api_view *view, struct policy_counts *counts)
{
	_cleanup_(ssh_reach_freep) struct ssh_reach *reach = NULL;
	int r;

	r = ssh_reach_new(view->map, &reach);
	for (size_t i = 0; i < view->map->n_ssh_rules && r == 0; i++)
		r = count_rule(view, &view->map->ssh_rules[i], reach, counts);
	return r;
}

static int warn_ssh(const struct api_view *view, json_t *warnings)
{
	struct policy_counts counts = { 0 };
	int r;

	if (!view->map->self.ssh)
		return 0;
	r = count_policy(view, &counts);
	if (r == 0 && counts.admitting == 0)
		r = warn(warnings, "ssh-nobody", "SSH is on, but no SSH rule lets anybody in");
	if (r == 0 && counts.unreachable > 0)
		r = warn(warnings, "ssh-unreachable",
			 "%zu SSH rule%s peers that no packet filter rule lets through to tcp/22 "
			 "(see agentctl ssh-policy show)",
			 counts.unreachable, counts.unreachable == 1 ? " names" : "s name");
	if (r == 0 && counts.checks > 0)
		r = warn(warnings, "ssh-check",
			 "%zu SSH rule%s for a check, which nobody here can carry out: refused",
			 counts.checks, counts.checks == 1 ? " asks" : "s ask");
	if (r == 0 && counts.recorders > 0)
		r = warn(warnings, "ssh-recorder",
			 "%zu SSH rule%s for recording, which cannot be done here: refused",
			 counts.recorders, counts.recorders == 1 ? " asks" : "s ask");
	return r;
}

static int warn_key(const struct api_view *view, json_t *warnings)
{
	uint64_t expiry = view->map->self.key_expiry;
	char when[21];

	if (expiry <= view->now_usec)
		return warn(warnings, "key-expired",
			    "the key of this host expired on %s: peers turn it away",
			    format_rfc3339(expiry, when, sizeof(when)));
	if (expiry - view->now_usec < KEY_EXPIRY_SOON_USEC)
		return warn(warnings, "key-expires", "the key of this host expires on %s",
			    format_rfc3339(expiry, when, sizeof(when)));
	return 0;
}

json_t *api_warnings(const struct api_view *view)
{
	json_auto_t *warnings = json_array();
	int r = 0;

	if (view->map_problem)
		r = warn(warnings, "map-refused",
			 view->map ? "the newest map was refused, the one before stays in force: %s"
				   : "there is no map in force, the mesh is blocked: %s",
			 view->map_problem);
	else if (!view->map)
		r = warn(warnings, "no-map", "there is no map yet, the mesh is blocked");
	if (r == 0 && view->kernel_problem)
		r = warn(warnings, "kernel", "the kernel does not agree with the map: %s",
			 view->kernel_problem);
	if (r == 0 && view->map)
		r = warn_key(view, warnings);
	if (r == 0 && view->map)
		r = warn_ssh(view, warnings);
	return r < 0 ? NULL : take_ptr(warnings);
}
