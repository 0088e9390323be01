#include "coord/web/web.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "common/text.h"
#include "coord/web/internal.h"

/* Who has not signed in, from one address: forms, and trips to a provider. */
static const struct http_rate_config stranger_rate = {
	.per_second = 1,
	.burst = 30,
	.max_addresses = 16384,
};

/* Apart: "https://host:port" and "/path". */
static int split_url(struct web *web, const char *url)
{
	const char *host = strstr(url, "://"), *path;

	web->url = strdup(url);
	if (!web->url || !host)
		return -ENOMEM;
	path = strchr(host + 3, '/');
	web->origin = path ? strndup(url, (size_t)(path - url)) : strdup(url);
	web->base = path ? web->url + (path - url) : "";
	web->https = strncmp(url, "https:", 6) == 0;
	return web->origin ? 0 : -ENOMEM;
}

int web_new(const struct web_config *config, struct web **ret_web)
{
	_cleanup_(web_freep) struct web *web = calloc(1, sizeof(*web));
	uint8_t hash[SHA256_LEN];
	int r;

	if (!web)
		return -ENOMEM;
	web->registry = config->registry;
	web->map = config->map;
	web->verifier = config->verifier;
	web->renewals = config->renewals;
	web->providers = config->providers;
	web->n_providers = config->n_providers;
	web->is_waited_for = config->is_waited_for;
	web->check_userdata = config->check_userdata;
	TAILQ_INIT(&web->flows);
	web->fallback = (struct http_route){
		"GET", "/{any}", HTTP_ON_NETWORK, FORM_MAX_BYTES, web_handle_unknown, NULL, web
	};
	r = split_url(web, config->url);
	if (r == 0)
		r = secret_new(web->key, hash);
	if (r == 0)
		r = http_rate_new(&stranger_rate, &web->rate);
	if (r == 0)
		*ret_web = take_ptr(web);
	return r;
}

struct web *web_free(struct web *web)
{
	if (!web)
		return NULL;
	web_flows_free(web);
	http_rate_free(web->rate);
	OPENSSL_cleanse(web->key, sizeof(web->key));
	free(web->origin);
	free(web->url);
	free(web);
	return NULL;
}

/* ---- routes ---- */

#define PAGE(method, path, flags, run)                                     \
	{                                                                  \
		method, path, HTTP_ON_NETWORK, FORM_MAX_BYTES, web_handle, \
			&(const struct web_page)                           \
		{                                                          \
			flags, run                                         \
		}                                                          \
	}

static const struct http_route routes[] = {
	{ "GET", "/style.css", HTTP_ON_NETWORK, 0, web_handle_style },
	PAGE("GET", "/", PAGE_SIGNED_IN, web_home),
	PAGE("POST", "/devices/{node}/expire", PAGE_SIGNED_IN, web_device_expire),
	PAGE("POST", "/logout", PAGE_SIGNED_IN, web_logout),
	PAGE("POST", "/logout/everywhere", PAGE_SIGNED_IN, web_logout_everywhere),
	PAGE("GET", "/login", 0, web_login),
	PAGE("POST", "/login", 0, web_login_post),
	PAGE("POST", "/login/code", 0, web_login_code),
	PAGE("GET", "/login/{provider}", 0, web_provider_begin),
	PAGE("GET", "/oidc/callback/{provider}", 0, web_provider_return),
	PAGE("GET", "/a/{id}", PAGE_SIGNED_IN, web_enrol),
	PAGE("POST", "/a/{id}", PAGE_SIGNED_IN, web_enrol_post),
	PAGE("GET", "/check/{id}", PAGE_SIGNED_IN, web_check_page),
	PAGE("POST", "/check/{id}", PAGE_SIGNED_IN, web_check_post),
	PAGE("GET", "/set-password/{secret}", 0, web_set_password),
	PAGE("POST", "/set-password/{secret}", 0, web_set_password_post),
	PAGE("GET", "/admin/nodes", PAGE_ADMIN, web_admin_nodes),
	PAGE("GET", "/admin/nodes/{node}", PAGE_ADMIN, web_admin_node),
	PAGE("GET", "/admin/policy", PAGE_ADMIN, web_admin_policy),
	PAGE("GET", "/admin/events", PAGE_ADMIN, web_admin_events),
	PAGE("GET", "/code", PAGE_SIGNED_IN, web_code_page),
	PAGE("POST", "/code", PAGE_SIGNED_IN, web_code_set),
	PAGE("POST", "/code/remove", PAGE_SIGNED_IN, web_code_remove),
};

const struct http_route *web_routes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(routes);
	return routes;
}

const struct http_route *web_fallback(const struct web *web)
{
	return &web->fallback;
}
