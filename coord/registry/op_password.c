/* What somebody shows who has an account here: passwords, codes, and links to set the former. */
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "common/base64.h"
#include "coord/registry/code.h"
#include "coord/registry/names.h"
#include "coord/registry/person.h"

#define PWLINK_LIFETIME_USEC DAY_USEC

struct password_op {
	struct op op;
	char *login;
	char *value;   /* hash of a password, or secret of a TOTP; NULL: none from now on */
	uint64_t step; /* of a TOTP */
	char secret[SECRET_SIZE];
	char link[HASH_ID_SIZE]; /* "": there is no such link */
};

static char *wipe(char *text)
{
	if (text)
		OPENSSL_cleanse(text, strlen(text));
	free(text);
	return NULL;
}

static void destroy(struct op *op)
{
	struct password_op *p = (struct password_op *)op;

	OPENSSL_cleanse(p->secret, sizeof(p->secret));
	p->value = wipe(p->value);
	free(p->login);
}

static void complete(struct op *op)
{
	struct password_op *p = (struct password_op *)op;

	op->result.user = registry_user(op->registry, p->login);
}

/* ---- passwords ---- */

/* The newest is good, and only until there is a password: there is one at most. */
static void drop_links(struct password_op *p, struct txn *txn)
{
	for (size_t i = 0; i < registry_n_pwlinks(p->op.registry); i++) {
		const struct pwlink_record *link = registry_pwlink_at(p->op.registry, i);

		if (strcmp(link->user, p->login) == 0)
			txn_delete(txn, "pwlinks/", link->head.id);
	}
}

/* Whoever knew the old one is out. */
static void put_password(struct password_op *p, struct txn *txn, const struct user_record *old,
			 const char *how)
{
	struct user_record user = *old;

	user.password = p->value;
	user.password_set = person_begin(&p->op, old->password_set);
	user.signed_out = person_end_sessions(&p->op, old->head.id);
	txn_put_record(txn, &user_record_kind, &user);
	drop_links(p, txn);
	op_event(&p->op, txn, old->head.id, how ? "%s" : NULL, how);
}

static int prepare_password(struct op *op, struct txn *txn)
{
	struct password_op *p = (struct password_op *)op;
	const struct user_record *old;
	int r = person_find(op, p->login, &old);

	if (r == 0)
		put_password(p, txn, old, p->value ? NULL : "none from now on");
	return r;
}

/* ---- codes ---- */

static int prepare_totp(struct op *op, struct txn *txn)
{
	struct password_op *p = (struct password_op *)op;
	const struct user_record *old;
	struct user_record user;
	int r = person_find(op, p->login, &old);

	if (r != 0)
		return r;
	user = *old;
	user.totp = p->value;
	user.totp_step = p->step;
	txn_put_record(txn, &user_record_kind, &user);
	op_event(op, txn, p->login, p->value ? NULL : "none from now on");
	return 0;
}

static int prepare_used(struct op *op, struct txn *txn)
{
	struct password_op *p = (struct password_op *)op;
	const struct user_record *old;
	struct user_record user;
	int r = person_find_active(op, p->login, &old);

	if (r != 0)
		return r;
	if (!old->totp || p->step <= old->totp_step)
		return op_refuse(op, REGISTRY_CONFLICT,
				 "this code has been used; wait for the next one");
	user = *old;
	user.totp_step = p->step;
	txn_put_record(txn, &user_record_kind, &user);
	return 0;
}

/* ---- links ---- */

static int prepare_link(struct op *op, struct txn *txn)
{
	struct password_op *p = (struct password_op *)op;
	const struct user_record *user;
	struct pwlink_record link;
	int r = person_find_active(op, p->login, &user);

	if (r != 0)
		return r;
	if (registry_n_pwlinks(op->registry) >= REGISTRY_MAX_PWLINKS)
		return op_refuse(op, REGISTRY_TOO_MANY,
				 "%u links wait to be used, which is the most; those that were not "
				 "go after a day",
				 REGISTRY_MAX_PWLINKS);
	link = (struct pwlink_record){
		.head.id = p->link,
		.user = p->login,
		.created_by = op->who,
		.created = person_begin(op, user->password_set),
		.expires = time_after(op->registry->clock(), PWLINK_LIFETIME_USEC),
	};
	/* Of two that are made at the same time the second has to see the first. */
	txn_put_record(txn, &user_record_kind, user);
	drop_links(p, txn);
	txn_put_record(txn, &pwlink_record_kind, &link);
	op_event(op, txn, p->login, NULL);
	return 0;
}

static void complete_link(struct op *op)
{
	complete(op);
	op->result.secret = ((struct password_op *)op)->secret;
}

static int prepare_use(struct op *op, struct txn *txn)
{
	struct password_op *p = (struct password_op *)op;
	const struct pwlink_record *link = registry_pwlink(op->registry, p->secret);
	const struct user_record *user;
	int r;

	if (!link)
		return op_refuse(op, REGISTRY_NOT_FOUND,
				 "this link has been used, or has run out; ask for another one");
	r = person_find(op, link->user, &user);
	if (r != 0)
		return r;
	free(p->login);
	p->login = strdup(link->user);
	if (!p->login)
		return -ENOMEM;
	/* It goes with all of theirs; nobody else has used it meanwhile. */
	put_password(p, txn, user, "by a link");
	txn_expect(txn, "pwlinks/", link->head.id, link->head.revision);
	return 0;
}

/* ---- beginning ---- */

static const struct op_kind password_kind = {
	.action = "user.set-password",
	.size = sizeof(struct password_op),
	.for_people = true,
	.prepare = prepare_password,
	.complete = complete,
	.destroy = destroy,
};
static const struct op_kind totp_kind = {
	.action = "user.set-totp",
	.size = sizeof(struct password_op),
	.for_people = true,
	.prepare = prepare_totp,
	.complete = complete,
	.destroy = destroy,
};
static const struct op_kind used_kind = {
	.action = "user.used-totp",
	.size = sizeof(struct password_op),
	.for_people = true,
	.prepare = prepare_used,
	.complete = complete,
	.destroy = destroy,
};
static const struct op_kind link_kind = {
	.action = "user.password-link",
	.size = sizeof(struct password_op),
	.prepare = prepare_link,
	.complete = complete_link,
	.destroy = destroy,
};
static const struct op_kind use_kind = {
	.action = "user.set-password",
	.size = sizeof(struct password_op),
	.prepare = prepare_use,
	.complete = complete,
	.destroy = destroy,
};

/* login, value NULL: none. problem: of value, as names.h has it. */
static int fill(struct password_op *p, const char *login, const char *value,
		const char *(*problem)(const char *text))
{
	if (value && problem(value))
		return op_refuse(&p->op, REGISTRY_BAD_REQUEST, "what was given %s", problem(value));
	p->login = login ? strdup(login) : NULL;
	p->value = value ? strdup(value) : NULL;
	return (login && !p->login) || (value && !p->value) ? -ENOMEM : 0;
}

void registry_set_password(struct registry *registry, const struct registry_actor *actor,
			   const char *login, const char *hash, registry_done_fn done,
			   void *userdata)
{
	struct password_op *p =
		(struct password_op *)op_new(registry, &password_kind, actor, done, userdata);

	if (p)
		op_begin(&p->op, fill(p, login, hash, crypt_problem));
}

void registry_set_totp(struct registry *registry, const struct registry_actor *actor,
		       const char *login, const char *secret, uint64_t step, registry_done_fn done,
		       void *userdata)
{
	struct password_op *p =
		(struct password_op *)op_new(registry, &totp_kind, actor, done, userdata);

	if (!p)
		return;
	p->step = step;
	op_begin(&p->op, fill(p, login, secret, totp_problem));
}

void registry_used_totp(struct registry *registry, const struct registry_actor *actor,
			const char *login, uint64_t step, registry_done_fn done, void *userdata)
{
	struct password_op *p =
		(struct password_op *)op_new(registry, &used_kind, actor, done, userdata);

	if (!p)
		return;
	p->step = step;
	op_begin(&p->op, fill(p, login, NULL, NULL));
}

void registry_create_pwlink(struct registry *registry, const struct registry_actor *actor,
			    const char *login, registry_done_fn done, void *userdata)
{
	struct password_op *p =
		(struct password_op *)op_new(registry, &link_kind, actor, done, userdata);
	uint8_t hash[SHA256_LEN];
	int r;

	if (!p)
		return;
	r = fill(p, login, NULL, NULL);
	if (r == 0)
		r = secret_new(p->secret, hash);
	if (r == 0)
		base64url_encode(hash, sizeof(hash), p->link);
	op_begin(&p->op, r);
}

void registry_use_pwlink(struct registry *registry, const struct registry_actor *actor,
			 const char *secret, const char *hash, registry_done_fn done,
			 void *userdata)
{
	struct password_op *p =
		(struct password_op *)op_new(registry, &use_kind, actor, done, userdata);

	if (!p)
		return;
	/* What is longer than a secret is none, and is not found. */
	snprintf(p->secret, sizeof(p->secret), "%s",
		 strlen(secret) < sizeof(p->secret) ? secret : "");
	op_begin(&p->op, fill(p, NULL, hash, crypt_problem));
}
