/* The coordinator's end of a map stream, for tests of the agent's. */
#pragma once

#include <string.h>

#include "agent/link/stream.h"
#include "common/base64.h"
#include "common/frame_sig.h"
#include "common/frame_stream.h"
#include "common/text.h"

struct link_sender {
	struct frame_stream frames;
};

/*
 * Begin a stream: agent_public is of the request. Return: the first line with its newline (the
 * caller's).
 */
static inline char *link_sender_begin(struct link_sender *sender,
				      const struct ed25519_key *coordinator,
				      const struct frame_id *id, const struct wg_key *agent_public,
				      const char *node_id)
{
	char sig[FRAME_SIG_CHARS + 1], ephemeral[BASE64URL_LEN(WG_KEY_LEN) + 1];
	_cleanup_free_ char *body = NULL;
	uint8_t digest[SHA256_LEN];
	struct wg_key ours, public;

	if (wg_key_generate(&ours) < 0 || wg_key_public(&ours, &public) < 0)
		abort();
	body = text_printf("{\"type\":\"hello\",\"for\":\"%s\",\"ephemeral\":\"%s\"}", node_id,
			   base64url_encode(public.bytes, WG_KEY_LEN, ephemeral));
	if (!body || sha256(body, strlen(body), digest) < 0 ||
	    frame_sign(coordinator, id, digest, sig) < 0 ||
	    frame_stream_begin(&ours, agent_public, id, digest, &sender->frames) < 0)
		abort();
	return text_printf("%s %s\n", sig, body);
}

/* The next line with its newline (the caller's). */
static inline char *link_sender_line(struct link_sender *sender, const char *body)
{
	char mac[FRAME_MAC_CHARS + 1];
	uint8_t digest[SHA256_LEN];

	if (sha256(body, strlen(body), digest) < 0 ||
	    frame_stream_seal(&sender->frames, digest, mac) < 0)
		abort();
	return text_printf("%s %s\n", mac, body);
}
