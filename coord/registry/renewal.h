/*
 * By what the coordinator learns that somebody has left their provider: a token, kept here sealed,
 * that the provider takes as long as it knows them. Who redeems it is coord/renewal.
 */
#pragma once

#include "coord/registry/registry.h"

/* ------------------------------------------------------------------- reading */

size_t registry_n_renewals(const struct registry *registry);
const struct renewal_record *registry_renewal_at(const struct registry *registry, size_t i);
/* By its id; of an identity. NULL: there is none. */
const struct renewal_record *registry_renewal(const struct registry *registry, const char *id);
const struct renewal_record *registry_renewal_of(const struct registry *registry,
						 const char *issuer, const char *subject);
/*
 * The person is here, and has this identity. Otherwise the token is of no use any more, and to be
 * given back. That they have signed out does not matter: their hosts are here still, and who leaves
 * must not be able to keep that from being noticed.
 */
bool registry_renewal_is_live(const struct registry *registry,
			      const struct renewal_record *renewal);

/* ---------------------------------------------------------------- operations */

struct registry_renewal {
	const char *issuer, *subject;
	const char *provider; /* NAME of its file */
	const char *sealed;
};
/*
 * A token came with a sign-in: it takes the place of an older one of the same identity. OK;
 * NOT_ALLOWED: nobody has this identity, or they are suspended.
 */
void registry_keep_renewal(struct registry *registry, const struct registry_actor *actor,
			   const struct registry_renewal *renewal, registry_done_fn done,
			   void *userdata);

/*
 * Those that follow are about a record as it was read: id and revision of its head. CONFLICT: it
 * is another one by now (of a newer sign-in), or gone.
 */
struct registry_renewal_at {
	const char *id;
	uint64_t revision;
};
/*
 * The token is about to be handed in, which may make it void: whoever comes after a crash knows by
 * the record that an answer may be missing. Until it is confirmed.
 */
void registry_ask_renewal(struct registry *registry, const struct registry_actor *actor,
			  const struct registry_renewal_at *at, registry_done_fn done,
			  void *userdata);
/* The provider took the token. sealed: the one it gave in its place; NULL: it stays. */
void registry_confirm_renewal(struct registry *registry, const struct registry_actor *actor,
			      const struct registry_renewal_at *at, const char *sealed,
			      registry_done_fn done, void *userdata);
/*
 * The provider knows the person no more: they are suspended as by registry_suspend_user(), until
 * they sign in with it again or an operator lets them. The event is "user.gone", with why.
 */
void registry_renewal_gone(struct registry *registry, const struct registry_actor *actor,
			   const struct registry_renewal_at *at, const char *why,
			   registry_done_fn done, void *userdata);
/* Nobody will redeem it any more. why: for an event, "user.renewal-lost"; NULL: none. */
void registry_drop_renewal(struct registry *registry, const struct registry_actor *actor,
			   const struct registry_renewal_at *at, const char *why,
			   registry_done_fn done, void *userdata);
