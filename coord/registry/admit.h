/* A machine becomes a node, or its node gets a new key: what enrolment and approval have in common.
 */
#pragma once

#include "coord/registry/code.h"
#include "coord/registry/op.h"

struct admission {
	const struct ed25519_public *machine;
	const struct wg_key *key;
	const struct node_facts *facts;
	/* Whom the node belongs to: the one or the other. */
	const char *user;
	const struct text_list *tags;
	bool ephemeral;
	const char *auth_key; /* id; NULL: approved */
};
/*
 * Put it into the transaction. Return: 0 and the node's id; OP_ANSWERED: refused; -ENOMEM, -EIO.
 */
int admit_node(struct op *op, struct txn *txn, const struct admission *admission,
	       char ret_id[ID_SIZE]);

/* A user whose nodes or keys the transaction adds: who wants to delete the user has to look anew.
 */
void admit_touch_user(struct txn *txn, const struct user_record *user);
/* When a key that is made now expires; tagged nodes' do not. */
uint64_t admit_key_expiry(const struct registry *registry, const struct text_list *tags);

/* Are they tags, and not too many? Return: 0, OP_ANSWERED, -ENOMEM. */
int admit_check_tag_names(struct op *op, const struct text_list *tags);
/* And may they be given? As above. */
int admit_check_tags(struct op *op, const struct policy_giver *giver, const struct text_list *tags);
/* Who the actor is, as a giver of tags. Borrowed from op and the state. */
struct policy_giver admit_actor(const struct op *op);

/* An entry that must not exist yet, and says no more than whose it is. */
void admit_claim(struct txn *txn, const char *prefix, const char *name, const char *id);

/* "nodekey/" and "machine/" entries are called by the base64url of the key. */
#define KEY_NAME_SIZE 44u
char *key_name(const uint8_t bytes[32], char buf[KEY_NAME_SIZE]);
