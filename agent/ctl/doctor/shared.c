/* What several checks want to know of the facts. */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "agent/ctl/doctor/doctor.h"
#include "common/cli/value.h"

#define DEFAULT_LINK	     "mesh0"
#define DEFAULT_LISTEN_PORT  51820
#define DEFAULT_GATEWAY_PORT 2022

const char *doctor_link_name(const struct doctor_facts *facts)
{
	const char *name = json_string_value(json_object_get(facts->status, "interface"));

	return name ? name : DEFAULT_LINK;
}

static uint16_t port_of(const struct doctor_facts *facts, const char *key, uint16_t otherwise)
{
	uint64_t port = value_number(facts->status, key);

	return port > 0 && port <= UINT16_MAX ? (uint16_t)port : otherwise;
}

bool doctor_peer_is_offline(const json_t *peer)
{
	return json_is_false(json_object_get(json_object_get(peer, "node"), "online"));
}

uint16_t doctor_listen_port(const struct doctor_facts *facts)
{
	return port_of(facts, "listenPort", DEFAULT_LISTEN_PORT);
}

uint16_t doctor_gateway_port(const struct doctor_facts *facts)
{
	return port_of(facts, "gatewayPort", DEFAULT_GATEWAY_PORT);
}

bool doctor_ssh_is_on(const struct doctor_facts *facts)
{
	return json_is_true(json_object_get(facts->status, "ssh"));
}

bool doctor_in_mesh(const struct doctor_facts *facts, const struct ip_addr *addr)
{
	const json_t *prefixes = json_object_get(facts->status, "prefixes");

	for (size_t i = 0; i < json_array_size(prefixes); i++) {
		const char *text = json_string_value(json_array_get(prefixes, i));
		struct ip_prefix prefix;

		if (text && ip_prefix_parse(text, &prefix) == 0 &&
		    ip_prefix_contains(&prefix, addr))
			return true;
	}
	return false;
}

/* "   0: 0100007F:07E6 00000000:0000 0A ...": proc(5) */
bool doctor_has_socket(const char *table, uint16_t port, unsigned state)
{
	for (const char *line = table; line && *line; line = strchr(line, '\n')) {
		unsigned found_port, found_state;

		line += *line == '\n';
		if (sscanf(line, " %*u: %*32[0-9A-Fa-f]:%4x %*32[0-9A-Fa-f]:%*4x %2x", &found_port,
			   &found_state) == 2 &&
		    found_port == port && (state == 0 || found_state == state))
			return true;
	}
	return false;
}

static size_t copy_part(char *to, size_t size, const char *from, size_t len)
{
	if (len >= size)
		len = size - 1;
	memcpy(to, from, len);
	to[len] = '\0';
	return len;
}

static void split(const char *line, size_t len, struct doctor_line *ret_line)
{
	size_t key_len = 0, at;

	while (key_len < len && !isspace((unsigned char)line[key_len]) && line[key_len] != '=')
		key_len++;
	copy_part(ret_line->key, sizeof(ret_line->key), line, key_len);
	for (at = key_len; at < len && (isspace((unsigned char)line[at]) || line[at] == '=');)
		at++;
	copy_part(ret_line->value, sizeof(ret_line->value), line + at, len - at);
}

bool doctor_next_line(const char **text, struct doctor_line *ret_line)
{
	while (*text && **text) {
		const char *line = *text;
		size_t len = strcspn(line, "\n");

		*text = line + len + (line[len] == '\n');
		while (len > 0 && isspace((unsigned char)*line)) {
			line++;
			len--;
		}
		while (len > 0 && isspace((unsigned char)line[len - 1]))
			len--;
		if (len == 0 || *line == '#')
			continue;
		split(line, len, ret_line);
		return true;
	}
	return false;
}

bool doctor_find_line(const char *text, const char *key, struct doctor_line *ret_line)
{
	struct doctor_line line;

	while (doctor_next_line(&text, &line)) {
		if (strcasecmp(line.key, key) != 0)
			continue;
		*ret_line = line;
		return true;
	}
	return false;
}
