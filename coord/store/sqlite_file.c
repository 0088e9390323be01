/* The files around the database: lock, modes, folder. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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

/* "/a/b/" of "/a/b/c". Needs no memory: what has been done must not fail for want of it. */
static int open_folder(const char *path)
{
	size_t len = (size_t)(strrchr(path, '/') - path) + 1;
	char folder[PATH_MAX];
	int fd;

	if (len >= sizeof(folder))
		return -ENAMETOOLONG;
	memcpy(folder, path, len);
	folder[len] = '\0';
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int sqlite_store_sync_folder(const char *path)
{
	_cleanup_close_ int fd = open_folder(path);

	if (fd < 0)
		return fd;
	return fsync(fd) < 0 ? -errno : 0;
}

/* What root makes in the coordinator's folder is the coordinator's to use. */
static int give_to_owner(int fd, const char *path)
{
	_cleanup_close_ int folder = open_folder(path);
	struct stat st;

	if (folder < 0)
		return folder;
	if (fstat(folder, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid() && fchown(fd, st.st_uid, st.st_gid) < 0)
		return -errno;
	return 0;
}

int sqlite_store_create(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return -errno;
	/* Whatever the umask says. */
	r = fchmod(fd, 0600) < 0 ? -errno : 0;
	if (r == 0 && geteuid() == 0)
		r = give_to_owner(fd, path);
	if (r < 0) {
		unlink(path);
		return r;
	}
	return take_fd(&fd);
}

static int open_existing(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

	return fd < 0 ? -errno : fd;
}

static int open_or_create(const char *path)
{
	int fd = sqlite_store_create(path);

	return fd == -EEXIST ? open_existing(path) : fd;
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
	fd = open_or_create(lock_path);
	if (fd < 0)
		return sqlite_store_fail(reterr_text, fd, "%s: %s", lock_path, strerror(-fd));
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

/*
 * A file with less than one page is empty to SQLite, which removes the log then; there may be
 * transactions in it that are nowhere else.
 */
static int check_size(const char *path, off_t size, bool create, char **reterr_text)
{
	_cleanup_free_ char *wal = text_printf("%s-wal", path);

	if (!wal)
		return -ENOMEM;
	if (size >= 512)
		return 0;
	if (access(wal, F_OK) == 0)
		return sqlite_store_fail(reterr_text, -EBADMSG,
					 "%s is damaged (%lld bytes, with %s beside it): restore a "
					 "backup",
					 path, (long long)size, wal);
	if (size > 0)
		return sqlite_store_fail(reterr_text, -EMEDIUMTYPE, "%s is no SQLite database",
					 path);
	return create ? 0
		      : sqlite_store_fail(reterr_text, -ENOENT, "%s is empty: there is no store",
					  path);
}

/* This is over before SQLite opens the file: whoever closes one loses all locks on it (POSIX). */
int sqlite_store_prepare_file(const char *path, bool create, char **reterr_text)
{
	_cleanup_close_ int fd = create ? open_or_create(path) : open_existing(path);
	struct stat st;
	int r = fd;

	if (r >= 0)
		r = fstat(fd, &st) < 0 ? -errno : 0;
	if (r == -ENOENT && !create)
		return sqlite_store_fail(reterr_text, r, "%s: there is no store", path);
	if (r == -ELOOP || (r == 0 && !S_ISREG(st.st_mode)))
		return sqlite_store_fail(reterr_text, -EMEDIUMTYPE, "%s is no regular file", path);
	/* Who has put it there may have read it; but nobody else will. */
	if (r == 0 && (st.st_mode & 07777) != 0600 && fchmod(fd, 0600) < 0)
		r = -errno;
	if (r == 0 && create)
		r = sqlite_store_sync_folder(path);
	if (r < 0)
		return sqlite_store_fail(reterr_text, r, "%s: %s", path, strerror(-r));
	return check_size(path, st.st_size, create, reterr_text);
}
