/* Ticks: what happened to suspended connections within one reaches libmicrohttpd by one call. */
#include "common/clock.h"
#include "coord/http/internal.h"

void http_request_suspend(struct http_request *req)
{
	req->suspended = true;
	MHD_suspend_connection(req->mhd);
	/* That is told only once. */
	if (req->conn->gone)
		http_flush_later(req);
}

void http_flush_later(struct http_request *req)
{
	struct http_server *server = req->listener->server;

	if (!req->suspended || req->dirty)
		return;
	req->dirty = true;
	TAILQ_INSERT_TAIL(&req->listener->dirty, req, by_dirty);
	if (server->tick_set)
		return;
	server->tick_set = true;
	/* At once if there was none for a while; in the past is at once, too. */
	(void)sd_event_source_set_time(server->tick,
				       server->last_flush + server->config.limits.tick_usec);
	(void)sd_event_source_set_enabled(server->tick, SD_EVENT_ONESHOT);
}

static void resume_all(struct http_listener *listener)
{
	struct http_request *req;

	while ((req = TAILQ_FIRST(&listener->dirty))) {
		TAILQ_REMOVE(&listener->dirty, req, by_dirty);
		req->dirty = false;
		req->suspended = false;
		MHD_resume_connection(req->mhd);
	}
}

void http_flush(struct http_server *server)
{
	struct http_listener *listener;

	server->tick_set = false;
	(void)sd_event_source_set_enabled(server->tick, SD_EVENT_OFF);
	server->last_flush = clock_usec(CLOCK_MONOTONIC);
	TAILQ_FOREACH(listener, &server->listeners, next)
	{
		if (TAILQ_EMPTY(&listener->dirty))
			continue;
		resume_all(listener);
		http_listener_run(listener);
	}
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
	http_flush(userdata);
	return 0;
}

int http_flush_init(struct http_server *server)
{
	int r;

	r = sd_event_add_time(server->event, &server->tick, CLOCK_MONOTONIC, 0, 1000, on_tick,
			      server);
	if (r < 0)
		return r;
	/* After whatever else happens at the same time, for that may write to streams, too. */
	r = sd_event_source_set_priority(server->tick, SD_EVENT_PRIORITY_NORMAL + 10);
	if (r < 0)
		return r;
	r = sd_event_source_set_enabled(server->tick, SD_EVENT_OFF);
	return r < 0 ? r : 0;
}
