/*
 * The network process of a connection, as it is, with libssh in it: what a client sends, byte for
 * byte and packet for packet, before the login and after, while monitor, programs and the other
 * ends of forwarded connections do what the input says (net-world.h). Ciphers and MACs are left
 * out: packets go over the connection as they are, with room for a MAC that nobody looks at. So
 * the client may well know what it says, and is believed. Checked is that
 *
 * - each message to the monitor is one that its dispatch table and handlers allow then;
 * - no client is let in, and nothing is opened or answered with success, before the monitor's yes;
 * - sessions, forwards, listeners and all that waits stay within their limits, and so does memory;
 * - the process ends when the connection does, when the monitor says so, and when the monitor says
 *   something that it never says.
 *
 * The input: how far the client has come (one byte), then steps: operation, argument, length (two
 * bytes), payload.
 */
#include <errno.h>
#include <libssh/server.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "sshgw/libssh/private.h"
#include "sshgw/net/auth.h"
#include "sshgw/net/forward.h"
#include "sshgw/net/listener.h"
#include "sshgw/net/monitor_link.h"
#include "sshgw/net/pump.h"
#include "sshgw/net/session.h"
#include "sshgw/net/transport.h"
#include "tests/fuzz/net-world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t __sanitizer_get_current_allocated_bytes(void);

#define MAX_STEPS      400
#define MAX_TURNS_LEFT 40 /* for the process to notice that the connection is over */
#define MAX_MEMORY     (6u << 20)
#define MAC_BYTES      32

#define MSG_NEWKEYS		 21
#define MSG_USERAUTH_SUCCESS	 52
#define MSG_REQUEST_SUCCESS	 81
#define MSG_CHANNEL_CONFIRMATION 91
#define MSG_CHANNEL_SUCCESS	 99

enum op {
	OP_PACKET, /* argument: 1: the next step comes in the same moment */
	OP_BYTES,  /* the same */
	OP_AGENT,
	OP_YES,
	OP_NO,
	OP_ACT,
	OP_INCOMING,
	OP_TIME,
	OP_READING, /* the client stops to read, or goes on */
	OP_MAD,
	N_OPS,
};

enum stage { STAGE_BEGIN, STAGE_KEX, STAGE_OPEN, N_STAGES };

struct input {
	const uint8_t *data;
	size_t size;
};

/* One connection. */
static struct {
	struct net net;
	int fd; /* the client's end; -1: closed */
	bool encrypts, deaf, must_end;
	struct input before, input; /* steps */
	int n_steps, turns_left;
	uint8_t *got; /* from the gateway, what is no whole packet yet */
	size_t n_got;
	bool has_version;
	uint64_t now, end_by;
	size_t memory; /* before */
} c;

/* ---- the packet layer of libssh, without its ciphers ---- */

void *ssh_packet_get_current_crypto(ssh_session session, int direction);
uint32_t __wrap_ssh_packet_decrypt_len(ssh_session session, uint8_t *to, uint8_t *from);
int __wrap_ssh_packet_decrypt(ssh_session session, uint8_t *to, uint8_t *from, size_t start,
			      size_t len);
unsigned char *__wrap_ssh_packet_encrypt(ssh_session session, void *data, size_t len);
int __wrap_ssh_packet_hmac_verify(ssh_session session, const void *data, size_t len, uint8_t *mac,
				  int type);

static size_t block_size(bool encrypted)
{
	return encrypted ? 16 : 8;
}

uint32_t __wrap_ssh_packet_decrypt_len(ssh_session session, uint8_t *to, uint8_t *from)
{
	bool encrypted = ssh_packet_get_current_crypto(session, 1) != NULL;

	memcpy(to, from, block_size(encrypted));
	return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

int __wrap_ssh_packet_decrypt(ssh_session session, uint8_t *to, uint8_t *from, size_t start,
			      size_t len)
{
	memcpy(to, from + start, len);
	return 0;
}

unsigned char *__wrap_ssh_packet_encrypt(ssh_session session, void *data, size_t len)
{
	return NULL; /* no MAC follows */
}

int __wrap_ssh_packet_hmac_verify(ssh_session session, const void *data, size_t len, uint8_t *mac,
				  int type)
{
	return 0;
}

/* ---- time: it passes when the input says so ---- */

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_ts);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_ts)
{
	ret_ts->tv_sec = (time_t)(c.now / USEC_PER_SEC);
	ret_ts->tv_nsec = (long)(c.now % USEC_PER_SEC) * 1000;
	return 0;
}

/* ---- the client: what it sends ---- */

static void send_bytes(const void *data, size_t len)
{
	if (c.fd >= 0 && len > 0)
		(void)!send(c.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* RFC 4253 section 6 */
static void send_packet(const uint8_t *payload, size_t len)
{
	size_t block = block_size(c.encrypts), mac = c.encrypts ? MAC_BYTES : 0;
	size_t padding = block - (5 + len) % block;
	uint8_t *p;

	padding += padding < 4 ? block : 0;
	p = calloc(1, 5 + len + padding + mac);
	check(p);
	p[0] = (uint8_t)((1 + len + padding) >> 24);
	p[1] = (uint8_t)((1 + len + padding) >> 16);
	p[2] = (uint8_t)((1 + len + padding) >> 8);
	p[3] = (uint8_t)(1 + len + padding);
	p[4] = (uint8_t)padding;
	memcpy(p + 5, payload, len);
	send_bytes(p, 5 + len + padding + mac);
	free(p);
	c.encrypts |= len == 1 && payload[0] == MSG_NEWKEYS;
}

/* ---- the client: what it gets ---- */

static void check_packet(uint8_t type)
{
	switch (type) {
	case MSG_USERAUTH_SUCCESS:
	case MSG_REQUEST_SUCCESS:
	case MSG_CHANNEL_CONFIRMATION:
	case MSG_CHANNEL_SUCCESS:
		check(world_has_let_in());
		break;
	default:
		break;
	}
}

static void drop(size_t n)
{
	memmove(c.got, c.got + n, c.n_got - n);
	c.n_got -= n;
}

static void take_packets(void)
{
	while (c.n_got >= 6) {
		size_t len = (size_t)c.got[0] << 24 | (size_t)c.got[1] << 16 |
			     (size_t)c.got[2] << 8 | c.got[3];

		check(len >= 5 && len <= 300000);
		if (c.n_got < 4 + len)
			return;
		check_packet(c.got[5]);
		drop(4 + len);
	}
}

static void take_version(void)
{
	uint8_t *end = memchr(c.got, '\n', c.n_got);

	if (!end)
		return;
	c.has_version = true;
	drop((size_t)(end + 1 - c.got));
}

static void receive_all(void)
{
	ssize_t n = 1;

	while (n > 0 && c.fd >= 0 && !c.deaf) {
		c.got = realloc(c.got, c.n_got + 65536);
		check(c.got);
		n = recv(c.fd, c.got + c.n_got, 65536, MSG_DONTWAIT);
		if (n <= 0)
			break;
		c.n_got += (size_t)n;
		if (!c.has_version)
			take_version();
		if (c.has_version)
			take_packets();
	}
}

/* ---- what must always hold ---- */

static void check_limits(const struct net *net)
{
	size_t n_remote = 0;

	for (size_t i = 0; i < net->n_listeners; i++)
		n_remote += net->listeners[i]->kind == FORWARD_TCP ||
			    net->listeners[i]->kind == FORWARD_UNIX;
	check(net->n_sessions <= net->init.max_sessions);
	check(net->n_forwards <= net->init.max_forwards);
	check(n_remote <= net->init.max_listens);
	/* What the monitor has, what it is being asked for, and that of the agent. */
	check(net->n_listeners <= net->init.max_listens + net->init.max_sessions + 2);
	check(net->n_kept <= NET_MAX_KEPT && net->n_globals <= 256);
	check(net->auth.n_waiting <= 64 && net->auth.n_requests <= NET_MAX_AUTH_REQUESTS + 1);
	check(net->n_pty_modes <= 16);
	check(__sanitizer_get_current_allocated_bytes() <= c.memory + MAX_MEMORY);
	check(net->state != NET_STATE_OPEN || world_has_let_in() || c.must_end);
}

/* ---- steps ---- */

static void wait_a_while(uint8_t arg)
{
	c.now += 1000ull << (arg % 28);
}

static void go_mad(uint8_t arg, const uint8_t *payload, size_t len)
{
	static const uint32_t never[] = { NET_INIT,   NET_READY,  NET_AUTHORIZE,
					  NET_SIGNED, USER_START, LEADER_CLOSE,
					  0,	      UINT32_MAX };
	bool is_never = arg & 1;

	world_goes_mad(is_never ? never[(arg >> 1) % ARRAY_SIZE(never)]
				: NET_INIT + (arg >> 1) % 14,
		       payload, len);
	c.must_end |= is_never;
}

static void take_step(uint8_t op, uint8_t arg, const uint8_t *payload, size_t len)
{
	switch ((enum op)(op % N_OPS)) {
	case OP_PACKET:
		if (len > 0)
			send_packet(payload, len);
		break;
	case OP_BYTES:
		send_bytes(payload, len);
		break;
	case OP_AGENT:
		world_agent_says((enum world_agent)(arg % WORLD_N_AGENT), len > 0 ? payload[0] : 0);
		break;
	case OP_YES:
	case OP_NO:
		world_answer(op % N_OPS == OP_YES, arg);
		break;
	case OP_ACT:
		world_act((enum world_act)(arg % WORLD_N_ACTS), arg / WORLD_N_ACTS, payload, len);
		break;
	case OP_INCOMING:
		world_connect_to_listener(arg);
		break;
	case OP_TIME:
		wait_a_while(arg);
		break;
	case OP_READING:
		c.deaf = arg & 1;
		break;
	case OP_MAD:
		go_mad(arg, payload, len);
		break;
	case N_OPS:
		break;
	}
}

/* Return: whether there was one. */
static bool next_step(bool *ret_at_once)
{
	struct input *in = c.before.size >= 4 ? &c.before : &c.input;
	const uint8_t *p = in->data;
	size_t len;

	if (in->size < 4 || c.n_steps++ == MAX_STEPS)
		return false;
	len = (size_t)p[2] << 8 | p[3];
	len = len > in->size - 4 ? in->size - 4 : len;
	in->data += 4 + len;
	in->size -= 4 + len;
	take_step(p[0], p[1], p + 4, len);
	*ret_at_once = p[0] % N_OPS <= OP_BYTES && p[1] & 1;
	return true;
}

/* ---- the loop of the net process stops here ---- */

int __real_poll(struct pollfd *fds, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout);

static void turn(void)
{
	bool at_once = true;

	world_turn();
	receive_all();
	check_limits(&c.net);
	while (at_once)
		if (!next_step(&at_once)) {
			shutdown(c.fd, SHUT_RDWR);
			c.fd = close_fd(c.fd);
			break;
		}
	/* A monitor's last word, and an end of the connection, are the last. */
	if (c.fd < 0 || c.must_end)
		check(c.turns_left-- > 0);
	if (world_has_ended() && c.end_by == 0)
		c.end_by = c.now + 2 * USEC_PER_SEC;
	check(c.end_by == 0 || c.now <= c.end_by || c.turns_left-- > 0);
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	int r;

	if (n >= 2 && fds[0].fd == c.net.monitor_fd && fds[1].fd == NET_FD_CONNECTION)
		turn();
	else if (n == 1 && fds[0].fd == c.net.monitor_fd)
		world_turn();
	r = __real_poll(fds, n, 0);
	/* Nobody but the monitor is waited for without limit. */
	if (r == 0 && n == 1 && timeout > 0)
		c.now += (uint64_t)timeout * 1000;
	return r;
}

/* ---- how far the client has come ---- */

static struct chan_writer kex, login;

static void put_step(struct chan_writer *w, enum op op, uint8_t arg, const void *data, size_t len)
{
	check(len < 65536);
	chan_put_u8(w, op);
	chan_put_u8(w, arg);
	chan_put_u8(w, (uint8_t)(len >> 8));
	chan_put_u8(w, (uint8_t)len);
	for (size_t i = 0; i < len; i++)
		chan_put_u8(w, ((const uint8_t *)data)[i]);
}

static void put_packet(struct chan_writer *w, struct chan_writer *packet)
{
	put_step(w, OP_PACKET, 0, packet->data, packet->len);
	chan_writer_done(packet);
	*packet = (struct chan_writer){ 0 };
}

/* RFC 4253 section 7.1, RFC 8731 */
static void put_kex(struct chan_writer *w)
{
	static const char *const names[] = {
		"curve25519-sha256", "ssh-ed25519", "aes128-ctr", "aes128-ctr", "hmac-sha2-256",
		"hmac-sha2-256",     "none",	    "none",	  "",		"",
	};
	static const char version[] = "SSH-2.0-OpenSSH_9.2p1\r\n";
	static const uint8_t point[32] = { 9 };
	struct chan_writer packet = { 0 };

	put_step(w, OP_BYTES, 0, version, strlen(version));
	chan_put_u8(&packet, 20);
	for (int i = 0; i < 16; i++) /* cookie */
		chan_put_u8(&packet, 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		chan_put_string(&packet, names[i]);
	for (int i = 0; i < 5; i++) /* no guess; reserved */
		chan_put_u8(&packet, 0);
	put_packet(w, &packet);
	chan_put_u8(&packet, 30);
	chan_put_bytes(&packet, point, sizeof(point));
	put_packet(w, &packet);
	chan_put_u8(&packet, MSG_NEWKEYS);
	put_packet(w, &packet);
}

/* RFC 4252 section 5.2 */
static void put_login(struct chan_writer *w)
{
	struct chan_writer packet = { 0 };

	chan_put_u8(&packet, 5);
	chan_put_string(&packet, "ssh-userauth");
	put_packet(w, &packet);
	chan_put_u8(&packet, 50);
	chan_put_string(&packet, "alice");
	chan_put_string(&packet, "ssh-connection");
	chan_put_string(&packet, "none");
	put_packet(w, &packet);
	put_step(w, OP_AGENT, WORLD_ACCEPTS, "", 0);
	put_step(w, OP_YES, 0, "", 0);
	put_step(w, OP_YES, 0, "", 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	signal(SIGPIPE, SIG_IGN);
	/* Nothing else is to have the number of the connection. */
	check(dup2(STDERR_FILENO, NET_FD_CONNECTION) == NET_FD_CONNECTION);
	put_kex(&kex);
	put_kex(&login);
	put_login(&login);
	return 0;
}

/* ---- one connection ---- */

static void no_log(void *userdata, int level, const char *text)
{
}

static void begin(const uint8_t *data, size_t size)
{
	uint8_t stage = size > 0 ? data[0] % N_STAGES : 0;
	int pair[2];

	memset(&c, 0, sizeof(c));
	c.memory = __sanitizer_get_current_allocated_bytes();
	c.now = 1000 * USEC_PER_SEC;
	c.turns_left = MAX_TURNS_LEFT;
	if (stage == STAGE_KEX)
		c.before = (struct input){ kex.data, kex.len };
	else if (stage == STAGE_OPEN)
		c.before = (struct input){ login.data, login.len };
	if (size > 0)
		c.input = (struct input){ data + 1, size - 1 };
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	c.fd = pair[0];
	check(dup2(pair[1], NET_FD_CONNECTION) == NET_FD_CONNECTION);
	close(pair[1]);
	log_set_sink(no_log, NULL);
	world_begin(&c.net);
	c.net.deadline = clock_usec(CLOCK_MONOTONIC) + c.net.init.login_grace_sec * USEC_PER_SEC;
	c.net.active.bytes = pump_moved();
}

/* As sshgw/net/main.c does it. */
static int serve(struct net *net)
{
	int r = transport_init(net);

	check(r == 0);
	check(ssh_bind_options_set(net->bind, SSH_BIND_OPTIONS_CIPHERS_C_S, "aes128-ctr") == 0);
	check(ssh_bind_options_set(net->bind, SSH_BIND_OPTIONS_CIPHERS_S_C, "aes128-ctr") == 0);
	check(ssh_bind_options_set(net->bind, SSH_BIND_OPTIONS_HMAC_C_S, "hmac-sha2-256") == 0);
	check(ssh_bind_options_set(net->bind, SSH_BIND_OPTIONS_HMAC_S_C, "hmac-sha2-256") == 0);
	check(monitor_send(net, NET_READY, NULL) == 0);
	r = transport_start(net, NET_FD_CONNECTION);
	return r == 0 ? net_run(net) : r;
}

/* What the process leaves to its end. */
static void net_done(struct net *net)
{
	while (net->n_sessions > 0)
		net_session_free(net->sessions[0]);
	while (net->n_forwards > 0)
		net_forward_free(net->forwards[0]);
	while (net->n_listeners > 0)
		net_listener_free(net, net->listeners[0]);
	for (size_t i = 0; i < net->n_kept; i++)
		chan_msg_done(&net->kept[i]);
	for (size_t i = 0; i < net->n_globals; i++)
		ssh_message_free(net->globals[i]);
	for (size_t i = 0; i < net->auth.n_waiting; i++)
		auth_request_done(&net->auth.waiting[i]);
	for (size_t i = 0; i < net->n_pty_modes; i++)
		free(net->pty_modes[i].data);
	auth_try_done(&net->auth.held);
	free(net->auth.waiting);
	free(net->auth.user);
	free(net->auth.welcome);
	msg_check_done(&net->check.where);
	free(net->sessions);
	free(net->forwards);
	free(net->windows);
	free(net->listeners);
	free(net->kept);
	free(net->globals);
	free(net->pty_modes);
	ssh_event_free(net->event);
	ssh_free(net->ssh);
	ssh_bind_free(net->bind);
	msg_net_init_done(&net->init);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int r;

	begin(data, size);
	r = serve(&c.net);
	check(r <= 0 && (r < 0 || !c.must_end));
	net_done(&c.net);
	check(dup2(STDERR_FILENO, NET_FD_CONNECTION) == NET_FD_CONNECTION);
	close_fd(c.fd);
	world_done();
	free(c.got);
	return 0;
}
