/*
 * The privilege separation channel: bounded, typed messages over a SOCK_SEQPACKET pair, each with
 * at most CHAN_MAX_FDS descriptors. A message that is too long, truncated, or carries more or fewer
 * descriptors than its receiver expects is an error; descriptors are never leaked.
 *
 * Payloads are written and read field by field (big-endian integers, length-prefixed bytes). A
 * reader must insist on the end of the message: chan_reader_end().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

#define CHAN_MAX_PAYLOAD (192u << 10) /* bytes; below the kernel's default socket buffer */
#define CHAN_MAX_FDS	 3u

/* ---- payload writer: grows, remembers its first failure ---- */

struct chan_writer {
	uint8_t *data;
	size_t len, allocated;
	int error; /* 0, -ENOMEM, -EMSGSIZE */
};

void chan_writer_done(struct chan_writer *w);
void chan_put_u8(struct chan_writer *w, uint8_t value);
void chan_put_u32(struct chan_writer *w, uint32_t value);
void chan_put_u64(struct chan_writer *w, uint64_t value);
void chan_put_bytes(struct chan_writer *w, const void *data, size_t len);
/* NULL is written as an empty string. */
void chan_put_string(struct chan_writer *w, const char *s);

/* ---- payload reader: borrows; after the first failure everything reads as zero ---- */

struct chan_reader {
	const uint8_t *data;
	size_t len;
	int error; /* 0, -EBADMSG */
};

uint8_t chan_get_u8(struct chan_reader *r);
/* Anything but 0 and 1 is an error. */
bool chan_get_bool(struct chan_reader *r);
uint32_t chan_get_u32(struct chan_reader *r);
uint64_t chan_get_u64(struct chan_reader *r);
/* Borrowed from the message. More than max bytes is an error. */
const uint8_t *chan_get_bytes(struct chan_reader *r, size_t max, size_t *ret_len);
/* A copy with a final NUL, the caller's to free; NUL inside is an error. NULL on error. */
char *chan_get_string(struct chan_reader *r, size_t max);
/* 0 when all was read and nothing was wrong; -EBADMSG, -ENOMEM. */
int chan_reader_end(struct chan_reader *r);

/* ---- channel ---- */

struct chan_msg {
	uint32_t type;
	uint8_t *data; /* owned */
	size_t len;
	int fds[CHAN_MAX_FDS]; /* owned, -1 when absent or taken */
	size_t n_fds;
};
/* Frees the payload and closes the descriptors that nobody took. */
void chan_msg_done(struct chan_msg *msg);
/* The same for a message of a process that is not trusted, whose descriptors passed_drop() gets. */
void chan_msg_drop(struct chan_msg *msg);
struct chan_reader chan_msg_reader(const struct chan_msg *msg);

/* Two connected ends, close-on-exec, non-blocking. */
int chan_pair(int ret_fds[2]);

/*
 * Send one message whole; fds stay the caller's. w may be NULL (empty payload); it is not freed.
 * Return: 0, -EAGAIN (the other side does not read), -EPIPE or -ECONNRESET (it is gone), w's own
 * error, ...
 */
int chan_send(int fd, uint32_t type, const struct chan_writer *w, const int *fds, size_t n_fds);

/*
 * Receive one message.
 * Return: 0, -EAGAIN (none), -ECONNRESET (end of channel), -EBADMSG (too long, truncated, too
 * many descriptors), -ENOMEM.
 */
int chan_receive(int fd, struct chan_msg *ret_msg);

/* As above, waiting up to timeout_usec. Return: besides those, -ETIME. */
int chan_receive_wait(int fd, uint64_t timeout_usec, struct chan_msg *ret_msg);
int chan_send_wait(int fd, uint64_t timeout_usec, uint32_t type, const struct chan_writer *w,
		   const int *fds, size_t n_fds);
