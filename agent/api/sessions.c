/* ListSessions, KillSession and Subscribe: who is logged in, as the leases tell. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/api/internal.h"
#include "agent/api/ssh.h"
#include "agent/ssh/policy.h"
#include "common/log.h"
#include "common/text.h"

#define MESSAGE_MAX 200u /* bytes that an operator may say */
/* Who looks on costs work with every login, and is not to hold up those who log in. */
#define MAX_SUBSCRIBERS	       64u
#define MAX_SUBSCRIBERS_OTHERS 32u /* that are not root's */
#define MAX_BACKLOG	       (256u << 10)

static const char text_operator[] = "ended by an operator";

/* The rule that carries the session now, which is not always the one that let it in. */
static const char *rule_of(const struct api_view *view, const struct lease_terms *terms)
{
	struct ssh_decision d;

	if (!view->map)
		return NULL;
	ssh_policy_decide(view->map, &terms->address, terms->ssh_user, view->now_usec, &d);
	return d.rule ? d.rule->origin : NULL;
}

static json_t *json_address(const struct ip_addr *addr)
{
	char text[IP_ADDR_STRLEN];

	return addr->family == AF_UNSPEC ? NULL : json_string(ip_addr_to_string(addr, text));
}

static json_t *json_session(const struct api_view *view, const struct lease *lease)
{
	const struct lease_terms *terms = lease_terms_get(lease);
	json_t *since = terms->since_usec ? json_integer((json_int_t)terms->since_usec) : NULL;

	return json_pack("{s:s, s:s*, s:s, s:s*, s:s*, s:o, s:o*, s:s, s:s, s:o*, s:o*, s:s*, s:I}",
			 "leaseId", lease_id(lease), "connection", terms->connection, "nodeId",
			 terms->node_id, "nodeName", terms->node_name, "user", terms->user,
			 "address", json_address(&terms->address), "localAddress",
			 json_address(&terms->local_address), "sshUser", terms->ssh_user,
			 "localUser", terms->local_user, "since", since, "validUntil",
			 api_json_end(lease_valid_until(lease)), "rule", rule_of(view, terms),
			 "monitor", (json_int_t)terms->monitor);
}

/* ---- ListSessions ---- */

/* What one session costs: the rules are looked through for it. */
static size_t session_items(const struct api_view *view)
{
	return 8 + (view->map ? view->map->n_ssh_rules : 0);
}

int api_list_sessions(struct varlink_call *call, const json_t *params, void *userdata)
{
	json_auto_t *sessions = json_array();
	const struct lease *lease = NULL;
	size_t first, i = 0, n_items = 0;
	struct api *api = userdata;
	struct api_view view;
	int r;

	r = api_read_first(call, params, &first);
	if (r != 0)
		return r < 0 ? r : 0;
	api_view(api, &view);
	while (n_items < API_PAGE_ITEMS && (lease = lease_table_next(api->leases, lease))) {
		if (i++ < first)
			continue;
		n_items += session_items(&view);
		if (json_array_append_new(sessions, json_session(&view, lease)) < 0)
			return -ENOMEM;
	}
	return api_reply_page(call, json_pack("{s:o}", "sessions", take_ptr(sessions)), i,
			      lease_table_count(api->leases));
}

/* ---- KillSession ---- */

struct kill_request {
	char *lease_id, *message;
};

static void kill_request_done(struct kill_request *req)
{
	free(req->lease_id);
	free(req->message);
}

bool api_caller_is_operator(struct varlink_call *call)
{
	return varlink_call_creds(call)->uid == 0 || varlink_call_in_group(call, getegid());
}

/* "ended by an operator: MESSAGE". NULL: no memory. */
static char *kill_text(const char *message)
{
	_cleanup_free_ char *clean = text_sanitize(message ? message : "", MESSAGE_MAX);

	if (!clean)
		return NULL;
	return text_printf("%s%s%s", text_operator, clean[0] ? ": " : "", clean);
}

static void log_kill(struct varlink_call *call, const struct lease *lease, const char *text)
{
	const struct ucred *creds = varlink_call_creds(call);
	const struct lease_terms *terms = lease_terms_get(lease);

	api_ssh_log(LOG_NOTICE, terms, lease_id(lease), NULL, 0,
		    "User %u (process %d) ends the SSH connection of %s as %s: %s",
		    (unsigned)creds->uid, (int)creds->pid, terms->node_id, terms->local_user, text);
}

static int kill_session(struct api *api, struct varlink_call *call, const struct kill_request *req)
{
	const struct lease *lease = lease_table_find(api->leases, req->lease_id);
	_cleanup_free_ char *text = kill_text(req->message);
	json_auto_t *session = NULL;
	struct api_view view;

	if (!lease)
		return varlink_call_error(call, "io.peergate.Agent.NoSuchSession",
					  json_pack("{s:s}", "leaseId", req->lease_id));
	api_view(api, &view);
	session = json_session(&view, lease);
	if (!text || !session)
		return -ENOMEM;
	log_kill(call, lease, text);
	(void)lease_table_end(api->leases, req->lease_id, LEASE_END_OPERATOR, text);
	return api_reply(call, json_pack("{s:O}", "session", session));
}

int api_kill_session(struct varlink_call *call, const json_t *params, void *userdata)
{
	static const struct json_field fields[] = {
		{ "leaseId", api_read_short_text, offsetof(struct kill_request, lease_id),
		  JSON_REQUIRED },
		{ "message", api_read_short_text, offsetof(struct kill_request, message),
		  JSON_NULLABLE },
	};
	_cleanup_(kill_request_done) struct kill_request req = { 0 };
	int r;

	if (!api_caller_is_operator(call))
		return varlink_call_error(call, "org.varlink.service.PermissionDenied", NULL);
	r = api_read_params(call, params, fields, ARRAY_SIZE(fields), &req);
	if (r != 0)
		return r < 0 ? r : 0;
	return kill_session(userdata, call, &req);
}

/* ---- Subscribe ---- */

struct subscriber {
	struct subscriber *next, **at;
	struct varlink_call *call;
	bool link; /* also of the coordinator's link */
};

static struct subscriber *subscriber_free(struct subscriber *sub)
{
	*sub->at = sub->next;
	if (sub->next)
		sub->next->at = sub->at;
	varlink_call_unref(sub->call);
	free(sub);
	return NULL;
}

static void on_subscriber_gone(struct varlink_call *call, void *userdata)
{
	subscriber_free(userdata);
}

static json_t *json_event(const struct api_view *view, const char *event, json_t *session,
			  const char *reason, const char *message)
{
	return json_pack("{s:s, s:I, s:o*, s:s*, s:s*}", "event", event, "time",
			 (json_int_t)view->now_usec, "session", session, "reason", reason,
			 "message", message);
}

/* Who does not keep up is told so and let go: nothing is left out in silence. */
static void drop_subscriber(struct subscriber *sub)
{
	const struct ucred *creds = varlink_call_creds(sub->call);

	log_notice("Process %d of user %u is too slow for the events it subscribed to; let it go",
		   (int)creds->pid, (unsigned)creds->uid);
	(void)varlink_call_error(sub->call, "io.peergate.Agent.TooSlow", NULL);
	subscriber_free(sub);
}

/* said: NULL: there is no memory for it. */
static void tell_subscriber(struct subscriber *sub, json_t *said)
{
	if (!said || varlink_call_backlog(sub->call) > MAX_BACKLOG)
		drop_subscriber(sub);
	else
		(void)varlink_call_notify(sub->call, json_incref(said));
}

static void publish(struct api *api, const struct lease *lease, const char *event,
		    const char *reason, const char *message)
{
	json_auto_t *said = NULL;
	struct subscriber *next;
	struct api_view view;

	if (!api->subscribers)
		return;
	api_view(api, &view);
	said = json_event(&view, event, json_session(&view, lease), reason, message);
	for (struct subscriber *sub = api->subscribers; sub; sub = next) {
		next = sub->next;
		tell_subscriber(sub, said);
	}
}

void api_publish_link(struct api *api, const struct link *link)
{
	json_auto_t *now = NULL, *said = NULL;
	struct subscriber *next;
	struct api_view view;

	if (!api->subscribers)
		return;
	now = api_json_link(link);
	if (now && api->link_said && json_equal(now, api->link_said))
		return;
	api_view(api, &view);
	said = now ? json_pack("{s:s, s:I, s:O}", "event", "link", "time",
			       (json_int_t)view.now_usec, "link", now)
		   : NULL;
	for (struct subscriber *sub = api->subscribers; sub; sub = next) {
		next = sub->next;
		if (sub->link)
			tell_subscriber(sub, said);
	}
	json_decref(api->link_said);
	api->link_said = take_ptr(now);
}

static void on_began(const struct lease *lease, bool resumed, void *userdata)
{
	publish(userdata, lease, resumed ? "resumed" : "began", NULL, NULL);
}

static void on_revoked(const struct lease *lease, enum lease_end end, const char *message,
		       void *userdata)
{
	publish(userdata, lease, "revoked", lease_end_to_string(end), message);
}

static void on_ended(const struct lease *lease, void *userdata)
{
	publish(userdata, lease, "ended", NULL, NULL);
}

const struct lease_observer api_session_observer = {
	.began = on_began,
	.revoked = on_revoked,
	.ended = on_ended,
};

static bool has_place(const struct api *api, uid_t uid)
{
	size_t n = 0, n_others = 0;

	for (const struct subscriber *sub = api->subscribers; sub; sub = sub->next) {
		n++;
		n_others += varlink_call_creds(sub->call)->uid != 0;
	}
	return n < MAX_SUBSCRIBERS && (uid == 0 || n_others < MAX_SUBSCRIBERS_OTHERS);
}

int api_subscribe(struct varlink_call *call, const json_t *params, void *userdata)
{
	static const struct json_field fields[] = { { "link", json_read_bool, 0, JSON_NULLABLE } };
	struct api *api = userdata;
	struct subscriber *sub;
	struct api_view view;
	bool link = false;
	json_t *ready;
	int r;

	r = api_read_params(call, params, fields, ARRAY_SIZE(fields), &link);
	if (r != 0)
		return r < 0 ? r : 0;
	if (!has_place(api, varlink_call_creds(call)->uid))
		return varlink_call_error(call, "io.peergate.Agent.TooManySubscribers", NULL);
	api_view(api, &view);
	ready = json_event(&view, "ready", NULL, NULL, NULL);
	sub = calloc(1, sizeof(*sub));
	if (!ready || !sub) {
		json_decref(ready);
		free(sub);
		return -ENOMEM;
	}
	*sub = (struct subscriber){
		.next = api->subscribers,
		.at = &api->subscribers,
		.call = varlink_call_ref(call),
		.link = link,
	};
	if (sub->next)
		sub->next->at = &sub->next;
	api->subscribers = sub;
	varlink_call_on_disconnect(call, on_subscriber_gone, sub);
	(void)varlink_call_notify(call, ready);
	return 0;
}
