/*
 * A line of a map stream, as an agent reads it from whoever ends TLS: the first one, which is
 * signed, and one after it, under the stream's key. Of each kind one was made
 * (corpus/frame-sig/known-*): nothing else may pass for it. And any object on a line passes when it
 * is made so, whole.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/frame_stream.h"
#include "tests/unit/known-keys.h"

#define KNOWN_HELLO                                           \
	"{\"type\":\"hello\",\"for\":\"n1\",\"ephemeral\":\"" \
	"EMJPls42o7VEQQE7VPwCBzYpDi0HhTujUiijW8QYrS8\"}"
#define KNOWN_BODY "{\"type\":\"keepalive\"}"

struct ends {
	struct ed25519_key *machine, *coordinator;
	struct frame_id id;
	struct frame_stream stream;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void begin(struct ends *ends)
{
	struct wg_key ours, theirs, public;
	uint8_t hello[SHA256_LEN];

	ends->machine = known_key(KNOWN_MACHINE);
	ends->coordinator = known_key(KNOWN_COORDINATOR);
	ends->id = (struct frame_id){ FRAME_HELLO, *ed25519_key_public(ends->machine),
				      1800000000123, 0 };
	known_bytes(KNOWN_AGENT_EPHEMERAL, ours.bytes, WG_KEY_LEN);
	known_bytes(KNOWN_COORDINATOR_EPHEMERAL, theirs.bytes, WG_KEY_LEN);
	require(wg_key_public(&theirs, &public) == 0);
	require(sha256(KNOWN_HELLO, strlen(KNOWN_HELLO), hello) == 0);
	require(frame_stream_begin(&ours, &public, &ends->id, hello, &ends->stream) == 0);
}

static void end(struct ends *ends)
{
	ed25519_key_free(ends->machine);
	ed25519_key_free(ends->coordinator);
	frame_stream_done(&ends->stream);
}

/* What was read is at the end of the line; r says how it was. */
static void check_read(int r, const char *line, size_t len, const char *body, size_t body_len,
		       const char *want)
{
	require(r == 0 || r == -EINVAL || r == -EKEYREJECTED);
	if (r < 0)
		require(!body);
	else
		require(body_len == strlen(want) && body + body_len == line + len &&
			memcmp(body, want, body_len) == 0);
}

static void check_line(const struct ends *ends, const char *line, size_t len)
{
	struct frame_stream stream = ends->stream;
	const char *body = NULL;
	size_t body_len = 0;
	int r;

	r = frame_verify_line(ed25519_key_public(ends->coordinator), &ends->id, line, len, &body,
			      &body_len);
	check_read(r, line, len, body, body_len, KNOWN_HELLO);
	body = NULL;
	r = frame_stream_open(&stream, line, len, &body, &body_len);
	check_read(r, line, len, body, body_len, KNOWN_BODY);
	require(stream.next == (r == 0 ? 2 : 1));
}

/* Return: a line, the caller's to free. */
static char *make_line(const char *auth, const char *body, size_t len)
{
	char *line = malloc(strlen(auth) + 1 + len);

	require(line);
	memcpy(line, auth, strlen(auth));
	line[strlen(auth)] = ' ';
	memcpy(line + strlen(auth) + 1, body, len);
	return line;
}

static void check_made(const struct ends *ends, const char *object, size_t len)
{
	struct frame_stream sender = ends->stream, receiver = ends->stream;
	_cleanup_free_ char *hello = NULL, *line = NULL;
	char sig[FRAME_SIG_CHARS + 1], mac[FRAME_MAC_CHARS + 1];
	uint8_t digest[SHA256_LEN];
	const char *body = NULL;
	size_t body_len = 0;
	bool one_object = len >= 2 && object[0] == '{' && object[len - 1] == '}' &&
			  !memchr(object, '\n', len) && !memchr(object, '\0', len);

	require(sha256(object, len, digest) == 0);
	require(frame_sign(ends->coordinator, &ends->id, digest, sig) == 0);
	require(frame_stream_seal(&sender, digest, mac) == 0);
	hello = make_line(sig, object, len);
	line = make_line(mac, object, len);
	require(frame_verify_line(ed25519_key_public(ends->coordinator), &ends->id, hello,
				  FRAME_SIG_CHARS + 1 + len, &body,
				  &body_len) == (one_object ? 0 : -EINVAL));
	require(!one_object || (body == hello + FRAME_SIG_CHARS + 1 && body_len == len));
	require(frame_stream_open(&receiver, line, FRAME_MAC_CHARS + 1 + len, &body, &body_len) ==
		(one_object ? 0 : -EINVAL));
	require(!one_object || (body == line + FRAME_MAC_CHARS + 1 && body_len == len));
	/* Once only. */
	require(!one_object || frame_stream_open(&receiver, line, FRAME_MAC_CHARS + 1 + len, &body,
						 &body_len) == -EKEYREJECTED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *blank = size > 0 ? memchr(data, ' ', size) : NULL;
	struct ends ends;

	begin(&ends);
	check_line(&ends, (const char *)data, size);
	if (blank)
		check_made(&ends, (const char *)blank + 1, size - (size_t)(blank + 1 - data));
	end(&ends);
	return 0;
}
