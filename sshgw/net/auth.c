#include "sshgw/net/auth.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "sshgw/net/auth_packets.h"
#include "sshgw/net/check.h"
#include "sshgw/net/monitor_link.h"
#include "sshgw/net/prove.h"

#define REFUSED_USEC (2 * 1000 * 1000u)

void auth_try_done(struct auth_try *try)
{
	if (try->message)
		ssh_message_free(try->message);
	auth_request_done(&try->request);
	*try = (struct auth_try){ 0 };
}

struct auth_try auth_take_held(struct net *net)
{
	struct auth_try held = net->auth.held;

	net->auth.held = (struct auth_try){ 0 };
	return held;
}

/* ---- answers ---- */

/*
 * "none" cannot be named, and a failure has to name something. Not before the decision, but while a
 * person is asked, a key is of no use: a script would wait with it, and it is to fail at once.
 */
static int methods_left(const struct net *net)
{
	switch (net->state) {
	case NET_STATE_AUTH:
	case NET_STATE_ASKED:
		return SSH_AUTH_METHOD_PUBLICKEY | SSH_AUTH_METHOD_INTERACTIVE |
		       SSH_AUTH_METHOD_PASSWORD;
	case NET_STATE_CHECK:
	case NET_STATE_AGREED:
		return SSH_AUTH_METHOD_INTERACTIVE | SSH_AUTH_METHOD_PASSWORD;
	case NET_STATE_KEX:
	case NET_STATE_COMING:
	case NET_STATE_REFUSED:
	case NET_STATE_OPEN:
	case NET_STATE_CLOSING:
		break;
	}
	return SSH_AUTH_METHOD_INTERACTIVE;
}

void auth_fail(struct net *net, const struct auth_try *try)
{
	ssh_set_auth_methods(net->ssh, methods_left(net));
	ssh_message_reply_default(try->message);
}

int auth_prompt(struct net *net, const struct auth_try *try, const char *text)
{
	if (ssh_message_auth_interactive_request(try->message, "", text, 0, NULL, NULL) != SSH_OK)
		return -ENOMEM;
	net->auth.is_prompted = true;
	return 0;
}

/* Whatever key it is, it would do; whether the client has it, nobody looks. */
static int accept_offer(const struct auth_try *try)
{
	const struct auth_request *request = &try->request;
	ssh_string algorithm = ssh_string_new(request->algorithm.len);
	ssh_string key = ssh_string_new(request->key.len);
	int r = -ENOMEM;

	if (algorithm && key) {
		ssh_string_fill(algorithm, request->algorithm.data, request->algorithm.len);
		ssh_string_fill(key, request->key.data, request->key.len);
		if (ssh_message_auth_reply_pk_ok(try->message, algorithm, key) == SSH_OK)
			r = 0;
	}
	ssh_string_free(algorithm);
	ssh_string_free(key);
	return r;
}

static void let_in(struct net *net, const struct auth_try *try)
{
	auth_banner(net, net->auth.welcome);
	net->state = NET_STATE_OPEN;
	ssh_message_auth_reply_success(try->message, 0);
	prove_offer(net);
}

/*
 * The monitor has the session opened now. Who has asked for "none" is told at once, so that PAM and
 * the round trips until something is to be started run side by side. For all others success is
 * worth a moment: where the session cannot be opened, they are refused with the reason.
 */
static int come_in(struct net *net, struct auth_try *try)
{
	int r = monitor_send(net, NET_LOGGED_IN, NULL);

	if (r < 0)
		return r;
	net->deadline = UINT64_MAX;
	if (try->request.method == AUTH_METHOD_NONE) {
		let_in(net, try);
		return 0;
	}
	net->state = NET_STATE_COMING;
	auth_hold(net, try);
	return 0;
}

static bool wants_password(const struct net *net)
{
	return auth_user_len(net->auth.user) < strlen(net->auth.user);
}

/* ---- the monitor has decided ---- */

/* Takes over what it holds. */
static void finish(struct net *net, struct auth_try *try)
{
	int r = 0;

	switch (try->request.method) {
	case AUTH_METHOD_NONE:
		if (!wants_password(net)) {
			r = come_in(net, try);
			break;
		}
		auth_banner(net, "Peergate: any password will do");
		auth_fail(net, try);
		break;
	case AUTH_METHOD_KEY:
	case AUTH_METHOD_PASSWORD:
	case AUTH_METHOD_ANSWER:
		r = come_in(net, try);
		break;
	case AUTH_METHOD_OFFER:
		r = accept_offer(try);
		break;
	case AUTH_METHOD_INTERACTIVE:
		r = auth_prompt(net, try, "");
		break;
	case AUTH_METHOD_OTHER:
		auth_fail(net, try);
		break;
	}
	if (r < 0)
		net_close(net);
}

static int agreed(struct net *net, const char *text)
{
	_cleanup_(auth_try_done) struct auth_try held = auth_take_held(net);

	net->auth.welcome = strdup(text);
	if (!net->auth.welcome)
		return -ENOMEM;
	/* The time that a check took is not the client's to finish in. */
	if (net->state == NET_STATE_CHECK)
		net->deadline =
			clock_usec(CLOCK_MONOTONIC) + net->init.login_grace_sec * USEC_PER_SEC;
	net->state = NET_STATE_AGREED;
	if (held.message)
		finish(net, &held);
	return 0;
}

void auth_turn_away(struct net *net, const char *text)
{
	_cleanup_(auth_try_done) struct auth_try held = auth_take_held(net);

	auth_banner(net, text);
	net->state = NET_STATE_REFUSED;
	net->deadline = clock_usec(CLOCK_MONOTONIC) + REFUSED_USEC;
	if (held.message)
		auth_fail(net, &held);
}

int auth_result(struct net *net, const struct chan_msg *msg)
{
	struct msg_auth_result result = { 0 };
	int r = msg_auth_result_get(msg, &result);

	if (r < 0)
		return r;
	net->active.msec = result.active_msec;
	if (net->state == NET_STATE_CLOSING)
		; /* given up meanwhile, which the monitor could not know */
	else if (net->state != NET_STATE_ASKED && net->state != NET_STATE_CHECK)
		r = -EBADMSG;
	else if (result.verdict == AUTH_ACCEPTED)
		r = agreed(net, result.text);
	else
		auth_turn_away(net, result.text);
	msg_auth_result_done(&result);
	return r;
}

int auth_opened(struct net *net, const struct chan_msg *msg)
{
	_cleanup_(auth_try_done) struct auth_try held = { 0 };

	if (msg->len > 0)
		return -EBADMSG;
	switch (net->state) {
	case NET_STATE_COMING:
		held = auth_take_held(net);
		let_in(net, &held);
		return 0;
	case NET_STATE_OPEN: /* it asked for "none" */
	case NET_STATE_CLOSING:
		return 0;
	case NET_STATE_KEX:
	case NET_STATE_AUTH:
	case NET_STATE_ASKED:
	case NET_STATE_CHECK:
	case NET_STATE_AGREED:
	case NET_STATE_REFUSED:
		break;
	}
	return -EBADMSG;
}

/* ---- the client's requests ---- */

/*
 * A client that does not wait for the answer gives its request up (RFC 4252 section 5); so that it
 * can count answers, there is one all the same. A question of keyboard-interactive has had its own.
 */
void auth_hold(struct net *net, struct auth_try *try)
{
	if (net->auth.held.message && net->auth.held.request.method != AUTH_METHOD_ANSWER)
		auth_fail(net, &net->auth.held);
	auth_try_done(&net->auth.held);
	net->auth.held = *try;
	*try = (struct auth_try){ 0 };
}

static void ask(struct net *net, struct auth_try *try)
{
	struct chan_writer w = { 0 };

	chan_put_bytes(&w, net->auth.user, auth_user_len(net->auth.user));
	if (monitor_send(net, NET_AUTHORIZE, &w) < 0) {
		net_close(net);
		return;
	}
	net->state = NET_STATE_ASKED;
	auth_hold(net, try);
}

static void on_try(struct net *net, struct auth_try *try)
{
	switch (net->state) {
	case NET_STATE_AUTH:
		if (try->request.method == AUTH_METHOD_OTHER)
			auth_fail(net, try);
		else
			ask(net, try);
		break;
	case NET_STATE_ASKED:
		auth_hold(net, try);
		break;
	case NET_STATE_CHECK:
		check_on_try(net, try);
		break;
	case NET_STATE_AGREED:
		finish(net, try);
		break;
	case NET_STATE_REFUSED:
		auth_fail(net, try);
		break;
	case NET_STATE_KEX:
		net_close(net);
		break;
	case NET_STATE_COMING: /* RFC 4252 section 5.1: silently ignored after a success */
	case NET_STATE_OPEN:
	case NET_STATE_CLOSING:
		break;
	}
}

/* As sshd does it: who one is is said once. */
static bool names_the_same_user(struct net *net, const struct auth_request *request)
{
	if (!net->auth.user)
		net->auth.user = strdup(request->user);
	if (!net->auth.user)
		return false;
	if (strcmp(net->auth.user, request->user) == 0)
		return true;
	auth_banner(net, "Peergate: another user needs another connection");
	return false;
}

static bool take_request(struct net *net, struct auth_request *ret_request)
{
	if (auth_packets_take(net, ret_request) < 0 || !names_the_same_user(net, ret_request))
		return false;
	/* Whatever was shown before is not to be answered any more. */
	net->auth.is_prompted = false;
	return net->auth.n_requests++ < NET_MAX_AUTH_REQUESTS;
}

static bool take_answer(struct net *net, struct auth_request *ret_request)
{
	bool was_prompted = net->auth.is_prompted;

	ret_request->method = AUTH_METHOD_ANSWER;
	net->auth.is_prompted = false;
	return was_prompted;
}

void auth_on_message(struct net *net, ssh_message message)
{
	_cleanup_(auth_try_done) struct auth_try try = { .message = message };
	bool is_good = ssh_message_auth_kbdint_is_response(message)
			       ? take_answer(net, &try.request)
			       : take_request(net, &try.request);

	if (is_good)
		on_try(net, &try);
	else
		net_close(net);
}
