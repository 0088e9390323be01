/*
 * libssh has no word for it. That the client begins, and that it has finished, are packets of its;
 * that libssh begins is a call of ssh_send_rekex() within it, and each packet that it sends, or
 * puts into its queue, one of ssh_packet_send(). The linker hands both to us.
 */
#include "sshgw/net/rekey_packets.h"

#include "common/clock.h"
#include "sshgw/libssh/private.h"

#define MSG_KEXINIT 20
#define MSG_NEWKEYS 21

int __real_ssh_send_rekex(ssh_session session);
int __wrap_ssh_send_rekex(ssh_session session);
int __real_ssh_packet_send(ssh_session session);
int __wrap_ssh_packet_send(ssh_session session);

static struct net *watched;

/* The first exchange has the time that the login has. */
static void begin(struct net *net)
{
	if (net->kex_done)
		rekey_begin(&net->rekey, clock_usec(CLOCK_MONOTONIC));
}

static int on_kexinit(ssh_session ssh, uint8_t type, ssh_buffer packet, void *user)
{
	begin(user);
	return SSH_PACKET_NOT_USED;
}

static int on_newkeys(ssh_session ssh, uint8_t type, ssh_buffer packet, void *user)
{
	struct net *net = user;

	rekey_end(&net->rekey);
	return SSH_PACKET_NOT_USED;
}

int __wrap_ssh_send_rekex(ssh_session session)
{
	begin(watched);
	return __real_ssh_send_rekex(session);
}

int __wrap_ssh_packet_send(ssh_session session)
{
	rekey_count(&watched->rekey);
	return __real_ssh_packet_send(session);
}

void rekey_packets_init(struct net *net)
{
	static ssh_packet_callback functions[] = {
		[0] = on_kexinit,
		[MSG_NEWKEYS - MSG_KEXINIT] = on_newkeys,
	};
	/* libssh keeps the pointer for the life of the session: of the process. */
	static struct ssh_packet_callbacks_struct callbacks = {
		.start = MSG_KEXINIT,
		.n_callbacks = ARRAY_SIZE(functions),
		.callbacks = functions,
	};

	watched = net;
	callbacks.user = net;
	ssh_packet_set_callbacks(net->ssh, &callbacks);
}
