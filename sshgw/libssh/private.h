/*
 * What we use of libssh.a beyond its public headers, all in one place. Hidden in the shared
 * library, linkable from the static one; checked against 0.10.6 (sshgw/meson.build pins the
 * version).
 */
#pragma once

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ssh_signature_struct *ssh_signature;

/* pki.h of libssh: order is part of the privsep protocol (NET_SIGN). */
enum ssh_digest_e {
	SSH_DIGEST_AUTO = 0, /* ed25519: none of its own */
	SSH_DIGEST_SHA1 = 1,
	SSH_DIGEST_SHA256 = 2,
	SSH_DIGEST_SHA384 = 3,
	SSH_DIGEST_SHA512 = 4,
};

/* Callbacks set before the key exchange run before libssh's own. */
void ssh_packet_set_callbacks(ssh_session session, ssh_packet_callbacks callbacks);

/* Signs data with a private key; the net process wraps it, the monitor calls it. */
ssh_signature pki_sign_data(const ssh_key privkey, enum ssh_digest_e hash_type,
			    const unsigned char *input, size_t input_len);
int ssh_pki_export_signature_blob(const ssh_signature sign, ssh_string *ret_blob);
int ssh_pki_import_signature_blob(const ssh_string blob, const ssh_key pubkey,
				  ssh_signature *ret_sig);
int ssh_pki_export_pubkey_blob(const ssh_key key, ssh_string *ret_blob);
void ssh_signature_free(ssh_signature sign);
