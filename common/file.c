#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "common/text.h"

/* Reads to the end of fd or to max bytes. Return: bytes read, -EFBIG when there is more. */
static ssize_t read_bounded(int fd, char *buf, size_t max)
{
	size_t len = 0;

	for (;;) {
		/* One byte more than allowed shows that the file is too large. */
		ssize_t n = read(fd, buf + len, max + 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return (ssize_t)len;
		len += (size_t)n;
		if (len > max)
			return -EFBIG;
	}
}

int file_read_fd(int fd, size_t max, char **ret_data, size_t *ret_len)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size < 0 || (uint64_t)st.st_size > max)
		return -EFBIG;
	/* Not st_size: the file may grow while it is read, and procfs says 0. */
	return file_read_stream(fd, max, ret_data, ret_len);
}

int file_read_stream(int fd, size_t max, char **ret_data, size_t *ret_len)
{
	_cleanup_free_ char *buf = NULL;
	char *data;
	ssize_t n;

	buf = malloc(max + 1);
	if (!buf)
		return -ENOMEM;
	n = read_bounded(fd, buf, max);
	if (n < 0)
		return (int)n;
	buf[n] = '\0';
	data = realloc(buf, (size_t)n + 1);
	*ret_data = data ? data : buf;
	buf = NULL;
	*ret_len = (size_t)n;
	return 0;
}

int file_read(int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_len)
{
	/* O_NONBLOCK: a FIFO put there does not hang us. */
	_cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -errno;
	return file_read_fd(fd, max, ret_data, ret_len);
}

const char *file_read_problem(int error)
{
	return error == -EINVAL ? "is no regular file" : strerror(-error);
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int sync_parent(int dirfd, const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	_cleanup_close_ int fd = -1;

	if (!dir)
		return -ENOMEM;
	fd = openat(dirfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

static int write_temporary(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
			   bool sync, char **ret_temporary)
{
	_cleanup_free_ char *temporary = NULL;
	_cleanup_close_ int fd = -1;
	uint64_t salt;
	int r;

	if (getrandom(&salt, sizeof(salt), 0) != sizeof(salt))
		return -EIO;
	temporary = text_printf("%s.%016llx.tmp", path, (unsigned long long)salt);
	if (!temporary)
		return -ENOMEM;
	fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return -errno;
	r = write_all(fd, data, len);
	/* fchmod: the caller's mode, whatever the umask says. */
	if (r == 0 && (fchmod(fd, mode) < 0 || (sync && fsync(fd) < 0)))
		r = -errno;
	if (r < 0) {
		unlinkat(dirfd, temporary, 0);
		return r;
	}
	*ret_temporary = take_ptr(temporary);
	return 0;
}

static int replace(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
		   bool sync)
{
	_cleanup_free_ char *temporary = NULL;
	int r;

	r = write_temporary(dirfd, path, data, len, mode, sync, &temporary);
	if (r < 0)
		return r;
	if (renameat(dirfd, temporary, dirfd, path) < 0) {
		r = -errno;
		unlinkat(dirfd, temporary, 0);
	}
	return r;
}

int file_replace(int dirfd, const char *path, const void *data, size_t len, mode_t mode)
{
	return replace(dirfd, path, data, len, mode, false);
}

int file_write_atomic(int dirfd, const char *path, const void *data, size_t len, mode_t mode)
{
	int r = replace(dirfd, path, data, len, mode, true);

	return r < 0 ? r : sync_parent(dirfd, path);
}

int file_write_new(int dirfd, const char *path, const void *data, size_t len, mode_t mode)
{
	_cleanup_free_ char *temporary = NULL;
	int r;

	r = write_temporary(dirfd, path, data, len, mode, true, &temporary);
	if (r < 0)
		return r;
	/* link() refuses an existing name, which rename() would replace. */
	r = linkat(dirfd, temporary, dirfd, path, 0) < 0 ? -errno : 0;
	unlinkat(dirfd, temporary, 0);
	return r < 0 ? r : sync_parent(dirfd, path);
}
