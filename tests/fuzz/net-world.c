#include "tests/fuzz/net-world.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "sshgw/child.h"
#include "sshgw/monitor/dispatch.h"
#include "sshgw/monitor/login.h"
#include "sshgw/monitor/sessions.h"
#include "sshgw/monitor/signing.h"

#define MAX_PROGRAMS 64u
#define MAX_PENDING  64u

/* What was asked for and is not answered yet. */
struct pending {
	enum { PENDING_ACCOUNT, PENDING_OPEN, PENDING_START, PENDING_CONNECT, PENDING_LISTEN } kind;
	uint32_t id, port;
	enum forward_kind forward;
	bool has_pty;
};

/* A program, or the other side of a forwarded connection. */
struct program {
	uint32_t channel;
	bool is_forward, is_over;
	int in, out, err; /* its own ends; -1: closed */
};

static struct {
	struct net *net;
	struct monitor m;
	bool asked_agent, agent_accepted, let_in, ended, mad;
	struct pending pending[MAX_PENDING];
	size_t n_pending;
	struct program programs[MAX_PROGRAMS];
	size_t n_programs;
	uint32_t last_incoming;
	bool may_come_in; /* one connection at a time waits for the monitor */
} w;

bool world_has_let_in(void)
{
	return w.let_in;
}

bool world_has_ended(void)
{
	return w.ended;
}

/* ---- what others are asked for ---- */

static void wait_for(struct pending what)
{
	check(w.n_pending < MAX_PENDING);
	w.pending[w.n_pending++] = what;
}

static void on_user_start(const struct chan_msg *msg)
{
	struct msg_start start;

	check(msg_start_get(msg, &start) == 0);
	wait_for((struct pending){ PENDING_START, start.channel, .has_pty = start.has_pty });
	msg_start_done(&start);
}

static void on_user_connect(const struct chan_msg *msg)
{
	struct msg_connect connect;

	check(msg_connect_get(msg, &connect) == 0);
	wait_for((struct pending){ PENDING_CONNECT, connect.id });
	msg_connect_done(&connect);
}

static void on_user_listen(const struct chan_msg *msg)
{
	struct msg_listen listen;
	uint32_t port = 0;

	check(msg_listen_get(msg, &listen) == 0);
	if (listen.kind == FORWARD_TCP)
		port = listen.port ?: 40000 + listen.id % 1000;
	wait_for((struct pending){ PENDING_LISTEN, listen.id, port, listen.kind });
	msg_listen_done(&listen);
}

static void to_user(const struct chan_msg *msg)
{
	switch (msg->type) {
	case USER_START:
		on_user_start(msg);
		break;
	case USER_CONNECT:
		on_user_connect(msg);
		break;
	case USER_LISTEN:
		on_user_listen(msg);
		break;
	case USER_NEXT:
		w.may_come_in = true;
		break;
	default: /* USER_HANGUP, USER_SIGNAL, USER_UNLISTEN: programs do as they like */
		break;
	}
}

static void to_net(const struct chan_msg *msg)
{
	struct msg_auth_result result;

	if (msg->type == NET_AUTH_RESULT && msg_auth_result_get(msg, &result) == 0) {
		w.let_in |= result.verdict == AUTH_ACCEPTED;
		msg_auth_result_done(&result);
	}
	w.ended |= msg->type == NET_END;
}

void mon_send(struct monitor *m, enum mon_peer_index peer, uint32_t type, struct chan_writer *body,
	      const int *fds, size_t n_fds)
{
	struct chan_msg msg = { .type = type };
	int r = 0;

	if (body) {
		msg.data = body->data;
		msg.len = body->len;
	}
	if (peer == MON_NET) {
		to_net(&msg);
		r = w.mad ? 0 : chan_send(m->peers[MON_NET].fd, type, body, fds, n_fds);
	} else if (peer == MON_USER) {
		to_user(&msg);
	} else if (type == LEADER_ACCOUNT) {
		wait_for((struct pending){ PENDING_ACCOUNT });
	} else if (type == LEADER_OPEN) {
		wait_for((struct pending){ PENDING_OPEN });
	}
	if (body)
		chan_writer_done(body);
	/* As the real one has it: who does not read is not waited for. */
	if (r < 0)
		mon_end(m, MON_END_KILLED, NULL, "not taken");
}

/* ---- what the monitor does besides ---- */

void mon_enter(struct monitor *m, enum mon_state state, const char *why)
{
	if (m->state < MON_ENDING)
		m->state = state;
}

void mon_end(struct monitor *m, enum mon_end how, const char *notice, const char *why)
{
	struct chan_writer body = { 0 };

	if (m->state >= MON_ENDING)
		return;
	m->state = MON_ENDING;
	/* A client that is turned away leaves by itself. */
	if (how == MON_END_REFUSED)
		return;
	chan_put_string(&body, notice ?: "");
	mon_send(m, MON_NET, NET_END, &body, NULL, 0);
}

void mon_end_opened(struct monitor *m)
{
}

void mon_tell_listener(struct monitor *m, enum mon_step step)
{
}

int agent_link_authorize(struct agent_link *link, const char *ssh_user)
{
	w.asked_agent = true;
	return 0;
}

int child_spawn(const struct child_spec *spec, pid_t *ret_pid, int *ret_pidfd)
{
	*ret_pid = 4711;
	*ret_pidfd = -1;
	return 0;
}

/* Nothing here takes long to close, but a child of a sanitised process does. */
void __wrap_passed_drop(int fd);

void __wrap_passed_drop(int fd)
{
	close_fd(fd);
}

/* ---- messages to the monitor ---- */

static void say(enum mon_peer_index from, uint32_t type, struct chan_writer *body, const int *fds,
		size_t n_fds)
{
	struct chan_msg msg = { .type = type, .n_fds = n_fds };

	check(body->error == 0);
	msg.data = body->data;
	msg.len = body->len;
	for (size_t i = 0; i < n_fds; i++)
		msg.fds[i] = fds[i];
	check(dispatch(&w.m, from, &msg) == 0);
	chan_msg_done(&msg);
}

/* The signature is that of nobody's key, for a client that does not look. */
static void keys_answer(void)
{
	static const uint8_t nothing[64];
	struct chan_writer signature = { 0 }, body = { 0 };

	if (!w.m.signing.is_asked)
		return;
	chan_put_string(&signature, "ssh-ed25519");
	chan_put_bytes(&signature, nothing, sizeof(nothing));
	chan_put_bytes(&body, signature.data, signature.len);
	chan_writer_done(&signature);
	say(MON_KEYS, KEYS_SIGNED, &body, NULL, 0);
}

/* Each message of the net process's is one that the monitor allows. */
void world_turn(void)
{
	for (;;) {
		struct chan_msg msg = { 0 };

		if (chan_receive(w.m.peers[MON_NET].fd, &msg) < 0)
			return;
		if (!w.mad)
			check(dispatch(&w.m, MON_NET, &msg) == 0);
		chan_msg_done(&msg);
		keys_answer();
	}
}

/* ---- the agent ---- */

static struct lease make_lease(uint8_t arg)
{
	return (struct lease){
		.local_user = strdup("alice"),
		.force_command = arg & 1 ? strdup("/usr/bin/forced") : NULL,
		.idle_timeout_usec = arg & 2 ? 5000000 : 0,
		.accept_env = calloc(1, sizeof(char *)),
		.message = arg & 4 ? strdup("be\nwelcome") : NULL,
		.forward_agent = !(arg & 8),
		.forward_local = !(arg & 16),
		.forward_remote = !(arg & 32),
	};
}

void world_agent_says(enum world_agent what, uint8_t arg)
{
	static char message[] = "a check", url[] = "https://coord.example/check/a", code[] = "1-2";
	const struct agent_link_events *events = &login_agent_events;
	bool open = w.asked_agent && !w.agent_accepted && w.m.state < MON_ENDING;
	const struct lease_check where = { message, url, code };
	struct lease lease;

	if (what == WORLD_ACCEPTS && open) {
		lease = make_lease(arg);
		w.agent_accepted = true;
		events->accepted(&w.m, &lease);
		lease_done(&lease);
	} else if (what == WORLD_REJECTS && open) {
		events->rejected(&w.m, NULL, "no");
	} else if (what == WORLD_ASKS_FOR_CHECK && open) {
		events->check(&w.m, &where);
	} else if (what == WORLD_REVOKES && w.agent_accepted) {
		events->revoked(&w.m, "policy", "gone");
	}
}

/* ---- the leader and the user process ---- */

static struct program *new_program(uint32_t channel, bool is_forward)
{
	struct program *p;

	if (w.n_programs == MAX_PROGRAMS)
		return NULL;
	p = &w.programs[w.n_programs++];
	*p = (struct program){ .channel = channel, .is_forward = is_forward };
	p->in = p->out = p->err = -1;
	return p;
}

static void make_pipe(int *ret_read, int *ret_write)
{
	int ends[2];

	check(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
	*ret_read = ends[0];
	*ret_write = ends[1];
}

static void started(const struct pending *what)
{
	struct program *p = new_program(what->id, false);
	struct chan_writer body = { 0 };
	int fds[3];

	chan_put_u32(&body, what->id);
	chan_put_u8(&body, what->has_pty ? 1 : 3);
	check(p);
	if (what->has_pty) {
		fds[0] = outside_open_terminal();
		check(fds[0] >= 0);
	} else {
		make_pipe(&p->in, &fds[0]);
		make_pipe(&fds[1], &p->out);
		make_pipe(&fds[2], &p->err);
	}
	say(MON_USER, USER_STARTED, &body, fds, what->has_pty ? 1 : 3);
}

/* Return: our side's, for the monitor. */
static int make_connection(uint32_t id)
{
	struct program *p = new_program(id, true);
	int ends[2];

	check(p && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	p->in = ends[0];
	p->out = dup(ends[0]);
	return ends[1];
}

static void say_yes(const struct pending *what)
{
	struct chan_writer body = { 0 };
	int fd;

	switch (what->kind) {
	case PENDING_ACCOUNT:
		chan_put_u8(&body, 1);
		chan_put_string(&body, "");
		say(MON_LEADER, LEADER_ACCOUNT_RESULT, &body, NULL, 0);
		break;
	case PENDING_OPEN:
		chan_put_u8(&body, 1);
		chan_put_string(&body, "motd\n");
		say(MON_LEADER, LEADER_OPENED, &body, NULL, 0);
		break;
	case PENDING_START:
		started(what);
		break;
	case PENDING_CONNECT:
		fd = make_connection(what->id);
		chan_put_u32(&body, what->id);
		say(MON_USER, USER_CONNECTED, &body, &fd, 1);
		break;
	case PENDING_LISTEN:
		msg_listening_put(&body, &(struct msg_listening){ what->id, what->port });
		say(MON_USER, USER_LISTENING, &body, NULL, 0);
		break;
	}
}

static void say_no(const struct pending *what)
{
	struct chan_writer body = { 0 };
	struct msg_connect_failed failed = { what->id, FORWARD_CONNECT_FAILED, (char *)"no" };

	switch (what->kind) {
	case PENDING_ACCOUNT:
	case PENDING_OPEN:
		chan_put_u8(&body, 0);
		chan_put_string(&body, "not now");
		say(MON_LEADER, what->kind == PENDING_OPEN ? LEADER_OPENED : LEADER_ACCOUNT_RESULT,
		    &body, NULL, 0);
		break;
	case PENDING_CONNECT:
		msg_connect_failed_put(&body, &failed);
		say(MON_USER, USER_CONNECT_FAILED, &body, NULL, 0);
		break;
	case PENDING_START:
	case PENDING_LISTEN:
		chan_put_u32(&body, what->id);
		chan_put_string(&body, "no");
		say(MON_USER, what->kind == PENDING_START ? USER_START_FAILED : USER_LISTEN_FAILED,
		    &body, NULL, 0);
		break;
	}
}

void world_answer(bool yes, uint8_t arg)
{
	struct pending what;
	size_t i;

	if (w.n_pending == 0)
		return;
	i = arg % w.n_pending;
	what = w.pending[i];
	memmove(&w.pending[i], &w.pending[i + 1], (--w.n_pending - i) * sizeof(what));
	if (yes && w.n_programs < MAX_PROGRAMS)
		say_yes(&what);
	else
		say_no(&what);
}

void world_connect_to_listener(uint8_t arg)
{
	const struct forwards *table = &w.m.forwarding.table;
	struct msg_incoming from = { .address = (char *)"" };
	struct chan_writer body = { 0 };
	const struct mon_listener *listener;
	int fd;

	if (table->n_listeners == 0 || !w.may_come_in || w.n_programs == MAX_PROGRAMS)
		return;
	listener = &table->listeners[arg % table->n_listeners];
	if (listener->state != MON_FORWARD_UP)
		return;
	from.listener = listener->id;
	from.id = ++w.last_incoming;
	if (listener->request.kind == FORWARD_TCP) {
		from.address = (char *)"127.0.0.1";
		from.port = 1234;
	}
	w.may_come_in = false;
	fd = make_connection(from.id);
	msg_incoming_put(&body, &from);
	say(MON_USER, USER_INCOMING, &body, &fd, 1);
}

static void exits(struct program *p, bool by_signal)
{
	struct chan_writer body = { 0 };
	const struct msg_exited exited = { p->channel, by_signal, by_signal ? 15 : 3, by_signal };

	if (p->is_over || p->is_forward)
		return;
	p->is_over = true;
	msg_exited_put(&body, &exited);
	say(MON_USER, USER_EXITED, &body, NULL, 0);
}

static void write_some(int fd, const uint8_t *data, size_t len)
{
	if (fd >= 0 && write(fd, data, len) < 0)
		return;
}

void world_act(enum world_act act, uint8_t which, const uint8_t *data, size_t len)
{
	struct program *p = w.n_programs > 0 ? &w.programs[which % w.n_programs] : NULL;
	char buf[4096];

	if (!p)
		return;
	switch (act) {
	case WORLD_WRITES:
		write_some(p->out, data, len);
		break;
	case WORLD_WRITES_ERRORS:
		write_some(p->err, data, len);
		break;
	case WORLD_READS:
		while (p->in >= 0 && read(p->in, buf, sizeof(buf)) > 0)
			;
		break;
	case WORLD_CLOSES_OUTPUT:
		if (p->is_forward && p->out >= 0)
			shutdown(p->out, SHUT_WR);
		p->out = close_fd(p->out);
		p->err = close_fd(p->err);
		break;
	case WORLD_CLOSES_INPUT:
		p->in = close_fd(p->in);
		break;
	case WORLD_EXITS:
	case WORLD_IS_KILLED:
		exits(p, act == WORLD_IS_KILLED);
		break;
	case WORLD_N_ACTS:
		break;
	}
}

/* ---- one connection ---- */

void world_goes_mad(uint32_t type, const uint8_t *data, size_t len)
{
	struct chan_writer body = { .data = (uint8_t *)data, .len = len };

	w.mad = true;
	chan_send(w.m.peers[MON_NET].fd, type, &body, NULL, 0);
}

void world_begin(struct net *net)
{
	static const uint8_t key[32] = { 9 };
	struct chan_writer blob = { 0 }, body = { 0 };
	struct msg_net_init init;
	struct chan_msg msg = { .type = NET_INIT };
	int pair[2];

	memset(&w, 0, sizeof(w));
	w.net = net;
	w.may_come_in = true;
	outside_monitor_init(&w.m);
	w.m.ceiling.x11_forwarding = true;
	w.m.ceiling.sftp_server = strdup("/bin/sh");
	signing_init(&w.m);
	sessions_init(&w.m);
	check(chan_pair(pair) == 0);
	w.m.peers[MON_NET].fd = pair[0];
	net->monitor_fd = pair[1];
	chan_put_string(&blob, "ssh-ed25519");
	chan_put_bytes(&blob, key, sizeof(key));
	init = (struct msg_net_init){
		.host_keys = { .keys = { { blob.data, blob.len } }, .n = 1 },
		.max_sessions = (uint32_t)w.m.ceiling.max_sessions,
		.max_env = (uint32_t)w.m.ceiling.max_env,
		.max_forwards = (uint32_t)w.m.ceiling.max_forwards,
		.max_listens = (uint32_t)w.m.ceiling.max_listens,
		.login_grace_sec = 60,
		.rekey_bytes = 1 << 30,
		.rekey_sec = 3600,
	};
	msg_net_init_put(&body, &init);
	msg.data = body.data;
	msg.len = body.len;
	check(msg_net_init_get(&msg, &net->init) == 0);
	chan_writer_done(&body);
	chan_writer_done(&blob);
}

void world_done(void)
{
	for (size_t i = 0; i < w.n_programs; i++) {
		close_fd(w.programs[i].in);
		close_fd(w.programs[i].out);
		close_fd(w.programs[i].err);
	}
	signing_done(&w.m);
	outside_monitor_done(&w.m);
	close_fd(w.net->monitor_fd);
}
