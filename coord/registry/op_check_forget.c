/* What is remembered of checks is forgotten. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coord/registry/check.h"
#include "coord/registry/field.h"

/* Of one transaction, besides the event. */
#define GRANTS_AT_ONCE 50u

void check_txn_forget(const struct op *op, struct txn *txn, const char *node)
{
	uint64_t revision = check_grant_revision(op->registry, node);

	txn_expect(txn, checkgrant_record_kind.prefix, node, revision);
	if (revision)
		txn_delete(txn, checkgrant_record_kind.prefix, node);
}

/* Of a user there may be more than fit into one transaction: then there are several. */
struct forget {
	struct op op;
	char *word;
	bool more;
};

static void destroy(struct op *op)
{
	free(((struct forget *)op)->word);
}

static int forget_user(struct forget *f, struct txn *txn, const char *login)
{
	const struct registry *registry = f->op.registry;
	size_t n = 0;

	if (f->op.login && strcmp(f->op.login, login) != 0)
		return op_refuse(&f->op, REGISTRY_NOT_ALLOWED, "%s is somebody else", login);
	f->more = false;
	for (size_t i = 0; i < registry_n_checkgrants(registry); i++) {
		const struct checkgrant_record *grant = registry_checkgrant_at(registry, i);

		if (!grant->at || strcmp(grant->user, login) != 0)
			continue;
		if (n == GRANTS_AT_ONCE) {
			f->more = true;
			break;
		}
		check_txn_forget(&f->op, txn, grant->head.id);
		n++;
	}
	if (n == 0)
		return OP_ANSWERED;
	op_event(&f->op, txn, login, "devices: %zu", n);
	return 0;
}

static int prepare(struct op *op, struct txn *txn)
{
	struct forget *f = (struct forget *)op;
	const struct node_record *node = registry_find_node(op->registry, f->word);

	if (!node && registry_user(op->registry, f->word))
		return forget_user(f, txn, f->word);
	if (!node)
		return op_refuse(op, REGISTRY_NOT_FOUND,
				 "there is no such node and no such user; \"coordctl nodes\" and "
				 "\"coordctl users\" show them all");
	if (!op_may_touch(op, node))
		return op_refuse(op, REGISTRY_NOT_ALLOWED, "%s is not yours", node->name);
	if (!check_grant_revision(op->registry, node->head.id))
		return OP_ANSWERED;
	check_txn_forget(op, txn, node->head.id);
	op_event(op, txn, node->head.id, "%s", node->name);
	return 0;
}

static void complete(struct op *op)
{
	op->result.more = ((struct forget *)op)->more;
}

static const struct op_kind kind = {
	.action = "check.forget",
	.size = sizeof(struct forget),
	.for_people = true,
	.prepare = prepare,
	.complete = complete,
	.destroy = destroy,
};

/* ---- one transaction after the other ---- */

struct forgetting {
	struct registry *registry;
	char *who, *from, *login, *word;
	registry_done_fn done;
	void *userdata;
};

static void forgetting_free(struct forgetting *all)
{
	free(all->who);
	free(all->from);
	free(all->login);
	free(all->word);
	free(all);
}

static void start(struct forgetting *all);

static void on_done(const struct registry_result *result, void *userdata)
{
	struct forgetting *all = userdata;

	if (result->code == REGISTRY_OK && result->more) {
		start(all);
		return;
	}
	all->done(result, all->userdata);
	forgetting_free(all);
}

static void start(struct forgetting *all)
{
	const struct registry_actor actor = {
		.who = all->who,
		.from = all->from,
		.login = all->login,
	};
	struct forget *f = (struct forget *)op_new(all->registry, &kind, &actor, on_done, all);

	if (!f)
		return;
	f->word = strdup(all->word);
	op_begin(&f->op, f->word ? 0 : -ENOMEM);
}

static char *copy(const char *text, bool *failed)
{
	char *copy = text ? strdup(text) : NULL;

	*failed |= text && !copy;
	return copy;
}

void registry_forget_checks(struct registry *registry, const struct registry_actor *actor,
			    const char *word, registry_done_fn done, void *userdata)
{
	const struct registry_result no_memory = {
		.code = REGISTRY_UNAVAILABLE,
		.text = "the coordinator is out of memory; try again later",
	};
	struct forgetting *all = calloc(1, sizeof(*all));
	bool failed = !all;

	if (all) {
		*all = (struct forgetting){ .registry = registry,
					    .done = done,
					    .userdata = userdata };
		all->who = copy(actor->who, &failed);
		all->from = copy(actor->from, &failed);
		all->login = copy(actor->login, &failed);
		all->word = copy(word, &failed);
	}
	if (!failed) {
		start(all);
		return;
	}
	if (all)
		forgetting_free(all);
	done(&no_memory, userdata);
}
