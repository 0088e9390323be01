#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "agent/netmap/file.h"
#include "common/file.h"
#include "common/text.h"

/* What the design promises is 100 ms; the wait is longer so that a busy host does not fail us. */
#define WAIT_USEC  2000000u
#define QUIET_USEC 150000u

struct fixture {
	char *dir;  /* /tmp/test-mapfile-XXXXXX */
	char *sub;  /* DIR/etc/pg: where the file is */
	char *path; /* DIR/etc/pg/map.json */
	sd_event *event;
	struct mapfile *mapfile;
	char *text, *problem; /* of the last call */
	unsigned n_calls;
};

static void on_text(void *userdata, const char *text, size_t len, const char *problem)
{
	struct fixture *f = userdata;

	free(f->text);
	free(f->problem);
	f->text = text ? strndup(text, len) : NULL;
	f->problem = problem ? strdup(problem) : NULL;
	f->n_calls++;
}

static void run(const char *fmt, const char *arg)
{
	_cleanup_free_ char *path = text_printf("%s%s", fmt, arg);

	assert_int_equal(system(path), 0);
}

static void make_dirs(struct fixture *f)
{
	run("mkdir -p ", f->sub);
}

static void put(struct fixture *f, const char *text)
{
	int fd = open(f->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->dir = strdup("/tmp/test-mapfile-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	f->sub = text_printf("%s/etc/pg", f->dir);
	f->path = text_printf("%s/map.json", f->sub);
	*state = f;
	return sd_event_new(&f->event);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	mapfile_free(f->mapfile);
	sd_event_unref(f->event);
	run("rm -rf ", f->dir);
	free(f->text);
	free(f->problem);
	free(f->path);
	free(f->sub);
	free(f->dir);
	free(f);
	return 0;
}

static void watch(struct fixture *f)
{
	assert_int_equal(mapfile_new(f->event, f->path, getuid(), on_text, f, &f->mapfile), 0);
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Until the last call told of this text, or of a problem with these words (text NULL). */
static void await(struct fixture *f, const char *text, const char *problem)
{
	uint64_t end = now() + WAIT_USEC;

	while (now() < end) {
		assert_true(sd_event_run(f->event, 20000) >= 0);
		if (text && f->text && strcmp(f->text, text) == 0)
			return;
		if (problem && f->problem && strstr(f->problem, problem))
			return;
	}
	fail_msg("waited for \"%s\", last was \"%s\" \"%s\"", text ? text : problem,
		 f->text ? f->text : "-", f->problem ? f->problem : "-");
}

static void run_for(struct fixture *f, uint64_t usec)
{
	uint64_t end = now() + usec;

	while (now() < end)
		assert_true(sd_event_run(f->event, 20000) >= 0);
}

static void test_written_in_place(void **state)
{
	struct fixture *f = *state;

	make_dirs(f);
	put(f, "one");
	watch(f);
	mapfile_read(f->mapfile);
	assert_string_equal(f->text, "one");
	put(f, "two");
	await(f, "two", NULL);
}

static void test_seen_at_once(void **state)
{
	struct fixture *f = *state;
	uint64_t best = UINT64_MAX;

	make_dirs(f);
	put(f, "x");
	watch(f);
	/* By notification, not by looking now and then. On a busy host a try may fail. */
	for (int i = 0; i < 20 && best >= 1000000; i++) {
		_cleanup_free_ char *text = text_printf("text %d", i);
		uint64_t begin = now(), took;

		put(f, text);
		await(f, text, NULL);
		took = now() - begin;
		best = took < best ? took : best;
	}
	assert_true(best < 1000000);
}

static void test_replaced(void **state)
{
	struct fixture *f = *state;

	make_dirs(f);
	put(f, "one");
	watch(f);
	assert_int_equal(file_write_atomic(AT_FDCWD, f->path, "two", 3, 0644), 0);
	await(f, "two", NULL);
	/* And the new inode as well. */
	put(f, "three");
	await(f, "three", NULL);
}

static void test_removed_and_back(void **state)
{
	struct fixture *f = *state;

	make_dirs(f);
	put(f, "one");
	watch(f);
	unlink(f->path);
	await(f, NULL, "cannot be opened: No such file");
	put(f, "two");
	await(f, "two", NULL);
}

static void test_directory_recreated(void **state)
{
	struct fixture *f = *state;

	make_dirs(f);
	put(f, "one");
	watch(f);
	run("rm -r ", f->sub);
	await(f, NULL, "No such file");
	make_dirs(f);
	put(f, "two");
	await(f, "two", NULL);
	put(f, "three");
	await(f, "three", NULL);
}

static void test_directory_renamed_over(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *aside = NULL, *next = NULL, *file = NULL;

	make_dirs(f);
	put(f, "one");
	aside = text_printf("%s.old", f->sub);
	next = text_printf("%s.new", f->sub);
	file = text_printf("%s/map.json", next);
	run("mkdir ", next);
	assert_int_equal(file_write_atomic(AT_FDCWD, file, "two", 3, 0644), 0);
	watch(f);
	assert_int_equal(rename(f->sub, aside), 0);
	assert_int_equal(rename(next, f->sub), 0);
	await(f, "two", NULL);
	put(f, "three");
	await(f, "three", NULL);
}

static void test_nothing_there_yet(void **state)
{
	struct fixture *f = *state;

	watch(f);
	mapfile_read(f->mapfile);
	assert_null(f->text);
	make_dirs(f);
	put(f, "late");
	await(f, "late", NULL);
}

static void test_other_files_are_nothing(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *other = NULL;

	make_dirs(f);
	put(f, "one");
	other = text_printf("%s.swp", f->path);
	watch(f);
	assert_int_equal(file_write_atomic(AT_FDCWD, other, "x", 1, 0644), 0);
	run_for(f, QUIET_USEC);
	assert_int_equal(f->n_calls, 0);
}

static void test_burst_is_one_reading(void **state)
{
	struct fixture *f = *state;

	make_dirs(f);
	watch(f);
	for (int i = 0; i < 20; i++)
		put(f, i < 19 ? "middle" : "last");
	await(f, "last", NULL);
	run_for(f, QUIET_USEC);
	assert_true(f->n_calls <= 2);
	assert_string_equal(f->text, "last");
}

static void test_owner_and_mode(void **state)
{
	struct fixture *f = *state;

	make_dirs(f);
	put(f, "one");
	watch(f);
	assert_int_equal(chmod(f->path, 0664), 0);
	await(f, NULL, "map.json: may be written by others than its owner");
	assert_null(f->text);
	assert_int_equal(chmod(f->path, 0646), 0);
	run_for(f, QUIET_USEC);
	assert_null(f->text);
	assert_int_equal(chmod(f->path, 0644), 0);
	await(f, "one", NULL);
	if (getuid() == 0) {
		assert_int_equal(chown(f->path, 65534, 65534), 0);
		await(f, NULL, "map.json: does not belong to root");
	}
}

static void test_kinds_of_file(void **state)
{
	struct fixture *f = *state;

	make_dirs(f);
	watch(f);
	assert_int_equal(symlink("/etc/hostname", f->path), 0);
	await(f, NULL, "is a symbolic link");
	unlink(f->path);
	assert_int_equal(mkfifo(f->path, 0600), 0);
	await(f, NULL, "is no regular file");
	unlink(f->path);
	assert_int_equal(mkdir(f->path, 0700), 0);
	await(f, NULL, "is no regular file");
}

static void test_strange_paths(void **state)
{
	static const char *const paths[] = {
		"", "map", "/", "/a/", "//a", "/a//b", "/a/../b", "/."
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		assert_int_equal(mapfile_new(f->event, paths[i], 0, on_text, f, &f->mapfile),
				 -EINVAL);
	assert_null(f->mapfile);
}

/* Descriptors that run out come back: what was written meanwhile is read without another event. */
static void test_no_descriptors(void **state)
{
	struct rlimit usual, none;
	struct fixture *f = *state;
	int lowest;

	make_dirs(f);
	put(f, "one");
	watch(f);
	put(f, "two");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
	lowest = dup(0);
	close(lowest);
	none = (struct rlimit){ (rlim_t)lowest, usual.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	await(f, NULL, "cannot be opened: Too many open files");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
	await(f, "two", NULL);
}

#define MAPFILE_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MAPFILE_TEST(test_written_in_place),
		MAPFILE_TEST(test_seen_at_once),
		MAPFILE_TEST(test_replaced),
		MAPFILE_TEST(test_removed_and_back),
		MAPFILE_TEST(test_directory_recreated),
		MAPFILE_TEST(test_directory_renamed_over),
		MAPFILE_TEST(test_nothing_there_yet),
		MAPFILE_TEST(test_other_files_are_nothing),
		MAPFILE_TEST(test_burst_is_one_reading),
		MAPFILE_TEST(test_owner_and_mode),
		MAPFILE_TEST(test_kinds_of_file),
		MAPFILE_TEST(test_strange_paths),
		MAPFILE_TEST(test_no_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
