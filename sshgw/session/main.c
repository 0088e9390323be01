/*
 * peergate-sshgw-session: the two processes of a login, leader and user process. Started by the
 * monitor (as "leader") and by the leader (as "user"), never by hand.
 */
#include <errno.h>
#include <fcntl.h>
#include <lastlog.h>
#include <paths.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/log.h"
#include "sshgw/build.h"
#include "sshgw/priority.h"
#include "sshgw/session/leader.h"
#include "sshgw/session/login_process.h"
#include "sshgw/session/user.h"
#include "sshgw/signals.h"

#define LEADER_CHANNEL 3
#define LEADER_EXE     4

static bool is_channel(int fd)
{
	int type;
	socklen_t len = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET;
}

static int run_leader(void)
{
	const struct leader_config config = {
		.channel = LEADER_CHANNEL,
		.exe = LEADER_EXE,
		.pam = { .service = "peergate" },
		.login_defs = "/etc/login.defs",
		.utmp = _PATH_UTMP,
		.wtmp = _PATH_WTMP,
		.lastlog = _PATH_LASTLOG,
	};
	int r;

	log_open_journal("peergate-sshgw-session");
	/* Comm would be the number of the descriptor that this was exec'ed by. */
	prctl(PR_SET_NAME, "sshgw-leader");
	if (fcntl(LEADER_CHANNEL, F_SETFD, FD_CLOEXEC) < 0 ||
	    fcntl(LEADER_EXE, F_SETFD, FD_CLOEXEC) < 0)
		return log_error_errno(-errno, "Started without channel and executable");
	(void)setsid();
	umask(022);
	if (chdir("/") < 0)
		return log_error_errno(-errno, "Could not change to /");
	r = priority_reset_oom();
	if (r < 0)
		log_warning_errno(r, "Could not reset the OOM score, continuing");
	return leader_run(&config);
}

static int run_user(void)
{
	prctl(PR_SET_NAME, "sshgw-user");
	if (fcntl(LOGIN_USER_CHANNEL, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	return user_run(LOGIN_USER_CHANNEL, environ);
}

int main(int argc, char *argv[])
{
	const char *role = argc == 3 ? argv[2] : "";
	int r = build_check(argc, argv);

	if (r != BUILD_GO_ON)
		return r;
	if (!is_channel(LEADER_CHANNEL)) {
		fprintf(stderr, "%s is started by peergate-sshgw-monitor only.\n",
			program_invocation_short_name);
		return EXIT_FAILURE;
	}
	signals_reset();
	if (strcmp(role, "leader") == 0)
		r = run_leader();
	else if (strcmp(role, "user") == 0)
		r = run_user();
	else
		r = -EINVAL;
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
