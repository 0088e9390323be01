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
#include "sshgw/session/user_forwarding.h"

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
	struct user_forwarding *forwarding;
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

/*
 * The login's, and what forwarding adds for this program alone. The list is the caller's, its
 * strings are borrowed; NULL when out of memory.
 */
static char **make_env(const struct user *user, const struct msg_start *msg)
{
	const uint32_t listeners[] = { msg->agent_listener, msg->x11_listener };
	size_t n = 0;
	char **env;

	while (user->env && user->env[n])
		n++;
	env = calloc(n + ARRAY_SIZE(listeners) + 1, sizeof(*env));
	if (!env)
		return NULL;
	if (n > 0)
		memcpy(env, user->env, n * sizeof(*env));
	for (size_t i = 0; i < ARRAY_SIZE(listeners); i++) {
		const char *variable = user_forwarding_variable(user->forwarding, listeners[i]);

		if (variable)
			env[n++] = (char *)variable;
	}
	return env;
}

static int start(struct user *user, const struct msg_start *msg)
{
	_cleanup_(user_child_done) struct user_child child = { 0 };
	_cleanup_free_ char *why = NULL;
	_cleanup_free_ char **env = make_env(user, msg);
	int r;

	if (user->n_children == USER_MAX_CHILDREN)
		return say_failed(user, msg->channel, "Too many sessions run in this connection.");
	r = env ? user_child_start(msg, env, &child, &why) : -ENOMEM;
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

static int handle_connect(struct user *user, const struct chan_msg *in)
{
	return user_forwarding_connect(user->forwarding, in);
}

static int handle_listen(struct user *user, const struct chan_msg *in)
{
	return user_forwarding_listen(user->forwarding, in);
}

static int handle_unlisten(struct user *user, const struct chan_msg *in)
{
	return user_forwarding_unlisten(user->forwarding, in);
}

static int handle_next(struct user *user, const struct chan_msg *in)
{
	return user_forwarding_next(user->forwarding, in);
}

static const struct user_handler {
	uint32_t type;
	int (*handle)(struct user *user, const struct chan_msg *in);
} handlers[] = {
	{ USER_START, handle_start },	{ USER_HANGUP, handle_hangup },
	{ USER_SIGNAL, handle_signal }, { USER_CONNECT, handle_connect },
	{ USER_LISTEN, handle_listen }, { USER_UNLISTEN, handle_unlisten },
	{ USER_NEXT, handle_next },
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

		if (child) {
			r = say_exited(user, child->channel, status);
			*child = user->children[--user->n_children];
		} else {
			r = user_forwarding_reaped(user->forwarding, pid, status);
		}
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
				{ .fd = user->signals, .events = POLLIN },
				{ .events = POLLIN } };
	int r = 0, n;

	while (!user->ended && r == 0) {
		fds[2].fd = user_forwarding_fd(user->forwarding);
		n = poll(fds, ARRAY_SIZE(fds), user_forwarding_timeout(user->forwarding));
		if (n < 0)
			return -errno;
		if (fds[1].revents)
			r = take_signals(user);
		if (r == 0 && !user->ended && fds[0].revents)
			r = receive(user);
		if (r == 0 && !user->ended && (fds[2].revents || n == 0))
			r = user_forwarding_serve(user->forwarding);
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
	r = user_forwarding_new(channel, env, &user.forwarding);
	if (r == 0)
		r = serve(&user);
	for (size_t i = 0; i < user.n_children; i++)
		hang_up(&user.children[i]);
	user_forwarding_free(user.forwarding);
	close_fd(user.signals);
	return r;
}
