/* Machines that wait: putting them into a transaction, and finding them. */
#pragma once

#include "coord/registry/code.h"
#include "coord/registry/op.h"

struct pending_request {
	const struct ed25519_public *machine;
	const struct wg_key *key;
	const struct node_facts *facts;
	const struct text_list *tags;
	const struct ip_addr *from;
};

/* What the one that waits is told. */
struct waiting {
	char code[CODE_LEN + 1];
	char secret[SECRET_SIZE];
	char page[CHECK_ID_SIZE];
};

/*
 * As admit_node(). A machine that waits already gets a new secret under the same code and with the
 * same page, which somebody may be looking at; under another one, and with another page, if it asks
 * for something else, as other tags: what is approved is what was looked at.
 */
int pending_put(struct op *op, struct txn *txn, const struct pending_request *request,
		struct waiting *ret_waiting);
/* NULL: it does not wait (any more). */
const struct pending_record *pending_of_machine(const struct registry *registry,
						const struct ed25519_public *machine);
