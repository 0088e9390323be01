#include "coord/registry/person.h"

#include <errno.h>
#include <string.h>

#include "common/base64.h"
#include "common/text.h"
#include "coord/registry/code.h"

int person_find(struct op *op, const char *login, const struct user_record **ret_user)
{
	if (op->login && strcmp(op->login, login) != 0)
		return op_refuse(op, REGISTRY_NOT_ALLOWED, "this is for %s, or an operator, to do",
				 login);
	*ret_user = registry_user(op->registry, login);
	return *ret_user ? 0
			 : op_refuse(op, REGISTRY_NOT_FOUND,
				     "there is no such user; \"coordctl users\" shows them all");
}

int person_find_active(struct op *op, const char *login, const struct user_record **ret_user)
{
	int r = person_find(op, login, ret_user);

	if (r == 0 && (*ret_user)->suspended)
		r = op_refuse(
			op, REGISTRY_NOT_ALLOWED,
			"%s is suspended; an operator can change that (coordctl users resume)",
			login);
	return r;
}

bool person_is_signed_in(const struct user_record *user, uint64_t created)
{
	return user && !user->suspended && created > user->signed_out && created >= user->created;
}

uint64_t person_begin(const struct op *op, uint64_t voided)
{
	uint64_t now = op->registry->clock();

	return now > voided ? now : voided + 1;
}

uint64_t person_end_sessions(const struct op *op, const char *login)
{
	uint64_t end = op->registry->clock();

	for (size_t i = 0; i < registry_n_websessions(op->registry); i++) {
		const struct websession_record *session = registry_websession_at(op->registry, i);

		if (strcmp(session->user, login) == 0 && session->created > end)
			end = session->created;
	}
	return end;
}

int identity_id(const char *issuer, const char *subject, char ret_id[HASH_ID_SIZE])
{
	_cleanup_free_ char *both = text_printf("%s%c%s", issuer, '\0', subject);
	uint8_t hash[SHA256_LEN];
	int r;

	if (!both)
		return -ENOMEM;
	r = sha256(both, strlen(issuer) + 1 + strlen(subject), hash);
	if (r == 0)
		base64url_encode(hash, sizeof(hash), ret_id);
	return r;
}

/* Somebody else's, who has signed in with it since, stays. */
int person_release(const struct op *op, struct txn *txn, const char *login,
		   const struct identity *identity)
{
	const struct idp_record *idp;
	char id[HASH_ID_SIZE];
	int r = identity_id(identity->issuer, identity->subject, id);

	if (r < 0)
		return r;
	idp = (const struct idp_record *)table_find(&op->registry->state->idps, id);
	if (idp && strcmp(idp->user, login) == 0)
		txn_delete(txn, "idp/", id);
	return 0;
}

int secret_id(const char *secret, char ret_id[HASH_ID_SIZE])
{
	uint8_t hash[SHA256_LEN];
	int r = secret_hash(secret, strlen(secret), hash);

	if (r == 0)
		base64url_encode(hash, sizeof(hash), ret_id);
	return r;
}

/* ---- reading ---- */

const struct user_record *registry_user_by_identity(const struct registry *registry,
						    const char *issuer, const char *subject)
{
	const struct idp_record *idp;
	const struct user_record *user;
	char id[HASH_ID_SIZE];

	if (identity_id(issuer, subject, id) < 0)
		return NULL;
	idp = (const struct idp_record *)table_find(&registry->state->idps, id);
	user = idp ? registry_user(registry, idp->user) : NULL;
	return user && user_identity(user, issuer, subject) ? user : NULL;
}

bool registry_user_is_active(const struct registry *registry, const char *login)
{
	const struct user_record *user = registry_user(registry, login);

	return user && !user->suspended;
}

bool registry_websession_is_valid(const struct registry *registry,
				  const struct websession_record *session)
{
	return session->expires > registry->clock() &&
	       person_is_signed_in(registry_user(registry, session->user), session->created);
}

const struct websession_record *registry_session(const struct registry *registry,
						 const char *secret)
{
	const struct websession_record *session;
	char id[HASH_ID_SIZE];

	if (secret_id(secret, id) < 0)
		return NULL;
	session = (const struct websession_record *)table_find(&registry->state->websessions, id);
	return session && registry_websession_is_valid(registry, session) ? session : NULL;
}

const struct pwlink_record *registry_pwlink(const struct registry *registry, const char *secret)
{
	const struct pwlink_record *link;
	const struct user_record *user;
	char id[HASH_ID_SIZE];

	if (secret_id(secret, id) < 0)
		return NULL;
	link = (const struct pwlink_record *)table_find(&registry->state->pwlinks, id);
	user = link ? registry_user(registry, link->user) : NULL;
	return user && !user->suspended && link->created >= user->created &&
			       link->created > user->password_set &&
			       link->expires > registry->clock()
		       ? link
		       : NULL;
}
