#include "sshgw/session/user_child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <paths.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common/text.h"
#include "sshgw/session/environment.h"
#include "sshgw/session/user_pty.h"
#include "sshgw/signals.h"

/*
 * Fewer wake-ups for bulk data. Not more, since pipe memory is accounted to the user: past 64 MiB
 * (fs.pipe-user-pages-soft) every pipe of theirs shrinks to two pages, and there may be 64
 * sessions.
 */
#define PIPE_BYTES (256 << 10)

/* Both sides of a session's descriptors, before the fork. */
struct stdio {
	int child[3]; /* to become 0, 1, 2; all the same for a terminal */
	struct user_child *parent;
	bool is_pty;
};

struct program {
	const char *path, *home;
	char *argv[4];
	char argv0[64];
	struct environment env;
};

void user_child_done(struct user_child *child)
{
	for (size_t i = 0; i < child->n_fds; i++)
		close_fd(child->fds[i]);
	*child = (struct user_child){ 0 };
}

/* ---- in the child ---- */

static void complain(const char *what, const char *about, int error)
{
	_cleanup_free_ char *text = text_printf("%s%s: %s\n", what, about, strerror(error));

	if (text && write(STDERR_FILENO, text, strlen(text)) < 0)
		return;
}

static int take_stdio(const struct stdio *stdio)
{
	int fds[3];

	if (setsid() < 0)
		return -errno;
	if (stdio->is_pty && ioctl(stdio->child[0], TIOCSCTTY, 0) < 0)
		return -errno;
	/* Out of the way of 0, 1, 2 first, in case one of them is among the sources. */
	for (int i = 0; i < 3; i++) {
		fds[i] = fcntl(stdio->child[i], F_DUPFD_CLOEXEC, 3);
		if (fds[i] < 0)
			return -errno;
	}
	for (int i = 0; i < 3; i++)
		if (dup2(fds[i], i) < 0)
			return -errno;
	return close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0 ? -errno : 0;
}

_Noreturn static void run_child(const struct stdio *stdio, const struct program *program)
{
	int r;

	signals_reset();
	r = take_stdio(stdio);
	if (r < 0)
		_exit(126);
	if (chdir(program->home) < 0) {
		complain("Could not chdir to home directory ", program->home, errno);
		if (chdir("/") < 0)
			_exit(126);
	}
	execve(program->path, program->argv, program->env.vars);
	complain("", program->path, errno);
	_exit(127);
}

/* ---- before the fork ---- */

/*
 * argv[0] "-bash" makes a login shell; a command is run by "bash -c COMMAND". The sftp-server is
 * run without a shell, whose start files may print things into the protocol.
 */
static int make_program(const struct msg_start *msg, char *const *login_env, const char *tty,
			struct program *program)
{
	static char option[] = "-c";
	const char *shell = environment_get(login_env, "SHELL");
	const char *home = environment_get(login_env, "HOME");
	const char *slash;

	program->path = shell && *shell ? shell : _PATH_BSHELL;
	if (msg->kind == START_SFTP)
		program->path = msg->command;
	program->home = home && *home ? home : "/";
	slash = strrchr(program->path, '/');
	snprintf(program->argv0, sizeof(program->argv0), "%s%s",
		 msg->kind == START_SHELL ? "-" : "", slash ? slash + 1 : program->path);
	program->argv[0] = program->argv0;
	if (msg->kind == START_EXEC) {
		program->argv[1] = option;
		program->argv[2] = msg->command;
	}
	return session_environment_build(login_env, msg, tty, &program->env);
}

static void stdio_done(struct stdio *stdio)
{
	for (int i = 0; i < (stdio->is_pty ? 1 : 3); i++)
		stdio->child[i] = close_fd(stdio->child[i]);
}

static int open_pipes(struct stdio *stdio)
{
	struct user_child *parent = stdio->parent;

	for (int i = 0; i < 3; i++) {
		int ends[2];

		if (pipe2(ends, O_CLOEXEC) < 0)
			return -errno;
		stdio->child[i] = ends[i == 0 ? 0 : 1];
		parent->fds[parent->n_fds++] = ends[i == 0 ? 1 : 0];
		if (i < 2)
			(void)fcntl(ends[0], F_SETPIPE_SZ, PIPE_BYTES);
	}
	return 0;
}

/* Return: 0, negative errno with text. tty gets the terminal's path, "" without one. */
static int open_stdio(const struct msg_start *msg, struct stdio *stdio, char tty[USER_PTY_NAME],
		      char **reterr_text)
{
	int r;

	tty[0] = '\0';
	if (!msg->has_pty) {
		r = open_pipes(stdio);
		if (r < 0)
			*reterr_text = text_printf("Could not make pipes: %s", strerror(-r));
		return r;
	}
	r = user_pty_open(&msg->pty, &stdio->parent->fds[0], &stdio->child[0], tty, reterr_text);
	if (r < 0)
		return r;
	stdio->is_pty = true;
	stdio->parent->n_fds = 1;
	stdio->child[1] = stdio->child[2] = stdio->child[0];
	return 0;
}

int user_child_start(const struct msg_start *msg, char *const *login_env,
		     struct user_child *ret_child, char **reterr_text)
{
	_cleanup_(user_child_done) struct user_child child = { 0 };
	_cleanup_(stdio_done) struct stdio stdio = { .child = { -1, -1, -1 }, .parent = &child };
	struct program program = { 0 };
	char tty[USER_PTY_NAME];
	int r = open_stdio(msg, &stdio, tty, reterr_text);

	if (r < 0)
		return r;
	r = make_program(msg, login_env, tty[0] ? tty : NULL, &program);
	if (r == 0) {
		child.pid = fork();
		if (child.pid == 0)
			run_child(&stdio, &program);
		if (child.pid < 0)
			r = -errno;
	}
	environment_done(&program.env);
	if (r < 0) {
		*reterr_text = text_printf("Could not start a process: %s", strerror(-r));
		return r;
	}
	*ret_child = child;
	child = (struct user_child){ 0 };
	return 0;
}
