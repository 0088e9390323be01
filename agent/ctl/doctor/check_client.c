/* From this host to others: names, and what ssh's own configuration makes of them. */
#include <string.h>
#include <strings.h>

#include "agent/ctl/doctor/doctor.h"

#define KNOWN_HOSTS "/run/peergate/ssh_known_hosts"

static void check_names(const struct doctor_facts *facts, struct doctor_report *rep)
{
	struct doctor_line line;
	const struct doctor_name *name = NULL;

	if (facts->n_names == 0) {
		doctor_say(rep, DOCTOR_UNKNOWN, "no peer has a name with an SSH host key to try");
		return;
	}
	for (size_t i = 0; i < facts->n_names; i++)
		if (!facts->names[i].resolved && !name)
			name = &facts->names[i];
	if (!name) {
		doctor_say(rep, DOCTOR_GOOD, "names of peers lead to their mesh addresses");
		return;
	}
	if (name->timed_out)
		doctor_say(rep, DOCTOR_WARN, "looking up %s took too long", name->name);
	else
		doctor_say(rep, DOCTOR_WARN, "%s is not known by name here", name->name);
	if (facts->nsswitch && doctor_find_line(facts->nsswitch, "hosts:", &line) &&
	    !strstr(line.value, "peergate"))
		doctor_advise(rep,
			      "write peergate behind files and dns in the line \"hosts:\" of "
			      "/etc/nsswitch.conf (now: %s), or the name into /etc/hosts",
			      line.value);
	else
		doctor_advise(rep,
			      "write the name into /etc/hosts; getent hosts %s shows what is "
			      "found",
			      name->name);
}

static bool value_of(const struct doctor_name *name, const char *key, struct doctor_line *line)
{
	return doctor_find_line(name->ssh, key, line);
}

static bool check_known_hosts(const struct doctor_name *name, struct doctor_report *rep)
{
	struct doctor_line global, user;
	bool known = value_of(name, "globalknownhostsfile", &global) &&
		     strstr(global.value, KNOWN_HOSTS);

	known |= value_of(name, "userknownhostsfile", &user) && strstr(user.value, KNOWN_HOSTS);
	if (known)
		return true;
	doctor_say(rep, DOCTOR_WARN,
		   "ssh does not look into " KNOWN_HOSTS " for %s: it asks "
		   "whether the host is known",
		   name->name);
	doctor_advise(rep, "/etc/ssh/ssh_config needs \"Include /etc/ssh/ssh_config.d/*.conf\" at "
			   "its beginning, and 50-peergate.conf there; GlobalKnownHostsFile in "
			   "~/.ssh/config goes before it");
	return false;
}

static bool is_port_of_gateway(const char *value)
{
	return strcmp(value, "22") == 0;
}

static bool is_none(const char *value)
{
	return strcasecmp(value, "none") == 0;
}

/* Below INFO ssh shows no banner. */
static bool shows_banner(const char *value)
{
	return strcasecmp(value, "QUIET") != 0 && strcasecmp(value, "FATAL") != 0 &&
	       strcasecmp(value, "ERROR") != 0;
}

/* What lines for this host in somebody's configuration make of it. */
static const struct {
	const char *key;
	bool (*harmless)(const char *value);
	const char *what, *remedy;
} overrides[] = {
	{ "port", is_port_of_gateway, "ssh goes to another port, where no gateway is",
	  "take Port out of its block in the configuration, or write Port 22 for the mesh" },
	{ "hostkeyalias", is_none, "ssh looks for the host key under another name",
	  "take HostKeyAlias out of its block" },
	{ "proxycommand", is_none, "ssh goes there by a program in between",
	  "write ProxyCommand none for the mesh" },
	{ "proxyjump", is_none, "ssh goes there by another host",
	  "write ProxyJump none for the mesh" },
	{ "loglevel", shows_banner, "ssh is told to be quiet: the reason of a refusal is not seen",
	  "write LogLevel INFO for the mesh" },
};

static bool check_overrides(const struct doctor_name *name, struct doctor_report *rep)
{
	struct doctor_line line;
	bool good = true;

	for (size_t i = 0; i < ARRAY_SIZE(overrides); i++) {
		if (!value_of(name, overrides[i].key, &line) || overrides[i].harmless(line.value))
			continue;
		doctor_say(rep, DOCTOR_WARN, "for %s %s (%.60s %.200s)", name->name,
			   overrides[i].what, line.key, line.value);
		doctor_advise(rep, "%s", overrides[i].remedy);
		good = false;
	}
	return good;
}

static bool check_security(const struct doctor_facts *facts, const struct doctor_name *name,
			   struct doctor_report *rep)
{
	struct doctor_line line;
	bool good = true;

	if (value_of(name, "stricthostkeychecking", &line) &&
	    (strcasecmp(line.value, "no") == 0 || strcasecmp(line.value, "off") == 0 ||
	     strcasecmp(line.value, "false") == 0)) {
		doctor_say(rep, DOCTOR_WARN, "ssh takes any host key for %s", name->name);
		doctor_advise(rep, "take StrictHostKeyChecking no away for the mesh: its host keys "
				   "are known");
		good = false;
	}
	if (facts->user && value_of(name, "user", &line) && strcmp(line.value, facts->user) != 0) {
		doctor_say(rep, DOCTOR_WARN, "ssh logs in to %s as %.100s unless told otherwise",
			   name->name, line.value);
		doctor_advise(rep, "if that is not meant, take User out of its block");
		good = false;
	}
	return good;
}

void doctor_check_client(const struct doctor_facts *facts, struct doctor_report *rep)
{
	bool good = true;

	check_names(facts, rep);
	/* Blocks mostly hold for all hosts of the mesh: one that has trouble is enough. */
	for (size_t i = 0; i < facts->n_names && good; i++) {
		const struct doctor_name *name = &facts->names[i];

		if (!name->ssh) {
			doctor_say(rep, DOCTOR_UNKNOWN,
				   "ssh could not be asked what its configuration is for %s",
				   name->name);
			return;
		}
		good = check_known_hosts(name, rep);
		good &= check_overrides(name, rep);
		good &= check_security(facts, name, rep);
	}
	if (good && facts->n_names > 0)
		doctor_say(rep, DOCTOR_GOOD,
			   "ssh knows the host keys of peers and nothing in its "
			   "configuration is in the way");
}
