#include "coord/registry/policy_txn.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "coord/registry/policy_key.h"

uint64_t policy_txn_next_version(const struct registry *registry)
{
	uint64_t last = registry_policy_current(registry)->version;
	size_t n = registry_n_policies(registry);

	if (n > 0 && registry_policy_at(registry, n - 1)->version > last)
		last = registry_policy_at(registry, n - 1)->version;
	return last + 1;
}

static void forget_oldest(struct op *op, struct txn *txn)
{
	const struct policy_current *current = registry_policy_current(op->registry);

	if (registry_n_policies(op->registry) < REGISTRY_MAX_POLICIES)
		return;
	for (size_t i = 0; i < registry_n_policies(op->registry); i++) {
		const struct policy_record *old = registry_policy_at(op->registry, i);

		if (old->version == current->version || old->version == current->previous)
			continue;
		txn_delete(txn, "policy/", old->head.id);
		return;
	}
}

void policy_txn_add(struct op *op, struct txn *txn, uint64_t version, char *text,
		    const uint8_t *hash, char *comment)
{
	char key[POLICY_KEY_SIZE];
	struct policy_record record = {
		.head.id = policy_key(version, key) + strlen("policy/"),
		.version = version,
		.text = text,
		.author = op->who,
		.created = op->registry->clock(),
		.comment = comment,
	};

	memcpy(record.hash, hash, sizeof(record.hash));
	txn_put_record(txn, &policy_record_kind, &record);
	forget_oldest(op, txn);
}

static uint64_t current_revision(const struct registry *registry)
{
	return registry->state->current ? registry->state->current->head.revision : 0;
}

void policy_txn_enforce(struct op *op, struct txn *txn, uint64_t version, char *text,
			const uint8_t *hash, uint64_t confirm_by)
{
	struct policy_current current = {
		.head = { .id = (char *)"current", .revision = current_revision(op->registry) },
		.version = version,
		.text = text,
		.confirm_by = confirm_by,
		.previous = registry_policy_current(op->registry)->version,
		.author = op->who,
		.since = op->registry->clock(),
	};

	memcpy(current.hash, hash, sizeof(current.hash));
	txn_put_record(txn, &policy_current_kind, &current);
}

void policy_txn_enforce_default(struct op *op, struct txn *txn)
{
	txn_expect(txn, "policy/", "current", current_revision(op->registry));
	txn_delete(txn, "policy/", "current");
}

int policy_no_version(struct op *op, uint64_t version)
{
	return op_refuse(op, REGISTRY_NOT_FOUND,
			 "there is no version %" PRIu64 " of the policy (any more); \"coordctl "
			 "policy history\" shows them all",
			 version);
}

int policy_read_version(struct op *op, const struct store_answer *answer, uint64_t version,
			struct policy_record *ret)
{
	_cleanup_free_ char *error = NULL;
	int r = answer->status;

	if (r == -ENOENT)
		return policy_no_version(op, version);
	if (r == 0)
		r = policy_record_read(answer->entries[0].key, answer->entries[0].value,
				       answer->entries[0].len, &error, ret);
	if (r == 0 || r == -ENOMEM)
		return r;
	registry_complain(op->registry, "%s: %s", op->kind->action,
			  error		 ? error
			  : answer->text ? answer->text
					 : strerror(-r));
	return -EIO;
}
