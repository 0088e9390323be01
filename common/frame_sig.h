/*
 * What a coordinator says, signed by its key: the first line of a map stream, and answers that an
 * agent acts upon. coord/PROTOCOL-signatures.md shows it on the wire. Pure.
 *
 * A signature covers the bytes of what is said, and whose request is being answered (machine key
 * and nonce). So it cannot be given to another agent, come from an earlier time, or pass for an
 * answer of another kind. The lines after the first are authenticated by a key that follows from it
 * (frame_stream.h): a signature takes 40 microseconds, and a change goes to 10,000 agents.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/ed25519.h"
#include "common/frame_line.h"
#include "common/sha256.h"

#define FRAME_SIG_CHARS 86 /* base64url of a signature */

enum frame_purpose {
	FRAME_HELLO,  /* the first line of a map stream; its number is 0 */
	FRAME_ANSWER, /* the body of any other answer; its number is the HTTP status */
};

/* What is answered, and how. */
struct frame_id {
	enum frame_purpose purpose;
	struct ed25519_public machine; /* who asked: keyid */
	uint64_t nonce;		       /* of the request */
	uint64_t number;
};

/*
 * Sign a body that has this SHA-256 (sha256.h). Writes FRAME_SIG_CHARS characters and a NUL.
 * Return: 0, -ENOMEM, -EIO.
 */
int frame_sign(const struct ed25519_key *coordinator, const struct frame_id *id,
	       const uint8_t digest[SHA256_LEN], char ret_sig[FRAME_SIG_CHARS + 1]);

/*
 * Is it what the coordinator answered? sig_len without a NUL. Return: 0;
 *   -EINVAL		sig is no text of a signature
 *   -EKEYREJECTED	not signed by this key, or in answer to something else, or another body
 *   -ENOMEM, -EIO
 */
int frame_verify(const struct ed25519_public *coordinator, const struct frame_id *id,
		 const char *sig, size_t sig_len, const void *body, size_t body_len);

/*
 * The same of a line: *ret_body points into it. Return as above, or what frame_line_split() finds
 * wrong (-EINVAL, -EMSGSIZE).
 */
int frame_verify_line(const struct ed25519_public *coordinator, const struct frame_id *id,
		      const char *line, size_t len, const char **ret_body, size_t *ret_body_len);
