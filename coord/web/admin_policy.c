/* The policy in force, as it is written. */
#include "coord/web/internal.h"

static void add_mappings(struct html *page, const struct registry *registry)
{
	if (registry_n_mappings(registry) == 0)
		return;
	html_add(page, "<h2>Groups of providers</h2>\n"
		       "<p class=\"soft\">Whom a provider says to be in its group, when they sign "
		       "in, is in the group of the policy besides those that it lists.</p>\n"
		       "<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
		       "aria-label=\"Table\"><table>\n<thead><tr><th>Group</th><th>Provider</th>"
		       "<th>Its group</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < registry_n_mappings(registry); i++) {
		const struct registry_mapping *mapping = registry_mapping_at(registry, i);

		html_add(page, "<tr><td>%s</td><td>%s</td><td>%s</td></tr>\n", mapping->group,
			 mapping->issuer, mapping->value);
	}
	html_add(page, "</tbody></table></div>\n");
}

int web_admin_policy(struct web_call *call)
{
	const struct policy_current *current = registry_policy_current(call->web->registry);
	struct html page = { 0 };

	page_begin(&page, call, "Policy");
	html_add(&page, "<p class=\"soft\">");
	if (current->version == 0) {
		html_add(&page, "The default one, as long as there is no other.");
	} else {
		html_add(&page, "Version %llu, by %s, since ", (unsigned long long)current->version,
			 current->author);
		page_time(&page, current->since);
		html_add(&page, ".");
	}
	html_add(&page,
		 " What it means for a node is shown with that <a "
		 "href=\"%s/admin/nodes\">node</a>.</p>\n",
		 call->web->base);
	if (current->confirm_by > 0) {
		html_add(&page,
			 "<p class=\"problem\">It was not confirmed yet: version %llu comes "
			 "back on ",
			 (unsigned long long)current->previous);
		page_time(&page, current->confirm_by);
		html_add(&page, ".</p>\n");
	}
	html_add(&page,
		 "<pre tabindex=\"0\" role=\"region\" aria-label=\"Text of the policy\">%s</pre>\n",
		 current->text);
	add_mappings(&page, call->web->registry);
	page_end(&page);
	return web_answer(call, 200, &page);
}
