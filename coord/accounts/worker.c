#include "coord/accounts/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

struct queue {
	struct job *first, **last;
};

struct worker {
	sd_event_source *source;
	int fd; /* eventfd: how many have been run */
	size_t max;
	pthread_t thread;
	bool has_thread;

	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t wake;
	struct queue todo, run;
	size_t n; /* in todo */
	bool stop;
};

static void queue_put(struct queue *queue, struct job *job)
{
	job->next = NULL;
	*queue->last = job;
	queue->last = &job->next;
}

static struct job *queue_take(struct queue *queue)
{
	struct job *job = queue->first;

	if (!job)
		return NULL;
	queue->first = job->next;
	if (!queue->first)
		queue->last = &queue->first;
	return job;
}

/* ---- the thread ---- */

/* Return: locked; NULL: end. */
static struct job *next_job(struct worker *worker)
{
	while (!worker->stop && !worker->todo.first)
		pthread_cond_wait(&worker->wake, &worker->lock);
	if (worker->stop)
		return NULL;
	worker->n--;
	return queue_take(&worker->todo);
}

static void *work(void *userdata)
{
	struct worker *worker = userdata;
	struct job *job;

	pthread_mutex_lock(&worker->lock);
	while ((job = next_job(worker))) {
		pthread_mutex_unlock(&worker->lock);
		job->run(job);
		job->is_run = true;
		pthread_mutex_lock(&worker->lock);
		queue_put(&worker->run, job);
		eventfd_write(worker->fd, 1);
	}
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

/* Signals are for the loop's thread. */
static int start(struct worker *worker)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	r = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (r == 0) {
		r = pthread_create(&worker->thread, NULL, work, worker);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	worker->has_thread = r == 0;
	return -r;
}

/* ---- the loop ---- */

/* One for each time: if there is more, the next turn of the loop is for it. */
static int on_run(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct worker *worker = userdata;
	struct job *job;
	eventfd_t one;

	if (eventfd_read(fd, &one) < 0)
		return 0;
	pthread_mutex_lock(&worker->lock);
	job = queue_take(&worker->run);
	pthread_mutex_unlock(&worker->lock);
	if (job)
		job->done(job);
	return 0;
}

int worker_add(struct worker *worker, struct job *job)
{
	bool has_room;

	pthread_mutex_lock(&worker->lock);
	has_room = worker->n < worker->max;
	if (has_room) {
		queue_put(&worker->todo, job);
		worker->n++;
		pthread_cond_signal(&worker->wake);
	}
	pthread_mutex_unlock(&worker->lock);
	return has_room ? 0 : -ENOBUFS;
}

/* ---- beginning and end ---- */

int worker_new(sd_event *event, size_t max, struct worker **ret_worker)
{
	_cleanup_(worker_freep) struct worker *worker = calloc(1, sizeof(*worker));
	int r;

	if (!worker)
		return -ENOMEM;
	worker->max = max;
	worker->todo.last = &worker->todo.first;
	worker->run.last = &worker->run.first;
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->wake, NULL);
	worker->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	if (worker->fd < 0)
		return -errno;
	r = sd_event_add_io(event, &worker->source, worker->fd, EPOLLIN, on_run, worker);
	if (r == 0)
		r = start(worker);
	if (r < 0)
		return r;
	*ret_worker = take_ptr(worker);
	return 0;
}

static void stop(struct worker *worker)
{
	if (!worker->has_thread)
		return;
	pthread_mutex_lock(&worker->lock);
	worker->stop = true;
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->lock);
	pthread_join(worker->thread, NULL);
}

struct worker *worker_free(struct worker *worker)
{
	struct job *job;

	if (!worker)
		return NULL;
	stop(worker);
	while ((job = queue_take(&worker->run)))
		job->done(job);
	while ((job = queue_take(&worker->todo)))
		job->done(job);
	sd_event_source_unref(worker->source);
	close_fd(worker->fd);
	pthread_cond_destroy(&worker->wake);
	pthread_mutex_destroy(&worker->lock);
	free(worker);
	return NULL;
}
