#include "sshgw/session/leader_sockets.h"

#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "common/log.h"
#include "sshgw/child.h"
#include "sshgw/msg.h"
#include "sshgw/session/forward_listen.h"
#include "sshgw/session/login_process.h"
#include "sshgw/signals.h"

/* More than one connection may listen at (sshgw.conf(5), MaxListens). */
#define MAX_SOCKETS 256u
/* A filesystem that does not answer is its user's. */
#define REMOVE_USEC (2 * 1000000ull)

static struct msg_socket *find(struct leader_sockets *sockets, uint32_t id)
{
	for (size_t i = 0; i < sockets->n; i++)
		if (sockets->list[i].id == id)
			return &sockets->list[i];
	return NULL;
}

int leader_sockets_add(struct leader_sockets *sockets, const struct chan_msg *in)
{
	struct msg_socket *list, socket;
	int r = msg_socket_get(in, &socket);

	if (r < 0)
		return r;
	list = sockets->n < MAX_SOCKETS && !find(sockets, socket.id)
		       ? reallocarray(sockets->list, sockets->n + 1, sizeof(*list))
		       : NULL;
	if (!list) {
		msg_socket_done(&socket);
		return -EBADMSG;
	}
	sockets->list = list;
	list[sockets->n++] = socket;
	return 0;
}

int leader_sockets_forget(struct leader_sockets *sockets, const struct chan_msg *in)
{
	struct msg_socket *socket;
	uint32_t id;
	int r = msg_channel_get(in, &id);

	if (r < 0)
		return r;
	socket = find(sockets, id);
	if (!socket)
		return -EBADMSG;
	msg_socket_done(socket);
	*socket = sockets->list[--sockets->n];
	return 0;
}

static void remove_socket(const struct msg_socket *socket)
{
	if (listen_remove_socket(socket->path, socket->dev, socket->ino) && socket->has_dir)
		(void)rmdir(dirname(socket->path));
}

/* Nothing is allocated: the user may not trace what has changed its user without an exec. */
static _Noreturn void run(const struct leader_sockets *sockets, const struct account *account)
{
	signals_reset();
	if (login_process_become(account) < 0)
		_exit(1);
	for (size_t i = 0; i < sockets->n; i++)
		remove_socket(&sockets->list[i]);
	_exit(0);
}

void leader_sockets_remove(const struct leader_sockets *sockets, const struct account *account)
{
	_cleanup_close_ int pidfd = -1;
	pid_t pid;

	if (sockets->n == 0)
		return;
	pid = fork();
	if (pid == 0)
		run(sockets, account);
	if (pid < 0) {
		log_warning_errno(-errno, "Could not remove the sockets of the login, continuing");
		return;
	}
	pidfd = pidfd_open(pid, 0);
	if (child_reap(pid, pidfd, REMOVE_USEC))
		return;
	/* Not an alarm of its own: once a FUSE server has the request, no signal ends the wait. */
	(void)kill(pid, SIGKILL);
	log_warning("A filesystem does not answer: sockets of the login may be left, continuing");
}

void leader_sockets_done(struct leader_sockets *sockets)
{
	for (size_t i = 0; i < sockets->n; i++)
		msg_socket_done(&sockets->list[i]);
	free(sockets->list);
	*sockets = (struct leader_sockets){ 0 };
}
