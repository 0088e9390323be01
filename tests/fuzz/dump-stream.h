/*
 * A fuzzer's input as the answers of a kernel: netlink messages, one after the other. NLMSG_DONE
 * ends a request, or with NLM_F_DUMP_INTR makes it start again; NLMSG_ERROR ends it with its error.
 * So are the seeds, which come from a real kernel.
 */
#pragma once

#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/netlink/nlsock.h"

struct dump_stream {
	const uint8_t *data;
	size_t len;
};

/* The next message, in memory of its own and of its size with the padding; NULL: no more. */
static inline struct nlmsghdr *dump_stream_next(struct dump_stream *stream)
{
	struct nlmsghdr header, *copy;
	size_t step;

	if (stream->len < sizeof(header))
		return NULL;
	memcpy(&header, stream->data, sizeof(header));
	if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > stream->len)
		return NULL;
	copy = calloc(1, NLMSG_ALIGN(header.nlmsg_len));
	if (!copy)
		abort();
	memcpy(copy, stream->data, header.nlmsg_len);
	step = NLMSG_ALIGN(header.nlmsg_len);
	if (step > stream->len)
		step = stream->len;
	stream->data += step;
	stream->len -= step;
	return copy;
}

static inline int dump_stream_error(const struct nlmsghdr *nlh)
{
	int error = 0;

	if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(error))
		memcpy(&error, mnl_nlmsg_get_payload(nlh), sizeof(error));
	return error > 0 || error < -4095 ? -EBADMSG : error;
}

/* As nlsock_request(). */
static inline int dump_stream_answer(struct dump_stream *stream, nlsock_answer_fn fn,
				     void (*restart)(void *userdata), void *userdata)
{
	struct nlmsghdr *nlh;
	int r = 0;

	for (bool more = true; more && r == 0 && (nlh = dump_stream_next(stream)); free(nlh)) {
		if (nlh->nlmsg_type == NLMSG_ERROR) {
			r = dump_stream_error(nlh);
			more = false;
		} else if (nlh->nlmsg_type == NLMSG_DONE) {
			more = nlh->nlmsg_flags & NLM_F_DUMP_INTR;
			if (more && restart)
				restart(userdata);
		} else {
			r = fn(nlh, userdata);
		}
	}
	return r;
}
