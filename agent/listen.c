#include "agent/listen.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "common/cleanup.h"
#include "common/listen.h"
#include "common/text.h"

void listen_sockets_done(struct listen_sockets *sockets)
{
	sockets->all = close_fd(sockets->all);
	sockets->root = close_fd(sockets->root);
}

/* Known by its path: whatever else was passed is for everybody. */
static int take_passed(int fd, const char *root_path, struct listen_sockets *sockets)
{
	int r = sd_is_socket_unix(fd, SOCK_STREAM, 1, root_path, 0);
	int *place = r > 0 ? &sockets->root : &sockets->all;

	if (r == 0)
		r = sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0);
	if (r < 0)
		return r;
	if (r == 0 || *place >= 0)
		return -EINVAL;
	*place = fd;
	return 0;
}

static int take_all_passed(const char *root_path, struct listen_sockets *sockets)
{
	int n = sd_listen_fds(1), r = 0;

	for (int i = 0; i < n && r == 0; i++)
		r = take_passed(SD_LISTEN_FDS_START + i, root_path, sockets);
	return n < 0 ? n : r;
}

static int open_both(const char *path, const char *root_path, char **reterr_text,
		     struct listen_sockets *sockets)
{
	int r = take_all_passed(root_path, sockets);

	if (r < 0) {
		*reterr_text = text_printf("LISTEN_FDS: expected one listening Unix socket, or "
					   "another at %s as well: %s",
					   root_path, strerror(-r));
		return *reterr_text ? r : -ENOMEM;
	}
	/* Reading is for everybody; each method looks at who calls. */
	if (sockets->all < 0)
		r = listen_unix(path, 0666, reterr_text, &sockets->all);
	if (r == 0 && sockets->root < 0)
		r = listen_unix(root_path, 0600, reterr_text, &sockets->root);
	return r;
}

int listen_open(const char *dir, char **reterr_text, struct listen_sockets *ret_sockets)
{
	_cleanup_free_ char *path = text_printf("%s/agent.sock", dir);
	_cleanup_free_ char *root_path = text_printf("%s/agent-root.sock", dir);
	struct listen_sockets sockets = { -1, -1 };
	int r = path && root_path ? open_both(path, root_path, reterr_text, &sockets) : -ENOMEM;

	if (r < 0)
		listen_sockets_done(&sockets);
	else
		*ret_sockets = sockets;
	return r;
}
