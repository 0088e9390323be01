#include "agent/link/link.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "agent/link/link_internal.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/text.h"
#include "peergate-config.h"

#define LOGOUT_USEC (15 * USEC_PER_SEC)

void link_set_text(char **text, char *with)
{
	free(*text);
	*text = with;
}

int link_save(struct link *link)
{
	int r = link_store_save(link->config.dirfd, &link->store);

	if (r < 0)
		log_error_errno(r, "Could not write " LINK_STORE_FILE);
	return r;
}

void link_know_coordinator(struct link *link)
{
	struct link_signer *signer = &link->signer;
	uint64_t nonce = signer->nonce;

	if (!link->store.have_key ||
	    (signer->machine &&
	     ed25519_public_equal(&signer->audience.key, &link->store.coordinator)))
		return;
	link_signer_init(signer, link->machine_key, &link->store.coordinator);
	/* The machine key is the same. */
	signer->nonce = nonce;
}

int link_request_for(struct link *link, struct link_ask_config config, struct link_ask **ret_ask)
{
	config.http = link->http;
	config.signer = &link->signer;
	config.url = link->store.url;
	return config.body ? link_ask(&config, ret_ask) : -ENOMEM;
}

int link_request(struct link *link, struct link_ask_config config, struct link_ask **ret_ask)
{
	config.userdata = link;
	return link_request_for(link, config, ret_ask);
}

/* ---- timers ---- */

int link_add_timer(struct link *link, sd_event_time_handler_t fn, sd_event_source **ret_timer)
{
	int r = sd_event_add_time(link->event, ret_timer, CLOCK_MONOTONIC, 0, 0, fn, link);

	return r < 0 ? r : sd_event_source_set_enabled(*ret_timer, SD_EVENT_OFF);
}

void link_arm(sd_event_source *timer, uint64_t usec)
{
	int r = sd_event_source_set_time_relative(timer, usec);

	if (r >= 0)
		r = sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
	if (r < 0)
		log_error_errno(r, "Could not set a timer of the coordinator's link");
}

/* ---- steps ---- */

/* The node is none of the coordinator's any more; its key is not to be used for another one. */
static void forget(struct link *link)
{
	int r;

	link_store_forget_node(&link->store, link->machine.deleted);
	link->store.up = false;
	link_set_text(&link->told, NULL);
	link_set_text(&link->key_problem, NULL);
	(void)link_save(link);
	link->hooks->forget(link->userdata);
	r = state_renew_key(link->state);
	if (r < 0)
		log_error_errno(r, "Could not make a new node key");
	else
		link->hooks->key_changed(link->userdata);
}

void link_leave(struct link *link)
{
	link->tried_kept = false;
	link_set_text(&link->stream_problem, NULL);
	link_set_text(&link->join_problem, NULL);
	link->hooks->leave(link->userdata);
}

static void act(struct link *link, const struct link_output *out)
{
	if (out->actions & LINK_CANCEL_JOIN)
		link_cancel_join(link);
	if (out->actions & LINK_CLOSE_STREAM)
		link_close_stream(link);
	if (out->actions & LINK_FORGET)
		forget(link);
	if (out->actions & LINK_LEAVE)
		link_leave(link);
	if (out->actions & LINK_PAUSE_JOIN)
		link_arm(link->join_timer, out->pause_usec);
	if (out->actions & LINK_PAUSE_STREAM)
		link_arm(link->stream_timer, out->pause_usec);
	/* Each of these may fail at once, which is another step. */
	if (out->actions & LINK_OPEN_STREAM)
		link_open_stream(link);
	if (out->actions & LINK_CONTACT)
		link_do_contact(link);
	if (out->actions & LINK_ENROL)
		link_do_enrol(link);
	if (out->actions & LINK_ASK_ROTATE)
		link_do_rotate(link);
	if (out->actions & LINK_WAIT)
		link_do_wait(link);
}

/* States that are passed through on the way to another one. */
static bool is_passing(const char *state)
{
	static const char *const passing[] = { "contacting", "enrolling", "connecting" };

	for (size_t i = 0; i < ARRAY_SIZE(passing); i++)
		if (strcmp(passing[i], state) == 0)
			return true;
	return false;
}

/* A coordinator that is away for days is told of once, and when something else goes wrong. */
static void log_failure(struct link *link, const char *state)
{
	const char *problem = link->stream_problem ? link->stream_problem : link->join_problem;

	if (!problem || (link->logged_problem && strcmp(link->logged_problem, problem) == 0))
		return;
	log_warning("Coordinator %s: %s: %s", link->store.url, state, problem);
	link_set_text(&link->logged_problem, strdup(problem));
}

static void log_step(const char *before, struct link *link)
{
	const char *now = link_machine_state(&link->machine);
	const char *url = link->store.url ? link->store.url : "none";

	if (strcmp(before, now) == 0)
		return;
	if (strcmp(now, "backoff") == 0 || strcmp(now, "refused") == 0)
		return log_failure(link, now);
	if (is_passing(now)) {
		log_debug("Coordinator %s: %s", url, now);
		return;
	}
	log_notice("Coordinator %s: %s", url, now);
	if (strcmp(now, "connected") == 0)
		link_set_text(&link->logged_problem, NULL);
}

void link_step(struct link *link, struct link_input input)
{
	const char *before = link_machine_state(&link->machine);
	struct link_output out;

	if (getrandom(&input.random, sizeof(input.random), 0) != sizeof(input.random))
		input.random = clock_usec(CLOCK_MONOTONIC);
	link_machine_step(&link->machine, &input, &out);
	log_step(before, link);
	act(link, &out);
	link->hooks->changed(link->userdata);
}

void link_event(struct link *link, enum link_event event)
{
	link_step(link, (struct link_input){ .event = event, .have_key = link->store.have_key });
}

/* ---- a node that may be gone ---- */

void link_drop_spare_key(struct link *link)
{
	if (link->spare_key)
		explicit_bzero(link->spare_key, strlen(link->spare_key));
	link_set_text(&link->spare_key, NULL);
}

void link_deleted(struct link *link)
{
	char *auth_key = take_ptr(link->spare_key);

	link_event(link, LINK_DELETED);
	if (!auth_key)
		return;
	log_notice("Enrolling anew, with the auth key of the last 'agentctl up'");
	free(link->store.auth_key);
	link->store.auth_key = auth_key;
	link->store.up = true;
	(void)link_save(link);
	link_event(link, LINK_LOGIN);
}

/*
 * A member has no use for an auth key, but whether the coordinator knows it still is not known
 * before it is heard: until then the key is kept, in memory alone.
 */
static int keep_spare_key(struct link *link, const struct link_wish *wish)
{
	if (!wish->auth_key || link->store.auth_key || !link_store_is_member(&link->store) ||
	    link->machine.stream == LINK_STREAM_OPEN)
		return 0;
	link_drop_spare_key(link);
	link->spare_key = strdup(wish->auth_key);
	return link->spare_key ? 0 : -ENOMEM;
}

/* ---- put together and taken apart ---- */

static int copy_text(const char **text)
{
	if (!*text)
		return 0;
	*text = strdup(*text);
	return *text ? 0 : -ENOMEM;
}

static int copy_config(struct link *link, const struct link_config *config)
{
	struct ip_endpoint *endpoints = calloc(config->n_endpoints + 1, sizeof(*endpoints));
	const char *texts[] = {
		config->default_url, config->ca_file,	 config->proxy,
		config->ifname,	     config->places.etc, config->places.gateway_keys
	};
	int r = endpoints ? 0 : -ENOMEM;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (copy_text(&texts[i]) < 0)
			r = -ENOMEM;
	link->config = (struct link_config){
		.dirfd = config->dirfd,
		.default_url = texts[0],
		.plain_http = config->plain_http,
		.ca_file = texts[1],
		.proxy = texts[2],
		.ifname = texts[3],
		.listen_port = config->listen_port,
		.endpoints = endpoints,
		.places = { .etc = texts[4], .gateway_keys = texts[5] },
	};
	if (r == 0 && config->n_endpoints > 0) {
		memcpy(endpoints, config->endpoints, config->n_endpoints * sizeof(*endpoints));
		link->config.n_endpoints = config->n_endpoints;
	}
	return r;
}

static void config_done(struct link_config *config)
{
	free((char *)config->default_url);
	free((char *)config->ca_file);
	free((char *)config->proxy);
	free((char *)config->ifname);
	free((char *)config->places.etc);
	free((char *)config->places.gateway_keys);
	free((struct ip_endpoint *)config->endpoints);
}

static int open_remembered(struct link *link, char **reterr_text)
{
	int r;

	r = link_store_load(link->config.dirfd, &link->store, reterr_text);
	if (r < 0)
		return r;
	r = ed25519_key_load_or_create(link->config.dirfd, LINK_MACHINE_KEY, &link->machine_key,
				       reterr_text);
	if (r < 0)
		return r;
	link_machine_init(&link->machine, link_store_is_member(&link->store), link->store.deleted);
	link_know_coordinator(link);
	return 0;
}

static int open_sources(struct link *link)
{
	const struct fetch_config http = { .user_agent = "peergate-agent/" PEERGATE_VERSION,
					   .ca_file = link->config.ca_file,
					   .proxy = link->config.proxy };
	int r;

	r = fetch_new(link->event, &http, &link->http);
	if (r >= 0)
		r = link_add_timer(link, link_on_join_timer, &link->join_timer);
	if (r >= 0)
		r = link_add_timer(link, link_on_stream_timer, &link->stream_timer);
	if (r >= 0)
		r = link_add_timer(link, link_on_silence, &link->silence_timer);
	return r < 0 ? r : link_tell_open(link);
}

int link_new(sd_event *event, const struct link_config *config, struct state *state,
	     const struct link_hooks *hooks, void *userdata, char **reterr_text,
	     struct link **ret_link)
{
	_cleanup_(link_freep) struct link *link = calloc(1, sizeof(*link));
	int r;

	if (!link)
		return -ENOMEM;
	link->event = sd_event_ref(event);
	link->hooks = hooks;
	link->userdata = userdata;
	link->state = state;
	r = copy_config(link, config);
	if (r == 0)
		r = open_remembered(link, reterr_text);
	if (r == 0)
		r = open_sources(link);
	if (r < 0)
		return r;
	*ret_link = take_ptr(link);
	return 0;
}

struct link *link_free(struct link *link)
{
	if (!link)
		return NULL;
	if (link->http) {
		link_cancel_join(link);
		link_close_stream(link);
	}
	link_checks_close(link);
	link_tell_close(link);
	link_ask_cancel(link->logout);
	fetch_free(link->http);
	sd_event_source_disable_unref(link->join_timer);
	sd_event_source_disable_unref(link->stream_timer);
	sd_event_source_disable_unref(link->silence_timer);
	ed25519_key_free(link->machine_key);
	link_store_done(&link->store);
	config_done(&link->config);
	free(link->join_problem);
	free(link->stream_problem);
	free(link->key_problem);
	free(link->logged_problem);
	link_drop_spare_key(link);
	sd_event_unref(link->event);
	free(link);
	return NULL;
}

void link_start(struct link *link)
{
	if (link->store.up)
		link_event(link, LINK_UP);
}

/* ---- what operators ask for ---- */

static struct link_terms terms_of(const struct link *link)
{
	return (struct link_terms){
		.default_url = link->config.default_url,
		.plain_http = link->config.plain_http,
		.key_expired = link->machine.key_expired || link->machine.deleted,
	};
}

int link_check_wish(const struct link *link, const struct link_wish *wish, char **reterr_text)
{
	_cleanup_(link_store_done) struct link_store store = { 0 };
	const struct link_terms terms = terms_of(link);

	return link_wish_apply(wish, &terms, &link->store, &store, reterr_text);
}

/* It is remembered before anything is done. */
static int take_wish(struct link *link, const struct link_wish *wish, bool up, char **reterr_text)
{
	_cleanup_(link_store_done) struct link_store store = { 0 };
	const struct link_terms terms = terms_of(link);
	int r, saved;

	r = link_wish_apply(wish, &terms, &link->store, &store, reterr_text);
	if (r < 0)
		return r;
	store.up |= up;
	saved = link_store_save(link->config.dirfd, &store);
	if (saved < 0) {
		*reterr_text =
			text_printf("%s cannot be written: %s", LINK_STORE_FILE, strerror(-saved));
		return saved;
	}
	link_store_done(&link->store);
	link->store = store;
	store = (struct link_store){ 0 };
	link_know_coordinator(link);
	link_tell(link);
	return r;
}

int link_up(struct link *link, const struct link_wish *wish, char **reterr_text)
{
	int r = take_wish(link, wish, true, reterr_text);

	if (r < 0)
		return r;
	if (keep_spare_key(link, wish) < 0)
		return -ENOMEM;
	link_set_text(&link->join_problem, NULL);
	/* What waits without the key, or with another one, goes on with it. */
	link_event(link, link->store.auth_key ? LINK_LOGIN : LINK_UP);
	return r;
}

int link_login(struct link *link, const struct link_wish *wish, char **reterr_text)
{
	struct link_store *store = &link->store;
	bool rotate;
	int r;

	r = take_wish(link, wish, true, reterr_text);
	if (r < 0)
		return r;
	/* Of a member with a good key take_wish() has looked at the key, and left it. */
	if (wish->auth_key && !store->auth_key && !(store->auth_key = strdup(wish->auth_key)))
		return -ENOMEM;
	if (store->auth_key && link_save(link) < 0)
		return -EIO;
	link_set_text(&link->join_problem, NULL);
	rotate = link_store_is_member(store) && !link->machine.key_expired && !store->auth_key;
	if (rotate)
		link_event(link, LINK_UP);
	link_event(link, rotate ? LINK_ROTATE : LINK_LOGIN);
	return r;
}

int link_set(struct link *link, const struct link_wish *wish, char **reterr_text)
{
	int r = take_wish(link, wish, false, reterr_text);

	if (r >= 0)
		link->hooks->changed(link->userdata);
	return r;
}

int link_down(struct link *link)
{
	int r;

	link->store.up = false;
	link_drop_spare_key(link);
	r = link_save(link);
	link_event(link, LINK_DOWN);
	return r;
}

static void logged_out(struct link *link)
{
	link_drop_spare_key(link);
	link_event(link, LINK_LOGGED_OUT);
	/* The next one may be another coordinator. */
	link->store.have_key = false;
	(void)link_save(link);
}

static void on_logged_out(const struct link_verdict *verdict, void *userdata)
{
	struct link *link = userdata;
	void (*fn)(const char *problem, void *fn_userdata) = link->logout_fn;
	/* Who is not known there is logged out as well. */
	bool done = verdict->kind == LINK_ANSWER_GOOD || link_verdict_is_deleted(verdict);

	link->logout = NULL;
	link->logout_fn = NULL;
	if (done)
		logged_out(link);
	if (fn)
		fn(done ? NULL : verdict->message, link->logout_userdata);
}

int link_logout(struct link *link, void (*fn)(const char *problem, void *userdata), void *userdata)
{
	json_auto_t *body = json_object();
	int r;

	if (!link_store_is_member(&link->store)) {
		if (!link->store.have_key)
			return -ENOENT;
		logged_out(link);
		return LINK_LOGOUT_DONE;
	}
	if (link->logout)
		return -EALREADY;
	r = link_request(link,
			 (struct link_ask_config){ .path = "/v1/logout",
						   .body = body,
						   .timeout_usec = LOGOUT_USEC,
						   .on_done = on_logged_out },
			 &link->logout);
	if (r < 0)
		return r;
	link->logout_fn = fn;
	link->logout_userdata = userdata;
	return 0;
}

void link_logout_forget(struct link *link)
{
	link->logout_fn = NULL;
}

/* ---- to see ---- */

static const char *problem_of(const struct link *link)
{
	if (link->key_problem)
		return link->key_problem;
	if (link->join_problem)
		return link->join_problem;
	return link->stream_problem ? link->stream_problem : link->tell_problem;
}

void link_view(const struct link *link, struct link_view *ret_view)
{
	const struct link_store *store = &link->store;
	const struct netmap *map = store->url ? link->hooks->map(link->userdata, store->url) : NULL;

	*ret_view = (struct link_view){
		.state = link_machine_state(&link->machine),
		.join = link_join_to_string(link->machine.join),
		.url = store->url,
		.coordinator = store->have_key ? &store->coordinator : NULL,
		.node_id = store->node_id,
		.node_name = store->node_name,
		.domain = store->domain,
		.wanted = store->up,
		.ssh = store->ssh,
		.renewing = state_next_public_key(link->state) != NULL,
		.hostname = store->hostname,
		.login_url = link->approval.url,
		.code = link->approval.code,
		.approve = link->approval.approve,
		.approve_until_usec = link->approval.until,
		.problem = problem_of(link),
		.clock_ahead_sec = link->signer.ahead_sec,
		.heard_usec = link->heard_usec,
	};
	if (!ret_view->login_url && map && link->machine.key_expired)
		ret_view->login_url = map->self.login_url;
}
