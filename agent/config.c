#include "agent/config.h"

#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <string.h>
#include <syslog.h>

#include "agent/link/url.h"
#include "common/conf.h"
#include "common/text.h"

/* An interface name as the kernel takes it (dev_valid_name()), without what confuses people. */
static int read_interface(const struct conf_field *f, const char *value, void *target)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
	size_t len = strlen(value);

	if (len < 1 || len >= IFNAMSIZ || value[strspn(value, allowed)] || value[0] == '.' ||
	    value[0] == '-')
		return -EINVAL;
	return conf_read_string(f, value, target);
}

static int read_url(const struct conf_field *f, const char *value, void *target)
{
	_cleanup_(link_url_done) struct link_url url = { 0 };
	_cleanup_free_ char *error = NULL;

	/* What it may be is told by the field. */
	if (link_url_parse(value, &url, &error) < 0)
		return -EINVAL;
	return conf_read_string(f, url.text, target);
}

/* A proxy is a URL of host and port, and may have a name and password in it. */
static int read_proxy(const struct conf_field *f, const char *value, void *target)
{
	if (strncmp(value, "http://", 7) != 0 && strncmp(value, "https://", 8) != 0 &&
	    strncmp(value, "socks5h://", 10) != 0)
		return -EINVAL;
	return conf_read_string(f, value, target);
}

static int read_endpoints(const struct conf_field *f, const char *value, void *target)
{
	struct agent_config *config = target;
	char **words = NULL;
	size_t n = 0;
	int r;

	r = conf_read_strv(f, value, &words);
	while (r == 0 && words[n])
		n++;
	if (r == 0 && n > AGENT_CONFIG_MAX_ENDPOINTS)
		r = -EINVAL;
	config->endpoints = r == 0 ? calloc(n + 1, sizeof(*config->endpoints)) : NULL;
	if (r == 0 && !config->endpoints)
		r = -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i++)
		r = ip_endpoint_parse(words[i], &config->endpoints[config->n_endpoints++]);
	conf_strv_free(words);
	return r;
}

/* Less would take silences for an absence that are none (agent/link/link_maps.c). */
#define MIN_MAP_AGE (UINT64_C(2) * 60 * 1000000)
#define MAX_MAP_AGE (UINT64_C(365) * 24 * 3600 * 1000000)

static int read_max_age(const struct conf_field *f, const char *value, void *target)
{
	uint64_t usec = 0;

	if (strcmp(value, "infinity") != 0 && parse_duration(value, &usec) < 0)
		return -EINVAL;
	if (usec != 0 && (usec < MIN_MAP_AGE || usec > MAX_MAP_AGE))
		return -EINVAL;
	*(uint64_t *)target = usec;
	return 0;
}

#define AT(member) offsetof(struct agent_config, member)
static const struct conf_field config_fields[] = {
	{ "Netmap", conf_read_path, AT(netmap), .expected = "the absolute path of a map file" },
	{ "Coordinator", read_url, AT(coordinator), .expected = "a URL as https://coord.example" },
	{ "CAFile", conf_read_path, AT(ca_file),
	  .expected = "the absolute path of a file of certificates" },
	{ "Proxy", read_proxy, AT(proxy), .expected = "a URL as http://proxy.example:3128" },
	{ "InsecureHTTP", conf_read_bool, AT(insecure_http), .expected = "yes or no" },
	{ "Endpoint", read_endpoints, 0,
	  .expected = "up to 16 of ADDRESS:PORT, separated by blanks; IPv6 in brackets" },
	{ "Interface", read_interface, AT(interface),
	  .expected = "an interface name of at most 15 letters, digits, '_', '.' and '-'" },
	{ "ListenPort", conf_read_u64, AT(listen_port), 1, UINT16_MAX, "a UDP port, 1 to 65535" },
	{ "FwMark", conf_read_u64, AT(fwmark), 0, UINT32_MAX, "0 (none) to 4294967295" },
	{ "GatewayPort", conf_read_u64, AT(gateway_port), 1, UINT16_MAX, "a TCP port, 1 to 65535" },
	{ "MaxMapAge", read_max_age, AT(max_map_age_usec),
	  .expected = "0 or infinity (no limit), or a time from 2m to 365d" },
	{ "LogLevel", conf_read_log_level, AT(log_level),
	  .expected = "error, warning, notice, info or debug" },
};
#undef AT

const char *agent_config_log_level(const struct agent_config *config)
{
	return conf_log_level_to_string(config->log_level);
}

static json_t *number_value(uint64_t number)
{
	return json_sprintf("%" PRIu64, number);
}

static json_t *text_value(const char *text)
{
	return json_string(text ? text : "");
}

/* Everybody may see the values, but not a password that is for the proxy alone. */
static json_t *proxy_value(const char *proxy)
{
	const char *host = proxy ? strrchr(proxy, '@') : NULL;

	if (!host)
		return text_value(proxy);
	return json_sprintf("%.*s" AGENT_CONFIG_HIDDEN "%s", (int)strcspn(proxy, ":"), proxy,
			    host + 1);
}

static json_t *endpoints_value(const struct agent_config *config)
{
	char text[AGENT_CONFIG_MAX_ENDPOINTS * IP_ENDPOINT_STRLEN + 1] = "", *end = text;

	for (size_t i = 0; i < config->n_endpoints; i++) {
		if (i > 0)
			*end++ = ' ';
		end += strlen(ip_endpoint_to_string(&config->endpoints[i], end));
	}
	return json_string(text);
}

static json_t *duration_value(uint64_t usec)
{
	static const struct {
		uint64_t usec;
		const char *name;
	} units[] = {
		{ UINT64_C(24) * 3600 * 1000000, "d" },
		{ UINT64_C(3600) * 1000000, "h" },
		{ UINT64_C(60) * 1000000, "m" },
		{ UINT64_C(1000000), "s" },
	};

	for (size_t i = 0; usec > 0 && i < ARRAY_SIZE(units); i++)
		if (usec % units[i].usec == 0)
			return json_sprintf("%" PRIu64 "%s", usec / units[i].usec, units[i].name);
	return json_sprintf("%" PRIu64 "%s", usec / 1000, usec > 0 ? "ms" : "");
}

json_t *agent_config_values(const struct agent_config *config)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:s}", "Netmap",
			 text_value(config->netmap), "Coordinator", text_value(config->coordinator),
			 "CAFile", text_value(config->ca_file), "Proxy", proxy_value(config->proxy),
			 "InsecureHTTP", config->insecure_http ? "yes" : "no", "Endpoint",
			 endpoints_value(config), "Interface", config->interface, "ListenPort",
			 number_value(config->listen_port), "FwMark", number_value(config->fwmark),
			 "GatewayPort", number_value(config->gateway_port), "MaxMapAge",
			 duration_value(config->max_map_age_usec), "LogLevel",
			 agent_config_log_level(config));
}

int agent_config_new(struct agent_config **ret_config)
{
	_cleanup_(agent_config_freep) struct agent_config *config = NULL;

	config = calloc(1, sizeof(*config));
	if (!config)
		return -ENOMEM;
	config->interface = strdup("mesh0");
	if (!config->interface)
		return -ENOMEM;
	config->listen_port = 51820;
	config->gateway_port = 2022;
	config->log_level = LOG_INFO;
	*ret_config = take_ptr(config);
	return 0;
}

struct agent_config *agent_config_free(struct agent_config *config)
{
	if (!config)
		return NULL;
	free(config->netmap);
	free(config->coordinator);
	free(config->ca_file);
	free(config->proxy);
	free(config->endpoints);
	free(config->interface);
	free(config);
	return NULL;
}

int agent_config_parse(const char *text, size_t len, const char *source, char **reterr_text,
		       struct agent_config **ret_config)
{
	_cleanup_(agent_config_freep) struct agent_config *config = NULL;
	int r;

	r = agent_config_new(&config);
	if (r == 0)
		r = conf_parse(text, len, source, config_fields, ARRAY_SIZE(config_fields), config,
			       reterr_text);
	if (r < 0)
		return r;
	*ret_config = take_ptr(config);
	return 0;
}

int agent_config_load(const char *path, uid_t owner, bool required, char **reterr_text,
		      struct agent_config **ret_config)
{
	_cleanup_(agent_config_freep) struct agent_config *config = NULL;
	int r;

	r = agent_config_new(&config);
	if (r < 0)
		return r;
	r = conf_load(path, owner, config_fields, ARRAY_SIZE(config_fields), config, reterr_text);
	if (r == -ENOENT && required) {
		*reterr_text = text_printf("%s: no such file", path);
		return *reterr_text ? -ENOENT : -ENOMEM;
	}
	if (r < 0 && r != -ENOENT)
		return r;
	*ret_config = take_ptr(config);
	return 0;
}
