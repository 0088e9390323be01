#include "coord/policy/subjects.h"

#include <errno.h>
#include <string.h>

#include "coord/policy/grow.h"
#include "coord/policy/network.h"

void subjects_done(struct subjects *s)
{
	free(s->ends);
	free(s->nodes.items);
	*s = (struct subjects){ 0 };
}

static int add_end(struct subjects *s, const struct range *addr, uint32_t node)
{
	if (grow(&s->ends, s->n + 1, &s->size) < 0)
		return -ENOMEM;
	s->ends[s->n++] = (struct net_end){ .addr = *addr, .node = node };
	return 0;
}

int subjects_add_node(const struct policy_engine *e, uint32_t node, struct subjects *s)
{
	const struct policy_node *data = &e->nodes[node].data;

	for (size_t i = 0; i < data->n_addresses; i++) {
		struct range addr = range_of_addr(&data->addresses[i]);

		if (add_end(s, &addr, node) < 0)
			return -ENOMEM;
	}
	return id_list_add(&s->nodes, node);
}

static bool means_node(const struct policy_engine *e, const struct selector *sel,
		       const struct engine_node *node)
{
	const struct engine_user *user = node->user == NONE ? NULL : &e->users[node->user];

	if (!node->data.name)
		return false;
	if (user)
		return selector_matches_user(e->policy, sel, &user->data);
	for (size_t i = 0; i < node->data.n_tags; i++)
		if (selector_matches_tag(sel, node->data.tags[i]))
			return true;
	return false;
}

int subjects_find(const struct policy_engine *e, const struct selector *sel, struct subjects *s)
{
	uint32_t node;

	if (sel->kind == SEL_RANGES) {
		if (sel->ranges.n != 1 || !range_is_single(&sel->ranges.items[0]))
			return 0;
		node = engine_node_by_addr(e, &sel->ranges.items[0]);
		if (node != NONE && id_list_add(&s->nodes, node) < 0)
			return -ENOMEM;
		return add_end(s, &sel->ranges.items[0], node);
	}
	for (uint32_t i = 0; i < e->n_nodes; i++)
		if (means_node(e, sel, &e->nodes[i]) && subjects_add_node(e, i, s) < 0)
			return -ENOMEM;
	return 0;
}

/* The highest address of the family's "*" that is not taken; false: there is none. */
static bool find_address(const struct policy_engine *e, bool v6, struct imagined *imagined,
			 struct ip_addr *ret_addr)
{
	for (size_t i = e->wild.n; i-- > 0;) {
		const struct range *wild = &e->wild.items[i];
		struct range addr = { .v6 = v6 };

		if (wild->v6 != v6)
			continue;
		while (wild->last - wild->first > imagined->next[v6]) {
			addr.first = addr.last = wild->last - ++imagined->next[v6];
			if (engine_node_by_addr(e, &addr) != NONE)
				continue;
			*ret_addr = range_first_addr(&addr);
			return true;
		}
	}
	return false;
}

static int imagine(struct policy_engine *e, const char *user, const char *tag,
		   struct imagined *imagined)
{
	struct ip_addr addresses[2];
	char name[POLICY_MAX_TEXT + 16], *tags[] = { (char *)tag };
	struct policy_node node = { .name = name,
				    .user = (char *)user,
				    .addresses = addresses,
				    .tags = tags,
				    .n_tags = tag ? 1 : 0 };
	uint32_t index;

	/* No node has such a name: there is a blank in it. */
	snprintf(name, sizeof(name), "a node of %s", user ? user : tag);
	for (int v6 = 0; v6 < 2; v6++)
		if (find_address(e, v6, imagined, &addresses[node.n_addresses]))
			node.n_addresses++;
	if (policy_engine_set_node(e, &node, &index) < 0)
		return -ENOMEM;
	return id_list_add(&imagined->nodes, index);
}

static int imagine_user(struct policy_engine *e, const char *login, struct imagined *imagined)
{
	uint32_t user = strmap_get(&e->user_map, login);

	return user != STRMAP_NONE && e->users[user].nodes.n ? 0
							     : imagine(e, login, NULL, imagined);
}

static bool group_has_node(const struct policy_engine *e, const struct selector *sel)
{
	for (size_t i = 0; i < e->n_users; i++)
		if (e->users[i].nodes.n && selector_matches_user(e->policy, sel, &e->users[i].data))
			return true;
	return false;
}

/* Somebody whom others put into the group. */
static int imagine_member(struct policy_engine *e, const struct selector *sel,
			  struct imagined *imagined)
{
	char login[POLICY_MAX_TEXT + 16], *groups[] = { (char *)sel->text };
	const struct policy_user member = { .login = login, .groups = groups, .n_groups = 1 };
	uint32_t ignored;

	/* Nobody has such a login: there is a blank in it. */
	snprintf(login, sizeof(login), "somebody of %s", sel->text);
	if (engine_user_get(e, &member, &ignored) < 0)
		return -ENOMEM;
	return imagine_user(e, login, imagined);
}

static bool tag_has_node(const struct policy_engine *e, const char *tag)
{
	for (size_t i = 0; i < e->n_nodes; i++)
		for (size_t k = 0; k < e->nodes[i].data.n_tags; k++)
			if (strcmp(e->nodes[i].data.tags[k], tag) == 0)
				return true;
	return false;
}

int imagined_add(struct policy_engine *e, const struct selector *sel, struct imagined *imagined)
{
	const struct group *group;

	if (sel->kind == SEL_USER)
		return imagine_user(e, sel->text, imagined);
	if (sel->kind == SEL_TAG && !tag_has_node(e, sel->text))
		return imagine(e, NULL, sel->text, imagined);
	if (sel->kind != SEL_GROUP)
		return 0;
	group = &e->policy->groups[sel->group];
	for (size_t i = 0; i < group->n_members; i++)
		if (imagine_user(e, group->members[i], imagined) < 0)
			return -ENOMEM;
	return group->mapped && !group_has_node(e, sel) ? imagine_member(e, sel, imagined) : 0;
}

void imagined_remove(struct policy_engine *e, struct imagined *imagined)
{
	for (size_t i = 0; i < imagined->nodes.n; i++)
		policy_engine_remove_node(e, e->nodes[imagined->nodes.items[i]].data.name);
	free(imagined->nodes.items);
	*imagined = (struct imagined){ 0 };
}
