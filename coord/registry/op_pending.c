/* Machines that wait: approved, rejected, asked about. */
#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "coord/registry/admit.h"
#include "coord/registry/pending.h"

struct decide {
	struct op op;
	char code[CODE_LEN + 1];
	char *user;
	struct text_list tags;
	char id[ID_SIZE];
};

static void destroy(struct op *op)
{
	struct decide *d = (struct decide *)op;

	free(d->user);
	text_list_done(&d->tags);
}

static int find(struct decide *d, const struct pending_record **ret_pending)
{
	const struct pending_record *pending = registry_pending(d->op.registry, d->code);

	if (!pending || pending->expires <= d->op.registry->clock())
		return op_refuse(&d->op, REGISTRY_NOT_FOUND,
				 "no machine waits under this code (any more); \"coordctl auth "
				 "list\" shows those that do");
	if (pending->state == PENDING_APPROVED)
		return op_refuse(&d->op, REGISTRY_CONFLICT, "%s was approved already", d->code);
	if (pending->state == PENDING_REJECTED)
		return op_refuse(&d->op, REGISTRY_CONFLICT, "%s was rejected already", d->code);
	*ret_pending = pending;
	return 0;
}

/* What was said; else what the machine asked for; else what it was. */
static int choose_owner(struct decide *d, const struct pending_record *pending,
			struct admission *admission)
{
	const struct node_record *old = registry_node_by_machine(d->op.registry, &pending->machine);

	if (d->user)
		admission->user = d->user;
	else if (d->tags.n > 0)
		admission->tags = &d->tags;
	else if (pending->tags.n > 0)
		admission->tags = &pending->tags;
	else if (old && old->user)
		admission->user = old->user;
	else if (old)
		admission->tags = &old->tags;
	else if (d->op.login)
		admission->user = d->op.login;
	else
		return op_refuse(&d->op, REGISTRY_BAD_REQUEST,
				 "say whose the machine is: a user, or tags");
	return 0;
}

static int check_owner(struct decide *d, const struct admission *admission)
{
	const struct policy_giver giver = admit_actor(&d->op);

	if (admission->user && d->op.login && strcmp(admission->user, d->op.login) != 0)
		return op_refuse(&d->op, REGISTRY_NOT_ALLOWED,
				 "you can approve machines of your own only");
	return admission->tags ? admit_check_tags(&d->op, &giver, admission->tags) : 0;
}

static int prepare_approve(struct op *op, struct txn *txn)
{
	struct decide *d = (struct decide *)op;
	const struct pending_record *pending;
	struct admission admission = { 0 };
	struct pending_record decided;
	int r;

	r = find(d, &pending);
	if (r == 0)
		r = choose_owner(d, pending, &admission);
	if (r == 0)
		r = check_owner(d, &admission);
	if (r != 0)
		return r;
	admission.machine = &pending->machine;
	admission.key = &pending->key;
	admission.facts = &pending->facts;
	r = admit_node(op, txn, &admission, d->id);
	if (r != 0)
		return r;
	decided = *pending;
	decided.state = PENDING_APPROVED;
	decided.node = d->id;
	txn_put_record(txn, &pending_record_kind, &decided);
	return 0;
}

static void complete_approve(struct op *op)
{
	struct decide *d = (struct decide *)op;

	op->result.node = registry_node(op->registry, d->id);
	op->result.pending = registry_pending(op->registry, d->code);
}

static const struct op_kind approve_kind = {
	.action = "node.approve",
	.size = sizeof(struct decide),
	.for_people = true,
	.prepare = prepare_approve,
	.complete = complete_approve,
	.destroy = destroy,
};

static int prepare_reject(struct op *op, struct txn *txn)
{
	struct decide *d = (struct decide *)op;
	const struct pending_record *pending;
	struct pending_record decided;
	int r = find(d, &pending);

	if (r != 0)
		return r;
	decided = *pending;
	decided.state = PENDING_REJECTED;
	txn_put_record(txn, &pending_record_kind, &decided);
	op_event(op, txn, d->code, NULL);
	return 0;
}

static void complete_reject(struct op *op)
{
	struct decide *d = (struct decide *)op;

	op->result.pending = registry_pending(op->registry, d->code);
}

static const struct op_kind reject_kind = {
	.action = "node.reject",
	.size = sizeof(struct decide),
	.for_people = true,
	.prepare = prepare_reject,
	.complete = complete_reject,
	.destroy = destroy,
};

static struct decide *decide_new(struct registry *registry, const struct op_kind *kind,
				 const struct registry_actor *actor, const char *code,
				 registry_done_fn done, void *userdata)
{
	struct decide *d = (struct decide *)op_new(registry, kind, actor, done, userdata);

	/* What is no code is not found. */
	if (d && !code_normalize(code, d->code))
		d->code[0] = '\0';
	return d;
}

void registry_approve(struct registry *registry, const struct registry_actor *actor,
		      const char *code, const char *user, const struct text_list *tags,
		      registry_done_fn done, void *userdata)
{
	struct decide *d = decide_new(registry, &approve_kind, actor, code, done, userdata);
	int r = 0;

	if (!d)
		return;
	if (user && tags && tags->n > 0) {
		r = op_refuse(
			&d->op, REGISTRY_BAD_REQUEST,
			"a user and tags do not go together; a tagged node belongs to nobody");
	} else if (user) {
		d->user = strdup(user);
		r = d->user ? 0 : -ENOMEM;
	} else if (tags) {
		r = text_list_copy(tags, &d->tags);
		text_list_sort(&d->tags);
	}
	op_begin(&d->op, r);
}

void registry_reject(struct registry *registry, const struct registry_actor *actor,
		     const char *code, registry_done_fn done, void *userdata)
{
	struct decide *d = decide_new(registry, &reject_kind, actor, code, done, userdata);

	if (d)
		op_run(&d->op);
}

/* ---- the machine asks ---- */

void registry_enrol_state(struct registry *registry, const char *secret, registry_done_fn done,
			  void *userdata)
{
	const struct pending_record *pending = registry_pending_by_secret(registry, secret);
	struct registry_result result = {
		.code = REGISTRY_NOT_FOUND,
		.text = "nothing waits under this id (any more); begin anew",
		.revision = registry_revision(registry),
	};

	if (pending && pending->state == PENDING_WAITING) {
		result = (struct registry_result){ .code = REGISTRY_WAITING, .pending = pending };
	} else if (pending && pending->state == PENDING_REJECTED) {
		result.code = REGISTRY_REJECTED;
		result.text = "somebody has said no to this machine";
	} else if (pending && registry_node(registry, pending->node)) {
		result = (struct registry_result){
			.code = REGISTRY_OK,
			.node = registry_node(registry, pending->node),
		};
	}
	done(&result, userdata);
}
