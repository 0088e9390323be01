#include "sshgw/session/forward_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/text.h"

#define BACKLOG 128
/* The number that the kernel chose for one family may be taken in the other. */
#define ATTEMPTS 16

bool listen_remove_socket(const char *path, dev_t dev, ino_t ino)
{
	struct stat st;

	if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode) || st.st_dev != dev || st.st_ino != ino)
		return false;
	(void)unlink(path);
	return true;
}

void listen_sockets_done(struct listen_sockets *sockets)
{
	if (sockets->path)
		listen_remove_socket(sockets->path, sockets->dev, sockets->ino);
	if (sockets->dir)
		(void)rmdir(sockets->dir);
	for (size_t i = 0; i < sockets->n; i++)
		close_fd(sockets->fds[i]);
	free(sockets->path);
	free(sockets->dir);
	*sockets = (struct listen_sockets){ 0 };
}

static void give(struct listen_sockets *sockets, struct listen_sockets *ret_sockets)
{
	*ret_sockets = *sockets;
	*sockets = (struct listen_sockets){ 0 };
}

/* ---- tcp ---- */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t address_len(const union address *a)
{
	return a->any.sa_family == AF_INET ? sizeof(a->v4) : sizeof(a->v6);
}

static uint32_t get_port(const union address *a)
{
	return ntohs(a->any.sa_family == AF_INET ? a->v4.sin_port : a->v6.sin6_port);
}

static void set_port(union address *a, uint32_t port)
{
	if (a->any.sa_family == AF_INET)
		a->v4.sin_port = htons((uint16_t)port);
	else
		a->v6.sin6_port = htons((uint16_t)port);
}

static size_t both_families(bool loopback, union address list[2])
{
	list[0] = (union address){ .v4 = { .sin_family = AF_INET } };
	list[1] = (union address){ .v6 = { .sin6_family = AF_INET6 } };
	if (loopback) {
		list[0].v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		list[1].v6.sin6_addr = in6addr_loopback;
	}
	return 2;
}

/* Return: how many; 0: it is no address. */
static size_t read_address(const char *text, union address list[2])
{
	union address a = { 0 };

	if (!*text || strcmp(text, "localhost") == 0)
		return both_families(*text != '\0', list);
	if (inet_pton(AF_INET, text, &a.v4.sin_addr) == 1)
		a.v4.sin_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &a.v6.sin6_addr) == 1)
		a.v6.sin6_family = AF_INET6;
	else
		return 0;
	list[0] = a;
	return 1;
}

/* Return: the socket, and a with its port; negative errno. */
static int listen_at(union address *a)
{
	_cleanup_close_ int fd =
		socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(*a);

	if (fd < 0)
		return -errno;
	if (a->any.sa_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){ 1 }, sizeof(int)) < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(fd, &a->any, address_len(a)) < 0 || listen(fd, BACKLOG) < 0 ||
	    getsockname(fd, &a->any, &len) < 0)
		return -errno;
	return take_fd(&fd);
}

/* This host does without the family, or has no such address in it. */
static bool is_without(int error)
{
	return error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL;
}

/* Return: 0, negative errno. */
static int listen_at_all(const union address *list, size_t n, uint32_t port,
			 struct listen_sockets *ret_sockets)
{
	_cleanup_(listen_sockets_done) struct listen_sockets sockets = { .port = port };
	int r = -EADDRNOTAVAIL;

	for (size_t i = 0; i < n; i++) {
		union address a = list[i];

		set_port(&a, sockets.port);
		r = listen_at(&a);
		if (r < 0 && (n == 1 || !is_without(r)))
			return r;
		if (r < 0)
			continue;
		sockets.fds[sockets.n++] = r;
		sockets.port = get_port(&a);
	}
	if (sockets.n == 0)
		return r;
	give(&sockets, ret_sockets);
	return 0;
}

int listen_tcp(const char *address, uint32_t port, struct listen_sockets *ret_sockets,
	       char **reterr_text)
{
	union address list[2];
	size_t n = read_address(address, list);
	int r = n > 0 ? -EADDRINUSE : -EINVAL;

	for (int i = 0; i < (port == 0 ? ATTEMPTS : 1) && r == -EADDRINUSE; i++)
		r = listen_at_all(list, n, port, ret_sockets);
	if (r == -EINVAL && n == 0)
		*reterr_text = text_printf("%s is no address of this host: expected one in "
					   "figures, localhost, or *",
					   address);
	else if (r < 0)
		*reterr_text = text_printf("bind %s port %u: %s", *address ? address : "*", port,
					   strerror(-r));
	return r;
}

/* ---- unix ---- */

/* Return: the socket, at a path that did not exist and that only the user may use. */
static int listen_at_path(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;
	int r;

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	umask(mask);
	if (r == 0 && listen(fd, BACKLOG) < 0)
		r = -errno;
	return r < 0 ? r : take_fd(&fd);
}

/* sockets: has a path, and perhaps the directory. Return: 0, negative errno. */
static int open_path(struct listen_sockets *sockets)
{
	struct stat st;
	int fd = sockets->path ? listen_at_path(sockets->path) : -ENOMEM;

	if (fd < 0)
		return fd;
	sockets->fds[sockets->n++] = fd;
	if (lstat(sockets->path, &st) < 0)
		return -errno;
	sockets->dev = st.st_dev;
	sockets->ino = st.st_ino;
	return 0;
}

int listen_unix(const char *path, struct listen_sockets *ret_sockets, char **reterr_text)
{
	_cleanup_(listen_sockets_done) struct listen_sockets sockets = { .path = strdup(path) };
	int r = open_path(&sockets);

	if (r < 0) {
		*reterr_text = text_printf("%s: %s", path, strerror(-r));
		return r;
	}
	give(&sockets, ret_sockets);
	return 0;
}

/* ---- agent ---- */

static bool is_own_directory(const char *path)
{
	struct stat st;

	return path && path[0] == '/' && lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
	       st.st_uid == geteuid() && (st.st_mode & 077) == 0;
}

/* mkdtemp(3) makes what did not exist, with mode 0700. */
static char *make_directory(const char *base)
{
	_cleanup_free_ char *dir = text_printf("%s/peergate-agent-XXXXXX", base);

	return dir && mkdtemp(dir) ? take_ptr(dir) : NULL;
}

int listen_agent(const char *runtime_dir, struct listen_sockets *ret_sockets, char **reterr_text)
{
	_cleanup_(listen_sockets_done) struct listen_sockets sockets = { 0 };
	int r;

	if (is_own_directory(runtime_dir))
		sockets.dir = make_directory(runtime_dir);
	if (!sockets.dir)
		sockets.dir = make_directory("/tmp");
	if (sockets.dir) {
		sockets.path = text_printf("%s/agent.%d", sockets.dir, getpid());
		r = open_path(&sockets);
	} else {
		r = -errno;
	}
	if (r < 0) {
		*reterr_text = text_printf("No socket for the client's agent: %s", strerror(-r));
		return r;
	}
	give(&sockets, ret_sockets);
	return 0;
}
