/* The last map on disk: written by and by, whole or not at all, and never an older one. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/netmap/cache.h"
#include "agent/netmap/json.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/text.h"

#define WAIT_USEC 60000000u

struct fixture {
	char *dir;
	sd_event *event;
	struct state *state;
	struct mapcache *cache;
	struct netmap *map;
	unsigned n_warnings;
};

static void count_warnings(void *userdata, int level, const char *text)
{
	struct fixture *f = userdata;

	f->n_warnings++;
}

static void open_cache(struct fixture *f)
{
	char *error = NULL;

	if (state_open(f->dir, &error, &f->state) < 0 || state_load_map(f->state, &error) < 0)
		fail_msg("%s", error);
	assert_int_equal(mapcache_new(f->event, f->state, &f->cache), 0);
}

static void close_cache(struct fixture *f)
{
	f->cache = mapcache_free(f->cache);
	f->state = state_free(f->state);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	_cleanup_free_ char *path = text_printf("%s/netmap-full.json", getenv("TEST_DATA"));
	_cleanup_free_ char *text = NULL;
	char *error = NULL;
	size_t len;

	f->dir = strdup("/tmp/test-mapcache-XXXXXX");
	if (!mkdtemp(f->dir) || sd_event_new(&f->event) < 0 ||
	    file_read(AT_FDCWD, path, 1 << 20, &text, &len) < 0 ||
	    netmap_parse(text, len, path, &error, &f->map) < 0)
		return -1;
	log_set_sink(count_warnings, f);
	open_cache(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *command = text_printf("rm -rf %s", f->dir);

	close_cache(f);
	netmap_free(f->map);
	sd_event_unref(f->event);
	free(f->dir);
	free(f);
	log_set_sink(NULL, NULL);
	return system(command);
}

static char *path_of(const struct fixture *f, const char *name)
{
	return text_printf("%s/%s", f->dir, name);
}

static bool exists(const struct fixture *f, const char *name)
{
	_cleanup_free_ char *path = path_of(f, name);

	return access(path, F_OK) == 0;
}

static void put(struct fixture *f, uint64_t generation)
{
	f->map->generation = generation;
	assert_int_equal(state_note_map(f->state, "/a", f->map->for_node, generation), 0);
	mapcache_put(f->cache, f->map);
}

/* The generation of the map on disk, by the rules of a start; 0: there is none to be used. */
static uint64_t loaded(const struct fixture *f)
{
	_cleanup_(netmap_freep) struct netmap *map = NULL;
	_cleanup_(state_freep) struct state *state = NULL;
	_cleanup_free_ char *error = NULL;

	if (state_open(f->dir, &error, &state) < 0 || state_load_map(state, &error) < 0)
		fail_msg("%s", error);
	if (mapcache_load(state, "/a", NULL, &error, &map) == 0)
		return map->generation;
	assert_null(map);
	assert_int_equal(strncmp(error, f->dir, strlen(f->dir)), 0);
	assert_non_null(strstr(error, "/netmap.json: "));
	return 0;
}

#define AWAIT(f, condition)                                                \
	do {                                                               \
		uint64_t end_ = clock_usec(CLOCK_MONOTONIC) + WAIT_USEC;   \
		while (!(condition) && clock_usec(CLOCK_MONOTONIC) < end_) \
			assert_true(sd_event_run((f)->event, 10000) >= 0); \
		assert_true(condition);                                    \
	} while (0)

static void test_keeps_the_whole_map(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *path = path_of(f, MAPCACHE_FILE), *text = NULL, *wanted = NULL;
	size_t len, wanted_len;
	struct stat st;

	assert_int_equal(loaded(f), 0);
	put(f, 5);
	AWAIT(f, loaded(f) == 5);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(file_read(AT_FDCWD, path, 1 << 20, &text, &len), 0);
	assert_int_equal(netmap_to_json(f->map, &wanted, &wanted_len), 0);
	assert_string_equal(text, wanted);
	assert_int_equal(f->n_warnings, 0);
}

/* The first at once; the others together, a second later. */
static void test_once_a_second(void **state)
{
	struct fixture *f = *state;
	uint64_t written;

	put(f, 5);
	AWAIT(f, loaded(f) == 5);
	written = clock_usec(CLOCK_MONOTONIC);
	for (uint64_t generation = 6; generation <= 100; generation++) {
		put(f, generation);
		assert_true(sd_event_run(f->event, 0) >= 0);
		if (clock_usec(CLOCK_MONOTONIC) < written + 500000)
			assert_int_equal(loaded(f), 5);
	}
	AWAIT(f, loaded(f) == 100);
	/* (It may have been on disk for some time before it was seen.) */
	assert_true(clock_usec(CLOCK_MONOTONIC) > written + 500000);
}

static void test_written_at_the_end(void **state)
{
	struct fixture *f = *state;

	put(f, 5);
	assert_true(sd_event_run(f->event, 0) >= 0);
	put(f, 6);
	close_cache(f);
	assert_int_equal(loaded(f), 6);
	open_cache(f);
}

/* What could not be written is still due. */
static void test_cannot_be_kept(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *note = path_of(f, STATE_MAP_FILE);

	put(f, 5);
	AWAIT(f, loaded(f) == 5);
	assert_int_equal(unlink(note), 0);
	assert_int_equal(mkdir(note, 0755), 0);
	put(f, 6);
	AWAIT(f, f->n_warnings == 1);
	assert_int_equal(rmdir(note), 0);
	close_cache(f);
	assert_int_equal(loaded(f), 6);
	open_cache(f);
}

/* An older one would bring back what has been taken away since. */
static void test_too_large_to_be_kept(void **state)
{
	struct fixture *f = *state;
	char *name = f->map->users[0].name;

	put(f, 5);
	AWAIT(f, loaded(f) == 5);
	f->map->users[0].name = malloc(NETMAP_MAX_BYTES);
	memset(f->map->users[0].name, 'x', NETMAP_MAX_BYTES - 1);
	f->map->users[0].name[NETMAP_MAX_BYTES - 1] = '\0';
	put(f, 6);
	AWAIT(f, f->n_warnings == 1);
	assert_false(exists(f, MAPCACHE_FILE));
	assert_true(exists(f, STATE_MAP_FILE));
	free(name);
}

static void test_of_another_node(void **state)
{
	struct fixture *f = *state;
	_cleanup_(netmap_freep) struct netmap *map = NULL;
	_cleanup_free_ char *error = NULL;

	put(f, 5);
	AWAIT(f, loaded(f) == 5);
	assert_int_equal(mapcache_load(f->state, "/a", "n7", &error, &map), -ESTALE);
	assert_non_null(strstr(error, "is of node \"n1\"; this host is \"n7\" now"));
	assert_int_equal(mapcache_load(f->state, "/a", "n1", &error, &map), 0);
}

/* Also while it is being written. */
static void test_forgets(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 20; i++) {
		put(f, 5 + i);
		assert_true(sd_event_run(f->event, i < 10 ? 0 : 5000) >= 0);
		mapcache_forget(f->cache);
		assert_false(exists(f, MAPCACHE_FILE));
		assert_false(exists(f, STATE_MAP_FILE));
		assert_true(sd_event_run(f->event, 1000) >= 0);
		close_cache(f);
		assert_int_equal(loaded(f), 0);
		open_cache(f);
	}
	put(f, 100);
	AWAIT(f, loaded(f) == 100);
	assert_int_equal(f->n_warnings, 0);
}

#define CACHE_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CACHE_TEST(test_keeps_the_whole_map),
		CACHE_TEST(test_once_a_second),
		CACHE_TEST(test_written_at_the_end),
		CACHE_TEST(test_cannot_be_kept),
		CACHE_TEST(test_too_large_to_be_kept),
		CACHE_TEST(test_of_another_node),
		CACHE_TEST(test_forgets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
