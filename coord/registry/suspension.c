#include "coord/registry/suspension.h"

#include <string.h>

#include "coord/registry/accounts.h"
#include "coord/registry/node_txn.h"

/* Room of one transaction that others need: the person's record and the event of it. */
#define RESERVED 4u
/* Conditions, and operations, of a node's key that ends: the record, checks and an event. */
#define PER_NODE 3u

/* Of the one who is being suspended the state does not say so yet. */
static bool is_theirs(const struct registry *registry, const char *user, const char *login)
{
	const struct user_record *record;

	if (!user)
		return false;
	if (login)
		return strcmp(user, login) == 0;
	record = registry_user(registry, user);
	return record && record->suspended;
}

static bool has_key(const struct registry *registry, const struct node_record *node,
		    const char *login)
{
	return !node->expired_by && is_theirs(registry, node->user, login);
}

/* Those that they made for tags as well: they know them. */
static bool is_open(const struct registry *registry, const struct authkey_record *key,
		    const char *login)
{
	return !key->revoked && (is_theirs(registry, key->user, login) ||
				 is_theirs(registry, key->created_by, login));
}

bool suspension_is_due(const struct registry *registry)
{
	if (registry->state->n_suspended == 0)
		return false;
	for (size_t i = 0; i < registry_n_nodes(registry); i++)
		if (has_key(registry, registry_node_at(registry, i), NULL))
			return true;
	for (size_t i = 0; i < registry_n_authkeys(registry); i++)
		if (is_open(registry, registry_authkey_at(registry, i), NULL))
			return true;
	return false;
}

static bool has_room(const struct txn *txn, size_t n)
{
	return txn->n_ops + n + RESERVED <= STORE_MAX_TXN &&
	       txn->n_conds + n + RESERVED <= STORE_MAX_TXN;
}

static bool expire_nodes(struct op *op, struct txn *txn, const char *login)
{
	bool any = false;

	for (size_t i = 0; i < registry_n_nodes(op->registry) && has_room(txn, PER_NODE); i++) {
		const struct node_record *node = registry_node_at(op->registry, i);

		if (!has_key(op->registry, node, login))
			continue;
		node_txn_expire(op, txn, node, "suspension", "node.expire");
		any = true;
	}
	return any;
}

static bool revoke_keys(struct op *op, struct txn *txn, const char *login)
{
	bool any = false;

	for (size_t i = 0; i < registry_n_authkeys(op->registry) && has_room(txn, 1); i++) {
		const struct authkey_record *old = registry_authkey_at(op->registry, i);
		struct authkey_record key = *old;

		if (!is_open(op->registry, old, login))
			continue;
		key.revoked = op->registry->clock();
		txn_put_record(txn, &authkey_record_kind, &key);
		any = true;
	}
	return any;
}

/* Nodes first: they are what lets somebody in now. */
bool suspension_put(struct op *op, struct txn *txn, const char *login)
{
	bool nodes = expire_nodes(op, txn, login), keys = revoke_keys(op, txn, login);

	return nodes || keys;
}
