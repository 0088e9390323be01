/* Auth keys and API keys: made, revoked, checked. */
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "common/text.h"
#include "coord/registry/admit.h"
#include "coord/registry/names.h"

#define AUTHKEY_LIFETIME_USEC DAY_USEC
#define APIKEY_LIFETIME_USEC  (90 * DAY_USEC)

struct key_op {
	struct op op;
	char id[ID_SIZE];
	char *text; /* of the new key */
	uint8_t hash[SHA256_LEN];
	char *user, *description;
	struct text_list tags;
	bool reusable, ephemeral;
	unsigned scopes;
	uint64_t lifetime_usec;
};

static void destroy(struct op *op)
{
	struct key_op *k = (struct key_op *)op;

	if (k->text)
		OPENSSL_cleanse(k->text, strlen(k->text));
	free(k->text);
	free(k->user);
	free(k->description);
	text_list_done(&k->tags);
}

/* rest: what comes behind the secret; NULL: nothing. Return: 0, -ENOMEM, -EIO. */
static int make_key(struct key_op *k, const char *prefix, char letter, const char *rest)
{
	char secret[SECRET_SIZE];
	int r = id_new(letter, k->id);

	if (r == 0)
		r = secret_new(secret, k->hash);
	if (r < 0)
		return r;
	k->text = text_printf("%s.%s.%s%s%s", prefix, k->id, secret, rest ? "." : "",
			      rest ? rest : "");
	OPENSSL_cleanse(secret, sizeof(secret));
	return k->text ? 0 : -ENOMEM;
}

static int copy_description(struct key_op *k, const char *description)
{
	const char *problem = description ? text_problem(description, RECORD_MAX_TEXT) : NULL;

	if (problem)
		return op_refuse(&k->op, REGISTRY_BAD_REQUEST, "description: %s", problem);
	k->description = description ? strdup(description) : NULL;
	return description && !k->description ? -ENOMEM : 0;
}

/* ---- auth keys ---- */

static int check_owner(struct key_op *k, struct txn *txn)
{
	const struct policy_giver giver = admit_actor(&k->op);
	const struct user_record *user;

	if (!k->user)
		return admit_check_tags(&k->op, &giver, &k->tags);
	if (k->op.login && strcmp(k->op.login, k->user) != 0)
		return op_refuse(&k->op, REGISTRY_NOT_ALLOWED,
				 "you can make auth keys for yourself only");
	user = registry_user(k->op.registry, k->user);
	if (!user)
		return op_refuse(&k->op, REGISTRY_NOT_FOUND,
				 "there is no such user; add them first (coordctl users add)");
	if (user->suspended)
		return op_refuse(&k->op, REGISTRY_NOT_ALLOWED, "%s is suspended", k->user);
	admit_touch_user(txn, user);
	return 0;
}

static int prepare_authkey(struct op *op, struct txn *txn)
{
	struct key_op *k = (struct key_op *)op;
	struct authkey_record key = {
		.head.id = k->id,
		.user = k->user,
		.tags = k->tags,
		.reusable = k->reusable,
		.ephemeral = k->ephemeral,
		.created = op->registry->clock(),
		.expires = time_after(op->registry->clock(), k->lifetime_usec),
		.created_by = op->who,
		.description = k->description,
	};
	int r;

	if (registry_n_authkeys(op->registry) >= REGISTRY_MAX_AUTHKEYS)
		return op_refuse(op, REGISTRY_TOO_MANY,
				 "there are %u auth keys, which is the most; those that are of no "
				 "use any more go after 30 days",
				 REGISTRY_MAX_AUTHKEYS);
	r = check_owner(k, txn);
	if (r != 0)
		return r;
	memcpy(key.hash, k->hash, sizeof(key.hash));
	txn_put_record(txn, &authkey_record_kind, &key);
	op_event(op, txn, k->id, "for %s%s%s", k->user ? k->user : k->tags.items[0],
		 k->reusable ? ", reusable" : "", k->ephemeral ? ", ephemeral" : "");
	return 0;
}

static void complete_authkey(struct op *op)
{
	struct key_op *k = (struct key_op *)op;

	op->result.authkey = registry_authkey(op->registry, k->id);
	op->result.secret = k->text;
}

static const struct op_kind authkey_kind = {
	.action = "authkey.create",
	.size = sizeof(struct key_op),
	.for_people = true,
	.prepare = prepare_authkey,
	.complete = complete_authkey,
	.destroy = destroy,
};

static int copy_authkey(struct key_op *k, const struct registry_authkey_request *request)
{
	int r = copy_description(k, request->description);

	if (r != 0)
		return r;
	if (!request->user == !request->tags.n)
		return op_refuse(&k->op, REGISTRY_BAD_REQUEST,
				 request->user
					 ? "a user and tags do not go together; a tagged node "
					   "belongs to nobody"
					 : "say whose the nodes will be: a user, or tags");
	k->user = request->user ? strdup(request->user) : NULL;
	if (request->user && !k->user)
		return -ENOMEM;
	k->reusable = request->reusable;
	k->ephemeral = request->ephemeral;
	k->lifetime_usec = request->lifetime_usec ? request->lifetime_usec : AUTHKEY_LIFETIME_USEC;
	r = text_list_copy(&request->tags, &k->tags);
	text_list_sort(&k->tags);
	return r;
}

void registry_create_authkey(struct registry *registry, const struct registry_actor *actor,
			     const struct registry_authkey_request *request, registry_done_fn done,
			     void *userdata)
{
	struct key_op *k = (struct key_op *)op_new(registry, &authkey_kind, actor, done, userdata);
	int r;

	if (!k)
		return;
	r = copy_authkey(k, request);
	if (r == 0)
		r = make_key(k, "pgauth", 'k', registry->coordinator_key);
	op_begin(&k->op, r);
}

/* ---- API keys ---- */

static int prepare_apikey(struct op *op, struct txn *txn)
{
	struct key_op *k = (struct key_op *)op;
	struct apikey_record key = {
		.head.id = k->id,
		.scopes = k->scopes,
		.created = op->registry->clock(),
		.expires = time_after(op->registry->clock(), k->lifetime_usec),
		.created_by = op->who,
		.description = k->description,
	};

	if (registry_n_apikeys(op->registry) >= REGISTRY_MAX_APIKEYS)
		return op_refuse(op, REGISTRY_TOO_MANY,
				 "there are %u API keys, which is the most; those that are of no "
				 "use any more go after 30 days",
				 REGISTRY_MAX_APIKEYS);
	memcpy(key.hash, k->hash, sizeof(key.hash));
	txn_put_record(txn, &apikey_record_kind, &key);
	op_event(op, txn, k->id, k->description ? "%s" : NULL, k->description);
	return 0;
}

static void complete_apikey(struct op *op)
{
	struct key_op *k = (struct key_op *)op;

	op->result.apikey = registry_apikey(op->registry, k->id);
	op->result.secret = k->text;
}

static const struct op_kind apikey_kind = {
	.action = "apikey.create",
	.size = sizeof(struct key_op),
	.prepare = prepare_apikey,
	.complete = complete_apikey,
	.destroy = destroy,
};

static int copy_apikey(struct key_op *k, const struct registry_apikey_request *request)
{
	unsigned excess = request->scopes & ~k->op.scopes, scope;

	k->scopes = request->scopes;
	k->lifetime_usec = request->lifetime_usec ? request->lifetime_usec : APIKEY_LIFETIME_USEC;
	if (request->scopes == 0 || (request->scopes & ~SCOPE_ALL))
		return op_refuse(&k->op, REGISTRY_BAD_REQUEST,
				 "scopes: expected at least one, such as \"policy:write\"");
	for (unsigned i = 0; scope_name(i, &scope); i++)
		if (scope & excess)
			return op_refuse(&k->op, REGISTRY_NOT_ALLOWED,
					 "you cannot give the scope %s, since you do not have it",
					 scope_name(i, &scope));
	return copy_description(k, request->description);
}

void registry_create_apikey(struct registry *registry, const struct registry_actor *actor,
			    const struct registry_apikey_request *request, registry_done_fn done,
			    void *userdata)
{
	struct key_op *k = (struct key_op *)op_new(registry, &apikey_kind, actor, done, userdata);
	int r;

	if (!k)
		return;
	r = copy_apikey(k, request);
	if (r == 0)
		r = make_key(k, "pgapi", 'a', NULL);
	op_begin(&k->op, r);
}

const struct apikey_record *registry_check_apikey(const struct registry *registry, const char *text)
{
	const struct apikey_record *key;
	struct key_text parts;

	if (key_text_parse("pgapi", 'a', text, &parts) < 0 || parts.rest)
		return NULL;
	key = registry_apikey(registry, parts.id);
	if (!key || !secret_hash_equal(key->hash, parts.hash) || key->revoked ||
	    key->expires <= registry->clock())
		return NULL;
	return key;
}

/* ---- revoking ---- */

static int prepare_revoke_authkey(struct op *op, struct txn *txn)
{
	struct key_op *k = (struct key_op *)op;
	const struct authkey_record *old = registry_authkey(op->registry, k->id);
	struct authkey_record key;

	if (!old)
		return op_refuse(op, REGISTRY_NOT_FOUND, "there is no such auth key");
	op->result.authkey = old;
	if (old->revoked)
		return OP_ANSWERED;
	key = *old;
	key.revoked = op->registry->clock();
	txn_put_record(txn, &authkey_record_kind, &key);
	op_event(op, txn, k->id, NULL);
	return 0;
}

static void complete_revoke_authkey(struct op *op)
{
	op->result.authkey = registry_authkey(op->registry, ((struct key_op *)op)->id);
}

static int prepare_revoke_apikey(struct op *op, struct txn *txn)
{
	struct key_op *k = (struct key_op *)op;
	const struct apikey_record *old = registry_apikey(op->registry, k->id);
	struct apikey_record key;

	if (!old)
		return op_refuse(op, REGISTRY_NOT_FOUND, "there is no such API key");
	if (old->scopes & ~op->scopes)
		return op_refuse(op, REGISTRY_NOT_ALLOWED,
				 "the API key may do more than yours, which cannot revoke it");
	op->result.apikey = old;
	if (old->revoked)
		return OP_ANSWERED;
	key = *old;
	key.revoked = op->registry->clock();
	txn_put_record(txn, &apikey_record_kind, &key);
	op_event(op, txn, k->id, NULL);
	return 0;
}

static void complete_revoke_apikey(struct op *op)
{
	op->result.apikey = registry_apikey(op->registry, ((struct key_op *)op)->id);
}

static const struct op_kind revoke_authkey_kind = {
	.action = "authkey.revoke",
	.size = sizeof(struct key_op),
	.prepare = prepare_revoke_authkey,
	.complete = complete_revoke_authkey,
	.destroy = destroy,
};
static const struct op_kind revoke_apikey_kind = {
	.action = "apikey.revoke",
	.size = sizeof(struct key_op),
	.prepare = prepare_revoke_apikey,
	.complete = complete_revoke_apikey,
	.destroy = destroy,
};

static void start_revoke(struct registry *registry, const struct op_kind *kind,
			 const struct registry_actor *actor, const char *id, registry_done_fn done,
			 void *userdata)
{
	struct key_op *k = (struct key_op *)op_new(registry, kind, actor, done, userdata);

	if (!k)
		return;
	/* What is longer than an id is none, and is not found. */
	snprintf(k->id, sizeof(k->id), "%s", strlen(id) < sizeof(k->id) ? id : "");
	op_run(&k->op);
}

void registry_revoke_authkey(struct registry *registry, const struct registry_actor *actor,
			     const char *id, registry_done_fn done, void *userdata)
{
	start_revoke(registry, &revoke_authkey_kind, actor, id, done, userdata);
}

void registry_revoke_apikey(struct registry *registry, const struct registry_actor *actor,
			    const char *id, registry_done_fn done, void *userdata)
{
	start_revoke(registry, &revoke_apikey_kind, actor, id, done, userdata);
}
