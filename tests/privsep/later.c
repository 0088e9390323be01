/*
 * A clock that a test sets ahead. Preloaded into the net process, it adds to the monotonic clock as
 * many seconds as the test has written into the file that $LATER names (eight bytes, host's order).
 * The file is mapped before the sandbox is entered; nobody who waits is woken by it.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile uint64_t *ahead;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("LATER");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	ahead = mmap(NULL, sizeof(*ahead), PROT_READ, MAP_SHARED, fd, 0);
	if (ahead == MAP_FAILED) {
		fprintf(stderr, "$LATER names no clock\n");
		exit(2);
	}
	close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *ret_ts)
{
	long r = syscall(SYS_clock_gettime, clock, ret_ts);

	if (r == 0 && clock == CLOCK_MONOTONIC && ahead)
		ret_ts->tv_sec += (time_t)*ahead;
	return (int)r;
}
