/* What happens to a node that there is. */
#include <errno.h>
#include <string.h>

#include "coord/registry/admit.h"
#include "coord/registry/node_txn.h"

struct node_op {
	struct op op;
	char *word; /* id or name, as it was asked for */
	char id[ID_SIZE];

	struct node_facts facts;
	unsigned given; /* of them */
	struct wg_key key;
};

static void destroy(struct op *op)
{
	struct node_op *n = (struct node_op *)op;

	free(n->word);
	node_facts_done(&n->facts);
}

/* Return: 0, OP_ANSWERED, -ENOMEM. */
static int find(struct op *op, const struct node_record **ret_node)
{
	struct node_op *n = (struct node_op *)op;
	const struct node_record *node = registry_find_node(op->registry, n->word);

	if (!node)
		return node_not_found(op, n->word);
	if (!op_may_touch(op, node))
		return op_refuse(op, REGISTRY_NOT_ALLOWED, "%s is not yours", node->name);
	snprintf(n->id, sizeof(n->id), "%s", node->head.id);
	*ret_node = node;
	return 0;
}

static void complete(struct op *op)
{
	struct node_op *n = (struct node_op *)op;

	op->result.node = registry_node(op->registry, n->id);
}

static struct node_op *node_op_new(struct registry *registry, const struct op_kind *kind,
				   const struct registry_actor *actor, const char *word,
				   registry_done_fn done, void *userdata)
{
	struct node_op *n = (struct node_op *)op_new(registry, kind, actor, done, userdata);

	if (!n)
		return NULL;
	n->word = strdup(word);
	if (n->word)
		return n;
	op_fail(&n->op, -ENOMEM);
	return NULL;
}

static int already(struct op *op, const struct node_record *node)
{
	op->result.node = node;
	return OP_ANSWERED;
}

/* ---- facts ---- */

/* Of node, which borrows them, those that were given. */
static void put_facts(const struct node_op *n, struct node_facts *facts)
{
#define FIELD(m) offsetof(struct node_facts, m), sizeof(((struct node_facts *)0)->m)
	static const struct {
		unsigned bit;
		size_t at, size;
	} fields[] = {
		{ FACT_HOSTNAME, FIELD(hostname) },
		{ FACT_OS, FIELD(os) },
		{ FACT_AGENT, FIELD(agent) },
		{ FACT_SSH, FIELD(ssh) },
		{ FACT_SSH_HOST_KEYS, FIELD(ssh_host_keys) },
		{ FACT_ENDPOINTS, FIELD(endpoints) },
		{ FACT_CONFIGURED, FIELD(configured) },
		{ FACT_LISTEN_PORT, FIELD(listen_port) },
	};
#undef FIELD

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (n->given & fields[i].bit)
			memcpy((char *)facts + fields[i].at, (const char *)&n->facts + fields[i].at,
			       fields[i].size);
	if (n->facts.seen.family != AF_UNSPEC)
		facts->seen = n->facts.seen;
}

static int prepare_facts(struct op *op, struct txn *txn)
{
	struct node_op *n = (struct node_op *)op;
	const struct node_record *old;
	struct node_record node;
	int r = find(op, &old);

	if (r != 0)
		return r;
	node = *old;
	put_facts(n, &node.facts);
	if (node_facts_equal(&old->facts, &node.facts))
		return already(op, old);
	txn_put_record(txn, &node_record_kind, &node);
	return 0;
}

static const struct op_kind facts_kind = {
	.action = "node.facts",
	.size = sizeof(struct node_op),
	.prepare = prepare_facts,
	.complete = complete,
	.destroy = destroy,
};

void registry_update_facts(struct registry *registry, const struct registry_actor *actor,
			   const char *node, const struct node_facts *facts, unsigned given,
			   registry_done_fn done, void *userdata)
{
	struct node_op *n = node_op_new(registry, &facts_kind, actor, node, done, userdata);
	_cleanup_free_ char *why = NULL;
	int r;

	if (!n)
		return;
	n->given = given;
	r = node_facts_check(facts, &why);
	if (r == 0)
		r = node_facts_copy(facts, &n->facts);
	else if (r == -EINVAL)
		r = op_refuse(&n->op, REGISTRY_BAD_REQUEST, "%s", why);
	op_begin(&n->op, r);
}

/* ---- keys ---- */

static int prepare_rotate(struct op *op, struct txn *txn)
{
	struct node_op *n = (struct node_op *)op;
	const struct node_record *old, *other;
	struct node_record node;
	int r = find(op, &old);

	if (r != 0)
		return r;
	if (node_is_expired(old, op->registry->clock()))
		return op_refuse(op, REGISTRY_KEY_EXPIRED,
				 "the node's key has expired; log in with \"agentctl login\"");
	if (wg_key_equal(&old->key, &n->key))
		return already(op, old);
	other = registry_node_by_key(op->registry, &n->key);
	if (other)
		return op_refuse(op, REGISTRY_NODE_KEY_IN_USE,
				 "another machine has this node key; make a new one");
	node = *old;
	node.key = n->key;
	node.key_created = op->registry->clock();
	node_txn_swap_key(txn, old, &n->key);
	txn_put_record(txn, &node_record_kind, &node);
	op_event(op, txn, old->head.id, "%s", old->name);
	return 0;
}

static const struct op_kind rotate_kind = {
	.action = "node.rotate",
	.size = sizeof(struct node_op),
	.prepare = prepare_rotate,
	.complete = complete,
	.destroy = destroy,
};

void registry_rotate_key(struct registry *registry, const struct registry_actor *actor,
			 const char *node, const struct wg_key *key, registry_done_fn done,
			 void *userdata)
{
	struct node_op *n = node_op_new(registry, &rotate_kind, actor, node, done, userdata);

	if (!n)
		return;
	n->key = *key;
	op_begin(&n->op, wg_key_is_zero(key) ? op_refuse(&n->op, REGISTRY_BAD_REQUEST,
							 "node_key: is the zero key")
					     : 0);
}

static int prepare_expire(struct op *op, struct txn *txn)
{
	const struct node_record *old;
	int r = find(op, &old);

	if (r != 0)
		return r;
	if (node_is_expired(old, op->registry->clock()))
		return already(op, old);
	node_txn_expire(op, txn, old, op->who, op->kind->action);
	return 0;
}

static int prepare_delete(struct op *op, struct txn *txn)
{
	const struct node_record *old;
	int r = find(op, &old);

	if (r == 0)
		node_txn_delete(op, txn, old);
	return r;
}

static int prepare_logout(struct op *op, struct txn *txn)
{
	const struct node_record *old;
	int r = find(op, &old);

	if (r != 0)
		return r;
	return old->ephemeral ? prepare_delete(op, txn) : prepare_expire(op, txn);
}

static const struct op_kind expire_kind = {
	.action = "node.expire",
	.size = sizeof(struct node_op),
	.for_people = true,
	.prepare = prepare_expire,
	.complete = complete,
	.destroy = destroy,
};
static const struct op_kind delete_kind = {
	.action = "node.delete",
	.size = sizeof(struct node_op),
	.for_people = true,
	.prepare = prepare_delete,
	.destroy = destroy,
};
static const struct op_kind logout_kind = {
	.action = "node.logout",
	.size = sizeof(struct node_op),
	.for_people = true,
	.prepare = prepare_logout,
	.complete = complete,
	.destroy = destroy,
};

static void run(struct node_op *n)
{
	if (n)
		op_run(&n->op);
}

void registry_expire_node(struct registry *registry, const struct registry_actor *actor,
			  const char *node, registry_done_fn done, void *userdata)
{
	run(node_op_new(registry, &expire_kind, actor, node, done, userdata));
}

void registry_delete_node(struct registry *registry, const struct registry_actor *actor,
			  const char *node, registry_done_fn done, void *userdata)
{
	run(node_op_new(registry, &delete_kind, actor, node, done, userdata));
}

void registry_logout(struct registry *registry, const struct registry_actor *actor,
		     const char *node, registry_done_fn done, void *userdata)
{
	run(node_op_new(registry, &logout_kind, actor, node, done, userdata));
}
