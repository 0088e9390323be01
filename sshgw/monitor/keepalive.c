#include "sshgw/monitor/keepalive.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "common/cleanup.h"
#include "common/clock.h"

int keepalive_set(int fd, uint64_t interval_usec, uint64_t absence_usec)
{
	/* The time-out, where there is one, counts instead of the number of probes (tcp(7)). */
	const struct {
		int level, name, value;
	} options[] = {
		{ IPPROTO_TCP, TCP_KEEPIDLE, (int)(interval_usec / USEC_PER_SEC) },
		{ IPPROTO_TCP, TCP_KEEPINTVL, (int)(interval_usec / USEC_PER_SEC) },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, (int)(absence_usec / 1000) },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (setsockopt(fd, options[i].level, options[i].name, &options[i].value,
			       sizeof(options[i].value)) < 0)
			return -errno;
	return 0;
}
