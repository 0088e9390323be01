#include "coord/server/config.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/text.h"
#include "coord/registry/registry.h"

#define CONFIG_OWNER 0 /* root */
#define DAY	     (UINT64_C(24) * 3600 * 1000000)

/* "https://HOST[:PORT][/PATH]" or "http://...", without "/" at its end, user, query and fragment.
 */
bool coord_url_is_good(const char *text)
{
	const char *host = NULL;

	if (strncmp(text, "https://", 8) == 0)
		host = text + 8;
	else if (strncmp(text, "http://", 7) == 0)
		host = text + 7;
	return host && *host && *host != '/' && text[strlen(text) - 1] != '/' &&
	       !strpbrk(text, " ?#@\"<>");
}

static int read_url(const struct conf_field *f, const char *value, void *target)
{
	return coord_url_is_good(value) ? conf_read_string(f, value, target) : -EINVAL;
}

#define AT(member) offsetof(struct coord_config, member)
static const struct conf_field fields[] = {
	{ "Url", read_url, AT(url),
	  .expected = "how agents reach the coordinator: https://HOST[:PORT][/PATH], without a "
		      "'/' at its end" },
	{ "Listen", conf_read_strv, AT(listen), .expected = "addresses with ports" },
	{ "Certificate", conf_read_path, AT(certificate),
	  .expected = "the absolute path of a PEM file" },
	{ "PrivateKey", conf_read_path, AT(private_key),
	  .expected = "the absolute path of a PEM file" },
	{ "TrustedProxies", conf_read_strv, AT(proxies), .expected = "addresses or prefixes" },
	{ "NodeKeyLifetime", conf_read_duration, AT(key_lifetime_usec), DAY / 24, 3650 * DAY,
	  "a time from 1h to 3650d" },
	{ "EventLifetime", conf_read_duration, AT(event_lifetime_usec), DAY, 36500 * DAY,
	  "a time from 1d to 36500d" },
	{ "MaxConnectedNodes", conf_read_u64, AT(max_nodes), 1, 100000, "1 to 100000" },
	{ "MaxConnectionsPerAddress", conf_read_u64, AT(max_connections), 1, 100000,
	  "1 to 100000" },
	{ "MaxPendingPerAddress", conf_read_u64, AT(max_pending), 1, REGISTRY_MAX_PENDING,
	  "1 to 256" },
	{ "AdminGroup", conf_read_string, AT(admin_group), .expected = "the name of a group" },
	{ "LogLevel", conf_read_log_level, AT(log_level),
	  .expected = "error, warning, notice, info or debug" },
};
#undef AT

struct coord_config *coord_config_free(struct coord_config *config)
{
	if (!config)
		return NULL;
	free(config->url);
	free(config->authority);
	conf_strv_free(config->listen);
	free(config->endpoints);
	free(config->certificate);
	free(config->private_key);
	conf_strv_free(config->proxies);
	free(config->trusted);
	free(config->admin_group);
	free(config);
	return NULL;
}

static int config_new(struct coord_config **ret_config)
{
	_cleanup_(coord_config_freep) struct coord_config *config = calloc(1, sizeof(*config));

	if (!config)
		return -ENOMEM;
	config->key_lifetime_usec = 180 * DAY;
	config->event_lifetime_usec = 400 * DAY;
	config->max_nodes = 20000;
	config->max_connections = 256;
	config->max_pending = REGISTRY_MAX_PENDING_FROM;
	config->log_level = LOG_INFO;
	config->admin_group = strdup("peergate-admin");
	if (!config->admin_group)
		return -ENOMEM;
	*ret_config = take_ptr(config);
	return 0;
}

static size_t strv_len(char **list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

static int fail(char **reterr_text, const char *source, const char *key, const char *value,
		const char *expected)
{
	*reterr_text = text_printf("%s: %s: \"%s\": expected %s", source, key, value, expected);
	return *reterr_text ? -EINVAL : -ENOMEM;
}

static int read_endpoints(struct coord_config *config, const char *source, char **reterr_text)
{
	size_t n = strv_len(config->listen);

	config->endpoints = calloc(n + 1, sizeof(*config->endpoints));
	if (!config->endpoints)
		return -ENOMEM;
	for (; config->n_endpoints < n; config->n_endpoints++) {
		const char *text = config->listen[config->n_endpoints];

		if (ip_endpoint_parse(text, &config->endpoints[config->n_endpoints]) < 0)
			return fail(reterr_text, source, "Listen", text,
				    "an address and a port: 192.0.2.1:443, [2001:db8::1]:443, "
				    "[::]:443");
	}
	return 0;
}

static int read_proxies(struct coord_config *config, const char *source, char **reterr_text)
{
	size_t n = strv_len(config->proxies);

	config->trusted = calloc(n + 1, sizeof(*config->trusted));
	if (!config->trusted)
		return -ENOMEM;
	for (; config->n_trusted < n; config->n_trusted++) {
		const char *text = config->proxies[config->n_trusted];

		if (ip_prefix_parse(text, &config->trusted[config->n_trusted]) < 0)
			return fail(reterr_text, source, "TrustedProxies", text,
				    "an address or a prefix: 127.0.0.1, 10.0.0.0/8");
	}
	return 0;
}

/* What no value says by itself. */
static int check(const struct coord_config *config, const char *source, char **reterr_text)
{
	const char *wrong = NULL;

	if (!config->url)
		wrong = "Url: is missing; expected how agents reach the coordinator";
	else if (!config->certificate != !config->private_key)
		wrong = "Certificate, PrivateKey: expected both, or neither of them (plain HTTP, "
			"behind a reverse proxy)";
	if (!wrong)
		return 0;
	*reterr_text = text_printf("%s: %s", source, wrong);
	return *reterr_text ? -EINVAL : -ENOMEM;
}

static int read_authority(struct coord_config *config)
{
	const char *begin = strstr(config->url, "://") + strlen("://");

	config->authority = strndup(begin, strcspn(begin, "/"));
	return config->authority ? 0 : -ENOMEM;
}

static int finish(struct coord_config *config, const char *source, char **reterr_text)
{
	int r = check(config, source, reterr_text);

	if (r == 0)
		r = read_authority(config);
	if (r == 0)
		r = read_endpoints(config, source, reterr_text);
	if (r == 0)
		r = read_proxies(config, source, reterr_text);
	return r;
}

int coord_config_parse(const char *text, size_t len, const char *source, char **reterr_text,
		       struct coord_config **ret_config)
{
	_cleanup_(coord_config_freep) struct coord_config *config = NULL;
	int r = config_new(&config);

	if (r == 0)
		r = conf_parse(text, len, source, fields, ARRAY_SIZE(fields), config, reterr_text);
	if (r == 0)
		r = finish(config, source, reterr_text);
	if (r == 0)
		*ret_config = take_ptr(config);
	return r;
}

int coord_config_load(const char *path, char **reterr_text, struct coord_config **ret_config)
{
	_cleanup_(coord_config_freep) struct coord_config *config = NULL;
	int r = config_new(&config);

	if (r == 0)
		r = conf_load(path, CONFIG_OWNER, fields, ARRAY_SIZE(fields), config, reterr_text);
	if (r == -ENOENT) {
		*reterr_text = text_printf("%s: no such file; \"coordctl init\" makes one", path);
		return *reterr_text ? -ENOENT : -ENOMEM;
	}
	if (r == 0)
		r = finish(config, path, reterr_text);
	if (r == 0)
		*ret_config = take_ptr(config);
	return r;
}
