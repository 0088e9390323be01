#include "sshgw/session/user.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "common/text.h"
#include "sshgw/msg.h"
#include "sshgw/session/user_child.h"

#define SEND_TIMEOUT_USEC (10u * 1000000u)

struct child {
	uint32_t channel;
	pid_t pid; /* also its session and process group */
	bool has_pty;
};

struct user {
	int channel, signals;
	char *const *env;
	struct child children[USER_MAX_CHILDREN];
	size_t n_children;
	bool ended;
};

/* ---- children ---- */

static struct child *find_channel(struct user *user, uint32_t channel)
{
	for (size_t i = 0; i < user->n_children; i++)
		if (user->children[i].channel == channel)
			return &user->children[i];
	return NULL;
}

static struct child *find_pid(struct user *user, pid_t pid)
{
	for (size_t i = 0; i < user->n_children; i++)
		if (user->children[i].pid == pid)
			return &user->children[i];
	return NULL;
}

static void signal_group(const struct child *child, int number)
{
	/* One that was only just forked leads no group yet. */
	if (kill(-child->pid, number) < 0)
		(void)kill(child->pid, number);
}

/*
 * The client is gone. On a terminal this is the kernel's work, which hangs up session and
 * foreground group when the last master closes; a second SIGHUP would meet shells in the middle of
 * their exit. A stopped process gets the signal only when it goes on.
 */
static void hang_up(const struct child *child)
{
	if (child->has_pty)
		return;
	signal_group(child, SIGHUP);
	(void)kill(-child->pid, SIGCONT);
}

/* ---- answers ---- */

static int say_failed(struct user *user, uint32_t channel, const char *why)
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };

	chan_put_u32(&w, channel);
	chan_put_bytes(&w, why, strnlen(why, MSG_MAX_TEXT));
	return chan_send_wait(user->channel, SEND_TIMEOUT_USEC, USER_START_FAILED, &w, NULL, 0);
}

static int say_started(struct user *user, uint32_t channel, const struct user_child *child)
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };

	chan_put_u32(&w, channel);
	chan_put_u8(&w, (uint8_t)child->n_fds);
	return chan_send_wait(user->channel, SEND_TIMEOUT_USEC, USER_STARTED, &w, child->fds,
			      child->n_fds);
}

static int say_exited(struct user *user, uint32_t channel, int status)
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };
	const struct msg_exited msg = {
		.channel = channel,
		.by_signal = WIFSIGNALED(status),
		.value = (uint32_t)(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)),
		.core_dumped = WIFSIGNALED(status) && WCOREDUMP(status),
	};
	int r = msg_exited_put(&w, &msg);

	return r < 0 ? r
		     : chan_send_wait(user->channel, SEND_TIMEOUT_USEC, USER_EXITED, &w, NULL, 0);
}

/* ---- messages ---- */

static int start(struct user *user, const struct msg_start *msg)
{
	_cleanup_(user_child_done) struct user_child child = { 0 };
	_cleanup_free_ char *why = NULL;
	int r;

	if (user->n_children == USER_MAX_CHILDREN)
		return say_failed(user, msg->channel, "Too many sessions run in this connection.");
	r = user_child_start(msg, user->env, &child, &why);
	if (r < 0)
		return say_failed(user, msg->channel, why ? why : "The host is out of memory.");
	user->children[user->n_children++] =
		(struct child){ msg->channel, child.pid, msg->has_pty };
	/* Our copies close behind this: the last master to be closed hangs the terminal up. */
	return say_started(user, msg->channel, &child);
}

static int handle_start(struct user *user, const struct chan_msg *in)
{
	_cleanup_(msg_start_done) struct msg_start msg = { 0 };
	int r = msg_start_get(in, &msg);

	if (r < 0)
		return r;
	if (find_channel(user, msg.channel))
		return -EBADMSG;
	return start(user, &msg);
}

/* The child may have ended in the meantime, and its exit be on the way to the monitor. */
static int handle_hangup(struct user *user, const struct chan_msg *in)
{
	const struct child *child;
	uint32_t channel;
	int r = msg_channel_get(in, &channel);

	if (r < 0)
		return r;
	child = find_channel(user, channel);
	if (child)
		hang_up(child);
	return 0;
}

/*
 * To the group that the program leads, as sshd does it. It was not reaped yet if it is in the
 * table, so that its number can be no other's.
 */
static int handle_signal(struct user *user, const struct chan_msg *in)
{
	const struct child *child;
	struct msg_signal msg;
	int r = msg_signal_get(in, &msg);

	if (r < 0)
		return r;
	child = find_channel(user, msg.channel);
	if (child)
		signal_group(child, (int)msg.number);
	return 0;
}

static const struct user_handler {
	uint32_t type;
	int (*handle)(struct user *user, const struct chan_msg *in);
} handlers[] = {
	{ USER_START, handle_start },
	{ USER_HANGUP, handle_hangup },
	{ USER_SIGNAL, handle_signal },
};

static int receive(struct user *user)
{
	_cleanup_(chan_msg_done) struct chan_msg in = { 0 };
	int r = chan_receive(user->channel, &in);

	if (r == -EAGAIN)
		return 0;
	if (r == -ECONNRESET) {
		user->ended = true;
		return 0;
	}
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(handlers) && in.n_fds == 0; i++)
		if (handlers[i].type == in.type)
			return handlers[i].handle(user, &in);
	return -EBADMSG;
}

/* ---- signals ---- */

static int reap(struct user *user)
{
	int status, r;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct child *child = find_pid(user, pid);

		if (!child)
			continue;
		r = say_exited(user, child->channel, status);
		*child = user->children[--user->n_children];
		if (r < 0)
			return r;
	}
	return 0;
}

static int take_signals(struct user *user)
{
	struct signalfd_siginfo info;

	while (read(user->signals, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo != SIGCHLD)
			user->ended = true;
	return reap(user);
}

static int open_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* ---- loop ---- */

static int serve(struct user *user)
{
	struct pollfd fds[] = { { .fd = user->channel, .events = POLLIN },
				{ .fd = user->signals, .events = POLLIN } };
	int r = 0;

	while (!user->ended && r == 0) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
			return -errno;
		if (fds[1].revents)
			r = take_signals(user);
		if (r == 0 && !user->ended && fds[0].revents)
			r = receive(user);
	}
	return r;
}

int user_run(int channel, char *const *env)
{
	struct user user = { .channel = channel, .env = env };
	int r;

	user.signals = open_signals();
	if (user.signals < 0)
		return user.signals;
	r = serve(&user);
	for (size_t i = 0; i < user.n_children; i++)
		hang_up(&user.children[i]);
	close_fd(user.signals);
	return r;
}
