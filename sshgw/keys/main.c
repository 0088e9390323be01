/*
 * peergate-sshgw-keys: started by the listener, and descriptor 3 is the channel to it; or with
 * --publish, when the sockets are made.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/log.h"
#include "peergate-config.h"
#include "sshgw/build.h"
#include "sshgw/keys/keys.h"

int main(int argc, char *argv[])
{
	const struct keys_config config = { .control_fd = 3,
					    .hostkey_dir = PEERGATE_HOSTKEY_DIR,
					    .public_path = PEERGATE_SSHGW_HOST_KEYS };
	bool only_publish = argc == 2 && strcmp(argv[1], "--publish") == 0;
	int r = only_publish ? BUILD_GO_ON : build_check(argc, argv);

	if (r != BUILD_GO_ON)
		return r;
	log_open_journal("peergate-sshgw");
	/* The host keys are in this process: no core, no tracing by others. */
	prctl(PR_SET_DUMPABLE, 0);
	if (only_publish)
		return keys_publish(&config) < 0 ? 1 : 0;
	if (fcntl(config.control_fd, F_SETFD, FD_CLOEXEC) < 0) {
		fprintf(stderr, "peergate-sshgw-keys is started by peergate-sshgw, not by hand.\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	return keys_run(&config) < 0 ? 1 : 0;
}
