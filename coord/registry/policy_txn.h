/* Versions of the policy, in transactions and from the store. */
#pragma once

#include "coord/registry/op.h"

uint64_t policy_txn_next_version(const struct registry *registry);
/* A new version; the oldest goes when there are too many. */
void policy_txn_add(struct op *op, struct txn *txn, uint64_t version, char *text,
		    const uint8_t *hash, char *comment);
/* It comes into force; confirm_by 0: for good. What is in force now is the previous one then. */
void policy_txn_enforce(struct op *op, struct txn *txn, uint64_t version, char *text,
			const uint8_t *hash, uint64_t confirm_by);
void policy_txn_enforce_default(struct op *op, struct txn *txn);

/* The answer to store_get(). Return: 0 and *ret (the caller's); OP_ANSWERED; -ENOMEM, -EIO. */
int policy_read_version(struct op *op, const struct store_answer *answer, uint64_t version,
			struct policy_record *ret);
/* Refuses: there is no such version. */
int policy_no_version(struct op *op, uint64_t version);

/* The one in force was not confirmed in time: the previous one comes back. */
void policy_roll_back_unconfirmed(struct registry *registry, registry_done_fn done, void *userdata);
