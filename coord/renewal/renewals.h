/*
 * Who has left their provider: whoever signed in with one that issues refresh tokens is asked about
 * there from time to time. What the provider says goes to the registry
 * (coord/registry/renewal.h). A few are asked about at a time, and nobody waits for it.
 */
#pragma once

#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "coord/oidc/provider.h"
#include "coord/registry/registry.h"
#include "coord/renewal/seal.h"

/* All of it is borrowed and outlives the renewals. */
struct renewal_provider {
	const char *name, *issuer;
	uint64_t every_usec; /* 0: nobody is asked about */
	void *userdata;
	/* As oidc_refresh() and oidc_revoke(). */
	int (*refresh)(void *userdata, const struct oidc_renewal *renewal, oidc_tokens_fn on_tokens,
		       oidc_refresh_fn done, void *done_userdata, struct oidc_call **ret_call);
	int (*revoke)(void *userdata, const char *refresh_token, oidc_revoke_fn done,
		      void *done_userdata, struct oidc_call **ret_call);
	/* May they sign in still, as far as this says? NULL: yes; else why not. */
	const char *(*still_admits)(void *userdata, const struct oidc_identity *identity);
};

struct renewals_config {
	struct registry *registry;
	const struct sealer *sealer;
	const struct renewal_provider *providers;
	size_t n_providers;
	void (*problem)(const char *text, void *userdata); /* for the log */
	void *userdata;
};

struct renewals;
/* Return: 0, -ENOMEM, negative errno. */
int renewals_new(sd_event *event, const struct renewals_config *config,
		 struct renewals **ret_renewals);
/* Nobody is asked any more. Before the registry and the providers end. Takes NULL. */
void renewals_stop(struct renewals *renewals);
/* After the registry, whose answers come here. */
struct renewals *renewals_free(struct renewals *renewals);
DEFINE_CLEANUP(struct renewals *, renewals_free);

/*
 * Within what time it is noticed that the provider knows them no more; 0: not before the keys of
 * their hosts expire.
 */
uint64_t renewals_notice_usec(const struct renewals *renewals, const char *issuer,
			      const char *subject);

struct renewals_stats {
	size_t kept;	/* tokens */
	size_t failing; /* that the provider could not be asked about the last time */
	uint64_t refreshed, gone, lost, failed; /* since the start */
	const char *problem; /* the last one; NULL: none, or nothing fails. Borrowed */
};
void renewals_get_stats(const struct renewals *renewals, struct renewals_stats *ret_stats);

/* What is sealed of a token: with the nonce of its sign-in. -E2BIG: longer than can be kept. */
int renewal_seal(const struct sealer *sealer, const char *issuer, const char *subject,
		 const char *nonce, const char *refresh_token, char **ret_sealed);
