#include "coord/registry/op.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "common/text.h"
#include "coord/registry/accounts.h"
#include "coord/registry/code.h"

/* Who loses this often is not unlucky: something is wrong. */
#define MAX_ATTEMPTS 64u
/* Refusals that are told by events, a minute: they are there for anybody to cause. */
#define MAX_REFUSALS_TOLD 60u

static int copy_text(const char *text, char **ret_copy)
{
	if (!text)
		return 0;
	*ret_copy = strdup(text);
	return *ret_copy ? 0 : -ENOMEM;
}

struct op *op_new(struct registry *registry, const struct op_kind *kind,
		  const struct registry_actor *actor, registry_done_fn done, void *userdata)
{
	const struct registry_result no_memory = {
		.code = REGISTRY_UNAVAILABLE,
		.text = "the coordinator is out of memory; try again later",
	};
	struct op *op = calloc(1, kind->size);

	if (op) {
		op->kind = kind;
		op->scopes = actor->scopes;
		if (copy_text(actor->who, &op->who) < 0 || copy_text(actor->from, &op->from) < 0 ||
		    copy_text(actor->login, &op->login) < 0)
			op = op_free(op);
	}
	if (!op) {
		done(&no_memory, userdata);
		return NULL;
	}
	op->registry = registry;
	op->done = done;
	op->userdata = userdata;
	op->next = registry->ops;
	if (op->next)
		op->next->self = &op->next;
	op->self = &registry->ops;
	registry->ops = op;
	return op;
}

static void leave_list(struct op *op)
{
	if (!op->self)
		return;
	*op->self = op->next;
	if (op->next)
		op->next->self = op->self;
	op->self = NULL;
	op->next = NULL;
}

struct op *op_free(struct op *op)
{
	if (!op)
		return NULL;
	leave_list(op);
	if (op->kind->destroy)
		op->kind->destroy(op);
	free(op->who);
	free(op->from);
	free(op->login);
	free(op->object);
	free(op->text);
	free(op);
	return NULL;
}

/* ---- answers ---- */

int op_refuse(struct op *op, enum registry_code code, const char *fmt, ...)
{
	va_list ap;

	free(op->text);
	va_start(ap, fmt);
	op->text = text_vprintf(fmt, ap);
	va_end(ap);
	if (!op->text)
		return -ENOMEM;
	op->result.code = code;
	op->result.text = op->text;
	return OP_ANSWERED;
}

bool op_may_touch(const struct op *op, const struct node_record *node)
{
	return !op->login || (node->user && strcmp(node->user, op->login) == 0);
}

static bool may_tell_refusal(struct registry *registry)
{
	uint64_t now = registry->clock();

	if (now < registry->refusals_from ||
	    now - registry->refusals_from >= 60 * UINT64_C(1000000)) {
		registry->refusals_from = now;
		registry->refusals_told = 0;
	}
	return registry->refusals_told++ < MAX_REFUSALS_TOLD;
}

static void ignore_result(const struct registry_result *result, void *userdata)
{
}

void op_tell_refusal(struct registry *registry, const struct registry_actor *actor,
		     const struct registry_event *event)
{
	if (may_tell_refusal(registry))
		registry_add_event(registry, actor, event, ignore_result, NULL);
}

static void tell_refusal(const struct op *op)
{
	const struct registry_actor actor = { .who = op->who, .from = op->from };
	const struct registry_event event = {
		.action = op->kind->action,
		.object = op->object,
		.result = registry_code_to_string(op->result.code),
		.details = op->result.text,
	};

	op_tell_refusal(op->registry, &actor, &event);
}

void op_finish(struct op *op)
{
	if (op->registry) {
		leave_list(op);
		if (op->tell_refusal && op->result.code > REGISTRY_WAITING &&
		    op->result.code != REGISTRY_UNAVAILABLE)
			tell_refusal(op);
		if (!op->result.revision)
			op->result.revision = op->registry->state->revision;
		op->done(&op->result, op->userdata);
	}
	op_free(op);
}

static void unavailable(struct op *op, const char *text)
{
	op->result = (struct registry_result){ .code = REGISTRY_UNAVAILABLE, .text = text };
	op_finish(op);
}

void op_fail(struct op *op, int error)
{
	switch (error) {
	case -ENOMEM:
		unavailable(op, "the coordinator is out of memory; try again later");
		break;
	case -E2BIG:
	case -EINVAL:
		op->result = (struct registry_result){
			.code = REGISTRY_TOO_LARGE,
			.text = "this is more than fits into one change; make it smaller",
		};
		op_finish(op);
		break;
	default:
		unavailable(op, "the coordinator could not do it; its log says more");
	}
}

static void written(struct op *op, uint64_t revision)
{
	op->result.code = REGISTRY_OK;
	op->result.revision = revision;
	if (op->kind->complete)
		op->kind->complete(op);
	op_finish(op);
}

/* ---- transactions ---- */

/* The state does not show yet what the store knows. */
static bool wait_for(struct op *op, uint64_t revision, bool is_written)
{
	if (op->registry->state->revision >= revision)
		return false;
	op->is_waiting = true;
	op->is_written = is_written;
	op->awaited = revision;
	return true;
}

static void handle_conflict(struct op *op, const struct store_answer *answer)
{
	const char *key = answer->conflict ? answer->conflict->key : "?";

	if (strncmp(key, "name/", strlen("name/")) == 0)
		op->next_suffix = op->used_suffix + 1;
	if (++op->attempts == MAX_ATTEMPTS) {
		registry_complain(op->registry, "%s: gave up after %u attempts, the last at %s",
				  op->kind->action, op->attempts, key);
		unavailable(op, "too much is changing at the same time; try again later");
		return;
	}
	if (!wait_for(op, answer->revision, false))
		op_run(op);
}

static void on_answer(const struct store_answer *answer, void *userdata)
{
	struct op *op = userdata;

	if (!op->registry) {
		op_free(op);
		return;
	}
	switch (answer->status) {
	case 0:
		if (!wait_for(op, answer->revision, true))
			written(op, answer->revision);
		break;
	case -EBUSY:
		handle_conflict(op, answer);
		break;
	case -ETIMEDOUT:
		unavailable(op, "the store did not answer in time; whether it is done will be seen "
				"later");
		break;
	default:
		registry_complain(op->registry, "%s: %s", op->kind->action, answer->text);
		op_fail(op, answer->status == -ENOMEM ? -ENOMEM : -EIO);
	}
}

void op_run(struct op *op)
{
	struct registry *registry = op->registry;
	struct txn txn = { 0 };
	int r;

	op->result = (struct registry_result){ 0 };
	if (!registry->is_ready) {
		unavailable(op, "the coordinator is starting; try again in a moment");
		return;
	}
	if (op->login && !op->kind->for_people)
		r = op_refuse(op, REGISTRY_NOT_ALLOWED, "this is for operators to do");
	else if (op->login && !registry_user_is_active(registry, op->login))
		r = op_refuse(op, REGISTRY_NOT_ALLOWED, "%s may not do anything here (any more)",
			      op->login);
	else
		r = op->kind->prepare(op, &txn);
	if (r == 0)
		r = txn.error;
	if (r == -EBADMSG)
		registry_complain(registry, "%s: %s", op->kind->action, txn.text);
	if (r == OP_ANSWERED) {
		txn_done(&txn);
		op_finish(op);
		return;
	}
	if (r == 0)
		r = store_txn(registry->store, txn.conds, txn.n_conds, txn.ops, txn.n_ops,
			      on_answer, op);
	txn_done(&txn);
	/* Otherwise the operation may be gone already. */
	if (r < 0)
		op_fail(op, r);
}

void op_begin(struct op *op, int r)
{
	if (r == OP_ANSWERED)
		op_finish(op);
	else if (r < 0)
		op_fail(op, r);
	else
		op_run(op);
}

/* One at a time, from the beginning: they start and end others. */
void ops_wake(struct registry *registry)
{
	for (struct op *op = registry->ops; op;) {
		if (!op->is_waiting || op->awaited > registry->state->revision) {
			op = op->next;
			continue;
		}
		op->is_waiting = false;
		if (op->is_written)
			written(op, op->awaited);
		else
			op_run(op);
		op = registry->ops;
	}
}

void ops_abandon(struct registry *registry)
{
	const struct registry_result stopping = {
		.code = REGISTRY_UNAVAILABLE,
		.text = "the coordinator is stopping; try again in a moment",
	};

	while (registry->ops) {
		struct op *op = registry->ops;

		leave_list(op);
		op->registry = NULL;
		op->done(&stopping, op->userdata);
		if (op->is_waiting)
			op_free(op);
	}
}

/* ---- events ---- */

/* Also what the coordinator does about nodes by itself: they come and go as they like. */
static bool is_by_machine(const struct op *op, const char *action)
{
	return strncmp(op->who, "node:", strlen("node:")) == 0 ||
	       strncmp(op->who, "machine:", strlen("machine:")) == 0 ||
	       (strcmp(op->who, registry_self.who) == 0 &&
		strncmp(action, "node.", strlen("node.")) == 0);
}

static void put_event(struct op *op, struct txn *txn, const struct registry_event *event)
{
	_cleanup_free_ char *details = NULL;
	char id[32], suffix[7];
	struct event_record record = {
		.head.id = id,
		.time = op->registry->clock(),
		.actor = op->who,
		.from = op->from,
		.action = (char *)event->action,
		.object = (char *)event->object,
		.result = (char *)event->result,
	};

	if (event->details && *event->details)
		record.details = details = text_sanitize(event->details, RECORD_MAX_DETAILS);
	if (id_suffix_new(suffix) < 0 || (event->details && *event->details && !details)) {
		txn->error = txn->error ? txn->error : -ENOMEM;
		return;
	}
	snprintf(id, sizeof(id), "%016" PRIu64 "%c%s", record.time,
		 is_by_machine(op, event->action) ? '.' : '-', suffix);
	txn_put_record(txn, &event_record_kind, &record);
}

void op_event_result(struct op *op, struct txn *txn, const char *action, const char *object,
		     const char *result, const char *details)
{
	const struct registry_event event = {
		.action = action,
		.object = object,
		.result = result,
		.details = details,
	};

	put_event(op, txn, &event);
}

void op_event(struct op *op, struct txn *txn, const char *object, const char *details, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	if (details) {
		va_start(ap, details);
		text = text_vprintf(details, ap);
		va_end(ap);
		if (!text)
			txn->error = txn->error ? txn->error : -ENOMEM;
	}
	op_event_result(op, txn, op->kind->action, object, "ok", text);
}
