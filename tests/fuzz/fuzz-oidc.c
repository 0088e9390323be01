/*
 * What an OpenID provider sends. The first byte says what it is taken for: 't' a token, 'k' keys,
 * 'd' a description, 'c' claims, 'C' those of a renewal, 'u' the userinfo endpoint's answer, '2'
 * and '4' the token endpoint's with status 200 and 400. What is accepted keeps its promises; and no
 * token that is made up is signed by the one key there is.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/text.h"
#include "coord/oidc/claims.h"
#include "coord/oidc/discovery.h"
#include "coord/oidc/jwks.h"
#include "coord/oidc/tokens.h"

#define ISSUER "https://id.example"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* The point of RFC 7517, appendix A.1. */
static const char one_key[] =
	"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
	"\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","
	"\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\",\"use\":\"enc\",\"kid\":\"1\"}]}";

static struct jwks *known_keys(void)
{
	static struct jwks *jwks;
	_cleanup_free_ char *text = NULL;
	char json[sizeof(one_key)];

	if (jwks)
		return jwks;
	memcpy(json, one_key, sizeof(json));
	memcpy(strstr(json, "enc"), "sig", 3);
	require(jwks_parse(json, strlen(json), &jwks, &text) == 0);
	return jwks;
}

static void token(const char *text, size_t len)
{
	_cleanup_free_ char *problem = NULL, *why = NULL;
	struct jws jws;
	int r = jws_parse(text, len, &jws, &problem);

	require(r == 0 || r == -EINVAL);
	require((r < 0) == (problem != NULL));
	if (r < 0)
		return;
	require(jws.payload[jws.payload_len] == '\0' && jws.signed_len < len);
	r = jwks_verify(known_keys(), JWS_ES256, &jws, &why);
	require((r == JWKS_NO_KEY || r == -EBADMSG) && why);
	jws_done(&jws);
}

static void keys(const char *text, size_t len)
{
	_cleanup_(jwks_freep) struct jwks *jwks = NULL;
	_cleanup_free_ char *problem = NULL;
	int r = jwks_parse(text, len, &jwks, &problem);

	require(r == 0 || r == -EINVAL);
	require((r < 0) == (problem != NULL) && (r < 0) == !jwks);
}

static void description(const char *text, size_t len)
{
	_cleanup_free_ char *problem = NULL;
	struct oidc_discovery d;
	int r = oidc_discovery_parse(text, len, ISSUER, &d, &problem);

	require(r == 0 || r == -EINVAL);
	require((r < 0) == (problem != NULL));
	if (r < 0)
		return;
	require(oidc_url_is_safe(d.authorization_endpoint) && oidc_url_is_safe(d.token_endpoint));
	require(strncmp(d.jwks_uri, "https://", 8) == 0);
	require(!d.userinfo_endpoint || strncmp(d.userinfo_endpoint, "https://", 8) == 0);
	oidc_discovery_done(&d);
}

static void check_identity(const struct oidc_identity *identity)
{
	require(identity->subject[0] && strlen(identity->subject) <= OIDC_MAX_SUBJECT);
	require(!text_has_control(identity->subject));
	require(!identity->email || !text_has_control(identity->email));
	require(!identity->name || !text_has_control(identity->name));
	require(identity->n_groups <= OIDC_MAX_GROUPS);
	for (size_t i = 0; i < identity->n_groups; i++)
		require(identity->groups[i][0] && !text_has_control(identity->groups[i]));
}

static void claims(const char *text, size_t len, const char *renews)
{
	const struct oidc_expected expected = {
		.issuer = ISSUER,
		.client_id = "c",
		.nonce = "n",
		.renews = renews,
		.groups_claim = "g.h",
		.now = UINT64_C(1800000000) * 1000000,
	};
	_cleanup_free_ char *problem = NULL;
	struct oidc_identity identity;
	int r = oidc_claims_check(text, len, &expected, &identity, &problem);

	require(r == 0 || r == -EINVAL);
	require((r < 0) == (problem != NULL));
	if (r < 0)
		return;
	check_identity(&identity);
	require(!renews || strcmp(identity.subject, renews) == 0);
	oidc_identity_done(&identity);
}

static void check_token(const char *token)
{
	require(!token || (*token && !text_has_control(token) && !strchr(token, ' ')));
}

static void tokens(unsigned status, const char *text, size_t len)
{
	_cleanup_(oidc_tokens_done) struct oidc_tokens tokens = { 0 };
	_cleanup_free_ char *problem = NULL;
	int r = oidc_tokens_parse(status, text, len, &tokens, &problem);

	require(r == 0 || r == -EINVAL || r == OIDC_INVALID_GRANT);
	require((r != 0) == (problem != NULL) && (r == 0) == (tokens.id || tokens.access));
	require(status == 200 ? r <= 0 : r != 0);
	require(!problem || !text_has_control(problem));
	check_token(tokens.id);
	check_token(tokens.access);
	check_token(tokens.refresh);
	require(!tokens.refresh || strlen(tokens.refresh) <= OIDC_MAX_TOKEN);
}

static void userinfo(const char *text, size_t len)
{
	_cleanup_(oidc_identity_done) struct oidc_identity identity = { .subject = strdup("s") };
	_cleanup_free_ char *problem = NULL;
	int r = oidc_userinfo_add(text, len, "g", &identity, &problem);

	require(r == 0 || r == -EINVAL);
	require((r < 0) == (problem != NULL));
	require(strcmp(identity.subject, "s") == 0);
	check_identity(&identity);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;

	if (size == 0)
		return 0;
	switch (data[0]) {
	case 't':
		token(text, size - 1);
		break;
	case 'k':
		keys(text, size - 1);
		break;
	case 'd':
		description(text, size - 1);
		break;
	case 'c':
		claims(text, size - 1, NULL);
		break;
	case 'C':
		claims(text, size - 1, "s");
		break;
	case '2':
		tokens(200, text, size - 1);
		break;
	case '4':
		tokens(400, text, size - 1);
		break;
	case 'u':
		userinfo(text, size - 1);
		break;
	default:
		break;
	}
	return 0;
}
