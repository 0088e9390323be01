/* The files around the database: lock, modes, folder. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "common/text.h"
#include "coord/store/sqlite_store.h"

/*
 * Where locks of other hosts may not be seen, or a write that was synced may be lost with the
 * connection.
 */
static const char *network_file_system(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return NULL;
	switch ((unsigned)fs.f_type) {
	case NFS_SUPER_MAGIC:
		return "NFS";
	case SMB_SUPER_MAGIC:
	case CIFS_SUPER_MAGIC:
	case SMB2_SUPER_MAGIC:
		return "SMB";
	case AFS_SUPER_MAGIC:
	case AFS_FS_MAGIC:
		return "AFS";
	case CODA_SUPER_MAGIC:
		return "Coda";
	default:
		return NULL;
	}
}

int sqlite_store_lock(const char *path, char **reterr_text)
{
	_cleanup_free_ char *lock_path = text_printf("%s.lock", path);
	_cleanup_close_ int fd = -1;
	const char *network;

	if (!lock_path)
		return -ENOMEM;
	if (path[0] != '/')
		return sqlite_store_fail(reterr_text, -EINVAL, "%s is no absolute path", path);
	fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd < 0)
		return sqlite_store_fail(reterr_text, -errno, "%s: %s", lock_path, strerror(errno));
	network = network_file_system(fd);
	if (network)
		return sqlite_store_fail(
			reterr_text, -EOPNOTSUPP,
			"%s is on %s: the store needs a local file system, whose locks "
			"and syncs hold",
			path, network);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return take_fd(&fd);
	if (errno == EWOULDBLOCK)
		return sqlite_store_fail(reterr_text, -EBUSY,
					 "%s is in use by another coordinator (which holds %s)",
					 path, lock_path);
	return sqlite_store_fail(reterr_text, -errno, "%s: %s", lock_path, strerror(errno));
}

int sqlite_store_sync_folder(const char *path)
{
	_cleanup_free_ char *folder = strndup(path, (size_t)(strrchr(path, '/') - path) + 1);
	_cleanup_close_ int fd = -1;

	if (!folder)
		return -ENOMEM;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* This is over before SQLite opens the file: whoever closes one loses all locks on it (POSIX). */
int sqlite_store_prepare_file(const char *path, bool create, char **reterr_text)
{
	_cleanup_close_ int fd = open(path,
				      O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
					      (create ? O_CREAT : 0),
				      0600);
	struct stat st;
	int r = 0;

	if (fd < 0 && errno == ENOENT && !create)
		return sqlite_store_fail(reterr_text, -ENOENT, "%s: there is no store", path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return sqlite_store_fail(reterr_text, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return sqlite_store_fail(reterr_text, -EMEDIUMTYPE, "%s is no regular file", path);
	if (st.st_size == 0 && !create)
		return sqlite_store_fail(reterr_text, -ENOENT, "%s is empty: there is no store",
					 path);
	if ((st.st_mode & 07777) != 0600 && fchmod(fd, 0600) < 0)
		r = -errno;
	if (r == 0 && create)
		r = sqlite_store_sync_folder(path);
	return r < 0 ? sqlite_store_fail(reterr_text, r, "%s: %s", path, strerror(-r)) : 0;
}
