/* What this host says of itself: gathered, and told whenever it is not what the coordinator knows.
 */
#include <errno.h>
#include <string.h>
#include <sys/inotify.h>

#include "agent/link/backoff.h"
#include "agent/link/link_internal.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"

#define REQUEST_USEC (30 * USEC_PER_SEC)
/* Names and the machine's own host keys have nobody who tells of a change. */
#define LOOK_AGAIN_USEC (600 * USEC_PER_SEC)

static void read_addresses(struct link *link)
{
	struct link_address *addresses = NULL;
	size_t n = 0;
	int r = link_addresses_read(&addresses, &n);

	if (r < 0) {
		log_warning_errno(r, "Could not read this host's addresses, continuing with those "
				     "known");
		return;
	}
	link->n_endpoints =
		link_addresses_choose(addresses, n, link->config.ifname, link->config.listen_port,
				      link->endpoints, LINK_MAX_ENDPOINTS);
	free(addresses);
}

static void read_host(struct link *link)
{
	struct link_host host;

	if (link_host_read(&link->config.places, &host) < 0)
		return;
	link_host_done(&link->host);
	link->host = host;
}

json_t *link_facts(struct link *link)
{
	const struct link_facts facts = {
		.host = &link->host,
		.hostname = link->store.hostname,
		.ssh = link->store.ssh,
		.listen_port = link->config.listen_port,
		.endpoints = link->endpoints,
		.n_endpoints = link->n_endpoints,
		.configured = link->config.endpoints,
		.n_configured = link->config.n_endpoints,
	};

	return link_facts_json(&facts);
}

void link_told(struct link *link, char *text)
{
	link_set_text(&link->told, text);
}

/* ---- telling ---- */

static void again_later(struct link *link, const struct link_verdict *verdict)
{
	uint64_t random = clock_usec(CLOCK_MONOTONIC);

	if (link->tell_failures < 8)
		link->tell_failures++;
	link_arm(link->tell_timer,
		 LINK_BACKOFF_FIRST_USEC +
			 link_backoff(link->tell_failures, verdict->retry_after_usec, random));
}

static void on_told(const struct link_verdict *verdict, void *userdata)
{
	struct link *link = userdata;
	char *text = take_ptr(link->being_told);

	link->telling = NULL;
	link_set_text(&link->tell_problem, verdict->message ? strdup(verdict->message) : NULL);
	if (link_verdict_is_deleted(verdict)) {
		free(text);
		return link_deleted(link);
	}
	if (verdict->kind == LINK_ANSWER_LATER) {
		free(text);
		return again_later(link, verdict);
	}
	/* What is refused is not said again before it is something else. */
	if (verdict->kind == LINK_ANSWER_NO)
		log_warning("The coordinator does not take what this host says of itself: %s",
			    verdict->message);
	link->tell_failures = 0;
	link_told(link, text);
	link->hooks->changed(link->userdata);
	/* It may have changed meanwhile. */
	link_tell(link);
}

void link_tell(struct link *link)
{
	_cleanup_free_ char *text = NULL;
	json_auto_t *facts = NULL;
	size_t len;

	if (link->telling || link->machine.stream != LINK_STREAM_OPEN)
		return;
	facts = link_facts(link);
	text = facts ? json_compact(facts, &len) : NULL;
	if (!text || (link->told && strcmp(text, link->told) == 0))
		return;
	if (link_request(link,
			 (struct link_ask_config){ .path = "/v1/node",
						   .body = facts,
						   .timeout_usec = REQUEST_USEC,
						   .on_done = on_told },
			 &link->telling) < 0)
		return;
	link->being_told = take_ptr(text);
}

int link_on_tell_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct link *link = userdata;

	read_host(link);
	link_tell(link);
	link_arm(link->tell_timer, LOOK_AGAIN_USEC);
	return 0;
}

static void on_addresses(void *userdata)
{
	struct link *link = userdata;

	read_addresses(link);
	link_tell(link);
}

static int on_gateway_keys(sd_event_source *source, const struct inotify_event *event,
			   void *userdata)
{
	struct link *link = userdata;

	read_host(link);
	link_tell(link);
	return 0;
}

/* Without a gateway there is no such folder, and nothing to tell. */
static int watch_gateway(struct link *link)
{
	const char *path = link->config.places.gateway_keys;
	_cleanup_free_ char *folder = strndup(path, (size_t)(strrchr(path, '/') - path));
	int r;

	if (!folder)
		return -ENOMEM;
	r = sd_event_add_inotify(link->event, &link->gateway_keys, folder, IN_MOVED_TO,
				 on_gateway_keys, link);
	return r < 0 && r != -ENOENT ? r : 0;
}

int link_tell_open(struct link *link)
{
	int r;

	/* Before it is read: what comes in between is seen. */
	r = watch_gateway(link);
	if (r >= 0)
		r = link_host_read(&link->config.places, &link->host);
	if (r >= 0)
		r = link_addresses_watch(link->event, on_addresses, link, &link->addresses);
	if (r >= 0)
		r = link_add_timer(link, link_on_tell_timer, &link->tell_timer);
	if (r < 0)
		return r;
	read_addresses(link);
	link_arm(link->tell_timer, LOOK_AGAIN_USEC);
	return 0;
}

void link_tell_close(struct link *link)
{
	link->telling = link_ask_cancel(link->telling);
	link->addresses = link_addresses_free(link->addresses);
	sd_event_source_disable_unref(link->tell_timer);
	sd_event_source_disable_unref(link->gateway_keys);
	link_host_done(&link->host);
	free(link->told);
	free(link->being_told);
	free(link->tell_problem);
}
