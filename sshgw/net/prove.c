#include "sshgw/net/prove.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "sshgw/libssh/private.h"
#include "sshgw/net/monitor_link.h"
#include "sshgw/net/packets.h"

#define MSG_GLOBAL_REQUEST  80
#define MSG_REQUEST_SUCCESS 81

void prove_offer(struct net *net)
{
	struct chan_writer w = { 0 };

	if (!packets_client_is_openssh(net))
		return;
	chan_put_u8(&w, MSG_GLOBAL_REQUEST);
	chan_put_string(&w, "hostkeys-00@openssh.com");
	chan_put_u8(&w, 0); /* no answer */
	for (size_t i = 0; i < net->init.host_keys.n; i++)
		chan_put_bytes(&w, net->init.host_keys.keys[i].data,
			       net->init.host_keys.keys[i].len);
	packets_send(net, &w);
}

/* An RSA key signs with the hash that it signed the key exchange with, if it did. */
static uint32_t digest_of(const struct net *net, const struct msg_blob *key)
{
	struct chan_reader r = { .data = key->data, .len = key->len };
	_cleanup_free_ char *type = chan_get_string(&r, 64);

	if (type && strcmp(type, "ssh-rsa") == 0)
		return net->rsa_digest;
	return type && strcmp(type, "ssh-ed25519") == 0 ? SSH_DIGEST_AUTO : SSH_DIGEST_SHA256;
}

static int put_proof(struct net *net, uint32_t key, struct chan_writer *w)
{
	struct msg_prove request = {
		.key = key,
		.digest = digest_of(net, &net->init.host_keys.keys[key]),
	};
	struct msg_blob blob = { 0 };
	int r;

	/* More would break the protocol. */
	if (net->n_proofs++ >= MSG_MAX_PROOFS)
		return -ENOBUFS;
	r = monitor_prove(net, &request, &blob);
	if (r < 0)
		return log_error_errno(r, "The monitor gave no proof of a host key");
	chan_put_bytes(w, blob.data, blob.len);
	free(blob.data);
	return 0;
}

bool prove_answer(struct net *net, const char *keys)
{
	struct chan_writer w = { 0 };
	int r = 0;

	if (net->state != NET_STATE_OPEN)
		return false;
	chan_put_u8(&w, MSG_REQUEST_SUCCESS);
	for (; *keys && r == 0; keys++)
		r = put_proof(net, (uint32_t)(*keys - '0'), &w);
	if (r == 0)
		r = packets_send(net, &w);
	chan_writer_done(&w);
	return r == 0;
}
