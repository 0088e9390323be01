/* What is kept of providers' tokens, and what follows when one is not taken any more. */
#include <errno.h>
#include <string.h>

#include "coord/registry/person.h"
#include "coord/registry/renewal.h"
#include "coord/registry/suspension.h"

struct renewal_op {
	struct op op;
	char *issuer, *subject, *provider; /* of a new one */
	char *sealed;			   /* may be NULL */
	char *why;			   /* may be NULL */
	char id[HASH_ID_SIZE];
	uint64_t revision;
};

static void destroy(struct op *op)
{
	struct renewal_op *r = (struct renewal_op *)op;

	free(r->issuer);
	free(r->subject);
	free(r->provider);
	free(r->sealed);
	free(r->why);
}

/* ---- a new one ---- */

static int prepare_keep(struct op *op, struct txn *txn)
{
	struct renewal_op *r = (struct renewal_op *)op;
	const struct user_record *user =
		registry_user_by_identity(op->registry, r->issuer, r->subject);
	const struct renewal_record *there = registry_renewal(op->registry, r->id);
	struct renewal_record renewal;

	if (!user || user->suspended)
		return op_refuse(op, REGISTRY_NOT_ALLOWED,
				 "there is nobody (any more) that this could be kept for");
	renewal = (struct renewal_record){
		.head = { .id = r->id, .revision = there ? there->head.revision : 0 },
		.user = user->head.id,
		.provider = r->provider,
		.issuer = r->issuer,
		.subject = r->subject,
		.sealed = r->sealed,
		.created = person_begin(op, user->signed_out),
		.confirmed = op->registry->clock(),
	};
	txn_expect(txn, "users/", user->head.id, user->head.revision);
	txn_put_record(txn, &renewal_record_kind, &renewal);
	return 0;
}

static const struct op_kind keep_kind = {
	.action = "user.renewal",
	.size = sizeof(struct renewal_op),
	.prepare = prepare_keep,
	.destroy = destroy,
};

void registry_keep_renewal(struct registry *registry, const struct registry_actor *actor,
			   const struct registry_renewal *renewal, registry_done_fn done,
			   void *userdata)
{
	struct renewal_op *r =
		(struct renewal_op *)op_new(registry, &keep_kind, actor, done, userdata);

	if (!r)
		return;
	r->issuer = strdup(renewal->issuer);
	r->subject = strdup(renewal->subject);
	r->provider = strdup(renewal->provider);
	r->sealed = strdup(renewal->sealed);
	op_begin(&r->op, r->issuer && r->subject && r->provider && r->sealed
				 ? identity_id(r->issuer, r->subject, r->id)
				 : -ENOMEM);
}

/* ---- one that is there ---- */

/* Return: 0; OP_ANSWERED: it is not that any more; -ENOMEM. */
static int find(struct renewal_op *r, const struct renewal_record **ret_renewal)
{
	const struct renewal_record *renewal = registry_renewal(r->op.registry, r->id);

	if (!renewal || renewal->head.revision != r->revision)
		return op_refuse(&r->op, REGISTRY_CONFLICT,
				 "the person has signed in meanwhile, or is not here any more");
	*ret_renewal = renewal;
	return 0;
}

static void delete (struct renewal_op *r, struct txn *txn)
{
	txn_expect(txn, renewal_record_kind.prefix, r->id, r->revision);
	txn_delete(txn, renewal_record_kind.prefix, r->id);
}

static int prepare_ask(struct op *op, struct txn *txn)
{
	struct renewal_op *r = (struct renewal_op *)op;
	const struct renewal_record *old;
	struct renewal_record renewal;
	int e = find(r, &old);

	if (e != 0)
		return e;
	renewal = *old;
	renewal.asked = true;
	txn_put_record(txn, &renewal_record_kind, &renewal);
	return 0;
}

static int prepare_confirm(struct op *op, struct txn *txn)
{
	struct renewal_op *r = (struct renewal_op *)op;
	const struct renewal_record *old;
	struct renewal_record renewal;
	int e = find(r, &old);

	if (e != 0)
		return e;
	renewal = *old;
	renewal.confirmed = op->registry->clock();
	renewal.asked = false;
	if (r->sealed) {
		renewal.sealed = r->sealed;
		renewal.changes = true;
	}
	txn_put_record(txn, &renewal_record_kind, &renewal);
	return 0;
}

static int prepare_gone(struct op *op, struct txn *txn)
{
	struct renewal_op *r = (struct renewal_op *)op;
	const struct renewal_record *renewal;
	const struct user_record *old;
	struct user_record user;
	int e = find(r, &renewal);

	if (e != 0)
		return e;
	delete (r, txn);
	if (!registry_renewal_is_live(op->registry, renewal))
		return 0;
	old = registry_user(op->registry, renewal->user);
	user = *old;
	user.suspended = op->registry->clock();
	user.gone_from = renewal->issuer;
	user.signed_out = person_end_sessions(op, old->head.id);
	txn_put_record(txn, &user_record_kind, &user);
	op_event(op, txn, old->head.id, "oidc:%s: %s", renewal->provider, r->why);
	suspension_put(op, txn, old->head.id);
	return 0;
}

static int prepare_drop(struct op *op, struct txn *txn)
{
	struct renewal_op *r = (struct renewal_op *)op;
	const struct renewal_record *renewal;
	int e = find(r, &renewal);

	if (e != 0)
		return e;
	delete (r, txn);
	if (r->why)
		op_event(op, txn, renewal->user, "oidc:%s: %s", renewal->provider, r->why);
	return 0;
}

static const struct op_kind ask_kind = {
	.action = "user.renewal",
	.size = sizeof(struct renewal_op),
	.prepare = prepare_ask,
	.destroy = destroy,
};
static const struct op_kind confirm_kind = {
	.action = "user.renewal",
	.size = sizeof(struct renewal_op),
	.prepare = prepare_confirm,
	.destroy = destroy,
};
static const struct op_kind gone_kind = {
	.action = "user.gone",
	.size = sizeof(struct renewal_op),
	.prepare = prepare_gone,
	.destroy = destroy,
};
static const struct op_kind drop_kind = {
	.action = "user.renewal-lost",
	.size = sizeof(struct renewal_op),
	.prepare = prepare_drop,
	.destroy = destroy,
};

static int copy(const char *text, char **ret_copy)
{
	*ret_copy = text ? strdup(text) : NULL;
	return text && !*ret_copy ? -ENOMEM : 0;
}

static void begin(struct renewal_op *r, const struct registry_renewal_at *at, const char *sealed,
		  const char *why)
{
	int e;

	if (!r)
		return;
	snprintf(r->id, sizeof(r->id), "%s", at->id);
	r->revision = at->revision;
	e = copy(sealed, &r->sealed);
	if (e == 0)
		e = copy(why, &r->why);
	op_begin(&r->op, e);
}

void registry_ask_renewal(struct registry *registry, const struct registry_actor *actor,
			  const struct registry_renewal_at *at, registry_done_fn done,
			  void *userdata)
{
	begin((struct renewal_op *)op_new(registry, &ask_kind, actor, done, userdata), at, NULL,
	      NULL);
}

void registry_confirm_renewal(struct registry *registry, const struct registry_actor *actor,
			      const struct registry_renewal_at *at, const char *sealed,
			      registry_done_fn done, void *userdata)
{
	begin((struct renewal_op *)op_new(registry, &confirm_kind, actor, done, userdata), at,
	      sealed, NULL);
}

void registry_renewal_gone(struct registry *registry, const struct registry_actor *actor,
			   const struct registry_renewal_at *at, const char *why,
			   registry_done_fn done, void *userdata)
{
	begin((struct renewal_op *)op_new(registry, &gone_kind, actor, done, userdata), at, NULL,
	      why);
}

void registry_drop_renewal(struct registry *registry, const struct registry_actor *actor,
			   const struct registry_renewal_at *at, const char *why,
			   registry_done_fn done, void *userdata)
{
	begin((struct renewal_op *)op_new(registry, &drop_kind, actor, done, userdata), at, NULL,
	      why);
}

/* ---- reading ---- */

const struct renewal_record *registry_renewal(const struct registry *registry, const char *id)
{
	return (const struct renewal_record *)table_find(&registry->state->renewals, id);
}

const struct renewal_record *registry_renewal_of(const struct registry *registry,
						 const char *issuer, const char *subject)
{
	char id[HASH_ID_SIZE];

	return identity_id(issuer, subject, id) < 0 ? NULL : registry_renewal(registry, id);
}

bool registry_renewal_is_live(const struct registry *registry, const struct renewal_record *renewal)
{
	const struct user_record *user = registry_user(registry, renewal->user);

	return user && !user->suspended && renewal->created >= user->created &&
	       user_identity(user, renewal->issuer, renewal->subject);
}
