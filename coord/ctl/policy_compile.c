/* "policy compile": what each node gets. */
#include <errno.h>
#include <stdint.h>

#include "coord/ctl/ctl.h"
#include "coord/ctl/render.h"

static int show_node(struct ctl *ctl, struct policy_engine *engine, uint32_t node,
		     struct ctl_names *names)
{
	json_auto_t *compiled = ctl_node_json(engine, node);

	if (!compiled)
		return -ENOMEM;
	return ctl_render_node(policy_engine_node(engine, node), compiled, names, &ctl->out);
}

static int show_nodes(struct ctl *ctl, struct policy_engine *engine, uint32_t from, uint32_t to)
{
	_cleanup_(ctl_names_freep) struct ctl_names *names = NULL;
	int r = ctl_names_new(engine, &names);

	for (uint32_t i = from; r == 0 && i < to; i++) {
		if (i > from)
			fputs("\n\n", ctl->out.file);
		r = show_node(ctl, engine, i, names);
	}
	return r;
}

static int print_node(struct ctl *ctl, struct policy_engine *engine, uint32_t node)
{
	json_auto_t *compiled = ctl_node_json(engine, node);
	json_auto_t *name = json_string(policy_engine_node(engine, node)->name);
	int r;

	if (!name || !compiled)
		return -ENOMEM;
	r = cli_show_json(&ctl->out, name, JSON_ENCODE_ANY);
	fputc(':', ctl->out.file);
	return r < 0 ? r : cli_show_json(&ctl->out, compiled, JSON_COMPACT);
}

/* Written node by node, one on a line: the whole of a large mesh would not fit into memory. */
static int print_nodes(struct ctl *ctl, struct policy_engine *engine, uint32_t from, uint32_t to)
{
	int r = 0;

	fputs("{\"nodes\":{", ctl->out.file);
	for (uint32_t i = from; r == 0 && i < to; i++) {
		fputs(i > from ? ",\n" : "\n", ctl->out.file);
		r = print_node(ctl, engine, i);
	}
	fputs("\n}}\n", ctl->out.file);
	return r;
}

int verb_policy_compile(int argc, char **argv, void *userdata)
{
	_cleanup_(ctl_setup_done) struct ctl_setup setup = { 0 };
	struct ctl *ctl = userdata;
	uint32_t from = 0, to;
	int r;

	r = ctl_set_up(ctl, argv[0], &setup);
	if (r != CLI_OK)
		return r;
	to = policy_engine_n_indexes(setup.engine);
	if (ctl->node && policy_engine_find(setup.engine, ctl->node, &from) < 0)
		return ctl_tell(ctl, "%s: there is no node '%s'", ctl->nodes, ctl->node);
	if (ctl->node)
		to = from + 1;
	if (ctl->json)
		return ctl_rendered(ctl, print_nodes(ctl, setup.engine, from, to));
	return ctl_rendered(ctl, show_nodes(ctl, setup.engine, from, to));
}
