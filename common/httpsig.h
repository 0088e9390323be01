/*
 * Signed requests: one form of HTTP message signatures (RFC 9421) over Ed25519, by which an agent
 * says who it is and what it asks for, whatever proxies lie between. coord/PROTOCOL-signatures.md
 * shows it on the wire. Pure: clock, headers and bodies are the caller's.
 *
 * A signature covers method, path, query, body, and an audience: the coordinator's public key and
 * its epoch, a random value that the coordinator draws whenever it starts (it takes the place of
 * the Host header, which proxies rewrite). So a request means something to one coordinator only,
 * and to one run of it: whatever was signed before a restart is refused after it, replays included.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/ed25519.h"
#include "common/sha256.h"

#define HTTPSIG_MAX_METHOD  16	 /* capital letters */
#define HTTPSIG_MAX_PATH    1024 /* printable ASCII, from the first "/" on, without "?" and "#" */
#define HTTPSIG_MAX_QUERY   2048 /* printable ASCII without "#" */
#define HTTPSIG_MAX_CREATED 999999999999999 /* RFC 8941, 3.3.1 */
#define HTTPSIG_MAX_NONCE   INT64_MAX
#define HTTPSIG_WINDOW	    300 /* seconds that the clocks may differ, either way */

#define HTTPSIG_EPOCH_BYTES 16

/* Of a coordinator's process. All zeros: an agent that was not told yet. */
struct httpsig_epoch {
	uint8_t bytes[HTTPSIG_EPOCH_BYTES];
};

/* For whom a request is. */
struct httpsig_audience {
	struct ed25519_public key;
	struct httpsig_epoch epoch;
};

/* What was or will be asked, as it is on the wire: nothing decoded, nothing normalised. */
struct httpsig_request {
	const char *method;
	const char *path;  /* below the coordinator's base URL: "/v1/map" */
	const char *query; /* what follows "?"; NULL or "": nothing */
	const void *body;
	size_t body_len;
};

/* The four header fields. */
enum httpsig_field {
	HTTPSIG_CONTENT_DIGEST,
	HTTPSIG_COORDINATOR,
	HTTPSIG_SIGNATURE_INPUT,
	HTTPSIG_SIGNATURE,
	HTTPSIG_N_FIELDS,
};
#define HTTPSIG_MAX_FIELD 320

/* "Content-Digest", "Peergate-Coordinator", "Signature-Input", "Signature". */
const char *httpsig_field_name(enum httpsig_field field);

/* Values for the four, to be sent. */
struct httpsig_signed {
	char field[HTTPSIG_N_FIELDS][HTTPSIG_MAX_FIELD];
};

/* Values of the four, as received. Zero-initialise, then httpsig_collect() every header field. */
struct httpsig_headers {
	const char *field[HTTPSIG_N_FIELDS]; /* borrowed */
	bool repeated[HTTPSIG_N_FIELDS];
};

/* What a well-formed signature says of itself; true only once httpsig_verify() has said so. */
struct httpsig {
	struct ed25519_public key; /* of the machine: keyid */
	uint64_t created;	   /* seconds since 1970 */
	uint64_t nonce;
	struct httpsig_audience audience;
	uint8_t digest[SHA256_LEN]; /* of the body */
	uint8_t signature[ED25519_SIGNATURE_LEN];
};

/* A coordinator's at its start, from getrandom(2). Return: 0, negative errno. */
int httpsig_epoch_generate(struct httpsig_epoch *ret_epoch);
/* 22 characters of base64url, as in HTTPSIG_COORDINATOR behind the key and a dot. */
#define HTTPSIG_EPOCH_LEN 23 /* with the final NUL */
char *httpsig_epoch_to_string(const struct httpsig_epoch *epoch, char *buf);
/* Return: 0, -EINVAL. */
int httpsig_epoch_parse(const char *text, size_t len, struct httpsig_epoch *ret_epoch);

/*
 * Sign. created: seconds since 1970, by the coordinator's clock as far as it is known. nonce: above
 * all that this key has signed with (milliseconds since 1970, or the last one and 1); the caller
 * remembers it. Both are 1 at least.
 * Return: 0; -EINVAL: method, path, query or number are outside the bounds above; -ENOMEM, -EIO.
 */
int httpsig_sign(const struct ed25519_key *key, const struct httpsig_request *request,
		 const struct httpsig_audience *audience, uint64_t created, uint64_t nonce,
		 struct httpsig_signed *ret_signed);

/* One header field of a request, of whatever name; name in any case. value is borrowed. */
void httpsig_collect(struct httpsig_headers *headers, const char *name, const char *value);

/*
 * Exactly what httpsig_sign() writes: anything else (another label, component, parameter or order,
 * a field repeated or missing, a number with a leading zero) is refused with *reterr_text (the
 * caller's), which names the field. Return: 0, -EINVAL, -ENOMEM.
 */
int httpsig_parse(const struct httpsig_headers *headers, struct httpsig *ret_sig,
		  char **reterr_text);

/*
 * Did the owner of sig->key sign this request, for this audience, lately? Who that is, and whether
 * it has been here before (replay.h), is the caller's to ask next. The checks are made in the
 * order of the answers, cheap ones first. Return: 0, or with *reterr_text (the caller's, fit for
 * the other side):
 *   -EXDEV		for another coordinator
 *   -ESTALE		for another epoch: the agent signs anew, with the epoch that it is told now
 *   -ETIME		created is more than HTTPSIG_WINDOW from now: see httpsig_skew()
 *   -EBADMSG		the body is not what was signed
 *   -EKEYREJECTED	the signature is not of this key, or of another request
 *   -EINVAL		method, path or query are outside the bounds above
 *   -ENOMEM, -EIO
 */
int httpsig_verify(const struct httpsig *sig, const struct httpsig_request *request,
		   const struct httpsig_audience *audience, uint64_t now, char **reterr_text);

/* Seconds that the signer's clock is ahead of now; negative: behind. */
int64_t httpsig_skew(const struct httpsig *sig, uint64_t now);
