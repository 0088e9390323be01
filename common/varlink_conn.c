#include "common/varlink_conn.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/passed.h"
#include "common/peer_group.h"
#include "common/varlink_msg.h"
#include "common/varlink_stream.h"

struct varlink_conn {
	struct varlink_server *server;
	struct varlink_conn *next, **at;
	struct varlink_stream stream;
	struct ucred creds;
	sd_event_source *io;
	sd_event_source *work;	   /* runs once per request: flush, answer the next call, end */
	struct varlink_call *call; /* not answered yet; a reference */
	bool hung_up;		   /* the caller will say no more */
	bool broken; /* it broke the protocol, reads too slowly, or its socket failed */
};

struct varlink_call {
	unsigned n_ref;
	struct varlink_conn *conn; /* NULL: answered, or the connection is gone */
	struct ucred creds;
	bool more, oneway;
	void (*on_disconnect)(struct varlink_call *call, void *userdata);
	void *userdata;
};

static void conn_want_work(struct varlink_conn *conn)
{
	if (sd_event_source_set_enabled(conn->work, SD_EVENT_ONESHOT) < 0)
		conn->broken = true;
}

struct varlink_call *varlink_call_ref(struct varlink_call *call)
{
	call->n_ref++;
	return call;
}

struct varlink_call *varlink_call_unref(struct varlink_call *call)
{
	if (call && --call->n_ref == 0)
		free(call);
	return NULL;
}

/* The connection will carry no (further) answer to this call. */
static struct varlink_call *call_detach(struct varlink_call *call)
{
	call->conn->call = NULL;
	call->conn = NULL;
	return call;
}

static void conn_drop_call(struct varlink_conn *conn)
{
	_cleanup_(varlink_call_unrefp) struct varlink_call *call = NULL;

	if (!conn->call)
		return;
	call = call_detach(conn->call);
	if (call->on_disconnect)
		call->on_disconnect(call, call->userdata);
}

struct varlink_conn *varlink_conn_free(struct varlink_conn *conn)
{
	if (!conn)
		return NULL;
	if (conn->at) {
		*conn->at = conn->next;
		if (conn->next)
			conn->next->at = conn->at;
	}
	conn_drop_call(conn);
	sd_event_source_disable_unref(conn->io);
	sd_event_source_disable_unref(conn->work);
	varlink_stream_done(&conn->stream);
	free(conn);
	return NULL;
}
DEFINE_CLEANUP(struct varlink_conn *, varlink_conn_free);

void varlink_conn_count(const struct varlink_server *server, uid_t uid, unsigned *ret_all,
			unsigned *ret_others, unsigned *ret_same_uid)
{
	*ret_all = *ret_others = *ret_same_uid = 0;
	for (const struct varlink_conn *c = server->conns; c; c = c->next) {
		(*ret_all)++;
		*ret_others += c->creds.uid != 0;
		*ret_same_uid += c->creds.uid == uid;
	}
}

/*
 * Steals message. If it cannot be sent (the reader is too slow, memory is out) the connection ends,
 * so that nobody waits for it forever; it does so from the event loop, so that whoever answers a
 * call never has the connection freed under it.
 */
static int conn_send(struct varlink_conn *conn, json_t *message)
{
	int r = -ENOMEM;

	if (message)
		r = varlink_stream_queue(&conn->stream, message);
	json_decref(message);
	if (r == 0) {
		r = varlink_stream_flush(&conn->stream);
		if (r == -EAGAIN)
			r = 0;
	}
	if (r < 0)
		conn->broken = true;
	conn_want_work(conn);
	return r;
}

/* Steals message. */
static int call_finish(struct varlink_call *call, json_t *message)
{
	_cleanup_(varlink_call_unrefp) struct varlink_call *answered = NULL;
	struct varlink_conn *conn = call->conn;

	if (!conn) {
		json_decref(message);
		return -ENOTCONN;
	}
	answered = call_detach(call);
	if (answered->oneway) {
		json_decref(message);
		conn_want_work(conn);
		return 0;
	}
	return conn_send(conn, message);
}

int varlink_call_reply(struct varlink_call *call, json_t *params)
{
	return call_finish(call, varlink_reply_build(params, false));
}

int varlink_call_error(struct varlink_call *call, const char *error, json_t *params)
{
	return call_finish(call, varlink_error_build(error, params));
}

int varlink_call_notify(struct varlink_call *call, json_t *params)
{
	if (!call->conn || !call->more) {
		json_decref(params);
		return call->conn ? -EINVAL : -ENOTCONN;
	}
	return conn_send(call->conn, varlink_reply_build(params, true));
}

int varlink_call_invalid_parameter(struct varlink_call *call, const char *parameter)
{
	return varlink_call_error(call, "org.varlink.service.InvalidParameter",
				  json_pack("{s:s}", "parameter", parameter));
}

const struct ucred *varlink_call_creds(const struct varlink_call *call)
{
	return &call->creds;
}

bool varlink_call_in_group(const struct varlink_call *call, gid_t gid)
{
	if (call->creds.gid == gid)
		return true;
	return call->conn && peer_in_group(call->conn->stream.fd, gid);
}

size_t varlink_call_backlog(const struct varlink_call *call)
{
	return call->conn ? call->conn->stream.out_end - call->conn->stream.out_start : 0;
}

void varlink_call_on_disconnect(struct varlink_call *call,
				void (*fn)(struct varlink_call *call, void *userdata),
				void *userdata)
{
	call->on_disconnect = fn;
	call->userdata = userdata;
}

/* As systemd's services word it, so that their clients understand. */
static int call_system_error(struct varlink_call *call, int error)
{
	return varlink_call_error(call, "io.systemd.System",
				  json_pack("{s:s, s:i, s:s}", "origin", "linux", "errno", -error,
					    "errnoName", strerrorname_np(-error)));
}

static const struct varlink_method *find_method(const struct varlink_interface *interface,
						const char *name)
{
	for (size_t i = 0; i < interface->n_methods; i++)
		if (strcmp(interface->methods[i].name, name) == 0)
			return &interface->methods[i];
	return NULL;
}

static int call_run(struct varlink_call *call, const struct varlink_server *server,
		    const struct varlink_call_msg *msg)
{
	const char *name = strrchr(msg->method, '.') + 1;
	_cleanup_free_ char *interface = strndup(msg->method, (size_t)(name - 1 - msg->method));
	const struct varlink_method *method;

	if (!interface)
		return -ENOMEM;
	if (strcmp(interface, "org.varlink.service") == 0)
		return varlink_service_call(call, server, name, msg->parameters);
	if (strcmp(interface, server->interface->name) != 0)
		return varlink_call_error(call, "org.varlink.service.InterfaceNotFound",
					  json_pack("{s:s}", "interface", interface));
	method = find_method(server->interface, name);
	if (!method)
		return varlink_call_error(call, "org.varlink.service.MethodNotFound",
					  json_pack("{s:s}", "method", msg->method));
	if (method->needs_more && !call->more)
		return varlink_call_error(call, "org.varlink.service.ExpectedMore", NULL);
	return method->fn(call, msg->parameters, server->userdata);
}

static struct varlink_call *call_new(struct varlink_conn *conn, const struct varlink_call_msg *msg)
{
	struct varlink_call *call;

	call = calloc(1, sizeof(*call));
	if (!call)
		return NULL;
	call->n_ref = 1;
	call->conn = conn;
	call->creds = conn->creds;
	call->more = msg->more;
	call->oneway = msg->oneway;
	conn->call = call;
	return call;
}

/* Take one message and handle it. Return: 0; negative errno: the connection is of no use. */
static int conn_answer_next(struct varlink_conn *conn)
{
	_cleanup_(varlink_call_unrefp) struct varlink_call *call = NULL;
	_cleanup_(varlink_call_msg_done) struct varlink_call_msg msg = { 0 };
	const char *text;
	size_t len;
	int r;

	if (!varlink_stream_next(&conn->stream, &text, &len))
		return 0;
	r = varlink_call_parse(text, len, &msg);
	if (r < 0)
		return r;
	if (!call_new(conn, &msg))
		return -ENOMEM;

	call = varlink_call_ref(conn->call);
	r = call_run(call, conn->server, &msg);
	if (r < 0 && call->conn)
		(void)call_system_error(call, r);
	return 0;
}

static int conn_read(struct varlink_conn *conn)
{
	int r;

	if (conn->hung_up || !varlink_stream_has_room(&conn->stream))
		return 0;
	r = varlink_stream_read(&conn->stream);
	if (r == VARLINK_STREAM_END)
		conn->hung_up = true;
	else if (r < 0 && r != -EAGAIN)
		return r;
	return conn->stream.n_messages > conn->server->limits.max_calls_per_connection ? -EPROTO
										       : 0;
}

/* What to wait for. A caller that went away must be seen also while there is no room to read. */
static uint32_t conn_events(const struct varlink_conn *conn)
{
	uint32_t events = 0;

	if (!conn->hung_up) {
		events |= EPOLLRDHUP;
		if (varlink_stream_has_room(&conn->stream))
			events |= EPOLLIN;
	}
	if (varlink_stream_has_output(&conn->stream))
		events |= EPOLLOUT;
	return events;
}

/* Bring the connection forward by one step. Return: 0; negative errno: it is over. */
static int conn_step(struct varlink_conn *conn)
{
	int r;

	if (conn->broken)
		return -EPROTO;
	r = varlink_stream_flush(&conn->stream);
	if (r < 0 && r != -EAGAIN)
		return r;

	/* One call after the other, and none before the last answer is out: no queue can grow. */
	if (!conn->call && r == 0 && conn->stream.n_messages > 0) {
		r = conn_answer_next(conn);
		if (r < 0)
			return r;
		conn_want_work(conn);
	}
	if (conn->hung_up) {
		conn_drop_call(conn);
		if (conn->stream.n_messages == 0 && !varlink_stream_has_output(&conn->stream))
			return -ENOTCONN;
	}
	return conn->broken ? -EPROTO : sd_event_source_set_io_events(conn->io, conn_events(conn));
}

static int on_conn_work(sd_event_source *source, void *userdata)
{
	struct varlink_conn *conn = userdata;

	if (conn_step(conn) < 0)
		varlink_conn_free(conn);
	return 0;
}

static int on_conn_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct varlink_conn *conn = userdata;
	int r = 0;

	if (revents & (EPOLLIN | EPOLLHUP | EPOLLRDHUP | EPOLLERR))
		r = conn_read(conn);
	if (revents & EPOLLRDHUP && !varlink_stream_has_room(&conn->stream))
		conn->hung_up = true;
	if (r == 0)
		r = conn_step(conn);
	if (r < 0)
		varlink_conn_free(conn);
	return 0;
}

/* However many others ask however much, root is answered first. */
static int64_t conn_priority(const struct varlink_conn *conn)
{
	return conn->creds.uid == 0 ? SD_EVENT_PRIORITY_IMPORTANT : SD_EVENT_PRIORITY_IDLE;
}

static int conn_add_sources(struct varlink_conn *conn)
{
	sd_event *event = conn->server->event;
	int r;

	r = sd_event_add_io(event, &conn->io, conn->stream.fd, EPOLLIN | EPOLLRDHUP, on_conn_io,
			    conn);
	if (r < 0)
		return r;
	r = sd_event_add_defer(event, &conn->work, on_conn_work, conn);
	if (r >= 0)
		r = sd_event_source_set_enabled(conn->work, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_priority(conn->io, conn_priority(conn));
	if (r >= 0)
		r = sd_event_source_set_priority(conn->work, conn_priority(conn));
	return r;
}

int varlink_conn_new(struct varlink_server *server, int fd, const struct ucred *creds)
{
	_cleanup_(varlink_conn_freep) struct varlink_conn *conn = NULL;
	int r;

	conn = calloc(1, sizeof(*conn));
	if (!conn) {
		passed_close(fd);
		return -ENOMEM;
	}
	conn->server = server;
	conn->creds = *creds;
	varlink_stream_init(&conn->stream, fd, VARLINK_MAX_CALL, server->limits.max_output);
	r = conn_add_sources(conn);
	if (r < 0)
		return r;

	conn->next = server->conns;
	conn->at = &server->conns;
	if (conn->next)
		conn->next->at = &conn->next;
	server->conns = take_ptr(conn);
	return 0;
}
