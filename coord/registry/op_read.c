/* What is not kept in memory: texts of the policy, events. */
#include <errno.h>
#include <string.h>

#include "coord/registry/policy_key.h"
#include "coord/registry/policy_txn.h"

#define MAX_EVENTS_ONCE 1000u

struct read_op {
	struct op op;
	uint64_t version;
	struct policy_record policy;
	struct event_record *events;
	size_t n_events;
};

static void destroy(struct op *op)
{
	struct read_op *q = (struct read_op *)op;

	policy_record_done(&q->policy);
	for (size_t i = 0; i < q->n_events; i++)
		event_record_done(&q->events[i]);
	free(q->events);
}

static const struct op_kind policy_kind = {
	.action = "policy.get",
	.size = sizeof(struct read_op),
	.destroy = destroy,
};
static const struct op_kind events_kind = {
	.action = "events",
	.size = sizeof(struct read_op),
	.destroy = destroy,
};

static void answer(struct op *op, int r)
{
	if (r < 0)
		op_fail(op, r);
	else
		op_finish(op);
}

/* ---- the policy ---- */

static void on_policy(const struct store_answer *got, void *userdata)
{
	struct read_op *q = userdata;
	int r;

	if (!q->op.registry) {
		op_free(&q->op);
		return;
	}
	r = policy_read_version(&q->op, got, q->version, &q->policy);
	if (r == 0)
		q->op.result.policy = &q->policy;
	answer(&q->op, r);
}

static int take_default(struct read_op *q)
{
	const struct policy_current *policy = &q->op.registry->default_current;

	q->policy.head.id = strdup("0000000000");
	q->policy.text = strdup(policy->text);
	q->policy.author = strdup(policy->author);
	memcpy(q->policy.hash, policy->hash, sizeof(q->policy.hash));
	q->op.result.policy = &q->policy;
	return q->policy.head.id && q->policy.text && q->policy.author ? 0 : -ENOMEM;
}

void registry_policy_get(struct registry *registry, uint64_t version, registry_done_fn done,
			 void *userdata)
{
	struct read_op *q =
		(struct read_op *)op_new(registry, &policy_kind, &registry_self, done, userdata);
	char key[POLICY_KEY_SIZE];
	int r;

	if (!q)
		return;
	q->version = version;
	if (version == 0 || version > POLICY_LAST_VERSION) {
		answer(&q->op, version == 0 ? take_default(q) : policy_no_version(&q->op, version));
		return;
	}
	r = store_get(registry->store, policy_key(version, key), on_policy, q);
	if (r < 0)
		op_fail(&q->op, r);
}

/* ---- events ---- */

/* Those that cannot be read are left out. Return: 0, -ENOMEM. */
static int take_events(struct read_op *q, const struct store_answer *page)
{
	q->events = calloc(page->n_entries + 1, sizeof(*q->events));
	if (!q->events)
		return -ENOMEM;
	for (size_t i = 0; i < page->n_entries; i++) {
		const struct store_entry *entry = &page->entries[i];
		struct event_record *event = &q->events[q->n_events];
		_cleanup_free_ char *error = NULL;
		int r = event_record_read(entry->key, entry->value, entry->len, &error, event);

		if (r == -ENOMEM)
			return r;
		if (r == 0) {
			event->head.revision = entry->revision;
			q->n_events++;
		}
	}
	q->op.result.events = q->events;
	q->op.result.n_events = q->n_events;
	q->op.result.more = page->more;
	return 0;
}

static void on_events(const struct store_answer *page, void *userdata)
{
	struct read_op *q = userdata;
	int r = page->status;

	if (!q->op.registry) {
		op_free(&q->op);
		return;
	}
	if (r == 0)
		r = take_events(q, page);
	else
		registry_complain(q->op.registry, "events: %s", page->text);
	answer(&q->op, r == 0 || r == -ENOMEM ? r : -EIO);
}

void registry_events(struct registry *registry, const char *after, unsigned limit,
		     registry_done_fn done, void *userdata)
{
	struct read_op *q =
		(struct read_op *)op_new(registry, &events_kind, &registry_self, done, userdata);
	char key[STORE_MAX_KEY + 1];
	int r;

	if (!q)
		return;
	snprintf(key, sizeof(key), "events/%s", after ? after : "");
	if (limit == 0 || limit > MAX_EVENTS_ONCE)
		limit = MAX_EVENTS_ONCE;
	r = store_list(registry->store, "events/", after ? key : NULL, limit, on_events, q);
	if (r == -EINVAL)
		answer(&q->op,
		       op_refuse(&q->op, REGISTRY_BAD_REQUEST, "after: is no id of an event"));
	else if (r < 0)
		op_fail(&q->op, r);
}
