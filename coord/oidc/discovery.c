#include "coord/oidc/discovery.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/text.h"

#define MAX_URL 2048u

/* "127.0.0.1:9400/..." and the like: nobody is in between. */
static bool is_loopback(const char *authority, size_t len)
{
	static const char *const hosts[] = { "127.0.0.1", "[::1]", "localhost" };

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		size_t host_len = strlen(hosts[i]);

		if (len >= host_len && memcmp(authority, hosts[i], host_len) == 0 &&
		    (len == host_len || authority[host_len] == ':'))
			return true;
	}
	return false;
}

bool oidc_url_is_safe(const char *url)
{
	bool encrypted = strncmp(url, "https://", 8) == 0;
	const char *authority = url + (encrypted ? 8 : 7);
	size_t len;

	if (!encrypted && strncmp(url, "http://", 7) != 0)
		return false;
	len = strcspn(authority, "/?");
	if (len == 0 || memchr(authority, '@', len) || strlen(url) > MAX_URL)
		return false;
	for (const char *c = url; *c; c++)
		if (*c <= ' ' || *c >= 0x7f || strchr("\"#<>\\^`{|}", *c))
			return false;
	return encrypted || is_loopback(authority, len);
}

struct document {
	char *issuer;
	struct oidc_discovery d;
};

static int read_url(const json_t *v, const struct json_at *at, void *target,
		    struct json_report *rep)
{
	int r = json_read_string(v, at, target, rep);

	if (r < 0)
		return r;
	if (!oidc_url_is_safe(*(char **)target))
		return json_fail(rep, at, "expected an https URL");
	return 0;
}

/* Is text among the strings? */
static bool lists(const json_t *list, const char *text)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *item = json_string_value(json_array_get(list, i));

		if (item && strcmp(item, text) == 0)
			return true;
	}
	return false;
}

static int read_auth_methods(const json_t *v, const struct json_at *at, void *target,
			     struct json_report *rep)
{
	*(bool *)target = lists(v, "client_secret_post") && !lists(v, "client_secret_basic");
	return 0;
}

#define AT(member) offsetof(struct document, member)
static const struct json_field fields[] = {
	{ "issuer", json_read_string, AT(issuer), JSON_REQUIRED },
	{ "authorization_endpoint", read_url, AT(d.authorization_endpoint), JSON_REQUIRED },
	{ "token_endpoint", read_url, AT(d.token_endpoint), JSON_REQUIRED },
	{ "jwks_uri", read_url, AT(d.jwks_uri), JSON_REQUIRED },
	{ "userinfo_endpoint", read_url, AT(d.userinfo_endpoint) },
	{ "revocation_endpoint", read_url, AT(d.revocation_endpoint) },
	{ "token_endpoint_auth_methods_supported", read_auth_methods, AT(d.post_secret) },
	{ "authorization_response_iss_parameter_supported", json_read_bool, AT(d.names_itself) },
};
#undef AT

static int check(const struct document *document, const char *issuer, char **reterr_text)
{
	_cleanup_free_ char *shown = NULL;
	const char *const urls[] = { document->d.authorization_endpoint, document->d.token_endpoint,
				     document->d.jwks_uri, document->d.userinfo_endpoint,
				     document->d.revocation_endpoint };

	if (strcmp(document->issuer, issuer) != 0) {
		shown = text_sanitize(document->issuer, MAX_URL);
		*reterr_text = shown ? text_printf("the provider calls itself \"%s\", not \"%s\"",
						   shown, issuer)
				     : NULL;
		return *reterr_text ? -EINVAL : -ENOMEM;
	}
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		if (!urls[i] || strncmp(urls[i], "https://", 8) == 0 ||
		    strncmp(issuer, "http://", 7) == 0)
			continue;
		*reterr_text = text_printf("the provider's \"%s\" is not https", urls[i]);
		return *reterr_text ? -EINVAL : -ENOMEM;
	}
	return 0;
}

int oidc_discovery_parse(const char *json, size_t len, const char *issuer,
			 struct oidc_discovery *ret, char **reterr_text)
{
	_cleanup_(json_report_done) struct json_report rep = { 0 };
	const struct json_at root = { 0 };
	struct document document = { 0 };
	json_t *value = NULL;
	int r = json_parse(json, len, &rep, &value);

	if (r == 0)
		r = json_read_object(value, &root, fields, sizeof(fields) / sizeof(fields[0]),
				     &document, &rep);
	json_decref(value);
	if (r == -EINVAL) {
		*reterr_text = text_printf("the provider's description: %s", rep.text);
		r = *reterr_text ? -EINVAL : -ENOMEM;
	} else if (r == 0) {
		r = check(&document, issuer, reterr_text);
	}
	free(document.issuer);
	if (r < 0)
		oidc_discovery_done(&document.d);
	else
		*ret = document.d;
	return r;
}

void oidc_discovery_done(struct oidc_discovery *discovery)
{
	free(discovery->authorization_endpoint);
	free(discovery->token_endpoint);
	free(discovery->jwks_uri);
	free(discovery->userinfo_endpoint);
	free(discovery->revocation_endpoint);
	*discovery = (struct oidc_discovery){ 0 };
}
