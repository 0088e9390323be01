/* Looking things up. */
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "coord/registry/accounts.h"
#include "coord/registry/address.h"
#include "coord/registry/code.h"
#include "coord/registry/internal.h"
#include "coord/registry/renewal.h"

const struct mesh_record *registry_mesh(const struct registry *registry)
{
	return registry->state->mesh;
}

static const struct node_record *record_of(const struct node_slot *slot)
{
	return slot ? &slot->rec : NULL;
}

const struct node_record *registry_node(const struct registry *registry, const char *id)
{
	return record_of(state_slot(registry->state, id));
}

const struct node_record *registry_node_by_name(const struct registry *registry, const char *name)
{
	return record_of(state_node_by(registry->state, &registry->state->names, name));
}

const struct node_record *registry_find_node(const struct registry *registry, const char *word)
{
	const struct node_record *node = registry_node(registry, word);

	return node ? node : registry_node_by_name(registry, word);
}

const struct node_record *registry_node_by_machine(const struct registry *registry,
						   const struct ed25519_public *machine)
{
	char text[ED25519_TEXT_LEN];

	ed25519_public_to_string(ED25519_MACHINE, machine, text);
	return record_of(state_node_by(registry->state, &registry->state->machines, text));
}

const struct node_record *registry_node_by_key(const struct registry *registry,
					       const struct wg_key *key)
{
	char text[WG_KEY_B64LEN];

	wg_key_to_string(key, text);
	return record_of(state_node_by(registry->state, &registry->state->keys, text));
}

const struct node_record *registry_node_by_address(const struct registry *registry,
						   const struct ip_addr *address)
{
	const struct state *state = registry->state;
	struct ip_addr ipv4 = *address;
	char text[IP_ADDR_STRLEN];

	if (address->family == AF_INET6 &&
	    (!state->mesh || !address_ipv4_of(&state->mesh->ula, address, &ipv4)))
		return NULL;
	return record_of(state_node_by(state, &state->ips, ip_addr_to_string(&ipv4, text)));
}

const struct user_record *registry_user(const struct registry *registry, const char *login)
{
	return (const struct user_record *)table_find(&registry->state->users, login);
}

const struct authkey_record *registry_authkey(const struct registry *registry, const char *id)
{
	return (const struct authkey_record *)table_find(&registry->state->authkeys, id);
}

const struct apikey_record *registry_apikey(const struct registry *registry, const char *id)
{
	return (const struct apikey_record *)table_find(&registry->state->apikeys, id);
}

const struct pending_record *registry_pending(const struct registry *registry, const char *code)
{
	char normal[CODE_LEN + 1];

	if (!code_normalize(code, normal))
		return NULL;
	return (const struct pending_record *)table_find(&registry->state->pending, normal);
}

/* There are few, and the time it takes says nothing of the secrets. */
const struct pending_record *registry_pending_by_secret(const struct registry *registry,
							const char *secret)
{
	const struct table *table = &registry->state->pending;
	const struct pending_record *found = NULL;
	uint8_t hash[SHA256_LEN];

	if (secret_hash(secret, strlen(secret), hash) < 0)
		return NULL;
	for (size_t i = 0; i < table->n; i++) {
		const struct pending_record *pending = (struct pending_record *)table->items[i];

		if (secret_hash_equal(pending->hash, hash) && pending->expires > registry->clock())
			found = pending;
	}
	return found;
}

const struct pending_record *registry_pending_by_page(const struct registry *registry,
						      const char *page)
{
	const struct table *table = &registry->state->pending;
	const struct pending_record *found = NULL;

	if (!check_id_is_valid(page))
		return NULL;
	for (size_t i = 0; i < table->n; i++) {
		const struct pending_record *pending = (struct pending_record *)table->items[i];

		if (pending->page && CRYPTO_memcmp(pending->page, page, CHECK_ID_SIZE) == 0 &&
		    pending->expires > registry->clock())
			found = pending;
	}
	return found;
}

/* ---- all of them ---- */

#define DEFINE_ITERATION(kind, plural, table)                                             \
	size_t registry_n_##plural(const struct registry *registry)                       \
	{                                                                                 \
		return registry->state->table.n;                                          \
	}                                                                                 \
	const struct kind##_record *registry_##kind##_at(const struct registry *registry, \
							 size_t i)                        \
	{                                                                                 \
		return (const struct kind##_record *)registry->state->table.items[i];     \
	}                                                                                 \
	struct iteration_semicolon_

DEFINE_ITERATION(node, nodes, nodes);
DEFINE_ITERATION(user, users, users);
DEFINE_ITERATION(authkey, authkeys, authkeys);
DEFINE_ITERATION(apikey, apikeys, apikeys);
DEFINE_ITERATION(pending, pending, pending);
DEFINE_ITERATION(policy, policies, policies);
DEFINE_ITERATION(websession, websessions, websessions);
DEFINE_ITERATION(pwlink, pwlinks, pwlinks);
DEFINE_ITERATION(renewal, renewals, renewals);

/* ---- addresses, policy, presence ---- */

void registry_node_addresses(const struct registry *registry, const struct node_record *node,
			     struct ip_addr ret_addresses[2])
{
	ret_addresses[0] = node->ipv4;
	ret_addresses[1] = address_ipv6(&registry->state->mesh->ula, &node->ipv4);
}

void registry_mesh_prefixes(const struct registry *registry, struct ip_prefix ret_prefixes[2])
{
	ret_prefixes[0] = (struct ip_prefix){
		.addr = address_from_number(ADDRESS_FIRST - 1),
		.len = 10,
	};
	ret_prefixes[1] = registry->state->mesh->ula;
}

const struct policy_current *registry_policy_current(const struct registry *registry)
{
	return registry->state->current ? registry->state->current : &registry->default_current;
}

const struct policy *registry_policy(const struct registry *registry)
{
	return registry->state->policy ? registry->state->policy : registry->default_policy;
}

void registry_set_online(struct registry *registry, const char *node, bool online)
{
	struct node_slot *slot = state_slot(registry->state, node);

	if (!slot)
		return;
	slot->online = online;
	slot->last_seen = registry->clock();
	if (!online && slot->rec.ephemeral)
		registry_due(registry, slot->last_seen + EPHEMERAL_GONE_USEC);
}

bool registry_is_online(const struct registry *registry, const struct node_record *node)
{
	const struct node_slot *slot = state_slot(registry->state, node->head.id);

	return slot && slot->online;
}

uint64_t registry_last_seen(const struct registry *registry, const struct node_record *node)
{
	const struct node_slot *slot = state_slot(registry->state, node->head.id);

	return slot ? slot->last_seen : 0;
}

static const char *const codes[] = {
	[REGISTRY_OK] = "ok",
	[REGISTRY_WAITING] = "waiting",
	[REGISTRY_BAD_REQUEST] = "bad-request",
	[REGISTRY_NOT_ALLOWED] = "not-allowed",
	[REGISTRY_NOT_FOUND] = "not-found",
	[REGISTRY_CONFLICT] = "conflict",
	[REGISTRY_TOO_LARGE] = "too-large",
	[REGISTRY_TOO_MANY] = "too-many",
	[REGISTRY_UNAVAILABLE] = "unavailable",
	[REGISTRY_BAD_AUTH_KEY] = "bad-auth-key",
	[REGISTRY_BAD_TAG] = "bad-tag",
	[REGISTRY_REJECTED] = "rejected",
	[REGISTRY_DENIED] = "denied",
	[REGISTRY_NODE_KEY_IN_USE] = "node-key-in-use",
	[REGISTRY_KEY_EXPIRED] = "key-expired",
	[REGISTRY_POLICY_REFUSED] = "policy-refused",
	[REGISTRY_PRECONDITION_FAILED] = "precondition-failed",
};

const char *registry_code_to_string(enum registry_code code)
{
	return codes[code];
}
