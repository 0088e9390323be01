#include "tests/unit/agent-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/clock_watch.h"
#include "agent/ssh/lease.h"
#include "common/file.h"
#include "common/log.h"
#include "common/text.h"

/* One fixture at a time. */
struct kernel *the_kernel;

int kernel_new(sd_event *event, const struct kernel_config *config,
	       const struct wg_key *private_key, struct kernel **ret_kernel)
{
	the_kernel = calloc(1, sizeof(*the_kernel));
	*ret_kernel = the_kernel;
	return the_kernel ? 0 : -ENOMEM;
}

struct kernel *kernel_free(struct kernel *kernel)
{
	free(kernel);
	return NULL;
}

int kernel_apply(struct kernel *kernel, const struct netmap *map, uint64_t now_usec,
		 struct kernel_changes *ret_changes, char **reterr_text)
{
	kernel->n_applied++;
	kernel->now_usec = now_usec;
	if (kernel->n_fail > 0) {
		kernel->n_fail--;
		*reterr_text = strdup("the kernel is on strike");
		return kernel->fail;
	}
	kernel->map_seen = map != NULL;
	kernel->generation = map ? map->generation : 0;
	*ret_changes = kernel->repairs;
	return 0;
}

int kernel_set_key(struct kernel *kernel, const struct wg_key *private_key)
{
	return 0;
}

void kernel_shut(struct kernel *kernel)
{
	kernel->n_shut++;
}

void kernel_hold(struct kernel *kernel)
{
	kernel->n_held++;
}

void kernel_on_foreign_change(struct kernel *kernel, void (*fn)(void *userdata, const char *what),
			      void *userdata)
{
	kernel->foreign = fn;
	kernel->userdata = userdata;
}

time_t clock_ahead_sec;

time_t boottime_ahead_sec;

static int clock_set_fd = -1; /* written to by whoever sets it */

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	int r = (int)syscall(SYS_clock_gettime, clock, ts);

	if (clock == CLOCK_REALTIME)
		ts->tv_sec += clock_ahead_sec;
	if (clock == CLOCK_BOOTTIME)
		ts->tv_sec += boottime_ahead_sec;
	return r;
}

int clock_watch_open(void)
{
	clock_set_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return clock_set_fd;
}

bool clock_watch_ask(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n);
}

void set_clock(time_t ahead_sec)
{
	uint64_t n = 1;

	clock_ahead_sec = ahead_sec;
	assert_int_equal(write(clock_set_fd, &n, sizeof(n)), sizeof(n));
}

static const char map_template[] =
	"{\"type\": \"full\", \"version\": 1, \"for\": \"n1\", \"generation\": %d,"
	" \"self\": {\"id\": \"n1\", \"name\": \"server\", \"addresses\": [\"100.64.0.1\"],"
	"            \"ssh\": true, \"key_expiry\": %s},"
	" \"mesh\": {\"domain\": \"mesh.example\", \"prefixes\": [\"100.64.0.0/10\"]},"
	" \"peers\": [{\"id\": \"n2\", \"name\": \"%s\", \"addresses\": [\"100.64.0.2\"],"
	"   \"node_key\": \"%s\", \"key_expiry\": %s, \"ssh_host_keys\": [\"ssh-ed25519 "
	"AAAAC3NzaC1lZDI1NTE5AAAAIL5b5RAKKP04jBGXCssELNYrrS/ep82sfA/A6t/XGnQ9\"]}],"
	" \"packet_filter\": [{\"src\": [\"%s\"], \"dst\": [{\"ip\": \"100.64.0.1\","
	"   \"ports\": [22, 22]}]}], \"ssh_rules\": [%s]}";

#define RULE "{\"principals\": [\"100.64.0.2\"], \"users\": {\"x\": \"x\"}, \"action\": \"accept\"}"

void put_text(struct fixture *f, const char *text)
{
	assert_int_equal(file_replace(AT_FDCWD, f->map_path, text, strlen(text), 0644), 0);
}

void put_map(struct fixture *f, const struct map_options *o)
{
	_cleanup_free_ char *text = NULL;

	text = text_printf(map_template, o->generation, o->self_expiry ? o->self_expiry : "null",
			   o->peer_name ? o->peer_name : "laptop", o->key ? o->key : KEY_2,
			   o->peer_expiry ? o->peer_expiry : "null",
			   o->may_reach_ssh ? o->may_reach_ssh : "100.64.0.2",
			   o->rules ? o->rules : RULE);
	put_text(f, text);
}

void discard_log(void *userdata, int level, const char *text)
{
}

int agent_fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	log_set_sink(discard_log, NULL);
	f->dir = strdup("/tmp/test-agent-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	f->map_path = text_printf("%s/map.json", f->dir);
	f->state_dir = text_printf("%s/state", f->dir);
	if (mkdir(f->state_dir, 0700) < 0)
		return -1;
	*state = f;
	return sd_event_new(&f->event);
}

int agent_fixture_teardown(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *command = text_printf("rm -rf %s", f->dir);

	clock_ahead_sec = boottime_ahead_sec = 0;
	lease_free(f->lease);
	agent_free(f->agent);
	sd_event_unref(f->event);
	free(f->map_path);
	free(f->state_dir);
	free(f->dir);
	free(f);
	return system(command);
}

/* max_map_age_usec 0: its maps come from a file. */
struct agent *new_agent_with(struct fixture *f, uint64_t max_map_age_usec)
{
	const struct agent_paths paths = { f->state_dir, f->dir, getuid() };
	struct agent_config *config = NULL;
	struct agent *agent = NULL;
	char *error = NULL;

	assert_int_equal(agent_config_new(&config), 0);
	config->max_map_age_usec = max_map_age_usec;
	if (max_map_age_usec == 0)
		config->netmap = strdup(f->map_path);
	if (agent_new(f->event, config, &paths, &error, &agent) < 0)
		fail_msg("%s", error);
	return agent;
}

struct agent *new_agent(struct fixture *f)
{
	return new_agent_with(f, 0);
}

void start_agent(struct fixture *f, int expected)
{
	f->agent = new_agent(f);
	assert_int_equal(the_kernel->n_applied, 0);
	assert_int_equal(agent_start(f->agent), expected);
}

void start_with(struct fixture *f, int generation)
{
	put_map(f, &(struct map_options){ .generation = generation });
	start_agent(f, 0);
	assert_int_equal(the_kernel->generation, generation);
}

uint64_t clock_now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void run_for(struct fixture *f, uint64_t usec)
{
	uint64_t end = clock_now(CLOCK_MONOTONIC) + usec;

	while (clock_now(CLOCK_MONOTONIC) < end)
		assert_true(sd_event_run(f->event, 10000) >= 0);
}

char *soon(uint64_t usec)
{
	uint64_t when = clock_now(CLOCK_REALTIME) + usec;
	char whole[32];

	/* Whole seconds, then the fraction that format_rfc3339() leaves out. */
	format_rfc3339(when, whole, sizeof(whole));
	whole[strlen(whole) - 1] = '\0';
	return text_printf("\"%s.%06uZ\"", whole, (unsigned)(when % 1000000));
}

static void on_revoked(struct lease *lease, enum lease_end end, const char *message, void *userdata)
{
	struct fixture *f = userdata;

	f->applied_at_revocation = the_kernel->n_applied;
	f->lease = lease_free(lease);
}

static void on_retimed(struct lease *lease, uint64_t valid_until, void *userdata)
{
	struct fixture *f = userdata;

	f->retimed = valid_until;
}

void grant(struct fixture *f, uint64_t valid_until)
{
	static const struct lease_events events = { on_revoked, on_retimed };
	struct lease_terms terms = {
		.node_id = "n2",
		.address = { AF_INET, { 100, 64, 0, 2 } },
		.ssh_user = "x",
		.local_user = "x",
	};

	assert_int_equal(
		lease_grant(agent_leases(f->agent), &terms, valid_until, &events, f, &f->lease), 0);
}

char *state_path(const struct fixture *f, const char *name)
{
	return text_printf("%s/%s", f->state_dir, name);
}

/* The generation in the note of the newest map; 0: there is none. */
unsigned noted_generation(const struct fixture *f)
{
	_cleanup_free_ char *path = state_path(f, "map.state"), *text = NULL;
	const char *found;
	size_t len;

	if (file_read(AT_FDCWD, path, 4096, &text, &len) < 0)
		return 0;
	found = strstr(text, "Generation=");
	return found ? (unsigned)strtoul(found + strlen("Generation="), NULL, 10) : 0;
}

struct netmap *map_of(int generation, const char *source)
{
	_cleanup_free_ char *text = text_printf(map_template, generation, "null", "laptop", KEY_2,
						"null", "100.64.0.2", RULE);
	struct netmap *map = NULL;
	char *error = NULL;

	if (netmap_parse(text, strlen(text), source, &error, &map) < 0)
		fail_msg("%s", error);
	return map;
}

/*
 * A map in force in which something expires soon: *expiry points into o. Not before it is in force,
 * though, on however busy a machine. Return: what has been applied by then.
 */
unsigned enforce_expiring(struct fixture *f, struct map_options *o, const char **expiry)
{
	for (uint64_t usec = 1000000;; usec *= 2, o->generation++) {
		uint64_t when = clock_now(CLOCK_REALTIME) + usec;
		_cleanup_free_ char *text = soon(usec);

		*expiry = text;
		put_map(f, o);
		if (!f->agent)
			start_agent(f, 0);
		AWAIT(f, agent_netmap(f->agent)->generation == (uint64_t)o->generation);
		if (the_kernel->now_usec < when)
			return the_kernel->n_applied;
	}
}
