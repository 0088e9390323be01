#include "common/frame_sig.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/base64.h"

/* Purpose, key, two numbers and a digest, with a newline behind each. */
#define SIGNED_MAX 192

static const char *purpose_to_string(enum frame_purpose purpose)
{
	switch (purpose) {
	case FRAME_HELLO:
		return "peergate-hello-v1";
	case FRAME_ANSWER:
		return "peergate-answer-v1";
	}
	return NULL;
}

/* What is signed. Return: its length. */
static size_t format_signed(const struct frame_id *id, const uint8_t digest[SHA256_LEN], char *buf)
{
	char machine[ED25519_TEXT_LEN], body[BASE64URL_LEN(SHA256_LEN) + 1];

	return (size_t)snprintf(buf, SIGNED_MAX, "%s\n%s\n%" PRIu64 "\n%" PRIu64 "\n%s\n",
				purpose_to_string(id->purpose),
				ed25519_public_to_string(ED25519_MACHINE, &id->machine, machine),
				id->nonce, id->number, base64url_encode(digest, SHA256_LEN, body));
}

int frame_sign(const struct ed25519_key *coordinator, const struct frame_id *id,
	       const uint8_t digest[SHA256_LEN], char ret_sig[FRAME_SIG_CHARS + 1])
{
	uint8_t signature[ED25519_SIGNATURE_LEN];
	char text[SIGNED_MAX];
	int r;

	r = ed25519_sign(coordinator, text, format_signed(id, digest, text), signature);
	if (r < 0)
		return r;
	base64url_encode(signature, sizeof(signature), ret_sig);
	return 0;
}

int frame_verify(const struct ed25519_public *coordinator, const struct frame_id *id,
		 const char *sig, size_t sig_len, const void *body, size_t body_len)
{
	uint8_t signature[ED25519_SIGNATURE_LEN], digest[SHA256_LEN];
	char text[SIGNED_MAX];
	int r;

	if (base64url_decode(sig, sig_len, signature, sizeof(signature)) < 0)
		return -EINVAL;
	r = sha256(body, body_len, digest);
	if (r < 0)
		return r;
	return ed25519_verify(coordinator, text, format_signed(id, digest, text), signature);
}

int frame_verify_line(const struct ed25519_public *coordinator, const struct frame_id *id,
		      const char *line, size_t len, const char **ret_body, size_t *ret_body_len)
{
	const char *body;
	size_t body_len;
	int r;

	r = frame_line_split(line, len, FRAME_SIG_CHARS, &body, &body_len);
	if (r == 0)
		r = frame_verify(coordinator, id, line, FRAME_SIG_CHARS, body, body_len);
	if (r < 0)
		return r;
	*ret_body = body;
	*ret_body_len = body_len;
	return 0;
}
