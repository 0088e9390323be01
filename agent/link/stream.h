/*
 * The stream of maps from its bytes to its objects (coord/PROTOCOL-signatures.md, "Signed frames"):
 * lines are put together, known to be the coordinator's, and only then parsed. Pure.
 *
 * A whole map may have 64 MiB: it is held once as text, which is let go before what it says is
 * made use of.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/ed25519.h"
#include "common/wgkey.h"

struct link_stream;

enum link_object {
	LINK_OBJECT_FULL,
	LINK_OBJECT_DELTA,
	LINK_OBJECT_KEEPALIVE,
	LINK_OBJECT_END,
};

struct link_stream_config {
	struct ed25519_public coordinator;
	struct ed25519_public machine; /* who asked */
	uint64_t nonce;		       /* of the request */
	struct wg_key ephemeral;       /* private key, for this stream only */
	const char *node_id;	       /* borrowed for good */

	/* The first line was good. */
	void (*on_hello)(void *userdata);
	/*
	 * An object of the stream. Return: 0; negative errno, which ends the stream, and
	 * *reterr_text (link_stream_take()'s).
	 */
	int (*on_object)(enum link_object type, const json_t *object, void *userdata,
			 char **reterr_text);
	void *userdata;
};

/* config is copied. Return: 0, -ENOMEM. */
int link_stream_new(const struct link_stream_config *config, struct link_stream **ret_stream);
/* Wipes. Not from within a callback. */
struct link_stream *link_stream_free(struct link_stream *stream);
DEFINE_CLEANUP(struct link_stream *, link_stream_free);

/*
 * Bytes, in pieces of any size. Return: 0; negative errno, after which the connection is to be
 * ended, and *reterr_text (the caller's; may stay NULL without memory): -EKEYREJECTED: not what the
 * coordinator sent; -EINVAL, -EMSGSIZE: not a line, or not an object of the protocol; on_object's;
 * -ENOMEM, -EIO.
 */
int link_stream_take(struct link_stream *stream, const char *data, size_t len, char **reterr_text);
/* Lines that were what they should be, the first one included. */
uint64_t link_stream_lines(const struct link_stream *stream);
