/*
 * The host's own sshd. While SSH is on in the map, tcp/22 of the mesh addresses is the gateway's:
 * what sshd's configuration says of the mesh holds no longer, without anybody being told.
 */
#include <string.h>
#include <strings.h>

#include "agent/ctl/doctor/doctor.h"

#define SSH_PORT 22

struct seen {
	size_t n_listen, n_listen_mesh; /* ListenAddress lines, those on addresses of the mesh */
	char mesh_address[512];
	char mesh_match[512]; /* a Match or AllowUsers line that is about the mesh */
	bool other_port;      /* Port or ListenAddress with another port than 22 */
};

/* "100.64.0.1", "100.64.0.1:22", "[fd00::1]:22". *ret_port: 0 if there is none. */
static bool parse_listen(const char *text, struct ip_addr *ret_addr, uint16_t *ret_port)
{
	struct ip_endpoint ep;

	if (ip_endpoint_parse(text, &ep) == 0) {
		*ret_addr = ep.addr;
		*ret_port = ep.port;
		return true;
	}
	*ret_port = 0;
	return ip_addr_parse(text, ret_addr) == 0;
}

static void see_listen(const struct doctor_facts *facts, const char *value, struct seen *seen)
{
	struct ip_addr addr;
	uint16_t port;

	seen->n_listen++;
	if (!parse_listen(value, &addr, &port))
		return;
	if (port != 0 && port != SSH_PORT)
		seen->other_port = true;
	else if (doctor_in_mesh(facts, &addr)) {
		seen->n_listen_mesh++;
		strcpy(seen->mesh_address, value);
	}
}

/* Is the pattern ("100.64.*", "!100.64.0.0/10", "alice@100.64.0.2") about addresses of the mesh? */
static bool is_about_mesh(const struct doctor_facts *facts, const char *pattern)
{
	const char *host = strrchr(pattern, '@');
	struct ip_prefix prefix;
	struct ip_addr addr;
	char text[128];
	size_t len;

	host = host ? host + 1 : pattern;
	host += *host == '!';
	if (ip_prefix_parse(host, &prefix) == 0) {
		addr = ip_prefix_first(&prefix);
		return doctor_in_mesh(facts, &addr);
	}
	/* What a wildcard leaves of an IPv4 address, filled up. */
	len = strspn(host, "0123456789.");
	if (len == 0 || len > 15 || host[len] != '*')
		return false;
	for (int dots = 0; dots < 3; dots++) {
		snprintf(text, sizeof(text), "%.*s%s", (int)len, host,
			 dots == 0   ? "0"
			 : dots == 1 ? "0.0"
				     : "0.0.0");
		if (ip_addr_parse(text, &addr) == 0)
			return doctor_in_mesh(facts, &addr);
	}
	return false;
}

static void see_patterns(const struct doctor_facts *facts, const struct doctor_line *line,
			 struct seen *seen)
{
	char words[512];
	char *rest = words;

	strcpy(words, line->value);
	for (char *word = strsep(&rest, " \t,"); word; word = strsep(&rest, " \t,"))
		if (is_about_mesh(facts, word) && !seen->mesh_match[0])
			snprintf(seen->mesh_match, sizeof(seen->mesh_match), "%.60s %.400s",
				 line->key, line->value);
}

static void look(const struct doctor_facts *facts, struct seen *seen)
{
	const char *text = facts->sshd_config;
	struct doctor_line line;

	while (doctor_next_line(&text, &line)) {
		if (strcasecmp(line.key, "ListenAddress") == 0)
			see_listen(facts, line.value, seen);
		else if (strcasecmp(line.key, "Port") == 0)
			seen->other_port |= strcmp(line.value, "22") != 0;
		else if (strcasecmp(line.key, "Match") == 0 ||
			 strcasecmp(line.key, "AllowUsers") == 0 ||
			 strcasecmp(line.key, "DenyUsers") == 0)
			see_patterns(facts, &line, seen);
	}
}

static bool judge(const struct seen *seen, struct doctor_report *rep)
{
	if (seen->n_listen_mesh > 0 && seen->n_listen_mesh == seen->n_listen && !seen->other_port) {
		doctor_say(rep, DOCTOR_WARN,
			   "sshd listens at %s port 22 and nowhere else: from "
			   "peers that is the gateway's now, so sshd is out of "
			   "reach",
			   seen->mesh_address);
		doctor_advise(rep, "let sshd listen at another address or port as well, as a way "
				   "in besides the mesh; or switch sshd off if none is wanted");
	} else if (seen->n_listen_mesh > 0) {
		doctor_say(rep, DOCTOR_WARN,
			   "sshd listens at %s port 22, where peers reach the "
			   "gateway instead",
			   seen->mesh_address);
		doctor_advise(rep, "take that ListenAddress out of sshd_config, or give it another "
				   "port");
	}
	if (seen->mesh_match[0]) {
		doctor_say(rep, DOCTOR_WARN,
			   "sshd_config has \"%s\" for the mesh, which does not "
			   "hold for port 22 any more",
			   seen->mesh_match);
		doctor_advise(rep, "say it in the map's SSH rules, or in "
				   "sshgw.conf (peergate-sshgw.conf(5))");
	}
	return seen->n_listen_mesh == 0 && !seen->mesh_match[0];
}

void doctor_check_sshd(const struct doctor_facts *facts, struct doctor_report *rep)
{
	struct seen seen = { 0 };

	if (!facts->sshd_config) {
		doctor_say(rep, DOCTOR_GOOD, "no sshd is configured here");
		return;
	}
	if (!facts->status) {
		doctor_say(rep, DOCTOR_UNKNOWN,
			   "without the agent it cannot be told whether SSH is on in the map");
		return;
	}
	if (!doctor_ssh_is_on(facts)) {
		doctor_say(rep, DOCTOR_GOOD, "nothing of the mesh comes between");
		return;
	}
	look(facts, &seen);
	if (!judge(&seen, rep))
		return;
	if (facts->sshd_config_partial) {
		doctor_say(rep, DOCTOR_UNKNOWN, "not all of its configuration can be read");
		doctor_advise(rep, "run this as root");
		return;
	}
	doctor_say(rep, DOCTOR_GOOD,
		   "its configuration says nothing of the mesh; other addresses "
		   "are its own as ever");
}
