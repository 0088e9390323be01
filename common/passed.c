#include "common/passed.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"

/* An urgent byte is skipped otherwise, and what came with it dropped without being shown. */
void passed_prepare(int fd)
{
	(void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &(int){ 1 }, sizeof(int));
}

/* recvmsg() without room for descriptors says that there are some, and a look drops nothing. */
static ssize_t look(int fd, void *buf, size_t size, bool *ret_more)
{
	struct iovec iov = { buf, size };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n = recvmsg(fd, &mh, MSG_PEEK | MSG_DONTWAIT);

	*ret_more = n >= 0 && mh.msg_flags & MSG_CTRUNC;
	return n;
}

ssize_t passed_read(int fd, void *buf, size_t size)
{
	bool has_fds;
	ssize_t n = look(fd, buf, size, &has_fds);

	if (n > 0 && has_fds)
		return -EBADMSG;
	/* Exactly what was seen: what has come since may have brought descriptors. */
	if (n > 0)
		n = recv(fd, buf, (size_t)n, MSG_DONTWAIT);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	return n;
}

static bool option_is(int fd, int option, int expected)
{
	int value;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 && value == expected;
}

/*
 * Nothing can come any more, and what is there is as much as the sender's buffer holds: bytes alone
 * are taken off. They must not cost a process, since anybody may send some.
 */
static bool is_stream_empty(int fd)
{
	char buf[16 << 10];
	ssize_t n;

	do
		n = passed_read(fd, buf, sizeof(buf));
	while (n > 0);
	return n != -EBADMSG && n != -EAGAIN;
}

/*
 * With SO_PASSCRED each packet has something that we have no room for, one without bytes too; the
 * end has not.
 */
static bool is_packet_queue_empty(int fd)
{
	bool has_credentials;
	char byte;
	ssize_t n;

	(void)setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &(int){ 1 }, sizeof(int));
	do
		n = look(fd, &byte, 1, &has_credentials);
	while (n < 0 && errno == EINTR);
	return n < 0 || (n == 0 && !has_credentials);
}

/* What waits to be accepted cannot be looked at. */
static bool is_empty(int fd)
{
	if (option_is(fd, SO_ACCEPTCONN, 1))
		return false;
	passed_prepare(fd);
	return option_is(fd, SO_TYPE, SOCK_SEQPACKET) ? is_packet_queue_empty(fd)
						      : is_stream_empty(fd);
}

/*
 * Until the other end of the pipe is closed. Whatever else was inherited is left to the end of this
 * process as well: to close it here could be to drop a last reference, the others of its kind
 * having been quicker.
 */
static _Noreturn void hold(const int ends[2])
{
	char byte;

	close(ends[1]);
	while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

/*
 * A child has the last reference, and drops it by its end: a process that exits does not linger.
 * Return: false: there is none to be had, and the descriptor stays open.
 */
static bool close_aside(int fd)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	pid = _Fork();
	if (pid == 0)
		hold(ends);
	if (pid > 0)
		close(fd);
	close(ends[0]);
	close(ends[1]);
	return pid > 0;
}

/*
 * Descriptors for which there was no process, until there is one again. What finds no place stays
 * open: better one descriptor less than to stand still.
 */
static struct {
	int fds[64];
	size_t n;
} kept;

static void close_aside_or_keep(int fd)
{
	if (!close_aside(fd)) {
		if (kept.n < sizeof(kept.fds) / sizeof(kept.fds[0]))
			kept.fds[kept.n++] = fd;
		return;
	}
	while (kept.n > 0 && close_aside(kept.fds[kept.n - 1]))
		kept.n--;
}

int passed_close(int fd)
{
	int saved = errno;

	if (fd < 0)
		return -1;
	/* From here on the queue does not grow; the other side knows, however long the rest takes.
	 */
	shutdown(fd, SHUT_RDWR);
	if (is_empty(fd))
		close(fd);
	else
		close_aside_or_keep(fd);
	errno = saved;
	return -1;
}

bool passed_is_pipe(int fd)
{
	return fcntl(fd, F_GETPIPE_SZ) >= 0;
}

/* /dev/ptmx, wherever that is (Documentation/admin-guide/devices.txt). */
bool passed_is_terminal_master(int fd)
{
	struct statx stx;

	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &stx) == 0 &&
	       S_ISCHR(stx.stx_mode) && stx.stx_rdev_major == 5 && stx.stx_rdev_minor == 2;
}

bool passed_is_socket(int fd)
{
	int type;
	socklen_t len = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
}

bool passed_is_connection(int fd)
{
	int family;
	socklen_t len = sizeof(family);

	if (!option_is(fd, SO_TYPE, SOCK_STREAM) || !option_is(fd, SO_ACCEPTCONN, 0) ||
	    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) < 0)
		return false;
	return family == AF_INET || family == AF_INET6 || family == AF_UNIX;
}

void passed_drop(int fd)
{
	int saved = errno;

	if (fd < 0)
		return;
	if (passed_is_pipe(fd) || passed_is_terminal_master(fd))
		close(fd);
	else if (passed_is_socket(fd))
		close_aside_or_keep(fd);
	errno = saved;
}
