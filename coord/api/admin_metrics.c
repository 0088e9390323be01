/* Numbers for monitoring, as OpenMetrics. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/openmetrics.h"
#include "common/text_stream.h"
#include "coord/api/admin.h"
#include "coord/registry/checks.h"
#include "peergate-config.h"

#define TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

static void print_gauge(FILE *f, const char *name, const char *help, uint64_t value)
{
	const struct om_family family = { name, "gauge", NULL, help };

	om_begin(f, &family);
	om_number(f, &family, "", NULL, NULL, value);
}

static void print_counter(FILE *f, const char *name, const char *unit, const char *help,
			  uint64_t value)
{
	const struct om_family family = { name, "counter", unit, help };

	om_begin(f, &family);
	om_number(f, &family, "_total", NULL, NULL, value);
}

static void print_seconds(FILE *f, const char *name, const char *help, uint64_t usec)
{
	const struct om_family family = { name, "gauge", "seconds", help };

	om_begin(f, &family);
	om_seconds(f, &family, "", NULL, NULL, usec);
}

/* Samples of a family that differ by one label. */
struct sample {
	const char *label;
	uint64_t value;
};

static void print_samples(FILE *f, const struct om_family *family, const char *suffix,
			  const char *label, const struct sample *samples, size_t n)
{
	om_begin(f, family);
	for (size_t i = 0; i < n; i++) {
		const struct om_label one = { label, samples[i].label };

		om_number(f, family, suffix, &one, NULL, samples[i].value);
	}
}

/* ---- what there is ---- */

static void print_build(FILE *f)
{
	const struct om_family family = { "peergate_coord_build", "gauge", NULL,
					  "Always 1; the version is a label." };
	const struct om_label version = { "version", PEERGATE_VERSION };

	om_begin(f, &family);
	om_number(f, &family, "", &version, NULL, 1);
}

static void print_nodes(FILE *f, const struct registry *registry, const struct map_stats *map)
{
	const struct om_family family = { "peergate_coord_nodes", "gauge", NULL,
					  "Nodes that are enrolled." };
	size_t all = registry_n_nodes(registry);
	const struct sample samples[] = {
		{ "valid", all - map->nodes_expired },
		{ "expired", map->nodes_expired },
	};

	print_samples(f, &family, "", "key", samples, ARRAY_SIZE(samples));
	print_gauge(f, "peergate_coord_users", "Users.", registry_n_users(registry));
	print_gauge(f, "peergate_coord_auth_keys", "Auth keys, those of no use included.",
		    registry_n_authkeys(registry));
	print_gauge(f, "peergate_coord_api_keys", "API keys, those of no use included.",
		    registry_n_apikeys(registry));
	print_gauge(f, "peergate_coord_pending", "Machines that wait to be let in, or did so.",
		    registry_n_pending(registry));
	print_gauge(f, "peergate_coord_generation", "Revision of the store that maps show.",
		    registry_revision(registry));
}

/* Each kind has a limit; whoever comes above it has to wait. */
static void print_signers(FILE *f, const struct api *api)
{
	const struct om_family family = { "peergate_coord_signers", "gauge", NULL,
					  "Machines whose signed requests are remembered, so that "
					  "none comes twice." };
	const struct sample samples[] = {
		{ "member", replay_count(api->members) },
		{ "stranger", replay_count(api->strangers) },
	};

	print_samples(f, &family, "", "kind", samples, ARRAY_SIZE(samples));
}

static void print_policy(FILE *f, const struct registry *registry, const struct map_stats *map)
{
	const struct policy_current *policy = registry_policy_current(registry);

	print_gauge(f, "peergate_coord_policy_version",
		    "Version of the policy in force; 0: the default one.", policy->version);
	print_gauge(f, "peergate_coord_policy_unconfirmed",
		    "Whether the policy waits to be confirmed.", policy->confirm_by != 0);
	print_gauge(f, "peergate_coord_policy_rules", "Rules about packets.", map->rules);
	print_gauge(f, "peergate_coord_policy_ssh_rules", "Rules about logins.", map->ssh_rules);
	print_gauge(f, "peergate_coord_classes", "Classes of nodes that no rule tells apart.",
		    map->classes);
}

/* ---- what is done ---- */

static void print_streams(FILE *f, const struct streams_stats *s)
{
	const struct om_family sent = { "peergate_coord_maps", "counter", NULL,
					"Maps sent to nodes." };
	const struct om_family bytes = { "peergate_coord_maps_bytes", "counter", "bytes",
					 "Bytes of maps sent to nodes." };
	const struct om_family resumes = { "peergate_coord_resumes", "counter", NULL,
					   "Streams that were resumed, by what they began with." };
	const struct sample maps[] = { { "full", s->full }, { "delta", s->delta } };
	const struct sample sizes[] = { { "full", s->full_bytes }, { "delta", s->delta_bytes } };
	const struct sample begins[] = {
		{ "delta", s->resumed_delta },
		{ "full", s->resumed_full },
	};

	print_gauge(f, "peergate_coord_streams", "Nodes that are connected.", s->streams);
	print_gauge(f, "peergate_coord_streams_waiting", "Nodes that wait for a full map.",
		    s->waiting_full);
	print_gauge(f, "peergate_coord_streams_behind", "Nodes that read too slowly.", s->behind);
	print_counter(f, "peergate_coord_streams_started", NULL, "Streams that were begun.",
		      s->started);
	print_samples(f, &sent, "_total", "type", maps, ARRAY_SIZE(maps));
	print_samples(f, &bytes, "_total", "type", sizes, ARRAY_SIZE(sizes));
	print_samples(f, &resumes, "_total", "type", begins, ARRAY_SIZE(begins));
	print_counter(f, "peergate_coord_flushes", NULL, "Changes that were handed to streams.",
		      s->flushes);
	print_counter(f, "peergate_coord_map_failures", NULL,
		      "Maps that could not be made for want of memory.", s->failures);
	print_seconds(f, "peergate_coord_flush_max_seconds",
		      "The longest time that a change took to be worked out and queued.",
		      s->flush_usec_max);
	print_seconds(f, "peergate_coord_policy_rebuild_max_seconds",
		      "The longest time that a policy took to be compiled.", s->rebuild_usec_max);
}

static void print_http(FILE *f, const struct http_stats *http)
{
	const struct om_family requests = { "peergate_coord_http_requests", "counter", NULL,
					    "Requests, by the class of their status." };
	const struct om_family cut = { "peergate_coord_http_cut", "counter", NULL,
				       "Connections that were cut because they were slow." };
	const struct sample statuses[] = {
		{ "none", http->requests[0] }, { "2xx", http->requests[2] },
		{ "3xx", http->requests[3] },  { "4xx", http->requests[4] },
		{ "5xx", http->requests[5] },
	};
	const struct sample slow[] = {
		{ "sender", http->slow_senders },
		{ "reader", http->slow_readers },
	};

	print_gauge(f, "peergate_coord_http_connections", "Open connections.", http->connections);
	print_counter(f, "peergate_coord_http_connections_opened", NULL,
		      "Connections that were accepted.", http->connections_total);
	print_counter(f, "peergate_coord_http_connections_refused", NULL,
		      "Connections from addresses that had as many as they may.",
		      http->connections_full);
	print_samples(f, &requests, "_total", "status", statuses, ARRAY_SIZE(statuses));
	print_samples(f, &cut, "_total", "slow", slow, ARRAY_SIZE(slow));
	print_counter(f, "peergate_coord_http_sent_bytes", "bytes", "Bytes of answers and streams.",
		      http->bytes_out);
	print_counter(f, "peergate_coord_http_rate_limited", NULL,
		      "Requests of clients that asked too often.", http->rate_limited);
	print_counter(f, "peergate_coord_http_unattributed", NULL,
		      "Requests for which a reverse proxy did not hand on whose they are.",
		      http->unattributed);
}

static uint64_t count_waiting(const struct registry *registry)
{
	uint64_t n = 0;

	for (size_t i = 0; i < registry_n_checkreqs(registry); i++)
		n += registry_checkreq_at(registry, i)->state == CHECK_WAITING;
	return n;
}

static void print_checks(FILE *f, const struct api *api)
{
	const struct check_counts *counts = &api->checks;
	const struct om_family family = { "peergate_coord_checks", "counter", NULL,
					  "Checks of people, by what became of them." };
	const struct sample samples[] = {
		{ "asked", counts->asked },	  { "remembered", counts->remembered },
		{ "approved", counts->approved }, { "denied", counts->denied },
		{ "expired", counts->expired },
	};

	print_samples(f, &family, "_total", "what", samples, ARRAY_SIZE(samples));
	print_gauge(f, "peergate_coord_checks_waiting", "Checks that nobody has answered yet.",
		    count_waiting(api->registry));
	print_gauge(f, "peergate_coord_checks_held",
		    "Requests of hosts that wait for the answer to a check.", api->checking.n);
}

static void print_renewals(FILE *f, const struct api *api)
{
	struct renewals_stats stats = { 0 };
	const struct om_family kept = { "peergate_coord_renewals_kept", "gauge", NULL,
					"People whom their provider is asked about, by whether it "
					"answered the last time." };
	const struct om_family done = { "peergate_coord_renewals", "counter", NULL,
					"Answers of providers about people, by what they were." };

	if (api->renewals)
		renewals_get_stats(api->renewals, &stats);
	print_samples(f, &kept, "", "state",
		      (const struct sample[]){ { "good", stats.kept - stats.failing },
					       { "failing", stats.failing } },
		      2);
	print_samples(f, &done, "_total", "result",
		      (const struct sample[]){ { "known", stats.refreshed },
					       { "gone", stats.gone },
					       { "lost", stats.lost },
					       { "failed", stats.failed } },
		      4);
}

static void print_all(FILE *f, const struct api *api)
{
	struct http_stats http;
	struct map_stats map;

	map_get_stats(api->map, &map);
	print_build(f);
	print_nodes(f, api->registry, &map);
	print_signers(f, api);
	print_policy(f, api->registry, &map);
	print_streams(f, &map.streams);
	print_checks(f, api);
	print_renewals(f, api);
	if (api->server) {
		http_server_get_stats(api->server, &http);
		print_http(f, &http);
	}
	om_end(f);
}

int admin_metrics(struct admin_call *call)
{
	_cleanup_(http_buf_unrefp) struct http_buf *body = NULL;
	struct http_response response = { .status = 200, .content_type = TYPE };
	struct text_stream out;
	char *text;
	int r = text_stream_open(&out);

	if (r < 0)
		return admin_call_fail(call, r);
	print_all(out.file, call->api);
	text = text_stream_close(&out);
	body = text ? http_buf_take(text, strlen(text)) : NULL;
	if (!body)
		return admin_call_fail(call, -ENOMEM);
	response.body = body;
	r = http_respond(call->req, &response);
	admin_call_free(call);
	return r;
}
