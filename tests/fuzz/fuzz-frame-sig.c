/*
 * A line of a map stream, as an agent reads it from whoever ends TLS. One line was signed
 * (corpus/frame-sig/known): nothing else may pass for it. And any object on a line passes when it
 * is signed, whole.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/frame_sig.h"
#include "tests/unit/known-keys.h"

#define KNOWN_BODY "{\"type\":\"keepalive\"}"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_line(const struct ed25519_public *coordinator, const struct frame_id *id,
		       const char *line, size_t len)
{
	const char *body = NULL;
	size_t body_len = 0;
	int r = frame_verify_line(coordinator, id, line, len, &body, &body_len);

	require(r == 0 || r == -EINVAL || r == -EKEYREJECTED);
	if (r < 0)
		require(!body);
	else
		require(body_len == strlen(KNOWN_BODY) && body + body_len == line + len &&
			memcmp(body, KNOWN_BODY, body_len) == 0);
}

static void check_signed(const struct ed25519_key *coordinator, struct frame_id *id,
			 const char *body, size_t len)
{
	size_t line_len = FRAME_SIG_CHARS + 1 + len, body_len = 0;
	_cleanup_free_ char *line = malloc(line_len);
	uint8_t digest[SHA256_LEN];
	char sig[FRAME_SIG_CHARS + 1];
	const char *found = NULL;
	bool one_object = len >= 2 && body[0] == '{' && body[len - 1] == '}' &&
			  !memchr(body, '\n', len) && !memchr(body, '\0', len);
	int r;

	require(line);
	require(sha256(body, len, digest) == 0);
	require(frame_sign(coordinator, id, digest, sig) == 0);
	memcpy(line, sig, FRAME_SIG_CHARS);
	line[FRAME_SIG_CHARS] = ' ';
	memcpy(line + FRAME_SIG_CHARS + 1, body, len);
	r = frame_verify_line(ed25519_key_public(coordinator), id, line, line_len, &found,
			      &body_len);
	require(r == (one_object ? 0 : -EINVAL));
	require(r < 0 || (found == line + FRAME_SIG_CHARS + 1 && body_len == len));
	id->number++;
	require(frame_verify(ed25519_key_public(coordinator), id, sig, FRAME_SIG_CHARS, body,
			     len) == -EKEYREJECTED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(ed25519_key_freep) struct ed25519_key *machine = known_key(KNOWN_MACHINE);
	_cleanup_(ed25519_key_freep) struct ed25519_key *coordinator = known_key(KNOWN_COORDINATOR);
	struct frame_id id = { FRAME_MAP, .nonce = 1800000000123, .number = 3 };

	id.machine = *ed25519_key_public(machine);
	check_line(ed25519_key_public(coordinator), &id, (const char *)data, size);
	if (size > FRAME_SIG_CHARS + 1)
		check_signed(coordinator, &id, (const char *)data + FRAME_SIG_CHARS + 1,
			     size - (FRAME_SIG_CHARS + 1));
	return 0;
}
