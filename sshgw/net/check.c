#include "sshgw/net/check.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "sshgw/net/auth.h"
#include "sshgw/net/monitor_link.h"

static void drop_held(struct net *net)
{
	if (net->auth_message)
		ssh_message_free(take_ptr(net->auth_message));
}

/* ---- what the person is shown ---- */

static int show_banner(struct net *net)
{
	const struct msg_check *where = &net->check.where;
	_cleanup_free_ char *text = text_printf(
		"%s\r\n"
		"  Open     %s\r\n"
		"  Code     %s\r\n"
		"Confirm there that it is you, if the page shows the same code. (A script cannot "
		"wait for\r\n"
		"that: \"agentctl check-login\" does it beforehand.)",
		where->text, where->url, where->code);

	if (!text)
		return -ENOMEM;
	net_banner(net, text);
	return 0;
}

/* For clients that do not show banners. */
static int prompt(struct net *net, ssh_message message)
{
	const struct msg_check *where = &net->check.where;
	_cleanup_free_ char *text =
		text_printf("Waiting for %s (code %s)", where->url, where->code);

	if (!text ||
	    ssh_message_auth_interactive_request(message, "", text, 0, NULL, NULL) != SSH_OK)
		return -ENOMEM;
	net->check.is_prompted = true;
	return 0;
}

/* ---- the monitor's part ---- */

int net_check_begin(struct net *net, const struct chan_msg *msg)
{
	bool waits = net->state == NET_STATE_CHECK && net->auth_message;
	struct msg_check where = { 0 };
	int r = msg_check_get(msg, &where);

	if (r == 0 && net->state != NET_STATE_ASKED && net->state != NET_STATE_CHECK) {
		msg_check_done(&where);
		r = -EBADMSG;
	}
	if (r < 0)
		return r;
	msg_check_done(&net->check.where);
	net->check.where = where;
	r = show_banner(net);
	if (r == 0 && net->state == NET_STATE_ASKED)
		ssh_message_reply_default(net->auth_message);
	else if (r == 0 && waits)
		r = prompt(net, net->auth_message);
	drop_held(net);
	net->state = NET_STATE_CHECK;
	return r;
}

int net_check_passed(struct net *net, const char *text)
{
	net->check.passed = strdup(text);
	net->deadline = clock_usec(CLOCK_MONOTONIC) + net->init.login_grace_sec * USEC_PER_SEC;
	return net->check.passed ? 0 : -ENOMEM;
}

/* ---- the client's part ---- */

/* It waits: from here on it is the monitor that has an eye on the clock. */
static int tell_monitor(struct net *net)
{
	if (net->check.is_told)
		return 0;
	net->check.is_told = true;
	if (!net->check.passed)
		net->deadline = UINT64_MAX;
	return monitor_send(net, NET_HELD, NULL);
}

/* A new request takes the place of an older one (RFC 4256, 3.1). */
static void begin_anew(struct net *net, ssh_message message)
{
	drop_held(net);
	if (net->check.is_told && ++net->n_auth_tries >= NET_MAX_TRIES) {
		net_close(net);
		return;
	}
	if (tell_monitor(net) < 0 || prompt(net, message) < 0)
		net_close(net);
}

bool net_check_client(struct net *net, ssh_message message)
{
	if (!ssh_message_auth_kbdint_is_response(message)) {
		begin_anew(net, message);
		return false;
	}
	if (!net->check.is_prompted) {
		net_close(net);
		return false;
	}
	net->check.is_prompted = false;
	net->auth_message = message;
	if (net->check.passed)
		auth_let_in(net, net->check.passed);
	return true;
}
