#include "coord/registry/admit.h"

#include <errno.h>
#include <string.h>

#include "common/base64.h"
#include "coord/registry/address.h"
#include "coord/registry/check.h"
#include "coord/registry/names.h"
#include "coord/registry/node_txn.h"

/* Hosts with the same name; those beyond have to be given names of their own. */
#define MAX_SUFFIX 9999u

char *key_name(const uint8_t bytes[32], char buf[KEY_NAME_SIZE])
{
	return base64url_encode(bytes, 32, buf);
}

uint64_t admit_key_expiry(const struct registry *registry, const struct text_list *tags)
{
	return tags->n > 0 ? RECORD_NEVER
			   : time_after(registry->clock(), registry->key_lifetime_usec);
}

void admit_touch_user(struct txn *txn, const struct user_record *user)
{
	txn_put_record(txn, &user_record_kind, user);
}

/* ---- tags ---- */

struct policy_giver admit_actor(const struct op *op)
{
	const struct user_record *user = op->login ? registry_user(op->registry, op->login) : NULL;

	return (struct policy_giver){ .login = op->login, .roles = user ? user->roles : 0 };
}

int admit_check_tag_names(struct op *op, const struct text_list *tags)
{
	if (tags->n > RECORD_MAX_TAGS)
		return op_refuse(op, REGISTRY_BAD_TAG,
				 "%zu tags are too many; a node has %u at most", tags->n,
				 RECORD_MAX_TAGS);
	for (size_t i = 0; i < tags->n; i++) {
		const char *problem = tag_problem(tags->items[i]);

		if (problem)
			return op_refuse(op, REGISTRY_BAD_TAG, "tag %zu of the list %s", i + 1,
					 problem);
	}
	return 0;
}

int admit_check_tags(struct op *op, const struct policy_giver *giver, const struct text_list *tags)
{
	const struct user_record *user =
		giver->login ? registry_user(op->registry, giver->login) : NULL;
	_cleanup_(text_list_done) struct text_list groups = { 0 };
	struct policy_giver whole = *giver;
	int r = admit_check_tag_names(op, tags);

	if (r == 0 && user)
		r = registry_user_groups(op->registry, user, &groups);
	whole.groups = groups.items;
	whole.n_groups = groups.n;
	for (size_t i = 0; i < tags->n && r == 0; i++) {
		_cleanup_free_ char *why = NULL;

		r = policy_may_tag(registry_policy(op->registry), &whole, tags->items[i], &why);
		if (r == -EINVAL)
			r = op_refuse(op, REGISTRY_BAD_TAG, "%s", why);
	}
	return r;
}

/* ---- what a new node gets ---- */

static bool same_owner(const struct address_record *record, const struct admission *a)
{
	if (a->user || record->user)
		return a->user && record->user && strcmp(a->user, record->user) == 0;
	return text_list_equal(&record->tags, a->tags);
}

/* A node of this name was deleted a short while ago, and was somebody else's. */
static bool name_is_kept(const struct registry *registry, const char *label,
			 const struct admission *a)
{
	const struct table *table = &registry->state->addresses;

	for (size_t i = 0; i < table->n; i++) {
		const struct address_record *record =
			(const struct address_record *)table->items[i];

		if (record->name && strcmp(record->name, label) == 0 &&
		    record->released + QUARANTINE_USEC > registry->clock() &&
		    !same_owner(record, a))
			return true;
	}
	return false;
}

/*
 * The first label of this kind that is free. After a conflict the search goes on behind the one
 * that was tried: either it is taken by now, or something unknown holds it.
 */
static int choose_name(struct op *op, const struct admission *a, char label[LABEL_SIZE])
{
	const char *hostname = a->facts->hostname ? a->facts->hostname : "";

	for (unsigned suffix = op->next_suffix; suffix <= MAX_SUFFIX; suffix++) {
		label_from_hostname(hostname, suffix, label);
		if (registry_node_by_name(op->registry, label) || label_is_reserved(label) ||
		    name_is_kept(op->registry, label, a))
			continue;
		op->used_suffix = suffix;
		return 0;
	}
	return op_refuse(op, REGISTRY_CONFLICT,
			 "%u hosts are called \"%s\" already; give this one another name "
			 "(agentctl up --hostname)",
			 MAX_SUFFIX, label_from_hostname(hostname, 0, label));
}

/* Is it free? Then *ret_revision is that of its entry, 0: there is none. */
static bool address_is_free(const struct registry *registry, const struct ip_addr *address,
			    uint64_t *ret_revision)
{
	const struct address_record *record;
	char text[IP_ADDR_STRLEN];

	ip_addr_to_string(address, text);
	if (registry_node_by_address(registry, address))
		return false;
	record = (const struct address_record *)table_find(&registry->state->addresses, text);
	*ret_revision = record ? record->head.revision : 0;
	return !record ||
	       (!record->node && record->released + QUARANTINE_USEC <= registry->clock());
}

static int choose_address(struct op *op, struct ip_addr *ret_address, uint64_t *ret_revision)
{
	struct registry *registry = op->registry;
	size_t tries = registry->state->nodes.n + registry->state->addresses.n + 2;

	for (; tries > 0; tries--) {
		struct ip_addr address = address_from_number(registry->address_cursor);

		registry->address_cursor = address_next(registry->address_cursor);
		if (address_is_free(registry, &address, ret_revision)) {
			*ret_address = address;
			return 0;
		}
	}
	return op_refuse(op, REGISTRY_UNAVAILABLE, "no mesh address is free");
}

static void put_address(struct txn *txn, const struct node_record *node, uint64_t revision)
{
	char text[IP_ADDR_STRLEN];
	const struct address_record record = {
		.head = { .id = ip_addr_to_string(&node->ipv4, text), .revision = revision },
		.node = node->head.id,
	};

	txn_put_record(txn, &address_record_kind, &record);
}

void admit_claim(struct txn *txn, const char *prefix, const char *name, const char *id)
{
	txn_expect(txn, prefix, name, 0);
	txn_put(txn, prefix, name, strdup(id), strlen(id));
}

/* ---- nodes ---- */

static bool is_ours(const struct node_record *other, const struct ed25519_public *machine)
{
	return !other || ed25519_public_equal(&other->machine, machine);
}

/* What both a new and a renewed node get. The strings are borrowed: node is only written. */
static void fill(struct op *op, const struct admission *a, struct node_record *node)
{
	static const struct text_list no_tags;

	node->machine = *a->machine;
	node->key = *a->key;
	node->user = a->user ? (char *)a->user : NULL;
	node->tags = a->user ? no_tags : *a->tags;
	node->key_created = op->registry->clock();
	node->key_expiry = admit_key_expiry(op->registry, &node->tags);
	node->expired_by = NULL;
	node->ephemeral = a->ephemeral;
	node->auth_key = (char *)a->auth_key;
	node->facts = *a->facts;
}

static int put_new(struct op *op, struct txn *txn, const struct admission *a, char id[ID_SIZE])
{
	struct node_record node = { 0 };
	char label[LABEL_SIZE], name[KEY_NAME_SIZE];
	uint64_t revision = 0;
	int r;

	if (op->registry->state->nodes.n >= REGISTRY_MAX_NODES)
		return op_refuse(op, REGISTRY_TOO_MANY, "there are %u nodes, which is the most",
				 REGISTRY_MAX_NODES);
	r = choose_name(op, a, label);
	if (r == 0)
		r = choose_address(op, &node.ipv4, &revision);
	if (r == 0)
		r = id_new('n', id);
	if (r != 0)
		return r;
	node.head.id = id;
	node.name = label;
	node.created = op->registry->clock();
	fill(op, a, &node);
	admit_claim(txn, "machine/", key_name(a->machine->bytes, name), id);
	admit_claim(txn, "name/", label, id);
	admit_claim(txn, "nodekey/", key_name(a->key->bytes, name), id);
	put_address(txn, &node, revision);
	txn_put_record(txn, &node_record_kind, &node);
	op_event(op, txn, id, "%s, for %s", label, a->user ? a->user : a->tags->items[0]);
	return 0;
}

static void put_renewed(struct op *op, struct txn *txn, const struct admission *a,
			const struct node_record *old)
{
	struct node_record node = *old;

	fill(op, a, &node);
	if (!wg_key_equal(&old->key, a->key))
		node_txn_swap_key(txn, old, a->key);
	txn_put_record(txn, &node_record_kind, &node);
	check_txn_forget(op, txn, old->head.id);
	op_event(op, txn, old->head.id, "%s, a new key, for %s", old->name,
		 a->user ? a->user : a->tags->items[0]);
}

int admit_node(struct op *op, struct txn *txn, const struct admission *a, char ret_id[ID_SIZE])
{
	struct registry *registry = op->registry;
	const struct node_record *old = registry_node_by_machine(registry, a->machine);
	const struct user_record *user = a->user ? registry_user(registry, a->user) : NULL;

	if (!registry->state->mesh)
		return op_refuse(op, REGISTRY_UNAVAILABLE,
				 "there is no mesh yet; run \"coordctl init\"");
	if (!is_ours(registry_node_by_key(registry, a->key), a->machine))
		return op_refuse(op, REGISTRY_NODE_KEY_IN_USE,
				 "another machine has this node key; make a new one");
	if (a->user && !user)
		return op_refuse(op, REGISTRY_NOT_FOUND,
				 "there is no user %s; add them first (coordctl users add)",
				 a->user);
	if (user && user->suspended)
		return op_refuse(op, REGISTRY_NOT_ALLOWED, "%s is suspended", a->user);
	if (user)
		admit_touch_user(txn, user);
	if (!old)
		return put_new(op, txn, a, ret_id);
	snprintf(ret_id, ID_SIZE, "%s", old->head.id);
	put_renewed(op, txn, a, old);
	return 0;
}
