#include "sshgw/session/forward_x11.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/text.h"
#include "sshgw/signals.h"

/* X(7): display N is port 6000 + N. Lower numbers are left to real ones, as sshd does it. */
#define FIRST_PORT    6000u
#define FIRST_DISPLAY 10u
#define N_DISPLAYS    1000u
#define XAUTH_SEC     10u

static const char *const places[] = {
	"/usr/bin/xauth",
	"/usr/local/bin/xauth",
	"/usr/X11R6/bin/xauth",
	"/usr/X11R7/bin/xauth",
};

int x11_listen(struct listen_sockets *ret_sockets, uint32_t *ret_display, char **reterr_text)
{
	int r = -EADDRINUSE;

	for (uint32_t n = FIRST_DISPLAY; n < FIRST_DISPLAY + N_DISPLAYS; n++) {
		_cleanup_free_ char *text = NULL;

		r = listen_tcp("localhost", FIRST_PORT + n, ret_sockets, &text);
		if (r == 0)
			*ret_display = n;
		else
			*reterr_text = text_printf("No display could be opened: %s",
						   text ? text : strerror(-r));
		if (r != -EADDRINUSE)
			return r;
		free(take_ptr(*reterr_text));
	}
	*reterr_text = text_printf("No display from %u to %u is free", FIRST_DISPLAY,
				   FIRST_DISPLAY + N_DISPLAYS - 1);
	return r;
}

static const char *find_xauth(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return NULL;
}

static _Noreturn void run(const char *path, int input, char *const *env)
{
	static char name[] = "xauth", quiet[] = "-q", from_input[] = "-";
	char *const argv[] = { name, quiet, from_input, NULL };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signals_reset();
	if (dup2(input, STDIN_FILENO) < 0 || close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		_exit(126);
	/* It waits for a lock on its file. exec(3) leaves the alarm. */
	alarm(XAUTH_SEC);
	execve(path, argv, env);
	_exit(127);
}

/* The pipe holds it all: it is less than PIPE_BUF. */
static int write_commands(int fd, const struct msg_listen *msg, uint32_t display)
{
	_cleanup_free_ char *text =
		text_printf("remove unix:%u.%u\nadd unix:%u.%u %s %s\n", display, msg->screen,
			    display, msg->screen, msg->protocol, msg->cookie);

	if (!text)
		return -ENOMEM;
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -EIO;
}

int x11_authorize(const struct msg_listen *msg, uint32_t display, char *const *env, pid_t *ret_pid,
		  char **reterr_text)
{
	const char *path = find_xauth();
	int ends[2], r;
	pid_t pid;

	if (!path) {
		*reterr_text = strdup("This host has no xauth, which X11 forwarding needs");
		return -ENOENT;
	}
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	r = write_commands(ends[1], msg, display);
	pid = r < 0 ? -1 : fork();
	if (pid == 0)
		run(path, ends[0], env);
	if (r == 0 && pid < 0)
		r = -errno;
	close(ends[0]);
	close(ends[1]);
	if (r < 0) {
		*reterr_text = text_printf("Could not run xauth: %s", strerror(-r));
		return r;
	}
	*ret_pid = pid;
	return 0;
}
