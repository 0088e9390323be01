#include "sshgw/monitor/sessions.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/force_command.h"
#include "common/log.h"
#include "common/passed.h"
#include "common/text.h"
#include "sshgw/monitor/env.h"
#include "sshgw/monitor/forwarding.h"
#include "sshgw/monitor/idle.h"
#include "sshgw/monitor/sftp.h"

/* ---- starting ---- */

static void refuse_start(struct monitor *m, uint32_t id, const char *reason)
{
	struct chan_writer w = { 0 };

	chan_put_u32(&w, id);
	chan_put_string(&w, reason);
	mon_send(m, MON_NET, NET_START_FAILED, &w, NULL, 0);
}

/* Variables that may not come in vanish without a word, as OpenSSH does it. */
static void filter_env(struct msg_start *start, const struct lease *lease)
{
	size_t n = 0;

	for (size_t i = 0; i < start->n_env; i++) {
		struct msg_env env = start->env[i];

		if (env_is_allowed(env.name, lease->accept_env, lease->force_command)) {
			start->env[n++] = env;
		} else {
			free(env.name);
			free(env.value);
		}
	}
	start->n_env = n;
}

/*
 * sshd_config(5), ForceCommand: the command asked for is in SSH_ORIGINAL_COMMAND. As with sshd, for
 * a subsystem that is the program it would have been.
 */
static int keep_original(struct msg_start *start)
{
	struct msg_env *env = &start->env[start->n_env];

	if (start->kind == START_SHELL)
		return 0;
	if (start->n_env >= MSG_MAX_ENV || strlen(start->command) > MSG_MAX_ENV_VALUE)
		return -E2BIG;
	env->name = strdup("SSH_ORIGINAL_COMMAND");
	if (!env->name)
		return -ENOMEM;
	env->value = take_ptr(start->command);
	start->n_env++;
	return 0;
}

static int force_program(struct msg_start *start, enum start_kind kind, const char *command)
{
	_cleanup_free_ char *forced = strdup(command);
	int r = forced ? keep_original(start) : -ENOMEM;

	if (r < 0)
		return r;
	free(start->command);
	start->command = take_ptr(forced);
	start->kind = kind;
	return 0;
}

/* Return: 0, SFTP_OFF, SFTP_MISSING, -ENOMEM; *ret_path is the caller's. */
static int find_sftp_server(const struct monitor *m, char **ret_path)
{
	const char *path;
	int r = sftp_find(m->ceiling.sftp_server, &path);

	*ret_path = strdup(path);
	return *ret_path ? r : -ENOMEM;
}

/* As for the subsystem. No terminal comes with it: that would get into the protocol's way. */
static int force_sftp(const struct monitor *m, struct msg_start *start)
{
	_cleanup_free_ char *server = NULL;
	int r = find_sftp_server(m, &server);

	if (r != 0)
		return r;
	start->has_pty = false;
	return force_program(start, START_SFTP, server);
}

/*
 * What is to be run, whatever the client would like. A shell that may be there to restrict is
 * asked to run the sftp-server, as by sshd. Return: as above, -E2BIG.
 */
static int choose_program(const struct monitor *m, struct msg_start *start)
{
	const char *forced = m->lease.force_command;
	int r = 0;

	if (start->kind == START_SFTP) {
		free(take_ptr(start->command));
		r = find_sftp_server(m, &start->command);
	}
	if (r < 0)
		return r;
	if (forced)
		return force_command_is_sftp(forced) ? force_sftp(m, start)
						     : force_program(start, START_EXEC, forced);
	if (start->kind == START_SFTP && !sftp_is_direct(m->account->shell))
		start->kind = START_EXEC;
	return r;
}

static const char *why_not_started(struct monitor *m, int r)
{
	switch (r) {
	case SFTP_OFF:
		session_log_refused(m, LOG_NOTICE, 0,
				    "asked for sftp, which is switched off here (SftpServer=)");
		return "Peergate: sftp is switched off on this host (SftpServer= in sshgw.conf)";
	case SFTP_MISSING:
		session_log_refused(m, LOG_WARNING, 0,
				    "asked for sftp, and there is no sftp-server here: install one "
				    "(Debian: openssh-sftp-server), or name it by SftpServer= in "
				    "sshgw.conf");
		return "Peergate: this host has no sftp-server; ask its administrator for one";
	case -EMFILE:
		return "Peergate: too many sessions on this connection";
	default:
		session_log_refused(m, LOG_WARNING, r,
				    "asked for a program that could not be "
				    "started");
		return "Peergate: the session could not be started";
	}
}

static void tell_user(struct monitor *m, struct channel *channel)
{
	struct chan_writer w = { 0 };

	session_log_starting(m, channel);
	msg_start_put(&w, &channel->start);
	channel->state = CHANNEL_STARTING;
	msg_start_done(&channel->start);
	mon_send(m, MON_USER, USER_START, &w, NULL, 0);
}

/* The net process keeps to these; one that does not is no honest one. */
static bool is_sound(const struct monitor *m, const struct msg_start *start)
{
	return start->n_env <= m->ceiling.max_env &&
	       (start->kind == START_EXEC || start->command[0] == '\0');
}

int sessions_start(struct monitor *m, struct chan_msg *msg)
{
	_cleanup_(msg_start_done) struct msg_start start = { 0 };
	struct channel *channel;
	enum start_kind asked;
	uint32_t id;
	int r;

	if (msg_start_get(msg, &start) < 0 || !is_sound(m, &start) ||
	    forwarding_check_start(m, &start) < 0)
		return -EPROTO;
	id = start.channel;
	asked = start.kind;
	r = channels_add(&m->channels, id, m->ceiling.max_sessions, &channel);
	if (r == -EEXIST)
		return -EPROTO;
	if (r == 0) {
		filter_env(&start, &m->lease);
		r = choose_program(m, &start);
		if (r != 0)
			channels_remove(&m->channels, channel);
	}
	if (r != 0) {
		refuse_start(m, id, why_not_started(m, r));
		return 0;
	}
	channel->asked = asked;
	channel->kind = start.kind;
	channel->has_pty = start.has_pty;
	channel->takes_signals = asked != START_SFTP && !m->lease.force_command;
	channel->greeted = start.has_pty && start.kind == START_SHELL;
	channel->start = start;
	start = (struct msg_start){ 0 };
	if (m->state == MON_OPEN)
		tell_user(m, channel);
	return 0;
}

void sessions_release(struct monitor *m)
{
	for (size_t i = 0; i < m->channels.n && m->state == MON_OPEN; i++)
		if (m->channels.list[i].state == CHANNEL_WAITING)
			tell_user(m, &m->channels.list[i]);
}

/* ---- what the user process hands over ---- */

/*
 * A pipe end that only goes the right way. The user may hand over any pipe of its own, which gains
 * it nothing; but no device, file or socket whose other end somebody else has. What it is, is found
 * out without asking a filesystem, which may be the user's: it would not have to answer.
 */
static bool is_pipe(int fd, int access_mode)
{
	return passed_is_pipe(fd) && (fcntl(fd, F_GETFL) & O_ACCMODE) == access_mode;
}

/* A terminal's master whose slave belongs to the user. Its name goes into utmp. */
static bool is_own_terminal(int fd, uid_t uid, char *line, size_t size)
{
	_cleanup_free_ char *path = NULL;
	unsigned number;
	struct stat st;

	if (!passed_is_terminal_master(fd) || ioctl(fd, TIOCGPTN, &number) < 0)
		return false;
	path = text_printf("/dev/pts/%u", number);
	if (!path || stat(path, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_uid != uid)
		return false;
	return (size_t)snprintf(line, size, "pts/%u", number) < size;
}

/* line: the terminal's, for utmp; untouched without one. */
static bool fds_are_sound(const struct monitor *m, const struct channel *channel,
			  const struct chan_msg *msg, char line[sizeof(channel->line)])
{
	if (channel->has_pty)
		return msg->n_fds == 1 &&
		       is_own_terminal(msg->fds[0], m->account->uid, line, sizeof(channel->line));
	return msg->n_fds == 3 && is_pipe(msg->fds[0], O_WRONLY) &&
	       is_pipe(msg->fds[1], O_RDONLY) && is_pipe(msg->fds[2], O_RDONLY);
}

static void record_login(struct monitor *m, uint32_t type, const char *line)
{
	struct chan_writer w = { 0 };

	chan_put_string(&w, line);
	mon_send(m, MON_LEADER, type, &w, NULL, 0);
}

int sessions_started(struct monitor *m, struct chan_msg *msg)
{
	struct chan_reader r = chan_msg_reader(msg);
	uint32_t id = chan_get_u32(&r);
	uint8_t n_fds = chan_get_u8(&r);
	struct channel *channel = channels_find(&m->channels, id);
	char line[sizeof(channel->line)] = "";
	struct chan_writer w = { 0 };

	if (chan_reader_end(&r) < 0 || n_fds != msg->n_fds || !channel ||
	    (channel->state != CHANNEL_STARTING && channel->state != CHANNEL_DETACHED) ||
	    !fds_are_sound(m, channel, msg, line))
		return -EPROTO;
	/* The client may have gone while the program started. */
	if (channel->state == CHANNEL_DETACHED)
		return 0;
	channel->state = CHANNEL_RUNNING;
	idle_begin(m);
	if (channel->has_pty) {
		memcpy(channel->line, line, sizeof(line));
		record_login(m, LEADER_LOGIN, line);
	}
	session_log_started(m, channel);
	msg_started_put(&w, &(struct msg_started){
				    .channel = id,
				    .n_fds = n_fds,
				    .text = channel->greeted ? m->login_text : NULL,
			    });
	if (channel->greeted) {
		free(m->login_text);
		m->login_text = NULL;
	}
	mon_send(m, MON_NET, NET_STARTED, &w, msg->fds, msg->n_fds);
	return 0;
}

int sessions_start_failed(struct monitor *m, struct chan_msg *msg)
{
	_cleanup_free_ char *reason = NULL;
	struct channel *channel;
	uint32_t id;

	if (msg_channel_text_get(msg, &id, &reason) < 0)
		return -EPROTO;
	channel = channels_find(&m->channels, id);
	if (!channel || (channel->state != CHANNEL_STARTING && channel->state != CHANNEL_DETACHED))
		return -EPROTO;
	session_log_not_started(m, channel, reason);
	channels_remove(&m->channels, channel);
	refuse_start(m, id, reason);
	return 0;
}

/* ---- signals ---- */

/* Of one client, to all its programs: what comes faster is not delivered. */
static const struct budget signals = { .cost_usec = 10 * 1000, .burst = 64 };

void sessions_init(struct monitor *m)
{
	m->signals = signals;
	session_log_init(m);
}

/*
 * To the program that the client chose. As with sshd, a forced command and the sftp-server get
 * none: whoever put them there does not expect them.
 */
int sessions_signal(struct monitor *m, struct chan_msg *msg)
{
	struct chan_writer w = { 0 };
	struct channel *channel;
	struct msg_signal signal;

	if (msg_signal_get(msg, &signal) < 0)
		return -EPROTO;
	channel = channels_find(&m->channels, signal.channel);
	/* The program may have ended while the message was under way. */
	if (!channel)
		return 0;
	if (channel->state != CHANNEL_RUNNING)
		return -EPROTO;
	if (!channel->takes_signals) {
		log_debug("A signal is not delivered: the program is not the client's choice");
		return 0;
	}
	if (budget_take(&m->signals, clock_usec(CLOCK_MONOTONIC)) > 0)
		return 0;
	msg_signal_put(&w, &signal);
	mon_send(m, MON_USER, USER_SIGNAL, &w, NULL, 0);
	return 0;
}

/* ---- ending ---- */

int sessions_exited(struct monitor *m, struct chan_msg *msg)
{
	struct chan_writer w = { 0 };
	struct msg_exited exited;
	struct channel *channel;

	if (msg_exited_get(msg, &exited) < 0)
		return -EPROTO;
	channel = channels_find(&m->channels, exited.channel);
	if (!channel || (channel->state != CHANNEL_RUNNING && channel->state != CHANNEL_DETACHED))
		return -EPROTO;
	if (channel->line[0])
		record_login(m, LEADER_LOGOUT, channel->line);
	if (channel->state == CHANNEL_RUNNING) {
		msg_exited_put(&w, &exited);
		mon_send(m, MON_NET, NET_EXITED, &w, NULL, 0);
	}
	channels_remove(&m->channels, channels_find(&m->channels, exited.channel));
	session_log_exited(m, &exited);
	return 0;
}

int sessions_hangup(struct monitor *m, struct chan_msg *msg)
{
	struct chan_writer w = { 0 };
	struct channel *channel;
	uint32_t id;

	if (msg_channel_get(msg, &id) < 0)
		return -EPROTO;
	channel = channels_find(&m->channels, id);
	/* The program may have ended while the message was under way. */
	if (!channel)
		return 0;
	switch (channel->state) {
	case CHANNEL_WAITING:
		channels_remove(&m->channels, channel);
		return 0;
	case CHANNEL_STARTING:
	case CHANNEL_RUNNING:
		channel->state = CHANNEL_DETACHED;
		session_log_hung_up(m, id);
		chan_put_u32(&w, id);
		mon_send(m, MON_USER, USER_HANGUP, &w, NULL, 0);
		return 0;
	case CHANNEL_DETACHED:
		return -EPROTO;
	}
	return -EPROTO;
}
