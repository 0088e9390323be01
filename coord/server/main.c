#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "common/log.h"
#include "common/service_dir.h"
#include "common/text.h"
#include "coord/server/coord.h"
#include "coord/server/providers.h"
#include "peergate-config.h"

struct options {
	const char *config;
	bool check; /* only say whether the configuration is good */
	bool done;  /* --help or --version: nothing is left to do */
};

static void print_help(void)
{
	puts("peergate-coord [--config FILE]\n"
	     "peergate-coord --check [FILE]\n\n"
	     "Serve the mesh's coordinator: hosts enrol with it, and get their maps from it.\n"
	     "\"coordctl init\" sets it up, coordctl looks after it.\n\n"
	     "  --config FILE   read FILE instead of " PEERGATE_SYSCONFDIR "/coord.conf\n"
	     "  --check         only say whether the configuration is good\n"
	     "  -h, --help      print this and exit\n"
	     "  -V, --version   print the version and exit\n\n"
	     "See peergate-coord(8), peergate-coord.conf(5) and coordctl(1).");
}

/* Return: 0, -EINVAL (what is wrong has been said). */
static int parse_options(int argc, char **argv, struct options *ret_options)
{
	static const struct option long_options[] = {
		{ "check", no_argument, NULL, 'k' },
		{ "config", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "hV", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			ret_options->config = optarg;
			break;
		case 'k':
			ret_options->check = true;
			break;
		case 'h':
			print_help();
			ret_options->done = true;
			return 0;
		case 'V':
			puts("peergate-coord " PEERGATE_VERSION);
			ret_options->done = true;
			return 0;
		default:
			return -EINVAL;
		}
	}
	if (ret_options->check && optind < argc)
		ret_options->config = argv[optind++];
	if (optind < argc) {
		fprintf(stderr, "peergate-coord: unexpected argument \"%s\"; see --help\n",
			argv[optind]);
		return -EINVAL;
	}
	return 0;
}

static int load(const struct options *options, struct coord_config **ret_config)
{
	_cleanup_free_ char *error = NULL;
	int r = coord_config_load(options->config, &error, ret_config);

	if (r < 0)
		log_error("Could not load the configuration: %s", error ? error : strerror(-r));
	return r;
}

/* Beside the configuration. NULL: no memory. */
static char *providers_dir(const struct options *options)
{
	const char *slash = strrchr(options->config, '/');

	return text_printf("%.*soidc.d", slash ? (int)(slash + 1 - options->config) : 0,
			   options->config);
}

static int check(const struct options *options)
{
	_cleanup_(coord_config_freep) struct coord_config *config = NULL;
	_cleanup_(providers_freep) struct providers *providers = NULL;
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_free_ char *error = NULL, *dir = providers_dir(options);
	int r = dir ? coord_config_load(options->config, &error, &config) : -ENOMEM;

	if (r == 0)
		r = sd_event_default(&event);
	if (r >= 0)
		r = providers_load(event, dir, config->url, &error, &providers);
	if (r < 0) {
		fprintf(stderr, "%s\n", error ? error : strerror(-r));
		return 1;
	}
	printf("%s: good. Agents reach the coordinator at %s, %s.\n", options->config, config->url,
	       config->certificate ? "which speaks TLS itself"
				   : "where a reverse proxy has to speak TLS");
	return 0;
}

static int on_terminate(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	sd_notify(0, "STOPPING=1");
	coord_stop(userdata);
	return 0;
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	sd_notify(0, "RELOADING=1");
	coord_reload(userdata);
	sd_notify(0, "READY=1");
	return 0;
}

static int block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -errno;
	return 0;
}

static int handle_signals(sd_event *event, struct coord *coord)
{
	int r = sd_event_add_signal(event, NULL, SIGTERM, on_terminate, coord);

	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGINT, on_terminate, coord);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGHUP, on_reload, coord);
	return r;
}

static int open_coord(sd_event *event, const struct options *options,
		      const struct coord_config *config, struct coord **ret_coord)
{
	_cleanup_free_ char *state = NULL, *runtime = NULL, *providers = NULL, *error = NULL;
	struct coord_paths paths;
	int r;

	state = service_dir("STATE_DIRECTORY", PEERGATE_COORD_STATE_DIR);
	runtime = service_dir("RUNTIME_DIRECTORY", PEERGATE_COORD_RUNTIME_DIR);
	providers = providers_dir(options);
	if (!state || !runtime || !providers)
		return -ENOMEM;
	paths = (struct coord_paths){ .state_dir = state,
				      .runtime_dir = runtime,
				      .providers_dir = providers };
	r = coord_new(event, config, &paths, &error, ret_coord);
	if (r < 0)
		log_error("Could not start: %s", error ? error : strerror(-r));
	return r;
}

static int run(const struct options *options)
{
	_cleanup_(coord_config_freep) struct coord_config *config = NULL;
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(coord_freep) struct coord *coord = NULL;
	int r;

	/* Keys are in memory: none of it into a core file, nor to others of the user's processes.
	 */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return -errno;
	r = load(options, &config);
	if (r < 0)
		return r;
	log_set_level(config->log_level);
	r = block_signals();
	if (r >= 0)
		r = sd_event_default(&event);
	if (r >= 0)
		r = open_coord(event, options, config, &coord);
	if (r < 0)
		return r;
	r = handle_signals(event, coord);
	if (r < 0)
		return log_error_errno(r, "Could not set up the event loop");
	sd_event_set_watchdog(event, true);
	sd_notify(0, "READY=1");
	r = sd_event_loop(event);
	return r < 0 ? log_error_errno(r, "The event loop failed") : 0;
}

int main(int argc, char **argv)
{
	struct options options = { .config = PEERGATE_SYSCONFDIR "/coord.conf" };

	umask(077);
	if (parse_options(argc, argv, &options) < 0)
		return 2;
	if (options.done)
		return 0;
	if (options.check)
		return check(&options);
	log_open_journal("peergate-coord");
	return run(&options) < 0 ? 1 : 0;
}
