/*
 * The body of a line: made and hashed once, for any number of streams. What authenticates it to
 * each is apart from it (common/frame_stream.h).
 */
#pragma once

#include "common/sha256.h"
#include "coord/http/buf.h"
#include "coord/policy/policy.h"

struct map_frame {
	unsigned n_refs;
	struct http_buf *line;	    /* with the newline */
	uint8_t digest[SHA256_LEN]; /* of the object, without it */
};

/*
 * One JSON object, without a newline. Takes what text has, also on failure. Return: 0 and the
 * caller's reference; -ENOMEM (as text says, too), -EIO when libcrypto fails.
 */
int map_frame_take(struct policy_text *text, struct map_frame **ret_frame);
struct map_frame *map_frame_ref(struct map_frame *frame);
struct map_frame *map_frame_unref(struct map_frame *frame); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct map_frame *, map_frame_unref);

/* Bytes of the line's body, newline included. */
size_t map_frame_len(const struct map_frame *frame);
