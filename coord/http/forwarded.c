#include "coord/http/forwarded.h"

#include <string.h>
#include <strings.h>

bool http_proxies_trust(const struct http_proxies *proxies, const struct ip_addr *addr)
{
	for (size_t i = 0; i < proxies->n_trusted; i++)
		if (ip_prefix_contains(&proxies->trusted[i], addr))
			return true;
	return false;
}

/* The word without the blanks around it. */
static size_t trim(const char **word, size_t len)
{
	while (len > 0 && strchr(" \t", **word)) {
		(*word)++;
		len--;
	}
	while (len > 0 && strchr(" \t", (*word)[len - 1]))
		len--;
	return len;
}

/* Some proxies add a port, and brackets. */
static bool read_address(const char *word, size_t len, struct ip_addr *ret_addr)
{
	char text[IP_ENDPOINT_STRLEN];
	struct ip_endpoint endpoint;

	len = trim(&word, len);
	if (len == 0 || len >= sizeof(text))
		return false;
	memcpy(text, word, len);
	text[len] = '\0';
	if (ip_addr_parse(text, ret_addr) == 0)
		return true;
	if (ip_endpoint_parse(text, &endpoint) == 0) {
		*ret_addr = endpoint.addr;
		return true;
	}
	return false;
}

/* One field, from the right. Return: whether to go on to the left of it. */
static bool walk(const struct http_proxies *proxies, const char *value, struct ip_addr *client)
{
	size_t end = strlen(value);

	for (;;) {
		const char *comma = memrchr(value, ',', end);
		size_t start = comma ? (size_t)(comma - value) + 1 : 0;

		if (!http_proxies_trust(proxies, client) ||
		    !read_address(value + start, end - start, client))
			return false;
		if (!comma)
			return true;
		end = start - 1;
	}
}

struct ip_addr http_forwarded_client(const struct http_proxies *proxies, const struct ip_addr *peer,
				     const char *const *values, size_t n_values)
{
	struct ip_addr client = *peer;

	while (n_values > 0 && walk(proxies, values[n_values - 1], &client))
		n_values--;
	return client;
}

bool http_forwarded_secure(const char *value)
{
	const char *comma = strrchr(value, ',');
	const char *word = comma ? comma + 1 : value;
	size_t len = trim(&word, strlen(word));

	return len == strlen("https") && strncasecmp(word, "https", len) == 0;
}

bool http_host_is(const char *host, const char *authority)
{
	const char *bracket = strchr(authority, ']');
	size_t len = bracket ? (size_t)(bracket - authority) + 1 : strcspn(authority, ":");

	return strcasecmp(host, authority) == 0 ||
	       (strlen(host) == len && strncasecmp(host, authority, len) == 0);
}
