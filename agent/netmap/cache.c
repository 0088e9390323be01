/*
 * One write at a time: its texts belong to the thread from its start until the event loop has
 * joined it. The map goes before the note of its generation: whatever moment a crash comes at, the
 * map that is found is not older than the note, and is used.
 */
#include "agent/netmap/cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/netmap/file.h"
#include "agent/netmap/json.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/text.h"

#define PAUSE_USEC USEC_PER_SEC
#define RETRY_USEC (30 * USEC_PER_SEC)

/* What one write is about, and came to. */
struct job {
	int dir_fd, done_fd; /* borrowed */
	char *map, *note;    /* map NULL: it could not be made into text, map_error says why */
	size_t map_len;
	int map_error, note_error;
};

struct mapcache {
	const struct state *state;
	const struct netmap *map; /* in force; NULL: none yet */
	bool due;		  /* it has not been written since it came */
	sd_event_source *timer, *done_source;
	int done_fd; /* eventfd: the thread has come to its end */
	struct job job;
	bool busy;	/* with the job */
	bool in_thread; /* it is done there */
	pthread_t thread;
	uint64_t next_usec; /* CLOCK_MONOTONIC: not before */
};

static void *write_job(void *userdata)
{
	struct job *job = userdata;
	const uint64_t one = 1;

	if (job->map)
		job->map_error =
			file_write_atomic(job->dir_fd, MAPCACHE_FILE, job->map, job->map_len, 0600);
	/* An older one would bring back what has been taken away since. */
	if (job->map_error < 0)
		unlinkat(job->dir_fd, MAPCACHE_FILE, 0);
	job->note_error =
		file_write_atomic(job->dir_fd, STATE_MAP_FILE, job->note, strlen(job->note), 0600);
	/* An eventfd of its own takes a 1 always. */
	(void)!write(job->done_fd, &one, sizeof(one));
	return NULL;
}

static void job_clear(struct job *job)
{
	free(job->map);
	free(job->note);
	*job = (struct job){ 0 };
}

static int prepare_job(const struct mapcache *cache, struct job *ret_job)
{
	struct job job = { .dir_fd = state_dir_fd(cache->state), .done_fd = cache->done_fd };

	job.note = state_map_text(cache->state);
	if (!job.note)
		return -ENOMEM;
	job.map_error = netmap_to_json(cache->map, &job.map, &job.map_len);
	if (job.map_error == 0 && job.map_len > NETMAP_MAX_BYTES) {
		free(job.map);
		job.map = NULL;
		job.map_error = -EFBIG;
	}
	*ret_job = job;
	return 0;
}

static void arm(struct mapcache *cache, uint64_t when_usec)
{
	int r = sd_event_source_set_time(cache->timer, when_usec);

	if (r >= 0)
		r = sd_event_source_set_enabled(cache->timer, SD_EVENT_ONESHOT);
	if (r < 0)
		log_error_errno(r, "Could not schedule the writing of the map to disk");
}

/* What the write came to. */
static void finish_job(struct mapcache *cache)
{
	struct job *job = &cache->job;

	if (job->map_error < 0)
		log_warning_errno(job->map_error,
				  "Could not keep the map on disk for the next start, continuing");
	if (job->note_error < 0)
		log_warning_errno(job->note_error,
				  "Could not note the map's generation on disk, continuing");
	cache->next_usec = clock_usec(CLOCK_MONOTONIC) + PAUSE_USEC;
	/* One that is too large stays so. */
	if (job->note_error < 0 || (job->map_error < 0 && job->map_error != -EFBIG)) {
		cache->due = true;
		cache->next_usec += RETRY_USEC - PAUSE_USEC;
	}
	job_clear(job);
	cache->busy = false;
}

static void await_job(struct mapcache *cache)
{
	if (cache->in_thread)
		pthread_join(cache->thread, NULL);
	cache->in_thread = false;
}

static int start_job(struct mapcache *cache)
{
	int r = prepare_job(cache, &cache->job);

	if (r < 0)
		return r;
	cache->due = false;
	cache->busy = true;
	cache->in_thread = pthread_create(&cache->thread, NULL, write_job, &cache->job) == 0;
	/* Without threads it takes its time here. */
	if (!cache->in_thread)
		write_job(&cache->job);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct mapcache *cache = userdata;
	int r;

	if (cache->busy || !cache->due)
		return 0;
	r = start_job(cache);
	if (r < 0) {
		log_warning_errno(r, "Could not keep the map on disk, trying again");
		arm(cache, clock_usec(CLOCK_MONOTONIC) + RETRY_USEC);
	}
	return 0;
}

static int on_done(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct mapcache *cache = userdata;
	uint64_t n;

	/* mapcache_forget() may have been there before. */
	if (read(fd, &n, sizeof(n)) != sizeof(n) || !cache->busy)
		return 0;
	await_job(cache);
	finish_job(cache);
	if (cache->due)
		arm(cache, cache->next_usec);
	return 0;
}

void mapcache_put(struct mapcache *cache, const struct netmap *map)
{
	cache->map = map;
	cache->due = true;
	if (!cache->busy)
		arm(cache, cache->next_usec);
}

void mapcache_drop(struct mapcache *cache)
{
	cache->map = NULL;
	cache->due = false;
}

static void remove_file(const struct mapcache *cache, const char *name)
{
	if (unlinkat(state_dir_fd(cache->state), name, 0) < 0 && errno != ENOENT)
		log_warning_errno(-errno, "Could not remove %s/%s, continuing",
				  state_dir(cache->state), name);
}

void mapcache_forget(struct mapcache *cache)
{
	mapcache_drop(cache);
	if (cache->busy) {
		await_job(cache);
		finish_job(cache);
		cache->due = false;
	}
	remove_file(cache, MAPCACHE_FILE);
	remove_file(cache, STATE_MAP_FILE);
}

static int add_sources(struct mapcache *cache, sd_event *event)
{
	int r;

	cache->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (cache->done_fd < 0)
		return -errno;
	r = sd_event_add_io(event, &cache->done_source, cache->done_fd, EPOLLIN, on_done, cache);
	if (r >= 0)
		r = sd_event_add_time(event, &cache->timer, CLOCK_MONOTONIC, 0, 1, on_timer, cache);
	return r < 0 ? r : sd_event_source_set_enabled(cache->timer, SD_EVENT_OFF);
}

int mapcache_new(sd_event *event, const struct state *state, struct mapcache **ret_cache)
{
	_cleanup_(mapcache_freep) struct mapcache *cache = calloc(1, sizeof(*cache));
	int r;

	if (!cache)
		return -ENOMEM;
	cache->state = state;
	r = add_sources(cache, event);
	if (r < 0)
		return r;
	*ret_cache = take_ptr(cache);
	return 0;
}

struct mapcache *mapcache_free(struct mapcache *cache)
{
	if (!cache)
		return NULL;
	if (cache->busy) {
		await_job(cache);
		finish_job(cache);
	}
	if (cache->due && prepare_job(cache, &cache->job) == 0) {
		write_job(&cache->job);
		finish_job(cache);
	}
	job_clear(&cache->job);
	sd_event_source_disable_unref(cache->timer);
	sd_event_source_disable_unref(cache->done_source);
	close_fd(cache->done_fd);
	free(cache);
	return NULL;
}

static int check_node(const char *path, const struct netmap *map, const char *node,
		      char **reterr_text)
{
	if (!node || strcmp(map->for_node, node) == 0)
		return 0;
	*reterr_text = text_printf("%s: for: is of node \"%s\"; this host is \"%s\" now", path,
				   map->for_node, node);
	return *reterr_text ? -ESTALE : -ENOMEM;
}

int mapcache_load(const struct state *state, const char *source, const char *node,
		  char **reterr_text, struct netmap **ret_map)
{
	_cleanup_free_ char *path = text_printf("%s/" MAPCACHE_FILE, state_dir(state));
	_cleanup_(netmap_freep) struct netmap *map = NULL;
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (!path)
		return -ENOMEM;
	/* Ours alone: who else could write it may not say who logs in here. */
	r = mapfile_load(path, geteuid(), &text, &len, reterr_text);
	if (r == 0)
		r = netmap_parse(text, len, path, reterr_text, &map);
	if (r == 0)
		r = state_check_kept(state, path, source, map->for_node, map->generation,
				     reterr_text);
	if (r == 0)
		r = check_node(path, map, node, reterr_text);
	if (r < 0)
		return r;
	*ret_map = take_ptr(map);
	return 0;
}
