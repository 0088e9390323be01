#include "common/clock.h"
#include "common/json.h"
#include "coord/ctl/ctl.h"
#include "peergate-config.h"

int main(int argc, char **argv)
{
	struct ctl ctl = {
		.server.socket = PEERGATE_COORD_ADMIN_SOCKET,
		.state_dir = PEERGATE_COORD_STATE_DIR,
		.init.config = PEERGATE_SYSCONFDIR "/coord.conf",
		.now_usec = clock_usec(CLOCK_REALTIME),
		.out = cli_out_for(stdout),
		.err = cli_out_for(stderr),
	};
	int status;

	/* What was to be part of a request has to be in it. */
	json_watch_memory();
	status = cli_run(&ctl_program, argc, argv, &ctl);
	client_free(ctl.client);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("coordctl: standard output");
		return CTL_NO_ANSWER;
	}
	return status;
}
