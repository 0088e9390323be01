/* What one node gets, for people. */
#include <errno.h>

#include "coord/ctl/render.h"
#include "coord/ctl/shown.h"

#define MAX_PEERS 12

static int render_list(const char *label, const json_t *texts, const struct cli_out *out)
{
	_cleanup_free_ char *shown = value_list(texts, MAX_PEERS);

	if (!shown)
		return -ENOMEM;
	fprintf(out->file, "%-14s %s\n", label, shown);
	return 0;
}

/* "10.0.0.0/8 by router" */
static json_t *route_text(const json_t *prefix, const char *peer)
{
	return json_sprintf("%s by %s", json_string_value(prefix), peer);
}

static int render_routes(json_t *routes, const struct cli_out *out)
{
	json_auto_t *list = json_array();
	const char *peer;
	json_t *prefixes;
	int r = 0;

	json_object_foreach (routes, peer, prefixes)
		for (size_t i = 0; i < json_array_size(prefixes); i++)
			r |= json_array_append_new(list,
						   route_text(json_array_get(prefixes, i), peer));
	if (r < 0)
		return -ENOMEM;
	return json_array_size(list) > 0 ? render_list("routes", list, out) : 0;
}

static int render_heading(const struct policy_node *node, const struct cli_out *out)
{
	json_auto_t *owner = json_array(), *addresses = json_array();
	_cleanup_free_ char *owner_shown = NULL, *addresses_shown = NULL;
	char buf[IP_ADDR_STRLEN];
	int r = 0;

	if (node->user)
		r |= json_array_append_new(owner, json_string(node->user));
	for (size_t i = 0; i < node->n_tags; i++)
		r |= json_array_append_new(owner, json_string(node->tags[i]));
	for (size_t i = 0; i < node->n_addresses; i++)
		r |= json_array_append_new(
			addresses, json_string(ip_addr_to_string(&node->addresses[i], buf)));
	owner_shown = value_list(owner, SHOWN_MAX);
	addresses_shown = value_list(addresses, SHOWN_MAX);
	if (r < 0 || !owner_shown || !addresses_shown ||
	    cli_show(out, CLI_HEADING, "%s", node->name) < 0)
		return -ENOMEM;
	fprintf(out->file, " (%s), %s\n\n", owner_shown, addresses_shown);
	return 0;
}

int ctl_render_node(const struct policy_node *node, const json_t *compiled, struct ctl_names *names,
		    const struct cli_out *out)
{
	const json_t *approved = json_object_get(compiled, "auto_approved");
	int r = render_heading(node, out);

	if (r == 0)
		r = ctl_render_filter(json_object_get(compiled, "packet_filter"), names, out);
	fputc('\n', out->file);
	if (r == 0)
		r = ctl_render_ssh(json_object_get(compiled, "ssh_rules"), names, out);
	fputc('\n', out->file);
	if (r == 0)
		r = render_list("peers", json_object_get(compiled, "peers"), out);
	if (r == 0)
		r = render_routes(json_object_get(compiled, "peer_routes"), out);
	if (r == 0 && json_array_size(approved) > 0)
		r = render_list("auto-approved", approved, out);
	return r;
}
