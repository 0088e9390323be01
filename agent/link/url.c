#include "agent/link/url.h"

#include <errno.h>
#include <string.h>

#include "common/ip.h"
#include "common/text.h"

#define EXPECTED "expected one as https://coord.example, with a port or a path if need be"

static const char path_characters[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";

static int refuse(const char *text, const char *why, char **reterr_text)
{
	_cleanup_free_ char *shown = text_sanitize(text, LINK_MAX_URL);

	*reterr_text = shown ? text_printf("\"%s\" %s; " EXPECTED, shown, why) : NULL;
	return *reterr_text ? -EINVAL : -ENOMEM;
}

/* Behind the scheme; NULL: another one. */
static const char *skip_scheme(const char *text, bool *ret_encrypted)
{
	*ret_encrypted = strncmp(text, "https://", 8) == 0;
	if (*ret_encrypted)
		return text + 8;
	return strncmp(text, "http://", 7) == 0 ? text + 7 : NULL;
}

static bool is_loopback(const char *host, bool bracketed)
{
	struct ip_addr addr;

	if (strcmp(host, "localhost") == 0)
		return true;
	if (ip_addr_parse(host, &addr) < 0 || bracketed != (addr.family == AF_INET6))
		return false;
	if (addr.family == AF_INET)
		return addr.bytes[0] == 127;
	return memcmp(addr.bytes, &in6addr_loopback, sizeof(in6addr_loopback)) == 0;
}

static bool is_host(const char *host, bool bracketed)
{
	struct ip_addr addr;

	if (bracketed)
		return ip_addr_parse(host, &addr) == 0 && addr.family == AF_INET6;
	return text_is_domain(host);
}

/* The part between scheme and path, which is cut in place. Return: NULL: good; why not. */
static const char *check_authority(char *authority, bool *ret_loopback)
{
	bool bracketed = authority[0] == '[';
	char *host = bracketed ? authority + 1 : authority;
	char *end = host + strcspn(host, bracketed ? "]" : ":");
	uint64_t port;

	if (bracketed && *end != ']')
		return "has no \"]\" behind its IPv6 address";
	if (bracketed)
		*end++ = '\0';
	if (*end == ':') {
		*end++ = '\0';
		if (parse_u64(end, UINT16_MAX, &port) < 0 || port == 0)
			return "has a port that is none";
	} else if (*end) {
		return "has something between host and port";
	}
	if (!is_host(host, bracketed))
		return "has no host that could be one (small letters, digits, dots and hyphens, or "
		       "an address)";
	*ret_loopback = is_loopback(host, bracketed);
	return NULL;
}

/* "." and ".." would be taken out by some on the way. */
static const char *check_path(const char *path)
{
	if (path[strspn(path, path_characters)])
		return "has characters in its path that it may not have";
	if (strstr(path, "//") || strstr(path, "/."))
		return "has a path that others may read in another way";
	return NULL;
}

int link_url_parse(const char *text, struct link_url *ret_url, char **reterr_text)
{
	_cleanup_free_ char *authority = NULL, *base = NULL;
	const char *rest, *path, *why;
	struct link_url url = { 0 };
	size_t len = strlen(text);

	if (len > LINK_MAX_URL)
		return refuse(text, "is too long", reterr_text);
	while (len > 0 && text[len - 1] == '/')
		len--;
	base = strndup(text, len);
	if (!base)
		return -ENOMEM;
	rest = skip_scheme(base, &url.encrypted);
	if (!rest)
		return refuse(text, "is no URL of http or https", reterr_text);
	path = rest + strcspn(rest, "/");
	authority = strndup(rest, (size_t)(path - rest));
	if (!authority)
		return -ENOMEM;
	why = check_authority(authority, &url.loopback);
	if (!why)
		why = check_path(path);
	if (why)
		return refuse(text, why, reterr_text);
	url.text = take_ptr(base);
	*ret_url = url;
	return 0;
}

void link_url_done(struct link_url *url)
{
	free(url->text);
	*url = (struct link_url){ 0 };
}
