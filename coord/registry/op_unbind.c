/* Somebody is not known any more by an account that they have at a provider. */
#include <errno.h>
#include <string.h>

#include "coord/registry/person.h"

#define AT_PROVIDER "oidc:" /* method of sessions that began there */

struct unbind_op {
	struct op op;
	char *login;
	char *issuer, *subject; /* NULL: the only one */
};

static void destroy(struct op *op)
{
	struct unbind_op *u = (struct unbind_op *)op;

	free(u->login);
	free(u->issuer);
	free(u->subject);
}

static void complete(struct op *op)
{
	op->result.user = registry_user(op->registry, ((struct unbind_op *)op)->login);
}

/* Return: 0; OP_ANSWERED: there is none, or it is not clear which; -ENOMEM. */
static int choose(struct unbind_op *u, const struct user_record *user,
		  const struct identity **ret_identity)
{
	if (!u->issuer && user->identities.n > 1)
		return op_refuse(&u->op, REGISTRY_CONFLICT,
				 "%s is known by %zu accounts of providers; name the issuer and "
				 "the subject of one (coordctl users show)",
				 u->login, user->identities.n);
	if (u->issuer)
		*ret_identity = user_identity(user, u->issuer, u->subject);
	else
		*ret_identity = user->identities.n > 0 ? &user->identities.items[0] : NULL;
	if (*ret_identity)
		return 0;
	return op_refuse(&u->op, REGISTRY_NOT_FOUND,
			 u->issuer ? "%s is not known by this account; \"coordctl users show\" "
				     "shows those that there are"
				   : "%s is known by no account of a provider",
			 u->login);
}

/* No more than REGISTRY_MAX_SESSIONS_EACH: one transaction takes them. */
static void close_sessions(struct unbind_op *u, struct txn *txn)
{
	const struct registry *registry = u->op.registry;

	for (size_t i = 0; i < registry_n_websessions(registry); i++) {
		const struct websession_record *session = registry_websession_at(registry, i);

		if (strcmp(session->user, u->login) == 0 &&
		    strncmp(session->method, AT_PROVIDER, strlen(AT_PROVIDER)) == 0)
			txn_delete(txn, "websessions/", session->head.id);
	}
}

static void put_without(struct txn *txn, const struct user_record *old, const struct identity *gone)
{
	struct identity identities[RECORD_MAX_IDENTITIES];
	struct user_record user = *old;

	user.identities = (struct identity_list){ .items = identities };
	for (size_t i = 0; i < old->identities.n; i++)
		if (&old->identities.items[i] != gone)
			identities[user.identities.n++] = old->identities.items[i];
	txn_put_record(txn, &user_record_kind, &user);
}

static int prepare(struct op *op, struct txn *txn)
{
	struct unbind_op *u = (struct unbind_op *)op;
	const struct user_record *user;
	const struct identity *identity;
	int r = person_find(op, u->login, &user);

	if (r == 0)
		r = choose(u, user, &identity);
	if (r == 0)
		r = person_release(op, txn, u->login, identity);
	if (r != 0)
		return r;
	put_without(txn, user, identity);
	close_sessions(u, txn);
	op_event(op, txn, u->login, "%s %s", identity->issuer, identity->subject);
	return 0;
}

static const struct op_kind kind = {
	.action = "user.unbind",
	.size = sizeof(struct unbind_op),
	.prepare = prepare,
	.complete = complete,
	.destroy = destroy,
};

static int copy(struct unbind_op *u, const char *login, const char *issuer, const char *subject)
{
	if (!issuer != !subject)
		return op_refuse(&u->op, REGISTRY_BAD_REQUEST,
				 "name the issuer and the subject, or neither");
	u->login = strdup(login);
	u->issuer = issuer ? strdup(issuer) : NULL;
	u->subject = subject ? strdup(subject) : NULL;
	return u->login && !issuer == !u->issuer && !subject == !u->subject ? 0 : -ENOMEM;
}

void registry_unbind_identity(struct registry *registry, const struct registry_actor *actor,
			      const char *login, const char *issuer, const char *subject,
			      registry_done_fn done, void *userdata)
{
	struct unbind_op *u = (struct unbind_op *)op_new(registry, &kind, actor, done, userdata);

	if (u)
		op_begin(&u->op, copy(u, login, issuer, subject));
}
