/*
 * peergate-sshgw-net: started by the monitor, never by hand. Descriptor 3 is the connection, 4 the
 * channel to the monitor.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "peergate-config.h"
#include "sshgw/build.h"
#include "sshgw/net/ended.h"
#include "sshgw/net/filter.h"
#include "sshgw/net/monitor_link.h"
#include "sshgw/net/net.h"
#include "sshgw/net/transport.h"
#include "sshgw/priority.h"
#include "sshgw/steps.h"

static int receive_init(struct net *net)
{
	struct chan_msg msg = { 0 };
	int r = chan_receive_wait(net->monitor_fd, MONITOR_TIMEOUT_USEC, &msg);

	if (r == 0)
		r = msg.type == NET_INIT ? msg_net_init_get(&msg, &net->init) : -EBADMSG;
	chan_msg_done(&msg);
	if (r == 0)
		net->deadline =
			clock_usec(CLOCK_MONOTONIC) + net->init.login_grace_sec * USEC_PER_SEC;
	return r;
}

/* Lines go through the monitor; the journal's stream is nothing for this process to hold. */
static int drop_stderr(void)
{
	_cleanup_close_ int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	return null < 0 || dup2(null, STDERR_FILENO) < 0 ? -errno : 0;
}

static int enter_sandbox(void)
{
	struct sandbox_config config = net_sandbox;
	_cleanup_free_ char *text = NULL;
	const struct passwd *pw = getpwnam(PEERGATE_SSHGW_USER);
	int r;

	if (!pw || pw->pw_uid == 0)
		return log_error_errno(-ENOENT, "Account %s is missing (systemd-sysusers makes it)",
				       PEERGATE_SSHGW_USER);
	config.root = PEERGATE_SSHGW_EMPTY_DIR;
	config.uid = pw->pw_uid;
	config.gid = pw->pw_gid;
	r = sandbox_enter(&config, &text);
	if (r < 0)
		log_error("%s", text ? text : "Could not enter the sandbox");
	return r;
}

int main(int argc, char *argv[])
{
	struct net net = { .monitor_fd = NET_FD_MONITOR, .deadline = UINT64_MAX };
	int r = build_check(argc, argv);

	if (r != BUILD_GO_ON)
		return r;
	log_open("peergate-sshgw-net");
	log_set_sink(monitor_log, &net);
	/* EAGAIN and EPIPE are for the loop to see, not for a handler. */
	signal(SIGPIPE, SIG_IGN);
	if (fcntl(NET_FD_CONNECTION, F_GETFD) < 0 || receive_init(&net) < 0) {
		fprintf(stderr, "peergate-sshgw-net is started by peergate-sshgw, not by hand.\n");
		return 2;
	}
	/* What a stranger can make grow is the first to go. */
	r = priority_reset_oom();
	if (r < 0)
		log_warning_errno(r, "Could not reset the OOM score, continuing");
	r = transport_init(&net);
	if (r == 0)
		r = drop_stderr();
	if (r == 0)
		r = enter_sandbox();
	if (r == 0)
		r = monitor_send(&net, NET_READY, NULL);
	if (r == 0)
		r = transport_start(&net, NET_FD_CONNECTION);
	if (r == 0)
		r = net_run(&net);
	if (r < 0 && r != -ECONNRESET)
		log_error_errno(r, "The connection was given up");
	net_say_ends(&net);
	/* What OpenSSL would free piece by piece goes with the process, 0.3 ms earlier. */
	_exit(net.ssh ? net_why_ended(&net, r) : NET_EXIT_FAILED);
}
