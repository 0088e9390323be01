#include "common/listen.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/cleanup.h"
#include "common/text.h"

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

static int make_socket(const struct sockaddr_un *sa, mode_t mode, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	int r;

	r = remove_stale(sa);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0)
		return -errno;
	if (chmod(sa->sun_path, mode) < 0 || listen(fd, SOMAXCONN) < 0) {
		r = -errno;
		unlink(sa->sun_path);
		return r;
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

int listen_unix(const char *path, mode_t mode, char **reterr_text, int *ret_fd)
{
	struct sockaddr_un sa;
	int r;

	r = make_address(path, &sa);
	if (r == 0)
		r = make_socket(&sa, mode, ret_fd);
	if (r == 0)
		return 0;
	*reterr_text = text_printf("%s: cannot listen there: %s", path, strerror(-r));
	return *reterr_text ? r : -ENOMEM;
}
