/* The stream of maps: opened, resumed, watched for silence, and what it brings offered to the
 * agent. */
#include <errno.h>
#include <string.h>

#include "agent/link/link_internal.h"
#include "agent/netmap/delta.h"
#include "common/base64.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"

/* Two keepalives may be lost. */
#define SILENCE_USEC (75 * USEC_PER_SEC)
/* A line that takes longer goes on if so much of it comes in that time. */
#define SILENCE_BYTES (256u << 10)

static void set_problem(struct link *link, char *problem)
{
	link_set_text(&link->stream_problem, problem ? problem : strdup("no memory"));
}

int link_on_stream_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	link_event(userdata, LINK_STREAM_TIMER);
	return 0;
}

void link_close_stream(struct link *link)
{
	link->streaming = link_ask_cancel(link->streaming);
	link->stream = link_stream_free(link->stream);
	wg_key_wipe(&link->ephemeral);
	(void)sd_event_source_set_enabled(link->stream_timer, SD_EVENT_OFF);
	(void)sd_event_source_set_enabled(link->silence_timer, SD_EVENT_OFF);
	link->heard_usec = 0;
}

static void failed(struct link *link, struct link_input input)
{
	link_close_stream(link);
	input.event = LINK_STREAM_ENDED;
	link_step(link, input);
}

int link_on_silence(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct link *link = userdata;
	uint64_t received = link->streaming ? link_ask_received(link->streaming) : 0;

	if (received - link->received >= SILENCE_BYTES) {
		link->received = received;
		link_arm(link->silence_timer, SILENCE_USEC);
		return 0;
	}
	set_problem(link, strdup("nothing came from the coordinator for 75 s"));
	failed(link, (struct link_input){ 0 });
	return 0;
}

/* ---- what comes ---- */

static void heard(struct link *link)
{
	link->heard_usec = clock_usec(CLOCK_MONOTONIC);
	link->received = link_ask_received(link->streaming);
	link_arm(link->silence_timer, SILENCE_USEC);
}

static void on_hello(void *userdata)
{
	struct link *link = userdata;

	heard(link);
	link_set_text(&link->stream_problem, NULL);
	link_drop_spare_key(link);
	link_event(link, LINK_STREAM_HELLO);
	link_tell(link);
}

/* A map under another domain, or for another node, is not what this host was enrolled for. */
static int check_identity(const struct link *link, const struct netmap *map, char **reterr_text)
{
	const struct link_store *store = &link->store;

	if (strcmp(map->for_node, store->node_id) != 0)
		*reterr_text = text_printf("%s: for: \"%s\" is another node; this host is %s",
					   store->url, map->for_node, store->node_id);
	else if (strcmp(map->domain, store->domain) != 0)
		*reterr_text = text_printf("%s: mesh.domain: is %s; this host was enrolled in %s",
					   store->url, map->domain, store->domain);
	else
		return 0;
	return *reterr_text ? -EINVAL : -ENOMEM;
}

/*
 * The key that the map shows in force is the one to be used. Before the map is applied, so that
 * peers that know the new one already are answered with it.
 */
static void follow_key(struct link *link, const struct wg_key *key)
{
	const struct wg_key *next = state_next_public_key(link->state);
	int r;

	link_set_text(&link->key_problem, NULL);
	if (wg_key_is_zero(key) || wg_key_equal(key, state_public_key(link->state)))
		return;
	if (!next || !wg_key_equal(key, next)) {
		link->key_problem =
			strdup("the coordinator knows this host by a WireGuard key that "
			       "it does not have; 'agentctl login' gives it a new one");
		return;
	}
	r = state_use_next_key(link->state);
	if (r < 0) {
		log_error_errno(r, "Could not take the new node key into use");
		return;
	}
	log_notice("The new node key is in force");
	link->hooks->key_changed(link->userdata);
}

static int offer(struct link *link, struct netmap *map, char **reterr_text)
{
	bool expired = map->self.key_expired;
	int r;

	r = check_identity(link, map, reterr_text);
	if (r < 0) {
		netmap_free(map);
		link->hooks->refuse(link->userdata, strdup(*reterr_text));
		return r;
	}
	follow_key(link, &map->self.key);
	/* The coordinator does not date maps: what it sends is what holds now. */
	map->issued_at = clock_usec(CLOCK_REALTIME);
	r = link->hooks->offer(link->userdata, map, link->store.url);
	if (r < 0) {
		*reterr_text = strdup("the coordinator's map was refused; see the map problem");
		return r;
	}
	link_step(link, (struct link_input){ .event = LINK_STREAM_NEWS, .key_expired = expired });
	return 0;
}

/* The map in force, if the coordinator may go on from it. */
static const struct netmap *own_map(const struct link *link)
{
	const struct netmap *map = link->hooks->map(link->userdata, link->store.url);

	return map && strcmp(map->for_node, link->store.node_id) == 0 ? map : NULL;
}

static int take_map(struct link *link, enum link_object type, const json_t *object,
		    char **reterr_text)
{
	const struct netmap *base = own_map(link);
	struct netmap *map = NULL;
	char *error = NULL;
	int r = -ESTALE;

	if (type == LINK_OBJECT_FULL)
		r = netmap_from_json(object, link->store.url, &error, &map);
	else if (base)
		r = netmap_delta_from_json(base, object, link->store.url, &error, &map);
	if (r == 0)
		r = offer(link, map, reterr_text);
	else if (r == -ESTALE)
		*reterr_text =
			error ? take_ptr(error) : strdup("a change came of a map that is not here");
	else
		*reterr_text = error ? strdup(error) : NULL;
	/* What it is to be changed by is no good: it has to come whole. */
	if (r < 0)
		link->whole = true;
	if (r < 0 && error)
		link->hooks->refuse(link->userdata, error);
	return r;
}

static int take_end(struct link *link, const json_t *object, char **reterr_text)
{
	const char *reason = json_string_value(json_object_get(object, "reason"));

	if (reason && strcmp(reason, "deleted") == 0)
		link->end = LINK_END_DELETED;
	else if (reason && strcmp(reason, "replaced") == 0)
		link->end = LINK_END_REPLACED;
	if (link->end == LINK_END_REPLACED)
		*reterr_text = strdup("another agent connected with this host's keys; a copied "
				      "disk? (stop the agent there, remove machine.key and "
				      "link.json, start it)");
	else if (reason && strcmp(reason, "stopping") == 0)
		*reterr_text = strdup("the coordinator stops");
	else
		*reterr_text = strdup("the coordinator ended the stream");
	return -ECONNABORTED;
}

static int on_object(enum link_object type, const json_t *object, void *userdata,
		     char **reterr_text)
{
	struct link *link = userdata;
	int r;

	heard(link);
	switch (type) {
	case LINK_OBJECT_FULL:
	case LINK_OBJECT_DELTA:
		r = take_map(link, type, object, reterr_text);
		if (r == 0)
			link->hooks->confirm(link->userdata);
		return r;
	case LINK_OBJECT_KEEPALIVE:
		link->hooks->confirm(link->userdata);
		link_step(link, (struct link_input){ .event = LINK_STREAM_NEWS,
						     .key_expired = link->machine.key_expired });
		return 0;
	case LINK_OBJECT_END:
		return take_end(link, object, reterr_text);
	}
	return 0;
}

static int begin(struct link *link, uint64_t nonce)
{
	const struct link_stream_config config = {
		.coordinator = link->store.coordinator,
		.machine = *ed25519_key_public(link->machine_key),
		.nonce = nonce,
		.ephemeral = link->ephemeral,
		.node_id = link->store.node_id,
		.on_hello = on_hello,
		.on_object = on_object,
		.userdata = link,
	};
	int r = link_stream_new(&config, &link->stream);

	wg_key_wipe(&link->ephemeral);
	return r;
}

static int on_data(const char *data, size_t len, uint64_t nonce, void *userdata)
{
	struct link *link = userdata;
	char *problem = NULL;
	int r = 0;

	if (!link->stream)
		r = begin(link, nonce);
	if (r == 0)
		r = link_stream_take(link->stream, data, len, &problem);
	if (r < 0)
		set_problem(link, problem);
	return r;
}

/* ---- its end ---- */

/* A stream that had begun. */
static void stream_ended(struct link *link)
{
	struct link_input input = {
		.whole = link->whole,
		.slow = link->end == LINK_END_REPLACED,
	};

	if (link->end == LINK_END_DELETED) {
		link_close_stream(link);
		set_problem(link, strdup("the coordinator deleted this node"));
		log_notice("The coordinator deleted this node: leaving the mesh");
		return link_deleted(link);
	}
	if (!link->stream_problem)
		set_problem(link, strdup("the connection to the coordinator ended"));
	failed(link, input);
}

static void on_done(const struct link_verdict *verdict, void *userdata)
{
	struct link *link = userdata;

	link->streaming = NULL;
	if (!verdict)
		return stream_ended(link);
	set_problem(link, strdup(verdict->message ? verdict->message : "no stream came"));
	if (link_verdict_is_deleted(verdict)) {
		log_notice("The coordinator does not know this node any more: leaving the mesh");
		return link_deleted(link);
	}
	failed(link, (struct link_input){ .slow = verdict->kind == LINK_ANSWER_NO,
					  .retry_after_usec = verdict->retry_after_usec });
}

/* ---- its beginning ---- */

/* What there is to go on from; absent: nothing. */
static json_t *json_resume(const struct link *link)
{
	const struct netmap *map = own_map(link);

	if (!map || link->machine.whole)
		return NULL;
	return json_pack("{s:I, s:s*, s:s*, s:s*}", "generation", (json_int_t)map->generation,
			 "policy", map->tokens.policy, "filter", map->tokens.filter, "ssh",
			 map->tokens.ssh);
}

static int request(struct link *link)
{
	char ephemeral[BASE64URL_LEN(WG_KEY_LEN) + 1];
	json_auto_t *body = NULL;
	struct wg_key public;
	int r;

	r = wg_key_generate(&link->ephemeral);
	if (r == 0)
		r = wg_key_public(&link->ephemeral, &public);
	if (r < 0)
		return r;
	body = json_pack("{s:i, s:s, s:o*}", "version", 1, "ephemeral",
			 base64url_encode(public.bytes, WG_KEY_LEN, ephemeral), "resume",
			 json_resume(link));
	return link_request(
		link,
		(struct link_ask_config){
			.path = "/v1/map", .body = body, .on_data = on_data, .on_done = on_done },
		&link->streaming);
}

void link_open_stream(struct link *link)
{
	int r;

	link->end = LINK_END_OTHER;
	link->whole = false;
	link->received = 0;
	/* Before there is word from the coordinator. */
	if (!link->tried_kept && !link->hooks->map(link->userdata, link->store.url))
		(void)link->hooks->use_kept(link->userdata, link->store.url, link->store.node_id);
	link->tried_kept = true;
	r = request(link);
	if (r < 0) {
		set_problem(link, strdup(strerror(-r)));
		return failed(link, (struct link_input){ 0 });
	}
	link_arm(link->silence_timer, SILENCE_USEC);
}
