/*
 * The lines of a map stream after the first: authenticated by a key that only the two ends have.
 * coord/PROTOCOL-signatures.md shows it on the wire. Pure, but for the key pair's random numbers.
 *
 * Each end makes an X25519 key for the stream (wg_key_generate(), wg_key_public()); the public ones
 * travel in the signed request and in the signed first line (frame_sig.h), so nobody in between has
 * put his own there. From what they share, the request and the first line follows the stream's key.
 * Each line is numbered on both sides, from 1: none can be changed, left out, repeated or moved,
 * nor come from another stream, and none of that takes a byte of the line.
 *
 * The body is hashed once; a line costs 2 microseconds for each stream.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/frame_line.h"
#include "common/frame_sig.h"
#include "common/wgkey.h"

#define FRAME_MAC_LEN	16
#define FRAME_MAC_CHARS 22 /* base64url of it */

/* One end. Embed it; filled by frame_stream_begin(). */
struct frame_stream {
	uint8_t key[SHA256_LEN];
	uint64_t next; /* number of the line to come */
};

/*
 * ours: the private key of this end; theirs: the public one of the other. id: of the first line.
 * hello: SHA-256 of its body. Return: 0, -EINVAL: theirs is no key that shares a secret (a point of
 * small order); -EIO when libcrypto fails.
 */
int frame_stream_begin(const struct wg_key *ours, const struct wg_key *theirs,
		       const struct frame_id *id, const uint8_t hello[SHA256_LEN],
		       struct frame_stream *ret_stream);

/*
 * The authenticator of the next line, whose body has this SHA-256: FRAME_MAC_CHARS characters and a
 * NUL. Return: 0, -EIO; then the number is not used up.
 */
int frame_stream_seal(struct frame_stream *stream, const uint8_t digest[SHA256_LEN],
		      char ret_mac[FRAME_MAC_CHARS + 1]);

/*
 * Is it the next line? Without its newline; *ret_body points into it. Return: 0;
 *   -EINVAL, -EMSGSIZE	no authenticated line; see frame_line_split()
 *   -EKEYREJECTED	not what the other end sent as the next line: end the connection
 *   -EIO
 */
int frame_stream_open(struct frame_stream *stream, const char *line, size_t len,
		      const char **ret_body, size_t *ret_body_len);

/* Wipes. */
void frame_stream_done(struct frame_stream *stream);
