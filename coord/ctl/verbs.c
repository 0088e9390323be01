#include "coord/ctl/ctl.h"
#include "peergate-config.h"

enum {
	OPTION_JSON = 1,
	OPTION_NODES,
	OPTION_NODE,
	OPTION_STRICT,
	OPTION_PROTO,
};

static int take_option(int id, const char *arg, void *userdata)
{
	struct ctl *ctl = userdata;

	switch (id) {
	case OPTION_JSON:
		ctl->json = true;
		break;
	case OPTION_NODES:
		ctl->nodes = arg;
		break;
	case OPTION_NODE:
		ctl->node = arg;
		break;
	case OPTION_STRICT:
		ctl->strict = true;
		break;
	case OPTION_PROTO:
		ctl->proto = arg;
		break;
	}
	return CLI_OK;
}

#define NODES                                                                              \
	{                                                                                  \
		"nodes", "FILE", "Users and nodes, as JSON; see coordctl(1)", OPTION_NODES \
	}

static const struct cli_option options[] = {
	{ "json", NULL, "Answer for programs", OPTION_JSON },
};
static const struct cli_option check_options[] = {
	NODES,
	{ "strict", NULL, "Warnings count as errors do", OPTION_STRICT },
};
static const struct cli_option nodes_options[] = { NODES };
static const struct cli_option compile_options[] = {
	NODES,
	{ "node", "NAME", "Only this node", OPTION_NODE },
};
static const struct cli_option explain_options[] = {
	NODES,
	{ "proto", "PROTOCOL", "Instead of tcp: udp, icmp, ... or a number", OPTION_PROTO },
};

static const struct cli_verb verbs[] = {
	{ .name = "policy check",
	  .args = "FILE",
	  .summary = "Errors and warnings, tests included",
	  .help = "Without --nodes, tests and warnings go by one made-up node for each user and "
		  "tag.\n"
		  "Exit status 1: there are errors, or tests fail.",
	  .min_args = 1,
	  .max_args = 1,
	  .options = check_options,
	  .n_options = ARRAY_SIZE(check_options),
	  .run = verb_policy_check },
	{ .name = "policy test",
	  .args = "FILE --nodes FILE",
	  .summary = "Only the policy's tests and sshTests",
	  .help = "Exit status 1: a test fails.",
	  .min_args = 1,
	  .max_args = 1,
	  .options = nodes_options,
	  .n_options = ARRAY_SIZE(nodes_options),
	  .run = verb_policy_test },
	{ .name = "policy compile",
	  .args = "FILE --nodes FILE",
	  .summary = "What each node gets",
	  .help = "Packet filter, SSH rules, peers and routes; with --json, in the map's format.",
	  .min_args = 1,
	  .max_args = 1,
	  .options = compile_options,
	  .n_options = ARRAY_SIZE(compile_options),
	  .run = verb_policy_compile },
	{ .name = "policy explain",
	  .args = "FILE --nodes FILE SRC DST",
	  .summary = "Which line decides, and why",
	  .help = "SRC and DST: a node, an address, a user, a tag, a group or a host.\n"
		  "DST:PORT asks about this port, DST or DST:* about any. USER@DST asks about an "
		  "SSH\n"
		  "login, which needs packets to get through to tcp 22 and an SSH rule.\n"
		  "Exit status 1: no, or only for some of the nodes.",
	  .min_args = 3,
	  .max_args = 3,
	  .options = explain_options,
	  .n_options = ARRAY_SIZE(explain_options),
	  .run = verb_policy_explain },
	{ .name = "policy diff",
	  .args = "OLD NEW --nodes FILE",
	  .summary = "Access gained and lost",
	  .help = "As with diff(1), exit status 0 means no difference and 1 some.",
	  .min_args = 2,
	  .max_args = 2,
	  .options = nodes_options,
	  .n_options = ARRAY_SIZE(nodes_options),
	  .run = verb_policy_diff },
};

const struct cli_program ctl_program = {
	.name = "coordctl",
	.version = PEERGATE_VERSION,
	.summary = "Look after the policy of a Peergate mesh. Files may be '-': standard input.",
	.verbs = verbs,
	.n_verbs = ARRAY_SIZE(verbs),
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.footer =
		"Exit status: 0 yes or good, 1 no or a problem, 2 usage, 3 a file cannot be used.",
	.option = take_option,
};
