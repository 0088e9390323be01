/*
 * What a provider says of a person (OpenID Connect Core 1.0, sections 2, 3.1.3.7 and 5.3): the
 * claims of an ID token whose signature was checked, and those of the userinfo endpoint. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

#define OIDC_MAX_SUBJECT 255u /* bytes; section 2 */
#define OIDC_MAX_GROUPS	 256u
#define OIDC_MAX_TEXT	 256u /* bytes of names, addresses and groups */
#define OIDC_SKEW_USEC	 (UINT64_C(60) * 1000000)

struct oidc_identity {
	char *subject;
	char *email; /* NULL: none */
	bool email_verified, has_email_verified;
	char *name; /* NULL: none */
	char **groups;
	size_t n_groups;
	bool has_groups;    /* the claim was there, if empty */
	uint64_t auth_time; /* usec since 1970; 0: it did not say when the person signed in */
};
void oidc_identity_done(struct oidc_identity *identity);

struct oidc_expected {
	const char *issuer, *client_id, *nonce;
	/*
	 * A token that came with a refresh token's use (OpenID Connect Core 1.0, section 12.2): it
	 * is about this subject, and need not repeat the nonce. NULL: it came with a sign-in
	 */
	const char *renews;
	/* "groups", or the name of another claim; "realm_access.roles" goes by members when there
	 * is no claim of the whole name. NULL: nobody asks */
	const char *groups_claim;
	uint64_t now;
	uint64_t signed_in_after; /* auth_time has to be there and not before that; 0: no matter */
};

/*
 * Return: 0; -EINVAL and *reterr_text (the caller's): what is wrong with it; -ENOMEM. What is for
 * people in it may be shown: control characters are gone.
 */
int oidc_claims_check(const char *json, size_t len, const struct oidc_expected *expected,
		      struct oidc_identity *ret, char **reterr_text);
/*
 * Fill in what the token left out. The answer has to be about the same subject. Return: likewise;
 * on failure the identity is as it was.
 */
int oidc_userinfo_add(const char *json, size_t len, const char *groups_claim,
		      struct oidc_identity *identity, char **reterr_text);
