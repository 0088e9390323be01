#include "coord/ctl/ctl.h"

int main(int argc, char **argv)
{
	struct ctl ctl = {
		.out = cli_out_for(stdout),
		.err = cli_out_for(stderr),
	};
	int status;

	status = cli_run(&ctl_program, argc, argv, &ctl);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("coordctl: standard output");
		return CTL_NO_ANSWER;
	}
	return status;
}
