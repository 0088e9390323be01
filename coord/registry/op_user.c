/* The mesh, and its people. */
#include <errno.h>
#include <string.h>

#include "coord/policy/policy.h"
#include "coord/registry/code.h"
#include "coord/registry/names.h"
#include "coord/registry/op.h"
#include "coord/registry/person.h"

/* Auth keys that are deleted together with their user: what fits into the transaction. */
#define MAX_KEYS_ALONG 50u

struct user_op {
	struct op op;
	char *login, *name;
	bool has_roles;
	unsigned roles;
};

static void destroy(struct op *op)
{
	struct user_op *u = (struct user_op *)op;

	free(u->login);
	free(u->name);
}

static void complete(struct op *op)
{
	struct user_op *u = (struct user_op *)op;

	op->result.user = registry_user(op->registry, u->login);
}

static int find(struct user_op *u, const struct user_record **ret_user)
{
	*ret_user = registry_user(u->op.registry, u->login);
	return *ret_user ? 0
			 : op_refuse(&u->op, REGISTRY_NOT_FOUND,
				     "there is no such user: %.128s; \"coordctl users list\" shows "
				     "them all",
				     u->login);
}

static int prepare_add(struct op *op, struct txn *txn)
{
	struct user_op *u = (struct user_op *)op;
	const struct user_record user = {
		.head.id = u->login,
		.name = u->name,
		.roles = u->roles,
		.created = op->registry->clock(),
	};

	if (registry_user(op->registry, u->login))
		return op_refuse(op, REGISTRY_CONFLICT, "there is a user %s already", u->login);
	if (registry_n_users(op->registry) >= REGISTRY_MAX_USERS)
		return op_refuse(op, REGISTRY_TOO_MANY, "there are %u users, which is the most",
				 REGISTRY_MAX_USERS);
	txn_put_record(txn, &user_record_kind, &user);
	op_event(op, txn, u->login, NULL);
	return 0;
}

static int prepare_patch(struct op *op, struct txn *txn)
{
	struct user_op *u = (struct user_op *)op;
	const struct user_record *old;
	struct user_record user;
	int r = find(u, &old);

	if (r != 0)
		return r;
	user = *old;
	if (u->name)
		user.name = u->name;
	if (u->has_roles)
		user.roles = u->roles;
	txn_put_record(txn, &user_record_kind, &user);
	op_event(op, txn, u->login, "%s",
		 !u->has_roles ? "name"
		 : u->name     ? "name, roles"
			       : "roles");
	return 0;
}

static const struct node_record *node_of(const struct registry *registry, const char *login,
					 size_t *ret_n)
{
	const struct node_record *found = NULL;

	*ret_n = 0;
	for (size_t i = 0; i < registry_n_nodes(registry); i++) {
		const struct node_record *node = registry_node_at(registry, i);

		if (!node->user || strcmp(node->user, login) != 0)
			continue;
		found = node;
		(*ret_n)++;
	}
	return found;
}

/* They would open the network again for whoever gets the same login. */
static int delete_keys(struct user_op *u, struct txn *txn)
{
	const struct registry *registry = u->op.registry;
	size_t n = 0;

	for (size_t i = 0; i < registry_n_authkeys(registry); i++) {
		const struct authkey_record *key = registry_authkey_at(registry, i);

		if (!key->user || strcmp(key->user, u->login) != 0)
			continue;
		if (++n > MAX_KEYS_ALONG)
			return op_refuse(&u->op, REGISTRY_CONFLICT,
					 "%s has more than %u auth keys; delete some of them first",
					 u->login, MAX_KEYS_ALONG);
		txn_delete(txn, "authkeys/", key->head.id);
	}
	return 0;
}

/* Sessions and links stay behind, and are void: what they are of begins before whoever comes next.
 */
static int release_identities(struct user_op *u, struct txn *txn, const struct user_record *user)
{
	for (size_t i = 0; i < user->identities.n; i++) {
		int r = person_release(&u->op, txn, u->login, &user->identities.items[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

static int prepare_delete(struct op *op, struct txn *txn)
{
	struct user_op *u = (struct user_op *)op;
	const struct user_record *user;
	const struct node_record *node;
	size_t n;
	int r = find(u, &user);

	if (r != 0)
		return r;
	node = node_of(op->registry, u->login, &n);
	if (node)
		return op_refuse(op, REGISTRY_CONFLICT,
				 "%s has %zu node%s (%s%s); delete them or give them away first",
				 u->login, n, n == 1 ? "" : "s", node->name, n == 1 ? "" : ", ...");
	r = delete_keys(u, txn);
	if (r == 0)
		r = release_identities(u, txn, user);
	if (r != 0)
		return r;
	txn_expect(txn, "users/", u->login, user->head.revision);
	txn_delete(txn, "users/", u->login);
	op_event(op, txn, u->login, NULL);
	return 0;
}

static const struct op_kind add_kind = {
	.action = "user.add",
	.size = sizeof(struct user_op),
	.prepare = prepare_add,
	.complete = complete,
	.destroy = destroy,
};
static const struct op_kind patch_kind = {
	.action = "user.change",
	.size = sizeof(struct user_op),
	.prepare = prepare_patch,
	.complete = complete,
	.destroy = destroy,
};
static const struct op_kind delete_kind = {
	.action = "user.delete",
	.size = sizeof(struct user_op),
	.prepare = prepare_delete,
	.destroy = destroy,
};

static int copy(struct user_op *u, const char *login, const struct registry_user_patch *patch)
{
	const char *problem;

	u->login = strdup(login);
	if (!u->login)
		return -ENOMEM;
	if (!patch)
		return 0;
	problem = patch->name ? text_problem(patch->name, RECORD_MAX_TEXT) : NULL;
	if (problem)
		return op_refuse(&u->op, REGISTRY_BAD_REQUEST, "name: %s", problem);
	u->name = patch->name ? strdup(patch->name) : NULL;
	if (patch->name && !u->name)
		return -ENOMEM;
	u->has_roles = patch->roles != NULL;
	u->roles = patch->roles ? *patch->roles : 0;
	return 0;
}

static void start(struct registry *registry, const struct op_kind *kind,
		  const struct registry_actor *actor, const char *login,
		  const struct registry_user_patch *patch, registry_done_fn done, void *userdata)
{
	struct user_op *u = (struct user_op *)op_new(registry, kind, actor, done, userdata);
	int r;

	if (!u)
		return;
	r = copy(u, login, patch);
	if (r == 0 && kind == &add_kind && login_problem(login))
		r = op_refuse(&u->op, REGISTRY_BAD_REQUEST, "login: %s", login_problem(login));
	op_begin(&u->op, r);
}

void registry_add_user(struct registry *registry, const struct registry_actor *actor,
		       const char *login, const struct registry_user_patch *user,
		       registry_done_fn done, void *userdata)
{
	start(registry, &add_kind, actor, login, user, done, userdata);
}

void registry_patch_user(struct registry *registry, const struct registry_actor *actor,
			 const char *login, const struct registry_user_patch *patch,
			 registry_done_fn done, void *userdata)
{
	start(registry, &patch_kind, actor, login, patch, done, userdata);
}

void registry_delete_user(struct registry *registry, const struct registry_actor *actor,
			  const char *login, registry_done_fn done, void *userdata)
{
	start(registry, &delete_kind, actor, login, NULL, done, userdata);
}
