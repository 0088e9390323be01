/*
 * peergate-sshgw-monitor: started by the listener for one connection, never by hand. Descriptors: 3
 * the connection, 4 the listener's status pipe, 5 and 6 the executables of net and session, 7 the
 * channel to the keys process.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>

#include "common/log.h"
#include "peergate-config.h"
#include "sshgw/build.h"
#include "sshgw/monitor/monitor.h"

int main(int argc, char *argv[])
{
	struct monitor_config config = {
		.connection_fd = 3,
		.status_fd = 4,
		.net_exe_fd = 5,
		.session_exe_fd = 6,
		.keys_fd = 7,
		.agent_socket = PEERGATE_AGENT_ROOT_SOCKET,
		.ceiling_path = PEERGATE_SYSCONFDIR "/sshgw.conf",
	};

	int r = build_check(argc, argv);

	if (r != BUILD_GO_ON)
		return r;
	log_open_journal("peergate-sshgw");
	for (int fd = 3; fd <= 7; fd++) {
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
			fprintf(stderr, "peergate-sshgw-monitor is started by peergate-sshgw, not "
					"by hand.\n");
			return MON_EXIT_BY_HAND;
		}
	}
	/* What it decides is for nobody else to change: no core, no tracing by others. */
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIGPIPE, SIG_IGN);
	return monitor_run(&config);
}
