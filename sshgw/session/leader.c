/*
 * A state machine driven by the monitor's messages. Which message is legal in which state is data
 * (handlers[]); any other message ends the login, for it means that the monitor is not what this
 * program was built with.
 *
 * PAM modules run here, and fork programs of their own (pam_exec, pam_motd, pam_mount). These
 * inherit our signal mask, which is why nothing is blocked except while waiting for an event.
 */
#include "sshgw/session/leader.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "common/account.h"
#include "common/log.h"
#include "common/text.h"
#include "sshgw/audit.h"
#include "sshgw/msg.h"
#include "sshgw/session/environment.h"
#include "sshgw/session/leader_scope.h"
#include "sshgw/session/leader_sockets.h"
#include "sshgw/session/login_defs.h"
#include "sshgw/session/login_process.h"
#include "sshgw/session/login_record.h"
#include "sshgw/session/login_text.h"

#define SEND_TIMEOUT_USEC (10u * 1000000u)
#define USER_GRACE_USEC	  (2 * 1000000ull)
/* What the user process has said in the end comes through the monitor. */
static const struct timespec last_words = { .tv_sec = 1 };

enum leader_state {
	LEADER_AT_START, /* waits for the account's name */
	LEADER_REFUSED,	 /* the account may not log in: only the end can come */
	LEADER_ALLOWED,	 /* it may: waits to be told to open the session */
	LEADER_RUNNING,	 /* session open, user process runs */
	LEADER_ENDED,	 /* close everything */
};

struct leader {
	const struct leader_config *config;
	enum leader_state state;
	char *remote_host;
	struct login_defs defs;
	struct account *account;
	struct leader_scope scope;
	struct leader_sockets sockets;
	bool killed; /* what the login started */
	struct login_pam *pam;
	struct login_process process;
	struct login_record *record;
};

static const char *state_to_string(enum leader_state state)
{
	switch (state) {
	case LEADER_AT_START:
		return "start";
	case LEADER_REFUSED:
		return "refused";
	case LEADER_ALLOWED:
		return "allowed";
	case LEADER_RUNNING:
		return "running";
	case LEADER_ENDED:
		return "ended";
	}
	return "?";
}

static void enter_state(struct leader *leader, enum leader_state state, const char *why)
{
	log_debug("Login: %s -> %s (%s)", state_to_string(leader->state), state_to_string(state),
		  why);
	leader->state = state;
}

/* ---- LEADER_ACCOUNT ---- */

/* Return: as login_pam_account(), with text unless it is 0. */
static int check_account(struct leader *leader, const struct msg_account *msg, char **ret_text)
{
	const char *user = msg->user;
	int r = account_get(user, &leader->account);

	if (r == ACCOUNT_UNKNOWN) {
		*ret_text = text_printf("This host has no account '%s'.", user);
		return LOGIN_PAM_REFUSED;
	}
	if (r < 0) {
		*ret_text = text_printf("This host cannot look up the account '%s' now: %s", user,
					strerror(-r));
		return r;
	}
	/* Between the monitor's look and ours a directory may have changed its mind. */
	if (leader->account->uid != msg->uid || leader->account->gid != msg->gid) {
		*ret_text = text_printf("The account '%s' changed while it was looked up; try "
					"again.",
					user);
		return -EAGAIN;
	}
	r = login_pam_new(&leader->config->pam, leader->account, leader->remote_host, &leader->pam,
			  ret_text);
	return r < 0 ? r : login_pam_account(leader->pam, ret_text);
}

/* r: of check_account(). */
static enum account_verdict verdict(int r)
{
	switch (r) {
	case 0:
		return VERDICT_ALLOWED;
	case LOGIN_PAM_REFUSED:
		return VERDICT_REFUSED;
	case LOGIN_PAM_CLOSED:
		return VERDICT_CLOSED;
	default:
		return VERDICT_UNDECIDED;
	}
}

static int answer_account(struct leader *leader, enum account_verdict answer, const char *text)
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };

	chan_put_u8(&w, (uint8_t)answer);
	chan_put_bytes(&w, text ? text : "", text ? strnlen(text, LOGIN_MESSAGE_MAX) : 0);
	return chan_send_wait(leader->config->channel, SEND_TIMEOUT_USEC, LEADER_ACCOUNT_RESULT, &w,
			      NULL, 0);
}

/* The same fields as those of the monitor's records (sshgw/monitor/journal.c). */
static void set_context(const struct leader *leader, const struct msg_account *msg)
{
	const struct log_field fields[] = {
		{ "CONNECTION", msg->connection },
		{ "PEER", leader->remote_host },
		{ "LOCAL_USER", msg->user },
		{ "USER", msg->person[0] ? msg->person : NULL },
	};

	log_set_context(fields, ARRAY_SIZE(fields));
}

static int handle_account(struct leader *leader, struct chan_msg *in)
{
	_cleanup_(msg_account_done) struct msg_account msg = { 0 };
	_cleanup_free_ char *text = NULL;
	int r = msg_account_get(in, &msg);

	if (r < 0)
		return r;
	/* We were put into a group of our own before we were asked. */
	r = leader_scope_init(&leader->scope);
	if (r < 0)
		return r;
	leader->remote_host = take_ptr(msg.remote_host);
	set_context(leader, &msg);
	r = check_account(leader, &msg, &text);
	if (r != 0)
		log_with(LOG_NOTICE, r < 0 ? r : 0, NULL, 0, "Account '%s' may not log in: %s",
			 msg.user, text ? text : "out of memory");
	enter_state(leader, r == 0 ? LEADER_ALLOWED : LEADER_REFUSED, "account checked");
	return answer_account(leader, verdict(r), text);
}

/* ---- LEADER_OPEN ---- */

static int make_environment(struct leader *leader, const struct msg_open *msg,
			    struct environment *ret_env)
{
	const struct account *account = leader->account;
	char **pam = login_pam_environment(leader->pam);
	struct login_environment in = {
		.user = account->name,
		.home = account->home,
		.shell = account->shell,
		.path = account->uid == 0 ? leader->defs.root_path : leader->defs.path,
		.tz = getenv("TZ"),
		.pam = pam,
		.ssh_client = msg->ssh_client,
		.ssh_connection = msg->ssh_connection,
	};
	int r = login_environment_build(&in, ret_env);

	for (char **p = pam; p && *p; p++)
		free(*p);
	free(pam);
	return r;
}

static int make_record(struct leader *leader)
{
	const struct login_record_config config = {
		.utmp = leader->config->utmp,
		.wtmp = leader->config->wtmp,
		.lastlog = leader->config->lastlog,
		.user = leader->account->name,
		.remote_host = leader->remote_host,
		.uid = leader->account->uid,
		.lastlog_uid_max = leader->defs.lastlog_uid_max,
		.pid = getpid(),
	};

	return login_record_new(&config, &leader->record);
}

/*
 * sshd's order on Debian: groups, PAM credentials (which may add groups), PAM session, and only
 * then the process that becomes the user. The groups are set in this process: PAM's come on top of
 * them, and the user process inherits the sum.
 */
static int open_login(struct leader *leader, const struct msg_open *msg, int channel,
		      char **reterr_text)
{
	const struct account *account = leader->account;
	_cleanup_(environment_done) struct environment env = { 0 };
	int r = login_defs_read(leader->config->login_defs, &leader->defs);

	if (r < 0)
		return r;
	if (initgroups(account->name, account->gid) < 0) {
		r = -errno;
		*reterr_text = text_printf("Could not set the groups of '%s': %s", account->name,
					   strerror(-r));
		return r;
	}
	r = login_pam_open(leader->pam, msg->ssh_connection, reterr_text);
	if (r < 0)
		return r;
	r = make_record(leader);
	if (r < 0)
		return r;
	r = make_environment(leader, msg, &env);
	if (r < 0)
		return r;
	return login_process_start(account, env.vars, leader->config->exe, channel,
				   &leader->process, reterr_text);
}

/*
 * In sshd's order: the message of the day and what else PAM's modules have to say, then the last
 * login. Return: the caller's; NULL: nothing (or no memory for it).
 */
static char *make_greeting(const struct leader *leader)
{
	_cleanup_free_ char *last = NULL;

	if (account_is_quiet(leader->account))
		return NULL;
	last = login_record_last(leader->record);
	return text_printf("%s%s", login_pam_text(leader->pam), last ?: "");
}

static int answer_open(struct leader *leader, bool ok, const char *text)
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };

	chan_put_u8(&w, ok);
	chan_put_bytes(&w, text ? text : "", text ? strnlen(text, LOGIN_MESSAGE_MAX) : 0);
	return chan_send_wait(leader->config->channel, SEND_TIMEOUT_USEC, LEADER_OPENED, &w, NULL,
			      0);
}

/* From here, since loginuid and session of the record are those of its sender (pam_loginuid). */
static void tell_audit(const struct leader *leader, bool success)
{
	int r = audit_login(&(struct audit_login){
		.success = success,
		.uid = leader->account->uid,
		.account = leader->account->name,
		.address = leader->remote_host,
	});

	if (r < 0)
		log_warning_errno(r, "The audit subsystem does not take the login, continuing");
}

static int handle_open(struct leader *leader, struct chan_msg *in)
{
	_cleanup_(msg_open_done) struct msg_open msg = { 0 };
	_cleanup_free_ char *error = NULL, *greeting = NULL;
	int r = msg_open_get(in, &msg);

	if (r < 0)
		return r;
	r = open_login(leader, &msg, in->fds[0], &error);
	tell_audit(leader, r == 0);
	if (r < 0) {
		(void)log_error_errno(r, "Could not open the login: %s", error ? error : "failure");
		enter_state(leader, LEADER_ENDED, "could not be opened");
		return answer_open(leader, false, error ? error : "The host is out of memory.");
	}
	enter_state(leader, LEADER_RUNNING, "opened");
	greeting = make_greeting(leader);
	return answer_open(leader, true, greeting);
}

/* ---- LEADER_LOGIN, LEADER_LOGOUT, LEADER_CLOSE ---- */

static int handle_line(struct leader *leader, struct chan_msg *in,
		       int (*change)(struct login_record *, const char *))
{
	_cleanup_free_ char *line = NULL;
	int r = msg_text_get(in, MSG_MAX_TEXT, &line);

	if (r < 0)
		return r;
	if (!login_line_is_valid(line))
		return -EBADMSG;
	r = change(leader->record, line);
	if (r < 0)
		log_warning_errno(r, "Could not keep the login records of %s, continuing", line);
	return 0;
}

static int handle_login(struct leader *leader, struct chan_msg *in)
{
	return handle_line(leader, in, login_record_login);
}

static int handle_logout(struct leader *leader, struct chan_msg *in)
{
	return handle_line(leader, in, login_record_logout);
}

static int handle_socket(struct leader *leader, struct chan_msg *in)
{
	return leader_sockets_add(&leader->sockets, in);
}

static int handle_socket_gone(struct leader *leader, struct chan_msg *in)
{
	return leader_sockets_forget(&leader->sockets, in);
}

static int handle_close(struct leader *leader, struct chan_msg *in)
{
	if (in->len > 0)
		return -EBADMSG;
	enter_state(leader, LEADER_ENDED, "the monitor closes it");
	return 0;
}

/* ---- what is legal when ---- */

#define IN(state) (1u << (state))

static const struct leader_handler {
	uint32_t type;
	unsigned legal_in;
	size_t n_fds;
	int (*handle)(struct leader *leader, struct chan_msg *in);
} handlers[] = {
	{ LEADER_ACCOUNT, IN(LEADER_AT_START), 0, handle_account },
	{ LEADER_OPEN, IN(LEADER_ALLOWED), 1, handle_open },
	{ LEADER_LOGIN, IN(LEADER_RUNNING), 0, handle_login },
	{ LEADER_LOGOUT, IN(LEADER_RUNNING), 0, handle_logout },
	{ LEADER_SOCKET, IN(LEADER_RUNNING), 0, handle_socket },
	{ LEADER_SOCKET_GONE, IN(LEADER_RUNNING), 0, handle_socket_gone },
	{ LEADER_CLOSE,
	  IN(LEADER_AT_START) | IN(LEADER_REFUSED) | IN(LEADER_ALLOWED) | IN(LEADER_RUNNING), 0,
	  handle_close },
};

static int dispatch(struct leader *leader, struct chan_msg *in)
{
	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++) {
		if (handlers[i].type != in->type)
			continue;
		if (!(handlers[i].legal_in & IN(leader->state)) || handlers[i].n_fds != in->n_fds)
			break;
		return handlers[i].handle(leader, in);
	}
	return -EBADMSG;
}

static int receive(struct leader *leader)
{
	_cleanup_(chan_msg_done) struct chan_msg in = { 0 };
	int r = chan_receive(leader->config->channel, &in);

	if (r == -EAGAIN)
		return 0;
	if (r == -ECONNRESET) {
		enter_state(leader, LEADER_ENDED, "the monitor is gone");
		return 0;
	}
	if (r == 0)
		r = dispatch(leader, &in);
	if (r < 0)
		log_error_errno(r, "Message 0x%x in state '%s' refused, ending the login", in.type,
				state_to_string(leader->state));
	return r;
}

/* ---- waiting ---- */

/* Set by the handler, which can reach nothing else. */
static volatile sig_atomic_t end_requested;

static void request_end(int sig)
{
	end_requested = 1;
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = request_end, .sa_flags = SA_RESTART };

	end_requested = 0;
	sigemptyset(&action.sa_mask);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

/*
 * Wait for a descriptor or a request to end, also one that came while nobody waited; for so long at
 * most, unless it is NULL.
 */
static int wait_for_event(struct pollfd *fds, size_t n, const struct timespec *patience)
{
	sigset_t block, normal;
	int r = 0;

	sigemptyset(&block);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGHUP);
	sigprocmask(SIG_BLOCK, &block, &normal);
	if (!end_requested && ppoll(fds, n, patience, &normal) < 0 && errno != EINTR)
		r = -errno;
	sigprocmask(SIG_SETMASK, &normal, NULL);
	return r;
}

/*
 * The user process is gone, which the monitor will see, too. It has said what sockets there are,
 * which are ours to remove now, and the monitor may have to pass that on yet.
 */
static int await_close(struct leader *leader)
{
	while (leader->state != LEADER_ENDED) {
		struct pollfd channel = { .fd = leader->config->channel, .events = POLLIN };
		int r = wait_for_event(&channel, 1, &last_words);

		if (r == 0 && channel.revents)
			r = receive(leader);
		else if (r == 0)
			enter_state(leader, LEADER_ENDED, "the user process is gone");
		if (r < 0)
			return r;
	}
	return 0;
}

static int serve(struct leader *leader)
{
	while (leader->state != LEADER_ENDED) {
		/* poll() leaves a negative descriptor alone: no user process yet. */
		struct pollfd fds[] = { { .fd = leader->config->channel, .events = POLLIN },
					{ .fd = leader->process.pidfd, .events = POLLIN } };
		int r = wait_for_event(fds, ARRAY_SIZE(fds), NULL);

		if (r == 0 && fds[0].revents)
			r = receive(leader);
		if (r < 0)
			return r;
		if (leader->state == LEADER_ENDED)
			return 0;
		if (end_requested)
			enter_state(leader, LEADER_ENDED, "signal");
		else if (fds[1].revents)
			return await_close(leader);
	}
	return 0;
}

/* As long as we run the monitor waits for us, and kills what must not go on. */
static bool is_alone(const struct leader *leader)
{
	struct pollfd channel = { .fd = leader->config->channel };

	return poll(&channel, 1, 0) > 0 && channel.revents & (POLLHUP | POLLERR);
}

/* One that was killed itself (for want of memory, for one) left that to us, whenever that was. */
static void kill_if_alone(struct leader *leader, int error)
{
	/* Once is enough: nothing can have been started since. Before PAM was asked, nothing was.
	 */
	if (leader->killed || !leader->remote_host || (error == 0 && !is_alone(leader)))
		return;
	log_error("No monitor that we can follow: killing what the login started");
	leader_scope_kill(&leader->scope);
	leader->killed = true;
}

/*
 * The reverse of the way in. Files of the user's come last: the user may see to it that they take
 * for ever, and the monitor does not wait that long for us.
 */
static void close_login(struct leader *leader)
{
	login_process_end(&leader->process, USER_GRACE_USEC);
	leader->record = login_record_free(leader->record);
	leader->pam = login_pam_free(leader->pam);
	leader_sockets_remove(&leader->sockets, leader->account);
}

static void leader_done(struct leader *leader)
{
	leader->account = account_free(leader->account);
	login_defs_done(&leader->defs);
	leader_scope_done(&leader->scope);
	leader_sockets_done(&leader->sockets);
	free(leader->remote_host);
}

int leader_run(const struct leader_config *config)
{
	struct leader leader = { .config = config, .process = { .pidfd = -1 } };
	int r;

	catch_signals();
	r = serve(&leader);
	kill_if_alone(&leader, r);
	close_login(&leader);
	/* That may have taken PAM a while. */
	kill_if_alone(&leader, r);
	leader_done(&leader);
	return r;
}
