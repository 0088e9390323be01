/*
 * Every directory on the way to the file is watched for the one name that leads on: "/" for "etc",
 * "/etc" for "peergate", "/etc/peergate" for the file. A change of a directory's name means that
 * the watches below are on the wrong directory, so all are set anew.
 */
#include "agent/netmap/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "agent/netmap/netmap.h"
#include "common/file.h"
#include "common/text.h"

/* Editors and copies make several events; they become one reading. */
#define DEBOUNCE_USEC 20000

/* Without descriptors or memory there may be some later; nothing else will call us again. */
#define RETRY_FIRST_USEC   1000000u
#define RETRY_LONGEST_USEC 30000000u

#define MAX_DEPTH 32

/* No IN_MODIFY: a file that is being written in place is read when it is closed. */
#define WATCH_MASK                                                                          \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB | \
	 IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

struct watch {
	struct mapfile *mapfile;
	sd_event_source *source;
	const char *name; /* of the next component, within mapfile->path */
	size_t name_len;
};

struct mapfile {
	sd_event *event;
	char *path;
	uid_t owner;
	mapfile_fn fn;
	void *userdata;
	struct watch watches[MAX_DEPTH];
	size_t n_watches;
	sd_event_source *timer;
	bool armed; /* the timer runs, after an event */
	bool stale; /* watches have to be set anew */
	bool retrying;
	uint64_t retry_usec; /* the next pause; 0: the first */
};

/* "PATH: what is wrong". Return: r. */
_printf_(4, 5) static int fail(char **reterr_text, int r, const char *path, const char *fmt, ...)
{
	_cleanup_free_ char *problem = NULL;
	va_list ap;

	va_start(ap, fmt);
	problem = text_vprintf(fmt, ap);
	va_end(ap);
	*reterr_text = problem ? text_printf("%s: %s", path, problem) : NULL;
	return *reterr_text ? r : -ENOMEM;
}

/* Who may write the file may say who logs in here. */
static const char *owner_problem(const struct stat *st, uid_t owner)
{
	if (!S_ISREG(st->st_mode))
		return "is no regular file";
	if (st->st_uid != owner)
		return owner == 0 ? "does not belong to root; expected owner root"
				  : "does not belong to the expected owner";
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return "may be written by others than its owner; expected mode 0644 or less";
	return NULL;
}

int mapfile_load(const char *path, uid_t owner, char **ret_text, size_t *ret_len,
		 char **reterr_text)
{
	_cleanup_close_ int fd = -1;
	const char *problem;
	struct stat st;
	int r;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ELOOP)
		return fail(reterr_text, -ELOOP, path,
			    "is a symbolic link; expected the file itself");
	if (fd < 0 || fstat(fd, &st) < 0) {
		r = -errno;
		return fail(reterr_text, r, path, "cannot be opened: %s", strerror(-r));
	}
	problem = owner_problem(&st, owner);
	if (problem)
		return fail(reterr_text, -EPERM, path, "%s", problem);
	r = file_read_fd(fd, NETMAP_MAX_BYTES, ret_text, ret_len);
	if (r == -EFBIG)
		return fail(reterr_text, r, path, "is too large; expected %u MiB at most",
			    NETMAP_MAX_BYTES >> 20);
	if (r < 0)
		return fail(reterr_text, r, path, "cannot be read: %s", file_read_problem(r));
	return 0;
}

static void report(struct mapfile *mapfile, const char *problem)
{
	mapfile->fn(mapfile->userdata, NULL, 0,
		    problem ? problem : "no memory to read the map file");
}

static bool set_timer(struct mapfile *mapfile, uint64_t usec)
{
	return sd_event_source_set_time_relative(mapfile->timer, usec) >= 0 &&
	       sd_event_source_set_enabled(mapfile->timer, SD_EVENT_ONESHOT) >= 0;
}

static void arm(struct mapfile *mapfile)
{
	/* Not prolonged by further events, lest a busy writer keeps us from reading at all. */
	if (!mapfile->armed)
		mapfile->armed = set_timer(mapfile, DEBOUNCE_USEC);
}

static bool may_pass(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -EIO;
}

void mapfile_read_later(struct mapfile *mapfile)
{
	uint64_t pause = mapfile->retry_usec ? mapfile->retry_usec : RETRY_FIRST_USEC;

	mapfile->retrying = true;
	if (!mapfile->armed)
		set_timer(mapfile, pause);
	mapfile->retry_usec = pause < RETRY_LONGEST_USEC / 2 ? pause * 2 : RETRY_LONGEST_USEC;
}

void mapfile_read(struct mapfile *mapfile)
{
	_cleanup_free_ char *text = NULL, *problem = NULL;
	size_t len;
	int r;

	mapfile->retrying = false;
	r = mapfile_load(mapfile->path, mapfile->owner, &text, &len, &problem);
	if (r == 0)
		mapfile->fn(mapfile->userdata, text, len, NULL);
	else
		report(mapfile, problem);
	if (may_pass(r))
		mapfile_read_later(mapfile);
	if (!mapfile->retrying && !mapfile->stale)
		mapfile->retry_usec = 0;
}

static void drop_watches(struct mapfile *mapfile)
{
	for (size_t i = 0; i < mapfile->n_watches; i++)
		mapfile->watches[i].source =
			sd_event_source_disable_unref(mapfile->watches[i].source);
	mapfile->n_watches = 0;
}

static bool concerns(const struct watch *watch, const struct inotify_event *event)
{
	if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT | IN_Q_OVERFLOW))
		return true;
	return event->len > 0 && strlen(event->name) == watch->name_len &&
	       memcmp(event->name, watch->name, watch->name_len) == 0;
}

static bool is_last(const struct watch *watch)
{
	return watch->name[watch->name_len] == '\0';
}

static int on_inotify(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
	struct watch *watch = userdata;

	if (!concerns(watch, event))
		return 0;
	if (!is_last(watch) || event->len == 0)
		watch->mapfile->stale = true;
	arm(watch->mapfile);
	return 0;
}

/* dir: the path up to and without the slash before name, "/" for the root. */
static int add_watch(struct mapfile *mapfile, const char *dir, const char *name, size_t name_len)
{
	struct watch *watch = &mapfile->watches[mapfile->n_watches];
	int r;

	*watch = (struct watch){ .mapfile = mapfile, .name = name, .name_len = name_len };
	r = sd_event_add_inotify(mapfile->event, &watch->source, dir, WATCH_MASK, on_inotify,
				 watch);
	if (r < 0)
		return r;
	mapfile->n_watches++;
	/* A new map may take away rights: it does not wait for anybody's questions. */
	return sd_event_source_set_priority(watch->source, SD_EVENT_PRIORITY_IMPORTANT);
}

/*
 * Directories that are missing now are noticed when they come; those that we may not read are
 * passed over (their replacement goes unnoticed), except the file's own.
 */
static int set_watches(struct mapfile *mapfile)
{
	const char *slash = mapfile->path;
	int r;

	drop_watches(mapfile);
	mapfile->stale = false;
	while (slash) {
		const char *next = strchr(slash + 1, '/');
		size_t name_len = next ? (size_t)(next - slash - 1) : strlen(slash + 1);
		_cleanup_free_ char *dir =
			slash == mapfile->path
				? strdup("/")
				: strndup(mapfile->path, (size_t)(slash - mapfile->path));

		if (!dir)
			return -ENOMEM;
		r = add_watch(mapfile, dir, slash + 1, name_len);
		if (r == -ENOENT || r == -ENOTDIR)
			return 0;
		if (r < 0 && (r != -EACCES || !next))
			return r;
		slash = next;
	}
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct mapfile *mapfile = userdata;
	int r = 0;

	mapfile->armed = false;
	/* Watches first: what changes while we read makes another event. */
	if (mapfile->stale)
		r = set_watches(mapfile);
	if (r < 0) {
		_cleanup_free_ char *problem = NULL;

		mapfile->stale = true;
		(void)fail(&problem, r, mapfile->path, "cannot be watched: %s", strerror(-r));
		report(mapfile, problem);
	}
	mapfile_read(mapfile);
	if (r < 0 && !mapfile->retrying)
		mapfile_read_later(mapfile);
	return 0;
}

bool mapfile_path_is_plain(const char *path)
{
	size_t depth = 0;

	if (path[0] != '/')
		return false;
	while (*path == '/') {
		size_t len = strcspn(++path, "/");

		if (len == 0 || (len == 1 && path[0] == '.') ||
		    (len == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		path += len;
		depth++;
	}
	return depth <= MAX_DEPTH;
}

int mapfile_new(sd_event *event, const char *path, uid_t owner, mapfile_fn fn, void *userdata,
		struct mapfile **ret_mapfile)
{
	_cleanup_(mapfile_freep) struct mapfile *mapfile = NULL;
	int r;

	if (!mapfile_path_is_plain(path))
		return -EINVAL;
	mapfile = calloc(1, sizeof(*mapfile));
	if (!mapfile)
		return -ENOMEM;
	mapfile->event = sd_event_ref(event);
	mapfile->owner = owner;
	mapfile->fn = fn;
	mapfile->userdata = userdata;
	mapfile->path = strdup(path);
	if (!mapfile->path)
		return -ENOMEM;
	r = sd_event_add_time_relative(event, &mapfile->timer, CLOCK_MONOTONIC, UINT64_MAX / 4,
				       1000, on_timer, mapfile);
	if (r < 0)
		return r;
	r = sd_event_source_set_enabled(mapfile->timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_priority(mapfile->timer, SD_EVENT_PRIORITY_IMPORTANT);
	if (r < 0)
		return r;
	r = set_watches(mapfile);
	if (r < 0)
		return r;
	*ret_mapfile = take_ptr(mapfile);
	return 0;
}

struct mapfile *mapfile_free(struct mapfile *mapfile)
{
	if (!mapfile)
		return NULL;
	drop_watches(mapfile);
	sd_event_source_disable_unref(mapfile->timer);
	sd_event_unref(mapfile->event);
	free(mapfile->path);
	free(mapfile);
	return NULL;
}
