/* What an operator changes of a node: name, owner, tags, expiry. */
#include <errno.h>
#include <string.h>

#include "common/text_stream.h"
#include "coord/registry/accounts.h"
#include "coord/registry/admit.h"
#include "coord/registry/check.h"
#include "coord/registry/names.h"
#include "coord/registry/node_txn.h"

struct patch {
	struct op op;
	char *word, *name, *user;
	struct text_list tags;
	bool has_tags, has_expiry;
	uint64_t key_expiry;
	char id[ID_SIZE];
};

static void destroy(struct op *op)
{
	struct patch *p = (struct patch *)op;

	free(p->word);
	free(p->name);
	free(p->user);
	text_list_done(&p->tags);
}

/* Each of these: 0, OP_ANSWERED, -ENOMEM. */

static int patch_name(struct patch *p, struct txn *txn, const struct node_record *old,
		      struct node_record *node)
{
	const struct node_record *other;
	const char *problem;

	if (!p->name || strcmp(p->name, old->name) == 0)
		return 0;
	problem = label_problem(p->name);
	if (problem)
		return op_refuse(&p->op, REGISTRY_BAD_REQUEST, "name: %s", problem);
	if (label_is_reserved(p->name))
		return op_refuse(
			&p->op, REGISTRY_BAD_REQUEST,
			"name: %s is a name that programs look up by themselves, and do as "
			"they are told there; expected another",
			p->name);
	other = registry_node_by_name(p->op.registry, p->name);
	if (other)
		return op_refuse(&p->op, REGISTRY_CONFLICT, "%s is the name of another node (%s)",
				 p->name, other->head.id);
	/* Something unknown holds it: no other name will do, so there is no point in going on. */
	if (p->op.next_suffix > 0)
		return op_refuse(&p->op, REGISTRY_CONFLICT, "%s is taken", p->name);
	node->name = p->name;
	node_txn_swap_name(txn, old, p->name);
	return 0;
}

static int patch_owner(struct patch *p, struct txn *txn, const struct node_record *old,
		       struct node_record *node)
{
	const struct policy_giver giver = admit_actor(&p->op);
	const struct user_record *user;
	int r;

	if (p->has_tags) {
		r = admit_check_tags(&p->op, &giver, &p->tags);
		if (r != 0)
			return r;
		node->user = NULL;
		node->tags = p->tags;
		/* From now on nobody would be there to renew it. */
		if (old->user && !node_is_expired(old, p->op.registry->clock()))
			node->key_expiry = RECORD_NEVER;
	}
	if (!p->user)
		return 0;
	user = registry_user(p->op.registry, p->user);
	if (!user)
		return op_refuse(
			&p->op, REGISTRY_NOT_FOUND,
			"there is no such user: %.128s; \"coordctl users list\" shows them all",
			p->user);
	if (user->suspended)
		return op_refuse(&p->op, REGISTRY_NOT_ALLOWED, "%s is suspended", p->user);
	admit_touch_user(txn, user);
	node->user = p->user;
	node->tags = (struct text_list){ 0 };
	if (!old->user && !node_is_expired(old, p->op.registry->clock()))
		node->key_expiry = admit_key_expiry(p->op.registry, &node->tags);
	return 0;
}

/*
 * A time to come makes a key that has run out valid again: that is the operator's to say. One that
 * somebody has ended, or that was given back, may be known to others by now.
 */
static int patch_expiry(struct patch *p, const struct node_record *old, struct node_record *node)
{
	if (!p->has_expiry)
		return 0;
	if (node->user && !registry_user_is_active(p->op.registry, node->user))
		return op_refuse(&p->op, REGISTRY_NOT_ALLOWED,
				 "%s is suspended, and so are the keys of their nodes", node->user);
	if (old->expired_by && strcmp(old->expired_by, NODE_EXPIRED_BY_TIME) != 0)
		return op_refuse(&p->op, REGISTRY_CONFLICT,
				 "the key of %s did not run out, %s ended it; \"agentctl login\" "
				 "there makes a new one",
				 old->name, old->expired_by);
	node->key_expiry = p->key_expiry;
	node->expired_by = NULL;
	return 0;
}

static const char *describe(const struct patch *p, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s%s%s", p->name ? "name " : "", p->user ? "user " : "",
		 p->has_tags ? "tags " : "", p->has_expiry ? "key expiry " : "");
	if (buf[0])
		buf[strlen(buf) - 1] = '\0';
	return buf;
}

static int prepare(struct op *op, struct txn *txn)
{
	struct patch *p = (struct patch *)op;
	const struct node_record *old = registry_find_node(op->registry, p->word);
	struct node_record node;
	char what[64];
	int r;

	if (!old)
		return node_not_found(op, p->word);
	if (!op_may_touch(op, old))
		return op_refuse(op, REGISTRY_NOT_ALLOWED, "%s is not yours", old->name);
	if (op->login && (p->user || p->has_expiry))
		return op_refuse(op, REGISTRY_NOT_ALLOWED,
				 "a node's user and key expiry are for operators to change");
	snprintf(p->id, sizeof(p->id), "%s", old->head.id);
	node = *old;
	r = patch_name(p, txn, old, &node);
	if (r == 0)
		r = patch_owner(p, txn, old, &node);
	if (r == 0)
		r = patch_expiry(p, old, &node);
	if (r != 0)
		return r;
	if (p->user || p->has_tags)
		check_txn_forget(op, txn, old->head.id);
	txn_put_record(txn, &node_record_kind, &node);
	op_event(op, txn, old->head.id, "%s: %s", old->name, describe(p, what, sizeof(what)));
	return 0;
}

static void complete(struct op *op)
{
	struct patch *p = (struct patch *)op;

	op->result.node = registry_node(op->registry, p->id);
}

static const struct op_kind kind = {
	.action = "node.change",
	.size = sizeof(struct patch),
	.for_people = true,
	.prepare = prepare,
	.complete = complete,
	.destroy = destroy,
};

static int check(struct patch *p, const struct registry_node_patch *patch)
{
	if (patch->tags && patch->user)
		return op_refuse(&p->op, REGISTRY_BAD_REQUEST,
				 "a user and tags do not go together; a tagged node belongs to "
				 "nobody");
	if (patch->tags && patch->tags->n == 0)
		return op_refuse(&p->op, REGISTRY_BAD_REQUEST,
				 "a node without tags belongs to somebody; say to whom");
	if (patch->key_expiry && *patch->key_expiry > RECORD_LAST_TIME &&
	    *patch->key_expiry != RECORD_NEVER)
		return op_refuse(&p->op, REGISTRY_BAD_REQUEST,
				 "key_expiry: is too far in the future; null means never");
	if (!patch->name && !patch->tags && !patch->user && !patch->key_expiry)
		return op_refuse(&p->op, REGISTRY_BAD_REQUEST,
				 "nothing is to be changed; give name, tags, user or key_expiry");
	return 0;
}

static int copy(struct patch *p, const char *word, const struct registry_node_patch *patch)
{
	int r = 0;

	p->word = strdup(word);
	p->name = patch->name ? strdup(patch->name) : NULL;
	p->user = patch->user ? strdup(patch->user) : NULL;
	if (!p->word || !p->name != !patch->name || !p->user != !patch->user)
		return -ENOMEM;
	p->has_tags = patch->tags != NULL;
	if (patch->tags)
		r = text_list_copy(patch->tags, &p->tags);
	text_list_sort(&p->tags);
	p->has_expiry = patch->key_expiry != NULL;
	if (patch->key_expiry)
		p->key_expiry = *patch->key_expiry;
	return r;
}

void registry_patch_node(struct registry *registry, const struct registry_actor *actor,
			 const char *node, const struct registry_node_patch *patch,
			 registry_done_fn done, void *userdata)
{
	struct patch *p = (struct patch *)op_new(registry, &kind, actor, done, userdata);
	int r;

	if (!p)
		return;
	r = check(p, patch);
	if (r == 0)
		r = copy(p, node, patch);
	op_begin(&p->op, r);
}
