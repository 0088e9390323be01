#include "agent/ssh/lease.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "agent/ssh/lease_judge.h"

#define N_BUCKETS 1024u /* ids are random: they need no hashing */
_Static_assert(N_BUCKETS % LEASE_N_SLICES == 0, "slices are of the same size");

struct lease {
	struct lease_table *table; /* NULL: revoked, or the table is gone */
	struct lease *next, **at;  /* in its bucket */
	char id[LEASE_ID_LEN + 1];
	struct lease_terms terms;
	uint64_t valid_until;
	const struct lease_events *events;
	void *userdata;
};

struct lease_table {
	struct lease *buckets[N_BUCKETS];
	size_t n_leases, max_leases;
	/* Never later than the earliest end; earlier when that lease has gone since. */
	uint64_t next_expiry;
	void (*on_expiry_change)(void *userdata);
	void *userdata;
	const struct lease_observer *observer; /* NULL: none */
	void *observer_userdata;
};

const char *lease_end_to_string(enum lease_end end)
{
	switch (end) {
	case LEASE_END_NO_MAP:
		return "no-map";
	case LEASE_END_NODE_GONE:
		return "node-gone";
	case LEASE_END_ADDRESS_MOVED:
		return "address-moved";
	case LEASE_END_KEY_EXPIRED:
		return "key-expired";
	case LEASE_END_SSH_OFF:
		return "ssh-off";
	case LEASE_END_POLICY:
		return "policy";
	case LEASE_END_EXPIRED:
		return "expired";
	case LEASE_END_LOCAL_USER:
		return "local-user";
	case LEASE_END_FORWARDING:
		return "forwarding";
	case LEASE_END_FORCE_COMMAND:
		return "force-command";
	case LEASE_END_UNREACHABLE:
		return "unreachable";
	case LEASE_END_REPLACED:
		return "replaced";
	case LEASE_END_OPERATOR:
		return "operator";
	}
	return "unknown";
}

int lease_table_new(size_t max_leases, struct lease_table **ret_table)
{
	struct lease_table *table;

	table = calloc(1, sizeof(*table));
	if (!table)
		return -ENOMEM;
	table->max_leases = max_leases;
	table->next_expiry = UINT64_MAX;
	*ret_table = table;
	return 0;
}

struct lease_table *lease_table_free(struct lease_table *table)
{
	if (!table)
		return NULL;
	for (size_t i = 0; i < N_BUCKETS; i++)
		for (struct lease *l = table->buckets[i]; l; l = l->next)
			l->table = NULL;
	free(table);
	return NULL;
}

static size_t bucket_number(const char *id)
{
	char head[5] = { id[0], id[1], id[2], id[3], '\0' };

	return strtoul(head, NULL, 16) % N_BUCKETS;
}

static struct lease **bucket_of(struct lease_table *table, const char *id)
{
	return &table->buckets[bucket_number(id)];
}

static void lease_link(struct lease_table *table, struct lease *lease)
{
	struct lease **bucket = bucket_of(table, lease->id);

	lease->table = table;
	lease->next = *bucket;
	lease->at = bucket;
	if (lease->next)
		lease->next->at = &lease->next;
	*bucket = lease;
	table->n_leases++;
}

static void lease_unlink(struct lease *lease)
{
	if (!lease->table)
		return;
	lease->table->n_leases--;
	*lease->at = lease->next;
	if (lease->next)
		lease->next->at = lease->at;
	lease->table = NULL;
}

static struct lease *lease_find(struct lease_table *table, const char *id)
{
	if (strlen(id) != LEASE_ID_LEN)
		return NULL;
	for (struct lease *l = *bucket_of(table, id); l; l = l->next)
		if (strcmp(l->id, id) == 0)
			return l;
	return NULL;
}

const struct lease *lease_table_find(struct lease_table *table, const char *id)
{
	return lease_find(table, id);
}

struct lease *lease_free(struct lease *lease)
{
	if (!lease)
		return NULL;
	if (lease->table && lease->table->observer)
		lease->table->observer->ended(lease, lease->table->observer_userdata);
	lease_unlink(lease);
	free((char *)lease->terms.node_id);
	free((char *)lease->terms.node_name);
	free((char *)lease->terms.user);
	free((char *)lease->terms.ssh_user);
	free((char *)lease->terms.local_user);
	free((char *)lease->terms.force_command);
	free((char *)lease->terms.connection);
	free(lease);
	return NULL;
}

/* Copies text, which may be NULL, and clears *ok when memory ran out. */
static const char *dup_text(const char *text, bool *ok)
{
	char *copy;

	if (!text)
		return NULL;
	copy = strdup(text);
	if (!copy)
		*ok = false;
	return copy;
}

static void set_next_expiry(struct lease_table *table, uint64_t next)
{
	if (next == table->next_expiry)
		return;
	table->next_expiry = next;
	if (table->on_expiry_change)
		table->on_expiry_change(table->userdata);
}

static int lease_enter(struct lease_table *table, const char *id, const struct lease_terms *terms,
		       uint64_t valid_until, bool resumed, const struct lease_events *events,
		       void *userdata, struct lease **ret_lease)
{
	_cleanup_(lease_freep) struct lease *lease = NULL;
	bool ok = true;

	if (table->n_leases >= table->max_leases)
		return -ENOSPC;

	lease = calloc(1, sizeof(*lease));
	if (!lease)
		return -ENOMEM;
	memcpy(lease->id, id, LEASE_ID_LEN);
	lease->terms = *terms;
	lease->terms.node_id = dup_text(terms->node_id, &ok);
	lease->terms.node_name = dup_text(terms->node_name, &ok);
	lease->terms.user = dup_text(terms->user, &ok);
	lease->terms.ssh_user = dup_text(terms->ssh_user, &ok);
	lease->terms.local_user = dup_text(terms->local_user, &ok);
	lease->terms.force_command = dup_text(terms->force_command, &ok);
	lease->terms.connection = dup_text(terms->connection, &ok);
	if (!ok)
		return -ENOMEM;
	lease->valid_until = valid_until;
	lease->events = events;
	lease->userdata = userdata;

	lease_link(table, lease);
	if (valid_until < table->next_expiry)
		set_next_expiry(table, valid_until);
	if (table->observer)
		table->observer->began(lease, resumed, table->observer_userdata);
	*ret_lease = take_ptr(lease);
	return 0;
}

int lease_grant(struct lease_table *table, const struct lease_terms *terms, uint64_t valid_until,
		const struct lease_events *events, void *userdata, struct lease **ret_lease)
{
	uint8_t raw[LEASE_ID_LEN / 2];
	char id[LEASE_ID_LEN + 1];

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return -errno;
	for (size_t i = 0; i < sizeof(raw); i++)
		snprintf(id + 2 * i, 3, "%02x", raw[i]);
	return lease_enter(table, id, terms, valid_until, false, events, userdata, ret_lease);
}

static void lease_revoke(struct lease *lease, enum lease_end end, const char *message)
{
	const struct lease_table *table = lease->table;

	if (!message)
		message = lease_end_to_string(end);
	if (table->observer)
		table->observer->revoked(lease, end, message, table->observer_userdata);
	lease_unlink(lease);
	lease->events->revoked(lease, end, message, lease->userdata);
}

int lease_table_end(struct lease_table *table, const char *id, enum lease_end end,
		    const char *message)
{
	struct lease *lease = lease_find(table, id);

	if (!lease)
		return -ENOENT;
	lease_revoke(lease, end, message);
	return 0;
}

int lease_resume(struct lease_table *table, const char *id, const struct lease_terms *terms,
		 const struct netmap *map, uint64_t now_usec, const struct lease_events *events,
		 void *userdata, struct lease **ret_lease, enum lease_end *ret_end,
		 char **ret_message)
{
	struct lease_judgement j = { 0 };
	struct lease *older;

	if (strlen(id) != LEASE_ID_LEN || strspn(id, "0123456789abcdef") != LEASE_ID_LEN)
		return -EINVAL;
	older = lease_find(table, id);
	if (older)
		lease_revoke(older, LEASE_END_REPLACED, "resumed on another connection");

	if (lease_judge(terms, map, now_usec, &j) == LEASE_REVOKED) {
		*ret_end = j.end;
		*ret_message = j.message;
		return LEASE_REVOKED;
	}
	return lease_enter(table, id, terms, j.valid_until, true, events, userdata, ret_lease);
}

const char *lease_id(const struct lease *lease)
{
	return lease->id;
}

const struct lease_terms *lease_terms_get(const struct lease *lease)
{
	return &lease->terms;
}

uint64_t lease_valid_until(const struct lease *lease)
{
	return lease->valid_until;
}

size_t lease_table_count(const struct lease_table *table)
{
	return table->n_leases;
}

const struct lease *lease_table_next(const struct lease_table *table, const struct lease *after)
{
	size_t i = 0;

	if (after && after->next)
		return after->next;
	if (after)
		i = bucket_number(after->id) + 1;
	for (; i < N_BUCKETS; i++)
		if (table->buckets[i])
			return table->buckets[i];
	return NULL;
}

void lease_table_observe(struct lease_table *table, const struct lease_observer *observer,
			 void *userdata)
{
	table->observer = observer;
	table->observer_userdata = userdata;
}

static void lease_recheck(struct lease *lease, const struct netmap *map, uint64_t now_usec)
{
	struct lease_judgement j = { 0 };

	if (lease_judge(&lease->terms, map, now_usec, &j) == LEASE_REVOKED) {
		_cleanup_free_ char *message = j.message;

		/* An expired rule is skipped by the policy, which then names another reason. */
		if (j.end == LEASE_END_POLICY && lease->valid_until <= now_usec)
			lease_revoke(lease, LEASE_END_EXPIRED, lease_text_time_is_over);
		else
			lease_revoke(lease, j.end, message);
		return;
	}
	if (j.valid_until == lease->valid_until)
		return;
	lease->valid_until = j.valid_until;
	lease->events->retimed(lease, j.valid_until, lease->userdata);
}

void lease_table_recheck(struct lease_table *table, const struct netmap *map, uint64_t now_usec)
{
	uint64_t earliest = UINT64_MAX;

	for (size_t i = 0; i < N_BUCKETS; i++) {
		for (struct lease *l = table->buckets[i], *next; l; l = next) {
			next = l->next;
			lease_recheck(l, map, now_usec);
		}
		for (struct lease *l = table->buckets[i]; l; l = l->next)
			if (l->valid_until < earliest)
				earliest = l->valid_until;
	}
	set_next_expiry(table, earliest);
}

void lease_table_visit(struct lease_table *table, unsigned slice)
{
	const size_t size = N_BUCKETS / LEASE_N_SLICES, begin = slice % LEASE_N_SLICES * size;

	for (size_t i = begin; i < begin + size; i++) {
		for (struct lease *l = table->buckets[i], *next; l; l = next) {
			next = l->next;
			l->events->visited(l, l->userdata);
		}
	}
}

uint64_t lease_table_next_expiry(const struct lease_table *table)
{
	return table->next_expiry;
}

void lease_table_on_expiry_change(struct lease_table *table, void (*fn)(void *userdata),
				  void *userdata)
{
	table->on_expiry_change = fn;
	table->userdata = userdata;
}
