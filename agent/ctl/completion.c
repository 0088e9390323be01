/* Writes agentctl's completions, when it is built. */
#include "agent/ctl/ctl.h"
#include "common/cli/complete.h"

/* What comes out of these is put into a shell's hands: nothing but what names are made of. */
#define NAMES	  "sed -n 's/^ *\"nodeName\": \"\\([A-Za-z0-9-]*\\)\",*$/\\1/p'"
#define ADDRESSES "sed -n 's/^ *\"\\([0-9a-f.:]*[.:][0-9a-f.:]*\\)\",*$/\\1/p'"
#define IDS	  "sed -n 's/^ *\"leaseId\": \"\\([0-9a-f]*\\)\",*$/\\1/p'"

static const struct cli_lister listers[] = {
	{ "nodes", "SRC DST PEER",
	  "agentctl status --json 2>/dev/null | " NAMES
	  "; agentctl peers --json 2>/dev/null | " NAMES },
	{ "addresses", "ADDRESS", "agentctl peers --json 2>/dev/null | " ADDRESSES },
	{ "sessions", "ID", "agentctl ssh-sessions list --json 2>/dev/null | " IDS },
};

int main(int argc, char **argv)
{
	const struct cli_completion completion = { &ctl_program, listers, ARRAY_SIZE(listers) };

	return cli_complete_main(&completion, argc, argv);
}
