/*
 * libssh calls pki_sign_data() whenever the host key has to sign the hash of a key exchange. The
 * linker hands those calls to us (-Wl,--wrap=pki_sign_data), and we ask the monitor, which asks the
 * keys process: that has the private half. A wrap that were missed would sign with the dummy key,
 * which no client accepts.
 */
#include "sshgw/net/sign.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "sshgw/libssh/private.h"
#include "sshgw/net/monitor_link.h"

ssh_signature __wrap_pki_sign_data(const ssh_key privkey, enum ssh_digest_e hash_type,
				   const unsigned char *input, size_t input_len);

static struct net *sign_net;

void sign_init(struct net *net)
{
	sign_net = net;
	net->rsa_digest = SSH_DIGEST_SHA512;
}

/* Index of the key among those that the monitor gave us. Return: -ENOENT. */
static int key_index(const ssh_key key, uint32_t *ret_index)
{
	ssh_string blob = NULL;
	int r = -ENOENT;

	if (ssh_pki_export_pubkey_blob(key, &blob) != SSH_OK)
		return -ENOMEM;
	for (uint32_t i = 0; i < sign_net->init.host_keys.n; i++) {
		const struct msg_blob *known = &sign_net->init.host_keys.keys[i];

		if (known->len == ssh_string_len(blob) &&
		    memcmp(known->data, ssh_string_data(blob), known->len) == 0) {
			*ret_index = i;
			r = 0;
		}
	}
	ssh_string_free(blob);
	return r;
}

static ssh_signature import_signature(const struct msg_blob *blob, const ssh_key key)
{
	ssh_string string = ssh_string_new(blob->len);
	ssh_signature signature = NULL;

	if (string && ssh_string_fill(string, blob->data, blob->len) == 0)
		ssh_pki_import_signature_blob(string, key, &signature);
	ssh_string_free(string);
	return signature;
}

ssh_signature __wrap_pki_sign_data(const ssh_key privkey, enum ssh_digest_e hash_type,
				   const unsigned char *input, size_t input_len)
{
	struct msg_sign request = { .digest = hash_type, .hash_len = input_len };
	struct msg_blob blob = { 0 };
	ssh_signature signature = NULL;
	int r;

	if (input_len > sizeof(request.hash))
		return NULL;
	memcpy(request.hash, input, input_len);
	if (ssh_key_type(privkey) == SSH_KEYTYPE_RSA)
		sign_net->rsa_digest = hash_type;
	r = key_index(privkey, &request.key);
	if (r == 0)
		r = monitor_sign(sign_net, &request, &blob);
	if (r == 0)
		signature = import_signature(&blob, privkey);
	if (!signature)
		log_error("The monitor gave no usable signature: %s", strerror(-r));
	free(blob.data);
	return signature;
}
