#include "sshgw/monitor/login.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/force_command.h"
#include "common/log.h"
#include "common/login_check.h"
#include "common/text.h"
#include "sshgw/audit.h"
#include "sshgw/build.h"
#include "sshgw/child.h"
#include "sshgw/monitor/check.h"
#include "sshgw/monitor/forwarding.h"
#include "sshgw/monitor/idle.h"
#include "sshgw/monitor/journal.h"
#include "sshgw/monitor/sessions.h"
#include "sshgw/scope.h"

/* One journal record for each decision. */
static void log_decision(const struct monitor *m, bool accepted, const char *reason,
			 const char *message)
{
	const struct lease *lease = &m->lease;
	_cleanup_free_ char *text = NULL;
	char peer[IP_ADDR_STRLEN], took[64];

	ip_addr_to_string(&m->peer.addr, peer);
	check_took(m, took);
	if (accepted)
		text = text_printf("Accepted login of %s (%s) as \"%s\" by rule %s%s",
				   lease->user ? lease->user : "a tagged node", lease->node_name,
				   lease->local_user, lease->rule ? lease->rule : "without a name",
				   took);
	else
		text = text_printf("Refused login from %s as \"%s\"%s: %s", peer, m->ssh_user, took,
				   message);
	journal_record(
		m, "decision", accepted ? LOG_INFO : LOG_NOTICE,
		LOG_FIELDS({ "DECISION", accepted ? "accept" : "reject" }, { "REASON", reason }),
		text ?: "A login was decided");
}

/*
 * Refused for what the client is, asks for, or does not do: by the policy, this host's rules, or a
 * person. For anything else nobody is to blame: this host or its coordinator could not decide, or
 * lets nobody in.
 */
static bool is_clients_fault(const char *reason)
{
	static const char *const reasons[] = {
		/* the agent's: ssh_reject_reason_to_string(), and checks (agent/PROTOCOL.md) */
		"not-a-peer",
		"key-expired",
		"no-rule",
		"user",
		"by-rule",
		"bad-user",
		"policy",
		"check-denied",
		"check-timeout",
		"check-refused",
		/* ours: common/login_check.h, and PAM */
		"account",
		"nonroot",
		"ceiling",
		"shell",
		"pam",
	};

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (strcmp(reason, reasons[i]) == 0)
			return true;
	return false;
}

static void tell_audit(const struct monitor *m)
{
	char peer[IP_ADDR_STRLEN];
	int r = audit_login(&(struct audit_login){
		.account = m->lease.local_user ?: m->ssh_user,
		.address = ip_addr_to_string(&m->peer.addr, peer),
	});

	if (r < 0)
		log_warning_errno(r, "The audit subsystem does not take the refusal, continuing");
}

void login_refuse(struct monitor *m, const char *reason, const char *message)
{
	/* Cut to what a message may carry: PAM and the agent can be wordy. */
	_cleanup_free_ char *text = text_printf("Peergate: %.4000s", message);
	struct chan_writer w = { 0 };

	log_decision(m, false, reason, message);
	tell_audit(m);
	m->story.refused = true;
	m->story.misbehaved = is_clients_fault(reason);
	msg_auth_result_put(&w, &(struct msg_auth_result){ .verdict = AUTH_REFUSED, .text = text });
	mon_send(m, MON_NET, NET_AUTH_RESULT, &w, NULL, 0);
	mon_end(m, MON_END_REFUSED, NULL, "the login was refused");
}

int login_ask(struct monitor *m, struct chan_msg *msg)
{
	int r = msg_text_get(msg, MSG_MAX_USER, &m->ssh_user);

	if (r < 0)
		return -EPROTO;
	mon_enter(m, MON_ASKING, "the client named a user");
	if (!m->ceiling.ssh) {
		login_refuse(m, "ssh-off", "SSH is switched off on this host (SSH= in sshgw.conf)");
		return 0;
	}
	/* What the agent is asked is JSON, and no account has such a name. */
	if (!text_is_utf8(m->ssh_user)) {
		login_refuse(m, "bad-user", "this is no user name");
		return 0;
	}
	r = agent_link_authorize(m->agent, m->ssh_user);
	if (r < 0)
		login_refuse(m, "agent-lost", "the agent of this host does not answer; try again");
	return 0;
}

/* ---- the agent's word ---- */

static void on_rejected(void *userdata, const char *reason, const char *message)
{
	struct monitor *m = userdata;

	if (m->state != MON_ENDING)
		login_refuse(m, reason ? reason : "policy", message);
}

static int start_leader(struct monitor *m)
{
	const char *const argv[] = { "peergate-sshgw-session", build_id(), "leader", NULL };
	_cleanup_free_ char *journal = log_journal_env();
	const char *const envp[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", journal, NULL };
	struct child_spec spec = {
		.exe_fd = m->config.session_exe_fd, .argv = argv, .envp = envp, .nice = m->raised
	};
	int pair[2], pidfd, r;
	pid_t pid;

	r = chan_pair(pair);
	if (r < 0)
		return r;
	spec.fds[spec.n_fds++] = pair[1];
	spec.fds[spec.n_fds++] = m->config.session_exe_fd;
	r = child_spawn(&spec, &pid, &pidfd);
	close_fd(pair[1]);
	if (r < 0) {
		close_fd(pair[0]);
		return r;
	}
	r = mon_watch_exit(m, MON_LEADER, pid, pidfd);
	if (r == 0)
		r = mon_attach(m, MON_LEADER, pair[0]);
	if (r == 0)
		r = scope_create(pid, &m->own_scope);
	return r;
}

static void ask_account(struct monitor *m)
{
	char peer[IP_ADDR_STRLEN], nobody[] = "";
	struct chan_writer w = { 0 };

	msg_account_put(&w, &(struct msg_account){
				    .user = m->account->name,
				    .uid = m->account->uid,
				    .gid = m->account->gid,
				    .remote_host = ip_addr_to_string(&m->peer.addr, peer),
				    .connection = m->name,
				    .person = m->lease.user ? m->lease.user : nobody,
			    });
	mon_enter(m, MON_ACCOUNT, "the agent accepted");
	mon_send(m, MON_LEADER, LEADER_ACCOUNT, &w, NULL, 0);
}

static void on_retimed(void *userdata, uint64_t valid_until)
{
	struct monitor *m = userdata;

	m->lease.valid_until = valid_until;
	loop_time_set(m->expiry, valid_until);
	loop_time_enable(m->expiry, valid_until == UINT64_MAX ? LOOP_OFF : LOOP_ONESHOT);
}

static void on_check(void *userdata, const struct lease_check *check)
{
	check_begin(userdata, check);
}

static void on_accepted(void *userdata, struct lease *lease)
{
	struct monitor *m = userdata;
	struct login_refusal refusal;
	struct login_grant grant;
	int r;

	/* The client did not wait for the answer: nothing may be started any more. */
	if (m->state == MON_ENDING)
		return;
	m->lease = *lease;
	*lease = (struct lease){ 0 };
	on_retimed(m, m->lease.valid_until);
	check_passed(m);
	grant = (struct login_grant){
		.account = m->lease.local_user,
		.nonroot = m->lease.nonroot,
		.sftp_only = force_command_is_sftp(m->lease.force_command),
	};
	if (login_check(&grant, &m->ceiling, &m->account, &refusal) == LOGIN_REFUSED) {
		if (refusal.error < 0)
			log_error_errno(refusal.error, "Could not look up account \"%s\"",
					m->lease.local_user);
		login_refuse(m, refusal.reason, refusal.text);
		return;
	}
	r = start_leader(m);
	if (r < 0) {
		log_error_errno(r, "Could not start the session leader in a control group of its "
				   "own (cgroup v2 is needed)");
		login_refuse(m, "session",
			     "the session cannot be started now; see this host's journal");
		return;
	}
	ask_account(m);
}

void login_run_out(struct monitor *m)
{
	/* It has ended already, by the agent's word or by our own timer. */
	if (m->killed)
		return;
	journal_record(m, "expiry", LOG_NOTICE, LOG_FIELDS({ "REASON", "lease-expired" }),
		       "The lease has run out");
	mon_end(m, MON_END_KILLED, "Peergate: the right to be logged in here has run out",
		"the lease has run out");
}

static void end_revoked(struct monitor *m, const char *reason, const char *message)
{
	_cleanup_free_ char *notice = text_printf("Peergate: access was revoked: %s", message);
	_cleanup_free_ char *text = text_printf("Revoked the login of %s as %s: %s",
						m->lease.user ? m->lease.user : m->lease.node_name,
						m->lease.local_user, message);

	journal_record(m, "revocation", LOG_NOTICE, LOG_FIELDS({ "REASON", reason }),
		       text ?: "Revoked a login");
	mon_end(m, MON_END_KILLED, notice, "the agent revoked the lease");
}

static void on_handshake(void *userdata, const struct lease_handshake *handshake)
{
	absence_handshake(userdata, handshake);
}

/* A lease that runs out, the agent revokes in the same moment: one end, whoever is first. */
static void on_revoked(void *userdata, const char *reason, const char *message)
{
	struct monitor *m = userdata;

	if (m->lease.id && m->lease.valid_until <= clock_usec(CLOCK_REALTIME))
		login_run_out(m);
	else
		end_revoked(m, reason, message);
}

const struct agent_link_events login_agent_events = {
	.check = on_check,
	.accepted = on_accepted,
	.rejected = on_rejected,
	.retimed = on_retimed,
	.revoked = on_revoked,
	.handshake = on_handshake,
};

/* ---- PAM's word ---- */

static const char not_opened[] =
	"Peergate: the session could not be opened; see this host's journal";

void login_leader_lost(struct monitor *m)
{
	if (m->state == MON_ACCOUNT) {
		login_refuse(
			m, "session",
			"the session cannot be started now (see this host's journal); try again");
		mon_end(m, MON_END_KILLED, NULL, "PAM may have started something");
	} else if (m->state == MON_AGREED || m->state == MON_OPENING) {
		mon_end(m, MON_END_KILLED, not_opened,
			"the leader ended before the session was open");
	}
}

static void accept_login(struct monitor *m)
{
	_cleanup_free_ char *message = text_printf("%.4000s", m->lease.message ?: "");
	struct chan_writer w = { 0 };

	log_decision(m, true, NULL, NULL);
	msg_auth_result_put(&w, &(struct msg_auth_result){
					.verdict = AUTH_ACCEPTED,
					.text = message,
					.active_msec = idle_tell_msec(m),
				});
	mon_send(m, MON_NET, NET_AUTH_RESULT, &w, NULL, 0);
	mon_enter(m, MON_AGREED, "PAM's account rules agree");
}

int login_account_result(struct monitor *m, struct chan_msg *msg)
{
	static const char *const reasons[] = {
		[VERDICT_REFUSED] = "pam",
		[VERDICT_CLOSED] = "nologin",
		[VERDICT_UNDECIDED] = "pam-error",
	};
	struct chan_reader reader = chan_msg_reader(msg);
	uint8_t verdict = chan_get_u8(&reader);
	_cleanup_free_ char *text = chan_get_string(&reader, MSG_MAX_TEXT);

	if (chan_reader_end(&reader) < 0 || verdict > VERDICT_LAST)
		return -EPROTO;
	if (verdict == VERDICT_ALLOWED)
		accept_login(m);
	else
		login_refuse(m, reasons[verdict],
			     text[0] ? text : "this host's account rules (PAM) refuse it");
	return 0;
}

/* ---- the client is in ---- */

/* $SSH_CLIENT and $SSH_CONNECTION, as ssh(1) describes them. */
static int tell_leader_to_open(struct monitor *m, int user_fd)
{
	char peer[IP_ADDR_STRLEN], local[IP_ADDR_STRLEN];
	_cleanup_free_ char *client = NULL, *connection = NULL;
	struct chan_writer w = { 0 };

	ip_addr_to_string(&m->peer.addr, peer);
	ip_addr_to_string(&m->local.addr, local);
	client = text_printf("%s %u %u", peer, m->peer.port, m->local.port);
	connection = text_printf("%s %u %s %u", peer, m->peer.port, local, m->local.port);
	if (!client || !connection)
		return -ENOMEM;
	msg_open_put(&w, &(struct msg_open){ .ssh_client = client, .ssh_connection = connection });
	mon_send(m, MON_LEADER, LEADER_OPEN, &w, &user_fd, 1);
	return 0;
}

static void begin_login(struct monitor *m)
{
	m->story.logged_in = true;
	mon_tell_listener(m, MON_STEP_LOGGED_IN);
	loop_time_enable(m->grace, LOOP_OFF);
	if (m->lease.max_duration_usec > 0) {
		loop_time_set_relative(m->duration, m->lease.max_duration_usec);
		loop_time_enable(m->duration, LOOP_ONESHOT);
	}
}

static int open_session(struct monitor *m)
{
	int pair[2], r;

	r = chan_pair(pair);
	if (r < 0)
		return r;
	r = mon_attach(m, MON_USER, pair[0]);
	if (r == 0)
		r = tell_leader_to_open(m, pair[1]);
	close_fd(pair[1]);
	return r;
}

/*
 * Not before: a client that goes no further leaves no trace of a login in utmp, with logind or
 * audit, and what session modules do (make or mount a home) is not done for nobody.
 */
int login_client_in(struct monitor *m, struct chan_msg *msg)
{
	int r;

	if (msg->len > 0)
		return -EPROTO;
	begin_login(m);
	mon_enter(m, MON_OPENING, "the client is in");
	r = open_session(m);
	if (r < 0) {
		log_error_errno(r, "Could not have the session opened");
		mon_end(m, MON_END_KILLED, not_opened, "the session could not be opened");
	}
	return 0;
}

/*
 * "\n" becomes "\r\n": it is written past the terminal's own output processing. What is longer
 * than a message may carry is cut.
 */
static char *for_terminal(const char *text)
{
	char *out = malloc(MSG_MAX_TEXT + 1), *p = out;

	if (!out)
		return NULL;
	for (; *text && p + 2 <= out + MSG_MAX_TEXT; text++) {
		if (*text == '\n')
			*p++ = '\r';
		*p++ = *text;
	}
	*p = '\0';
	return out;
}

int login_opened(struct monitor *m, struct chan_msg *msg)
{
	struct chan_reader reader = chan_msg_reader(msg);
	bool ok = chan_get_u8(&reader) == 1;
	_cleanup_free_ char *text = chan_get_string(&reader, MSG_MAX_TEXT);
	int r;

	if (chan_reader_end(&reader) < 0)
		return -EPROTO;
	if (!ok) {
		_cleanup_free_ char *notice = text_printf(
			"Peergate: the session could not be opened%s%s", text[0] ? ": " : "", text);

		mon_end(m, MON_END_KILLED, notice, "PAM could not open the session");
		return 0;
	}
	r = scope_find(m->peers[MON_LEADER].pid, &m->scope);
	if (r < 0)
		return log_error_errno(r, "Could not find the login's control group");
	m->login_text = for_terminal(text);
	mon_enter(m, MON_OPEN, "the PAM session is open");
	idle_begin(m);
	mon_send(m, MON_NET, NET_OPENED, NULL, NULL, 0);
	forwarding_release_listeners(m);
	sessions_release(m);
	forwarding_release_connects(m);
	return 0;
}
