#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/text.h"

/* Each test has a directory of its own, which must hold nothing but "f" and "dir" afterwards. */
struct place {
	char path[64];
	int fd;
};

static int setup(void **state)
{
	static struct place place;

	strcpy(place.path, "/tmp/test-file.XXXXXX");
	if (!mkdtemp(place.path))
		return -1;
	place.fd = open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = &place;
	return place.fd < 0 ? -1 : 0;
}

static size_t count_entries(int dirfd)
{
	DIR *dir = fdopendir(openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	size_t n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

static int teardown(void **state)
{
	struct place *place = *state;
	int r;

	unlinkat(place->fd, "f", 0);
	unlinkat(place->fd, "dir", AT_REMOVEDIR);
	unlinkat(place->fd, "dir", 0);
	close_fd(place->fd);
	r = rmdir(place->path);
	if (r < 0)
		print_error("something is left in %s\n", place->path);
	return r;
}

static void expect_content(int dirfd, const char *name, const char *want, size_t want_len)
{
	_cleanup_free_ char *data = NULL;
	size_t len = 0;

	assert_int_equal(file_read(dirfd, name, 1 << 20, &data, &len), 0);
	assert_int_equal(len, want_len);
	assert_memory_equal(data, want, len);
	assert_int_equal(data[len], '\0');
}

static void test_round_trip(void **state)
{
	static const char text[] = "a\0b\nc";
	struct place *place = *state;

	assert_int_equal(file_write_atomic(place->fd, "f", text, sizeof(text), 0640), 0);
	expect_content(place->fd, "f", text, sizeof(text));
	assert_int_equal(file_write_atomic(place->fd, "f", "", 0, 0640), 0);
	expect_content(place->fd, "f", "", 0);
	assert_int_equal(count_entries(place->fd), 1);
}

static void test_mode_is_the_callers(void **state)
{
	static const mode_t modes[] = { 0600, 0644, 0666 };
	struct place *place = *state;
	mode_t before = umask(077);

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct stat st;

		assert_int_equal(file_write_atomic(place->fd, "f", "x", 1, modes[i]), 0);
		assert_int_equal(fstatat(place->fd, "f", &st, 0), 0);
		assert_int_equal(st.st_mode & 07777, modes[i]);
	}
	umask(before);
}

static void test_absolute_path(void **state)
{
	struct place *place = *state;
	_cleanup_free_ char *path = text_printf("%s/f", place->path);

	assert_int_equal(file_write_atomic(AT_FDCWD, path, "x", 1, 0600), 0);
	expect_content(AT_FDCWD, path, "x", 1);
	expect_content(-1, path, "x", 1);
}

static void test_bound(void **state)
{
	struct place *place = *state;
	char *data = (char *)state;
	size_t len = 4711;

	assert_int_equal(file_write_atomic(place->fd, "f", "12345", 5, 0600), 0);
	assert_int_equal(file_read(place->fd, "f", 4, &data, &len), -EFBIG);
	assert_ptr_equal(data, state);
	assert_int_equal(len, 4711);
	assert_int_equal(file_read(place->fd, "f", 5, &data, &len), 0);
	assert_string_equal(data, "12345");
	free(data);
	assert_int_equal(file_write_atomic(place->fd, "f", "", 0, 0600), 0);
	assert_int_equal(file_read(place->fd, "f", 0, &data, &len), 0);
	assert_string_equal(data, "");
	free(data);
}

/* procfs says that its files have no bytes: the bound holds for what is read. */
static void test_bound_without_size(void **state)
{
	char *data = (char *)state;
	size_t len;

	assert_int_equal(file_read(AT_FDCWD, "/proc/self/maps", 10, &data, &len), -EFBIG);
	assert_ptr_equal(data, state);
	assert_int_equal(file_read(AT_FDCWD, "/proc/self/stat", 4096, &data, &len), 0);
	assert_int_equal(len, strlen(data));
	assert_true(len > 10);
	free(data);
}

static void test_not_regular(void **state)
{
	struct place *place = *state;
	char *data = (char *)state;
	size_t len;

	assert_int_equal(file_read(place->fd, "f", 10, &data, &len), -ENOENT);
	assert_int_equal(mkdirat(place->fd, "dir", 0700), 0);
	assert_int_equal(file_read(place->fd, "dir", 10, &data, &len), -EINVAL);
	assert_int_equal(file_read(AT_FDCWD, "/dev/null", 10, &data, &len), -EINVAL);
	/* Nobody writes to it: must not wait for somebody who does. */
	assert_int_equal(mkfifoat(place->fd, "f", 0600), 0);
	assert_int_equal(file_read(place->fd, "f", 10, &data, &len), -EINVAL);
	assert_ptr_equal(data, state);
}

static void test_read_fd_goes_on_where_it_is(void **state)
{
	struct place *place = *state;
	_cleanup_free_ char *data = NULL;
	_cleanup_close_ int fd = -1;
	size_t len;

	assert_int_equal(file_write_atomic(place->fd, "f", "abc", 3, 0600), 0);
	fd = openat(place->fd, "f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(lseek(fd, 1, SEEK_SET), 1);
	assert_int_equal(file_read_fd(fd, 10, &data, &len), 0);
	assert_string_equal(data, "bc");
	assert_true(fcntl(fd, F_GETFD) >= 0);
}

static void test_stream(void **state)
{
	char *data = (char *)state;
	int fds[2];
	size_t len;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], "abc", 3), 3);
	assert_int_equal(file_read_fd(fds[0], 10, &data, &len), -EINVAL);
	assert_int_equal(write(fds[1], "de", 2), 2);
	close(fds[1]);
	assert_int_equal(file_read_stream(fds[0], 5, &data, &len), 0);
	assert_string_equal(data, "abcde");
	assert_int_equal(len, 5);
	free(data);
	close(fds[0]);
}

static void test_stream_bound(void **state)
{
	char *data = (char *)state;
	int fds[2];
	size_t len;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], "abcde", 5), 5);
	/* The end is not waited for once there is too much. */
	assert_int_equal(file_read_stream(fds[0], 4, &data, &len), -EFBIG);
	assert_ptr_equal(data, state);
	close(fds[0]);
	close(fds[1]);
}

/* What waits for a disk, and what does not. */
static unsigned n_synced;

int __real_fsync(int fd);
int __wrap_fsync(int fd);

int __wrap_fsync(int fd)
{
	n_synced++;
	return __real_fsync(fd);
}

static void test_who_waits_for_the_disk(void **state)
{
	const struct place *place = *state;

	n_synced = 0;
	assert_int_equal(file_replace(place->fd, "f", "one", 3, 0644), 0);
	assert_int_equal(file_replace(place->fd, "f", "three", 5, 0640), 0);
	expect_content(place->fd, "f", "three", 5);
	assert_int_equal(n_synced, 0);
	/* The file and the directory. */
	assert_int_equal(file_write_atomic(place->fd, "f", "two", 3, 0644), 0);
	expect_content(place->fd, "f", "two", 3);
	assert_int_equal(n_synced, 2);
}

static void test_write_new(void **state)
{
	struct place *place = *state;

	assert_int_equal(file_write_new(place->fd, "f", "one", 3, 0600), 0);
	assert_int_equal(file_write_new(place->fd, "f", "two", 3, 0600), -EEXIST);
	expect_content(place->fd, "f", "one", 3);
	assert_int_equal(count_entries(place->fd), 1);
}

static void test_failure_leaves_nothing(void **state)
{
	struct place *place = *state;

	assert_int_equal(file_write_atomic(place->fd, "none/f", "x", 1, 0600), -ENOENT);
	assert_int_equal(file_write_new(place->fd, "none/f", "x", 1, 0600), -ENOENT);
	/* A directory in the place of the file: the rename fails, after all was written. */
	assert_int_equal(mkdirat(place->fd, "dir", 0700), 0);
	assert_int_equal(file_write_atomic(place->fd, "dir", "x", 1, 0600), -EISDIR);
	assert_int_equal(file_write_new(place->fd, "dir", "x", 1, 0600), -EEXIST);
	assert_int_equal(count_entries(place->fd), 1);
}

/* A symbolic link is replaced, not followed. */
static void test_replaces_link(void **state)
{
	struct place *place = *state;
	struct stat st;

	assert_int_equal(file_write_atomic(place->fd, "dir", "other", 5, 0600), 0);
	assert_int_equal(symlinkat("dir", place->fd, "f"), 0);
	assert_int_equal(file_write_new(place->fd, "f", "x", 1, 0600), -EEXIST);
	assert_int_equal(file_write_atomic(place->fd, "f", "x", 1, 0600), 0);
	assert_int_equal(fstatat(place->fd, "f", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(st.st_mode));
	expect_content(place->fd, "dir", "other", 5);
}

#define IN_PLACE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_PLACE(test_round_trip),
		IN_PLACE(test_mode_is_the_callers),
		IN_PLACE(test_absolute_path),
		IN_PLACE(test_bound),
		cmocka_unit_test(test_bound_without_size),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_stream_bound),
		IN_PLACE(test_not_regular),
		IN_PLACE(test_read_fd_goes_on_where_it_is),
		IN_PLACE(test_who_waits_for_the_disk),
		IN_PLACE(test_write_new),
		IN_PLACE(test_failure_leaves_nothing),
		IN_PLACE(test_replaces_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
