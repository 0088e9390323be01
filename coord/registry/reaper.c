/*
 * What is due by the clock, one transaction after the other: policies that nobody confirmed, what
 * people who were suspended still have, keys of nodes that ran out, enrolments and checks that
 * nobody decided, ephemeral nodes that have gone, addresses that may be given again, keys that are
 * of no use any more, old events.
 *
 * Each round looks through all there is. That takes a millisecond for ten thousand nodes, and
 * happens when something is due.
 */
#include "coord/registry/reaper.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "coord/registry/check.h"
#include "coord/registry/node_txn.h"
#include "coord/registry/policy_txn.h"
#include "coord/registry/suspension.h"

/* Of one transaction; a node takes seven operations. */
#define NODES_AT_ONCE  8u
#define OTHERS_AT_ONCE 50u
#define CHECKS_AT_ONCE 25u /* with an event each */

/* When the store fails, the next try is not at once. */
#define RETRY_USEC (UINT64_C(30) * 1000000)

#define NEVER UINT64_MAX

static const struct node_slot *node_at(const struct registry *registry, size_t i)
{
	return (const struct node_slot *)registry->state->nodes.items[i];
}

/* ---- when ---- */

static uint64_t gone_due(const struct registry *registry, const struct node_slot *slot)
{
	uint64_t gone_since = slot->last_seen ? slot->last_seen : registry->loaded_at;

	return slot->rec.ephemeral && !slot->online ? gone_since + EPHEMERAL_GONE_USEC : NEVER;
}

static uint64_t expiry_due(const struct registry *registry, const struct node_slot *slot)
{
	return slot->rec.expired_by ? NEVER : slot->rec.key_expiry;
}

static uint64_t pending_due(const struct registry *registry, const struct record_head *item)
{
	return ((const struct pending_record *)item)->expires;
}

static uint64_t address_due(const struct registry *registry, const struct record_head *item)
{
	const struct address_record *address = (const struct address_record *)item;

	return address->node ? NEVER : address->released + QUARANTINE_USEC;
}

/* Of the times at which a key became useless, the first. */
static uint64_t dead_since(uint64_t expires, uint64_t revoked)
{
	return revoked && revoked < expires ? revoked : expires;
}

static uint64_t authkey_due(const struct registry *registry, const struct record_head *item)
{
	const struct authkey_record *key = (const struct authkey_record *)item;
	uint64_t dead = dead_since(key->expires, key->revoked);

	if (key->used > 0 && !key->reusable && key->last_used < dead)
		dead = key->last_used;
	return time_after(dead, DEAD_KEY_USEC);
}

static uint64_t apikey_due(const struct registry *registry, const struct record_head *item)
{
	const struct apikey_record *key = (const struct apikey_record *)item;

	return time_after(dead_since(key->expires, key->revoked), DEAD_KEY_USEC);
}

static uint64_t websession_due(const struct registry *registry, const struct record_head *item)
{
	return ((const struct websession_record *)item)->expires;
}

static uint64_t pwlink_due(const struct registry *registry, const struct record_head *item)
{
	return ((const struct pwlink_record *)item)->expires;
}

/* What is too old for every rule. */
static uint64_t checkgrant_due(const struct registry *registry, const struct record_head *item)
{
	const struct checkgrant_record *grant = (const struct checkgrant_record *)item;
	uint64_t request_ends = grant->asked + CHECK_LIFETIME_USEC;
	uint64_t ends = grant->at ? time_after(grant->at, POLICY_MAX_CHECK_PERIOD_USEC) : 0;

	return ends > request_ends ? ends : request_ends;
}

/* Tables whose items are simply deleted when they are due. */
static const struct swept {
	const struct record_kind *kind;
	size_t table; /* offset in struct state */
	uint64_t (*due)(const struct registry *registry, const struct record_head *item);
} swept[] = {
	{ &pending_record_kind, offsetof(struct state, pending), pending_due },
	{ &address_record_kind, offsetof(struct state, addresses), address_due },
	{ &authkey_record_kind, offsetof(struct state, authkeys), authkey_due },
	{ &apikey_record_kind, offsetof(struct state, apikeys), apikey_due },
	{ &websession_record_kind, offsetof(struct state, websessions), websession_due },
	{ &pwlink_record_kind, offsetof(struct state, pwlinks), pwlink_due },
	{ &checkgrant_record_kind, offsetof(struct state, checkgrants), checkgrant_due },
};

static const struct table *table_of(const struct registry *registry, const struct swept *s)
{
	return (const struct table *)((const char *)registry->state + s->table);
}

static void sooner(uint64_t when, uint64_t *next)
{
	if (when < *next)
		*next = when;
}

uint64_t reap_next(const struct registry *registry)
{
	const struct policy_current *current = registry->state->current;
	uint64_t next = registry->not_before;

	if (registry->is_reaping)
		return NEVER; /* what ends then looks again */
	if (next > registry->clock())
		return next;
	if (suspension_is_due(registry))
		return 0;
	next = registry->events_due;
	if (current && current->confirm_by)
		sooner(current->confirm_by, &next);
	for (size_t i = 0; i < registry->state->nodes.n; i++) {
		const struct node_slot *slot = node_at(registry, i);

		sooner(gone_due(registry, slot), &next);
		sooner(expiry_due(registry, slot), &next);
	}
	for (size_t i = 0; i < registry_n_checkreqs(registry); i++)
		sooner(registry_checkreq_at(registry, i)->expires, &next);
	for (size_t i = 0; i < ARRAY_SIZE(swept); i++) {
		const struct table *table = table_of(registry, &swept[i]);

		for (size_t k = 0; k < table->n; k++)
			sooner(swept[i].due(registry, table->items[k]), &next);
	}
	return next;
}

/* ---- one round ---- */

struct reap_op {
	struct op op;
	/* Events are looked up in the store before. */
	char *events[OTHERS_AT_ONCE];
	size_t n_events;
};

static void destroy(struct op *op)
{
	struct reap_op *reaped = (struct reap_op *)op;

	for (size_t i = 0; i < reaped->n_events; i++)
		free(reaped->events[i]);
}

static void on_done(const struct registry_result *result, void *userdata)
{
	struct registry *registry = userdata;

	registry->is_reaping = false;
	if (result->code != REGISTRY_OK) {
		registry_complain(registry, "What is due could not be done: %s", result->text);
		registry->not_before = registry->clock() + RETRY_USEC;
	}
	registry_due(registry, 0);
}

static int prepare_gone(struct op *op, struct txn *txn)
{
	size_t n = 0;

	for (size_t i = 0; i < op->registry->state->nodes.n && n < NODES_AT_ONCE; i++) {
		const struct node_slot *slot = node_at(op->registry, i);

		if (gone_due(op->registry, slot) > op->registry->clock())
			continue;
		node_txn_delete(op, txn, &slot->rec);
		n++;
	}
	return n > 0 ? 0 : OP_ANSWERED;
}

static int prepare_expired(struct op *op, struct txn *txn)
{
	size_t n = 0;

	for (size_t i = 0; i < op->registry->state->nodes.n && n < NODES_AT_ONCE; i++) {
		const struct node_slot *slot = node_at(op->registry, i);

		if (expiry_due(op->registry, slot) > op->registry->clock())
			continue;
		node_txn_expire(op, txn, &slot->rec, NODE_EXPIRED_BY_TIME, op->kind->action);
		n++;
	}
	return n > 0 ? 0 : OP_ANSWERED;
}

static int prepare_suspended(struct op *op, struct txn *txn)
{
	return suspension_put(op, txn, NULL) ? 0 : OP_ANSWERED;
}

static int prepare_swept(struct op *op, struct txn *txn)
{
	uint64_t now = op->registry->clock();
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(swept); i++) {
		const struct table *table = table_of(op->registry, &swept[i]);

		for (size_t k = 0; k < table->n && n < OTHERS_AT_ONCE; k++) {
			const struct record_head *item = table->items[k];

			if (swept[i].due(op->registry, item) > now)
				continue;
			txn_expect(txn, swept[i].kind->prefix, item->id, item->revision);
			txn_delete(txn, swept[i].kind->prefix, item->id);
			n++;
		}
	}
	return n > 0 ? 0 : OP_ANSWERED;
}

/* Those that nobody answered are told of. */
static int prepare_checks(struct op *op, struct txn *txn)
{
	const struct registry *registry = op->registry;
	size_t n = 0;

	for (size_t i = 0; i < registry_n_checkreqs(registry) && n < CHECKS_AT_ONCE; i++) {
		const struct checkreq_record *req = registry_checkreq_at(registry, i);

		if (req->expires > registry->clock())
			continue;
		txn_expect(txn, checkreq_record_kind.prefix, req->head.id, req->head.revision);
		txn_delete(txn, checkreq_record_kind.prefix, req->head.id);
		if (req->state == CHECK_WAITING)
			op_event(op, txn, req->node, "%s", req->user);
		n++;
	}
	return n > 0 ? 0 : OP_ANSWERED;
}

static int prepare_events(struct op *op, struct txn *txn)
{
	struct reap_op *reaped = (struct reap_op *)op;

	for (size_t i = 0; i < reaped->n_events; i++)
		txn_delete(txn, "", reaped->events[i]);
	return reaped->n_events > 0 ? 0 : OP_ANSWERED;
}

static const struct op_kind gone_kind = {
	.action = "node.gone",
	.size = sizeof(struct reap_op),
	.prepare = prepare_gone,
	.destroy = destroy,
};
static const struct op_kind expired_kind = {
	.action = "node.key-expired",
	.size = sizeof(struct reap_op),
	.prepare = prepare_expired,
	.destroy = destroy,
};
static const struct op_kind suspended_kind = {
	.action = "reap.suspended",
	.size = sizeof(struct reap_op),
	.prepare = prepare_suspended,
	.destroy = destroy,
};
static const struct op_kind swept_kind = {
	.action = "reap",
	.size = sizeof(struct reap_op),
	.prepare = prepare_swept,
	.destroy = destroy,
};
static const struct op_kind checks_kind = {
	.action = "check.expire",
	.size = sizeof(struct reap_op),
	.prepare = prepare_checks,
	.destroy = destroy,
};
static const struct op_kind events_kind = {
	.action = "reap.events",
	.size = sizeof(struct reap_op),
	.prepare = prepare_events,
	.destroy = destroy,
};

static struct reap_op *begin(struct registry *registry, const struct op_kind *kind)
{
	registry->is_reaping = true;
	return (struct reap_op *)op_new(registry, kind, &registry_self, on_done, registry);
}

/* ---- events ---- */

/*
 * Machines, which make events by themselves, do not displace what people did, nor the other way
 * round: each has a half of the room, and what the other does not need of its own.
 */
static bool is_too_many(const struct registry *registry, size_t n, size_t n_others)
{
	size_t half = registry->max_events / 2;

	return n > registry->max_events - (n_others < half ? n_others : half);
}

static int search_on(struct registry *registry, const struct store_answer *page, bool more)
{
	free(registry->events_after);
	registry->events_after = more ? strdup(page->entries[page->n_entries - 1].key) : NULL;
	registry->events_due = registry->clock() + (more ? 0 : DAY_USEC / 24);
	return more && !registry->events_after ? -ENOMEM : 0;
}

/* The store keeps them in the order of time: their keys begin with it. */
static int choose_events(struct reap_op *reaped, const struct store_answer *page)
{
	struct registry *registry = reaped->op.registry;
	/* Of people, of machines. */
	size_t n[2] = { registry->state->n_events - registry->state->n_machine_events,
			registry->state->n_machine_events };
	bool too_many;

	for (size_t i = 0; i < page->n_entries; i++) {
		const char *key = page->entries[i].key, *id = key + strlen("events/");
		bool kind = event_is_by_machine(id);
		uint64_t time = strtoull(id, NULL, 10);

		if (time_after(time, registry->event_lifetime_usec) > registry->clock() &&
		    !is_too_many(registry, n[kind], n[!kind]))
			continue;
		reaped->events[reaped->n_events] = strdup(key);
		if (!reaped->events[reaped->n_events])
			return -ENOMEM;
		reaped->n_events++;
		n[kind]--;
	}
	too_many = is_too_many(registry, n[0], n[1]) || is_too_many(registry, n[1], n[0]);
	return search_on(registry, page,
			 page->more && (too_many || reaped->n_events == page->n_entries));
}

static void on_page(const struct store_answer *page, void *userdata)
{
	struct reap_op *reaped = userdata;
	int r = page->status;

	if (!reaped->op.registry) {
		op_free(&reaped->op);
		return;
	}
	if (r < 0)
		registry_complain(reaped->op.registry, "reap.events: %s", page->text);
	else
		r = choose_events(reaped, page);
	op_begin(&reaped->op, r);
}

static void reap_events(struct registry *registry)
{
	struct reap_op *reaped = begin(registry, &events_kind);
	int r;

	if (!reaped)
		return;
	r = store_list(registry->store, "events/", registry->events_after, OTHERS_AT_ONCE, on_page,
		       reaped);
	if (r < 0)
		op_fail(&reaped->op, r);
}

/* ---- what comes first ---- */

static bool any_node(const struct registry *registry,
		     uint64_t (*due)(const struct registry *registry, const struct node_slot *slot))
{
	for (size_t i = 0; i < registry->state->nodes.n; i++)
		if (due(registry, node_at(registry, i)) <= registry->clock())
			return true;
	return false;
}

static bool any_check(const struct registry *registry)
{
	for (size_t i = 0; i < registry_n_checkreqs(registry); i++)
		if (registry_checkreq_at(registry, i)->expires <= registry->clock())
			return true;
	return false;
}

static void start(struct registry *registry, const struct op_kind *kind)
{
	struct reap_op *reaped = begin(registry, kind);

	if (reaped)
		op_run(&reaped->op);
}

void reap(struct registry *registry)
{
	const struct policy_current *current = registry->state->current;
	uint64_t now = registry->clock();

	if (registry->is_reaping || reap_next(registry) > now)
		return;
	if (current && current->confirm_by && current->confirm_by <= now) {
		registry->is_reaping = true;
		policy_roll_back_unconfirmed(registry, on_done, registry);
	} else if (suspension_is_due(registry)) {
		start(registry, &suspended_kind);
	} else if (any_node(registry, gone_due)) {
		start(registry, &gone_kind);
	} else if (any_node(registry, expiry_due)) {
		start(registry, &expired_kind);
	} else if (any_check(registry)) {
		start(registry, &checks_kind);
	} else if (registry->events_due <= now) {
		reap_events(registry);
	} else {
		start(registry, &swept_kind);
	}
}
