/* Somebody comes from a provider: who of ours it is. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "coord/registry/names.h"
#include "coord/registry/person.h"

struct identity_op {
	struct op op;
	char *issuer, *subject, *name;
	char *email; /* in lower case; NULL: none that could be a login */
	struct text_list groups;
	bool may_create;
	char id[HASH_ID_SIZE];
	char *login; /* whom it turned out to be */
};

static void destroy(struct op *op)
{
	struct identity_op *i = (struct identity_op *)op;

	free(i->issuer);
	free(i->subject);
	free(i->name);
	free(i->email);
	text_list_done(&i->groups);
	free(i->login);
}

static void complete(struct op *op)
{
	struct identity_op *i = (struct identity_op *)op;

	op->result.user = registry_user(op->registry, i->login);
}

static int choose(struct identity_op *i, const char *login)
{
	free(i->login);
	i->login = strdup(login);
	return i->login ? 0 : -ENOMEM;
}

/* ---- known ---- */

/*
 * What this provider says now takes the place of what it said before; other providers' words stay.
 * The user has the identity. room: what the list is made in, for as long as the record is used.
 */
static void set_groups(const struct identity_op *i, struct identity room[RECORD_MAX_IDENTITIES],
		       struct user_record *user)
{
	const struct identity *known = user_identity(user, i->issuer, i->subject);

	memcpy(room, user->identities.items, user->identities.n * sizeof(*room));
	room[known - user->identities.items].groups = i->groups;
	user->identities.items = room;
}

/* The provider that knew them no more knows them again. */
static bool is_back(const struct identity_op *i, const struct user_record *user)
{
	return user->gone_from && strcmp(user->gone_from, i->issuer) == 0;
}

/* Their hosts do not come back by that: each is to be logged in again. */
static int put_back(struct identity_op *i, struct txn *txn, const struct user_record *old)
{
	struct identity room[RECORD_MAX_IDENTITIES];
	struct user_record user = *old;

	user.suspended = 0;
	user.gone_from = NULL;
	set_groups(i, room, &user);
	txn_put_record(txn, &user_record_kind, &user);
	op_event_result(&i->op, txn, "user.back", i->login, "ok", i->issuer);
	return 0;
}

static int sign_in(struct identity_op *i, struct txn *txn, const struct user_record *old)
{
	struct identity room[RECORD_MAX_IDENTITIES];
	struct user_record user = *old;
	int r = choose(i, old->head.id);

	if (r == 0 && is_back(i, old))
		return put_back(i, txn, old);
	if (r == 0)
		r = person_find_active(&i->op, i->login, &old);
	if (r != 0)
		return r;
	if (text_list_equal(&user_identity(old, i->issuer, i->subject)->groups, &i->groups)) {
		i->op.result.user = old;
		return OP_ANSWERED;
	}
	set_groups(i, room, &user);
	txn_put_record(txn, &user_record_kind, &user);
	op_event_result(&i->op, txn, "user.groups", i->login, "ok", "as the provider says");
	return 0;
}

/* ---- not known yet ---- */

/* The entry may be there, of somebody who is not, or does not claim it (any more). */
static void claim(struct identity_op *i, struct txn *txn)
{
	const struct record_head *there = table_find(&i->op.registry->state->idps, i->id);
	const struct idp_record idp = {
		.head = { .id = i->id, .revision = there ? there->revision : 0 },
		.user = i->login,
	};

	txn_put_record(txn, &idp_record_kind, &idp);
}

static void put(struct identity_op *i, struct txn *txn, struct user_record *user)
{
	struct identity identity = { .issuer = i->issuer,
				     .subject = i->subject,
				     .groups = i->groups };

	user->identities = (struct identity_list){ .items = &identity, .n = 1 };
	if (!user->name)
		user->name = i->name;
	claim(i, txn);
	txn_put_record(txn, &user_record_kind, user);
}

/* Somebody was added by hand, and comes for the first time. */
static int bind_to(struct identity_op *i, struct txn *txn, const struct user_record *old)
{
	struct user_record user = *old;
	int r = person_find_active(&i->op, i->login, &old);

	if (r != 0)
		return r;
	if (old->identities.n > 0)
		return op_refuse(&i->op, REGISTRY_NOT_ALLOWED,
				 "%s is known here by another account, of this provider or of "
				 "another one; ask an operator",
				 i->login);
	put(i, txn, &user);
	op_event_result(&i->op, txn, "user.bind", i->login, "ok", i->issuer);
	return 0;
}

static int create(struct identity_op *i, struct txn *txn)
{
	struct user_record user = { .head.id = i->login, .created = i->op.registry->clock() };

	if (!i->may_create)
		return op_refuse(&i->op, REGISTRY_NOT_ALLOWED,
				 "%s is not known here; ask an operator (coordctl users add)",
				 i->login);
	if (registry_n_users(i->op.registry) >= REGISTRY_MAX_USERS)
		return op_refuse(&i->op, REGISTRY_TOO_MANY, "there are %u users, which is the most",
				 REGISTRY_MAX_USERS);
	put(i, txn, &user);
	op_event_result(&i->op, txn, "user.add", i->login, "ok", i->issuer);
	return 0;
}

static int prepare(struct op *op, struct txn *txn)
{
	struct identity_op *i = (struct identity_op *)op;
	const struct user_record *user =
		registry_user_by_identity(op->registry, i->issuer, i->subject);
	int r;

	if (user)
		return sign_in(i, txn, user);
	if (!i->email)
		return op_refuse(op, REGISTRY_NOT_ALLOWED,
				 "you are not known here, and the provider does not vouch for an "
				 "address for mail that you could be known by; ask an operator");
	r = choose(i, i->email);
	if (r != 0)
		return r;
	user = registry_user(op->registry, i->login);
	return user ? bind_to(i, txn, user) : create(i, txn);
}

static const struct op_kind kind = {
	.action = "user.sign-in",
	.size = sizeof(struct identity_op),
	.prepare = prepare,
	.complete = complete,
	.destroy = destroy,
};

/* ---- what the provider says ---- */

static int check(struct identity_op *i, const struct registry_identity *identity)
{
	const char *wrong = text_problem(identity->issuer, RECORD_MAX_TEXT);

	if (!wrong)
		wrong = text_problem(identity->subject, RECORD_MAX_TEXT);
	if (wrong)
		return op_refuse(&i->op, REGISTRY_BAD_REQUEST, "what the provider calls you by %s",
				 wrong);
	if (identity->groups.n > RECORD_MAX_GROUPS)
		return op_refuse(&i->op, REGISTRY_BAD_REQUEST,
				 "the provider says that you are in %zu groups; at most %u can be "
				 "kept",
				 identity->groups.n, RECORD_MAX_GROUPS);
	for (size_t k = 0; k < identity->groups.n; k++) {
		wrong = text_problem(identity->groups.items[k], RECORD_MAX_TEXT);
		if (wrong)
			return op_refuse(&i->op, REGISTRY_BAD_REQUEST,
					 "the name of a group that the provider says you are in %s",
					 wrong);
	}
	return 0;
}

/* Logins are in lower case, so that one person has one. */
static int copy_email(struct identity_op *i, const char *email)
{
	if (!email)
		return 0;
	i->email = strdup(email);
	if (!i->email)
		return -ENOMEM;
	for (char *p = i->email; *p; p++)
		*p = (char)(isascii((unsigned char)*p) ? tolower((unsigned char)*p) : *p);
	if (login_problem(i->email))
		free(take_ptr(i->email));
	return 0;
}

static int copy(struct identity_op *i, const struct registry_identity *identity)
{
	/* A name that will not do is no reason to send somebody away. */
	const char *name = identity->name && !text_problem(identity->name, RECORD_MAX_TEXT)
				   ? identity->name
				   : NULL;
	int r;

	i->issuer = strdup(identity->issuer);
	i->subject = strdup(identity->subject);
	i->name = name ? strdup(name) : NULL;
	if (!i->issuer || !i->subject || (name && !i->name))
		return -ENOMEM;
	r = copy_email(i, identity->email);
	if (r == 0)
		r = text_list_copy(&identity->groups, &i->groups);
	if (r < 0)
		return r;
	text_list_sort(&i->groups);
	i->op.tell_refusal = true;
	i->op.object = strdup(i->email ? i->email : i->subject);
	return i->op.object ? identity_id(i->issuer, i->subject, i->id) : -ENOMEM;
}

void registry_sign_in_identity(struct registry *registry, const struct registry_actor *actor,
			       const struct registry_identity *identity, bool may_create,
			       registry_done_fn done, void *userdata)
{
	struct identity_op *i =
		(struct identity_op *)op_new(registry, &kind, actor, done, userdata);
	int r;

	if (!i)
		return;
	i->may_create = may_create;
	r = check(i, identity);
	if (r == 0)
		r = copy(i, identity);
	op_begin(&i->op, r);
}
