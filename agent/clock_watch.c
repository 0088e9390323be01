#include "agent/clock_watch.h"

#include <errno.h>
#include <stdint.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/cleanup.h"

/* A time that no timer of ours waits for; far from what overflows in the kernel's nanoseconds. */
#define NEVER_SEC (UINT32_MAX * (time_t)2)

/* timerfd_create(2), TFD_TIMER_CANCEL_ON_SET: a read fails with ECANCELED after a step. */
int clock_watch_open(void)
{
	const struct itimerspec never = { .it_value.tv_sec = NEVER_SEC };
	_cleanup_close_ int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);

	if (fd < 0 ||
	    timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) < 0)
		return -errno;
	return take_fd(&fd);
}

bool clock_watch_ask(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) < 0 && errno == ECANCELED;
}
