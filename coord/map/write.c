#include "coord/map/write.h"

#include <errno.h>

#include "common/text.h"
#include "coord/map/network.h"
#include "coord/policy/text.h"

static void write_tokens(const struct map_tokens *tokens, struct policy_text *out)
{
	char policy[MAP_POLICY_TOKEN_SIZE], filter[MAP_HASH_SIZE], ssh[MAP_HASH_SIZE];

	policy_text_printf(out, ",\"tokens\":{\"policy\":\"%s\",\"filter\":\"%s\",\"ssh\":\"%s\"}",
			   map_policy_token(tokens, policy),
			   map_hash_to_string(&tokens->filter, filter),
			   map_hash_to_string(&tokens->ssh, ssh));
}

/* ---- users: those that are referred to, each once ---- */

struct users_writer {
	struct world *world;
	struct policy_text *out;
	bool begun;
};

static void write_user(struct users_writer *writer, uint32_t number)
{
	struct world *w = writer->world;
	struct world_user *user = number == WORLD_NONE ? NULL : &w->users[number];

	if (!user || !user->exists || user->mark == w->mark)
		return;
	user->mark = w->mark;
	policy_text_puts(writer->out, writer->begun ? "," : ",\"users\":{");
	writer->begun = true;
	policy_text_string(writer->out, user->login);
	policy_text_puts(writer->out, ":{\"name\":");
	if (user->name)
		policy_text_string(writer->out, user->name);
	else
		policy_text_puts(writer->out, "null");
	policy_text_puts(writer->out, "}");
}

/* ---- full ---- */

static void write_head(const struct world *w, const struct world_node *node,
		       struct policy_text *out)
{
	policy_text_puts(out, "{\"type\":\"full\",\"version\":1,\"for\":");
	policy_text_string(out, node->id);
	policy_text_printf(out, ",\"generation\":%llu", (unsigned long long)w->generation);
}

static void write_middle(const struct world *w, const struct world_node *node,
			 struct policy_text *out)
{
	char v4[IP_PREFIX_STRLEN], v6[IP_PREFIX_STRLEN];

	policy_text_puts(out, ",\"self\":");
	record_write_self(&node->record, node->expired, out);
	policy_text_puts(out, ",\"mesh\":{\"domain\":");
	policy_text_string(out, w->domain);
	policy_text_printf(out, ",\"prefixes\":[\"%s\",\"%s\"]}",
			   ip_prefix_to_string(&w->prefixes[0], v4),
			   ip_prefix_to_string(&w->prefixes[1], v6));
}

static int write_peers(struct world *w, const struct world_node *node, struct policy_text *out)
{
	_cleanup_free_ uint32_t *peers = NULL;
	struct users_writer users = { .world = w, .out = out };
	size_t n;
	int r = policy_peers(w->now.engine, node->index, &peers, &n);
	uint8_t tail;

	if (r < 0)
		return r;
	write_user(&users, node->user);
	for (size_t i = 0; i < n; i++)
		write_user(&users, w->nodes[w->now.slots[peers[i]]]->user);
	policy_text_puts(out, users.begun ? "},\"peers\":[" : ",\"peers\":[");
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct record *record = &w->nodes[w->now.slots[peers[i]]]->record;

		r = record_tail(record, &node->record.reach.view, &tail);
		if (r < 0)
			break;
		policy_text_append(out, ",", i > 0);
		record_write_peer(record, tail, out);
	}
	policy_text_puts(out, "]");
	return r;
}

static int read_texts(struct world *w, struct map_viewer *viewer, const struct shared_text **filter,
		      const struct shared_text **ssh)
{
	uint32_t index = viewer->node->index;
	int r = texts_get(&w->filters, w->now.engine, index, filter);

	if (r == 0)
		r = texts_get(&w->ssh_rules, w->now.engine, index, ssh);
	if (r == 0)
		r = network_node_hash(w, policy_engine_node(w->now.engine, index),
				      &viewer->told.policy);
	if (r < 0)
		return r;
	viewer->told.view = viewer->node->record.reach.view;
	viewer->told.filter = (*filter)->hash;
	viewer->told.ssh = (*ssh)->hash;
	viewer->filter_serial = texts_serial(&w->filters, w->now.engine, index);
	viewer->ssh_serial = texts_serial(&w->ssh_rules, w->now.engine, index);
	return 0;
}

static int write_member(struct world *w, struct map_viewer *viewer, struct policy_text *out)
{
	const struct shared_text *filter, *ssh;
	int r = read_texts(w, viewer, &filter, &ssh);

	if (r < 0)
		return r;
	write_head(w, viewer->node, out);
	write_tokens(&viewer->told, out);
	write_middle(w, viewer->node, out);
	r = write_peers(w, viewer->node, out);
	policy_text_puts(out, ",\"packet_filter\":");
	policy_text_append(out, filter->text.data, filter->text.len);
	policy_text_puts(out, ",\"ssh_rules\":");
	policy_text_append(out, ssh->text.data, ssh->text.len);
	policy_text_puts(out, "}");
	return r;
}

/* Its own key has expired: nobody else's business is its own. */
static void write_outsider(struct world *w, const struct map_viewer *viewer,
			   struct policy_text *out)
{
	struct users_writer users = { .world = w, .out = out };

	write_head(w, viewer->node, out);
	write_tokens(&viewer->told, out);
	write_middle(w, viewer->node, out);
	write_user(&users, viewer->node->user);
	policy_text_puts(out, users.begun ? "}" : "");
	policy_text_puts(out, ",\"peers\":[],\"packet_filter\":[],\"ssh_rules\":[]}");
}

int map_write_full(struct world *w, struct world_node *node, struct map_viewer *ret_viewer,
		   struct map_frame **ret_frame)
{
	_cleanup_(policy_text_done) struct policy_text text = { 0 };
	struct map_viewer viewer = { .node = node };
	int r = 0;

	w->mark++;
	if (node->index == WORLD_NONE)
		write_outsider(w, &viewer, &text);
	else
		r = write_member(w, &viewer, &text);
	if (r == 0)
		r = map_frame_take(&text, ret_frame);
	if (r == 0)
		*ret_viewer = viewer;
	return r;
}

/* ---- delta ---- */

static void begin_delta(const struct world *w, struct policy_text *out)
{
	policy_text_printf(out, "{\"type\":\"delta\",\"version\":1,\"generation\":%llu",
			   (unsigned long long)w->generation);
}

static void write_entry(const struct world *w, const struct plan_entry *entry,
			struct policy_text *out)
{
	switch ((enum plan_kind)entry->kind) {
	case PLAN_CHANGED:
		record_write_peer(&w->nodes[entry->number]->record, entry->tail, out);
		break;
	case PLAN_PATCHED:
		record_write_patch(&w->nodes[entry->number]->record, w->nodes[entry->number]->id,
				   entry->tail, out);
		break;
	case PLAN_REMOVED:
		policy_text_string(out, w->nodes[entry->number]->id);
		break;
	case PLAN_GONE:
		policy_text_string(out, w->removed.items[entry->number].id);
		break;
	case PLAN_USER:
		break;
	}
}

/* The entries of some kinds as an array, if there are any. */
static void write_entries(const struct world *w, const struct map_plan *plan, unsigned kinds,
			  const char *name, struct policy_text *out)
{
	bool begun = false;

	for (size_t i = 0; i < plan->n; i++) {
		if (!(kinds >> plan->entries[i].kind & 1))
			continue;
		if (begun)
			policy_text_puts(out, ",");
		else
			policy_text_printf(out, ",\"%s\":[", name);
		begun = true;
		write_entry(w, &plan->entries[i], out);
	}
	if (begun)
		policy_text_puts(out, "]");
}

static void write_users(struct world *w, const struct world_node *node, const struct map_plan *plan,
			struct policy_text *out)
{
	struct users_writer users = { .world = w, .out = out };

	w->mark++;
	if (plan->self)
		write_user(&users, node->user);
	for (size_t i = 0; i < plan->n; i++) {
		const struct plan_entry *entry = &plan->entries[i];

		if (entry->kind == PLAN_USER)
			write_user(&users, entry->number);
		if (entry->kind == PLAN_CHANGED)
			write_user(&users, w->nodes[entry->number]->user);
	}
	if (users.begun)
		policy_text_puts(out, "}");
}

static void write_text(const char *name, const struct shared_text *text, struct policy_text *out)
{
	if (!text)
		return;
	policy_text_printf(out, ",\"%s\":", name);
	policy_text_append(out, text->text.data, text->text.len);
}

int map_write_delta(struct world *w, const struct world_node *node, const struct map_plan *plan,
		    bool tokens, struct map_frame **ret_frame)
{
	_cleanup_(policy_text_done) struct policy_text text = { 0 };

	begin_delta(w, &text);
	if (tokens)
		write_tokens(&plan->tokens, &text);
	else if (plan->tokens_follow)
		policy_text_puts(&text, ",\"tokens\":null");
	if (plan->self) {
		policy_text_puts(&text, ",\"self\":");
		record_write_self(&node->record, node->expired, &text);
	}
	write_users(w, node, plan, &text);
	write_entries(w, plan, 1u << PLAN_REMOVED | 1u << PLAN_GONE, "peers_removed", &text);
	write_entries(w, plan, 1u << PLAN_CHANGED, "peers_changed", &text);
	write_entries(w, plan, 1u << PLAN_PATCHED, "peers_patched", &text);
	write_text("packet_filter", plan->filter, &text);
	write_text("ssh_rules", plan->ssh, &text);
	policy_text_puts(&text, "}");
	return map_frame_take(&text, ret_frame);
}

int map_write_progress(const struct world *w, const struct map_tokens *tokens,
		       struct map_frame **ret_frame)
{
	_cleanup_(policy_text_done) struct policy_text text = { 0 };

	begin_delta(w, &text);
	if (tokens)
		write_tokens(tokens, &text);
	policy_text_puts(&text, "}");
	return map_frame_take(&text, ret_frame);
}
