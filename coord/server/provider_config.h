/* One OpenID provider's configuration: /etc/peergate/oidc.d/NAME.conf (peergate-coord.conf(5)). */
#pragma once

#include <stdbool.h>

#include "common/cleanup.h"
#include "coord/oidc/provider.h"

#define PROVIDER_MAX_NAME   32u
#define PROVIDER_MAX_GROUPS 256u /* lines Group= */

/* Group=group:engineering engineering-team */
struct provider_group {
	char *group; /* of the policy, "group:" included */
	char *value; /* that the provider's claim has for it */
};
struct provider_groups {
	struct provider_group *items;
	size_t n, size;
};

struct provider_config {
	char *name;		       /* of the file: small letters, digits, hyphens */
	char *title;		       /* Title=: on the button; as name */
	char *issuer;		       /* Issuer=; required */
	char *client_id;	       /* ClientId=; required */
	char *secret_file;	       /* ClientSecretFile=; required */
	char *scopes;		       /* Scopes=: "openid email profile" */
	char *groups_claim;	       /* GroupsClaim=; NULL: none */
	char **domains;		       /* AllowedDomains=: of verified addresses; empty: all */
	char **groups;		       /* AllowedGroups=: one of them; empty: all */
	struct provider_groups mapped; /* Group=, each line */
	bool may_create;	       /* CreateUsers=: no */
	bool trust_email; /* TrustEmail=: no; it says nothing of whether addresses are verified */
	enum jws_alg alg; /* SigningAlgorithm=: RS256 */
	enum oidc_reauth reauth;     /* Reauth=: max-age */
	enum oidc_offline offline;   /* RefreshTokens=: no */
	uint64_t refresh_every_usec; /* RefreshEvery=: 1 hour */
};

struct provider_config *provider_config_free(struct provider_config *config);
DEFINE_CLEANUP(struct provider_config *, provider_config_free);

/*
 * Parse the text of a file. Return: 0; -EINVAL and *reterr_text ("FILE:LINE: Key: ..."; the
 * caller's); -ENOMEM.
 */
int provider_config_parse(const char *text, size_t len, const char *source, const char *name,
			  char **reterr_text, struct provider_config **ret_config);

/*
 * May this person sign in here, as far as the provider goes? Return: NULL: yes; else why not, for
 * people.
 */
const char *provider_admits(const struct provider_config *config,
			    const struct oidc_identity *identity);
/*
 * The same of somebody who has signed in before, by what a provider says when their token is
 * redeemed, which may be less: what it does not say is no reason.
 */
const char *provider_still_admits(const struct provider_config *config,
				  const struct oidc_identity *identity);
/* The address, if it is known to be theirs; else NULL. Borrowed. */
const char *provider_email(const struct provider_config *config,
			   const struct oidc_identity *identity);
