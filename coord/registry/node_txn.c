#include "coord/registry/node_txn.h"

#include <string.h>

#include "coord/registry/admit.h"
#include "coord/registry/check.h"

int node_not_found(struct op *op, const char *word)
{
	return op_refuse(
		op, REGISTRY_NOT_FOUND,
		"there is no such node: %.80s; \"coordctl nodes list\" shows names and ids", word);
}

void node_txn_swap_key(struct txn *txn, const struct node_record *old, const struct wg_key *key)
{
	char name[KEY_NAME_SIZE];

	admit_claim(txn, "nodekey/", key_name(key->bytes, name), old->head.id);
	txn_delete(txn, "nodekey/", key_name(old->key.bytes, name));
}

void node_txn_swap_name(struct txn *txn, const struct node_record *old, const char *label)
{
	admit_claim(txn, "name/", label, old->head.id);
	txn_delete(txn, "name/", old->name);
}

void node_txn_expire(struct op *op, struct txn *txn, const struct node_record *old, const char *by,
		     const char *action)
{
	struct node_record node = *old;

	node.expired_by = (char *)by;
	txn_put_record(txn, &node_record_kind, &node);
	check_txn_forget(op, txn, old->head.id);
	op_event_result(op, txn, action, old->head.id, "ok", old->name);
}

/* And the name: who asks for it tomorrow may be somebody else than those who use it think. */
static void release_address(struct op *op, struct txn *txn, const struct node_record *old)
{
	char text[IP_ADDR_STRLEN];
	const struct address_record record = {
		.head.id = ip_addr_to_string(&old->ipv4, text),
		.released = op->registry->clock(),
		.name = old->name,
		.user = old->user,
		.tags = old->tags,
	};

	txn_set_record(txn, &address_record_kind, &record);
}

void node_txn_delete(struct op *op, struct txn *txn, const struct node_record *old)
{
	char name[KEY_NAME_SIZE];

	txn_expect(txn, "nodes/", old->head.id, old->head.revision);
	txn_delete(txn, "nodes/", old->head.id);
	txn_delete(txn, "machine/", key_name(old->machine.bytes, name));
	txn_delete(txn, "nodekey/", key_name(old->key.bytes, name));
	txn_delete(txn, "name/", old->name);
	release_address(op, txn, old);
	check_txn_forget(op, txn, old->head.id);
	op_event(op, txn, old->head.id, "%s, %s", old->name,
		 old->user ? old->user : old->tags.items[0]);
}
