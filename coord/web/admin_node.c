/*
 * One node, and what the policy in force means for it: who reaches it and who may log in there,
 * from the very map that it gets.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "common/json.h"
#include "common/text.h"
#include "coord/web/internal.h"
#include "coord/web/places.h"

/* ---- pieces of rules ---- */

static void add_protocols(struct html *page, const json_t *list)
{
	static const struct {
		int number;
		const char *name;
	} known[] = {
		{ IPPROTO_TCP, "tcp" },	      { IPPROTO_UDP, "udp" },	{ IPPROTO_ICMP, "icmp" },
		{ IPPROTO_ICMPV6, "icmpv6" }, { IPPROTO_SCTP, "sctp" },
	};

	/* The map's way to say "what one usually means". */
	if (json_array_size(list) == 0)
		html_add(page, "tcp, udp, icmp");
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_int_t number = json_integer_value(json_array_get(list, i));
		const char *name = NULL;

		for (size_t j = 0; j < ARRAY_SIZE(known); j++)
			if (known[j].number == number)
				name = known[j].name;
		html_add(page, "%s%s", i ? ", " : "", name);
		if (!name)
			html_add(page, "%zu", (size_t)number);
	}
}

static void add_ports(struct html *page, const json_t *ports)
{
	size_t first = (size_t)json_integer_value(json_array_get(ports, 0));
	size_t last = (size_t)json_integer_value(json_array_get(ports, 1));

	if (first == 0 && last == UINT16_MAX)
		html_add(page, "any");
	else if (first == last)
		html_add(page, "%zu", first);
	else
		html_add(page, "%zu to %zu", first, last);
}

/* Destinations of one rule, that are looked at. */
#define MAX_PORTS 64u

/* Each once: a node has two addresses. */
static void add_all_ports(struct html *page, const json_t *dsts)
{
	bool first = true;

	for (size_t i = 0; i < json_array_size(dsts) && i < MAX_PORTS; i++) {
		const json_t *ports = json_object_get(json_array_get(dsts, i), "ports");
		bool known = false;

		for (size_t j = 0; j < i; j++)
			known |= json_equal(ports,
					    json_object_get(json_array_get(dsts, j), "ports"));
		if (known)
			continue;
		html_add(page, "%s", first ? "" : ", ");
		add_ports(page, ports);
		first = false;
	}
}

static const char *text_of(const json_t *rule, const char *member)
{
	return json_string_value(json_object_get(rule, member));
}

/* ---- the tables ---- */

static void add_filter(struct html *page, const struct web_call *call, const json_t *rules)
{
	html_add(page, "<h2>What reaches it</h2>\n");
	if (json_array_size(rules) == 0) {
		html_add(page, "<p>Nothing: no rule lets anybody in.</p>\n");
		return;
	}
	html_add(page, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
		       "aria-label=\"Table\"><table>\n<thead><tr><th>From</th><th>Protocols</th>"
		       "<th>Ports</th><th>Rule</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < json_array_size(rules); i++) {
		const json_t *rule = json_array_get(rules, i);

		html_add(page, "<tr><td>");
		places_show(page, call, json_object_get(rule, "src"));
		html_add(page, "</td><td>");
		add_protocols(page, json_object_get(rule, "proto"));
		html_add(page, "</td><td>");
		add_all_ports(page, json_object_get(rule, "dst"));
		html_add(page, "</td><td>%s</td></tr>\n", text_of(rule, "origin"));
	}
	html_add(page, "</tbody></table></div>\n");
}

static void add_users(struct html *page, json_t *users)
{
	const char *asked;
	json_t *local;
	bool first = true;

	json_object_foreach (users, asked, local) {
		const char *account = json_string_value(local);

		html_add(page, "%s%s", first ? "" : ", ",
			 strcmp(asked, "*") == 0 ? "all others" : asked);
		if (account && strcmp(account, "=") == 0)
			html_add(page, " (but root)");
		else if (account && strcmp(account, asked) != 0)
			html_add(page, " as %s", *account ? account : "nobody: next rule");
		first = false;
	}
}

static void add_ssh(struct html *page, const struct web_call *call, const json_t *rules)
{
	html_add(page, "<h2>Who may log in by SSH</h2>\n");
	if (json_array_size(rules) == 0) {
		html_add(page, "<p>Nobody: there is no such rule.</p>\n");
		return;
	}
	html_add(page, "<p class=\"soft\">The first rule that fits decides. It also takes a way "
		       "to reach port 22.</p>\n"
		       "<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
		       "aria-label=\"Table\"><table>\n<thead><tr><th>From</th><th>Users</th>"
		       "<th>Answer</th><th>Rule</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < json_array_size(rules); i++) {
		const json_t *rule = json_array_get(rules, i);
		const char *period = text_of(rule, "check_period");

		html_add(page, "<tr><td>");
		places_show(page, call, json_object_get(rule, "principals"));
		html_add(page, "</td><td>");
		add_users(page, json_object_get(rule, "users"));
		html_add(page, "</td><td>%s", text_of(rule, "action"));
		if (period)
			html_add(page, " (%s)", period);
		html_add(page, "</td><td>%s</td></tr>\n", text_of(rule, "origin"));
	}
	html_add(page, "</tbody></table></div>\n");
}

/* ---- the page ---- */

/* By what providers say; whom the policy lists, it shows itself. */
static void add_groups(struct html *page, const struct web_call *call,
		       const struct node_record *node)
{
	const struct registry *registry = call->web->registry;
	const struct user_record *user = node->user ? registry_user(registry, node->user) : NULL;
	_cleanup_(text_list_done) struct text_list groups = { 0 };

	if (!user)
		return;
	if (registry_user_groups(registry, user, &groups) < 0)
		page->failed = true;
	for (size_t i = 0; i < groups.n; i++)
		page_item(page, "Group, by their provider", groups.items[i]);
}

static void add_facts(struct html *page, const struct web_call *call,
		      const struct node_record *node)
{
	struct ip_addr addresses[2];
	char text[IP_ADDR_STRLEN], key[WG_KEY_B64LEN];

	registry_node_addresses(call->web->registry, node, addresses);
	html_add(page, "<dl>\n");
	page_item(page, "Id", node->head.id);
	page_item(page, "User", node->user ? node->user : "none");
	add_groups(page, call, node);
	for (size_t i = 0; i < node->tags.n; i++)
		page_item(page, "Tag", node->tags.items[i]);
	for (size_t i = 0; i < 2; i++)
		page_item(page, "Address", ip_addr_to_string(&addresses[i], text));
	page_item(page, "Host name", node->facts.hostname);
	page_item(page, "System", node->facts.os);
	page_item(page, "Node key", wg_key_to_string(&node->key, key));
	html_add(page, "<div><dt>Key expires</dt><dd>");
	page_time(page, node->key_expiry);
	html_add(page, "%s%s</dd></div>\n<div><dt>Enrolled</dt><dd>",
		 node->expired_by ? "; ended by " : "", node->expired_by);
	page_time(page, node->created);
	html_add(page, "</dd></div>\n</dl>\n");
}

static void add_effect(struct html *page, const struct web_call *call,
		       const struct node_record *node)
{
	_cleanup_(http_buf_unrefp) struct http_buf *map = NULL;
	json_auto_t *json = NULL;
	json_error_t error;
	int r = map_show(call->web->map, node->head.id, &map);

	if (r == 0)
		r = json_load(http_buf_data(map), http_buf_len(map), 0, &error, &json);
	if (r < 0) {
		html_add(page,
			 "<p>What the policy means for it cannot be shown at the moment.</p>\n");
		return;
	}
	add_filter(page, call, json_object_get(json, "packet_filter"));
	add_ssh(page, call, json_object_get(json, "ssh_rules"));
	html_add(page, "<p class=\"soft\">It sees %zu other node%s.</p>\n",
		 json_array_size(json_object_get(json, "peers")),
		 text_plural(json_array_size(json_object_get(json, "peers"))));
}

int web_admin_node(struct web_call *call)
{
	const struct node_record *node =
		registry_node(call->web->registry, web_param(call, "node"));
	struct html page = { 0 };

	if (!node)
		return web_error(call, 404, "There is no such node", "It may have been removed.");
	page_begin(&page, call, node->name);
	add_facts(&page, call, node);
	add_effect(&page, call, node);
	page_end(&page);
	return web_answer(call, 200, &page);
}
