/* What a provider says of itself (OpenID Connect Discovery 1.0). Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"

struct oidc_discovery {
	char *authorization_endpoint, *token_endpoint, *jwks_uri;
	char *userinfo_endpoint;   /* NULL: none */
	char *revocation_endpoint; /* likewise (RFC 8414) */
	bool post_secret;	   /* it takes the client's secret in the body only */
	bool names_itself;	   /* in what people bring back (RFC 9207) */
};

/*
 * The document has to be that issuer's, letter by letter, and every endpoint https; http where the
 * issuer's own URL is one of this host ("http://127.0.0.1:9400"). Return: 0; -EINVAL and
 * *reterr_text (the caller's); -ENOMEM.
 */
int oidc_discovery_parse(const char *json, size_t len, const char *issuer,
			 struct oidc_discovery *ret, char **reterr_text);
void oidc_discovery_done(struct oidc_discovery *discovery);

/*
 * Is it a URL that may be asked: https with a host, or http of this host? No user, no fragment, no
 * blanks.
 */
bool oidc_url_is_safe(const char *url);
