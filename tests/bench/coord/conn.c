#include "tests/bench/coord/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/bench/coord/bench.h"

#define BATCH 512

struct conn {
	struct conn_config config;
	int fd;
	SSL *ssl;
	bool connected, shaken, closed;
	char *out;
	size_t out_len, out_sent;
	uint64_t in_seen, out_seen; /* what libssl has moved, as far as it was counted */
	struct answer answer;
	struct conn *next; /* of those that are closed */
};

uint64_t conn_bytes_in, conn_bytes_out;

static int epoll_fd = -1;
static SSL_CTX *tls_context;
static struct conn *closed;
static char buffer[256 << 10];

/* ---- beginning and end ---- */

static SSL *make_tls(int fd)
{
	SSL *ssl;

	if (!tls_context) {
		tls_context = must_have(SSL_CTX_new(TLS_client_method()));
		/* Who is there is not what is measured. */
		SSL_CTX_set_verify(tls_context, SSL_VERIFY_NONE, NULL);
		SSL_CTX_set_mode(tls_context, SSL_MODE_RELEASE_BUFFERS);
		SSL_CTX_set_session_cache_mode(tls_context, SSL_SESS_CACHE_OFF);
	}
	ssl = must_have(SSL_new(tls_context));
	if (SSL_set_fd(ssl, fd) != 1)
		die("TLS");
	SSL_set_connect_state(ssl);
	return ssl;
}

static int make_socket(const struct conn_config *config)
{
	int family = config->to.ss_family, on = 1;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		die("socket: %s", strerror(errno));
	if (family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (config->from.ss_family &&
	    bind(fd, (const struct sockaddr *)&config->from, config->from_len) < 0)
		die("bind: %s", strerror(errno));
	if (connect(fd, (const struct sockaddr *)&config->to, config->to_len) < 0 &&
	    errno != EINPROGRESS)
		die("connect: %s", strerror(errno));
	return fd;
}

struct conn *conn_open(const struct conn_config *config)
{
	struct conn *conn = must_have(calloc(1, sizeof(*conn)));
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				     .data.ptr = conn };

	if (epoll_fd < 0)
		epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	conn->config = *config;
	conn->fd = make_socket(config);
	if (config->tls)
		conn->ssl = make_tls(conn->fd);
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) < 0)
		die("epoll: %s", strerror(errno));
	return conn;
}

/* Events of it may be in the batch that is being handled: it is freed after that. */
struct conn *conn_close(struct conn *conn)
{
	if (!conn || conn->closed)
		return NULL;
	conn->closed = true;
	SSL_free(conn->ssl);
	conn->ssl = NULL;
	close(conn->fd);
	free(conn->out);
	conn->out = NULL;
	answer_done(&conn->answer);
	conn->next = closed;
	closed = conn;
	return NULL;
}

static void free_closed(void)
{
	while (closed) {
		struct conn *conn = closed;

		closed = conn->next;
		free(conn);
	}
}

static void end(struct conn *conn, const char *why)
{
	const struct conn_ops *ops = conn->config.ops;
	void *userdata = conn->config.userdata;

	if (conn->closed)
		return;
	conn_close(conn);
	ops->on_end(why, userdata);
}

/* ---- bytes ---- */

static void count_tls(struct conn *conn)
{
	uint64_t in = BIO_number_read(SSL_get_rbio(conn->ssl));
	uint64_t out = BIO_number_written(SSL_get_wbio(conn->ssl));

	conn_bytes_in += in - conn->in_seen;
	conn_bytes_out += out - conn->out_seen;
	conn->in_seen = in;
	conn->out_seen = out;
}

/* Return: bytes; 0: none now; -EPIPE: ended; other negative errno. */
static long tls_result(struct conn *conn, int n)
{
	int error = n > 0 ? 0 : SSL_get_error(conn->ssl, n);

	count_tls(conn);
	if (n > 0)
		return n;
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return 0;
	return error == SSL_ERROR_ZERO_RETURN ? -EPIPE : -ECONNRESET;
}

static long read_some(struct conn *conn)
{
	ssize_t n;

	if (conn->ssl)
		return tls_result(conn, SSL_read(conn->ssl, buffer, sizeof(buffer)));
	n = read(conn->fd, buffer, sizeof(buffer));
	if (n > 0)
		conn_bytes_in += (uint64_t)n;
	if (n == 0)
		return -EPIPE;
	return n > 0 ? n : errno == EAGAIN ? 0 : -errno;
}

static long write_some(struct conn *conn)
{
	const char *data = conn->out + conn->out_sent;
	size_t len = conn->out_len - conn->out_sent;
	ssize_t n;

	if (conn->ssl)
		return tls_result(conn, SSL_write(conn->ssl, data, (int)len));
	n = send(conn->fd, data, len, MSG_NOSIGNAL);
	if (n > 0)
		conn_bytes_out += (uint64_t)n;
	return n >= 0 ? n : errno == EAGAIN ? 0 : -errno;
}

static int flush(struct conn *conn)
{
	long n = 1;

	while (conn->out && n > 0) {
		n = write_some(conn);
		if (n < 0)
			return (int)n;
		conn->out_sent += (size_t)n;
		if (conn->out_sent == conn->out_len) {
			free(conn->out);
			conn->out = NULL;
		}
	}
	return 0;
}

/* Return: 0, negative errno. */
static int take(struct conn *conn, const char *data, size_t len)
{
	while (len > 0 && !conn->closed) {
		struct answer complete;
		long n = answer_take(&conn->answer, data, len, conn->config.ops->on_data,
				     conn->config.userdata);

		if (n < 0)
			return (int)n;
		data += n;
		len -= (size_t)n;
		if (conn->closed || conn->answer.step != ANSWER_DONE)
			continue;
		complete = conn->answer;
		conn->answer = (struct answer){ 0 };
		conn->config.ops->on_answer(&complete, conn->config.userdata);
		answer_done(&complete);
	}
	return 0;
}

static int read_all(struct conn *conn)
{
	long n;

	while (!conn->closed && (n = read_some(conn)) != 0) {
		int r = n < 0 ? (int)n : take(conn, buffer, (size_t)n);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Return: 0: not yet; 1: it is there; negative errno. */
static int establish(struct conn *conn, uint32_t events)
{
	int error = 0;
	socklen_t len = sizeof(error);
	long n;

	if (!conn->connected) {
		if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error)
			return -error;
		if (!(events & EPOLLOUT))
			return 0;
		conn->connected = true;
	}
	if (conn->ssl && !conn->shaken) {
		n = tls_result(conn, SSL_do_handshake(conn->ssl));
		if (n <= 0)
			return (int)n;
		conn->shaken = true;
	}
	return 1;
}

static void handle(struct conn *conn, uint32_t events)
{
	int r;

	if (conn->closed)
		return;
	r = establish(conn, events);
	if (r == 1)
		r = flush(conn);
	else if (r == 0)
		return;
	if (r == 0)
		r = read_all(conn);
	if (r < 0)
		end(conn, r == -EPIPE ? "ended" : strerror(-r));
}

void conn_send(struct conn *conn, char *text, size_t len)
{
	if (conn->out)
		die("two requests at a time");
	conn->out = text;
	conn->out_len = len;
	conn->out_sent = 0;
	/* What goes wrong is seen by the next event. */
	if (conn->connected && (!conn->ssl || conn->shaken))
		(void)flush(conn);
}

/* ---- the loop ---- */

void conn_poll(uint64_t until)
{
	struct epoll_event events[BATCH];
	uint64_t now = bench_now();
	int n = epoll_wait(epoll_fd, events, BATCH,
			   until <= now ? 0 : (int)((until - now + 999) / 1000));

	if (n < 0 && errno != EINTR)
		die("epoll_wait: %s", strerror(errno));
	for (int i = 0; i < n; i++)
		handle(events[i].data.ptr, events[i].events);
	free_closed();
}

static bool never(void)
{
	return false;
}

bool conn_run(bool (*done)(void), uint64_t until)
{
	if (!done)
		done = never;
	while (!done()) {
		if (bench_now() >= until)
			return false;
		conn_poll(until);
	}
	return true;
}
