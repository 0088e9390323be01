/*
 * peergate-sshgw-keys: started by the listener, never by hand. Descriptor 3 is the channel to it.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "common/log.h"
#include "peergate-config.h"
#include "sshgw/build.h"
#include "sshgw/keys/keys.h"

int main(int argc, char *argv[])
{
	const struct keys_config config = { .control_fd = 3, .hostkey_dir = PEERGATE_HOSTKEY_DIR };
	int r = build_check(argc, argv);

	if (r != BUILD_GO_ON)
		return r;
	log_open_journal("peergate-sshgw");
	if (fcntl(config.control_fd, F_SETFD, FD_CLOEXEC) < 0) {
		fprintf(stderr, "peergate-sshgw-keys is started by peergate-sshgw, not by hand.\n");
		return 2;
	}
	/* The host keys are in this process: no core, no tracing by others. */
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIGPIPE, SIG_IGN);
	return keys_run(&config) < 0 ? 1 : 0;
}
