/* Logins to this host: map, the host's own ceiling, and the gateway all have to agree. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "agent/ctl/doctor/doctor.h"
#include "common/cli/value.h"
#include "common/text.h"
#include "peergate-config.h"

#define LISTENS	   10 /* of /proc/net/tcp */
#define KILL_MAJOR 5  /* cgroup.kill */
#define KILL_MINOR 14

/* What to do about the agent's own warnings. */
static const struct {
	const char *code;
	enum doctor_state state;
	const char *remedy;
} warnings[] = {
	{ "ssh-nobody", DOCTOR_BAD,
	  "add a rule to \"ssh_rules\" of the map, or switch SSH off for this host" },
	{ "ssh-unreachable", DOCTOR_WARN,
	  "add tcp/22 to the packet filter for them; agentctl ssh-policy show names them" },
	{ "ssh-check", DOCTOR_WARN, "let these rules say accept, or write others" },
	{ "ssh-recorder", DOCTOR_WARN, "take the recorders out of these rules, or write others" },
	{ "ssh-action", DOCTOR_WARN, "let these rules say accept, or reject if that is meant" },
};

/* Return: whether the policy lets anybody in. */
static bool check_policy(const struct doctor_facts *facts, struct doctor_report *rep)
{
	const json_t *list = json_object_get(facts->status, "warnings");
	bool good = true;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *warning = json_array_get(list, i);

		for (size_t w = 0; w < ARRAY_SIZE(warnings); w++) {
			if (strcmp(value_text(warning, "code"), warnings[w].code) != 0)
				continue;
			doctor_say(rep, warnings[w].state, "%s", value_text(warning, "message"));
			doctor_advise(rep, "%s", warnings[w].remedy);
			good = false;
		}
	}
	return good;
}

static bool check_ceiling(const struct doctor_facts *facts, struct doctor_report *rep)
{
	struct doctor_line line;
	bool on = false;

	if (facts->ceiling_error) {
		doctor_say(rep, DOCTOR_UNKNOWN, PEERGATE_SYSCONFDIR "/sshgw.conf: %s",
			   strerror(-facts->ceiling_error));
		if (!facts->root)
			doctor_advise(rep, "run this as root");
		return false;
	}
	if (facts->ceiling && doctor_find_line(facts->ceiling, "SSH", &line))
		(void)parse_bool(line.value, &on);
	if (on)
		return true;
	doctor_say(rep, DOCTOR_BAD, "the map says SSH is on, but this host's own ceiling does not");
	doctor_advise(rep, "write SSH=yes into " PEERGATE_SYSCONFDIR "/sshgw.conf "
			   "(peergate-sshgw.conf(5)), or switch SSH off in the map");
	return false;
}

static bool check_listener(const struct doctor_facts *facts, struct doctor_report *rep)
{
	uint16_t port = doctor_gateway_port(facts);
	bool v4, v6;

	if (!facts->tcp) {
		doctor_say(rep, DOCTOR_UNKNOWN, "sockets cannot be listed: is /proc mounted?");
		return false;
	}
	v4 = doctor_has_socket(facts->tcp, port, LISTENS);
	v6 = doctor_has_socket(facts->tcp6, port, LISTENS);
	if (v4 && v6)
		return true;
	doctor_say(rep, DOCTOR_BAD, "nobody listens at %s port %u: logins time out",
		   v4	? "[::1]"
		   : v6 ? "127.0.0.1"
			: "127.0.0.1 and [::1]",
		   port);
	doctor_advise(rep, "systemctl enable --now peergate-sshgw.socket");
	return false;
}

static bool check_installation(const struct doctor_facts *facts, struct doctor_report *rep)
{
	if (!facts->gateway_installed) {
		doctor_say(rep, DOCTOR_BAD,
			   "SSH is on in the map, but the gateway is not "
			   "installed: tcp/22 of the mesh is dropped");
		doctor_advise(rep, "install peergate-sshgw, or switch SSH off in the map");
		return false;
	}
	if (!facts->gateway_account) {
		doctor_say(rep, DOCTOR_BAD,
			   "the account " PEERGATE_SSHGW_USER " is missing: every "
			   "connection is closed at once");
		doctor_advise(rep, "systemd-sysusers");
		return false;
	}
	if (!facts->pam_service) {
		doctor_say(rep, DOCTOR_BAD,
			   "/etc/pam.d/peergate is missing: PAM turns every login "
			   "away");
		doctor_advise(rep, "install it again; it is the file contrib/pam/peergate");
		return false;
	}
	return true;
}

static bool check_host_keys(const struct doctor_facts *facts, struct doctor_report *rep)
{
	if (facts->host_keys)
		return true;
	if (facts->host_keys_unseen) {
		doctor_say(rep, DOCTOR_UNKNOWN, "whether there are host keys only root can see");
		doctor_advise(rep, "run this as root");
	} else {
		doctor_say(rep, DOCTOR_WARN,
			   "there are no host keys yet: the gateway makes them "
			   "when its sockets are, and no map knows them");
		doctor_advise(rep, "ssh-keygen -A makes them, for sshd as well; then put "
				   "/etc/ssh/ssh_host_ed25519_key.pub into the other hosts' maps");
	}
	return false;
}

static bool check_release(const struct doctor_facts *facts, struct doctor_report *rep)
{
	unsigned major = 0, minor = 0;

	if (!facts->release || sscanf(facts->release, "%u.%u", &major, &minor) != 2) {
		doctor_say(rep, DOCTOR_UNKNOWN, "the kernel does not tell its version");
		return false;
	}
	if (major > KILL_MAJOR || (major == KILL_MAJOR && minor >= KILL_MINOR))
		return true;
	doctor_say(rep, DOCTOR_BAD,
		   "the kernel is %s: without cgroup.kill (%d.%d) sessions cannot "
		   "be ended for sure, and logins are refused",
		   facts->release, KILL_MAJOR, KILL_MINOR);
	doctor_advise(rep, "boot a kernel that is newer");
	return false;
}

void doctor_check_ssh(const struct doctor_facts *facts, struct doctor_report *rep)
{
	bool good;

	if (!facts->status || !json_object_get(facts->status, "generation")) {
		doctor_say(rep, DOCTOR_UNKNOWN,
			   "without a map it cannot be told whether SSH is on");
		return;
	}
	if (!doctor_ssh_is_on(facts)) {
		doctor_say(rep, DOCTOR_GOOD, "off in the map: tcp/22 of the mesh is sshd's");
		return;
	}
	good = check_policy(facts, rep);
	if (!check_installation(facts, rep))
		return;
	good &= check_ceiling(facts, rep);
	good &= check_listener(facts, rep);
	good &= check_host_keys(facts, rep);
	good &= check_release(facts, rep);
	if (good)
		doctor_say(rep, DOCTOR_GOOD,
			   "on, with rules that let somebody in, and the gateway "
			   "listens");
}
