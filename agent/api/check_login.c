/* CheckLogin: the person at this host shows that they are there before they log in elsewhere. */
#include <errno.h>
#include <string.h>

#include "agent/api/internal.h"
#include "agent/link/check.h"

/* Anybody may call, since anybody who may use ssh can begin a check. */
#define MAX_CHECKS	   16u
#define MAX_CHECKS_OTHERS  12u /* that are not root's */
#define MAX_CHECKS_PER_UID 4u

struct early_check {
	struct early_check *next, **at;
	struct varlink_call *call;
	struct link_check *check;
	uid_t uid;
};

static void early_check_free(struct early_check *ec)
{
	*ec->at = ec->next;
	if (ec->next)
		ec->next->at = ec->at;
	link_check_cancel(ec->check);
	varlink_call_unref(ec->call);
	free(ec);
}

static void on_waiting(const char *url, const char *code, void *userdata)
{
	struct early_check *ec = userdata;

	(void)varlink_call_notify(ec->call, json_pack("{s:s, s:s, s:s}", "state", "waiting", "url",
						      url, "code", code));
}

/* "passed" has no reason. */
static const char *reason_of(enum link_check_end end)
{
	switch (end) {
	case LINK_CHECK_PASSED:
		break;
	case LINK_CHECK_DENIED:
		return "check-denied";
	case LINK_CHECK_REFUSED:
		return "check-refused";
	case LINK_CHECK_RAN_OUT:
		return "check-timeout";
	case LINK_CHECK_UNREACHABLE:
		return "check-unreachable";
	}
	return NULL;
}

static const char *message_of(const struct link_check_result *result)
{
	switch (result->end) {
	case LINK_CHECK_PASSED:
		break;
	case LINK_CHECK_DENIED:
		return "it was denied on the page";
	case LINK_CHECK_REFUSED:
		return result->message ? result->message : "the coordinator refuses it";
	case LINK_CHECK_RAN_OUT:
		return "nobody confirmed it in time";
	case LINK_CHECK_UNREACHABLE:
		return "the coordinator cannot be reached; try again later";
	}
	return NULL;
}

static void on_over(const struct link_check_result *result, void *userdata)
{
	struct early_check *ec = userdata;
	const char *reason = reason_of(result->end);
	json_t *at = result->checked_usec ? json_integer((json_int_t)result->checked_usec) : NULL;

	ec->check = NULL;
	(void)varlink_call_reply(ec->call, json_pack("{s:s, s:o*, s:s*, s:s*, s:s*}", "state",
						     reason ? "refused" : "passed", "checkedAt", at,
						     "method", result->method, "reason", reason,
						     "message", message_of(result)));
	early_check_free(ec);
}

static const struct link_check_events events = { .waiting = on_waiting, .over = on_over };

static void on_gone(struct varlink_call *call, void *userdata)
{
	early_check_free(userdata);
}

void api_check_login_done(struct api *api)
{
	/* Their calls have ended with the server. */
	while (api->early_checks)
		early_check_free(api->early_checks);
}

/* ---- the method ---- */

static int not_possible(struct varlink_call *call, const char *reason)
{
	return varlink_call_error(call, "io.peergate.Agent.NotPossible",
				  json_pack("{s:s}", "reason", reason));
}

static bool has_place(const struct api *api, uid_t uid)
{
	unsigned n = 0, n_others = 0, n_same = 0;

	for (const struct early_check *ec = api->early_checks; ec; ec = ec->next) {
		n++;
		n_others += ec->uid != 0;
		n_same += ec->uid == uid;
	}
	if (uid == 0)
		return n < MAX_CHECKS;
	return n < MAX_CHECKS && n_others < MAX_CHECKS_OTHERS && n_same < MAX_CHECKS_PER_UID;
}

static int begin(struct api *api, struct varlink_call *call,
		 const struct link_check_question *question)
{
	struct early_check *ec = calloc(1, sizeof(*ec));
	int r;

	if (!ec)
		return -ENOMEM;
	*ec = (struct early_check){
		.next = api->early_checks,
		.at = &api->early_checks,
		.call = varlink_call_ref(call),
		.uid = varlink_call_creds(call)->uid,
	};
	if (ec->next)
		ec->next->at = &ec->next;
	api->early_checks = ec;
	r = link_check(api->hooks->link(api->userdata), question, &events, ec, &ec->check);
	if (r < 0)
		early_check_free(ec);
	else
		varlink_call_on_disconnect(call, on_gone, ec);
	return r;
}

struct check_login_request {
	char *target, *ssh_user;
};

static void request_done(struct check_login_request *req)
{
	free(req->target);
	free(req->ssh_user);
}

int api_check_login(struct varlink_call *call, const json_t *params, void *userdata)
{
	static const struct json_field fields[] = {
		{ "target", api_read_short_text, offsetof(struct check_login_request, target),
		  JSON_NULLABLE },
		{ "sshUser", api_read_short_text, offsetof(struct check_login_request, ssh_user),
		  JSON_NULLABLE },
	};
	_cleanup_(request_done) struct check_login_request req = { 0 };
	struct link_check_question question = { 0 };
	struct api *api = userdata;
	int r;

	r = api_read_params(call, params, fields, ARRAY_SIZE(fields), &req);
	if (r != 0)
		return r < 0 ? r : 0;
	if (req.ssh_user && !req.target)
		return varlink_call_invalid_parameter(call, "sshUser");
	if (!api->hooks->link(api->userdata))
		return not_possible(call, "this host's map comes from a file (Netmap= in "
					  "agent.conf): there is no coordinator to check logins");
	if (!has_place(api, varlink_call_creds(call)->uid))
		return not_possible(call, "too many wait for a check already");
	question.target = req.target;
	question.ssh_user = req.ssh_user;
	r = begin(api, call, &question);
	if (r == -ENOTCONN)
		return not_possible(call, "this host is not enrolled");
	if (r == -ENOSPC)
		return not_possible(call, "too many wait for a check already");
	return r;
}
