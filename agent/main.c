#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "agent/agent.h"
#include "agent/api/api.h"
#include "agent/check.h"
#include "agent/kernel/kernel.h"
#include "agent/listen.h"
#include "agent/node_key.h"
#include "agent/state.h"
#include "common/log.h"
#include "common/service_dir.h"
#include "common/text.h"
#include "peergate-config.h"

#define DEFAULT_STATE_DIR "/var/lib/peergate"

struct options {
	const char *config; /* NULL: the default one, which need not exist */
	bool down;	    /* take everything out of the kernel instead of running */
	bool check;	    /* only say whether the configuration is good */
	bool done;	    /* --help or --version: nothing is left to do */
};

static void print_help(void)
{
	puts("peergate-agent [--config FILE] [--down]\n"
	     "peergate-agent --check [FILE]\n\n"
	     "Keep this host's part of the mesh: WireGuard, addresses, routes, packet filter\n"
	     "and the answers to \"may this person log in?\".\n\n"
	     "  --config FILE   read FILE instead of " PEERGATE_SYSCONFDIR "/agent.conf\n"
	     "  --check         only say whether the configuration and its map are good, and\n"
	     "                  what would change\n"
	     "  --down          take link, routes and packet filter out of the kernel, and exit\n"
	     "  -h, --help      print this and exit\n"
	     "  -V, --version   print the version and exit\n\n"
	     "See peergate-agent(8), peergate-agent.conf(5) and peergate-netmap(5).");
}

/* Return: 0, -EINVAL (getopt has said why). */
static int parse_options(int argc, char **argv, struct options *ret_options)
{
	static const struct option long_options[] = {
		{ "check", no_argument, NULL, 'k' },   { "config", required_argument, NULL, 'c' },
		{ "down", no_argument, NULL, 'd' },    { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' }, { 0 },
	};
	int c;

	/* getopt's messages begin with it. */
	argv[0] = program_invocation_short_name;
	while ((c = getopt_long(argc, argv, "hV", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			ret_options->config = optarg;
			break;
		case 'd':
			ret_options->down = true;
			break;
		case 'k':
			ret_options->check = true;
			break;
		case 'h':
			print_help();
			ret_options->done = true;
			return 0;
		case 'V':
			puts("peergate-agent " PEERGATE_VERSION);
			ret_options->done = true;
			return 0;
		default:
			return -EINVAL;
		}
	}
	if (ret_options->check && ret_options->down) {
		fprintf(stderr,
			"peergate-agent: --check and --down do not go together; see --help\n");
		return -EINVAL;
	}
	if (ret_options->check && !ret_options->config && optind < argc)
		ret_options->config = argv[optind++];
	if (optind < argc) {
		fprintf(stderr, "peergate-agent: unexpected argument \"%s\"; see --help\n",
			argv[optind]);
		return -EINVAL;
	}
	return 0;
}

static const char *config_path(const struct options *options)
{
	return options->config ? options->config : PEERGATE_SYSCONFDIR "/agent.conf";
}

static int check(const struct options *options)
{
	const struct agent_check todo = {
		.config = config_path(options),
		.required = options->config != NULL,
		.socket = PEERGATE_AGENT_SOCKET,
	};

	return agent_check_run(&todo, stdout, stderr);
}

static int load_config(const struct options *options, struct agent_config **ret_config)
{
	_cleanup_free_ char *error = NULL;
	int r;

	r = agent_config_load(config_path(options), 0, options->config != NULL, &error, ret_config);
	if (r < 0) {
		log_error("Could not load the configuration: %s", error ? error : strerror(-r));
		return r;
	}
	log_set_level((*ret_config)->log_level);
	return 0;
}

/* Blocked before anything is started; sd-event reads them, and its default ends the loop. */
static int handle_signals(sd_event *event)
{
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	/* Children: common/passed.h. */
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
	    signal(SIGCHLD, SIG_IGN) == SIG_ERR)
		return -errno;
	r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
	return r;
}

static int make_agent(sd_event *event, struct agent_config **config, const char *runtime_dir,
		      struct agent **ret_agent)
{
	_cleanup_free_ char *state_dir = NULL, *error = NULL;
	struct agent_paths paths = { .runtime_dir = runtime_dir, .map_owner = 0 };
	int r;

	state_dir = service_dir("STATE_DIRECTORY", DEFAULT_STATE_DIR);
	if (!state_dir)
		return -ENOMEM;
	paths.state_dir = state_dir;
	r = agent_new(event, *config, &paths, &error, ret_agent);
	if (r < 0) {
		log_error("Could not start: %s", error ? error : strerror(-r));
		return r;
	}
	take_ptr(*config);
	return 0;
}

static int serve(struct agent *agent, const char *runtime_dir, struct api **ret_api)
{
	_cleanup_(listen_sockets_done) struct listen_sockets sockets = { -1, -1 };
	_cleanup_free_ char *error = NULL;
	int r;

	r = listen_open(runtime_dir, &error, &sockets);
	if (r < 0) {
		log_error("Could not open the sockets: %s", error ? error : strerror(-r));
		return r;
	}
	r = api_new_for_agent(agent, ret_api);
	if (r < 0)
		return log_error_errno(r, "Could not prepare the sockets' methods");
	r = api_listen(*ret_api, take_fd(&sockets.all));
	if (r == 0)
		r = api_listen_root(*ret_api, take_fd(&sockets.root));
	return r < 0 ? log_error_errno(r, "Could not serve the sockets") : 0;
}

/* By it a link is known that has lost our mark; without it such a link counts as another's. */
static void load_key(struct wg_key *key)
{
	_cleanup_free_ char *dir = service_dir("STATE_DIRECTORY", DEFAULT_STATE_DIR), *error = NULL;
	_cleanup_close_ int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	struct node_key found;

	if (fd < 0)
		return;
	if (node_key_load(fd, dir, STATE_KEY_FILE, &found, &error) == 0) {
		*key = found.private;
		wg_key_wipe(&found.private);
	} else if (error) {
		log_warning("Going on without this host's key: %s", error);
	}
}

/* For the end of a host's time in the mesh; an agent that runs would put everything back. */
static int take_down(const struct options *options)
{
	_cleanup_(agent_config_freep) struct agent_config *config = NULL;
	_cleanup_(kernel_freep) struct kernel *kernel = NULL;
	_cleanup_free_ char *error = NULL;
	struct wg_key key = { 0 };
	struct kernel_config kernel_config = { 0 };
	int r;

	r = load_config(options, &config);
	if (r < 0)
		return r;
	kernel_config.ifname = config->interface;
	load_key(&key);
	r = kernel_new(NULL, &kernel_config, &key, &kernel);
	wg_key_wipe(&key);
	if (r == 0)
		r = kernel_down(kernel, &error);
	if (r < 0)
		log_error("Could not take everything out of the kernel%s: %s",
			  r == -EPERM ? " (run this as root)" : "", error ? error : strerror(-r));
	return r;
}

static int run(const struct options *options)
{
	_cleanup_(agent_config_freep) struct agent_config *config = NULL;
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_free_ char *runtime_dir = NULL;
	_cleanup_(agent_freep) struct agent *agent = NULL;
	_cleanup_(api_freep) struct api *api = NULL;
	int r;

	r = load_config(options, &config);
	if (r < 0)
		return r;
	runtime_dir = service_dir("RUNTIME_DIRECTORY", PEERGATE_RUNTIME_DIR);
	if (!runtime_dir)
		return -ENOMEM;
	r = sd_event_default(&event);
	if (r >= 0)
		r = handle_signals(event);
	if (r < 0)
		return log_error_errno(r, "Could not set up the event loop");
	r = make_agent(event, &config, runtime_dir, &agent);
	if (r >= 0)
		r = serve(agent, runtime_dir, &api);
	if (r < 0)
		return r;
	/* Ready in any case: without a valid map, or while the kernel refuses, the mesh is blocked
	 * or as it was, and attempts go on. */
	agent_start(agent);
	sd_event_set_watchdog(event, true);
	sd_notify(0, "READY=1");
	r = sd_event_loop(event);
	sd_notify(0, "STOPPING=1");
	return r < 0 ? log_error_errno(r, "The event loop failed") : 0;
}

int main(int argc, char **argv)
{
	struct options options = { 0 };

	umask(022);
	if (parse_options(argc, argv, &options) < 0)
		return 2;
	if (options.done)
		return 0;
	if (options.check)
		return check(&options);
	log_open_journal("peergate-agent");
	return (options.down ? take_down(&options) : run(&options)) < 0 ? 1 : 0;
}
