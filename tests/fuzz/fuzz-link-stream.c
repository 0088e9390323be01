/*
 * A stream of maps from anywhere, to its objects. The first byte: how long the pieces are. The rest
 * are lines. One that begins with '+' is what the coordinator says: it is given the authenticator
 * of the next line. Any other goes as it is: nothing of it may be heard, and it ends the stream.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/link/stream.h"
#include "tests/unit/known-keys.h"
#include "tests/unit/link-sender.h"

#define NONCE UINT64_C(1800000000123)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct heard {
	unsigned n_hello, n_objects, n_said; /* said: with an authenticator */
};

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void on_hello(void *userdata)
{
	struct heard *heard = userdata;

	heard->n_hello++;
}

static int on_object(enum link_object type, const json_t *object, void *userdata,
		     char **reterr_text)
{
	struct heard *heard = userdata;

	require(heard->n_hello == 1 && json_is_object(object));
	require(++heard->n_objects <= heard->n_said);
	return 0;
}

static int feed(struct link_stream *stream, const char *text, size_t len, size_t piece)
{
	_cleanup_free_ char *error = NULL;
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i += piece)
		r = link_stream_take(stream, text + i, len - i < piece ? len - i : piece, &error);
	require((r < 0) == (error != NULL));
	require(!error || (text_is_utf8(error) && !text_has_control(error)));
	return r;
}

static int take_line(struct link_stream *stream, struct link_sender *sender, struct heard *heard,
		     const uint8_t *line, size_t len, size_t piece)
{
	_cleanup_free_ char *body = NULL, *sealed = NULL, *raw = NULL;
	int r;

	if (len > 0 && line[0] == '+') {
		body = strndup((const char *)line + 1, len - 1);
		sealed = link_sender_line(sender, body);
		heard->n_said++;
		return feed(stream, sealed, strlen(sealed), piece);
	}
	raw = malloc(len + 1);
	require(raw);
	memcpy(raw, line, len);
	raw[len] = '\n';
	r = feed(stream, raw, len + 1, piece);
	require(r < 0);
	return r;
}

static void run(struct link_stream *stream, struct link_sender *sender, struct heard *heard,
		const uint8_t *data, size_t size, size_t piece)
{
	int r = 0;

	while (size > 0 && r == 0) {
		const uint8_t *newline = memchr(data, '\n', size);
		size_t len = newline ? (size_t)(newline - data) : size;

		r = take_line(stream, sender, heard, data, len, piece);
		len += newline != NULL;
		data += len;
		size -= len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(ed25519_key_freep) struct ed25519_key *machine = known_key(KNOWN_MACHINE);
	_cleanup_(ed25519_key_freep) struct ed25519_key *coordinator = known_key(KNOWN_COORDINATOR);
	const struct frame_id id = { FRAME_HELLO, *ed25519_key_public(machine), NONCE, 0 };
	_cleanup_(link_stream_freep) struct link_stream *stream = NULL;
	_cleanup_free_ char *hello = NULL;
	struct link_sender sender;
	struct heard heard = { 0 };
	struct link_stream_config config = {
		.coordinator = *ed25519_key_public(coordinator),
		.machine = *ed25519_key_public(machine),
		.nonce = NONCE,
		.node_id = "n1",
		.on_hello = on_hello,
		.on_object = on_object,
		.userdata = &heard,
	};
	struct wg_key public;

	if (size < 1)
		return 0;
	known_bytes(KNOWN_AGENT_EPHEMERAL, config.ephemeral.bytes, WG_KEY_LEN);
	require(wg_key_public(&config.ephemeral, &public) == 0);
	require(link_stream_new(&config, &stream) == 0);
	hello = link_sender_begin(&sender, coordinator, &id, &public, "n1");
	/* Odd: without the first line. */
	if (data[0] % 2 == 0)
		require(feed(stream, hello, strlen(hello), 50) == 0 && heard.n_hello == 1);
	run(stream, &sender, &heard, data + 1, size - 1, data[0] / 2 + 1u);
	require(heard.n_hello <= 1);
	return 0;
}
