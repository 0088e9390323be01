#include "sshgw/scope.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/text.h"
#include "sshgw/child.h"

#define MAX_PROCS_BYTES (4u << 20)
#define MAX_WAITED	64u
#define REMOVE_USEC	(1000 * 1000ull)
#define ROUND_USEC	(100 * 1000ull) /* for those of one list */
#define PAUSE_NSEC	(5 * 1000 * 1000)

/* Where cgroup v2 is: alone, or (systemd's hybrid set-up) beside the old controllers. */
static const char *cgroup_root(void)
{
	struct statfs fs;

	if (statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
		return "/sys/fs/cgroup";
	return "/sys/fs/cgroup/unified";
}

/* Path of the group of a process (cgroups(7): the line "0::PATH"). */
static int read_cgroup(const char *pid_text, char **ret_path)
{
	_cleanup_free_ char *file = text_printf("/proc/%s/cgroup", pid_text);
	_cleanup_free_ char *text = NULL;
	char *line, *rest;
	size_t len;
	int r;

	if (!file)
		return -ENOMEM;
	r = file_read(AT_FDCWD, file, 64 << 10, &text, &len);
	if (r < 0)
		return r;
	for (rest = text; (line = strsep(&rest, "\n"));) {
		if (strncmp(line, "0::/", 4) != 0)
			continue;
		*ret_path = text_printf("%s%s", cgroup_root(), line + 3);
		return *ret_path ? 0 : -ENOMEM;
	}
	return -ENODATA;
}

int scope_own(char **ret_path)
{
	return read_cgroup("self", ret_path);
}

static int write_control(const char *group, const char *name, const char *value)
{
	_cleanup_free_ char *file = text_printf("%s/%s", group, name);
	_cleanup_close_ int fd = -1;
	ssize_t n;

	if (!file)
		return -ENOMEM;
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = write(fd, value, strlen(value));
	return n < 0 ? -errno : 0;
}

static bool can_kill(const char *group)
{
	_cleanup_free_ char *file = text_printf("%s/cgroup.kill", group);

	return file && access(file, W_OK) == 0;
}

/* What the leader's group is called in that of whoever starts it. */
static char *made_path(const char *above, pid_t leader)
{
	return text_printf("%s/login-%d", above, leader);
}

int scope_create(pid_t leader, char **ret_path)
{
	_cleanup_free_ char *own = NULL, *path = NULL, *pid = text_printf("%d", leader);
	int r;

	if (!pid)
		return -ENOMEM;
	r = scope_own(&own);
	if (r < 0)
		return r;
	path = made_path(own, leader);
	if (!path)
		return -ENOMEM;
	/* One of that name is left over from a monitor that crashed, and from an earlier pid. */
	if (mkdir(path, 0755) < 0 && (errno != EEXIST || rmdir(path) < 0 || mkdir(path, 0755) < 0))
		return -errno;
	r = can_kill(path) ? write_control(path, "cgroup.procs", pid) : -EOPNOTSUPP;
	if (r < 0) {
		rmdir(path);
		return r;
	}
	*ret_path = take_ptr(path);
	return 0;
}

int scope_find(pid_t leader, char **ret_path)
{
	_cleanup_free_ char *own = NULL, *path = NULL, *pid = text_printf("%d", leader);
	int r;

	if (!pid)
		return -ENOMEM;
	r = scope_own(&own);
	if (r == 0)
		r = read_cgroup(pid, &path);
	if (r < 0)
		return r;
	if (strcmp(own, path) == 0)
		return -EXDEV;
	*ret_path = take_ptr(path);
	return 0;
}

int scope_leave(pid_t leader)
{
	_cleanup_free_ char *own = NULL, *pid = text_printf("%d", leader);
	int r;

	if (!pid)
		return -ENOMEM;
	r = scope_own(&own);
	return r < 0 ? r : write_control(own, "cgroup.procs", pid);
}

int scope_find_made(char **ret_made, char **ret_above)
{
	_cleanup_free_ char *own = NULL, *above = NULL, *made = NULL;
	int r = scope_own(&own);

	if (r < 0)
		return r;
	above = strndup(own, (size_t)(strrchr(own, '/') - own));
	made = above ? made_path(above, getpid()) : NULL;
	if (!made)
		return -ENOMEM;
	if (strcmp(made, own) != 0)
		return -ENOENT;
	*ret_made = take_ptr(made);
	*ret_above = take_ptr(above);
	return 0;
}

int scope_enter(const char *path)
{
	/* 0: whoever writes it (Documentation/admin-guide/cgroup-v2.rst). */
	return write_control(path, "cgroup.procs", "0");
}

int scope_kill(const char *path)
{
	int r = write_control(path, "cgroup.kill", "1");

	return r == -ENOENT || r == -ENODEV ? 0 : r;
}

void scope_kill_logged(const char *path)
{
	int r = scope_kill(path);

	if (r < 0)
		log_error_errno(r, "Could not kill control group %s", path);
}

int scope_watch(const char *path)
{
	_cleanup_free_ char *file = text_printf("%s/cgroup.events", path);
	int fd;

	if (!file)
		return -ENOMEM;
	fd = open(file, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int scope_watch_ask(int fd)
{
	char text[256];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return errno == ENODEV ? 0 : -errno;
	text[n] = '\0';
	return strstr(text, "populated 1") != NULL;
}

int scope_is_populated(const char *path)
{
	_cleanup_close_ int fd = scope_watch(path);

	if (fd < 0)
		return fd == -ENOENT || fd == -ENODEV ? 0 : fd;
	return scope_watch_ask(fd);
}

/* What was killed and is waited for; more than fit in are met again in the next round. */
struct dying {
	struct pollfd fds[MAX_WAITED];
	size_t n;
};

static bool is_in(const char *path, const char *pid)
{
	_cleanup_free_ char *group = NULL;

	return read_cgroup(pid, &group) == 0 && strcmp(group, path) == 0;
}

/*
 * Since the list was read the process may have ended, and its number be that of a stranger. Whose
 * it was when the descriptor was opened, shows afterwards.
 */
static void kill_one(struct dying *dying, const char *path, const char *pid_text, pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	bool ours = fd >= 0 && is_in(path, pid_text);

	if (ours)
		child_kill(fd);
	if (ours && dying->n < MAX_WAITED)
		dying->fds[dying->n++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	else
		close_fd(fd);
}

/* Until all of them have ended, or it takes too long. */
static void wait_dying(struct dying *dying)
{
	uint64_t deadline = clock_usec(CLOCK_MONOTONIC) + ROUND_USEC;

	for (size_t i = 0; i < dying->n; i++) {
		uint64_t now = clock_usec(CLOCK_MONOTONIC);

		poll(&dying->fds[i], 1, now < deadline ? (int)((deadline - now) / 1000) : 0);
		close_fd(dying->fds[i].fd);
	}
}

/* Return: how many processes but spare the group had to kill; negative errno. */
static int kill_listed(const char *path, pid_t spare, struct dying *dying)
{
	_cleanup_free_ char *file = text_printf("%s/cgroup.procs", path), *text = NULL;
	char *line, *rest;
	size_t len;
	int r, n = 0;

	if (!file)
		return -ENOMEM;
	r = file_read(AT_FDCWD, file, MAX_PROCS_BYTES, &text, &len);
	if (r < 0)
		return r == -ENOENT || r == -ENODEV ? 0 : r;
	for (rest = text; (line = strsep(&rest, "\n"));) {
		uint64_t pid;

		/* 0: a process that our own pid namespace does not show. */
		if (parse_u64(line, INT32_MAX, &pid) < 0 || pid == 0 || (pid_t)pid == spare)
			continue;
		kill_one(dying, path, line, (pid_t)pid);
		n++;
	}
	return n;
}

/* Return: how many groups right below this one had processes, theirs included; negative errno. */
static int kill_below(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int n = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir))) {
		_cleanup_free_ char *below = text_printf("%s/%s", path, entry->d_name);

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' || !below ||
		    scope_is_populated(below) <= 0)
			continue;
		scope_kill(below);
		n++;
	}
	closedir(dir);
	return n;
}

/* Groups below are not waited for by process: only looked at again, a little later. */
static int kill_frozen(const char *path, pid_t spare, uint64_t usec)
{
	uint64_t deadline = clock_usec(CLOCK_MONOTONIC) + usec;
	struct timespec pause = { .tv_nsec = PAUSE_NSEC };

	do {
		struct dying dying = { .n = 0 };
		int below = kill_below(path), here = kill_listed(path, spare, &dying);

		wait_dying(&dying);
		if (below < 0 || here < 0)
			return below < 0 ? below : here;
		if (below + here == 0)
			return 0;
		if (dying.n == 0)
			nanosleep(&pause, NULL);
	} while (clock_usec(CLOCK_MONOTONIC) < deadline);
	return -ETIME;
}

int scope_kill_around(const char *path, pid_t leader, uint64_t usec)
{
	int r, unfrozen;

	/* SIGKILL reaches frozen tasks all the same. */
	r = write_control(path, "cgroup.freeze", "1");
	if (r < 0)
		return r == -ENOENT || r == -ENODEV ? 0 : r;
	r = kill_frozen(path, leader, usec);
	unfrozen = write_control(path, "cgroup.freeze", "0");
	return r < 0 ? r : unfrozen;
}

/* Who was killed takes a moment to die. */
void scope_remove(const char *path)
{
	uint64_t deadline = clock_usec(CLOCK_MONOTONIC) + REMOVE_USEC;
	struct timespec pause = { .tv_nsec = PAUSE_NSEC };

	while (rmdir(path) < 0 && errno == EBUSY && clock_usec(CLOCK_MONOTONIC) < deadline)
		nanosleep(&pause, NULL);
}
