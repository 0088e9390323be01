/* What a provider's token endpoint answers (RFC 6749, sections 5.1 and 5.2). Pure. */
#pragma once

#include <stddef.h>

#include "common/cleanup.h"

#define OIDC_MAX_TOKEN 8192u /* bytes of a refresh token */

/* Each may be NULL: was not there. */
struct oidc_tokens {
	char *id, *access, *refresh;
};
void oidc_tokens_done(struct oidc_tokens *tokens); /* wipes */

enum {
	/*
	 * The provider takes that code or refresh token no more, nor ever again: "invalid_grant".
	 * Other refusals are about us, or pass.
	 */
	OIDC_INVALID_GRANT = 1,
};
/*
 * What came with that status. Return: 0: *ret (the caller's; oidc_tokens_done() frees);
 * OIDC_INVALID_GRANT, or -EINVAL: refused, or no answer that one could make sense of; both with
 * *reterr_text (the caller's), which has nothing in it of what could be a secret; -ENOMEM.
 */
int oidc_tokens_parse(unsigned status, const char *body, size_t len, struct oidc_tokens *ret,
		      char **reterr_text);

/* Free a secret; takes NULL. Returns NULL. */
char *oidc_erase(char *text);
