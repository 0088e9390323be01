/*
 * libssh registers the connection in its poll loop by ssh_poll_new(). The linker hands that call to
 * us (-Wl,--wrap=ssh_poll_new), and we put a callback of our own in front of libssh's. That does
 * the key exchange's reading still, all writing, and whatever is to be done at an end or an error;
 * so a wrap that were missed would cost time and nothing else.
 */
#include "sshgw/net/receive.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "sshgw/libssh/private.h"

/* For each packet, the parser calls itself: what one piece can hold of the smallest is bearable. */
#define READ_BYTES (64u << 10)
/* The largest packet that libssh takes, with length and authentication tag, and a piece. */
#define ROOM_BYTES ((256u << 10) + 128 + READ_BYTES)
/* Go on while the connection has more, but let the others have a turn. */
#define MAX_READS_PER_TURN 8
/* What libssh puts around a packet's payload, at least: length, padding, authentication tag. */
#define WRAPPING_BYTES 24u
/* Answers that wait because the client does not read: more than channels put there at a time. */
#define MAX_UNREAD (1u << 20)
/* After the login, where such a client's connection is given up. */
#define MAX_UNREAD_IN_SESSION (4u << 20)

static struct {
	struct net *net;
	ssh_poll_callback libssh; /* its own callback */
	uint8_t *buf;		  /* ROOM_BYTES; what no packet needs is never touched */
	size_t start, end;
	bool ours;    /* libssh reads no more */
	bool reading; /* it is time to: libssh calls its poll loop, and so us, also when it sends */
	bool parsing; /* and from within what it does with a packet */
	bool more;    /* the last read filled all there was to fill */
	struct ssh_counter_struct wire,
		payload;		  /* libssh's, of all that it wrote, and was to write */
	uint64_t seen_wire, seen_payload; /* those, in the turn before */
	uint64_t seen_packets;
	uint64_t unread; /* bytes that libssh keeps */
} in;

ssh_poll_handle __real_ssh_poll_new(socket_t fd, short events, ssh_poll_callback cb,
				    void *userdata);
ssh_poll_handle __wrap_ssh_poll_new(socket_t fd, short events, ssh_poll_callback cb,
				    void *userdata);

/*
 * libssh queues without limit what the connection does not take. It does not say how much that is,
 * but what it was given and what went out.
 */
static void count_unread(const struct net *net)
{
	uint64_t written = in.wire.out_bytes - in.seen_wire;

	in.unread += in.payload.out_bytes - in.seen_payload +
		     (in.payload.out_packets - in.seen_packets) * WRAPPING_BYTES;
	in.unread -= written < in.unread ? written : in.unread;
	if (!(ssh_get_status(net->ssh) & SSH_WRITE_PENDING))
		in.unread = 0;
	in.seen_wire = in.wire.out_bytes;
	in.seen_payload = in.payload.out_bytes;
	in.seen_packets = in.payload.out_packets;
}

/*
 * Only before the login: afterwards it may be the client's answer that lets output go on (new keys,
 * windows), and nothing of that may wait for the output. Channels put nothing there while something
 * waits, so whoever reads comes nowhere near the limit.
 */
bool receive_may(void)
{
	return in.net->state == NET_STATE_OPEN || in.unread <= MAX_UNREAD;
}

/* From the first moment after the key exchange at which libssh has no half packet in its buffer. */
static bool is_ours(void)
{
	if (in.ours || !in.net->kex_done || ssh_get_status(in.net->ssh) & SSH_READ_PENDING)
		return in.ours;
	in.buf = malloc(ROOM_BYTES);
	in.ours = in.buf != NULL;
	return in.ours;
}

/*
 * Return: 0; -ECONNRESET: end or error, for libssh to find out again. There it is an end for it,
 * since the kernel tells an error once; as the reason it takes errno, whatever that was of.
 */
static int read_piece(void)
{
	ssize_t n;

	if (in.end + READ_BYTES > ROOM_BYTES) {
		memmove(in.buf, in.buf + in.start, in.end - in.start);
		in.end -= in.start;
		in.start = 0;
	}
	/* Full of what the parser does not take: it has given up. */
	if (in.end + READ_BYTES > ROOM_BYTES)
		return -ECONNRESET;
	n = recv(NET_FD_CONNECTION, in.buf + in.end, READ_BYTES, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n == 0)
		errno = 0;
	if (n <= 0)
		return -ECONNRESET;
	in.end += (size_t)n;
	in.more = n == READ_BYTES;
	return 0;
}

static void parse(void)
{
	size_t n = 1;

	in.parsing = true;
	while (in.end > in.start && n > 0 &&
	       !(ssh_get_status(in.net->ssh) & (SSH_CLOSED | SSH_CLOSED_ERROR))) {
		n = ssh_packet_socket_callback(in.buf + in.start, in.end - in.start, in.net->ssh);
		/* More than there was is the parser's way to say that something went wrong. */
		in.start = n <= in.end - in.start ? in.start + n : in.end;
	}
	if (in.start == in.end)
		in.start = in.end = 0;
	in.parsing = false;
}

static int on_connection(ssh_poll_handle handle, socket_t fd, int revents, void *userdata)
{
	/* Each packet may ask for an answer. An end is still noticed. */
	if (!receive_may() && !(revents & (POLLHUP | POLLERR)))
		revents &= ~POLLIN;
	if (!is_ours())
		return in.libssh(handle, fd, revents, userdata);
	/*
	 * What came while channels are looked after would not be seen before the next event, which
	 * may never come.
	 */
	if ((revents & (POLLIN | POLLHUP | POLLERR)) && in.reading && !in.parsing) {
		if (read_piece() < 0)
			return in.libssh(handle, fd, POLLIN, userdata);
		parse();
	}
	/* Not the handle itself, which may have gone in between: libssh looks whether it has. */
	return in.libssh(handle, fd, revents & POLLOUT, userdata);
}

ssh_poll_handle __wrap_ssh_poll_new(socket_t fd, short events, ssh_poll_callback cb, void *userdata)
{
	if (fd != NET_FD_CONNECTION || !in.net)
		return __real_ssh_poll_new(fd, events, cb, userdata);
	in.libssh = cb;
	return __real_ssh_poll_new(fd, events, on_connection, userdata);
}

void receive_init(struct net *net)
{
	free(in.buf);
	memset(&in, 0, sizeof(in));
	in.net = net;
}

void receive_start(struct net *net)
{
	ssh_set_counters(net->ssh, &in.wire, &in.payload);
}

void receive_turn(struct net *net, bool readable)
{
	int turns = 0;

	in.reading = true;
	do {
		in.more = false;
		if (ssh_event_dopoll(net->event, 0) == SSH_ERROR)
			break;
		count_unread(net);
		if (in.unread > MAX_UNREAD_IN_SESSION && net->state == NET_STATE_OPEN)
			net_give_up(net, LOG_NOTICE, "The client does not read its answers");
	} while (readable && in.more && receive_may() && ++turns < MAX_READS_PER_TURN);
	in.reading = false;
}
