#include "sshgw/net/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "sshgw/libssh/private.h"

/*
 * libssh puts at most 32768 - 10 bytes into a packet, whatever the client would take: whole
 * packets, no small rests.
 */
#define PACKET_BYTES 32758u
#define PIECE_BYTES  (8 * PACKET_BYTES)

static uint64_t moved;

uint64_t pump_moved(void)
{
	return moved;
}

/* ---- output ---- */

void pump_out_init(struct pump_out *p, bool is_stderr)
{
	*p = (struct pump_out){ .fd = -1, .is_stderr = is_stderr };
}

static void give_up(struct pump_out *p)
{
	p->fd = p->borrowed ? -1 : close_fd(p->fd);
}

void pump_out_done(struct pump_out *p)
{
	give_up(p);
	free(p->rest);
	pump_out_init(p, p->is_stderr);
}

void pump_out_stop(struct pump_out *p, bool still_written)
{
	if (!still_written)
		p->fd = close_fd(p->fd);
	free(take_ptr(p->rest));
	p->len = 0;
	p->stopped = true;
}

bool pump_out_is_over(const struct pump_out *p)
{
	return (p->fd < 0 || p->stopped) && p->len == 0;
}

/*
 * Not while packets are queued: they are memory, and who does not read them gets no more. While
 * keys are exchanged all would be.
 */
static bool can_send(const struct net *net, ssh_channel channel)
{
	return ssh_channel_window_size(channel) > 0 && !rekey_is_under_way(&net->rekey) &&
	       !(ssh_get_status(net->ssh) & SSH_WRITE_PENDING);
}

bool pump_out_wants_data(const struct pump_out *p, const struct net *net, ssh_channel channel)
{
	return p->fd >= 0 && !p->stopped && p->len == 0 && can_send(net, channel);
}

/* Return: bytes that libssh took: none during a rekey, in which it would have to queue them. */
static size_t send_some(const struct pump_out *p, ssh_channel channel, const void *data, size_t len)
{
	int n = p->is_stderr ? ssh_channel_write_stderr(channel, data, (uint32_t)len)
			     : ssh_channel_write(channel, data, (uint32_t)len);

	/* An error shows as a closed session. */
	return n > 0 ? (size_t)n : 0;
}

static void send_rest(struct pump_out *p, ssh_channel channel)
{
	size_t n = send_some(p, channel, p->rest + p->start, p->len);

	p->start += n;
	p->len -= n;
	if (p->len > 0)
		return;
	free(p->rest);
	p->rest = NULL;
	p->start = 0;
}

static int keep_rest(struct pump_out *p, const uint8_t *data, size_t len)
{
	p->rest = malloc(len);
	if (!p->rest)
		return -ENOMEM;
	memcpy(p->rest, data, len);
	p->start = 0;
	p->len = len;
	return 0;
}

static int move_piece(struct pump_out *p, ssh_channel channel)
{
	/* One for all sessions: nothing stays in it from one call to the next. */
	static uint8_t piece[PIECE_BYTES];
	size_t window = ssh_channel_window_size(channel), sent;
	ssize_t n = read(p->fd, piece, window < sizeof(piece) ? window : sizeof(piece));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		/* EIO: the last process closed the terminal. */
		give_up(p);
		return 0;
	}
	p->bytes += (size_t)n;
	moved += (uint64_t)n;
	sent = send_some(p, channel, piece, (size_t)n);
	return sent < (size_t)n ? keep_rest(p, piece + sent, (size_t)n - sent) : 0;
}

int pump_out_move(struct pump_out *p, const struct net *net, ssh_channel channel)
{
	if (p->len > 0 && can_send(net, channel))
		send_rest(p, channel);
	if (p->polled && p->polled->revents && pump_out_wants_data(p, net, channel))
		return move_piece(p, channel);
	return 0;
}

/* ---- input ---- */

void pump_in_init(struct pump_in *p)
{
	*p = (struct pump_in){ .fd = -1 };
}

/* They are in nobody's memory any more. */
static void count_used(struct pump_in *p, size_t n)
{
	if (p->window)
		p->window->window.used += n;
}

size_t pump_in_skip(struct pump_in *p, size_t len)
{
	count_used(p, len);
	return len;
}

void pump_in_close(struct pump_in *p)
{
	if (!p->borrowed)
		close_fd(p->fd);
	free(p->buf);
	count_used(p, p->len);
	*p = (struct pump_in){
		.fd = -1,
		.closed = true,
		.waiting = p->waiting,
		.window = p->window,
		.bytes = p->bytes,
	};
}

/* Return: bytes written; 0: none for now; -EPIPE and others: the program has closed its end. */
static ssize_t write_some(struct pump_in *p, const void *data, size_t len)
{
	ssize_t n = write(p->fd, data, len);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return -errno;
	moved += (uint64_t)n;
	p->bytes += (size_t)n;
	count_used(p, (size_t)n);
	return n;
}

size_t pump_in_take(struct pump_in *p, const void *data, size_t len)
{
	ssize_t n = 0;

	if (p->closed) {
		p->waiting = false;
		return pump_in_skip(p, len);
	}
	if (p->fd >= 0 && p->len == 0)
		n = write_some(p, data, len);
	/* That the program has closed its end is found again, and told, by pump_in_move(). */
	if (n < 0)
		n = 0;
	p->waiting = (size_t)n < len;
	return (size_t)n;
}

bool pump_in_wants_room(const struct pump_in *p)
{
	return p->fd >= 0 && (p->len > 0 || p->waiting);
}

bool pump_in_is_over(const struct pump_in *p, ssh_channel channel)
{
	return p->len == 0 && !p->waiting && ssh_channel_is_eof(channel);
}

/* One piece of what libssh holds; without memory, it stays where it is. */
static void refill(struct pump_in *p, ssh_channel channel)
{
	int all = ssh_channel_poll(channel, 0), n = all < (int)PIECE_BYTES ? all : (int)PIECE_BYTES;

	p->waiting = n > 0;
	if (n <= 0)
		return;
	p->buf = malloc((size_t)n);
	if (!p->buf)
		return;
	p->waiting = n < all;
	n = ssh_channel_read_nonblocking(channel, p->buf, (uint32_t)n, 0);
	p->start = 0;
	p->len = n > 0 ? (size_t)n : 0;
}

static void used(struct pump_in *p, size_t n)
{
	p->start += n;
	p->len -= n;
	if (p->len == 0)
		free(take_ptr(p->buf));
}

/* What came for a program that has closed its end. */
static void throw_away(struct pump_in *p, ssh_channel channel)
{
	while (p->waiting) {
		refill(p, channel);
		if (p->len == 0)
			return;
		count_used(p, p->len);
		used(p, p->len);
	}
}

int pump_in_move(struct pump_in *p, ssh_channel channel)
{
	ssize_t n;

	if (p->closed)
		throw_away(p, channel);
	if (p->fd < 0)
		return 0;
	if (p->len == 0 && p->waiting)
		refill(p, channel);
	if (p->len == 0)
		return 0;
	n = write_some(p, p->buf + p->start, p->len);
	if (n < 0)
		return (int)n;
	used(p, (size_t)n);
	return 0;
}

/* ---- both ---- */

/* EOF first: libssh would forget to close where the EOF it sends itself has to wait. */
void pump_close_channel(ssh_channel channel)
{
	ssh_channel_send_eof(channel);
	ssh_channel_close(channel);
}

/*
 * libssh would keep it until the client has closed it as well, and some clients never would. No
 * number is used again, so that what still comes for it is for nobody.
 */
void pump_free_channel(const struct net *net, ssh_channel channel, uint32_t local)
{
	ssh_channel_free(channel);
	channel = ssh_channel_from_local(net->ssh, local);
	if (channel)
		ssh_channel_do_free(channel);
}

void pump_set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}
