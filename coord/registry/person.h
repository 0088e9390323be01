/* A person that an operation is about: found, and let be for whom it is not. */
#pragma once

#include "coord/registry/accounts.h"
#include "coord/registry/op.h"

/* The SHA-256 of what the store knows something by, as the key's text. */
#define HASH_ID_SIZE 44u

/*
 * The person, for operators and themselves. Return: 0; OP_ANSWERED: there is none, or the actor is
 * somebody else; -ENOMEM.
 */
int person_find(struct op *op, const char *login, const struct user_record **ret_user);
/* The same of one who may sign in; a suspended one is refused. */
int person_find_active(struct op *op, const char *login, const struct user_record **ret_user);

/* Neither suspended, nor does the record say that sign-ins of this time are void. */
bool person_is_signed_in(const struct user_record *user, uint64_t created);
/*
 * What begins now, of somebody's whose things of `voided` and before are void: the clock may have
 * been set back since.
 */
uint64_t person_begin(const struct op *op, uint64_t voided);
/* When all their sessions until now are to be void from, whatever the clock was. */
uint64_t person_end_sessions(const struct op *op, const char *login);

/* Whoever signs in as this does not come to them any more. Return: 0, -ENOMEM, -EIO. */
int person_release(const struct op *op, struct txn *txn, const char *login,
		   const struct identity *identity);

/* SHA256(issuer NUL subject). Return: 0, -ENOMEM, -EIO. */
int identity_id(const char *issuer, const char *subject, char ret_id[HASH_ID_SIZE]);
/* Of a secret's text. Return: 0; -EINVAL: it is none; -EIO. */
int secret_id(const char *secret, char ret_id[HASH_ID_SIZE]);
