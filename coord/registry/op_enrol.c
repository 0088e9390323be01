/* Enrolment by auth key, or by waiting for somebody. */
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "common/text.h"
#include "coord/registry/accounts.h"
#include "coord/registry/admit.h"
#include "coord/registry/pending.h"

struct enrol {
	struct op op;
	struct ed25519_public machine;
	struct wg_key key;
	struct node_facts facts;
	struct text_list tags;
	struct ip_addr from;
	bool has_key; /* an auth key was sent */
	bool key_is_malformed;
	struct key_text auth_key; /* rest is not kept */
	char id[ID_SIZE];	  /* of the node it became */
	struct waiting waiting;
};

static void destroy(struct op *op)
{
	struct enrol *e = (struct enrol *)op;

	OPENSSL_cleanse(&e->waiting, sizeof(e->waiting));
	node_facts_done(&e->facts);
	text_list_done(&e->tags);
}

static int refuse_key(struct enrol *e, const char *why)
{
	return op_refuse(&e->op, REGISTRY_BAD_AUTH_KEY, "the auth key %s", why);
}

/* Why the key lets nobody in (any more); NULL: it does. */
static const char *fault_of(const struct registry *registry, const struct authkey_record *key)
{
	if (key->revoked)
		return "was revoked; make another with \"coordctl authkeys create\"";
	if (key->expires <= registry->clock())
		return "has expired; make another with \"coordctl authkeys create\"";
	if (key->used > 0 && !key->reusable)
		return "was for one time and has been used; make another with \"coordctl authkeys "
		       "create\"";
	if (key->user && !registry_user(registry, key->user))
		return "is of a user who is not here any more";
	if (key->user && !registry_user_is_active(registry, key->user))
		return "is of a user who is suspended";
	return NULL;
}

bool registry_authkey_is_good(const struct registry *registry, const char *text)
{
	const struct authkey_record *key;
	struct key_text parsed;

	if (key_text_parse("pgauth", 'k', text, &parsed) < 0)
		return false;
	key = registry_authkey(registry, parsed.id);
	return key && secret_hash_equal(key->hash, parsed.hash) && !fault_of(registry, key);
}

/* Return: 0 and *ret_key; OP_ANSWERED; -ENOMEM. */
static int find_key(struct enrol *e, const struct authkey_record **ret_key)
{
	const struct authkey_record *key =
		e->key_is_malformed ? NULL : registry_authkey(e->op.registry, e->auth_key.id);
	const char *fault;

	if (e->key_is_malformed)
		return refuse_key(e, "is cut off or mistyped; copy all of it, as \"coordctl "
				     "authkeys create\" prints it");
	if (!key || !secret_hash_equal(key->hash, e->auth_key.hash))
		return refuse_key(e,
				  "is not known here; make one with \"coordctl authkeys create\"");
	/* From here on somebody has the secret: what it is tried for is worth an event. */
	e->op.tell_refusal = true;
	fault = fault_of(e->op.registry, key);
	if (fault)
		return refuse_key(e, fault);
	*ret_key = key;
	return 0;
}

/* The tags that the node will bear: those it asks for, else the key's. */
static int choose_tags(struct enrol *e, const struct authkey_record *key,
		       const struct text_list **ret_tags)
{
	const struct user_record *user =
		key->user ? registry_user(e->op.registry, key->user) : NULL;
	const struct policy_giver giver = {
		.login = key->user,
		.roles = user ? user->roles : 0,
		.tags = key->tags.items,
		.n_tags = key->tags.n,
	};
	struct text_list asked = { 0 };

	*ret_tags = e->tags.n > 0 ? &e->tags : &key->tags;
	for (size_t i = 0; i < e->tags.n; i++) {
		int r;

		/* What the key bears was checked when it was made. */
		if (text_list_has(&key->tags, e->tags.items[i]))
			continue;
		asked = (struct text_list){ .items = &e->tags.items[i], .n = 1 };
		r = admit_check_tags(&e->op, &giver, &asked);
		if (r != 0)
			return r;
	}
	return 0;
}

static void use_key(struct enrol *e, struct txn *txn, const struct authkey_record *key)
{
	struct authkey_record used = *key;

	used.used++;
	used.last_used = e->op.registry->clock();
	txn_put_record(txn, &authkey_record_kind, &used);
}

/* A machine that waited has found another way in. */
static void drop_pending(struct enrol *e, struct txn *txn)
{
	const struct pending_record *pending = pending_of_machine(e->op.registry, &e->machine);

	if (pending)
		txn_delete(txn, "pending/", pending->head.id);
}

static int enrol_by_key(struct enrol *e, struct txn *txn)
{
	const struct authkey_record *key;
	const struct text_list *tags;
	struct admission admission;
	int r;

	r = find_key(e, &key);
	if (r == 0)
		r = choose_tags(e, key, &tags);
	if (r != 0)
		return r;
	admission = (struct admission){
		.machine = &e->machine,
		.key = &e->key,
		.facts = &e->facts,
		.user = tags->n > 0 ? NULL : key->user,
		.tags = tags,
		.ephemeral = key->ephemeral,
		.auth_key = key->head.id,
	};
	r = admit_node(&e->op, txn, &admission, e->id);
	if (r != 0)
		return r;
	use_key(e, txn, key);
	drop_pending(e, txn);
	return 0;
}

/* It is enrolled: nothing changes but what it says of itself. */
static int update_facts(struct enrol *e, struct txn *txn, const struct node_record *old)
{
	struct node_record node = *old;

	snprintf(e->id, sizeof(e->id), "%s", old->head.id);
	if (node_facts_equal(&old->facts, &e->facts)) {
		e->op.result.node = old;
		return OP_ANSWERED;
	}
	node.facts = e->facts;
	txn_put_record(txn, &node_record_kind, &node);
	return 0;
}

static int prepare(struct op *op, struct txn *txn)
{
	struct enrol *e = (struct enrol *)op;
	const struct node_record *old = registry_node_by_machine(op->registry, &e->machine);

	e->id[0] = '\0';
	if (old && wg_key_equal(&old->key, &e->key) && !node_is_expired(old, op->registry->clock()))
		return update_facts(e, txn, old);
	if (e->has_key)
		return enrol_by_key(e, txn);
	return pending_put(op, txn,
			   &(struct pending_request){ .machine = &e->machine,
						      .key = &e->key,
						      .facts = &e->facts,
						      .tags = &e->tags,
						      .from = &e->from },
			   &e->waiting);
}

static void complete(struct op *op)
{
	struct enrol *e = (struct enrol *)op;

	if (e->id[0]) {
		op->result.node = registry_node(op->registry, e->id);
		return;
	}
	op->result.code = REGISTRY_WAITING;
	op->result.pending = registry_pending(op->registry, e->waiting.code);
	op->result.secret = e->waiting.secret;
}

static const struct op_kind kind = {
	.action = "node.enrol",
	.size = sizeof(struct enrol),
	.prepare = prepare,
	.complete = complete,
	.destroy = destroy,
};

static int copy_request(const struct registry_enrolment *request, struct enrol *e)
{
	int r = node_facts_copy(&request->facts, &e->facts);

	if (r == 0)
		r = text_list_copy(&request->tags, &e->tags);
	if (r < 0)
		return r;
	text_list_sort(&e->tags);
	e->machine = request->machine;
	e->key = request->key;
	e->from = request->from;
	e->has_key = request->auth_key != NULL;
	if (!e->has_key)
		return 0;
	r = key_text_parse("pgauth", 'k', request->auth_key, &e->auth_key);
	e->auth_key.rest = NULL;
	e->key_is_malformed = r == -EINVAL;
	return r == -EINVAL ? 0 : r;
}

/* Return: 0, OP_ANSWERED, -ENOMEM. */
static int check_request(struct op *op, const struct registry_enrolment *request)
{
	_cleanup_free_ char *why = NULL;
	int r = node_facts_check(&request->facts, &why);

	if (r == -EINVAL)
		return op_refuse(op, REGISTRY_BAD_REQUEST, "%s", why);
	if (r == 0 && wg_key_is_zero(&request->key))
		return op_refuse(op, REGISTRY_BAD_REQUEST, "node_key: is the zero key");
	return r;
}

void registry_enrol(struct registry *registry, const struct registry_actor *actor,
		    const struct registry_enrolment *enrolment, registry_done_fn done,
		    void *userdata)
{
	struct enrol *e = (struct enrol *)op_new(registry, &kind, actor, done, userdata);
	int r;

	if (!e)
		return;
	r = check_request(&e->op, enrolment);
	if (r == 0)
		r = copy_request(enrolment, e);
	op_begin(&e->op, r);
}
