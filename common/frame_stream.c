#include "common/frame_stream.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "common/base64.h"

/* Purpose, key, number and digest, with a newline behind each, and HKDF's counter. */
#define INFO_MAX 160

static int hmac(const uint8_t *key, size_t key_len, const void *data, size_t len,
		uint8_t ret_mac[SHA256_LEN])
{
	return HMAC(EVP_sha256(), key, (int)key_len, data, len, ret_mac, NULL) ? 0 : -EIO;
}

/* HKDF-SHA256 (RFC 5869) without a salt, for as much as one block. */
static int hkdf(const uint8_t secret[WG_KEY_LEN], const char *info, uint8_t ret_key[SHA256_LEN])
{
	static const uint8_t no_salt[SHA256_LEN];
	uint8_t extracted[SHA256_LEN], block[INFO_MAX + 1];
	size_t len = strlen(info);
	int r;

	memcpy(block, info, len);
	block[len] = 1;
	r = hmac(no_salt, sizeof(no_salt), secret, WG_KEY_LEN, extracted);
	if (r == 0)
		r = hmac(extracted, sizeof(extracted), block, len + 1, ret_key);
	OPENSSL_cleanse(extracted, sizeof(extracted));
	return r;
}

int frame_stream_begin(const struct wg_key *ours, const struct wg_key *theirs,
		       const struct frame_id *id, const uint8_t hello[SHA256_LEN],
		       struct frame_stream *ret_stream)
{
	char info[INFO_MAX], machine[ED25519_TEXT_LEN], digest[BASE64URL_LEN(SHA256_LEN) + 1];
	struct frame_stream stream = { .next = 1 };
	struct wg_key shared;
	int r;

	r = wg_key_shared(ours, theirs, &shared);
	if (r < 0)
		return r;
	snprintf(info, sizeof(info), "peergate-stream-v1\n%s\n%" PRIu64 "\n%s\n",
		 ed25519_public_to_string(ED25519_MACHINE, &id->machine, machine), id->nonce,
		 base64url_encode(hello, SHA256_LEN, digest));
	r = hkdf(shared.bytes, info, stream.key);
	wg_key_wipe(&shared);
	if (r == 0)
		*ret_stream = stream;
	frame_stream_done(&stream);
	return r;
}

/* HMAC-SHA256 of number (64 bits, big endian) and digest, cut to 128 bits. */
static int authenticate(const struct frame_stream *stream, const uint8_t digest[SHA256_LEN],
			uint8_t ret_mac[FRAME_MAC_LEN])
{
	uint64_t number = htobe64(stream->next);
	uint8_t data[sizeof(number) + SHA256_LEN], mac[SHA256_LEN];
	int r;

	memcpy(data, &number, sizeof(number));
	memcpy(data + sizeof(number), digest, SHA256_LEN);
	r = hmac(stream->key, sizeof(stream->key), data, sizeof(data), mac);
	if (r == 0)
		memcpy(ret_mac, mac, FRAME_MAC_LEN);
	return r;
}

int frame_stream_seal(struct frame_stream *stream, const uint8_t digest[SHA256_LEN],
		      char ret_mac[FRAME_MAC_CHARS + 1])
{
	uint8_t mac[FRAME_MAC_LEN];
	int r;

	r = authenticate(stream, digest, mac);
	if (r < 0)
		return r;
	base64url_encode(mac, sizeof(mac), ret_mac);
	stream->next++;
	return 0;
}

int frame_stream_open(struct frame_stream *stream, const char *line, size_t len,
		      const char **ret_body, size_t *ret_body_len)
{
	uint8_t mac[FRAME_MAC_LEN], want[FRAME_MAC_LEN], digest[SHA256_LEN];
	const char *body;
	size_t body_len;
	int r;

	r = frame_line_split(line, len, FRAME_MAC_CHARS, &body, &body_len);
	if (r == 0)
		r = base64url_decode(line, FRAME_MAC_CHARS, mac, sizeof(mac));
	if (r == 0)
		r = sha256(body, body_len, digest);
	if (r == 0)
		r = authenticate(stream, digest, want);
	if (r < 0)
		return r;
	if (CRYPTO_memcmp(mac, want, sizeof(mac)) != 0)
		return -EKEYREJECTED;
	stream->next++;
	*ret_body = body;
	*ret_body_len = body_len;
	return 0;
}

void frame_stream_done(struct frame_stream *stream)
{
	OPENSSL_cleanse(stream, sizeof(*stream));
}
