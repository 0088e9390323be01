/* The policy: another version, confirmed, rolled back. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/text.h"
#include "coord/registry/names.h"
#include "coord/registry/op.h"
#include "coord/registry/policy_key.h"
#include "coord/registry/policy_txn.h"

#define MAX_CONFIRM_WITHIN_USEC (REGISTRY_MAX_CONFIRM_SEC * UINT64_C(1000000))

struct policy_op {
	struct op op;
	char *text, *comment;
	uint8_t hash[SHA256_LEN], if_hash[SHA256_LEN];
	bool has_if;
	uint64_t if_version, confirm_within_usec;
	uint64_t version; /* of a rollback: that is to be in force */
	bool is_forced;	  /* rolled back by the clock: tests do not matter */
	struct policy_problems problems;
};

static void destroy(struct op *op)
{
	struct policy_op *p = (struct policy_op *)op;

	free(p->text);
	free(p->comment);
	policy_problems_done(&p->problems);
}

static void complete(struct op *op)
{
	op->result.problems = &((struct policy_op *)op)->problems;
}

/* Return: 0, OP_ANSWERED, -ENOMEM. */
static int check_text(struct policy_op *p)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	int r;

	policy_problems_done(&p->problems);
	r = registry_check_policy(p->op.registry, p->text, strlen(p->text), &p->problems, &policy);
	if (r != -EINVAL)
		return r;
	r = op_refuse(&p->op, REGISTRY_POLICY_REFUSED,
		      "the policy has %zu error%s; the one in force stays", p->problems.n_errors,
		      p->problems.n_errors == 1 ? "" : "s");
	p->op.result.problems = &p->problems;
	return r;
}

/* ---- another version ---- */

static int refuse_while_waiting(struct policy_op *p, const struct policy_current *current)
{
	char when[24];

	return op_refuse(&p->op, REGISTRY_CONFLICT,
			 "version %" PRIu64
			 " waits until %s to be confirmed; confirm it or roll it "
			 "back first",
			 current->version, format_rfc3339(current->confirm_by, when, sizeof(when)));
}

static int check_match(struct policy_op *p, const struct policy_current *current)
{
	if (!p->has_if || (p->if_version == current->version &&
			   memcmp(p->if_hash, current->hash, sizeof(p->if_hash)) == 0))
		return 0;
	return op_refuse(&p->op, REGISTRY_PRECONDITION_FAILED,
			 "version %" PRIu64 " is in force, not the one that was changed; get it, "
			 "and change that",
			 current->version);
}

static int prepare_set(struct op *op, struct txn *txn)
{
	struct policy_op *p = (struct policy_op *)op;
	const struct policy_current *current = registry_policy_current(op->registry);
	int r;

	if (current->confirm_by)
		return refuse_while_waiting(p, current);
	r = check_match(p, current);
	if (r == 0 && memcmp(p->hash, current->hash, sizeof(p->hash)) == 0) {
		op->result.is_unchanged = true;
		return OP_ANSWERED;
	}
	if (r == 0)
		r = check_text(p);
	if (r != 0)
		return r;
	p->version = policy_txn_next_version(op->registry);
	policy_txn_add(op, txn, p->version, p->text, p->hash, p->comment);
	policy_txn_enforce(op, txn, p->version, p->text, p->hash,
			   p->confirm_within_usec
				   ? time_after(op->registry->clock(), p->confirm_within_usec)
				   : 0);
	op_event(op, txn, "policy", "version %" PRIu64 "%s", p->version,
		 p->confirm_within_usec ? ", to be confirmed" : "");
	return 0;
}

static const struct op_kind set_kind = {
	.action = "policy.set",
	.size = sizeof(struct policy_op),
	.prepare = prepare_set,
	.complete = complete,
	.destroy = destroy,
};

static int copy_set(struct policy_op *p, const struct registry_policy_request *request)
{
	const char *problem =
		request->comment ? text_problem(request->comment, RECORD_MAX_TEXT) : NULL;

	if (problem)
		return op_refuse(&p->op, REGISTRY_BAD_REQUEST, "comment: %s", problem);
	if (request->len > RECORD_MAX_POLICY)
		return op_refuse(&p->op, REGISTRY_TOO_LARGE,
				 "the policy has %zu bytes; at most %u KiB are taken", request->len,
				 RECORD_MAX_POLICY >> 10);
	if (request->confirm_within_usec > MAX_CONFIRM_WITHIN_USEC)
		return op_refuse(&p->op, REGISTRY_BAD_REQUEST,
				 "confirm_within: is longer than a day");
	p->text = strndup(request->text, request->len);
	p->comment = request->comment ? strdup(request->comment) : NULL;
	if (!p->text || (request->comment && !p->comment))
		return -ENOMEM;
	if (strlen(p->text) != request->len || !text_is_utf8(p->text))
		return op_refuse(&p->op, REGISTRY_BAD_REQUEST, "the policy is no UTF-8 text");
	p->confirm_within_usec = request->confirm_within_usec;
	p->has_if = request->if_hash != NULL;
	p->if_version = request->if_version;
	if (request->if_hash)
		memcpy(p->if_hash, request->if_hash, sizeof(p->if_hash));
	return sha256(p->text, request->len, p->hash);
}

void registry_set_policy(struct registry *registry, const struct registry_actor *actor,
			 const struct registry_policy_request *request, registry_done_fn done,
			 void *userdata)
{
	struct policy_op *p =
		(struct policy_op *)op_new(registry, &set_kind, actor, done, userdata);

	if (p)
		op_begin(&p->op, copy_set(p, request));
}

/* ---- confirmation ---- */

static int prepare_confirm(struct op *op, struct txn *txn)
{
	const struct policy_current *current = registry_policy_current(op->registry);
	struct policy_current confirmed = *current;

	if (!current->confirm_by)
		return op_refuse(op, REGISTRY_CONFLICT,
				 "no policy waits to be confirmed; version %" PRIu64 " is in force",
				 current->version);
	confirmed.confirm_by = 0;
	txn_put_record(txn, &policy_current_kind, &confirmed);
	op_event(op, txn, "policy", "version %" PRIu64, current->version);
	return 0;
}

static const struct op_kind confirm_kind = {
	.action = "policy.confirm",
	.size = sizeof(struct policy_op),
	.prepare = prepare_confirm,
	.destroy = destroy,
};

void registry_confirm_policy(struct registry *registry, const struct registry_actor *actor,
			     registry_done_fn done, void *userdata)
{
	struct op *op = op_new(registry, &confirm_kind, actor, done, userdata);

	if (op)
		op_run(op);
}

/* ---- rolling back ---- */

static int prepare_rollback(struct op *op, struct txn *txn)
{
	struct policy_op *p = (struct policy_op *)op;
	const struct policy_current *current = registry_policy_current(op->registry);
	int r = 0;

	if (p->is_forced && (!current->confirm_by || current->previous != p->version ||
			     current->confirm_by > op->registry->clock()))
		return OP_ANSWERED; /* somebody has decided in the meantime */
	if (current->version == p->version)
		return op_refuse(op, REGISTRY_CONFLICT, "version %" PRIu64 " is in force already",
				 p->version);
	if (p->version > 0 && !p->is_forced)
		r = check_text(p);
	if (r != 0)
		return r;
	if (p->version > 0)
		policy_txn_enforce(op, txn, p->version, p->text, p->hash, 0);
	else
		policy_txn_enforce_default(op, txn);
	op_event(op, txn, "policy", "from version %" PRIu64 " to %" PRIu64 "%s", current->version,
		 p->version, p->is_forced ? ", which nobody confirmed in time" : "");
	return 0;
}

static const struct op_kind rollback_kind = {
	.action = "policy.rollback",
	.size = sizeof(struct policy_op),
	.prepare = prepare_rollback,
	.complete = complete,
	.destroy = destroy,
};

/* Return: 0, OP_ANSWERED, -ENOMEM, -EIO. */
static int take_version(struct policy_op *p, const struct store_answer *answer)
{
	struct policy_record record;
	int r = policy_read_version(&p->op, answer, p->version, &record);

	if (r != 0)
		return r;
	p->text = take_ptr(record.text);
	memcpy(p->hash, record.hash, sizeof(p->hash));
	policy_record_done(&record);
	return 0;
}

static void on_version(const struct store_answer *answer, void *userdata)
{
	struct policy_op *p = userdata;

	if (!p->op.registry)
		op_free(&p->op);
	else
		op_begin(&p->op, take_version(p, answer));
}

static void roll_back(struct policy_op *p, uint64_t version)
{
	struct registry *registry = p->op.registry;
	char key[POLICY_KEY_SIZE];
	int r;

	p->version = version;
	if (version > POLICY_LAST_VERSION) {
		op_begin(&p->op, policy_no_version(&p->op, version));
		return;
	}
	if (version == 0) {
		op_run(&p->op);
		return;
	}
	r = store_get(registry->store, policy_key(version, key), on_version, p);
	if (r < 0)
		op_fail(&p->op, r);
}

void registry_rollback_policy(struct registry *registry, const struct registry_actor *actor,
			      uint64_t version, registry_done_fn done, void *userdata)
{
	struct policy_op *p =
		(struct policy_op *)op_new(registry, &rollback_kind, actor, done, userdata);

	if (p)
		roll_back(p, version);
}

void policy_roll_back_unconfirmed(struct registry *registry, registry_done_fn done, void *userdata)
{
	struct policy_op *p = (struct policy_op *)op_new(registry, &rollback_kind, &registry_self,
							 done, userdata);

	if (!p)
		return;
	p->is_forced = true;
	roll_back(p, registry_policy_current(registry)->previous);
}
