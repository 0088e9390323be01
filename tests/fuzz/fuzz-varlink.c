/*
 * A varlink server, a client and the parsers, fed with the same bytes. Byte 0 chooses how the bytes
 * are cut into writes.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/varlink.h"
#include "common/varlink_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static int method_echo(struct varlink_call *call, const json_t *params, void *userdata)
{
	return varlink_call_reply(call, json_deep_copy(params));
}

static int method_count(struct varlink_call *call, const json_t *params, void *userdata)
{
	varlink_call_notify(call, json_deep_copy(params));
	return varlink_call_reply(call, NULL);
}

static void on_disconnect(struct varlink_call *call, void *userdata)
{
	struct varlink_call **held = userdata;

	check(*held == call);
	*held = varlink_call_unref(*held);
}

/* The first call that comes here is held until the caller is gone, as leases are. */
static int method_hold(struct varlink_call *call, const json_t *params, void *userdata)
{
	struct varlink_call **held = userdata;

	if (*held)
		return -1;
	*held = varlink_call_ref(call);
	varlink_call_on_disconnect(call, on_disconnect, userdata);
	return 0;
}

static const struct varlink_method methods[] = {
	{ "Echo", method_echo, false },
	{ "Count", method_count, true },
	{ "Hold", method_hold, false },
};
static const struct varlink_interface interface = {
	.name = "a.b",
	.description = "interface a.b",
	.methods = methods,
	.n_methods = ARRAY_SIZE(methods),
};
static const struct varlink_info info = { "v", "p", "1", "u" };
static const struct varlink_limits limits = { 4, 4, 4, 1 << 16 };

static void pump(sd_event *event)
{
	for (unsigned i = 0; sd_event_run(event, 0) > 0; i++)
		check(i < 100000);
}

/* What the server says must be varlink. */
static void hear(struct varlink_client *client)
{
	struct varlink_reply reply;
	int r;

	while ((r = varlink_client_receive(client, 0, &reply)) == 0)
		varlink_reply_done(&reply);
	check(r == -EAGAIN || r == -ECONNRESET);
}

static void feed_server(const uint8_t *data, size_t size, size_t step)
{
	struct varlink_server *server = NULL;
	struct varlink_client *client = NULL;
	struct varlink_call *held = NULL;
	sd_event *event = NULL;
	int fds[2];

	check(sd_event_new(&event) >= 0);
	check(varlink_server_new(event, &info, &interface, &limits, &held, &server) == 0);
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	check(varlink_server_add_connection(server, fds[0]) == 0);
	check(varlink_client_new(fds[1], &client) == 0);
	while (size > 0) {
		size_t n = size < step ? size : step;

		if (send(fds[1], data, n, MSG_NOSIGNAL) < 0)
			break;
		data += n;
		size -= n;
		pump(event);
		hear(client);
	}
	shutdown(fds[1], SHUT_WR);
	pump(event);
	hear(client);
	check(!held);
	varlink_client_free(client);
	varlink_server_free(server);
	sd_event_unref(event);
}

static void feed_client(const uint8_t *data, size_t size)
{
	struct varlink_client *client = NULL;
	int fds[2];

	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	check(varlink_client_new(fds[0], &client) == 0);
	if (send(fds[1], data, size, MSG_NOSIGNAL) >= 0) {
		struct varlink_reply reply;

		while (varlink_client_receive(client, 0, &reply) == 0)
			varlink_reply_done(&reply);
	}
	close_fd(fds[1]);
	varlink_client_free(client);
}

static void parse(const uint8_t *data, size_t size)
{
	struct varlink_call_msg msg;
	struct varlink_reply reply;

	if (varlink_call_parse((const char *)data, size, &msg) == 0) {
		check(json_is_object(msg.parameters) && strchr(msg.method, '.'));
		varlink_call_msg_done(&msg);
	}
	if (varlink_reply_parse((const char *)data, size, &reply) == 0) {
		check(json_is_object(reply.parameters));
		varlink_reply_done(&reply);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > 65536)
		return 0;
	parse(data + 1, size - 1);
	feed_server(data + 1, size - 1, data[0] ? data[0] : 4096);
	feed_client(data + 1, size - 1);
	return 0;
}
