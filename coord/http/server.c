#include <errno.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/text.h"
#include "coord/http/internal.h"

void http_limits_default(struct http_limits *ret_limits)
{
	*ret_limits = (struct http_limits){
		.max_connections = 16384,
		.max_connections_per_address = 256,
		/* Measured, 10,000 streams of signed requests, kB of memory each: 4096: 5.8;
		 * 6144: 7.8; 8192: 9.8. Those of HTTP/1.0 take one more. */
		.connection_memory = 6144,
		.max_body = 64u << 10,
		.idle_usec = 30 * USEC_PER_SEC,
		.request_usec = 60 * USEC_PER_SEC,
		.tick_usec = 20000,
		.stream_bytes = 256u << 10,
		.stream_messages = 64,
	};
}

static bool config_is_valid(const struct http_config *config)
{
	const struct http_limits *limits = &config->limits;

	for (size_t i = 0; i < config->n_routes; i++)
		if (!http_route_is_valid(&config->routes[i]))
			return false;
	return limits->max_connections > 0 && limits->connection_memory >= 4096 &&
	       limits->max_body > 0 && limits->idle_usec >= USEC_PER_SEC &&
	       limits->request_usec > 0 && limits->stream_bytes > 0 && limits->stream_messages > 0;
}

static int add_sources(struct http_server *server)
{
	int r;

	r = http_watch_init(server);
	if (r == 0)
		r = http_flush_init(server);
	if (r < 0)
		return r;
	r = sd_event_add_time(server->event, &server->due_source, CLOCK_MONOTONIC, 0, 100000,
			      http_conn_on_due, server);
	if (r < 0)
		return r;
	r = sd_event_source_set_enabled(server->due_source, SD_EVENT_OFF);
	return r < 0 ? r : 0;
}

int http_server_new(sd_event *event, const struct http_config *config,
		    struct http_server **ret_server)
{
	_cleanup_(http_server_freep) struct http_server *server = NULL;
	int r;

	if (!config_is_valid(config))
		return -EINVAL;
	server = calloc(1, sizeof(*server));
	if (!server)
		return -ENOMEM;
	server->event = sd_event_ref(event);
	server->config = *config;
	server->proxies = (struct http_proxies){
		.trusted = config->trusted_proxies,
		.n_trusted = config->n_trusted_proxies,
	};
	server->watch_fd = -1;
	TAILQ_INIT(&server->listeners);
	TAILQ_INIT(&server->by_due);
	r = add_sources(server);
	if (r < 0)
		return r;
	*ret_server = take_ptr(server);
	return 0;
}

struct http_server *http_server_free(struct http_server *server)
{
	struct http_listener *listener;

	if (!server)
		return NULL;
	server->ending = true;
	while ((listener = TAILQ_FIRST(&server->listeners)))
		http_listener_free(listener);
	sd_event_source_disable_unref(server->watch_source);
	sd_event_source_disable_unref(server->tick);
	sd_event_source_disable_unref(server->due_source);
	sd_event_source_disable_unref(server->stop_source);
	http_sources_done(&server->sources);
	close_fd(server->watch_fd);
	sd_event_unref(server->event);
	free(server);
	return NULL;
}

int http_server_reload_tls(struct http_server *server, char **reterr_text)
{
	struct http_listener *l;
	int r = 0;

	*reterr_text = NULL;
	TAILQ_FOREACH(l, &server->listeners, next)
	if (l->tls && r == 0)
		r = http_tls_prepare(l->tls, reterr_text);
	TAILQ_FOREACH(l, &server->listeners, next)
	{
		if (l->tls && r == 0)
			http_tls_commit(l->tls);
		else if (l->tls)
			http_tls_rollback(l->tls);
	}
	return r;
}

void http_server_get_stats(const struct http_server *server, struct http_stats *ret_stats)
{
	*ret_stats = server->stats;
}
