/* What transactions do to a node, by a person's hand or by the reaper's. */
#pragma once

#include "coord/registry/op.h"

/* In node_record.expired_by: the key ran out. */
#define NODE_EXPIRED_BY_TIME "time"

/* op_refuse(): what was asked for is the name or id of no node. */
int node_not_found(struct op *op, const char *word);

/* With an event, each but the first two. */
void node_txn_swap_key(struct txn *txn, const struct node_record *old, const struct wg_key *key);
/* label is free, as far as is known. */
void node_txn_swap_name(struct txn *txn, const struct node_record *old, const char *label);
/* by: who ended it; action: of the event. */
void node_txn_expire(struct op *op, struct txn *txn, const struct node_record *old, const char *by,
		     const char *action);
/* Its address is kept back for a while. */
void node_txn_delete(struct op *op, struct txn *txn, const struct node_record *old);
