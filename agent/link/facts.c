#include "agent/link/facts.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/host_key.h"
#include "common/text.h"
#include "peergate-config.h"

#define MAX_LABEL   63u
#define MAX_OS	    128u
#define MAX_RELEASE (16u << 10)

#define MAX_KEYS 8u /* that the coordinator takes */

/* Those that the gateway uses (sshgw/keys), if they are fit for it. */
static const char *const key_files[] = { "ssh_host_ed25519_key.pub", "ssh_host_ecdsa_key.pub",
					 "ssh_host_rsa_key.pub" };

char *link_label_of(const char *hostname)
{
	char label[MAX_LABEL + 1];
	size_t len = 0;

	for (; *hostname && *hostname != '.' && len < MAX_LABEL; hostname++) {
		int c = tolower((unsigned char)*hostname);

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			label[len++] = (char)c;
		else if (len > 0)
			label[len++] = '-';
	}
	while (len > 0 && label[len - 1] == '-')
		len--;
	label[len] = '\0';
	return strdup(text_is_label(label) && strcmp(label, "localhost") != 0 ? label : "host");
}

/* A value as in a shell, but without what nobody uses there: variables, commands. */
static char *unquote(const char *value, size_t len)
{
	char *text = calloc(1, len + 1);
	bool quoted =
		len >= 2 && (value[0] == '"' || value[0] == '\'') && value[len - 1] == value[0];
	size_t n = 0;

	for (size_t i = quoted; text && i < len - quoted; i++) {
		if (value[i] == '\\' && i + 1 < len - quoted)
			i++;
		text[n++] = value[i];
	}
	return text;
}

char *link_os_of(const char *os_release)
{
	static const char key[] = "PRETTY_NAME=";
	_cleanup_free_ char *text = NULL;

	for (const char *line = os_release; *line;
	     line += strcspn(line, "\n"), line += *line == '\n') {
		if (strncmp(line, key, sizeof(key) - 1) != 0)
			continue;
		line += sizeof(key) - 1;
		text = unquote(line, strcspn(line, "\n"));
		if (!text)
			return NULL;
		if (text[0])
			return text_sanitize(text, MAX_OS);
		break;
	}
	return strdup("Linux");
}

static bool has_text(const json_t *array, const char *text)
{
	const json_t *item;
	size_t i;

	json_array_foreach (array, i, item)
		if (strcmp(json_string_value(item), text) == 0)
			return true;
	return false;
}

/* The first two words of the line, which is cut behind them; the third is a comment. */
static int add_line(json_t *keys, char *line)
{
	size_t type = strcspn(line, " ");
	const char *problem;
	int r;

	if (line[type] == ' ')
		line[type + 1 + strcspn(line + type + 1, " \r")] = '\0';
	r = host_key_check(line, &problem);
	if (r < 0 || has_text(keys, line) || json_array_size(keys) >= MAX_KEYS)
		return r == -ENOMEM ? r : 0;
	return json_array_append_new(keys, json_string(line)) < 0 ? -ENOMEM : 0;
}

static int add_file(json_t *keys, int dirfd, const char *name)
{
	_cleanup_free_ char *text = NULL;
	char *rest, *line;
	size_t len;
	int r = file_read(dirfd, name, MAX_KEYS * HOST_KEY_MAX, &text, &len);

	/* One that is not there, or is not to be read, is none. */
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	rest = text;
	while (r == 0 && (line = strsep(&rest, "\n")))
		r = add_line(keys, line);
	return r;
}

/*
 * What the gateway shows, which may be a key that it made for itself; and the machine's, which it
 * shows as soon as it has looked at them again.
 */
static json_t *read_host_keys(const struct link_places *places)
{
	_cleanup_free_ char *path = text_printf("%s/ssh", places->etc);
	json_auto_t *keys = json_array();
	_cleanup_close_ int dirfd = -1;

	if (!path || !keys || add_file(keys, AT_FDCWD, places->gateway_keys) < 0)
		return NULL;
	dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(key_files) && dirfd >= 0; i++)
		if (add_file(keys, dirfd, key_files[i]) < 0)
			return NULL;
	return take_ptr(keys);
}

static char *read_os(const struct link_places *places)
{
	_cleanup_free_ char *path = text_printf("%s/os-release", places->etc), *text = NULL;
	size_t len;
	int r = path ? file_read(AT_FDCWD, path, MAX_RELEASE, &text, &len) : -ENOMEM;

	if (r < 0)
		return r == -ENOMEM ? NULL : strdup("Linux");
	return link_os_of(text);
}

int link_host_read(const struct link_places *places, struct link_host *ret_host)
{
	_cleanup_(link_host_done) struct link_host host = { 0 };
	char hostname[256] = "";

	if (gethostname(hostname, sizeof(hostname) - 1) < 0)
		hostname[0] = '\0';
	host.name = link_label_of(hostname);
	host.os = read_os(places);
	host.ssh_host_keys = read_host_keys(places);
	if (!host.name || !host.os || !host.ssh_host_keys)
		return -ENOMEM;
	*ret_host = host;
	host = (struct link_host){ 0 };
	return 0;
}

void link_host_done(struct link_host *host)
{
	free(host->name);
	free(host->os);
	json_decref(host->ssh_host_keys);
	*host = (struct link_host){ 0 };
}

static json_t *json_endpoints(const struct ip_endpoint *endpoints, size_t n)
{
	json_auto_t *array = json_array();
	char text[IP_ENDPOINT_STRLEN];

	for (size_t i = 0; i < n && i < LINK_MAX_ENDPOINTS; i++)
		if (json_array_append_new(
			    array, json_string(ip_endpoint_to_string(&endpoints[i], text))) < 0)
			return NULL;
	return take_ptr(array);
}

json_t *link_facts_json(const struct link_facts *facts)
{
	return json_pack(
		"{s:s, s:s, s:s, s:b, s:O, s:i, s:o, s:o}", "hostname",
		facts->hostname ? facts->hostname : facts->host->name, "os", facts->host->os,
		"agent", PEERGATE_VERSION, "ssh", facts->ssh, "ssh_host_keys",
		facts->host->ssh_host_keys, "listen_port", (int)facts->listen_port, "endpoints",
		json_endpoints(facts->endpoints, facts->n_endpoints), "configured_endpoints",
		json_endpoints(facts->configured, facts->n_configured));
}
