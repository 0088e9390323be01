/* peergate-sshgw: the gateway's listener, socket-activated by systemd. */
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <systemd/sd-daemon.h>

#include "common/log.h"
#include "peergate-config.h"
#include "sshgw/listener/listener.h"

static const struct listener_config config = {
	.libexec_dir = PEERGATE_LIBEXECDIR,
	.ceiling_path = PEERGATE_SYSCONFDIR "/sshgw.conf",
};

static const char help[] =
	"Usage: peergate-sshgw [OPTION]\n"
	"\n"
	"Accepts SSH connections that come in through the mesh. Started by systemd, with\n"
	"its sockets (peergate-sshgw.socket).\n"
	"\n"
	"  -h, --help     show this and exit\n"
	"  -V, --version  show the version and exit\n"
	"\n"
	"Configuration: " PEERGATE_SYSCONFDIR "/sshgw.conf, see peergate-sshgw.conf(5).\n";

/* Return: -1 to go on, else the exit status. */
static int parse_options(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};

	switch (getopt_long(argc, argv, "hV", options, NULL)) {
	case -1:
		break;
	case 'h':
		fputs(help, stdout);
		return 0;
	case 'V':
		puts("peergate-sshgw " PEERGATE_VERSION);
		return 0;
	default:
		return 2;
	}
	if (optind < argc) {
		fprintf(stderr, "peergate-sshgw: unexpected argument \"%s\"; see --help\n",
			argv[optind]);
		return 2;
	}
	return -1;
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	sd_notify(0, "RELOADING=1");
	listener_reload(userdata);
	sd_notify(0, "READY=1");
	return 0;
}

static int serve(sd_event *event, const int *fds, size_t n)
{
	_cleanup_(listener_freep) struct listener *listener = NULL;
	int r = listener_new(event, &config, fds, n, &listener);

	if (r < 0)
		return r;
	r = sd_event_add_signal(event, NULL, SIGHUP | SD_EVENT_SIGNAL_PROCMASK, on_hangup,
				listener);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGTERM | SD_EVENT_SIGNAL_PROCMASK, NULL,
					NULL);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGINT | SD_EVENT_SIGNAL_PROCMASK, NULL, NULL);
	if (r >= 0)
		r = sd_event_set_watchdog(event, true);
	if (r < 0)
		return log_error_errno(r, "Could not set up the event loop");
	sd_notify(0, "READY=1");
	return sd_event_loop(event);
}

int main(int argc, char *argv[])
{
	int fds[8], n, r = parse_options(argc, argv);
	sd_event *event = NULL;

	if (r >= 0)
		return r;
	log_open_journal("peergate-sshgw");
	n = sd_listen_fds(1);
	if (n <= 0) {
		fputs("peergate-sshgw: no sockets; start it with: systemctl start "
		      "peergate-sshgw.socket\n",
		      stderr);
		return 2;
	}
	for (int i = 0; i < n && i < (int)ARRAY_SIZE(fds); i++)
		fds[i] = SD_LISTEN_FDS_START + i;
	r = sd_event_default(&event);
	if (r >= 0)
		r = serve(event, fds, (size_t)n);
	sd_event_unref(event);
	return r < 0 ? 1 : 0;
}
