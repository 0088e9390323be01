#include "common/chan.h"
#include "common/clock.h"
#include "common/passed.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* ---- writer ---- */

void chan_writer_done(struct chan_writer *w)
{
	free(w->data);
	*w = (struct chan_writer){ 0 };
}

static uint8_t *writer_reserve(struct chan_writer *w, size_t n)
{
	uint8_t *place;

	if (w->error)
		return NULL;
	if (n > CHAN_MAX_PAYLOAD - w->len) {
		w->error = -EMSGSIZE;
		return NULL;
	}
	if (w->len + n > w->allocated) {
		size_t want = (w->len + n) * 2;
		uint8_t *data = realloc(w->data, want);

		if (!data) {
			w->error = -ENOMEM;
			return NULL;
		}
		w->data = data;
		w->allocated = want;
	}
	place = w->data + w->len;
	w->len += n;
	return place;
}

static void put_integer(struct chan_writer *w, uint64_t value, size_t n)
{
	uint8_t *p = writer_reserve(w, n);

	for (size_t i = 0; p && i < n; i++)
		p[i] = (uint8_t)(value >> (8 * (n - 1 - i)));
}

void chan_put_u8(struct chan_writer *w, uint8_t value)
{
	put_integer(w, value, 1);
}

void chan_put_u32(struct chan_writer *w, uint32_t value)
{
	put_integer(w, value, 4);
}

void chan_put_u64(struct chan_writer *w, uint64_t value)
{
	put_integer(w, value, 8);
}

void chan_put_bytes(struct chan_writer *w, const void *data, size_t len)
{
	uint8_t *p;

	if (len > CHAN_MAX_PAYLOAD) {
		w->error = w->error ? w->error : -EMSGSIZE;
		return;
	}
	chan_put_u32(w, (uint32_t)len);
	p = writer_reserve(w, len);
	if (p && len > 0)
		memcpy(p, data, len);
}

void chan_put_string(struct chan_writer *w, const char *s)
{
	chan_put_bytes(w, s ? s : "", s ? strlen(s) : 0);
}

/* ---- reader ---- */

static const uint8_t *reader_take(struct chan_reader *r, size_t n)
{
	const uint8_t *p = r->data;

	if (!r->error && n > r->len)
		r->error = -EBADMSG;
	if (r->error)
		return NULL;
	r->data += n;
	r->len -= n;
	return p;
}

static uint64_t get_integer(struct chan_reader *r, size_t n)
{
	const uint8_t *p = reader_take(r, n);
	uint64_t value = 0;

	for (size_t i = 0; p && i < n; i++)
		value = value << 8 | p[i];
	return value;
}

uint8_t chan_get_u8(struct chan_reader *r)
{
	return (uint8_t)get_integer(r, 1);
}

bool chan_get_bool(struct chan_reader *r)
{
	uint8_t value = chan_get_u8(r);

	if (!r->error && value > 1)
		r->error = -EBADMSG;
	return value == 1;
}

uint32_t chan_get_u32(struct chan_reader *r)
{
	return (uint32_t)get_integer(r, 4);
}

uint64_t chan_get_u64(struct chan_reader *r)
{
	return get_integer(r, 8);
}

const uint8_t *chan_get_bytes(struct chan_reader *r, size_t max, size_t *ret_len)
{
	size_t len = chan_get_u32(r);
	const uint8_t *p;

	if (!r->error && len > max)
		r->error = -EBADMSG;
	p = reader_take(r, len);
	*ret_len = p ? len : 0;
	return p;
}

char *chan_get_string(struct chan_reader *r, size_t max)
{
	size_t len;
	const uint8_t *p = chan_get_bytes(r, max, &len);
	char *s;

	if (!p)
		return NULL;
	if (memchr(p, '\0', len)) {
		r->error = -EBADMSG;
		return NULL;
	}
	s = strndup((const char *)p, len);
	if (!s)
		r->error = -ENOMEM;
	return s;
}

int chan_reader_end(struct chan_reader *r)
{
	if (!r->error && r->len > 0)
		r->error = -EBADMSG;
	return r->error;
}

/* ---- channel ---- */

void chan_msg_done(struct chan_msg *msg)
{
	free(msg->data);
	for (size_t i = 0; i < msg->n_fds; i++)
		close_fd(msg->fds[i]);
	*msg = (struct chan_msg){ 0 };
}

void chan_msg_drop(struct chan_msg *msg)
{
	for (size_t i = 0; i < msg->n_fds; i++)
		passed_drop(msg->fds[i]);
	msg->n_fds = 0;
	chan_msg_done(msg);
}

struct chan_reader chan_msg_reader(const struct chan_msg *msg)
{
	return (struct chan_reader){ .data = msg->data, .len = msg->len };
}

int chan_pair(int ret_fds[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret_fds) < 0)
		return -errno;
	return 0;
}

/* As many as the kernel lets through (SCM_MAX_FD): those that do not fit it closes itself. */
#define MOST_FDS 253

union fd_space {
	char buf[CMSG_SPACE(sizeof(int) * MOST_FDS)];
	struct cmsghdr align;
};

int chan_send(int fd, uint32_t type, const struct chan_writer *w, const int *fds, size_t n_fds)
{
	uint8_t head[4] = { type >> 24, type >> 16 & 0xff, type >> 8 & 0xff, type & 0xff };
	struct iovec iov[2] = { { head, sizeof(head) } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 1 };
	union fd_space space = { 0 };
	ssize_t n;

	if (w && w->error)
		return w->error;
	if (n_fds > CHAN_MAX_FDS)
		return -EINVAL;
	if (w && w->len > 0)
		iov[mh.msg_iovlen++] = (struct iovec){ w->data, w->len };
	if (n_fds > 0) {
		struct cmsghdr *cmsg = &space.align;

		mh.msg_control = space.buf;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n_fds);
	}
	do
		n = sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* Puts the received descriptors into msg. Return: 0, -EBADMSG. */
static int take_fds(struct msghdr *mh, struct chan_msg *msg)
{
	int r = mh->msg_flags & MSG_CTRUNC ? -EBADMSG : 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fd;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (msg->n_fds < CHAN_MAX_FDS) {
				msg->fds[msg->n_fds++] = fd;
			} else {
				passed_drop(fd);
				r = -EBADMSG;
			}
		}
	}
	return r;
}

/*
 * A peer that closed its end with something unread there is told of by an error, once, ahead of
 * what it has said before (Linux, unix_release_sock()). Its end itself is told of behind that.
 */
static bool try_again(bool *told)
{
	bool again = errno == EINTR || (errno == ECONNRESET && !*told);

	*told |= errno == ECONNRESET;
	return again;
}

/* The length of the next message, without taking it. */
static ssize_t peek_length(int fd, bool *told)
{
	ssize_t n;

	do
		n = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
	while (n < 0 && try_again(told));
	return n < 0 ? -errno : n;
}

int chan_receive(int fd, struct chan_msg *ret_msg)
{
	struct chan_msg msg = { 0 };
	union fd_space space = { 0 };
	uint8_t head[4];
	struct iovec iov[2] = { { head, sizeof(head) } };
	struct msghdr mh = { .msg_iov = iov,
			     .msg_iovlen = 2,
			     .msg_control = space.buf,
			     .msg_controllen = sizeof(space.buf) };
	bool told = false;
	ssize_t n = peek_length(fd, &told);
	int r;

	if (n < 0)
		return (int)n;
	/* A sequenced packet of no bytes reads like the end; our side never sends one. */
	if (n == 0)
		return -ECONNRESET;
	if (n < (ssize_t)sizeof(head) || (size_t)n > sizeof(head) + CHAN_MAX_PAYLOAD)
		return -EBADMSG;
	msg.len = (size_t)n - sizeof(head);
	msg.data = malloc(msg.len ? msg.len : 1);
	if (!msg.data)
		return -ENOMEM;
	iov[1] = (struct iovec){ msg.data, msg.len };

	do
		n = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && try_again(&told));
	if (n < 0) {
		r = -errno;
	} else {
		r = take_fds(&mh, &msg);
		if (mh.msg_flags & MSG_TRUNC || (size_t)n != sizeof(head) + msg.len)
			r = -EBADMSG;
	}
	if (r < 0) {
		chan_msg_drop(&msg);
		return r;
	}
	msg.type = (uint32_t)head[0] << 24 | head[1] << 16 | head[2] << 8 | head[3];
	*ret_msg = msg;
	return 0;
}

/* ---- waiting ---- */

/* Return: 0 when ready or hung up, -ETIME. */
static int wait_for(int fd, short events, uint64_t deadline)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = events };
		uint64_t now = clock_usec(CLOCK_MONOTONIC);
		int n;

		if (now >= deadline)
			return -ETIME;
		n = poll(&p, 1, (int)((deadline - now + 999) / 1000));
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

int chan_receive_wait(int fd, uint64_t timeout_usec, struct chan_msg *ret_msg)
{
	uint64_t deadline = clock_usec(CLOCK_MONOTONIC) + timeout_usec;

	for (;;) {
		int r = chan_receive(fd, ret_msg);

		if (r != -EAGAIN)
			return r;
		r = wait_for(fd, POLLIN, deadline);
		if (r < 0)
			return r;
	}
}

int chan_send_wait(int fd, uint64_t timeout_usec, uint32_t type, const struct chan_writer *w,
		   const int *fds, size_t n_fds)
{
	uint64_t deadline = clock_usec(CLOCK_MONOTONIC) + timeout_usec;

	for (;;) {
		int r = chan_send(fd, type, w, fds, n_fds);

		if (r != -EAGAIN)
			return r;
		r = wait_for(fd, POLLOUT, deadline);
		if (r < 0)
			return r;
	}
}
