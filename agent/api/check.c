/* Logins that a rule wants checked: the call of AuthorizeSSH waits until a person has said yes. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "agent/api/internal.h"
#include "agent/api/ssh.h"
#include "agent/link/check.h"
#include "agent/ssh/login.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"

#define SHOWN_USER_MAX 64 /* bytes of a name that somebody typed */

struct check_call {
	struct check_call *next, **at;
	struct api *api;
	struct varlink_call *call;
	struct ssh_request req;
	char *node_id, *node_name, *user; /* of the peer that asks */
	struct link_check *check;
	uint64_t begun_usec; /* CLOCK_MONOTONIC */
};

static struct check_call *check_call_free(struct check_call *cc)
{
	if (!cc)
		return NULL;
	if (cc->at)
		*cc->at = cc->next;
	if (cc->at && cc->next)
		cc->next->at = cc->at;
	link_check_cancel(cc->check);
	varlink_call_unref(cc->call);
	ssh_request_done(&cc->req);
	free(cc->node_id);
	free(cc->node_name);
	free(cc->user);
	free(cc);
	return NULL;
}
DEFINE_CLEANUP(struct check_call *, check_call_free);

static void log_check(const struct check_call *cc, const char *what, const char *detail)
{
	_cleanup_free_ char *user = text_sanitize(cc->req.ssh_user, SHOWN_USER_MAX);
	uint64_t took = (clock_usec(CLOCK_MONOTONIC) - cc->begun_usec) / USEC_PER_SEC;
	const struct lease_terms terms = {
		.address = cc->req.address,
		.connection = cc->req.connection,
		.node_name = cc->node_name,
		.user = cc->user,
		.ssh_user = user,
	};

	api_ssh_log(LOG_INFO, &terms, NULL, LOG_FIELDS({ "CHECK", what }),
		    "The check of SSH of %s as user \"%s\" %s after %" PRIu64 " s%s%s", cc->node_id,
		    user ? user : "", what, took, detail ? ": " : "", detail ? detail : "");
}

/* ---- how it ends ---- */

/* An answer that there is no memory for ends the connection, and that the login. */
static void finish(struct check_call *cc, int r)
{
	if (r < 0)
		(void)varlink_call_error(cc->call, "io.systemd.System", NULL);
	check_call_free(cc);
}

/* d may be NULL. */
static void refuse(struct check_call *cc, const struct ssh_decision *d, const char *reason,
		   const char *message)
{
	finish(cc, api_ssh_reject(cc->api, cc->call, &cc->req, d, reason, message));
}

static bool is_same_peer(const struct check_call *cc, const struct ssh_login *login)
{
	const struct netmap_node *peer = login->decision.peer;

	return peer && strcmp(peer->id, cc->node_id) == 0;
}

/* passed: a person said yes, or nobody has to any more. */
static void judge(struct check_call *cc, bool passed)
{
	_cleanup_(ssh_login_done) struct ssh_login login = { 0 };
	struct api_view view;

	api_view(cc->api, &view);
	ssh_login_judge(view.map, &cc->req.address, &cc->req.local_address, cc->req.ssh_user,
			view.link != NULL, view.now_usec, &login);
	if (!login.accepted && !login.needs_check) {
		log_check(cc, "was ended by a change of the policy", NULL);
		refuse(cc, &login.decision, login.reason, login.message);
	} else if (!is_same_peer(cc, &login)) {
		refuse(cc, &login.decision, "address-moved",
		       "your address belongs to another device now; connect again");
	} else if (passed || login.accepted) {
		finish(cc,
		       api_ssh_accept(cc->api, cc->call, &cc->req, &login.decision, view.now_usec));
	}
}

static char *passed_text(const struct link_check_result *result)
{
	char at[21] = "earlier";

	if (result->checked_usec > 0)
		format_rfc3339(result->checked_usec, at, sizeof(at));
	return text_printf("by %s, at %s", result->method ? result->method : "unknown means", at);
}

static void on_passed(struct check_call *cc, const struct link_check_result *result)
{
	_cleanup_free_ char *text = passed_text(result);

	log_check(cc, "was passed", text);
	judge(cc, true);
}

static void on_over(const struct link_check_result *result, void *userdata)
{
	struct check_call *cc = userdata;
	_cleanup_free_ char *text = NULL;

	cc->check = NULL;
	switch (result->end) {
	case LINK_CHECK_PASSED:
		on_passed(cc, result);
		break;
	case LINK_CHECK_DENIED:
		log_check(cc, "was denied", result->message);
		refuse(cc, NULL, "check-denied", "the login was denied on the page of its check");
		break;
	case LINK_CHECK_REFUSED:
		text = text_printf("the coordinator refuses the check: %s",
				   result->message ? result->message : "");
		refuse(cc, NULL, "check-refused", text);
		break;
	case LINK_CHECK_RAN_OUT:
		log_check(cc, "ran out", NULL);
		refuse(cc, NULL, "check-timeout", "nobody confirmed the login in time; try again");
		break;
	case LINK_CHECK_UNREACHABLE:
		refuse(cc, NULL, "check-unreachable",
		       "the login needs a check that you are there, and the coordinator cannot be "
		       "reached; try again later");
		break;
	}
}

/* ---- while it lasts ---- */

static void on_waiting(const char *url, const char *code, void *userdata)
{
	struct check_call *cc = userdata;
	_cleanup_free_ char *user = text_sanitize(cc->req.ssh_user, SHOWN_USER_MAX);
	_cleanup_free_ char *text = NULL;
	struct api_view view;

	api_view(cc->api, &view);
	text = text_printf("logging in to %s as user \"%s\" needs a check that it is you",
			   view.map ? view.map->self.name : "this host", user ? user : "");
	log_check(cc, "waits for a person", code);
	(void)varlink_call_notify(cc->call,
				  json_pack("{s:s, s:{s:s*, s:s, s:s}}", "state", "check", "check",
					    "message", text, "url", url, "code", code));
}

static const struct link_check_events events = { .waiting = on_waiting, .over = on_over };

static void on_gone(struct varlink_call *call, void *userdata)
{
	struct check_call *cc = userdata;

	log_check(cc, "ended with the connection", NULL);
	check_call_free(cc);
}

void api_recheck(struct api *api)
{
	struct check_call *next;

	for (struct check_call *cc = api->check_calls; cc; cc = next) {
		next = cc->next;
		judge(cc, false);
	}
}

void api_check_done(struct api *api)
{
	/* Their calls have ended with the server. */
	while (api->check_calls)
		check_call_free(api->check_calls);
}

/* ---- its beginning ---- */

static struct check_call *check_call_new(struct api *api, struct varlink_call *call,
					 const struct ssh_decision *d)
{
	struct check_call *cc = calloc(1, sizeof(*cc));

	if (!cc)
		return NULL;
	cc->api = api;
	cc->call = varlink_call_ref(call);
	cc->begun_usec = clock_usec(CLOCK_MONOTONIC);
	cc->node_id = strdup(d->peer->id);
	cc->node_name = strdup(d->peer->name);
	cc->user = strdup(netmap_node_owner(d->peer));
	return cc;
}

static void enter(struct check_call *cc)
{
	struct api *api = cc->api;

	cc->next = api->check_calls;
	cc->at = &api->check_calls;
	if (cc->next)
		cc->next->at = &cc->next;
	api->check_calls = cc;
	varlink_call_on_disconnect(cc->call, on_gone, cc);
}

static int refuse_at_once(struct api *api, struct varlink_call *call, const struct ssh_request *req,
			  const struct ssh_decision *d, int error)
{
	if (error == -ENOSPC)
		return api_ssh_reject(api, call, req, d, "check-busy",
				      "too many logins wait for a check on this host; try again "
				      "later");
	if (error == -ENOTCONN)
		return api_ssh_reject(
			api, call, req, d, "check-unreachable",
			"the login needs a check that you are there, and this host is "
			"not enrolled with a coordinator");
	return error;
}

int api_check_begin(struct api *api, struct varlink_call *call, struct ssh_request *req,
		    const struct ssh_decision *d)
{
	_cleanup_(check_call_freep) struct check_call *cc = check_call_new(api, call, d);
	const struct link_check_question question = { .source = d->peer->id,
						      .ssh_user = req->ssh_user };
	int r;

	if (!cc || !cc->node_id || !cc->node_name || !cc->user)
		return -ENOMEM;
	r = link_check(api->hooks->link(api->userdata), &question, &events, cc, &cc->check);
	if (r < 0)
		return refuse_at_once(api, call, req, d, r);
	cc->req = *req;
	*req = (struct ssh_request){ 0 };
	enter(take_ptr(cc));
	return 0;
}
