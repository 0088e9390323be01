#include "agent/listen.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "common/listen.h"
#include "common/text.h"

/* Return: 0 and the descriptor, -ENOENT when systemd passed none, negative errno. */
static int take_passed(int *ret_fd)
{
	int n = sd_listen_fds(1), r;

	if (n < 0)
		return n;
	if (n == 0)
		return -ENOENT;
	r = n == 1 ? sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_STREAM, 1, NULL, 0) : 0;
	if (r < 0)
		return r;
	if (r == 0)
		return -EINVAL;
	*ret_fd = SD_LISTEN_FDS_START;
	return 0;
}

int listen_open(const char *path, char **reterr_text, int *ret_fd)
{
	int r = take_passed(ret_fd);

	/* Reading is for everybody; each method looks at who calls. */
	if (r == -ENOENT)
		return listen_unix(path, 0666, reterr_text, ret_fd);
	if (r == 0)
		return 0;
	*reterr_text =
		text_printf("LISTEN_FDS: expected one listening Unix socket: %s", strerror(-r));
	return *reterr_text ? r : -ENOMEM;
}
