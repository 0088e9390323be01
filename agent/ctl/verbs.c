#include <errno.h>
#include <string.h>

#include "agent/ctl/ctl.h"
#include "agent/ctl/doctor/verb.h"
#include "agent/ctl/drops/drops.h"
#include "agent/ctl/link.h"
#include "agent/ctl/metrics/metrics.h"
#include "agent/ctl/options.h"
#include "agent/ctl/render.h"
#include "common/cli/value.h"
#include "common/clock.h"
#include "common/ip.h"
#include "common/text.h"
#include "peergate-config.h"

static int verb_status(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	json_auto_t *status = NULL;
	int r;

	r = ctl_call(ctl, "Status", NULL, NULL, &status);
	if (r != CLI_OK)
		return r;
	r = ctl->json ? ctl_print_json(ctl, status)
		      : ctl_rendered(
				ctl_render_status(status, clock_usec(CLOCK_REALTIME), &ctl->out));
	if (r == CLI_OK &&
	    (json_object_get(status, "mapProblem") || json_object_get(status, "kernelProblem") ||
	     json_object_get(json_object_get(status, "link"), "problem") ||
	     !json_object_get(status, "generation")))
		return CLI_NO;
	return r;
}

static int verb_peers(int argc, char **argv, void *userdata)
{
	_cleanup_free_ char *problem = NULL;
	struct ctl *ctl = userdata;
	json_auto_t *reply = NULL;
	int r;

	r = ctl_call_parts(ctl, "GetPeers", &reply);
	if (r != CLI_OK)
		return r;
	if (ctl->json)
		return ctl_print_json(ctl, reply);
	r = ctl_rendered(ctl_render_peers(json_object_get(reply, "peers"),
					  clock_usec(CLOCK_REALTIME), &ctl->out));
	if (r != CLI_OK || !json_object_get(reply, "problem"))
		return r;
	problem = value_shown(reply, "problem");
	fprintf(stderr, "agentctl: the agent cannot read WireGuard's state: %s\n",
		problem ? problem : "-");
	return CLI_NO;
}

static int tell_not_a_peer(struct ctl *ctl, const char *address, json_t *params)
{
	bool self = json_is_true(json_object_get(params, "self"));

	if (ctl->json)
		(void)ctl_print_json(ctl, params);
	else if (self)
		fprintf(ctl->out.file, "%s is this host itself\n", address);
	else
		fprintf(ctl->out.file, "%s is no peer of this host\n", address);
	json_decref(params);
	return CLI_NO;
}

static int verb_whois(int argc, char **argv, void *userdata)
{
	struct ctl_error not_a_peer = { .name = "io.peergate.Agent.NotAPeer" };
	char address[IP_ADDR_STRLEN];
	struct ctl *ctl = userdata;
	json_auto_t *reply = NULL;
	struct ip_addr addr;
	int r;

	if (ip_addr_parse(argv[0], &addr) < 0) {
		_cleanup_free_ char *shown = text_sanitize(argv[0], 64);

		fprintf(stderr, "agentctl: '%s' is no IP address\n", shown ? shown : "");
		return CLI_USAGE;
	}
	ip_addr_to_string(&addr, address);
	r = ctl_call(ctl, "WhoIs", json_pack("{s:s}", "address", address), &not_a_peer, &reply);
	if (not_a_peer.occurred)
		return tell_not_a_peer(ctl, address, not_a_peer.params);
	if (r != CLI_OK)
		return r;
	if (ctl->json)
		return ctl_print_json(ctl, json_object_get(reply, "node"));
	return ctl_rendered(ctl_render_whois(address, json_object_get(reply, "node"),
					     clock_usec(CLOCK_REALTIME), &ctl->out));
}

/* ---- what the agent has lists of ---- */

static int show_list(struct ctl *ctl, const char *method,
		     int (*render)(json_t *reply, const struct cli_out *out))
{
	json_auto_t *reply = NULL;
	int r = ctl_call_parts(ctl, method, &reply);

	if (r != CLI_OK)
		return r;
	return ctl->json ? ctl_print_json(ctl, reply) : ctl_rendered(render(reply, &ctl->out));
}

static int render_filter(json_t *reply, const struct cli_out *out)
{
	return ctl_render_filter(json_object_get(reply, "rules"), out);
}

static int verb_acl_show(int argc, char **argv, void *userdata)
{
	return show_list(userdata, "GetFilter", render_filter);
}

static int render_ssh_policy(json_t *reply, const struct cli_out *out)
{
	return ctl_render_ssh_policy(reply, clock_usec(CLOCK_REALTIME), out);
}

static int verb_ssh_policy_show(int argc, char **argv, void *userdata)
{
	return show_list(userdata, "GetSSHPolicy", render_ssh_policy);
}

static int render_known_hosts(json_t *reply, const struct cli_out *out)
{
	return ctl_render_known_hosts(json_object_get(reply, "lines"), out);
}

static int verb_known_hosts(int argc, char **argv, void *userdata)
{
	return show_list(userdata, "GetKnownHosts", render_known_hosts);
}

static int verb_pubkey(int argc, char **argv, void *userdata)
{
	_cleanup_free_ char *key = NULL;
	struct ctl *ctl = userdata;
	json_auto_t *status = NULL;
	int r;

	r = ctl_call(ctl, "Status", NULL, NULL, &status);
	if (r != CLI_OK)
		return r;
	if (ctl->json)
		return ctl_print_json(ctl, json_object_get(status, "publicKey"));
	key = value_shown(status, "publicKey");
	fprintf(ctl->out.file, "%s\n", key ? key : "-");
	return CLI_OK;
}

static int verb_version(int argc, char **argv, void *userdata)
{
	_cleanup_free_ char *agent = NULL;
	struct ctl *ctl = userdata;
	json_auto_t *status = NULL, *versions = NULL;
	int r;

	if (!ctl->json)
		fprintf(ctl->out.file, "agentctl %s\n", PEERGATE_VERSION);
	r = ctl_call(ctl, "Status", NULL, NULL, &status);
	if (ctl->json) {
		versions = json_pack("{s:s, s:s*}", "agentctl", PEERGATE_VERSION, "agent",
				     json_string_value(json_object_get(status, "version")));
		(void)ctl_print_json(ctl, versions);
		return r;
	}
	if (r != CLI_OK)
		return r;
	agent = value_shown(status, "version");
	fprintf(ctl->out.file, "agent    %s\n", agent ? agent : "-");
	return CLI_OK;
}

static const struct cli_option options[] = {
	{ "json", NULL, "Answer for programs", OPTION_JSON },
	{ "socket", "PATH", "The agent's socket (" CTL_SOCKET ")", OPTION_SOCKET },
};

#define ACCEPT_RISK_OPTION                                                                  \
	{                                                                                   \
		"accept-risk", "lose-ssh", "Do not ask before ending one's own connection", \
			OPTION_ACCEPT_RISK                                                  \
	}
#define KEY_OPTIONS                                                                         \
	{ "auth-key-file", "FILE", "Enrol with the auth key in FILE (-: standard input)",   \
	  OPTION_AUTH_KEY_FILE },                                                           \
	{                                                                                   \
		"auth-key", "KEY", "The same, for everybody on this host to see meanwhile", \
			OPTION_AUTH_KEY                                                     \
	}
#define SELF_OPTIONS                                                                          \
	{ "ssh", NULL, "Let the mesh log in by SSH, as far as sshgw.conf does", OPTION_SSH }, \
		{ "no-ssh", NULL, "Not any more", OPTION_NO_SSH },                            \
	{                                                                                     \
		"hostname", "NAME", "Be called so, instead of the host's own name ('')",      \
			OPTION_HOSTNAME                                                       \
	}

static const struct cli_option kill_options[] = {
	{ "message", "TEXT", "Shown to whom it ends, besides that an operator did",
	  OPTION_MESSAGE },
	ACCEPT_RISK_OPTION,
};

static const struct cli_option drops_options[] = {
	{ "for", "TIME", "End after this time (30s, 5m)", OPTION_FOR },
};

static const struct cli_option metrics_options[] = {
	{ "per-peer", NULL, "Series of each peer as well", OPTION_PER_PEER },
};

static const struct cli_option up_options[] = {
	{ "coordinator", "URL", "Where the coordinator is (Coordinator= in agent.conf)",
	  OPTION_COORDINATOR },
	{ "coordinator-key", "PGC", "Its public key, if no auth key says it",
	  OPTION_COORDINATOR_KEY },
	KEY_OPTIONS,
	{ "advertise-tags", "TAGS", "Be a tagged node: tag:a,tag:b", OPTION_TAGS },
	SELF_OPTIONS,
	ACCEPT_RISK_OPTION,
};

static const struct cli_option login_options[] = { KEY_OPTIONS };

static const struct cli_option set_options[] = { SELF_OPTIONS, ACCEPT_RISK_OPTION };

static const struct cli_option risk_options[] = { ACCEPT_RISK_OPTION };

static const struct cli_verb verbs[] = {
	{ .name = "status",
	  .summary = "State of this host, with warnings",
	  .help = "Exit status 1: there is no map, the newest map was refused, the kernel does "
		  "not\n"
		  "agree with the map, or there is a problem with the coordinator.",
	  .run = verb_status },
	{ .name = "up",
	  .summary = "Be in the mesh; enrol this host if it is not yet",
	  .help = "Waits until the host is connected, and says who has to approve it if "
		  "somebody has to.\nWhat it has begun goes on when it is interrupted. For root "
		  "and "
		  "members of the group\npeergate; another coordinator, and --ssh, are for root.\n"
		  "Exit status 1: the coordinator refused, or the host was brought down meanwhile.",
	  .options = up_options,
	  .n_options = ARRAY_SIZE(up_options),
	  .run = verb_up },
	{ .name = "down",
	  .summary = "Leave the mesh; the host stays enrolled",
	  .help = "Ends everything that goes over the mesh, SSH connections included; asks if one "
		  "of them\nmay be your own.",
	  .options = risk_options,
	  .n_options = ARRAY_SIZE(risk_options),
	  .run = verb_down },
	{ .name = "login",
	  .summary = "Get a new key for this host",
	  .help = "Name, addresses and open connections stay. A key that has expired needs an "
		  "auth key, or\nsomebody to approve.",
	  .options = login_options,
	  .n_options = ARRAY_SIZE(login_options),
	  .run = verb_login },
	{ .name = "logout",
	  .summary = "Give the host's key back, and forget the coordinator",
	  .help = "The coordinator has to be reached. Asks as down does.",
	  .options = risk_options,
	  .n_options = ARRAY_SIZE(risk_options),
	  .run = verb_logout },
	{ .name = "set",
	  .summary = "Change what this host says of itself",
	  .options = set_options,
	  .n_options = ARRAY_SIZE(set_options),
	  .run = verb_set },
	{ .name = "ping",
	  .args = "PEER",
	  .summary = "Whether a peer answers, how fast, and by which way",
	  .help = "PEER: a node or one of its addresses.\n"
		  "Exit status 1: it does not answer; why, as far as it can be told.",
	  .min_args = 1,
	  .max_args = 1,
	  .run = verb_ping },
	{ .name = "peers",
	  .summary = "Peers, and what WireGuard knows of them",
	  .run = verb_peers },
	{ .name = "whois",
	  .args = "ADDRESS",
	  .summary = "Who owns this mesh address",
	  .help = "Only a peer's own addresses identify it; an address that it routes does not.\n"
		  "Exit status 1: the address is no peer's.",
	  .min_args = 1,
	  .max_args = 1,
	  .run = verb_whois },
	{ .name = "acl show",
	  .summary = "Packet filter rules in force",
	  .help = "As the map has them. 'nft list table inet peergate' shows what the kernel has\n"
		  "of them.",
	  .run = verb_acl_show },
	{ .name = "acl explain",
	  .args = "SRC DST[:PORT][/PROTOCOL]",
	  .summary = "Which rule lets it in, or what is missing",
	  .help = "SRC and DST: a node, or an address; an IPv6 address with a port has brackets, "
		  "as in\n"
		  "[fd7a::1]:22. Without a port: which are open. PROTOCOL: tcp, udp, icmp, ... or "
		  "a\n"
		  "number; tcp if there is none. What goes to another host is decided there.\n"
		  "Exit status 1: no, only in part, or not known here.",
	  .min_args = 2,
	  .max_args = 2,
	  .run = verb_acl_explain },
	{ .name = "ssh-policy show",
	  .summary = "SSH rules in force, and what they lack",
	  .help = "The first rule that names the peer and the user decides. A login needs a "
		  "packet\n"
		  "filter rule to tcp/22 as well: what lacks is pointed out.",
	  .run = verb_ssh_policy_show },
	{ .name = "ssh-policy explain",
	  .args = "PEER USER | USER@HOST",
	  .summary = "Who may log in by which rule, or what is missing",
	  .help = "PEER USER: may this node, or address, log in on this host as USER? Rule by "
		  "rule, with\n"
		  "the packet filter's part and the host's own.\n"
		  "USER@HOST: from this host to another. Only the agent there knows: what can be "
		  "said\n"
		  "here, and what to ask there.\n"
		  "Exit status 1: no, only in part, only after a check, or not known here.",
	  .min_args = 1,
	  .max_args = 2,
	  .run = verb_ssh_policy_explain },
	{ .name = "check-login",
	  .args = "[[USER@]HOST]",
	  .summary = "Confirm now that it is you, before logging in elsewhere",
	  .help = "Where an SSH rule says \"check\", a person has to confirm a login on a page of "
		  "the\n"
		  "coordinator's, once in a while. This asks for it beforehand, so that scripts, "
		  "which\n"
		  "cannot wait, are let in. Without HOST: for whatever hosts this one may log in "
		  "to.\n"
		  "Exit status 1: it was denied, nobody answered, or it cannot be asked for.",
	  .max_args = 1,
	  .run = verb_check_login },
	{ .name = "ssh-sessions list",
	  .summary = "Who is logged in through the mesh",
	  .help = "'agentctl ssh-sessions' is the same.",
	  .run = verb_sessions_list },
	{ .name = "ssh-sessions kill",
	  .args = "ID...",
	  .summary = "End SSH connections, with all that they carry",
	  .help = "ID: the beginning of an id, or of the connection's name in the journal. For "
		  "root and\n"
		  "the members of the group peergate. Nothing is taken away: who may log in can "
		  "do so\n"
		  "again. Asks before it ends what may be your own connection.\n"
		  "Exit status 1: an id is not known or not clear (nothing is ended then), or it "
		  "was\n"
		  "declined.",
	  .min_args = 1,
	  .max_args = CTL_MAX_SESSIONS,
	  .options = kill_options,
	  .n_options = ARRAY_SIZE(kill_options),
	  .run = verb_sessions_kill },
	{ .name = "ssh-sessions watch",
	  .summary = "SSH connections as they come and go",
	  .help = "A line for each, until interrupted; with --json an object on each line.",
	  .run = verb_sessions_watch },
	{ .name = "ssh-sessions",
	  .summary = "The same as ssh-sessions list",
	  .run = verb_sessions_list },
	{ .name = "known-hosts",
	  .summary = "SSH host keys of the peers, as ssh reads them",
	  .run = verb_known_hosts },
	{ .name = "netmap check",
	  .args = "FILE",
	  .summary = "Whether a map is good, and what it would change",
	  .help = "Judged and compared with the map in force as the agent would; nothing is put "
		  "in force.\n"
		  "Exit status 1: the agent would refuse it.",
	  .min_args = 1,
	  .max_args = 1,
	  .run = verb_netmap_check },
	{ .name = "pubkey", .summary = "WireGuard public key of this host", .run = verb_pubkey },
	{ .name = "doctor",
	  .summary = "What is wrong on this host, and what to do about it",
	  .help = "Checks that only root can make are 'unknown' to others. Peers that have been "
		  "quiet are\n"
		  "sent an empty datagram, to see whether they answer: that takes some seconds.\n"
		  "Exit status 1: something is bad.",
	  .run = verb_doctor },
	{ .name = "drops",
	  .summary = "What the packet filter drops, as it happens",
	  .help = "For root and members of the group peergate. The filter logs samples while this "
		  "runs: ten\n"
		  "packets a second for each rule that drops; how many more there were is told.",
	  .options = drops_options,
	  .n_options = ARRAY_SIZE(drops_options),
	  .run = verb_drops },
	{ .name = "metrics",
	  .summary = "Numbers for monitoring, as OpenMetrics text",
	  .help = "Counters begin with the agent. While it does not answer, peergate_agent_up is 0 "
		  "and\n"
		  "stands alone.",
	  .options = metrics_options,
	  .n_options = ARRAY_SIZE(metrics_options),
	  .run = verb_metrics },
	{ .name = "version",
	  .summary = "Versions of agentctl and of the agent",
	  .run = verb_version },
};

const struct cli_program ctl_program = {
	.name = "agentctl",
	.summary = "Ask the Peergate agent of this host, and tell it what to do.",
	.version = PEERGATE_VERSION,
	.verbs = verbs,
	.n_verbs = ARRAY_SIZE(verbs),
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.footer = "Exit status: 0 yes or done, 1 no or a problem, 2 usage, 3 the agent does not "
		  "answer.",
	.option = ctl_take_option,
};
