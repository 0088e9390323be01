/* Checks are asked for. */
#include <errno.h>
#include <string.h>

#include "coord/registry/check.h"
#include "coord/registry/field.h"
#include "coord/registry/names.h"

struct ask {
	struct op op;
	char *source, *target, *ssh_user;
	uint64_t period_usec;
	uint64_t asked, order;
	char id[CHECK_ID_SIZE];
	size_t number;
	char login_id[CHECK_LOGIN_SIZE];
};

static void destroy_ask(struct op *op)
{
	struct ask *a = (struct ask *)op;

	free(a->source);
	free(a->target);
	free(a->ssh_user);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* The request that a login from the node may join; NULL: none. */
static const struct checkreq_record *find_waiting(const struct ask *a,
						  const struct checkgrant_record *grant)
{
	const struct registry *registry = a->op.registry;
	const struct checkreq_record *req =
		grant && grant->request ? registry_checkreq(registry, grant->request) : NULL;

	return req && req->state == CHECK_WAITING && strcmp(req->node, a->source) == 0 &&
			       req->expires >= registry->clock() + CHECK_JOIN_USEC
		       ? req
		       : NULL;
}

/* Return: the login's number; logins.n: it is not among them. */
static size_t find_login(const struct ask *a, const struct checkreq_record *req)
{
	size_t i;

	for (i = 0; i < req->logins.n; i++)
		if (same_text(req->logins.items[i].target, a->target) &&
		    same_text(req->logins.items[i].ssh_user, a->ssh_user))
			break;
	return i;
}

static void tell(struct ask *a, struct txn *txn, const char *user)
{
	const struct node_record *target =
		a->target ? registry_node(a->op.registry, a->target) : NULL;

	op_event(&a->op, txn, a->source, "%s: %s%s%s", user,
		 a->ssh_user ? a->ssh_user : "before a login",
		 !a->target    ? ""
		 : a->ssh_user ? " on "
			       : " to ",
		 target ? target->name : "");
}

/*
 * What logins there are is the target's word, as whom is free to choose with many a rule: one host
 * must not use up the page of a person whom others ask for.
 */
static int check_room(struct ask *a, const struct checkreq_record *req)
{
	unsigned n = 0;

	for (size_t i = 0; i < req->logins.n; i++)
		n += same_text(req->logins.items[i].target, a->target);
	if (n >= REGISTRY_MAX_LOGINS_TO)
		return op_refuse(&a->op, REGISTRY_TOO_MANY,
				 "%u logins to this host, each as another user, wait for the same "
				 "check already; they go on when it is answered",
				 n);
	if (req->logins.n >= RECORD_MAX_LOGINS)
		return op_refuse(&a->op, REGISTRY_TOO_MANY,
				 "%u logins from this host wait for the same check already; they "
				 "go on when it is answered",
				 RECORD_MAX_LOGINS);
	return 0;
}

static int join(struct ask *a, struct txn *txn, const struct checkreq_record *old)
{
	struct check_login items[RECORD_MAX_LOGINS];
	struct checkreq_record req = *old;
	int r;

	snprintf(a->id, sizeof(a->id), "%s", old->head.id);
	a->number = find_login(a, old);
	if (a->number < old->logins.n)
		return OP_ANSWERED;
	r = check_room(a, old);
	if (r != 0)
		return r;
	memcpy(items, old->logins.items, old->logins.n * sizeof(items[0]));
	items[req.logins.n++] = (struct check_login){
		.target = a->target, .ssh_user = a->ssh_user, .asked = a->asked, .order = a->order
	};
	req.logins.items = items;
	txn_put_record(txn, &checkreq_record_kind, &req);
	tell(a, txn, old->user);
	return 0;
}

/*
 * Those that were answered, or ran out, are in the store until they are reaped. A host that asks
 * for whomever it knows leaves room for others.
 */
static int check_limits(struct ask *a)
{
	const struct registry *registry = a->op.registry;
	size_t n = 0, n_from = 0, n_for = 0;

	for (size_t i = 0; i < registry_n_checkreqs(registry); i++) {
		const struct checkreq_record *req = registry_checkreq_at(registry, i);

		if (req->expires <= registry->clock())
			continue;
		n_from += strcmp(req->node, a->source) == 0;
		n += req->state == CHECK_WAITING;
		n_for += a->target && req->state == CHECK_WAITING &&
			 same_text(req->logins.items[0].target, a->target);
	}
	if (n_from >= REGISTRY_MAX_CHECKS_FROM)
		return op_refuse(&a->op, REGISTRY_TOO_MANY,
				 "%zu checks were asked for by this host within ten minutes; try "
				 "again later",
				 n_from);
	if (n_for >= REGISTRY_MAX_CHECKS_FOR)
		return op_refuse(&a->op, REGISTRY_TOO_MANY,
				 "%zu checks for logins to this host wait for an answer already; "
				 "try again later",
				 n_for);
	if (n >= REGISTRY_MAX_CHECKS || registry_n_checkreqs(registry) >= 2 * REGISTRY_MAX_CHECKS)
		return op_refuse(&a->op, REGISTRY_TOO_MANY,
				 "%zu checks wait for an answer already; try again later", n);
	return 0;
}

/* The grant's entry says which request is the node's: two that begin at once meet there. */
static void point_at(struct ask *a, struct txn *txn, const struct checkgrant_record *old,
		     const struct node_record *node)
{
	struct checkgrant_record grant = { .user = node->user };

	if (old)
		grant = *old;
	grant.head = (struct record_head){
		.id = a->source,
		.revision = check_grant_revision(a->op.registry, a->source),
	};
	grant.request = a->id;
	grant.asked = a->asked;
	txn_put_record(txn, &checkgrant_record_kind, &grant);
}

static int begin(struct ask *a, struct txn *txn, const struct checkgrant_record *grant,
		 const struct node_record *node)
{
	struct check_login login = { a->target, a->ssh_user, a->asked, a->order };
	char code[CHECK_CODE_SIZE];
	struct checkreq_record req = {
		.head.id = a->id,
		.code = code,
		.user = node->user,
		.node = a->source,
		.logins = { &login, 1 },
		.created = a->asked,
		.expires = a->asked + CHECK_LIFETIME_USEC,
	};
	int r = check_limits(a);

	if (r == 0)
		r = check_id_new(a->id);
	if (r == 0)
		r = check_code_new(code);
	if (r != 0)
		return r;
	a->number = 0;
	/* Whose the node is must not change meanwhile. */
	txn_expect(txn, "nodes/", a->source, node->head.revision);
	point_at(a, txn, grant, node);
	txn_put_record(txn, &checkreq_record_kind, &req);
	tell(a, txn, node->user);
	return 0;
}

static int check_source(struct ask *a, const struct node_record **ret_node)
{
	const struct registry *registry = a->op.registry;
	const struct node_record *node = registry_node(registry, a->source);
	const struct user_record *user;

	if (!node)
		return op_refuse(&a->op, REGISTRY_NOT_FOUND,
				 "there is no node with the id of the source (any more)");
	if (node_is_expired(node, registry->clock()))
		return op_refuse(&a->op, REGISTRY_KEY_EXPIRED, "%s: its key has expired",
				 node->name);
	if (!node->user)
		return op_refuse(&a->op, REGISTRY_NOT_ALLOWED,
				 "%s belongs to nobody, so nobody can be checked; hosts with tags "
				 "need a rule with \"accept\"",
				 node->name);
	user = registry_user(registry, node->user);
	if (!user || user->suspended)
		return op_refuse(&a->op, REGISTRY_NOT_ALLOWED, "%s, whose %s is, is suspended",
				 node->user, node->name);
	*ret_node = node;
	return 0;
}

/* What the answer of a login that waits says besides. */
static void point_out(struct ask *a)
{
	a->op.result.code = REGISTRY_WAITING;
	a->op.result.checkreq = check_request(a->op.registry, a->id);
	check_login_id(a->id, a->number, a->login_id);
	a->op.result.secret = a->login_id;
}

static int prepare_ask(struct op *op, struct txn *txn)
{
	struct ask *a = (struct ask *)op;
	const struct checkgrant_record *valid, *grant;
	const struct checkreq_record *req;
	const struct node_record *node;
	int r = check_source(a, &node);

	if (r != 0)
		return r;
	valid = a->period_usec > 0 ? registry_checkgrant(op->registry, a->source) : NULL;
	if (valid &&
	    (valid->order > a->order || check_is_remembered(op->registry, valid, a->period_usec))) {
		op->result.checkgrant = valid;
		return OP_ANSWERED;
	}
	grant = check_grant_of_owner(op->registry, node);
	req = find_waiting(a, grant);
	if (!req)
		return begin(a, txn, grant, node);
	r = join(a, txn, req);
	if (r == OP_ANSWERED && op->result.code == REGISTRY_OK)
		point_out(a);
	return r;
}

static void complete_ask(struct op *op)
{
	point_out((struct ask *)op);
}

static const struct op_kind ask_kind = {
	.action = "check.ask",
	.size = sizeof(struct ask),
	.prepare = prepare_ask,
	.complete = complete_ask,
	.destroy = destroy_ask,
};

static int copy_ask(struct ask *a, const struct registry_check_request *request)
{
	const char *problem =
		request->ssh_user ? text_problem(request->ssh_user, RECORD_MAX_TEXT) : NULL;

	if (problem)
		return op_refuse(&a->op, REGISTRY_BAD_REQUEST, "ssh_user: %s", problem);
	a->source = strdup(request->source);
	a->op.object = strdup(request->source);
	a->op.tell_refusal = true;
	a->target = request->target ? strdup(request->target) : NULL;
	a->ssh_user = request->ssh_user ? strdup(request->ssh_user) : NULL;
	if (!a->source || !a->op.object || !a->target != !request->target ||
	    !a->ssh_user != !request->ssh_user)
		return -ENOMEM;
	a->period_usec = request->period_usec;
	a->asked = a->op.registry->clock();
	a->order = registry_revision(a->op.registry);
	return 0;
}

void registry_ask_check(struct registry *registry, const struct registry_actor *actor,
			const struct registry_check_request *request, registry_done_fn done,
			void *userdata)
{
	struct ask *a = (struct ask *)op_new(registry, &ask_kind, actor, done, userdata);

	if (a)
		op_begin(&a->op, copy_ask(a, request));
}
