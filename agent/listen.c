#include "agent/listen.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "common/cleanup.h"
#include "common/text.h"

#define BACKLOG 128

static int fail(char **reterr_text, int error, const char *path, const char *what)
{
	*reterr_text = text_printf("%s: %s: %s", path, what, strerror(-error));
	return *reterr_text ? error : -ENOMEM;
}

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

static int make_address(const char *path, struct sockaddr_un *ret_sa)
{
	*ret_sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(ret_sa->sun_path))
		return -ENAMETOOLONG;
	strcpy(ret_sa->sun_path, path);
	return 0;
}

/* A socket that nobody answers on is left from an earlier life. */
static int remove_stale(const struct sockaddr_un *sa)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 || errno == EAGAIN)
		return -EADDRINUSE;
	if (errno != ECONNREFUSED)
		return errno == ENOENT ? 0 : -errno;
	return unlink(sa->sun_path) < 0 ? -errno : 0;
}

static int make_socket(const struct sockaddr_un *sa, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	int r;

	r = remove_stale(sa);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0)
		return -errno;
	/* Reading is for everybody; each method looks at who calls. */
	if (chmod(sa->sun_path, 0666) < 0 || listen(fd, BACKLOG) < 0) {
		r = -errno;
		unlink(sa->sun_path);
		return r;
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

int listen_open(const char *path, char **reterr_text, int *ret_fd)
{
	struct sockaddr_un sa;
	int r;

	r = take_passed(ret_fd);
	if (r == 0)
		return 0;
	if (r != -ENOENT)
		return fail(reterr_text, r, "LISTEN_FDS", "expected one listening Unix socket");
	r = make_address(path, &sa);
	if (r == 0)
		r = make_socket(&sa, ret_fd);
	return r < 0 ? fail(reterr_text, r, path, "cannot listen there") : 0;
}
