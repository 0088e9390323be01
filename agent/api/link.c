/* Up, Down, Login, Logout and Set, and what Status says of the coordinator. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "agent/api/internal.h"
#include "agent/api/warnings.h"
#include "agent/link/link.h"
#include "common/clock.h"
#include "common/log.h"

/* Calls that wait for something to come of it. */
#define MAX_WAITERS 16u
/* A clock that is further off makes certificates and expiries go wrong. */
#define SKEW_SEC 60

/* ---- what there is to say ---- */

static json_t *json_time(uint64_t usec)
{
	return usec == UINT64_MAX || usec == 0 ? NULL : json_integer((json_int_t)usec);
}

json_t *api_json_link(const struct link *link)
{
	char key[ED25519_TEXT_LEN];
	struct link_view view;

	link_view(link, &view);
	if (view.coordinator)
		ed25519_public_to_string(ED25519_COORDINATOR, view.coordinator, key);
	return json_pack("{s:s, s:s, s:s*, s:s*, s:s*, s:s*, s:s*, s:b, s:b, s:s*, s:b, s:s*, "
			 "s:s*, s:s*, s:o*, s:s*, s:I}",
			 "state", view.state, "join", view.join, "coordinator", view.url,
			 "coordinatorKey", view.coordinator ? key : NULL, "nodeId", view.node_id,
			 "nodeName", view.node_name, "domain", view.domain, "wanted", view.wanted,
			 "ssh", view.ssh, "hostname", view.hostname, "renewing", view.renewing,
			 "loginUrl", view.login_url, "code", view.code, "approve", view.approve,
			 "approveUntil", view.code ? json_time(view.approve_until_usec) : NULL,
			 "problem", view.problem, "clockAheadSec",
			 (json_int_t)view.clock_ahead_sec);
}

int api_link_warnings(const struct link *link, json_t *warnings)
{
	struct link_view view;
	int r = 0;

	link_view(link, &view);
	if (strcmp(view.state, "deleted") == 0)
		r = warning_add(warnings, "deleted",
				"the coordinator deleted this node; 'agentctl up' enrols it anew");
	else if (view.problem)
		r = warning_add(warnings, "coordinator", "%s: %s",
				view.url ? view.url : "coordinator", view.problem);
	if (r == 0 && view.code)
		r = warning_add(warnings, "pending",
				"somebody has to approve this host: code %s%s%s", view.code,
				view.login_url ? ", " : "", view.login_url ? view.login_url : "");
	if (r == 0 && (view.clock_ahead_sec > SKEW_SEC || view.clock_ahead_sec < -SKEW_SEC))
		r = warning_add(warnings, "clock",
				"this host's clock is %" PRId64 " s %s that of the coordinator",
				view.clock_ahead_sec > 0 ? view.clock_ahead_sec
							 : -view.clock_ahead_sec,
				view.clock_ahead_sec > 0 ? "behind" : "ahead of");
	return r;
}

/* ---- calls that wait ---- */

struct link_waiter {
	struct link_waiter *next, **at;
	struct varlink_call *call;
	bool login;   /* a new key is waited for */
	json_t *said; /* the last answer */
};

static void waiter_free(struct link_waiter *waiter)
{
	*waiter->at = waiter->next;
	if (waiter->next)
		waiter->next->at = waiter->at;
	varlink_call_unref(waiter->call);
	json_decref(waiter->said);
	free(waiter);
}

static void on_waiter_gone(struct varlink_call *call, void *userdata)
{
	waiter_free(userdata);
}

/* Nothing more will come of it by itself. */
static bool is_over(struct api *api, const struct link *link, bool login)
{
	struct api_view view;
	struct link_view now;

	api_view(api, &view);
	link_view(link, &now);
	if (strcmp(now.join, "refused") == 0 || !now.wanted)
		return true;
	if (strcmp(now.join, "idle") != 0)
		return false;
	if (login && now.renewing)
		return false;
	if (strcmp(now.state, "connected") == 0)
		return view.map != NULL;
	return !login && strcmp(now.state, "key-expired") == 0;
}

/* Return: is the waiter gone? */
static bool tell_waiter(struct api *api, struct link_waiter *waiter)
{
	const struct link *link = api->hooks->link(api->userdata);
	json_auto_t *now = json_pack("{s:o}", "link", api_json_link(link));
	bool over = is_over(api, link, waiter->login);

	if (!now) {
		(void)varlink_call_error(waiter->call, "io.systemd.System", NULL);
	} else if (over) {
		(void)varlink_call_reply(waiter->call, json_incref(now));
	} else {
		if (!waiter->said || !json_equal(waiter->said, now))
			(void)varlink_call_notify(waiter->call, json_incref(now));
		json_decref(waiter->said);
		waiter->said = json_incref(now);
		return false;
	}
	waiter_free(waiter);
	return true;
}

void api_link_changed(struct api *api)
{
	const struct link *link = api->hooks->link(api->userdata);
	struct link_waiter *next;

	for (struct link_waiter *waiter = api->link_waiters; waiter; waiter = next) {
		next = waiter->next;
		(void)tell_waiter(api, waiter);
	}
	api_publish_link(api, link);
}

void api_link_done(struct api *api)
{
	/* Their calls have ended with the server. */
	while (api->link_waiters)
		waiter_free(api->link_waiters);
}

static bool has_place(const struct api *api)
{
	unsigned n = 0;

	for (const struct link_waiter *waiter = api->link_waiters; waiter; waiter = waiter->next)
		n++;
	return n < MAX_WAITERS;
}

static int wait_for_it(struct api *api, struct varlink_call *call, bool login)
{
	struct link_waiter *waiter = calloc(1, sizeof(*waiter));

	if (!waiter)
		return -ENOMEM;
	*waiter = (struct link_waiter){
		.next = api->link_waiters,
		.at = &api->link_waiters,
		.call = varlink_call_ref(call),
		.login = login,
	};
	if (waiter->next)
		waiter->next->at = &waiter->next;
	api->link_waiters = waiter;
	varlink_call_on_disconnect(call, on_waiter_gone, waiter);
	(void)tell_waiter(api, waiter);
	return 0;
}

/* ---- who may ---- */

static int not_possible(struct varlink_call *call, const char *reason)
{
	return varlink_call_error(call, "io.peergate.Agent.NotPossible",
				  json_pack("{s:s}", "reason", reason ? reason : "no memory"));
}

/* Return: 0 and *ret_link; API_ANSWERED; negative errno. */
static int begin(struct api *api, struct varlink_call *call, struct link **ret_link)
{
	struct link *link = api->hooks->link(api->userdata);
	int r;

	if (!api_caller_is_operator(call))
		r = varlink_call_error(call, "org.varlink.service.PermissionDenied", NULL);
	else if (!link)
		r = not_possible(call, "this host's map comes from a file (Netmap= in agent.conf), "
				       "not from a coordinator");
	else {
		*ret_link = link;
		return 0;
	}
	return r < 0 ? r : API_ANSWERED;
}

static void log_call(struct varlink_call *call, const char *what)
{
	const struct ucred *creds = varlink_call_creds(call);

	log_notice("User %u (process %d) says: %s", (unsigned)creds->uid, (int)creds->pid, what);
}

/* ---- parameters ---- */

struct request {
	char *url, *key, *auth_key, *hostname;
	char **tags;
	size_t n_tags;
	bool set_tags;
	int ssh; /* -1: not said */
};

static void request_done(struct request *req)
{
	free(req->url);
	free(req->key);
	if (req->auth_key)
		explicit_bzero(req->auth_key, strlen(req->auth_key));
	free(req->auth_key);
	free(req->hostname);
	for (size_t i = 0; i < req->n_tags; i++)
		free(req->tags[i]);
	free(req->tags);
}

static int read_url(const json_t *v, const struct json_at *at, void *target,
		    struct json_report *rep)
{
	if (json_string_length(v) > 2 * LINK_MAX_AUTH_KEY)
		return json_fail(rep, at, "is too long");
	return json_read_string(v, at, target, rep);
}

static int read_tags(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	struct request *req = target;

	req->set_tags = true;
	return json_read_array(v, at, LINK_MAX_TAGS, sizeof(char *), api_read_short_text,
			       &req->tags, &req->n_tags, rep);
}

static int read_ssh(const json_t *v, const struct json_at *at, void *target,
		    struct json_report *rep)
{
	struct request *req = target;
	bool ssh;
	int r = json_read_bool(v, at, &ssh, rep);

	if (r == 0)
		req->ssh = ssh;
	return r;
}

/* Return: as api_read_params(). */
static int read_request(struct varlink_call *call, const json_t *params, struct request *req)
{
#define AT(member) offsetof(struct request, member)
	static const struct json_field fields[] = {
		{ "coordinator", read_url, AT(url), JSON_NULLABLE },
		{ "coordinatorKey", api_read_short_text, AT(key), JSON_NULLABLE },
		{ "authKey", read_url, AT(auth_key), JSON_NULLABLE },
		{ "hostname", api_read_short_text, AT(hostname), JSON_NULLABLE },
		{ "tags", read_tags, 0, JSON_NULLABLE },
		{ "ssh", read_ssh, 0, JSON_NULLABLE },
	};
#undef AT

	req->ssh = -1;
	return api_read_params(call, params, fields, ARRAY_SIZE(fields), req);
}

static struct link_wish wish_of(const struct request *req)
{
	return (struct link_wish){
		.url = req->url,
		.coordinator_key = req->key,
		.auth_key = req->auth_key,
		.hostname = req->hostname,
		.tags = req->tags,
		.n_tags = req->n_tags,
		.set_tags = req->set_tags,
		.set_ssh = req->ssh >= 0,
		.ssh = req->ssh > 0,
	};
}

/* ---- Up, Login, Set ---- */

typedef int (*wish_fn)(struct link *link, const struct link_wish *wish, char **reterr_text);

/* Return: 0: it has begun; API_ANSWERED; negative errno. */
static int grant(struct varlink_call *call, struct link *link, const struct link_wish *wish,
		 wish_fn fn)
{
	_cleanup_free_ char *error = NULL;
	int r = link_check_wish(link, wish, &error);

	if (r == LINK_WISH_FOR_ROOT && varlink_call_creds(call)->uid != 0) {
		r = varlink_call_error(call, "io.peergate.Agent.OnlyRoot", NULL);
		return r < 0 ? r : API_ANSWERED;
	}
	if (r >= 0)
		r = fn(link, wish, &error);
	if (r >= 0)
		return 0;
	if (r == -ENOMEM && !error)
		return r;
	r = not_possible(call, error);
	return r < 0 ? r : API_ANSWERED;
}

static int take_request(struct api *api, struct varlink_call *call, const json_t *params,
			const char *what, wish_fn fn)
{
	_cleanup_(request_done) struct request req = { 0 };
	struct link *link = NULL;
	struct link_wish wish;
	int r;

	r = begin(api, call, &link);
	if (r == 0)
		r = read_request(call, params, &req);
	if (r != 0)
		return r;
	wish = wish_of(&req);
	log_call(call, what);
	return grant(call, link, &wish, fn);
}

static int take_and_wait(struct api *api, struct varlink_call *call, const json_t *params,
			 const char *what, wish_fn fn)
{
	int r;

	if (!has_place(api))
		return not_possible(call, "too many wait for it already");
	r = take_request(api, call, params, what, fn);
	if (r != 0)
		return r < 0 ? r : 0;
	return wait_for_it(api, call, fn == link_login);
}

int api_up(struct varlink_call *call, const json_t *params, void *userdata)
{
	return take_and_wait(userdata, call, params, "up", link_up);
}

int api_login(struct varlink_call *call, const json_t *params, void *userdata)
{
	return take_and_wait(userdata, call, params, "log in", link_login);
}

int api_set(struct varlink_call *call, const json_t *params, void *userdata)
{
	int r = take_request(userdata, call, params, "set", link_set);

	if (r != 0)
		return r < 0 ? r : 0;
	return varlink_call_reply(call, NULL);
}

/* ---- Down, Logout ---- */

int api_down(struct varlink_call *call, const json_t *params, void *userdata)
{
	struct link *link = NULL;
	int r = begin(userdata, call, &link);

	if (r != 0)
		return r < 0 ? r : 0;
	log_call(call, "down");
	r = link_down(link);
	return r < 0 ? r : varlink_call_reply(call, NULL);
}

static void on_logged_out(const char *problem, void *userdata)
{
	struct api *api = userdata;
	struct varlink_call *call = take_ptr(api->logout_call);

	if (problem)
		(void)not_possible(call, problem);
	else
		(void)varlink_call_reply(call, NULL);
	varlink_call_unref(call);
}

static void on_logout_gone(struct varlink_call *call, void *userdata)
{
	struct api *api = userdata;

	link_logout_forget(api->hooks->link(api->userdata));
	api->logout_call = varlink_call_unref(api->logout_call);
}

int api_logout(struct varlink_call *call, const json_t *params, void *userdata)
{
	struct api *api = userdata;
	struct link *link = NULL;
	int r = begin(api, call, &link);

	if (r != 0)
		return r < 0 ? r : 0;
	log_call(call, "log out");
	r = link_logout(link, on_logged_out, api);
	if (r == LINK_LOGOUT_DONE)
		return varlink_call_reply(call, NULL);
	if (r == -ENOENT)
		return not_possible(call, "this host is not enrolled");
	if (r == -EALREADY)
		return not_possible(call, "that is going on already");
	if (r < 0)
		return r;
	api->logout_call = varlink_call_ref(call);
	varlink_call_on_disconnect(call, on_logout_gone, api);
	return 0;
}
