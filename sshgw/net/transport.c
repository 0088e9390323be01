#include "sshgw/net/transport.h"

#include <errno.h>
#include <libssh/server.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "sshgw/net/auth_packets.h"
#include "sshgw/net/hostkey.h"
#include "sshgw/net/packets.h"
#include "sshgw/net/receive.h"
#include "sshgw/net/rekey_packets.h"
#include "sshgw/net/sign.h"

/*
 * What ssh-audit(1) finds nothing wrong with; tests/privsep/audit_native.py has the exception.
 * Every key exchange hashes with SHA-256: the monitor signs nothing but 32 bytes. Ciphers that
 * authenticate come first; no CBC, no SHA-1, no curves of NIST's.
 */
static const char KEX[] = "curve25519-sha256,curve25519-sha256@libssh.org";
static const char HOST_KEYS[] = "ssh-ed25519,rsa-sha2-512,rsa-sha2-256";
static const char ECDSA[] = "ecdsa-sha2-nistp256";
static const char CIPHERS[] = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,"
			      "chacha20-poly1305@openssh.com,aes256-ctr,aes128-ctr";
/* The last is for clients that have nothing better: libssh2 before 1.11, dropbear. */
static const char MACS[] = "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,"
			   "hmac-sha2-256";

static int set_bind_options(ssh_bind bind)
{
	static const struct {
		enum ssh_bind_options_e option;
		const char *value;
	} options[] = {
		/*
		 * OpenSSH's client says that it reads no more (eow@openssh.com), and that it opens
		 * no further sessions, only to servers whose name begins like this.
		 */
		{ SSH_BIND_OPTIONS_BANNER, "OpenSSH_Peergate" },
		{ SSH_BIND_OPTIONS_KEY_EXCHANGE, KEX },
		{ SSH_BIND_OPTIONS_CIPHERS_C_S, CIPHERS },
		{ SSH_BIND_OPTIONS_CIPHERS_S_C, CIPHERS },
		{ SSH_BIND_OPTIONS_HMAC_C_S, MACS },
		{ SSH_BIND_OPTIONS_HMAC_S_C, MACS },
	};
	bool process_config = false;

	if (ssh_bind_options_set(bind, SSH_BIND_OPTIONS_PROCESS_CONFIG, &process_config) != SSH_OK)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (ssh_bind_options_set(bind, options[i].option, options[i].value) != SSH_OK)
			return -EINVAL;
	return 0;
}

static bool is_ecdsa(const struct msg_blob *key)
{
	struct chan_reader r = { .data = key->data, .len = key->len };
	size_t len;
	const uint8_t *type = chan_get_bytes(&r, sizeof(ECDSA), &len);

	return type && len == strlen(ECDSA) && memcmp(type, ECDSA, len) == 0;
}

/* A host that has nothing but an ECDSA key is known by that. */
static int set_host_key_types(ssh_bind bind, const struct msg_host_keys *keys)
{
	const char *types = ECDSA;

	for (size_t i = 0; i < keys->n; i++)
		if (!is_ecdsa(&keys->keys[i]))
			types = HOST_KEYS;
	return ssh_bind_options_set(bind, SSH_BIND_OPTIONS_HOSTKEY_ALGORITHMS, types) == SSH_OK
		       ? 0
		       : -EINVAL;
}

static int import_host_keys(struct net *net)
{
	for (size_t i = 0; i < net->init.host_keys.n; i++) {
		ssh_key key = NULL;
		int r = hostkey_dummy(&net->init.host_keys.keys[i], &key);

		if (r < 0)
			return log_error_errno(r, "Could not use host key %zu", i);
		/* The bind owns the key from here. */
		if (ssh_bind_options_set(net->bind, SSH_BIND_OPTIONS_IMPORT_KEY, key) != SSH_OK) {
			ssh_key_free(key);
			return log_error_errno(-EINVAL, "libssh refused host key %zu", i);
		}
	}
	return net->init.host_keys.n > 0 ? 0 : log_error_errno(-ENOKEY, "No host key");
}

static int set_session_options(ssh_session ssh, const struct msg_net_init *init)
{
	bool process_config = false;

	/* "no": not by itself; as with sshd, a client that asks gets it once it has logged in. */
	if (ssh_options_set(ssh, SSH_OPTIONS_PROCESS_CONFIG, &process_config) != SSH_OK ||
	    ssh_options_set(ssh, SSH_OPTIONS_COMPRESSION, "no") != SSH_OK ||
	    ssh_options_set(ssh, SSH_OPTIONS_REKEY_DATA, &init->rekey_bytes) != SSH_OK ||
	    ssh_options_set(ssh, SSH_OPTIONS_REKEY_TIME, &init->rekey_sec) != SSH_OK)
		return -EINVAL;
	return 0;
}

/* Small answers go out at once: nobody gains from their waiting for the client's acknowledgement.
 */
static void send_at_once(void)
{
	int one = 1;

	setsockopt(NET_FD_CONNECTION, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

int transport_init(struct net *net)
{
	int r;

	send_at_once();
	sign_init(net);
	receive_init(net);
	if (ssh_init() != SSH_OK)
		return log_error_errno(-EIO, "libssh could not be initialised");
	net->bind = ssh_bind_new();
	net->ssh = ssh_new();
	net->event = ssh_event_new();
	if (!net->bind || !net->ssh || !net->event)
		return -ENOMEM;
	receive_start(net);
	r = set_bind_options(net->bind);
	if (r == 0)
		r = set_host_key_types(net->bind, &net->init.host_keys);
	if (r == 0)
		r = set_session_options(net->ssh, &net->init);
	if (r < 0)
		return log_error_errno(r, "libssh refused an option");
	auth_packets_init(net);
	packets_init(net);
	rekey_packets_init(net);
	return import_host_keys(net);
}

int transport_start(struct net *net, int fd)
{
	if (ssh_bind_accept_fd(net->bind, net->ssh, fd) != SSH_OK)
		return log_error_errno(-EIO, "libssh refused the connection: %s",
				       ssh_get_error(net->bind));
	ssh_set_blocking(net->ssh, 0);
	/* The first step makes the poll context that an event loop takes over. */
	if (ssh_handle_key_exchange(net->ssh) == SSH_ERROR)
		return -ECONNRESET;
	if (ssh_event_add_session(net->event, net->ssh) != SSH_OK)
		return log_error_errno(-EIO, "libssh refused the event loop");
	return 0;
}
