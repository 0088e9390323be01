#include "sshgw/net/auth.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "sshgw/net/check.h"
#include "sshgw/net/monitor_link.h"

#define REFUSED_USEC (2 * 1000 * 1000u)

/* ---- the monitor's word ---- */

void auth_let_in(struct net *net, const char *text)
{
	ssh_message held = take_ptr(net->auth_message);

	net_banner(net, text);
	net->state = NET_STATE_OPEN;
	net->deadline = UINT64_MAX;
	ssh_message_auth_reply_success(held, 0);
	ssh_message_free(held);
}

/* The client says "Permission denied" and leaves by itself. */
static void turn_away(struct net *net, const char *text)
{
	ssh_message held = take_ptr(net->auth_message);

	net_banner(net, text);
	net->state = NET_STATE_REFUSED;
	net->deadline = clock_usec(CLOCK_MONOTONIC) + REFUSED_USEC;
	if (!held)
		return;
	ssh_message_reply_default(held);
	ssh_message_free(held);
}

int auth_result(struct net *net, const struct chan_msg *msg)
{
	struct msg_auth_result result = { 0 };
	int r = msg_auth_result_get(msg, &result);

	if (r < 0)
		return r;
	if (net->state != NET_STATE_ASKED && net->state != NET_STATE_CHECK)
		r = -EBADMSG;
	else if (result.verdict != AUTH_ACCEPTED)
		turn_away(net, result.text);
	else if (net->auth_message)
		auth_let_in(net, result.text);
	else
		r = net_check_passed(net, result.text);
	msg_auth_result_done(&result);
	return r;
}

/* ---- the client's requests ---- */

void auth_fail(struct net *net, ssh_message message)
{
	ssh_message_reply_default(message);
	if (++net->n_auth_tries >= NET_MAX_TRIES)
		net_close(net);
}

bool auth_request(struct net *net, ssh_message message)
{
	const char *user = ssh_message_auth_user(message);
	struct chan_writer w = { 0 };

	if (net->state == NET_STATE_CHECK &&
	    ssh_message_subtype(message) == SSH_AUTH_METHOD_INTERACTIVE)
		return net_check_client(net, message);
	if (ssh_message_subtype(message) != SSH_AUTH_METHOD_NONE) {
		auth_fail(net, message);
		return false;
	}
	if (net->state != NET_STATE_AUTH || !user || strlen(user) > MSG_MAX_USER) {
		ssh_message_reply_default(message);
		net_close(net);
		return false;
	}
	chan_put_string(&w, user);
	if (monitor_send(net, NET_AUTHORIZE, &w) < 0)
		return false;
	net->state = NET_STATE_ASKED;
	net->auth_message = message;
	return true;
}
