/* peergate-sshgw: the gateway's listener, socket-activated by systemd. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/log.h"
#include "common/text.h"
#include "peergate-config.h"
#include "sshgw/build.h"
#include "sshgw/listener/check.h"
#include "sshgw/listener/listener.h"
#include "sshgw/listener/shutdown.h"

static const struct listener_config config = {
	.libexec_dir = PEERGATE_LIBEXECDIR,
	.ceiling_path = PEERGATE_SYSCONFDIR "/sshgw.conf",
};

static const char help[] =
	"Usage: peergate-sshgw [OPTION]\n"
	"       peergate-sshgw --check [FILE]\n"
	"       peergate-sshgw --shutdown\n"
	"\n"
	"Accepts SSH connections that come in through the mesh. Started by systemd, with\n"
	"its sockets (peergate-sshgw.socket).\n"
	"\n"
	"      --check    only say whether the configuration is good, and what it means\n"
	"      --shutdown for systemd: tell all connections that this host shuts down,\n"
	"                 and end them\n"
	"  -h, --help     show this and exit\n"
	"  -V, --version  show the version and exit\n"
	"\n"
	"Configuration: " PEERGATE_SYSCONFDIR "/sshgw.conf, see peergate-sshgw.conf(5).\n";

/* argv: what stands after the options. Return: exit status. */
static int check(int argc, char *argv[])
{
	if (argc > 1) {
		fprintf(stderr, "peergate-sshgw: unexpected argument \"%s\"; see --help\n",
			argv[1]);
		return 2;
	}
	return ceiling_check_run(argc > 0 ? argv[0] : config.ceiling_path, argc > 0, stdout,
				 stderr);
}

static int tell_shutdown(void)
{
	if (geteuid() != 0) {
		fputs("peergate-sshgw: --shutdown is for root\n", stderr);
		return 2;
	}
	log_open_journal("peergate-sshgw");
	return shutdown_run(config.libexec_dir) < 0;
}

/* Return: -1 to go on, else the exit status. */
static int parse_options(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "check", no_argument, NULL, 'k' },
		{ "shutdown", no_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};

	/* getopt's messages begin with it. */
	argv[0] = program_invocation_short_name;
	switch (getopt_long(argc, argv, "hV", options, NULL)) {
	case -1:
		break;
	case 'k':
		return check(argc - optind, argv + optind);
	case 's':
		return tell_shutdown();
	case 'h':
		fputs(help, stdout);
		return 0;
	case 'V':
		printf("peergate-sshgw %s\n", build_id());
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

static int add_signals(sd_event *event, struct listener *listener)
{
	int r = sd_event_add_signal(event, NULL, SIGHUP | SD_EVENT_SIGNAL_PROCMASK, on_hangup,
				    listener);

	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGTERM | SD_EVENT_SIGNAL_PROCMASK, NULL,
					NULL);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGINT | SD_EVENT_SIGNAL_PROCMASK, NULL, NULL);
	return r;
}

/* What systemd hands over: sockets to listen on, and connections of an earlier listener. */
struct passed {
	int sockets[8];
	size_t n_sockets;
	char **names; /* of all that was passed, in order */
	int n;
};

static void passed_done(struct passed *passed)
{
	for (int i = 0; i < passed->n; i++)
		free(passed->names[i]);
	free(passed->names);
}

static int take_passed(struct passed *ret_passed)
{
	struct passed passed = { .n = sd_listen_fds_with_names(1, &passed.names) };

	if (passed.n < 0)
		return passed.n;
	for (int i = 0; i < passed.n; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0 &&
		    passed.n_sockets < ARRAY_SIZE(passed.sockets))
			passed.sockets[passed.n_sockets++] = fd;
	}
	*ret_passed = passed;
	return 0;
}

static void adopt(struct listener *listener, const struct passed *passed)
{
	int n = 0;

	for (int i = 0; i < passed->n; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (sd_is_fifo(fd, NULL) <= 0)
			continue;
		if (listener_adopt(listener, passed->names[i], fd) == 0)
			n++;
		else
			close(fd);
	}
	if (n > 0)
		log_info("Connections of an earlier listener that go on: %d", n);
}

static int serve(sd_event *event, const struct passed *passed)
{
	_cleanup_(listener_freep) struct listener *listener = NULL;
	int r = listener_new(event, &config, passed->sockets, passed->n_sockets, &listener);

	if (r < 0)
		return r;
	adopt(listener, passed);
	r = add_signals(event, listener);
	if (r >= 0)
		r = sd_event_set_watchdog(event, true);
	if (r < 0)
		return log_error_errno(r, "Could not set up the event loop");
	sd_notify(0, "READY=1");
	return sd_event_loop(event);
}

int main(int argc, char *argv[])
{
	_cleanup_(passed_done) struct passed passed = { 0 };
	int r = parse_options(argc, argv);
	sd_event *event = NULL;

	if (r >= 0)
		return r;
	log_open_journal("peergate-sshgw");
	r = take_passed(&passed);
	if (r < 0 || passed.n_sockets == 0) {
		fputs("peergate-sshgw: no sockets; start it with: systemctl start "
		      "peergate-sshgw.socket\n",
		      stderr);
		return 2;
	}
	r = sd_event_default(&event);
	if (r >= 0)
		r = serve(event, &passed);
	sd_event_unref(event);
	return r < 0 ? 1 : 0;
}
