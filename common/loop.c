#include "common/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "common/clock.h"

struct loop {
	int epoll_fd;
	bool exiting;
};

enum loop_kind {
	LOOP_IO,
	LOOP_TIME,
	LOOP_SIGNAL,
};

/* Times and signals are descriptors as well: timerfd and signalfd, which are the source's. */
struct loop_source {
	struct loop *loop;
	enum loop_kind kind;
	int fd;
	clockid_t clock; /* this and the next two: of times */
	uint64_t usec;
	enum loop_enabled enabled;
	union {
		loop_io_fn io;
		loop_time_fn time;
		loop_signal_fn signal;
	} fn;
	void *userdata;
};

/* ---- the loop ---- */

int loop_new(struct loop **ret_loop)
{
	_cleanup_(loop_freep) struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return -ENOMEM;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		return -errno;
	*ret_loop = take_ptr(loop);
	return 0;
}

struct loop *loop_free(struct loop *loop)
{
	if (!loop)
		return NULL;
	close_fd(loop->epoll_fd);
	free(loop);
	return NULL;
}

static void call_time(struct loop_source *source)
{
	uint64_t expirations;

	/* Set anew, or back with its clock, between the wake-up and now. */
	if (read(source->fd, &expirations, sizeof(expirations)) < 0)
		return;
	loop_time_enable(source, LOOP_OFF);
	source->fn.time(source, source->usec, source->userdata);
}

static void call_signal(struct loop_source *source)
{
	struct signalfd_siginfo info;

	if (read(source->fd, &info, sizeof(info)) == sizeof(info))
		source->fn.signal(source, &info, source->userdata);
}

static void call(struct loop_source *source, uint32_t revents)
{
	switch (source->kind) {
	case LOOP_IO:
		source->fn.io(source, source->fd, revents, source->userdata);
		break;
	case LOOP_TIME:
		call_time(source);
		break;
	case LOOP_SIGNAL:
		call_signal(source);
		break;
	}
}

/* One event at a time: nothing that is known of the next can be out of date. */
int loop_run(struct loop *loop)
{
	while (!loop->exiting) {
		struct epoll_event event;
		int n = epoll_wait(loop->epoll_fd, &event, 1, -1);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			call(event.data.ptr, event.events);
	}
	return 0;
}

void loop_exit(struct loop *loop)
{
	loop->exiting = true;
}

/* ---- sources ---- */

static int watch(struct loop_source *source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data = { .ptr = source } };

	return epoll_ctl(source->loop->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) < 0 ? -errno
											: 0;
}

/* The descriptor of a time or signal belongs to the source from here on, also on failure. */
static int source_add(struct loop_source source, uint32_t events, struct loop_source **ret_source)
{
	struct loop_source *copy = malloc(sizeof(*copy));
	int r = -ENOMEM;

	if (copy) {
		*copy = source;
		r = watch(copy, events);
	}
	if (r == 0) {
		*ret_source = copy;
		return 0;
	}
	free(copy);
	if (source.kind != LOOP_IO)
		close_fd(source.fd);
	return r;
}

int loop_add_io(struct loop *loop, int fd, uint32_t events, loop_io_fn fn, void *userdata,
		struct loop_source **ret_source)
{
	struct loop_source source = {
		.loop = loop, .kind = LOOP_IO, .fd = fd, .fn.io = fn, .userdata = userdata
	};

	return source_add(source, events, ret_source);
}

int loop_add_time(struct loop *loop, clockid_t clock, loop_time_fn fn, void *userdata,
		  struct loop_source **ret_source)
{
	struct loop_source source = { .loop = loop,
				      .kind = LOOP_TIME,
				      .fd = timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK),
				      .clock = clock,
				      .usec = UINT64_MAX,
				      .fn.time = fn,
				      .userdata = userdata };

	return source.fd < 0 ? -errno : source_add(source, EPOLLIN, ret_source);
}

int loop_add_signal(struct loop *loop, int sig, loop_signal_fn fn, void *userdata,
		    struct loop_source **ret_source)
{
	struct loop_source source = {
		.loop = loop, .kind = LOOP_SIGNAL, .fn.signal = fn, .userdata = userdata
	};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	source.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return source.fd < 0 ? -errno : source_add(source, EPOLLIN, ret_source);
}

struct loop_source *loop_source_free(struct loop_source *source)
{
	if (!source)
		return NULL;
	/* The descriptor may be open in other processes: closing it is not enough. */
	epoll_ctl(source->loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	if (source->kind != LOOP_IO)
		close_fd(source->fd);
	free(source);
	return NULL;
}

/* ---- changes ---- */

/* All zero disarms a timerfd, so that time 0 is one nanosecond after it. */
static void arm(struct loop_source *source)
{
	struct itimerspec spec = { 0 };

	if (source->enabled != LOOP_OFF && source->usec != UINT64_MAX) {
		spec.it_value.tv_sec = (time_t)(source->usec / USEC_PER_SEC);
		spec.it_value.tv_nsec = (long)(source->usec % USEC_PER_SEC) * 1000 + 1;
	}
	timerfd_settime(source->fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

void loop_time_set(struct loop_source *source, uint64_t usec)
{
	source->usec = usec;
	arm(source);
}

void loop_time_set_relative(struct loop_source *source, uint64_t usec)
{
	uint64_t now = clock_usec(source->clock);

	loop_time_set(source, usec > UINT64_MAX - now ? UINT64_MAX : now + usec);
}

void loop_time_enable(struct loop_source *source, enum loop_enabled enabled)
{
	source->enabled = enabled;
	arm(source);
}
