#include <unistd.h>

#include "agent/ctl/ctl.h"
#include "peergate-config.h"

/* Others may fill the queue of the one that is for all. */
static const char *default_socket(void)
{
	return access(CTL_ROOT_SOCKET, W_OK) == 0 ? CTL_ROOT_SOCKET : CTL_SOCKET;
}

int main(int argc, char **argv)
{
	struct ctl ctl = {
		.socket = default_socket(),
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
