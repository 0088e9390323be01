/*
 * The monitor's dispatch table and everything behind it, fed with messages of all three processes
 * and answers of the agent in any order. What lies outside (sending, processes, control groups,
 * accounts, keys) is replaced by what is below, which checks what the monitor says and does:
 *
 * - each message that it sends can be read by its receiver;
 * - a person is asked only while the agent decides, and listener and client learn of it in turn;
 * - nobody is let in before agent, ceiling and PAM agreed, and only once; PAM's session is opened
 *   when the client is done, and the client hears of that once;
 * - a program is started only in an open session, once for each request of the net process, with
 *   the forced command if there is one and no variable that is not allowed; for sftp it is the one
 *   that the ceiling names;
 * - descriptors reach the net process only for a channel that it asked for and still has;
 * - nothing is connected or listened at but what the lease allows, and no more than the ceiling
 * does;
 * - there is no way back from the end.
 *
 * The input is a list of steps: operation, argument, length (two bytes), payload.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/force_command.h"
#include "common/log.h"
#include "peergate-config.h"
#include "sshgw/child.h"
#include "sshgw/monitor/dispatch.h"
#include "sshgw/monitor/env.h"
#include "sshgw/monitor/forwarding.h"
#include "sshgw/monitor/login.h"
#include "sshgw/scope.h"
#include "tests/fuzz/gateway-outside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FORCED	    "/usr/bin/forced"
#define SFTP_SERVER "/bin/sh" /* one that is there */
#define MAX_STEPS   64
#define MAX_TRACKED 512u

enum op {
	OP_NET, /* a message of one of the processes */
	OP_LEADER,
	OP_USER,
	OP_ACCEPT, /* the agent's answers */
	OP_REJECT,
	OP_REVOKE,
	OP_RETIME,
	OP_DEAF,	/* the next message that the monitor sends is not taken */
	OP_CHECK,	/* the agent's, too */
	OP_FORWARD_NET, /* messages about forwarding */
	OP_FORWARD_USER,
	N_OPS,
};

static const uint32_t types[] = {
	NET_READY,  NET_SIGN,	  NET_AUTHORIZE,	 NET_START,    NET_HANGUP,
	NET_LOG,    USER_STARTED, USER_START_FAILED,	 USER_EXITED,  LEADER_OPENED,
	NET_INIT,   USER_START,	  LEADER_ACCOUNT_RESULT, LEADER_CLOSE, NET_HELD,
	NET_SIGNAL,
};

static const uint32_t forward_types[] = {
	NET_CONNECT,
	NET_LISTEN,
	NET_UNLISTEN,
	NET_FORWARD_END,
	USER_CONNECTED,
	USER_CONNECT_FAILED,
	USER_LISTENING,
	USER_LISTEN_FAILED,
	USER_INCOMING,
	USER_SOCKET,
	/* And those that are too many for the list above. */
	NET_ACTIVE,
	NET_SESSION_END,
	NET_PROVE,
	NET_LOGGED_IN,
};

/* What was seen from outside. */
static struct {
	bool asked_agent, agent_accepted, pam_agreed, let_in, client_in, opened, deaf, held;
	unsigned n_verdicts;
	uint32_t wanted[MAX_TRACKED]; /* channels of the net process, not started yet */
	size_t n_wanted;
	uint32_t told[MAX_TRACKED]; /* those that the user process was told to start */
	size_t n_told;
	uint32_t connecting[MAX_TRACKED]; /* that the user process was asked to connect */
	size_t n_connecting;
	uint32_t listening[MAX_TRACKED]; /* and where to listen */
	size_t n_listening;
	uint8_t rights; /* to forward, of the lease that the agent will give */
	int user_fd;
	uint8_t session_id[MSG_MAX_HASH]; /* the first hash that was to be signed */
	size_t session_id_len;
	bool asked_keys, may_sign; /* the keys process; and it would */
} seen;

static void add(uint32_t *list, size_t *n, uint32_t id)
{
	if (*n < MAX_TRACKED)
		list[(*n)++] = id;
}

/* Return: whether it was there. */
static bool take(uint32_t *list, size_t *n, uint32_t id)
{
	for (size_t i = 0; i < *n; i++) {
		if (list[i] == id) {
			list[i] = list[--*n];
			return true;
		}
	}
	return false;
}

/* ---- what the monitor says ---- */

static void check_verdict(const struct monitor *m, const struct chan_msg *msg)
{
	struct msg_auth_result result;

	check(msg_auth_result_get(msg, &result) == 0);
	check(++seen.n_verdicts == 1);
	if (result.verdict == AUTH_ACCEPTED) {
		check(seen.agent_accepted && seen.pam_agreed && m->state == MON_ACCOUNT);
		check(m->account && m->ceiling.ssh);
		check(!account_shell_refuses(m->account->shell) ||
		      force_command_is_sftp(m->lease.force_command));
		seen.let_in = true;
	}
	msg_auth_result_done(&result);
}

static void check_start(const struct monitor *m, const struct chan_msg *msg)
{
	struct msg_start start;

	check(msg_start_get(msg, &start) == 0);
	check(seen.opened && m->state == MON_OPEN);
	check(take(seen.wanted, &seen.n_wanted, start.channel));
	add(seen.told, &seen.n_told, start.channel);
	if (force_command_is_sftp(m->lease.force_command))
		check(start.kind == START_SFTP && !start.has_pty &&
		      strcmp(start.command, SFTP_SERVER) == 0);
	else if (m->lease.force_command)
		check(start.kind == START_EXEC && strcmp(start.command, FORCED) == 0);
	else if (start.kind == START_SFTP)
		check(strcmp(start.command, SFTP_SERVER) == 0);
	else if (start.kind == START_SHELL)
		check(start.command[0] == '\0');
	for (size_t i = 0; i < start.n_env; i++)
		check(env_is_allowed(start.env[i].name, m->lease.accept_env,
				     m->lease.force_command) ||
		      (m->lease.force_command && i == start.n_env - 1 &&
		       strcmp(start.env[i].name, "SSH_ORIGINAL_COMMAND") == 0));
	msg_start_done(&start);
}

static void check_forward_to_net(const struct monitor *m, const struct chan_msg *msg)
{
	struct msg_connect_failed failed;
	struct msg_listening listening;
	struct msg_incoming incoming;
	char *text = NULL;
	uint32_t id;

	check(seen.let_in);
	switch (msg->type) {
	case NET_CONNECTED:
		check(msg_channel_get(msg, &id) == 0 && msg->n_fds == 1);
		check(take(seen.connecting, &seen.n_connecting, id));
		break;
	case NET_CONNECT_FAILED:
		check(msg_connect_failed_get(msg, &failed) == 0);
		take(seen.connecting, &seen.n_connecting, failed.id);
		msg_connect_failed_done(&failed);
		break;
	case NET_LISTENING:
		check(msg_listening_get(msg, &listening) == 0);
		check(take(seen.listening, &seen.n_listening, listening.id));
		break;
	case NET_LISTEN_FAILED:
		check(msg_channel_text_get(msg, &id, &text) == 0);
		take(seen.listening, &seen.n_listening, id);
		free(text);
		break;
	case NET_INCOMING:
		check(msg_incoming_get(msg, &incoming) == 0 && msg->n_fds == 1);
		check(m->forwarding.table.n <= m->ceiling.max_forwards);
		msg_incoming_done(&incoming);
		break;
	default:
		abort();
	}
}

static void check_to_net(const struct monitor *m, const struct chan_msg *msg)
{
	struct msg_started started;
	struct msg_exited exited;
	struct msg_check where;
	char *text = NULL;
	uint32_t channel;

	switch (msg->type) {
	case NET_AUTH_RESULT:
		check_verdict(m, msg);
		break;
	case NET_STARTED:
		check(msg_started_get(msg, &started) == 0);
		check(take(seen.told, &seen.n_told, started.channel));
		msg_started_done(&started);
		break;
	case NET_START_FAILED:
		check(msg_channel_text_get(msg, &channel, &text) == 0);
		free(text);
		break;
	case NET_EXITED:
		check(msg_exited_get(msg, &exited) == 0 && seen.let_in);
		break;
	case NET_OPENED:
		check(m->state == MON_OPEN && seen.client_in && !seen.opened && msg->len == 0);
		seen.opened = true;
		break;
	case NET_SIGNED:
		check(msg->len > 0);
		break;
	case NET_CHECK:
		check(m->state == MON_CHECK && !seen.agent_accepted && seen.n_verdicts == 0);
		check(msg_check_get(msg, &where) == 0);
		msg_check_done(&where);
		break;
	default:
		check_forward_to_net(m, msg);
	}
}

static void check_to_leader(const struct chan_msg *msg)
{
	struct msg_account account;
	struct msg_socket left;
	struct msg_open open;
	uint32_t id;
	char *line = NULL;

	switch (msg->type) {
	case LEADER_ACCOUNT:
		check(msg_account_get(msg, &account) == 0 && seen.agent_accepted);
		msg_account_done(&account);
		break;
	case LEADER_OPEN:
		check(msg_open_get(msg, &open) == 0 && seen.client_in && msg->n_fds == 1);
		msg_open_done(&open);
		break;
	case LEADER_SOCKET:
		check(msg_socket_get(msg, &left) == 0 && seen.let_in);
		msg_socket_done(&left);
		break;
	case LEADER_SOCKET_GONE:
		check(msg_channel_get(msg, &id) == 0 && seen.let_in);
		break;
	case LEADER_LOGIN:
	case LEADER_LOGOUT:
		check(msg_text_get(msg, 16, &line) == 0 && strncmp(line, "pts/", 4) == 0);
		free(line);
		break;
	default:
		abort();
	}
}

static void check_forward_to_user(const struct monitor *m, const struct chan_msg *msg)
{
	const struct lease *lease = &m->lease;
	struct msg_connect connect;
	struct msg_listen listen;
	uint32_t id;

	check(seen.let_in && m->state == MON_OPEN);
	switch (msg->type) {
	case USER_CONNECT:
		check(msg_connect_get(msg, &connect) == 0 && lease->forward_local);
		check(m->forwarding.table.n <= m->ceiling.max_forwards);
		add(seen.connecting, &seen.n_connecting, connect.id);
		msg_connect_done(&connect);
		break;
	case USER_LISTEN:
		check(msg_listen_get(msg, &listen) == 0);
		check(listen.kind == FORWARD_AGENT ? lease->forward_agent : lease->forward_remote);
		/* With GatewayPorts=no. */
		check(listen.kind != FORWARD_TCP || strcmp(listen.address, "localhost") == 0 ||
		      strcmp(listen.address, "127.0.0.1") == 0 ||
		      strcmp(listen.address, "::1") == 0);
		check(m->forwarding.table.n_listeners <= m->ceiling.max_listens);
		add(seen.listening, &seen.n_listening, listen.id);
		msg_listen_done(&listen);
		break;
	case USER_UNLISTEN:
		check(msg_channel_get(msg, &id) == 0);
		break;
	case USER_NEXT:
		check(msg->len == 0);
		break;
	default:
		abort();
	}
}

static void check_to_user(const struct monitor *m, const struct chan_msg *msg)
{
	struct msg_signal signal;
	uint32_t channel = 0;

	if (msg->type == USER_START) {
		check_start(m, msg);
		return;
	}
	if (msg->type == USER_SIGNAL) {
		check(msg_signal_get(msg, &signal) == 0 && seen.let_in);
		check(!m->lease.force_command);
		return;
	}
	if (msg->type != USER_HANGUP) {
		check_forward_to_user(m, msg);
		return;
	}
	check(msg_channel_get(msg, &channel) == 0 && seen.let_in);
	take(seen.told, &seen.n_told, channel);
}

static void check_to_keys(const struct chan_msg *msg)
{
	struct msg_sign request;

	check(msg_sign_get(msg, &request) == 0 && !seen.asked_keys);
	if (seen.session_id_len == 0) {
		check(msg->type == KEYS_SIGN);
		seen.session_id_len = request.hash_len;
		memcpy(seen.session_id, request.hash, request.hash_len);
	}
	/* What proves a key is for this session. */
	if (msg->type == KEYS_PROVE)
		check(seen.let_in && request.hash_len == seen.session_id_len &&
		      memcmp(request.hash, seen.session_id, request.hash_len) == 0);
	else
		check(msg->type == KEYS_SIGN);
	seen.asked_keys = true;
	seen.may_sign = request.key == 0 && request.hash_len == 32;
}

void mon_send(struct monitor *m, enum mon_peer_index peer, uint32_t type, struct chan_writer *w,
	      const int *fds, size_t n_fds)
{
	bool taken = !seen.deaf && !(w && w->error);
	struct chan_msg msg = { .type = type, .n_fds = n_fds };

	if (w) {
		msg.data = w->data;
		msg.len = w->len;
	}
	/* A whole start can be larger than a message; nothing else can. */
	check(!(w && w->error) || type == USER_START);
	if (m->state != MON_ENDING && taken) {
		if (peer == MON_NET)
			check_to_net(m, &msg);
		else if (peer == MON_LEADER)
			check_to_leader(&msg);
		else if (peer == MON_KEYS)
			check_to_keys(&msg);
		else
			check_to_user(m, &msg);
	}
	seen.deaf = false;
	if (w)
		chan_writer_done(w);
	if (!taken)
		mon_end(m, MON_END_KILLED, NULL, "not taken");
}

/* ---- what the monitor does ---- */

void mon_enter(struct monitor *m, enum mon_state state, const char *why)
{
	if (m->state != MON_ENDING) {
		/* Not every login needs a check, and one may be asked for twice. */
		check(state == MON_ENDING || state == m->state + 1 ||
		      (state == MON_CHECK && m->state == MON_CHECK) ||
		      (state == MON_ACCOUNT && m->state == MON_ASKING));
		m->state = state;
	}
}

void mon_end(struct monitor *m, enum mon_end how, const char *notice, const char *why)
{
	mon_enter(m, MON_ENDING, why);
}

void mon_end_opened(struct monitor *m)
{
	check(m->state >= MON_ENDING);
}

void mon_tell_listener(struct monitor *m, enum mon_step step)
{
	if (step == MON_STEP_HELD) {
		check(m->state == MON_CHECK && !seen.held);
		seen.held = true;
		return;
	}
	check(seen.client_in || m->state == MON_ENDING);
}

int agent_link_authorize(struct agent_link *link, const char *ssh_user)
{
	check(!seen.asked_agent);
	seen.asked_agent = true;
	return 0;
}

int child_spawn(const struct child_spec *spec, pid_t *ret_pid, int *ret_pidfd)
{
	check(seen.agent_accepted);
	*ret_pid = 4711;
	*ret_pidfd = -1;
	return 0;
}

/* ---- steps ---- */

/* Descriptors as the user process may send them: right and wrong ones. Return: how many. */
static size_t make_fds(unsigned kind, int fds[3])
{
	switch (kind & 7) {
	case 1: /* a terminal */
		fds[0] = outside_open_terminal();
		return fds[0] >= 0 ? 1 : 0;
	case 2: /* three pipes that go the right way */
	case 3: /* the other way */
		for (int i = 0; i < 3; i++) {
			int ends[2];
			int keep = (i == 0) ^ ((kind & 7) == 3);

			check(pipe2(ends, O_CLOEXEC) == 0);
			fds[i] = ends[keep];
			close(ends[!keep]);
		}
		return 3;
	case 5: /* a connection */
		check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
		close(fds[1]);
		return 1;
	case 4: /* no pipe at all */
		fds[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
		return 1;
	default:
		return 0;
	}
}

/* What the net process asks for, as far as it is understood. */
static void remember_request(const struct monitor *m, const struct chan_msg *msg)
{
	struct msg_start start;

	if (msg->type != NET_START || msg_start_get(msg, &start) < 0)
		return;
	add(seen.wanted, &seen.n_wanted, start.channel);
	msg_start_done(&start);
}

static void send_message(struct monitor *m, enum mon_peer_index from, uint32_t type, uint8_t arg,
			 const uint8_t *payload, size_t len)
{
	struct chan_msg msg = { .type = type };
	int r;

	/* A process that was never started cannot say anything. */
	if (from != MON_NET && m->peers[from].fd < 0)
		return;
	msg.n_fds = make_fds(arg >> 4, msg.fds);
	msg.len = len;
	msg.data = malloc(len ? len : 1);
	memcpy(msg.data, payload, len);
	if (from == MON_NET)
		remember_request(m, &msg);
	seen.pam_agreed |= from == MON_LEADER && msg.type == LEADER_ACCOUNT_RESULT &&
			   m->state == MON_ACCOUNT && len > 0 && payload[0] == 1;
	seen.client_in |= from == MON_NET && msg.type == NET_LOGGED_IN && m->state == MON_AGREED;
	r = dispatch(m, from, &msg);
	chan_msg_done(&msg);
	if (r < 0)
		mon_end(m, MON_END_KILLED, NULL, "protocol");
	check(channels_active(&m->channels) <= m->ceiling.max_sessions);
}

/* The keys process says no more and no less than it is asked for. */
static void keys_answer(struct monitor *m)
{
	static const uint8_t signature[8];
	struct chan_writer w = { 0 };
	struct chan_msg msg = { .type = KEYS_SIGNED };

	if (!seen.asked_keys)
		return;
	seen.asked_keys = false;
	chan_put_bytes(&w, signature, seen.may_sign ? sizeof(signature) : 0);
	msg.data = w.data;
	msg.len = w.len;
	if (dispatch(m, MON_KEYS, &msg) < 0)
		mon_end(m, MON_END_KILLED, NULL, "protocol");
	check(seen.may_sign || m->state == MON_ENDING);
	chan_msg_done(&msg);
}

static struct lease make_lease(uint8_t arg)
{
	static const char *const users[] = { "alice", "root", "nobody", "daemon" };
	struct lease lease = {
		.local_user = strdup(users[arg & 3]),
		.nonroot = arg & 4,
		.force_command = !(arg & 8) ? NULL
				 : arg & 64 ? strdup(FORCE_COMMAND_SFTP)
					    : strdup(FORCED),
		.idle_timeout_usec = arg & 16 ? 1 : 0,
		.max_duration_usec = arg & 32 ? 1 : 0,
		.accept_env = calloc(2, sizeof(char *)),
		.message = arg & 64 ? calloc(1, 10001) : NULL,
		.forward_agent = seen.rights & 1,
		.forward_local = seen.rights & 2,
		.forward_remote = seen.rights & 4,
	};

	if (lease.message)
		memset(lease.message, 'm', 10000);
	if (arg & 128)
		lease.accept_env[0] = strdup("*");
	return lease;
}

static void agent_says(struct monitor *m, enum op op, uint8_t arg)
{
	static char message[] = "a check", url[] = "https://coord.example/check/a", code[] = "1-2";
	const struct agent_link_events *events = &login_agent_events;
	bool answered = seen.agent_accepted || seen.n_verdicts > 0;
	const struct lease_check where = { message, url, code };
	struct lease lease;

	if (op == OP_ACCEPT && seen.asked_agent && !answered) {
		lease = make_lease(arg);
		seen.agent_accepted = true;
		events->accepted(m, &lease);
		lease_done(&lease);
	} else if (op == OP_CHECK && seen.asked_agent && !answered) {
		events->check(m, &where);
	} else if (op == OP_REJECT && seen.asked_agent && !answered) {
		events->rejected(m, NULL, "no");
	} else if (op == OP_REVOKE && seen.agent_accepted) {
		events->revoked(m, "policy", "gone");
	} else if (op == OP_RETIME && seen.agent_accepted) {
		events->retimed(m, UINT64_MAX);
	}
}

static void take_step(struct monitor *m, uint8_t op, uint8_t arg, const uint8_t *payload,
		      size_t len)
{
	const uint32_t type = types[(arg & 15) % ARRAY_SIZE(types)];
	const uint32_t forward_type = forward_types[(arg & 15) % ARRAY_SIZE(forward_types)];
	bool ending = m->state == MON_ENDING;

	switch ((enum op)(op % N_OPS)) {
	case OP_NET:
		send_message(m, MON_NET, type, arg, payload, len);
		keys_answer(m);
		break;
	case OP_LEADER:
		send_message(m, MON_LEADER, type, arg, payload, len);
		break;
	case OP_USER:
		send_message(m, MON_USER, type, arg, payload, len);
		break;
	case OP_FORWARD_NET:
		send_message(m, MON_NET, forward_type, arg, payload, len);
		break;
	case OP_FORWARD_USER:
		send_message(m, MON_USER, forward_type, arg, payload, len);
		break;
	case OP_DEAF:
		seen.deaf = true;
		break;
	case OP_ACCEPT:
	case OP_REJECT:
	case OP_REVOKE:
	case OP_RETIME:
	case OP_CHECK:
		agent_says(m, (enum op)(op % N_OPS), arg);
		break;
	case N_OPS:
		break;
	}
	check(!ending || m->state == MON_ENDING);
}

/* ---- one login ---- */

static void no_log(void *userdata, int level, const char *text)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct monitor m;

	memset(&seen, 0, sizeof(seen));
	seen.rights = size > 1 ? data[1] : 0;
	/* Who closes for the monitor. */
	signal(SIGCHLD, SIG_IGN);
	log_set_sink(no_log, NULL);
	outside_monitor_init(&m);
	m.ceiling.permit_root = size > 0 && data[0] & 1;
	m.ceiling.sftp_server = strdup(size > 0 && data[0] & 8 ? "none" : SFTP_SERVER);
	for (int i = 0; i < MAX_STEPS && size >= 4; i++) {
		size_t len = (size_t)data[2] << 8 | data[3];

		if (len > size - 4)
			len = size - 4;
		take_step(&m, data[0], data[1], data + 4, len);
		data += 4 + len;
		size -= 4 + len;
	}
	outside_monitor_done(&m);
	return 0;
}
