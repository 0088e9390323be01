/*
 * The agent with a kernel of our own making (the kernel_ functions below stand in for libagent's):
 * what is done, in which order, when a map comes, is refused, or time passes.
 */
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

#include "agent/agent.h"
#include "agent/agent_internal.h"
#include "agent/clock_watch.h"
#include "agent/lease.h"
#include "agent/stats.h"
#include "common/file.h"
#include "common/log.h"
#include "common/names.h"
#include "common/text.h"

#define WAIT_USEC 10000000u

struct kernel {
	unsigned n_applied;
	bool map_seen;
	uint64_t generation; /* of the map last applied */
	int fail;	     /* errno to fail with, this often */
	unsigned n_fail;
	int n_held;
	struct kernel_changes repairs; /* what an apply says it has changed */
	void (*foreign)(void *userdata, const char *what);
	void *userdata;
	uint64_t now_usec; /* by which it was last applied */
};

struct fixture {
	char *dir, *state_dir, *map_path;
	sd_event *event;
	struct agent *agent;
	struct lease *lease;
	unsigned applied_at_revocation;
	uint64_t retimed;
};

/* One fixture at a time. */
static struct kernel *the_kernel;

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

/* ---- a wall clock of our own; the kernel's timers go by the true one ---- */

static time_t clock_ahead_sec, boottime_ahead_sec;
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

static void set_clock(time_t ahead_sec)
{
	uint64_t n = 1;

	clock_ahead_sec = ahead_sec;
	assert_int_equal(write(clock_set_fd, &n, sizeof(n)), sizeof(n));
}

/* ---- maps ---- */

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

#define KEY_2 "dHdvMnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI="
#define RULE  "{\"principals\": [\"100.64.0.2\"], \"users\": {\"x\": \"x\"}, \"action\": \"accept\"}"

struct map_options {
	int generation;
	const char *self_expiry, *peer_expiry; /* NULL: never */
	const char *key;		       /* NULL: KEY_2 */
	const char *rules;		       /* NULL: RULE */
	const char *may_reach_ssh;	       /* by the packet filter; NULL: the laptop */
	const char *peer_name;		       /* NULL: "laptop" */
};

static void put_text(struct fixture *f, const char *text)
{
	assert_int_equal(file_replace(AT_FDCWD, f->map_path, text, strlen(text), 0644), 0);
}

static void put_map(struct fixture *f, const struct map_options *o)
{
	_cleanup_free_ char *text = NULL;

	text = text_printf(map_template, o->generation, o->self_expiry ? o->self_expiry : "null",
			   o->peer_name ? o->peer_name : "laptop", o->key ? o->key : KEY_2,
			   o->peer_expiry ? o->peer_expiry : "null",
			   o->may_reach_ssh ? o->may_reach_ssh : "100.64.0.2",
			   o->rules ? o->rules : RULE);
	put_text(f, text);
}

static void discard_log(void *userdata, int level, const char *text)
{
}

static int setup(void **state)
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

static int teardown(void **state)
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
static struct agent *new_agent_with(struct fixture *f, uint64_t max_map_age_usec)
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

static struct agent *new_agent(struct fixture *f)
{
	return new_agent_with(f, 0);
}

static void start(struct fixture *f, int expected)
{
	f->agent = new_agent(f);
	assert_int_equal(the_kernel->n_applied, 0);
	assert_int_equal(agent_start(f->agent), expected);
}

static void start_with(struct fixture *f, int generation)
{
	put_map(f, &(struct map_options){ .generation = generation });
	start(f, 0);
	assert_int_equal(the_kernel->generation, generation);
}

static uint64_t now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void run_for(struct fixture *f, uint64_t usec)
{
	uint64_t end = now(CLOCK_MONOTONIC) + usec;

	while (now(CLOCK_MONOTONIC) < end)
		assert_true(sd_event_run(f->event, 10000) >= 0);
}

#define AWAIT(f, condition)                                                \
	do {                                                               \
		uint64_t end_ = now(CLOCK_MONOTONIC) + WAIT_USEC;          \
		while (!(condition) && now(CLOCK_MONOTONIC) < end_)        \
			assert_true(sd_event_run((f)->event, 10000) >= 0); \
		assert_true(condition);                                    \
	} while (0)

static char *soon(uint64_t usec)
{
	uint64_t when = now(CLOCK_REALTIME) + usec;
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

static void grant(struct fixture *f, uint64_t valid_until)
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

static void test_applies_the_map(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *path = text_printf("%s/ssh_known_hosts", f->dir), *text = NULL;
	size_t len;

	start_with(f, 5);
	assert_int_equal(the_kernel->n_applied, 1);
	assert_int_equal(agent_netmap(f->agent)->generation, 5);
	assert_null(agent_map_problem(f->agent));
	assert_null(agent_kernel_problem(f->agent));
	assert_int_equal(file_read(AT_FDCWD, path, 4096, &text, &len), 0);
	assert_non_null(strstr(text, "\nlaptop,laptop.mesh.example,100.64.0.2 ssh-ed25519 AAAA"));
}

static int find_name(const struct fixture *f, const char *label)
{
	struct names_host host;
	struct names names;
	int r = names_open(f->dir, &names);

	if (r < 0)
		return r;
	r = names_find(&names, label, &host);
	names_close(&names);
	return r;
}

/* The map in force is there for everybody to read. */
static void check_map_written(const struct fixture *f, uint64_t generation)
{
	_cleanup_free_ char *path = text_printf("%s/netmap.json", f->dir);
	_cleanup_free_ char *text = NULL, *error = NULL;
	_cleanup_(netmap_freep) struct netmap *map = NULL;
	struct stat st;
	size_t len;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(file_read(AT_FDCWD, path, 1 << 20, &text, &len), 0);
	assert_int_equal(netmap_parse(text, len, path, &error, &map), 0);
	assert_int_equal(map->generation, generation);
}

static void test_names_follow_the_map(void **state)
{
	struct fixture *f = *state;

	start_with(f, 5);
	assert_int_equal(find_name(f, "server"), 0);
	assert_int_equal(find_name(f, "laptop"), 0);
	put_map(f, &(struct map_options){ .generation = 6, .peer_name = "desk" });
	AWAIT(f, the_kernel->generation == 6);
	assert_int_equal(find_name(f, "laptop"), NAMES_NONE);
	assert_int_equal(find_name(f, "desk"), 0);
	check_map_written(f, 6);
	/* Refused maps change nothing, and the last one's names outlive the agent. */
	put_text(f, "{}");
	AWAIT(f, agent_map_problem(f->agent));
	f->agent = agent_free(f->agent);
	assert_int_equal(find_name(f, "desk"), 0);
}

/* One file that cannot be written keeps the other from nothing, and is written later. */
static void test_a_file_that_cannot_be_written(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *names = text_printf("%s/" NAMES_FILE, f->dir);
	_cleanup_free_ char *known = text_printf("%s/ssh_known_hosts", f->dir);

	assert_int_equal(mkdir(known, 0755), 0);
	start_with(f, 5);
	assert_int_equal(find_name(f, "laptop"), 0);
	assert_int_equal(unlink(names), 0);
	assert_int_equal(rmdir(known), 0);
	the_kernel->foreign(the_kernel->userdata, "Somebody did something");
	AWAIT(f, access(known, R_OK) == 0);
	/* (That one was written, and is not again.) */
	assert_int_equal(find_name(f, "laptop"), -ENOENT);
}

static char *state_path(const struct fixture *f, const char *name)
{
	return text_printf("%s/%s", f->state_dir, name);
}

/* The generation in the note of the newest map; 0: there is none. */
static unsigned noted_generation(const struct fixture *f)
{
	_cleanup_free_ char *path = state_path(f, "map.state"), *text = NULL;
	const char *found;
	size_t len;

	if (file_read(AT_FDCWD, path, 4096, &text, &len) < 0)
		return 0;
	found = strstr(text, "Generation=");
	return found ? (unsigned)strtoul(found + strlen("Generation="), NULL, 10) : 0;
}

/* A full disk: the generation is noted with the next map at the latest. */
static void test_generation_that_cannot_be_written(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *noted = state_path(f, "map.state");

	assert_int_equal(mkdir(noted, 0755), 0);
	start_with(f, 5);
	run_for(f, 300000);
	assert_int_equal(noted_generation(f), 0);
	assert_int_equal(rmdir(noted), 0);
	/* Soon, though the next try is far away: what is due is written at the end. */
	f->agent = agent_free(f->agent);
	assert_int_equal(noted_generation(f), 5);
}

static void test_no_map_blocks(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	assert_int_equal(the_kernel->n_applied, 1);
	assert_false(the_kernel->map_seen);
	assert_null(agent_netmap(f->agent));
	assert_non_null(strstr(agent_map_problem(f->agent), "cannot be opened"));
	put_map(f, &(struct map_options){ .generation = 1 });
	AWAIT(f, the_kernel->map_seen);
	assert_null(agent_map_problem(f->agent));
}

static void test_refused_map_changes_nothing(void **state)
{
	struct fixture *f = *state;

	start_with(f, 5);
	put_text(f, "{");
	AWAIT(f, agent_map_problem(f->agent));
	assert_non_null(strstr(agent_map_problem(f->agent), "map.json: line 1 column"));
	put_map(f, &(struct map_options){ .generation = 4 });
	AWAIT(f, strstr(agent_map_problem(f->agent), "generation: 4 is older than 5"));
	assert_int_equal(agent_netmap(f->agent)->generation, 5);
	assert_int_equal(the_kernel->n_applied, 1);
	put_map(f, &(struct map_options){ .generation = 6 });
	AWAIT(f, !agent_map_problem(f->agent));
	assert_int_equal(the_kernel->generation, 6);
}

static void start_again(struct fixture *f)
{
	f->agent = agent_free(f->agent);
	start(f, 0);
}

static void test_older_map_after_restart(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *kept = state_path(f, "netmap.json");

	start_with(f, 5);
	f->agent = agent_free(f->agent);
	put_map(f, &(struct map_options){ .generation = 4 });
	assert_int_equal(unlink(kept), 0);
	start(f, 0);
	assert_null(agent_netmap(f->agent));
	assert_false(the_kernel->map_seen);
	assert_non_null(strstr(agent_map_problem(f->agent), "generation: 4 is older than 5"));
}

/* ---- the last map, kept on disk ---- */

static void break_map(struct fixture *f)
{
	put_text(f, "{");
}

static void remove_map(struct fixture *f)
{
	assert_int_equal(unlink(f->map_path), 0);
}

static void put_older_map(struct fixture *f)
{
	put_map(f, &(struct map_options){ .generation = 4 });
}

/* Whatever is wrong with the file, the last good map stays in force over a restart. */
static void test_last_map_after_restart(void **state)
{
	static const struct {
		void (*spoil)(struct fixture *f);
		const char *problem;
	} cases[] = {
		{ break_map, "map.json: line 1" },
		{ remove_map, "cannot be opened" },
		{ put_older_map, "generation: 4 is older than 6" },
	};
	struct fixture *f = *state;

	start_with(f, 5);
	put_map(f, &(struct map_options){ .generation = 6 });
	AWAIT(f, agent_netmap(f->agent)->generation == 6);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cases[i].spoil(f);
		start_again(f);
		assert_int_equal(the_kernel->n_applied, 1);
		assert_int_equal(the_kernel->generation, 6);
		assert_string_equal(agent_map_source(f->agent), f->map_path);
		assert_non_null(strstr(agent_map_problem(f->agent), cases[i].problem));
	}
	/* Its file mended, all is as ever. */
	put_map(f, &(struct map_options){ .generation = 7 });
	AWAIT(f, the_kernel->generation == 7);
	assert_null(agent_map_problem(f->agent));
}

/* Keys end by the clock, not by whether the map can be read. */
static void test_last_map_expires(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *expiry = soon(1500000);

	put_map(f, &(struct map_options){ .generation = 1, .self_expiry = expiry });
	start(f, 0);
	break_map(f);
	start_again(f);
	assert_non_null(agent_netmap(f->agent));
	AWAIT(f, !the_kernel->map_seen);
}

static void replace_kept(struct fixture *f, const char *text, mode_t mode)
{
	_cleanup_free_ char *kept = state_path(f, "netmap.json");

	assert_int_equal(file_write_atomic(AT_FDCWD, kept, text, strlen(text), mode), 0);
}

static char *kept_text(struct fixture *f)
{
	_cleanup_free_ char *kept = state_path(f, "netmap.json");
	struct stat st;
	size_t len;
	char *text;

	assert_int_equal(stat(kept, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(file_read(AT_FDCWD, kept, 1 << 20, &text, &len), 0);
	return text;
}

static void edit(char *text, const char *from, const char *to)
{
	char *at = strstr(text, from);

	assert_non_null(at);
	assert_int_equal(strlen(from), strlen(to));
	memcpy(at, to, strlen(to));
}

/* What is on disk has to be the map that was in force, and ours. */
static void test_last_map_that_is_none(void **state)
{
	static const struct {
		const char *from, *to;
		mode_t mode;
	} cases[] = {
		{ "\"generation\":5", "\"generation\":4", 0600 },
		{ "\"for\":\"n1\"", "\"for\":\"n9\"", 0600 },
		{ "{\"type\"", "[\"type\"", 0600 },
		{ "{", "{", 0620 },
	};
	struct fixture *f = *state;
	_cleanup_free_ char *good = NULL;

	start_with(f, 5);
	f->agent = agent_free(f->agent);
	good = kept_text(f);
	break_map(f);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = strdup(good);

		edit(text, cases[i].from, cases[i].to);
		if (strstr(cases[i].to, "n9"))
			edit(text, "\"id\":\"n1\"", "\"id\":\"n9\"");
		replace_kept(f, text, cases[i].mode);
		start(f, 0);
		assert_null(agent_netmap(f->agent));
		assert_false(the_kernel->map_seen);
		f->agent = agent_free(f->agent);
	}
	replace_kept(f, good, 0600);
	start(f, 0);
	assert_int_equal(the_kernel->generation, 5);
}

/* Nobody asked for the map of another source, or after "forget what was". */
static void test_last_map_of_another_source(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *noted = state_path(f, "map.state");

	start_with(f, 5);
	f->agent = agent_free(f->agent);
	free(f->map_path);
	f->map_path = text_printf("%s/other.json", f->dir);
	start(f, 0);
	assert_null(agent_netmap(f->agent));
	f->agent = agent_free(f->agent);
	free(f->map_path);
	f->map_path = text_printf("%s/map.json", f->dir);
	break_map(f);
	assert_int_equal(unlink(noted), 0);
	start(f, 0);
	assert_null(agent_netmap(f->agent));
}

/* The host's own key in the kept map: its state directory was copied together with a new key. */
static void test_last_map_with_own_key(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = NULL;
	char key[WG_KEY_B64LEN];

	start_with(f, 5);
	wg_key_to_string(agent_public_key(f->agent), key);
	f->agent = agent_free(f->agent);
	text = kept_text(f);
	edit(text, KEY_2, key);
	replace_kept(f, text, 0600);
	break_map(f);
	start(f, 0);
	assert_null(agent_netmap(f->agent));
}

/* Written while the agent runs, but not once for each of many maps. */
static void test_map_is_kept_soon_and_not_too_often(void **state)
{
	struct fixture *f = *state;
	unsigned noted = 5, n_noted = 0;
	uint64_t begin;

	start_with(f, 5);
	AWAIT(f, noted_generation(f) == 5);
	begin = now(CLOCK_MONOTONIC);
	for (int generation = 6; generation < 16; generation++) {
		put_map(f, &(struct map_options){ .generation = generation });
		AWAIT(f, agent_netmap(f->agent)->generation == (uint64_t)generation);
		run_for(f, 10000);
		n_noted += noted_generation(f) != noted;
		noted = noted_generation(f);
	}
	assert_true(n_noted <= 1 + (now(CLOCK_MONOTONIC) - begin) / 1000000);
	AWAIT(f, noted_generation(f) == 15);
}

static struct netmap *map_of(struct fixture *f, int generation)
{
	_cleanup_free_ char *text = text_printf(map_template, generation, "null", "laptop", KEY_2,
						"null", "100.64.0.2", RULE);
	struct netmap *map = NULL;
	char *error = NULL;

	if (netmap_parse(text, strlen(text), "coord", &error, &map) < 0)
		fail_msg("%s", error);
	return map;
}

/* Sources other than the file count for themselves. */
static void test_maps_are_offered(void **state)
{
	struct fixture *f = *state;

	start_with(f, 5);
	assert_int_equal(agent_offer_map(f->agent, map_of(f, 3), "coord"), 0);
	assert_int_equal(the_kernel->generation, 3);
	assert_string_equal(agent_map_source(f->agent), "coord");
	assert_int_equal(agent_offer_map(f->agent, map_of(f, 2), "coord"), -ESTALE);
	assert_non_null(
		strstr(agent_map_problem(f->agent), "coord: generation: 2 is older than 3"));
	assert_int_equal(the_kernel->generation, 3);
	assert_int_equal(agent_offer_map(f->agent, map_of(f, 3), "coord"), 0);
	assert_null(agent_map_problem(f->agent));
	agent_refuse_map(f->agent, strdup("coord: says nonsense"));
	assert_string_equal(agent_map_problem(f->agent), "coord: says nonsense");
	f->agent = agent_free(f->agent);

	/* An agent without a file, whose source is not there yet. */
	f->agent = new_agent(f);
	assert_int_equal(agent_use_kept_map(f->agent, "coord", "n7"), -ESTALE);
	assert_null(agent_netmap(f->agent));
	assert_int_equal(agent_use_kept_map(f->agent, "coord", "n1"), 0);
	assert_int_equal(the_kernel->generation, 3);
	assert_int_equal(agent_use_kept_map(f->agent, "other", NULL), -ESTALE);
	assert_int_equal(the_kernel->generation, 3);
	/* As another node it begins anew, with whatever generation. */
	agent_forget_map(f->agent);
	assert_int_equal(agent_offer_map(f->agent, map_of(f, 2), "coord"), 0);
}

static void test_same_generation_edited(void **state)
{
	struct fixture *f = *state;

	start_with(f, 5);
	put_map(f, &(struct map_options){ .generation = 5, .rules = "" });
	AWAIT(f, agent_netmap(f->agent)->n_ssh_rules == 0);
}

static void test_own_key_is_refused(void **state)
{
	struct fixture *f = *state;
	char key[WG_KEY_B64LEN];

	start_with(f, 5);
	wg_key_to_string(agent_public_key(f->agent), key);
	put_map(f, &(struct map_options){ .generation = 6, .key = key });
	AWAIT(f, agent_map_problem(f->agent));
	assert_non_null(strstr(agent_map_problem(f->agent), "peer laptop has this node's own key"));
	assert_int_equal(the_kernel->generation, 5);
}

static void test_leases_end_before_the_kernel_changes(void **state)
{
	struct fixture *f = *state;
	uint64_t begin;

	start_with(f, 5);
	grant(f, UINT64_MAX);
	put_map(f, &(struct map_options){ .generation = 6, .rules = "" });
	begin = now(CLOCK_MONOTONIC);
	AWAIT(f, !f->lease);
	assert_int_equal(f->applied_at_revocation, 1);
	assert_int_equal(the_kernel->n_applied, 2);
	assert_true(now(CLOCK_MONOTONIC) - begin < 1000000);
}

static void test_refused_map_keeps_leases(void **state)
{
	struct fixture *f = *state;

	start_with(f, 5);
	grant(f, UINT64_MAX);
	put_text(f, "");
	AWAIT(f, agent_map_problem(f->agent));
	assert_non_null(f->lease);
}

/*
 * A map in force in which something expires soon: *expiry points into o. Not before it is in force,
 * though, on however busy a machine. Return: what has been applied by then.
 */
static unsigned enforce_expiring(struct fixture *f, struct map_options *o, const char **expiry)
{
	for (uint64_t usec = 1000000;; usec *= 2, o->generation++) {
		uint64_t when = now(CLOCK_REALTIME) + usec;
		_cleanup_free_ char *text = soon(usec);

		*expiry = text;
		put_map(f, o);
		if (!f->agent)
			start(f, 0);
		AWAIT(f, agent_netmap(f->agent)->generation == (uint64_t)o->generation);
		if (the_kernel->now_usec < when)
			return the_kernel->n_applied;
	}
}

/* The packet filter's half of the right is taken away. */
static void test_filter_ends_leases(void **state)
{
	struct fixture *f = *state;

	start_with(f, 5);
	grant(f, UINT64_MAX);
	put_map(f, &(struct map_options){ .generation = 6 });
	AWAIT(f, the_kernel->n_applied == 2);
	assert_non_null(f->lease);
	put_map(f, &(struct map_options){ .generation = 7, .may_reach_ssh = "100.64.0.3" });
	AWAIT(f, the_kernel->n_applied == 3);
	assert_null(f->lease);
	assert_int_equal(f->applied_at_revocation, 2);
}

static int stay_busy(sd_event_source *source, void *userdata)
{
	return 0;
}

/*
 * Something that is more urgent than anything ordinary, and never done. Maps, expiries, foreign
 * changes and further attempts go before it.
 */
static void test_goes_before_other_work(void **state)
{
	_cleanup_(sd_event_source_disable_unrefp) sd_event_source *busy = NULL;
	struct map_options expiring = { .generation = 7 };
	struct fixture *f = *state;
	unsigned n;

	assert_int_equal(sd_event_add_defer(f->event, &busy, stay_busy, NULL), 0);
	assert_int_equal(sd_event_source_set_enabled(busy, SD_EVENT_ON), 0);
	assert_int_equal(sd_event_source_set_priority(busy, SD_EVENT_PRIORITY_NORMAL - 1), 0);
	start_with(f, 5);
	grant(f, UINT64_MAX);
	put_map(f, &(struct map_options){ .generation = 6, .rules = "" });
	AWAIT(f, the_kernel->generation == 6);
	assert_null(f->lease);
	the_kernel->foreign(the_kernel->userdata, "the nftables table");
	AWAIT(f, the_kernel->n_applied == 3);
	n = enforce_expiring(f, &expiring, &expiring.peer_expiry);
	AWAIT(f, the_kernel->n_applied == n + 1);
}

static void test_peer_key_expires(void **state)
{
	struct map_options o = { .generation = 1 };
	struct fixture *f = *state;
	unsigned n = enforce_expiring(f, &o, &o.peer_expiry);

	grant(f, agent_netmap(f->agent)->peers[0].key_expiry);
	AWAIT(f, the_kernel->n_applied == n + 1);
	assert_null(f->lease);
	assert_true(now(CLOCK_REALTIME) >= agent_netmap(f->agent)->peers[0].key_expiry);
	assert_true(the_kernel->map_seen);
	run_for(f, 100000);
	assert_int_equal(the_kernel->n_applied, n + 1);
}

/*
 * The clock was an hour ahead, and is put right: what had expired by it has not yet, and does so
 * when its time comes.
 */
static void test_clock_steps_back(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *expiry = soon(4000000);
	uint64_t peer_expiry;

	clock_ahead_sec = 3600;
	put_map(f, &(struct map_options){ .generation = 1, .peer_expiry = expiry });
	start(f, 0);
	peer_expiry = agent_netmap(f->agent)->peers[0].key_expiry;
	assert_true(the_kernel->now_usec > peer_expiry);
	set_clock(0);
	AWAIT(f, the_kernel->n_applied == 2);
	assert_true(the_kernel->now_usec < peer_expiry);
	grant(f, peer_expiry);
	AWAIT(f, the_kernel->n_applied == 3);
	assert_true(the_kernel->now_usec >= peer_expiry);
	assert_null(f->lease);
}

/* What expired in the time that the clock leapt over has ended. */
static void test_clock_steps_forward(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *expiry = soon(UINT64_C(600000000));

	put_map(f, &(struct map_options){ .generation = 1, .peer_expiry = expiry });
	start(f, 0);
	grant(f, agent_netmap(f->agent)->peers[0].key_expiry);
	set_clock(3600);
	AWAIT(f, !f->lease);
	assert_int_equal(the_kernel->n_applied, 2);
}

static void test_own_key_expires(void **state)
{
	struct map_options o = { .generation = 1 };
	struct fixture *f = *state;
	unsigned n = enforce_expiring(f, &o, &o.self_expiry);

	assert_true(the_kernel->map_seen);
	AWAIT(f, the_kernel->n_applied == n + 1);
	assert_false(the_kernel->map_seen);
}

static void test_lease_expires(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *expiry = soon(1000000);
	_cleanup_free_ char *rules = text_printf(
		"{\"principals\": [\"100.64.0.2\"], \"users\": {\"x\": \"x\"}, \"action\": "
		"\"accept\", \"rule_expires\": %s}",
		expiry);

	put_map(f, &(struct map_options){ .generation = 1, .rules = rules });
	start(f, 0);
	grant(f, agent_netmap(f->agent)->ssh_rules[0].rule_expires);
	AWAIT(f, !f->lease);
	assert_true(now(CLOCK_REALTIME) >= agent_netmap(f->agent)->ssh_rules[0].rule_expires);
}

/* ---- MaxMapAge= ---- */

#define MINUTE	  60
#define HOUR_USEC (UINT64_C(3600) * 1000000)
#define SOURCE	  "https://coord.example"

static struct netmap *make_map(int generation)
{
	_cleanup_free_ char *text = text_printf(map_template, generation, "null", "laptop", KEY_2,
						"null", "100.64.0.2", RULE);
	struct netmap *map = NULL;
	char *error = NULL;

	assert_int_equal(netmap_parse(text, strlen(text), SOURCE, &error, &map), 0);
	return map;
}

/* With a coordinator that has just sent a map. */
static void start_aging(struct fixture *f, uint64_t max_usec)
{
	f->agent = new_agent_with(f, max_usec);
	assert_int_equal(agent_start(f->agent), 0);
	assert_false(the_kernel->map_seen);
	assert_int_equal(agent_offer_map(f->agent, make_map(1), SOURCE), 0);
	agent_confirm_map(f->agent);
	assert_true(the_kernel->map_seen);
}

/* Let this much of the host's time pass, and the map be judged. */
static void pass_minutes(struct fixture *f, unsigned n)
{
	boottime_ahead_sec += n * MINUTE;
	set_clock(clock_ahead_sec);
	run_for(f, 50000);
}

static void test_map_grows_too_old(void **state)
{
	struct fixture *f = *state;

	start_aging(f, HOUR_USEC);
	grant(f, UINT64_MAX);
	pass_minutes(f, 59);
	assert_true(the_kernel->map_seen);
	agent_confirm_map(f->agent);
	pass_minutes(f, 59);
	assert_true(the_kernel->map_seen);
	assert_null(agent_map_problem(f->agent));
	assert_non_null(f->lease);
	pass_minutes(f, 2);
	assert_false(the_kernel->map_seen);
	assert_null(f->lease);
	assert_null(agent_netmap(f->agent));
	assert_non_null(strstr(agent_map_problem(f->agent), "from " SOURCE " for longer than the "
							    "3600 s that MaxMapAge= allows"));
	/* The coordinator is back. */
	assert_int_equal(agent_offer_map(f->agent, make_map(1), SOURCE), 0);
	agent_confirm_map(f->agent);
	assert_true(the_kernel->map_seen);
	assert_null(agent_map_problem(f->agent));
}

/* Without anybody who judges it, at its time. */
static void test_map_grows_too_old_by_itself(void **state)
{
	struct fixture *f = *state;

	start_aging(f, 300000);
	AWAIT(f, !the_kernel->map_seen);
	assert_non_null(agent_map_problem(f->agent));
}

/* Nobody makes a map young by setting the clock back. */
static void test_age_and_the_wall_clock(void **state)
{
	struct fixture *f = *state;

	start_aging(f, HOUR_USEC);
	set_clock(1000 * MINUTE);
	run_for(f, 50000);
	assert_true(the_kernel->map_seen);
	set_clock(-1000 * MINUTE);
	pass_minutes(f, 61);
	assert_false(the_kernel->map_seen);
}

static void restart_aging(struct fixture *f, uint64_t max_usec, time_t clock_ahead, int expected)
{
	f->agent = agent_free(f->agent);
	clock_ahead_sec = clock_ahead;
	boottime_ahead_sec = 0;
	f->agent = new_agent_with(f, max_usec);
	assert_int_equal(agent_use_kept_map(f->agent, SOURCE, NULL), expected);
	assert_int_equal(the_kernel->map_seen, expected == 0);
	assert_int_equal(agent_map_problem(f->agent) != NULL, expected < 0);
}

/* Over a restart of the host, age is what the wall clock says of it. */
static void test_age_of_a_kept_map(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *path = text_printf("%s/map.confirmed", f->state_dir);

	start_aging(f, HOUR_USEC);
	restart_aging(f, HOUR_USEC, 59 * MINUTE, 0);
	/* The time before the restart counts. */
	set_clock(61 * MINUTE);
	run_for(f, 50000);
	assert_false(the_kernel->map_seen);
	restart_aging(f, HOUR_USEC, 61 * MINUTE, -ESTALE);
	restart_aging(f, 2 * HOUR_USEC, 61 * MINUTE, 0);
	/* A clock that is a little behind, and one that says nothing. */
	restart_aging(f, HOUR_USEC, -4 * MINUTE, 0);
	restart_aging(f, HOUR_USEC, -6 * MINUTE, -ESTALE);
	/* Nobody knows when it was heard of. */
	assert_int_equal(unlink(path), 0);
	restart_aging(f, HOUR_USEC, 0, -ESTALE);
}

/* A confirmation later than the map counts, and is noted now and then. */
static void test_confirmations_are_noted(void **state)
{
	struct fixture *f = *state;

	start_aging(f, HOUR_USEC);
	clock_ahead_sec = boottime_ahead_sec = 40 * MINUTE;
	agent_confirm_map(f->agent);
	restart_aging(f, HOUR_USEC, 90 * MINUTE, 0);
}

static void test_files_have_no_age(void **state)
{
	struct fixture *f = *state;

	start_with(f, 1);
	agent_confirm_map(f->agent);
	pass_minutes(f, 1000000);
	assert_true(the_kernel->map_seen);
}

static void test_foreign_change_is_undone(void **state)
{
	struct fixture *f = *state;

	start_with(f, 5);
	run_for(f, 150000);
	the_kernel->foreign(the_kernel->userdata, "the nftables table");
	the_kernel->foreign(the_kernel->userdata, "the nftables table");
	AWAIT(f, the_kernel->n_applied == 2);
	/* At once: a pause would have begun with that. */
	assert_int_equal(the_kernel->n_held, 0);
}

/* Whoever fights with us gets an answer ten times a second, no more. */
static void test_foreign_changes_are_paced(void **state)
{
	struct fixture *f = *state;
	uint64_t end;

	start_with(f, 5);
	end = now(CLOCK_MONOTONIC) + 500000;
	while (now(CLOCK_MONOTONIC) < end) {
		the_kernel->foreign(the_kernel->userdata, "the nftables table");
		assert_true(sd_event_run(f->event, 1000) >= 0);
	}
	assert_in_range(the_kernel->n_applied, 3, 7);
	/* Each pause began with a look whether the link may stay up. */
	assert_true(the_kernel->n_held >= 3);
}

/* While an apply keeps failing, the attempts get rare: news that may change that go before. */
static void test_foreign_change_between_attempts(void **state)
{
	struct fixture *f = *state;
	uint64_t begin;

	put_map(f, &(struct map_options){ .generation = 5 });
	f->agent = new_agent(f);
	the_kernel->fail = -EEXIST;
	the_kernel->n_fail = 3;
	assert_int_equal(agent_start(f->agent), -EIO);
	AWAIT(f, the_kernel->n_applied == 3); /* the next one would be in a second */
	run_for(f, 150000);
	begin = now(CLOCK_MONOTONIC);
	the_kernel->foreign(the_kernel->userdata, "link mesh0 was deleted");
	AWAIT(f, !agent_kernel_problem(f->agent));
	assert_true(now(CLOCK_MONOTONIC) - begin < 500000);
}

static void collect_line(void *userdata, int level, const char *text)
{
	char *lines = userdata;

	if (level <= LOG_WARNING)
		snprintf(lines + strlen(lines), 1000 - strlen(lines), "%s\n", text);
}

static void collect_notice(void *userdata, int level, const char *text)
{
	char *lines = userdata;

	if (level <= LOG_NOTICE)
		snprintf(lines + strlen(lines), 1000 - strlen(lines), "%s\n", text);
}

/* The same mistake once more is no news; it is again after a map that was good. */
static void test_refusals_are_told_once(void **state)
{
	struct fixture *f = *state;
	char lines[1000] = "";
	unsigned n = 0;

	start_with(f, 5);
	log_set_sink(collect_notice, lines);
	for (int i = 0; i < 2; i++) {
		put_text(f, "");
		AWAIT(f, agent_stats(f->agent)->maps_refused == n + 1);
		put_text(f, "");
		AWAIT(f, agent_stats(f->agent)->maps_refused == n + 2);
		n += 2;
		put_map(f, &(struct map_options){ .generation = 6 + i });
		AWAIT(f, the_kernel->generation == (uint64_t)(6 + i));
	}
	log_set_sink(discard_log, NULL);
	for (char *at = lines; (at = strstr(at, "Map refused")); at++)
		n -= 2;
	assert_int_equal(n, 0);
	assert_non_null(strstr(
		lines, "Map generation 7 in force: 1 peer, 1 filter rule, 1 SSH rule, SSH on"));
}

/* Told when something was wrong, with all that led to it; not when it was an echo. */
static void test_repair_is_told(void **state)
{
	struct fixture *f = *state;
	char lines[1000] = "";

	start_with(f, 5);
	run_for(f, 150000);
	log_set_sink(collect_line, lines);
	the_kernel->foreign(the_kernel->userdata, "an echo");
	AWAIT(f, the_kernel->n_applied == 2);
	assert_string_equal(lines, "");
	the_kernel->repairs.links_created = 1;
	the_kernel->foreign(the_kernel->userdata, "link mesh0 was deleted by ip (pid 7)");
	the_kernel->foreign(the_kernel->userdata, "link mesh0 was deleted by ip (pid 7)");
	the_kernel->foreign(the_kernel->userdata, "table inet peergate was changed by x\n (pid 8)");
	AWAIT(f, the_kernel->n_applied == 3);
	log_set_sink(NULL, NULL);
	assert_string_equal(lines, "Put right what others changed: link mesh0 was deleted by ip "
				   "(pid 7); table inet peergate was changed by x? (pid 8)\n");
}

static void test_kernel_failure_is_retried(void **state)
{
	struct fixture *f = *state;

	put_map(f, &(struct map_options){ .generation = 5 });
	f->agent = new_agent(f);
	the_kernel->fail = -EBUSY;
	the_kernel->n_fail = 2;
	assert_int_equal(agent_start(f->agent), -EIO);
	assert_string_equal(agent_kernel_problem(f->agent), "the kernel is on strike");
	assert_int_equal(agent_netmap(f->agent)->generation, 5);
	AWAIT(f, !agent_kernel_problem(f->agent));
	assert_int_equal(the_kernel->n_applied, 3);
	assert_int_equal(the_kernel->generation, 5);
}

#define AGENT_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		AGENT_TEST(test_applies_the_map),
		AGENT_TEST(test_names_follow_the_map),
		AGENT_TEST(test_a_file_that_cannot_be_written),
		AGENT_TEST(test_generation_that_cannot_be_written),
		AGENT_TEST(test_no_map_blocks),
		AGENT_TEST(test_refused_map_changes_nothing),
		AGENT_TEST(test_refusals_are_told_once),
		AGENT_TEST(test_older_map_after_restart),
		AGENT_TEST(test_last_map_after_restart),
		AGENT_TEST(test_last_map_expires),
		AGENT_TEST(test_last_map_that_is_none),
		AGENT_TEST(test_last_map_of_another_source),
		AGENT_TEST(test_last_map_with_own_key),
		AGENT_TEST(test_map_is_kept_soon_and_not_too_often),
		AGENT_TEST(test_maps_are_offered),
		AGENT_TEST(test_same_generation_edited),
		AGENT_TEST(test_own_key_is_refused),
		AGENT_TEST(test_leases_end_before_the_kernel_changes),
		AGENT_TEST(test_refused_map_keeps_leases),
		AGENT_TEST(test_filter_ends_leases),
		AGENT_TEST(test_goes_before_other_work),
		AGENT_TEST(test_peer_key_expires),
		AGENT_TEST(test_clock_steps_back),
		AGENT_TEST(test_clock_steps_forward),
		AGENT_TEST(test_own_key_expires),
		AGENT_TEST(test_lease_expires),
		AGENT_TEST(test_map_grows_too_old),
		AGENT_TEST(test_map_grows_too_old_by_itself),
		AGENT_TEST(test_age_and_the_wall_clock),
		AGENT_TEST(test_age_of_a_kept_map),
		AGENT_TEST(test_confirmations_are_noted),
		AGENT_TEST(test_files_have_no_age),
		AGENT_TEST(test_foreign_change_is_undone),
		AGENT_TEST(test_foreign_changes_are_paced),
		AGENT_TEST(test_foreign_change_between_attempts),
		AGENT_TEST(test_repair_is_told),
		AGENT_TEST(test_kernel_failure_is_retried),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
