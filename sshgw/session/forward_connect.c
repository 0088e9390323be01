#include "sshgw/session/forward_connect.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "sshgw/msg.h"
#include "sshgw/signals.h"

#define SEND_TIMEOUT_USEC (10u * 1000000u)
#define FIRST_FD	  3
#define CONNECT_SEC	  30 /* for all addresses of a name together */

int forward_connect_fail(int channel, uint32_t id, enum forward_reason reason, const char *why)
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };

	msg_connect_failed_put(&w, &(struct msg_connect_failed){ id, reason, (char *)why });
	return chan_send_wait(channel, SEND_TIMEOUT_USEC, USER_CONNECT_FAILED, &w, NULL, 0);
}

static int answer(int channel, uint32_t id, int fd)
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };

	chan_put_u32(&w, id);
	return chan_send_wait(channel, SEND_TIMEOUT_USEC, USER_CONNECTED, &w, &fd, 1);
}

/* ---- in the process ---- */

/*
 * socket(7): a connect that takes longer than the time to send fails with EINPROGRESS, one to a
 * unix socket that nobody accepts on with EAGAIN.
 */
static int set_timeout(int fd, time_t sec)
{
	const struct timeval tv = { .tv_sec = sec };

	return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0 ? -errno : 0;
}

/* Return: the connected socket, ready for others to use; negative errno. */
static int connect_to(const struct sockaddr *addr, socklen_t len, time_t sec)
{
	_cleanup_close_ int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = set_timeout(fd, sec);
	if (r == 0 && connect(fd, addr, len) < 0)
		r = errno == EINPROGRESS || errno == EAGAIN ? -ETIMEDOUT : -errno;
	if (r == 0)
		r = set_timeout(fd, 0);
	if (r == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		r = -errno;
	if (r < 0)
		return r;
	if (addr->sa_family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	return take_fd(&fd);
}

static int connect_unix(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	return connect_to((struct sockaddr *)&addr, sizeof(addr), CONNECT_SEC);
}

/* Return: as above; -EHOSTUNREACH also with the resolver's *reterr_text, which is not to be freed.
 */
static int connect_tcp(const char *host, uint32_t port, const char **reterr_text)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	const struct addrinfo plain = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST };
	struct addrinfo *list = NULL;
	time_t n = 0;
	char service[8];
	int r;

	snprintf(service, sizeof(service), "%u", port);
	/* An address is one, also if this host has none of its family but on the loopback. */
	r = getaddrinfo(host, service, &plain, &list);
	if (r == EAI_NONAME)
		r = getaddrinfo(host, service, &hints, &list);
	if (r != 0) {
		*reterr_text = r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r);
		return -EHOSTUNREACH;
	}
	for (struct addrinfo *ai = list; ai; ai = ai->ai_next)
		n++;
	r = -EHOSTUNREACH;
	for (struct addrinfo *ai = list; ai && r < 0; ai = ai->ai_next)
		r = connect_to(ai->ai_addr, ai->ai_addrlen, CONNECT_SEC / n ?: 1);
	freeaddrinfo(list);
	return r;
}

/* Listening sockets and the like are to end when our parent closes them. */
static int keep_only(int channel)
{
	if (channel != FIRST_FD && dup2(channel, FIRST_FD) < 0)
		return -errno;
	return close_range(FIRST_FD + 1, ~0u, 0) < 0 ? -errno : FIRST_FD;
}

static _Noreturn void run(const struct msg_connect *msg, int channel, pid_t parent)
{
	const char *text = NULL;
	int fd, r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signals_reset();
	channel = keep_only(channel);
	if (channel < 0 || getppid() != parent)
		_exit(1);
	fd = msg->kind == FORWARD_UNIX ? connect_unix(msg->target)
				       : connect_tcp(msg->target, msg->port, &text);
	if (fd < 0)
		r = forward_connect_fail(channel, msg->id, FORWARD_CONNECT_FAILED,
					 text ? text : strerror(-fd));
	else
		r = answer(channel, msg->id, fd);
	_exit(r < 0);
}

int forward_connect_start(const struct msg_connect *msg, int channel, pid_t *ret_pid)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		run(msg, channel, parent);
	*ret_pid = pid;
	return 0;
}
