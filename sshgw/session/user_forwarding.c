#include "sshgw/session/user_forwarding.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/text.h"
#include "sshgw/msg.h"
#include "sshgw/session/environment.h"
#include "sshgw/session/forward_connect.h"
#include "sshgw/session/forward_listen.h"
#include "sshgw/session/forward_x11.h"

#define SEND_TIMEOUT_USEC (10u * 1000000u)
/* Without descriptors or memory for one more, whoever has connected waits. */
#define RETRY_MSEC 200

struct listening {
	uint32_t id;
	enum forward_kind kind;
	bool single;
	struct listen_sockets sockets;
	pid_t xauth;	/* that is waited for; 0: none */
	char *variable; /* "SSH_AUTH_SOCK=..." */
};

struct connecting {
	uint32_t id;
	pid_t pid;
};

struct user_forwarding {
	int channel;
	char *const *env;
	int epoll; /* of the listening sockets; -1: there was none yet */
	struct listening *listening;
	size_t n_listening;
	struct connecting *connecting;
	size_t n_connecting;
	uint32_t last_id;
	bool awaits_next; /* one connection was handed over */
	bool is_short;	  /* of descriptors or memory */
};

int user_forwarding_new(int channel, char *const *env, struct user_forwarding **ret_forwarding)
{
	struct user_forwarding *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->channel = channel;
	f->env = env;
	f->epoll = -1;
	*ret_forwarding = f;
	return 0;
}

static void listening_done(struct listening *l)
{
	listen_sockets_done(&l->sockets);
	free(l->variable);
}

struct user_forwarding *user_forwarding_free(struct user_forwarding *f)
{
	if (!f)
		return NULL;
	for (size_t i = 0; i < f->n_listening; i++)
		listening_done(&f->listening[i]);
	free(f->listening);
	free(f->connecting);
	close_fd(f->epoll);
	free(f);
	return NULL;
}

static struct listening *find(const struct user_forwarding *f, uint32_t id)
{
	for (size_t i = 0; i < f->n_listening; i++)
		if (f->listening[i].id == id)
			return &f->listening[i];
	return NULL;
}

static void remove_listening(struct user_forwarding *f, struct listening *l)
{
	for (size_t i = 0; i < l->sockets.n; i++)
		(void)epoll_ctl(f->epoll, EPOLL_CTL_DEL, l->sockets.fds[i], NULL);
	listening_done(l);
	*l = f->listening[--f->n_listening];
}

/* ---- connecting ---- */

static int start_connect(struct user_forwarding *f, const struct msg_connect *msg)
{
	struct connecting *list = reallocarray(f->connecting, f->n_connecting + 1, sizeof(*list));
	pid_t pid;
	int r;

	if (!list)
		return -ENOMEM;
	f->connecting = list;
	r = forward_connect_start(msg, f->channel, &pid);
	if (r == 0)
		list[f->n_connecting++] = (struct connecting){ msg->id, pid };
	return r;
}

int user_forwarding_connect(struct user_forwarding *f, const struct chan_msg *in)
{
	_cleanup_(msg_connect_done) struct msg_connect msg = { 0 };
	int r = msg_connect_get(in, &msg);

	if (r < 0)
		return r;
	r = start_connect(f, &msg);
	return r < 0 ? forward_connect_fail(f->channel, msg.id, FORWARD_NO_RESOURCES, strerror(-r))
		     : 0;
}

/* Return: 0, negative errno; 1: it was another's. */
static int connect_ended(struct user_forwarding *f, pid_t pid, int status)
{
	for (size_t i = 0; i < f->n_connecting; i++) {
		uint32_t id = f->connecting[i].id;

		if (f->connecting[i].pid != pid)
			continue;
		f->connecting[i] = f->connecting[--f->n_connecting];
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			return 0;
		return forward_connect_fail(f->channel, id, FORWARD_NO_RESOURCES,
					    "the process that was to connect has failed");
	}
	return 1;
}

/* ---- listening ---- */

static int say_listening(struct user_forwarding *f, const struct listening *l)
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };

	msg_listening_put(
		&w, &(struct msg_listening){ l->id, l->kind == FORWARD_TCP ? l->sockets.port : 0 });
	return chan_send_wait(f->channel, SEND_TIMEOUT_USEC, USER_LISTENING, &w, NULL, 0);
}

/* In case we are killed. */
static int say_socket(struct user_forwarding *f, const struct listening *l)
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };

	if (!l->sockets.path)
		return 0;
	msg_socket_put(&w, &(struct msg_socket){ .id = l->id,
						 .path = l->sockets.path,
						 .dev = l->sockets.dev,
						 .ino = l->sockets.ino,
						 .has_dir = l->sockets.dir });
	return chan_send_wait(f->channel, SEND_TIMEOUT_USEC, USER_SOCKET, &w, NULL, 0);
}

static int say_failed(struct user_forwarding *f, uint32_t id, const char *why)
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };

	chan_put_u32(&w, id);
	chan_put_bytes(&w, why, strnlen(why, MSG_MAX_TEXT));
	return chan_send_wait(f->channel, SEND_TIMEOUT_USEC, USER_LISTEN_FAILED, &w, NULL, 0);
}

static int open_x11(struct user_forwarding *f, const struct msg_listen *msg, struct listening *l,
		    char **reterr_text)
{
	uint32_t display;
	int r = x11_listen(&l->sockets, &display, reterr_text);

	if (r < 0)
		return r;
	l->variable = text_printf("DISPLAY=localhost:%u.%u", display, msg->screen);
	return l->variable ? x11_authorize(msg, display, f->env, &l->xauth, reterr_text) : -ENOMEM;
}

static int open_agent(struct user_forwarding *f, struct listening *l, char **reterr_text)
{
	int r = listen_agent(environment_get(f->env, "XDG_RUNTIME_DIR"), &l->sockets, reterr_text);

	if (r < 0)
		return r;
	l->variable = text_printf("SSH_AUTH_SOCK=%s", l->sockets.path);
	return l->variable ? 0 : -ENOMEM;
}

static int open_sockets(struct user_forwarding *f, const struct msg_listen *msg,
			struct listening *l, char **reterr_text)
{
	switch (msg->kind) {
	case FORWARD_TCP:
		return listen_tcp(msg->address, msg->port, &l->sockets, reterr_text);
	case FORWARD_UNIX:
		return listen_unix(msg->address, &l->sockets, reterr_text);
	case FORWARD_AGENT:
		return open_agent(f, l, reterr_text);
	case FORWARD_X11:
		return open_x11(f, msg, l, reterr_text);
	}
	return -EINVAL;
}

static int watch(struct user_forwarding *f, const struct listening *l)
{
	if (f->epoll < 0)
		f->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (f->epoll < 0)
		return -errno;
	for (size_t i = 0; i < l->sockets.n; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u32 = l->id };

		if (epoll_ctl(f->epoll, EPOLL_CTL_ADD, l->sockets.fds[i], &event) < 0)
			return -errno;
	}
	return 0;
}

/* Return: 0 and the new one, at the end of the list; negative errno with text. */
static int start_listening(struct user_forwarding *f, const struct msg_listen *msg,
			   char **reterr_text)
{
	struct listening *list = reallocarray(f->listening, f->n_listening + 1, sizeof(*list));
	struct listening l = { .id = msg->id, .kind = msg->kind, .single = msg->single };
	int r;

	if (!list)
		return -ENOMEM;
	f->listening = list;
	r = open_sockets(f, msg, &l, reterr_text);
	if (r < 0) {
		listening_done(&l);
		return r;
	}
	list[f->n_listening++] = l;
	return 0;
}

/* From here on who connects is let in. Not before: the monitor does not know it yet. */
static int bring_up(struct user_forwarding *f, struct listening *l)
{
	uint32_t id = l->id;
	int r = watch(f, l);

	if (r == 0)
		r = say_socket(f, l);
	if (r == 0)
		return say_listening(f, l);
	remove_listening(f, l);
	return say_failed(f, id, strerror(-r));
}

int user_forwarding_listen(struct user_forwarding *f, const struct chan_msg *in)
{
	_cleanup_(msg_listen_done) struct msg_listen msg = { 0 };
	_cleanup_free_ char *why = NULL;
	struct listening *l;
	int r = msg_listen_get(in, &msg);

	if (r < 0)
		return r;
	if (find(f, msg.id))
		return -EBADMSG;
	r = start_listening(f, &msg, &why);
	if (r < 0)
		return say_failed(f, msg.id, why ? why : strerror(-r));
	l = &f->listening[f->n_listening - 1];
	return l->xauth ? 0 : bring_up(f, l);
}

int user_forwarding_unlisten(struct user_forwarding *f, const struct chan_msg *in)
{
	struct listening *l;
	uint32_t id;
	int r = msg_channel_get(in, &id);

	if (r < 0)
		return r;
	l = find(f, id);
	/* One for a single connection may have ended by itself. */
	if (l)
		remove_listening(f, l);
	return 0;
}

static int xauth_ended(struct user_forwarding *f, pid_t pid, int status)
{
	for (size_t i = 0; i < f->n_listening; i++) {
		struct listening *l = &f->listening[i];
		uint32_t id = l->id;

		if (l->xauth != pid)
			continue;
		l->xauth = 0;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			return bring_up(f, l);
		remove_listening(f, l);
		return say_failed(f, id,
				  "xauth could not write its file, which X11 forwarding "
				  "needs");
	}
	return 0;
}

int user_forwarding_reaped(struct user_forwarding *f, pid_t pid, int status)
{
	int r = connect_ended(f, pid, status);

	return r <= 0 ? r : xauth_ended(f, pid, status);
}

const char *user_forwarding_variable(const struct user_forwarding *f, uint32_t listener)
{
	const struct listening *l = find(f, listener);

	return l ? l->variable : NULL;
}

/* ---- who connects ---- */

static int say_incoming(struct user_forwarding *f, uint32_t listener,
			const struct sockaddr_storage *peer, int fd)
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };
	const struct sockaddr_in *v4 = (const void *)peer;
	const struct sockaddr_in6 *v6 = (const void *)peer;
	char address[INET6_ADDRSTRLEN] = "";
	struct msg_incoming msg = { .listener = listener, .id = ++f->last_id, .address = address };

	if (peer->ss_family == AF_INET) {
		inet_ntop(AF_INET, &v4->sin_addr, address, sizeof(address));
		msg.port = ntohs(v4->sin_port);
	} else if (peer->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &v6->sin6_addr, address, sizeof(address));
		msg.port = ntohs(v6->sin6_port);
	}
	if (peer->ss_family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	f->awaits_next = true;
	msg_incoming_put(&w, &msg);
	return chan_send_wait(f->channel, SEND_TIMEOUT_USEC, USER_INCOMING, &w, &fd, 1);
}

/* Return: 0, also if nobody is there any more; negative errno. */
static int let_in(struct user_forwarding *f, struct listening *l)
{
	struct sockaddr_storage peer = { 0 };
	int r = 0;

	for (size_t i = 0; i < l->sockets.n; i++) {
		socklen_t len = sizeof(peer);
		_cleanup_close_ int fd = accept4(l->sockets.fds[i], (struct sockaddr *)&peer, &len,
						 SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0) {
			f->is_short = errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
				      errno == ENOMEM;
			continue;
		}
		r = say_incoming(f, l->id, &peer, fd);
		if (l->single)
			remove_listening(f, l);
		break;
	}
	return r;
}

int user_forwarding_fd(const struct user_forwarding *f)
{
	return f->awaits_next || f->is_short ? -1 : f->epoll;
}

int user_forwarding_timeout(const struct user_forwarding *f)
{
	return f->is_short && !f->awaits_next ? RETRY_MSEC : -1;
}

int user_forwarding_serve(struct user_forwarding *f)
{
	struct epoll_event event;
	struct listening *l;

	f->is_short = false;
	if (f->awaits_next || f->epoll < 0 || epoll_wait(f->epoll, &event, 1, 0) != 1)
		return 0;
	l = find(f, event.data.u32);
	return l ? let_in(f, l) : 0;
}

int user_forwarding_next(struct user_forwarding *f, const struct chan_msg *in)
{
	if (in->len > 0 || !f->awaits_next)
		return -EBADMSG;
	f->awaits_next = false;
	return 0;
}
