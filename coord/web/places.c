#include "coord/web/places.h"

#include <string.h>

#include "coord/policy/range.h"

#define MAX_NAMES   20u
#define MAX_ENTRIES 64u	 /* of a list, that are looked at */
#define MAX_RANGE   256u /* addresses of one entry, likewise */

struct places {
	struct html *html;
	const struct registry *registry;
	const struct node_record *nodes[MAX_NAMES];
	size_t n_nodes;
	bool is_cut, has_any;
};

static void add_text(struct places *places, const char *text)
{
	html_add(places->html, "%s%s", places->has_any ? ", " : "", text);
	places->has_any = true;
}

static void add_node(struct places *places, const struct node_record *node)
{
	for (size_t i = 0; i < places->n_nodes; i++)
		if (places->nodes[i] == node)
			return;
	if (places->n_nodes == MAX_NAMES) {
		places->is_cut = true;
		return;
	}
	places->nodes[places->n_nodes++] = node;
	add_text(places, node->name);
}

/* Return: whether nodes stand for it. */
static bool add_nodes(struct places *places, const struct range *range)
{
	struct range one = *range;
	bool found = false;

	if (range->last - range->first >= MAX_RANGE)
		return false;
	for (;; one.first++) {
		const struct ip_addr address = range_first_addr(&one);
		const struct node_record *node =
			registry_node_by_address(places->registry, &address);

		if (node)
			add_node(places, node);
		found |= node != NULL;
		if (one.first == range->last)
			return found;
	}
}

static void add_entry(struct places *places, const char *text)
{
	struct range range;

	if (strcmp(text, "*") == 0)
		add_text(places, "everywhere");
	else if (range_parse(text, &range) != 0 || !add_nodes(places, &range))
		add_text(places, text);
}

void places_show(struct html *html, const struct web_call *call, const json_t *list)
{
	struct places places = { .html = html, .registry = call->web->registry };
	size_t n = json_array_size(list);

	for (size_t i = 0; i < n && i < MAX_ENTRIES; i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (text)
			add_entry(&places, text);
	}
	if (places.is_cut || n > MAX_ENTRIES)
		html_add(html, ", and others");
}
