/* Writes coordctl's completions, when it is built. */
#include "common/cli/complete.h"
#include "coord/ctl/ctl.h"

int main(int argc, char **argv)
{
	const struct cli_completion completion = { .program = &ctl_program };

	return cli_complete_main(&completion, argc, argv);
}
