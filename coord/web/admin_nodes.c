/* For those who look after the mesh: all nodes, a page at a time. */
#include <string.h>

#include "common/text.h"
#include "coord/web/internal.h"

#define PER_PAGE 50u

static void add_owner(struct html *page, const struct node_record *node)
{
	html_add(page, "%s", node->user);
	for (size_t i = 0; i < node->tags.n; i++)
		html_add(page, "%s%s", i ? ", " : "", node->tags.items[i]);
}

static void add_presence(struct html *page, const struct web_call *call,
			 const struct node_record *node)
{
	const struct registry *registry = call->web->registry;
	uint64_t now = registry_now(registry), seen = registry_last_seen(registry, node);

	if (node_is_expired(node, now)) {
		html_add(page, "key expired");
	} else if (registry_is_online(registry, node)) {
		html_add(page, "connected");
	} else if (seen > 0 && seen < now) {
		page_duration(page, now - seen);
		html_add(page, " ago");
	} else {
		html_add(page, "not connected");
	}
}

static void add_row(struct html *page, const struct web_call *call, const struct node_record *node)
{
	char address[IP_ADDR_STRLEN];

	html_add(page, "<tr><td><a href=\"%s/admin/nodes/%s\">%s</a></td><td>", call->web->base,
		 node->head.id, node->name);
	add_owner(page, node);
	html_add(page, "</td><td>%s</td><td>", ip_addr_to_string(&node->ipv4, address));
	add_presence(page, call, node);
	html_add(page, "</td><td>");
	page_time_short(page, node->key_expiry);
	html_add(page, "</td></tr>\n");
}

static void add_pager(struct html *page, const struct web_call *call, uint64_t number,
		      uint64_t n_pages)
{
	html_add(page, "<nav aria-label=\"More nodes\" class=\"buttons\">\n");
	if (number > 1)
		html_add(page,
			 "<a class=\"button second\" href=\"%s/admin/nodes?page=%llu\">Back</a>\n",
			 call->web->base, (unsigned long long)(number - 1));
	if (number < n_pages)
		html_add(page,
			 "<a class=\"button second\" href=\"%s/admin/nodes?page=%llu\">More</a>\n",
			 call->web->base, (unsigned long long)(number + 1));
	html_add(page, "</nav>\n");
}

int web_admin_nodes(struct web_call *call)
{
	const struct registry *registry = call->web->registry;
	const char *text = http_request_query(call->req, "page", 0);
	size_t n = registry_n_nodes(registry);
	uint64_t number = 1, n_pages = n == 0 ? 1 : (n + PER_PAGE - 1) / PER_PAGE;
	struct html page = { 0 };

	if (text && (parse_u64(text, n_pages, &number) < 0 || number == 0))
		return web_error(call, 404, "There is no such page", "Pages are 1 to %u.",
				 (unsigned)n_pages);
	page_begin(&page, call, "Nodes");
	html_add(&page, "<p class=\"soft\">%zu in all; page %llu of %llu.</p>\n", n,
		 (unsigned long long)number, (unsigned long long)n_pages);
	html_add(&page,
		 "<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
		 "aria-label=\"Table\"><table>\n<thead><tr><th>Name</th><th>Of</th>"
		 "<th>Address</th><th>Connected</th><th>Key expires (UTC)</th></tr></thead>\n"
		 "<tbody>\n");
	for (size_t i = (size_t)(number - 1) * PER_PAGE; i < n && i < number * PER_PAGE; i++)
		add_row(&page, call, registry_node_at(registry, i));
	html_add(&page, "</tbody></table></div>\n");
	add_pager(&page, call, number, n_pages);
	page_end(&page);
	return web_answer(call, 200, &page);
}
