/* The person whose device it is answers a check. */
#include <errno.h>
#include <string.h>

#include "coord/registry/check.h"
#include "coord/registry/field.h"
#include "coord/registry/names.h"

/*
 * What a provider says of the time of an authentication is by its own clock, in whole seconds; what
 * is known here is not older than the request if it says so.
 */
#define PROVIDER_SLACK_USEC (UINT64_C(60) * 1000000)

struct answer {
	struct op op;
	char *id, *method;
	bool approve;
	enum auth_strength strength;
	uint64_t auth_time;
	size_t n_logins;
};

static void destroy_answer(struct op *op)
{
	struct answer *a = (struct answer *)op;

	free(a->id);
	free(a->method);
}

static int find_request(struct answer *a, const struct checkreq_record **ret_req)
{
	const struct checkreq_record *req = registry_checkreq(a->op.registry, a->id);

	if (!req)
		return op_refuse(
			&a->op, REGISTRY_NOT_FOUND,
			"this check is over: it ran out, or the device is not what it was; "
			"log in anew");
	free(a->op.object);
	a->op.object = strdup(req->node);
	if (!a->op.object)
		return -ENOMEM;
	if (!a->op.login || strcmp(a->op.login, req->user) != 0)
		return op_refuse(&a->op, REGISTRY_NOT_ALLOWED,
				 "this check is not for you: only whose device it is can answer");
	if (req->state != CHECK_WAITING)
		return op_refuse(&a->op, REGISTRY_CONFLICT, "this check was %s already",
				 check_state_to_string(req->state));
	*ret_req = req;
	return 0;
}

static int check_freshness(struct answer *a, const struct checkreq_record *req)
{
	bool is_provider = strncmp(a->method, "oidc:", strlen("oidc:")) == 0;
	uint64_t slack = is_provider ? PROVIDER_SLACK_USEC : 0;

	if (a->auth_time > a->op.registry->clock() + PROVIDER_SLACK_USEC)
		return op_refuse(&a->op, REGISTRY_NOT_ALLOWED,
				 "the time of the sign-in has not come yet; is a clock wrong?");
	if (time_after(a->auth_time, slack) < req->created)
		return op_refuse(&a->op, REGISTRY_NOT_ALLOWED,
				 "the sign-in is older than the check; sign in anew");
	return 0;
}

/* Logins join a request while its page is open. What was not seen was not approved. */
static int check_seen(struct answer *a, const struct checkreq_record *req)
{
	if (a->n_logins == req->logins.n)
		return 0;
	return op_refuse(&a->op, REGISTRY_CONFLICT,
			 "another login has come since the page was loaded");
}

static void put_grant(struct answer *a, struct txn *txn, const struct checkreq_record *req,
		      const struct node_record *node)
{
	const struct checkgrant_record *old = check_grant_of_owner(a->op.registry, node);
	struct checkgrant_record grant = { 0 };

	if (old)
		grant = *old;
	grant.head = (struct record_head){
		.id = req->node,
		.revision = check_grant_revision(a->op.registry, req->node),
	};
	grant.user = req->user;
	grant.at = a->op.registry->clock();
	grant.order = registry_revision(a->op.registry);
	grant.method = a->method;
	grant.strength = a->strength;
	grant.from = a->op.from;
	txn_put_record(txn, &checkgrant_record_kind, &grant);
}

static void put_answer(struct answer *a, struct txn *txn, const struct checkreq_record *old)
{
	struct checkreq_record req = *old;

	req.state = a->approve ? CHECK_APPROVED : CHECK_DENIED;
	req.by = a->op.login;
	req.at = a->op.registry->clock();
	txn_put_record(txn, &checkreq_record_kind, &req);
}

static int prepare_answer(struct op *op, struct txn *txn)
{
	struct answer *a = (struct answer *)op;
	const struct registry *registry = op->registry;
	const struct checkreq_record *req;
	const struct node_record *node;
	int r = find_request(a, &req);

	if (r == 0 && a->approve)
		r = check_freshness(a, req);
	if (r == 0 && a->approve)
		r = check_seen(a, req);
	if (r != 0)
		return r;
	node = registry_node(registry, req->node);
	/* Neither the owner, nor their standing, nor the key's may change meanwhile. */
	txn_expect(txn, "nodes/", node->head.id, node->head.revision);
	txn_expect(txn, "users/", req->user, registry_user(registry, req->user)->head.revision);
	put_answer(a, txn, req);
	if (!a->approve) {
		op_event(op, txn, req->node, "%s", node->name);
		return 0;
	}
	put_grant(a, txn, req, node);
	op_event(op, txn, req->node, "%s, %s (%s), logins: %zu", node->name, a->method,
		 auth_strength_to_string(a->strength), req->logins.n);
	return 0;
}

static void complete_answer(struct op *op)
{
	op->result.checkreq = check_request(op->registry, ((struct answer *)op)->id);
}

static const struct op_kind approve_kind = {
	.action = "check.approve",
	.size = sizeof(struct answer),
	.for_people = true,
	.prepare = prepare_answer,
	.complete = complete_answer,
	.destroy = destroy_answer,
};
static const struct op_kind deny_kind = {
	.action = "check.deny",
	.size = sizeof(struct answer),
	.for_people = true,
	.prepare = prepare_answer,
	.complete = complete_answer,
	.destroy = destroy_answer,
};

static int copy_answer(struct answer *a, const char *id, const struct registry_check_answer *answer)
{
	const char *problem = "is missing";

	a->op.tell_refusal = true;
	a->approve = answer->approve;
	a->strength = answer->strength;
	a->auth_time = answer->auth_time;
	a->n_logins = answer->n_logins;
	a->id = strdup(id);
	if (!a->id)
		return -ENOMEM;
	if (!answer->approve)
		return 0;
	if (answer->method)
		problem = text_problem(answer->method, RECORD_MAX_TEXT);
	if (problem)
		return op_refuse(&a->op, REGISTRY_BAD_REQUEST, "method: %s", problem);
	a->method = strdup(answer->method);
	return a->method ? 0 : -ENOMEM;
}

void registry_answer_check(struct registry *registry, const struct registry_actor *actor,
			   const char *id, const struct registry_check_answer *answer,
			   registry_done_fn done, void *userdata)
{
	const struct op_kind *kind = answer->approve ? &approve_kind : &deny_kind;
	struct answer *a = (struct answer *)op_new(registry, kind, actor, done, userdata);

	if (a)
		op_begin(&a->op, copy_answer(a, id, answer));
}
