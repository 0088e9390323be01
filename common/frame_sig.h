/*
 * What a coordinator says, signed by its key: the lines of a map stream, and answers that an agent
 * acts upon. coord/PROTOCOL-signatures.md shows it on the wire. Pure.
 *
 * A line is 86 characters of base64url, a blank, and the body: one JSON object as it is, since the
 * signature covers its bytes. It covers as well whose request is being answered (machine key and
 * nonce) and the line's number, which both sides count from 1. So no line can be given to another
 * agent, be repeated, left out or moved, come from an earlier stream, or pass for an answer of
 * another kind; none of that takes a byte of the line.
 *
 * The body is hashed once, and the digest signed for each stream: 40 microseconds.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/ed25519.h"
#include "common/sha256.h"

#define FRAME_SIG_CHARS 86
#define FRAME_MAX_BODY	(64u << 20) /* of a line */

enum frame_purpose {
	FRAME_MAP,    /* a line of a map stream */
	FRAME_ANSWER, /* the body of any other answer; its number is the HTTP status */
};

/* What a line answers. */
struct frame_id {
	enum frame_purpose purpose;
	struct ed25519_public machine; /* who asked: keyid */
	uint64_t nonce;		       /* of the request */
	uint64_t number;	       /* of the line, from 1; or the status */
};

/*
 * Sign a body that has this SHA-256 (sha256.h). Writes FRAME_SIG_CHARS characters and a NUL.
 * Return: 0, -ENOMEM, -EIO.
 */
int frame_sign(const struct ed25519_key *coordinator, const struct frame_id *id,
	       const uint8_t digest[SHA256_LEN], char ret_sig[FRAME_SIG_CHARS + 1]);

/*
 * Is it what the coordinator said here? sig_len without a NUL. Return: 0;
 *   -EINVAL		sig is no text of a signature
 *   -EKEYREJECTED	not signed by this key, or for another place, or another body
 *   -ENOMEM, -EIO
 */
int frame_verify(const struct ed25519_public *coordinator, const struct frame_id *id,
		 const char *sig, size_t sig_len, const void *body, size_t body_len);

/*
 * The same of a line of a map stream, without its newline. *ret_body points into it. Return as
 * above, and
 *   -EINVAL		also: no blank or no object behind the signature, or a newline or NUL in it
 *   -EMSGSIZE		the body has more than FRAME_MAX_BODY bytes
 */
int frame_verify_line(const struct ed25519_public *coordinator, const struct frame_id *id,
		      const char *line, size_t len, const char **ret_body, size_t *ret_body_len);
