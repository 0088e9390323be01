/* The end of a server, in good order or at once. */
#include <errno.h>

#include "coord/http/internal.h"

static int on_stop_time(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct http_server *server = userdata;

	if (server->on_stopped)
		server->on_stopped(server->on_stopped_userdata);
	return 0;
}

void http_stop_check(struct http_server *server)
{
	if (!server->stop_source || server->n_requests > 0 || server->ending)
		return;
	/* From the loop, not from within libmicrohttpd: the server may be freed then. */
	(void)sd_event_source_set_time(server->stop_source, 0);
}

static void stop_streams(struct http_listener *listener)
{
	struct http_request *req, *next;

	for (req = LIST_FIRST(&listener->requests); req; req = next) {
		next = LIST_NEXT(req, all);
		if (req->stream)
			http_stream_stop(req->stream);
	}
}

int http_server_stop(struct http_server *server, uint64_t timeout_usec,
		     void (*on_stopped)(void *userdata), void *userdata)
{
	struct http_listener *listener;
	int r;

	if (server->stopping)
		return -EALREADY;
	r = sd_event_add_time_relative(server->event, &server->stop_source, CLOCK_MONOTONIC,
				       timeout_usec, 10000, on_stop_time, server);
	if (r < 0)
		return r;
	server->stopping = true;
	server->on_stopped = on_stopped;
	server->on_stopped_userdata = userdata;
	TAILQ_FOREACH(listener, &server->listeners, next)
	{
		http_listener_quiesce(listener);
		stop_streams(listener);
	}
	http_stop_check(server);
	return 0;
}
