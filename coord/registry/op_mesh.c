/* The mesh begins; and events that others tell of. */
#include <errno.h>
#include <string.h>

#include "coord/registry/code.h"
#include "coord/registry/names.h"
#include "coord/registry/op.h"

struct init_op {
	struct op op;
	char *domain;
	struct ip_prefix ula;
};

static void destroy_init(struct op *op)
{
	free(((struct init_op *)op)->domain);
}

static int prepare_init(struct op *op, struct txn *txn)
{
	struct init_op *i = (struct init_op *)op;
	const struct mesh_record *old = op->registry->state->mesh;
	const struct mesh_record mesh = {
		.head.id = (char *)"mesh",
		.domain = i->domain,
		.ula = i->ula,
		.created = op->registry->clock(),
	};

	if (old)
		return op_refuse(op, REGISTRY_CONFLICT,
				 "there is a mesh already, \"%s\"; its domain stays", old->domain);
	txn_put_record(txn, &mesh_record_kind, &mesh);
	op_event(op, txn, i->domain, NULL);
	return 0;
}

static const struct op_kind init_kind = {
	.action = "mesh.init",
	.size = sizeof(struct init_op),
	.prepare = prepare_init,
	.destroy = destroy_init,
};

/* RFC 4193, 3.1: fd, and 40 random bits. */
static int random_ula(struct ip_prefix *ret_ula)
{
	struct ip_prefix ula = { .addr = { .family = AF_INET6, .bytes = { 0xfd } }, .len = 48 };
	int r = random_bytes(ula.addr.bytes + 1, 5);

	if (r == 0)
		*ret_ula = ula;
	return r;
}

void registry_init_mesh(struct registry *registry, const struct registry_actor *actor,
			const char *domain, registry_done_fn done, void *userdata)
{
	struct init_op *i = (struct init_op *)op_new(registry, &init_kind, actor, done, userdata);
	const char *problem = domain_problem(domain);
	int r;

	if (!i)
		return;
	r = problem ? op_refuse(&i->op, REGISTRY_BAD_REQUEST, "domain: %s", problem)
		    : random_ula(&i->ula);
	if (r == 0) {
		i->domain = strdup(domain);
		r = i->domain ? 0 : -ENOMEM;
	}
	op_begin(&i->op, r);
}

/* ---- events ---- */

struct event_op {
	struct op op;
	char *action, *object_name, *outcome, *details;
};

static void destroy_event(struct op *op)
{
	struct event_op *e = (struct event_op *)op;

	free(e->action);
	free(e->object_name);
	free(e->outcome);
	free(e->details);
}

static int prepare_event(struct op *op, struct txn *txn)
{
	struct event_op *e = (struct event_op *)op;

	op_event_result(op, txn, e->action, e->object_name, e->outcome, e->details);
	return 0;
}

static const struct op_kind event_kind = {
	.action = "event",
	.size = sizeof(struct event_op),
	.prepare = prepare_event,
	.destroy = destroy_event,
};

static int copy_text(const char *text, char **ret_copy)
{
	*ret_copy = text ? strdup(text) : NULL;
	return text && !*ret_copy ? -ENOMEM : 0;
}

void registry_add_event(struct registry *registry, const struct registry_actor *actor,
			const struct registry_event *event, registry_done_fn done, void *userdata)
{
	struct event_op *e =
		(struct event_op *)op_new(registry, &event_kind, actor, done, userdata);
	int r;

	if (!e)
		return;
	r = copy_text(event->action, &e->action);
	if (r == 0)
		r = copy_text(event->object, &e->object_name);
	if (r == 0)
		r = copy_text(event->result, &e->outcome);
	if (r == 0)
		r = copy_text(event->details, &e->details);
	op_begin(&e->op, r);
}
