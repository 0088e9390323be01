/* Becoming a member, and getting new keys: the requests of the join track, and their answers. */
#include <errno.h>
#include <string.h>

#include "agent/link/backoff.h"
#include "agent/link/link_internal.h"
#include "agent/link/url.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/text.h"

#define REQUEST_USEC (30 * USEC_PER_SEC)
/* The coordinator holds it for up to 55 s. */
#define WAIT_USEC (75 * USEC_PER_SEC)
/* An answer that is here before that was not held. */
#define HELD_USEC (2 * USEC_PER_SEC)

int link_on_join_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	link_event(userdata, LINK_JOIN_TIMER);
	return 0;
}

void link_cancel_join(struct link *link)
{
	link->contact = fetch_cancel(link->contact);
	link->join = link_ask_cancel(link->join);
	(void)sd_event_source_set_enabled(link->join_timer, SD_EVENT_OFF);
	link_approval_done(&link->approval);
}

/* Takes over problem. */
static void fail(struct link *link, char *problem, uint64_t retry_after_usec)
{
	link_set_text(&link->join_problem, problem ? problem : strdup("no memory"));
	link_step(link, (struct link_input){ .event = LINK_JOIN_FAILED,
					     .retry_after_usec = retry_after_usec });
}

/* ---- the coordinator's key ---- */

static void take_contact(struct link *link, const struct fetch_answer *answer)
{
	_cleanup_(link_contact_done) struct link_contact contact = { 0 };
	char text[ED25519_TEXT_LEN];
	char *error = NULL;

	if (answer->status != 200)
		return fail(link, text_printf("status %u; is a coordinator there?", answer->status),
			    link_retry_after(answer->retry_after));
	if (link_contact_read(answer->body, answer->body_len, &contact, &error) < 0)
		return fail(link, error, 0);
	link->store.coordinator = contact.key;
	link->store.have_key = true;
	if (link_save(link) < 0) {
		link->store.have_key = false;
		return fail(link, strdup(LINK_STORE_FILE " cannot be written"), 0);
	}
	log_notice("Coordinator %s has the key %s, which counts from now on", link->store.url,
		   ed25519_public_to_string(ED25519_COORDINATOR, &contact.key, text));
	link_know_coordinator(link);
	link_set_text(&link->join_problem, NULL);
	link_event(link, LINK_CONTACTED);
}

static void on_contact(const struct fetch_answer *answer, const char *problem, void *userdata)
{
	struct link *link = userdata;

	link->contact = NULL;
	if (answer)
		take_contact(link, answer);
	else
		fail(link, text_sanitize(problem, 300), 0);
}

/*
 * Over TLS, or to this host itself: link_wish_apply() has seen to that. A URL that was taken over
 * another way must not be trusted more.
 */
static bool may_learn_key(const struct link *link)
{
	_cleanup_free_ char *error = NULL;
	struct link_url url;
	bool may;

	if (link_url_parse(link->store.url, &url, &error) < 0)
		return false;
	may = url.encrypted || url.loopback;
	link_url_done(&url);
	return may;
}

void link_do_contact(struct link *link)
{
	_cleanup_free_ char *url = text_printf("%s/v1/coordinator", link->store.url);
	const struct fetch_request config = {
		.url = url,
		.timeout_usec = REQUEST_USEC,
		.on_done = on_contact,
		.userdata = link,
	};

	if (!may_learn_key(link))
		return fail(link, strdup("the coordinator's key is not known"), 0);
	if (!url || fetch_start(link->http, &config, &link->contact) < 0)
		fail(link, strdup("no memory"), 0);
}

/* ---- answers to enrol, wait and rotate ---- */

static int remember_enrolment(struct link *link, struct link_enrolment *enrolment)
{
	struct link_store *store = &link->store;

	link_store_forget_node(store, false);
	store->node_id = take_ptr(enrolment->node_id);
	store->node_name = take_ptr(enrolment->name);
	store->domain = take_ptr(enrolment->domain);
	if (store->auth_key)
		explicit_bzero(store->auth_key, strlen(store->auth_key));
	free(store->auth_key);
	store->auth_key = NULL;
	return link_save(link);
}

/* A node that was deleted, and enrolled anew before it heard of that: its map was another's. */
static void leave_former(struct link *link, const char *node_id)
{
	if (!link->store.node_id || strcmp(link->store.node_id, node_id) == 0)
		return;
	log_notice("This host was %s before, which is gone", link->store.node_id);
	link->hooks->forget(link->userdata);
	link_leave(link);
}

static void take_enrolment(struct link *link, const json_t *body)
{
	_cleanup_(link_enrolment_done) struct link_enrolment enrolment = { 0 };
	char *error = NULL;

	if (link_enrolment_read(body, &enrolment, &error) < 0)
		return fail(link, error, 0);
	/* Names under another domain would be other hosts'. */
	if (link->store.domain && strcmp(link->store.domain, enrolment.domain) != 0)
		return fail(
			link,
			text_printf("the coordinator says %s where this host was enrolled in %s",
				    enrolment.domain, link->store.domain),
			0);
	log_notice("Enrolled as %s (%s) in %s", enrolment.name, enrolment.node_id,
		   enrolment.domain);
	leave_former(link, enrolment.node_id);
	if (remember_enrolment(link, &enrolment) < 0)
		return fail(link, strdup(LINK_STORE_FILE " cannot be written"), 0);
	link_approval_done(&link->approval);
	link_set_text(&link->join_problem, NULL);
	link_event(link, LINK_ENROLLED);
	link_tell(link);
}

static void take_approval(struct link *link, const json_t *body)
{
	bool held = clock_usec(CLOCK_MONOTONIC) - link->waited_usec >= HELD_USEC;
	bool waited = link->machine.join == LINK_JOIN_PENDING;
	struct link_approval approval = { 0 };
	char *error = NULL;

	if (link_approval_read(body, &approval, &error) < 0)
		return fail(link, error, 0);
	link_approval_done(&link->approval);
	link->approval = approval;
	link_set_text(&link->join_problem, NULL);
	link_step(link, (struct link_input){ .event = LINK_PENDING, .slow = waited && !held });
}

static void refused(struct link *link, const struct link_verdict *verdict)
{
	struct link_store *store = &link->store;

	link_approval_done(&link->approval);
	link_set_text(&link->join_problem,
		      text_printf("%s%s%s", verdict->message, verdict->code[0] ? " — " : "",
				  verdict->code));
	/* It is of no use any more. */
	if (store->auth_key) {
		explicit_bzero(store->auth_key, strlen(store->auth_key));
		free(store->auth_key);
		store->auth_key = NULL;
		(void)link_save(link);
	}
	link_event(link, LINK_REFUSED);
}

/* Another node has our key, as with a cloned disk: it is made anew, and asked for again. */
static bool renewed_used_key(struct link *link, const struct link_verdict *verdict)
{
	if (strcmp(verdict->code, "node-key-in-use") != 0 || link_store_is_member(&link->store) ||
	    state_renew_key(link->state) < 0)
		return false;
	log_warning("Another node has this host's WireGuard key (a copied disk?): made a new one");
	link->hooks->key_changed(link->userdata);
	return true;
}

static void take_no(struct link *link, const struct link_verdict *verdict)
{
	bool waiting = link->machine.join == LINK_JOIN_PENDING;
	bool rotating = link->machine.join == LINK_JOIN_ROTATING;

	if (waiting && strcmp(verdict->code, "not-found") == 0) {
		link_approval_done(&link->approval);
		link_set_text(&link->join_problem, strdup("nobody approved in time; asking anew"));
		return link_event(link, LINK_LAPSED);
	}
	if (rotating && strcmp(verdict->code, "key-expired") == 0)
		return link_event(link, LINK_KEY_EXPIRED);
	if (rotating && link_verdict_is_deleted(verdict))
		return link_deleted(link);
	if (renewed_used_key(link, verdict))
		return fail(link, strdup(verdict->message), 0);
	refused(link, verdict);
}

static void on_answer(const struct link_verdict *verdict, void *userdata)
{
	struct link *link = userdata;

	link->join = NULL;
	switch (verdict->kind) {
	case LINK_ANSWER_GOOD:
		if (verdict->status == 202)
			take_approval(link, verdict->body);
		else
			take_enrolment(link, verdict->body);
		break;
	case LINK_ANSWER_NO:
		take_no(link, verdict);
		break;
	case LINK_ANSWER_AGAIN:
	case LINK_ANSWER_LATER:
		fail(link, verdict->message ? strdup(verdict->message) : NULL,
		     verdict->retry_after_usec);
		break;
	}
}

/* ---- requests ---- */

static void ask(struct link *link, const char *path, json_t *body, uint64_t timeout_usec)
{
	int r;

	r = link_request(link,
			 (struct link_ask_config){ .path = path,
						   .body = body,
						   .timeout_usec = timeout_usec,
						   .on_done = on_answer },
			 &link->join);
	if (r < 0)
		fail(link, strdup(strerror(-r)), 0);
}

/*
 * A member whose key is to be another one sends the next key, which is made if there is none; it is
 * used when the map says that it is in force. Who is no member has nothing to lose.
 */
static int key_to_send(struct link *link, char *text)
{
	const struct wg_key *key = state_public_key(link->state);
	int r;

	if (link_store_is_member(&link->store)) {
		r = state_make_next_key(link->state);
		if (r < 0)
			return r;
		key = state_next_public_key(link->state);
	}
	wg_key_to_string(key, text);
	return 0;
}

static json_t *json_tags(const struct link_store *store)
{
	json_auto_t *tags = json_array();

	for (size_t i = 0; i < store->n_tags; i++)
		if (json_array_append_new(tags, json_string(store->tags[i])) < 0)
			return NULL;
	return take_ptr(tags);
}

static json_t *enrol_body(struct link *link, const char *key)
{
	json_auto_t *body = link_facts(link);
	json_auto_t *more =
		json_pack("{s:i, s:s, s:o, s:s*}", "version", 1, "node_key", key, "tags",
			  json_tags(&link->store), "auth_key", link->store.auth_key);

	return body && more && json_object_update(body, more) == 0 ? take_ptr(body) : NULL;
}

void link_do_enrol(struct link *link)
{
	json_auto_t *body = NULL;
	char key[WG_KEY_B64LEN];
	int r = key_to_send(link, key);

	if (r < 0)
		return fail(link, text_printf("no new node key: %s", strerror(-r)), 0);
	link_approval_done(&link->approval);
	body = enrol_body(link, key);
	ask(link, "/v1/enrol", body, REQUEST_USEC);
}

void link_do_rotate(struct link *link)
{
	json_auto_t *body = NULL;
	char key[WG_KEY_B64LEN];
	int r = key_to_send(link, key);

	if (r < 0)
		return fail(link, text_printf("no new node key: %s", strerror(-r)), 0);
	body = json_pack("{s:s}", "node_key", key);
	ask(link, "/v1/rotate", body, REQUEST_USEC);
}

void link_do_wait(struct link *link)
{
	json_auto_t *body = json_pack("{s:s}", "id", link->approval.id);

	link->waited_usec = clock_usec(CLOCK_MONOTONIC);
	ask(link, "/v1/enrol/wait", body, WAIT_USEC);
}
