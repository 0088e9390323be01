#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/un.h>

#include "common/clock.h"
#include "common/varlink_msg.h"
#include "common/varlink_stream.h"

struct varlink_client {
	struct varlink_stream stream;
	bool broken; /* what comes from the server cannot be trusted any more */
};

static uint64_t deadline_after(uint64_t timeout_usec)
{
	uint64_t now = clock_usec(CLOCK_MONOTONIC);

	return timeout_usec > UINT64_MAX - now ? UINT64_MAX : now + timeout_usec;
}

/* Return: 0 (something happened, perhaps), -ETIME, negative errno. */
static int wait_for(const struct varlink_client *client, short events, uint64_t deadline)
{
	struct pollfd pfd = { .fd = client->stream.fd, .events = events };
	uint64_t now = clock_usec(CLOCK_MONOTONIC), left;
	struct timespec ts;
	int n;

	if (now >= deadline)
		return -ETIME;
	left = deadline - now;
	ts.tv_sec = (time_t)(left / USEC_PER_SEC);
	ts.tv_nsec = (long)(left % USEC_PER_SEC) * 1000;
	n = ppoll(&pfd, 1, deadline == UINT64_MAX ? NULL : &ts, NULL);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n == 0 ? -ETIME : 0;
}

int varlink_client_new(int fd, struct varlink_client **ret_client)
{
	struct varlink_client *client;

	client = calloc(1, sizeof(*client));
	if (!client) {
		close_fd(fd);
		return -ENOMEM;
	}
	varlink_stream_init(&client->stream, fd, VARLINK_MAX_MESSAGE, VARLINK_MAX_CALL);
	*ret_client = client;
	return 0;
}

/*
 * A connect() that waits does so in line with the others, as one that comes back now and then does
 * not (unix(7); SO_SNDTIMEO of socket(7) bounds it). Return: 0, -EAGAIN, other negative errno.
 */
static int connect_until(int fd, const struct sockaddr_un *addr, uint64_t deadline)
{
	for (;;) {
		uint64_t now = clock_usec(CLOCK_MONOTONIC), left = deadline - now;
		struct timeval tv = {
			.tv_sec = (time_t)(left / USEC_PER_SEC),
			.tv_usec = (suseconds_t)(left % USEC_PER_SEC),
		};

		if (deadline == UINT64_MAX)
			tv = (struct timeval){ 0 };
		else if (now >= deadline)
			return -EAGAIN;
		if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0)
			return -errno;
		if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

int varlink_client_connect(const char *path, uint64_t timeout_usec,
			   struct varlink_client **ret_client)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	int r;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	if (r == -EAGAIN && timeout_usec > 0) {
		if (fcntl(fd, F_SETFL, 0) < 0)
			return -errno;
		r = connect_until(fd, &addr, deadline_after(timeout_usec));
		if (r == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
			return -errno;
	}
	return r < 0 ? r : varlink_client_new(take_fd(&fd), ret_client);
}

struct varlink_client *varlink_client_free(struct varlink_client *client)
{
	if (!client)
		return NULL;
	varlink_stream_done(&client->stream);
	free(client);
	return NULL;
}

int varlink_client_fd(const struct varlink_client *client)
{
	return client->stream.fd;
}

int varlink_client_server_creds(const struct varlink_client *client, struct ucred *ret_creds)
{
	socklen_t len = sizeof(*ret_creds);

	if (getsockopt(client->stream.fd, SOL_SOCKET, SO_PEERCRED, ret_creds, &len) < 0)
		return -errno;
	return 0;
}

static int flush_until(struct varlink_client *client, uint64_t deadline)
{
	int r;

	while ((r = varlink_stream_flush(&client->stream)) == -EAGAIN) {
		r = wait_for(client, POLLOUT, deadline);
		if (r < 0)
			break;
	}
	/* Half a call may be out: nothing that could follow would make sense to the server. */
	if (r < 0)
		client->broken = true;
	return r == -EPIPE ? -ECONNRESET : r;
}

int varlink_client_send(struct varlink_client *client, const char *method, json_t *params,
			bool more, uint64_t timeout_usec)
{
	json_t *message;
	int r;

	message = varlink_call_build(method, params, more, false);
	if (!message)
		return -ENOMEM;
	r = client->broken ? -ECONNRESET : varlink_stream_queue(&client->stream, message);
	json_decref(message);
	if (r < 0)
		return r;
	return flush_until(client, deadline_after(timeout_usec));
}

/* Return: 0, -EAGAIN (no whole message yet), negative errno. */
static int receive_now(struct varlink_client *client, struct varlink_reply *ret_reply)
{
	const char *text;
	size_t len;
	int r;

	while (!varlink_stream_next(&client->stream, &text, &len)) {
		r = varlink_stream_read(&client->stream);
		if (r == VARLINK_STREAM_END)
			return -ECONNRESET;
		if (r < 0)
			return r == -EMSGSIZE ? -EBADMSG : r;
	}
	r = varlink_reply_parse(text, len, ret_reply);
	return r == -EINVAL ? -EBADMSG : r;
}

int varlink_client_receive(struct varlink_client *client, uint64_t timeout_usec,
			   struct varlink_reply *ret_reply)
{
	uint64_t deadline = deadline_after(timeout_usec);
	int r;

	if (client->broken)
		return -ECONNRESET;
	while ((r = receive_now(client, ret_reply)) == -EAGAIN) {
		if (timeout_usec == 0)
			return -EAGAIN;
		r = wait_for(client, POLLIN, deadline);
		if (r < 0)
			break;
	}
	if (r < 0 && r != -ETIME)
		client->broken = true;
	return r;
}

int varlink_client_call(struct varlink_client *client, const char *method, json_t *params,
			uint64_t timeout_usec, struct varlink_reply *ret_reply)
{
	uint64_t deadline = deadline_after(timeout_usec), now;
	int r;

	r = varlink_client_send(client, method, params, false, timeout_usec);
	if (r < 0)
		return r;
	now = clock_usec(CLOCK_MONOTONIC);
	r = varlink_client_receive(client, deadline > now ? deadline - now : 1, ret_reply);
	/* The answer may still come, and would be taken for that of the next call. */
	if (r < 0)
		client->broken = true;
	return r;
}
