/* Checks within the registry: what the operations and others of its parts share. */
#pragma once

#include "coord/registry/checks.h"
#include "coord/registry/code.h"
#include "coord/registry/op.h"

#define CHECK_LIFETIME_USEC (UINT64_C(10) * 60 * 1000000)
/* A login joins a request that has this long to go: as long as agents wait. */
#define CHECK_JOIN_USEC (UINT64_C(5) * 60 * 1000000)

/* What is known of the node's owner of now; also if they have not approved anything yet. NULL. */
const struct checkgrant_record *check_grant_of_owner(const struct registry *registry,
						     const struct node_record *node);
/* Of the node's entry, whosever that is; 0: there is none. */
uint64_t check_grant_revision(const struct registry *registry, const char *node);
/* Whatever its state; NULL: there is none. */
const struct checkreq_record *check_request(const struct registry *registry, const char *id);
bool check_is_remembered(const struct registry *registry, const struct checkgrant_record *grant,
			 uint64_t period_usec);

/*
 * Part of a transaction after which the node is nobody's, another's, or has another key: forget
 * what is remembered, that which is being written just now as well.
 */
void check_txn_forget(const struct op *op, struct txn *txn, const char *node);
