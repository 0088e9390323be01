/* People who may not sign in for now, and are not here with any of their hosts. */
#include <errno.h>
#include <string.h>

#include "coord/registry/person.h"
#include "coord/registry/suspension.h"

struct suspend_op {
	struct op op;
	char *login;
};

static void destroy(struct op *op)
{
	free(((struct suspend_op *)op)->login);
}

static void complete(struct op *op)
{
	op->result.user = registry_user(op->registry, ((struct suspend_op *)op)->login);
}

/*
 * Is there something to be done? OP_ANSWERED: they are in that state. Whom an operator suspends the
 * provider does not let in again, also if it was the one to say so first.
 */
static int find(struct op *op, bool suspended, const struct user_record **ret_user)
{
	int r = person_find(op, ((struct suspend_op *)op)->login, ret_user);

	if (r != 0 || !(*ret_user)->suspended != !suspended ||
	    (suspended && (*ret_user)->gone_from))
		return r;
	op->result.user = *ret_user;
	return OP_ANSWERED;
}

static int prepare_suspend(struct op *op, struct txn *txn)
{
	const struct user_record *old;
	struct user_record user;
	int r = find(op, true, &old);

	if (r != 0)
		return r;
	user = *old;
	user.suspended = op->registry->clock();
	user.gone_from = NULL;
	user.signed_out = person_end_sessions(op, old->head.id);
	txn_put_record(txn, &user_record_kind, &user);
	op_event(op, txn, old->head.id, NULL);
	suspension_put(op, txn, old->head.id);
	return 0;
}

static int prepare_resume(struct op *op, struct txn *txn)
{
	const struct user_record *old;
	struct user_record user;
	int r = find(op, false, &old);

	if (r != 0)
		return r;
	user = *old;
	user.suspended = 0;
	user.gone_from = NULL;
	txn_put_record(txn, &user_record_kind, &user);
	op_event(op, txn, old->head.id, NULL);
	return 0;
}

static const struct op_kind suspend_kind = {
	.action = "user.suspend",
	.size = sizeof(struct suspend_op),
	.prepare = prepare_suspend,
	.complete = complete,
	.destroy = destroy,
};
static const struct op_kind resume_kind = {
	.action = "user.resume",
	.size = sizeof(struct suspend_op),
	.prepare = prepare_resume,
	.complete = complete,
	.destroy = destroy,
};

void registry_suspend_user(struct registry *registry, const struct registry_actor *actor,
			   const char *login, bool suspended, registry_done_fn done, void *userdata)
{
	struct suspend_op *s = (struct suspend_op *)op_new(
		registry, suspended ? &suspend_kind : &resume_kind, actor, done, userdata);

	if (!s)
		return;
	s->login = strdup(login);
	op_begin(&s->op, s->login ? 0 : -ENOMEM);
}
