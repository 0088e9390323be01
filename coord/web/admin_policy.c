/* The policy in force, as it is written. */
#include "coord/web/internal.h"

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
	page_end(&page);
	return web_answer(call, 200, &page);
}
