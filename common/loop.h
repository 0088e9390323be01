/*
 * A small event loop for processes that there is one of per connection: descriptors, times,
 * signals. What sd-event(3) does besides (priorities, children, watchdog) they have no use for, and
 * its library, with the six that come along, would cost each of them half a MiB and half a
 * millisecond.
 */
#pragma once

#include <stdint.h>
#include <sys/signalfd.h>
#include <time.h>

#include "common/cleanup.h"

struct loop;
struct loop_source;

enum loop_enabled {
	LOOP_OFF,
	LOOP_ONESHOT, /* off again before its handler is called */
};

/*
 * Handlers may free any source, their own too, and end the loop. What happens at the same time is
 * handled one by one: a source that is freed, or a time that is off, is not called any more.
 */
typedef void (*loop_io_fn)(struct loop_source *source, int fd, uint32_t revents, void *userdata);
typedef void (*loop_time_fn)(struct loop_source *source, uint64_t usec, void *userdata);
typedef void (*loop_signal_fn)(struct loop_source *source, const struct signalfd_siginfo *info,
			       void *userdata);

/* Return: 0, negative errno. */
int loop_new(struct loop **ret_loop);
/* The sources have to be gone before. */
struct loop *loop_free(struct loop *loop);
DEFINE_CLEANUP(struct loop *, loop_free);

/* Call handlers until one ends the loop. Return: 0, negative errno. */
int loop_run(struct loop *loop);
void loop_exit(struct loop *loop);

/* Times are off at first. Return, of all three: 0, negative errno. */

/* events: EPOLLIN, EPOLLPRI, ... (epoll_ctl(2)); level-triggered. fd stays the caller's. */
int loop_add_io(struct loop *loop, int fd, uint32_t events, loop_io_fn fn, void *userdata,
		struct loop_source **ret_source);
/* A time on CLOCK_MONOTONIC, CLOCK_BOOTTIME or CLOCK_REALTIME; a clock that is set is noticed. */
int loop_add_time(struct loop *loop, clockid_t clock, loop_time_fn fn, void *userdata,
		  struct loop_source **ret_source);
/* The signal is blocked in this process from now on. */
int loop_add_signal(struct loop *loop, int sig, loop_signal_fn fn, void *userdata,
		    struct loop_source **ret_source);
struct loop_source *loop_source_free(struct loop_source *source);

/* When, in usec of the source's clock; UINT64_MAX: never. Does not turn it on. */
void loop_time_set(struct loop_source *source, uint64_t usec);
/* The same, from now. */
void loop_time_set_relative(struct loop_source *source, uint64_t usec);
void loop_time_enable(struct loop_source *source, enum loop_enabled enabled);
