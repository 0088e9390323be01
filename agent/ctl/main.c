#include "agent/ctl/ctl.h"
#include "peergate-config.h"

int main(int argc, char **argv)
{
	struct ctl ctl = {
		.socket = CTL_SOCKET,
		.ceiling = PEERGATE_SYSCONFDIR "/sshgw.conf",
		.out = cli_out_for(stdout),
	};
	int status;

	status = cli_run(&ctl_program, argc, argv, &ctl);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("agentctl: standard output");
		return CLI_NO;
	}
	return status;
}
