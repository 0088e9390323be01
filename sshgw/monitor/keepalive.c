#include "sshgw/monitor/keepalive.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#include "common/cleanup.h"
#include "common/clock.h"

int keepalive_set(int fd, uint64_t interval_usec, uint64_t absence_usec)
{
	/*
	 * The time-out, where there is one, counts instead of the number of probes (tcp(7)). The
	 * idle time comes last: it is what starts the probes anew.
	 */
	const struct {
		int level, name, value;
	} options[] = {
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, (int)(absence_usec / 1000) },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, (int)(interval_usec / USEC_PER_SEC) },
		{ IPPROTO_TCP, TCP_KEEPIDLE, (int)(interval_usec / USEC_PER_SEC) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (setsockopt(fd, options[i].level, options[i].name, &options[i].value,
			       sizeof(options[i].value)) < 0)
			return -errno;
	return 0;
}

int keepalive_look(int fd, struct keepalive_state *ret_state)
{
	const uint64_t now = clock_usec(CLOCK_MONOTONIC);
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	uint64_t ago;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return -errno;
	/* Since Linux 4.6. */
	if (len < offsetof(struct tcp_info, tcpi_notsent_bytes) + sizeof(info.tcpi_notsent_bytes))
		return -EOPNOTSUPP;
	ago = (uint64_t)info.tcpi_last_ack_recv * 1000;
	*ret_state = (struct keepalive_state){
		.now_usec = now,
		.acked_usec = now > ago ? now - ago : 0,
		.unanswered = info.tcpi_probes > 0 || info.tcpi_retransmits > 0,
		.waiting = info.tcpi_unacked > 0 || info.tcpi_notsent_bytes > 0,
	};
	return 0;
}

int keepalive_abandon(int fd)
{
	const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

	return setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) < 0 ? -errno : 0;
}
