/*
 * What we use of libssh.a beyond its public headers, all in one place. Hidden in the shared
 * library, linkable from the static one; checked against 0.10.6 (sshgw/meson.build pins the
 * version).
 */
#pragma once

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <stdarg.h>
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

/* What the session's requests name the channel by, which is our own number for it. */
ssh_channel ssh_channel_from_local(ssh_session session, uint32_t id);

/* At once, whatever the client has said about it. */
void ssh_channel_do_free(ssh_channel channel);

/* Builds the beginning of a packet; the net process wraps _ssh_buffer_pack(), which calls this. */
int ssh_buffer_pack_va(ssh_buffer buffer, const char *format, size_t argc, va_list ap);
/* Returns at once when no reply is wanted. */
int ssh_global_request(ssh_session session, const char *request, ssh_buffer buffer, int reply);

/*
 * Begin an exchange of new keys; give a packet to the connection, or to the queue of what waits for
 * them. The net process wraps both, to know.
 */
int ssh_send_rekex(ssh_session session);
int ssh_packet_send(ssh_session session);

/*
 * A descriptor in libssh's own poll loop. The net process wraps it, to do the reading from the
 * connection itself. A callback returns 0, -1 when the handle is gone, -2 when the loop is over.
 */
typedef struct ssh_poll_handle_struct *ssh_poll_handle;
typedef int (*ssh_poll_callback)(ssh_poll_handle handle, socket_t fd, int revents, void *userdata);
ssh_poll_handle ssh_poll_new(socket_t fd, short events, ssh_poll_callback cb, void *userdata);
/*
 * Parse and process packets that came on the connection. Return: bytes used; 0: a packet is not
 * whole yet. Recurses once for each packet in data.
 */
size_t ssh_packet_socket_callback(const void *data, size_t len, void *session);

/* Signs data with a private key; the net process wraps it, the keys process calls it. */
ssh_signature pki_sign_data(const ssh_key privkey, enum ssh_digest_e hash_type,
			    const unsigned char *input, size_t input_len);
int ssh_pki_export_signature_blob(const ssh_signature sign, ssh_string *ret_blob);
int ssh_pki_import_signature_blob(const ssh_string blob, const ssh_key pubkey,
				  ssh_signature *ret_sig);
int ssh_pki_export_pubkey_blob(const ssh_key key, ssh_string *ret_blob);
void ssh_signature_free(ssh_signature sign);
