/*
 * A long link: packets between two network namespaces, each of which arrives a while later. For
 * kernels that have no sch_netem.
 *
 * usage: bench-delay MSEC INTERFACE NETNS INTERFACE
 *
 * Makes a TUN device here and another one in the namespace of that file; says "ready" when there
 * are both, whose addresses are up to the caller. MSEC is that of one direction.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"

#define PACKET_BYTES 2048u
/* Of one direction: more than either kernel has under way. */
#define MAX_PACKETS (32u << 10)

struct packet {
	uint64_t due;
	uint16_t len;
	uint8_t data[PACKET_BYTES];
};

struct direction {
	int from, to;
	struct packet *ring;
	size_t first, n;
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int make_tun(const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	strncpy(request.ifr_name, name, sizeof(request.ifr_name) - 1);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0)
		fail(name);
	return fd;
}

static void enter(const char *netns)
{
	int fd = open(netns, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		fail(netns);
	close_fd(fd);
}

static void take(struct direction *d, uint64_t delay)
{
	while (d->n < MAX_PACKETS) {
		struct packet *p = &d->ring[(d->first + d->n) % MAX_PACKETS];
		ssize_t n = read(d->from, p->data, sizeof(p->data));

		if (n <= 0)
			return;
		p->len = (uint16_t)n;
		p->due = clock_usec(CLOCK_MONOTONIC) + delay;
		d->n++;
	}
}

/* Return: when the next is due. */
static uint64_t give(struct direction *d)
{
	uint64_t now = clock_usec(CLOCK_MONOTONIC);

	for (; d->n > 0 && d->ring[d->first].due <= now; d->n--) {
		const struct packet *p = &d->ring[d->first];

		/* As any link may: what the other side does not take is lost. */
		if (write(d->to, p->data, p->len) < 0 && errno != EAGAIN && errno != EIO)
			fail("write");
		d->first = (d->first + 1) % MAX_PACKETS;
	}
	return d->n > 0 ? d->ring[d->first].due : UINT64_MAX;
}

static void relay(struct direction *there, struct direction *back, uint64_t delay)
{
	struct pollfd fds[] = { { .fd = there->from, .events = POLLIN },
				{ .fd = back->from, .events = POLLIN } };

	for (;;) {
		uint64_t a = give(there), b = give(back), due = a < b ? a : b;
		uint64_t now = clock_usec(CLOCK_MONOTONIC), wait = due > now ? due - now : 0;
		struct timespec timeout = { (time_t)(wait / 1000000),
					    (long)(wait % 1000000) * 1000 };

		if (ppoll(fds, 2, due == UINT64_MAX ? NULL : &timeout, NULL) < 0 && errno != EINTR)
			fail("ppoll");
		take(there, delay);
		take(back, delay);
	}
}

static struct packet *make_ring(void)
{
	struct packet *ring = calloc(MAX_PACKETS, sizeof(*ring));

	if (!ring)
		fail("calloc");
	return ring;
}

int main(int argc, char **argv)
{
	struct direction there = { .ring = make_ring() }, back = { .ring = make_ring() };
	long msec = argc == 5 ? strtol(argv[1], NULL, 10) : -1;

	if (msec < 0 || msec > 10000) {
		fputs("usage: bench-delay MSEC INTERFACE NETNS INTERFACE\n", stderr);
		return 1;
	}
	there.from = back.to = make_tun(argv[2]);
	enter(argv[3]);
	back.from = there.to = make_tun(argv[4]);
	puts("ready");
	fflush(stdout);
	relay(&there, &back, (uint64_t)msec * 1000);
}
