#include "coord/registry/pending.h"

#include <errno.h>
#include <string.h>

#include "coord/registry/admit.h"

/* Codes that are drawn until one is free: two hundred of 29^8 hardly ever meet. */
#define MAX_CODES 8u

static const struct pending_record *pending_at(const struct registry *registry, size_t i)
{
	return registry_pending_at(registry, i);
}

static bool is_alive(const struct registry *registry, const struct pending_record *pending)
{
	return pending->expires > registry->clock();
}

const struct pending_record *pending_of_machine(const struct registry *registry,
						const struct ed25519_public *machine)
{
	for (size_t i = 0; i < registry_n_pending(registry); i++) {
		const struct pending_record *pending = pending_at(registry, i);

		if (is_alive(registry, pending) && ed25519_public_equal(&pending->machine, machine))
			return pending;
	}
	return NULL;
}

/* One host may have as many IPv6 addresses as it likes, of one /64. */
static bool same_source(const struct ip_addr *a, const struct ip_addr *b)
{
	return a->family == b->family &&
	       memcmp(a->bytes, b->bytes, a->family == AF_INET6 ? 8 : sizeof(a->bytes)) == 0;
}

static int check_limits(struct op *op, const struct ip_addr *from)
{
	const struct registry *registry = op->registry;
	size_t n = 0, n_from = 0;

	for (size_t i = 0; i < registry_n_pending(registry); i++) {
		const struct pending_record *pending = pending_at(registry, i);

		if (!is_alive(registry, pending))
			continue;
		n++;
		n_from += from->family != AF_UNSPEC && same_source(&pending->from, from);
	}
	if (n_from >= registry->max_pending_from)
		return op_refuse(op, REGISTRY_TOO_MANY,
				 "%zu machines wait for approval from your address already; try "
				 "again when some are through",
				 n_from);
	/* Those that ran out are still in the store until they are reaped. */
	if (n >= REGISTRY_MAX_PENDING || registry_n_pending(registry) >= 2 * REGISTRY_MAX_PENDING)
		return op_refuse(op, REGISTRY_TOO_MANY,
				 "%zu machines wait for approval already; try again later, or with "
				 "an auth key",
				 n);
	return 0;
}

static int choose_code(struct op *op, char code[CODE_LEN + 1])
{
	int r = 0;

	for (unsigned i = 0; i < MAX_CODES && r == 0; i++) {
		r = code_new(code);
		if (r == 0 && !registry_pending(op->registry, code))
			return 0;
	}
	return r < 0 ? r : op_refuse(op, REGISTRY_UNAVAILABLE, "no code was free; try again");
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Whoever looked at the code would see, and approve, the same. */
static bool same_request(const struct pending_record *old, const struct pending_request *request)
{
	return wg_key_equal(&old->key, request->key) &&
	       text_list_equal(&old->tags, request->tags) &&
	       same_text(old->facts.hostname, request->facts->hostname);
}

/* Limits are for machines that come new. */
static int begin(struct op *op, const struct pending_request *request,
		 const struct pending_record *old, char code[CODE_LEN + 1])
{
	int r;

	if (old && old->state == PENDING_REJECTED)
		return op_refuse(op, REGISTRY_REJECTED, "somebody has said no to this machine");
	if (old && same_request(old, request)) {
		memcpy(code, old->head.id, CODE_LEN + 1);
		return 0;
	}
	r = old ? 0 : check_limits(op, request->from);
	return r != 0 ? r : choose_code(op, code);
}

/* The page goes with the code: both stay, or both are others. */
static int choose_page(const struct pending_record *old, bool again, char page[CHECK_ID_SIZE])
{
	if (!again || !old->page)
		return check_id_new(page);
	memcpy(page, old->page, CHECK_ID_SIZE);
	return 0;
}

int pending_put(struct op *op, struct txn *txn, const struct pending_request *request,
		struct waiting *ret_waiting)
{
	const struct pending_record *old = pending_of_machine(op->registry, request->machine);
	struct pending_record pending = {
		.head = { .id = ret_waiting->code },
		.page = ret_waiting->page,
		.machine = *request->machine,
		.key = *request->key,
		.tags = *request->tags,
		.facts = *request->facts,
		.from = *request->from,
		.created = op->registry->clock(),
		.expires = op->registry->clock() + PENDING_LIFETIME_USEC,
	};
	bool again;
	int r;

	if (!op->registry->state->mesh)
		return op_refuse(op, REGISTRY_UNAVAILABLE,
				 "there is no mesh yet; run \"coordctl init\"");
	r = admit_check_tag_names(op, request->tags);
	if (r == 0)
		r = begin(op, request, old, ret_waiting->code);
	if (r != 0)
		return r;
	again = old && strcmp(old->head.id, pending.head.id) == 0;
	r = choose_page(old, again, ret_waiting->page);
	if (r == 0)
		r = secret_new(ret_waiting->secret, pending.hash);
	if (r != 0)
		return r;
	if (again)
		pending.head.revision = old->head.revision;
	else if (old)
		txn_delete(txn, "pending/", old->head.id);
	txn_put_record(txn, &pending_record_kind, &pending);
	/* Who asks again is no news. */
	if (!again)
		op_event_result(op, txn, "node.ask", pending.head.id, "ok",
				request->facts->hostname);
	return 0;
}
