#include "sshgw/net/check.h"

#include <errno.h>

#include "common/text.h"
#include "sshgw/net/auth.h"
#include "sshgw/net/auth_packets.h"
#include "sshgw/net/monitor_link.h"

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
	auth_banner(net, text);
	return 0;
}

/* For clients that do not show banners. */
static int prompt(struct net *net, const struct auth_try *try)
{
	const struct msg_check *where = &net->check.where;
	_cleanup_free_ char *text =
		text_printf("Waiting for %s (code %s)", where->url, where->code);

	return text ? auth_prompt(net, try, text) : -ENOMEM;
}

/* ---- the client's part ---- */

/* It waits: from here on it is the monitor that has an eye on the clock. */
static int tell_monitor(struct net *net)
{
	if (net->check.is_told)
		return 0;
	net->check.is_told = true;
	net->deadline = UINT64_MAX;
	return monitor_send(net, NET_HELD, NULL);
}

/* A new request takes the place of an older one (RFC 4256, 3.1). */
static int begin_anew(struct net *net, struct auth_try *try)
{
	auth_try_done(&net->auth.held);
	return prompt(net, try);
}

void check_on_try(struct net *net, struct auth_try *try)
{
	int r = 0;

	switch (try->request.method) {
	case AUTH_METHOD_NONE:
	case AUTH_METHOD_OFFER:
	case AUTH_METHOD_KEY:
	case AUTH_METHOD_OTHER:
		auth_fail(net, try);
		return;
	case AUTH_METHOD_INTERACTIVE:
		r = begin_anew(net, try);
		break;
	case AUTH_METHOD_ANSWER:
	case AUTH_METHOD_PASSWORD:
		auth_hold(net, try);
		break;
	}
	if (r == 0)
		r = tell_monitor(net);
	if (r < 0)
		net_close(net);
}

/* ---- the monitor's part ---- */

/* What was held for the decision, or for an earlier check. */
static void go_on_with_held(struct net *net)
{
	_cleanup_(auth_try_done) struct auth_try held = auth_take_held(net);

	if (!held.message)
		return;
	/* The question is put once more. */
	if (held.request.method == AUTH_METHOD_ANSWER)
		held.request.method = AUTH_METHOD_INTERACTIVE;
	check_on_try(net, &held);
}

int net_check_begin(struct net *net, const struct chan_msg *msg)
{
	struct msg_check where = { 0 };
	int r = msg_check_get(msg, &where);

	if (r < 0)
		return r;
	if (net->state != NET_STATE_ASKED && net->state != NET_STATE_CHECK) {
		msg_check_done(&where);
		/* Given up meanwhile, which the monitor could not know. */
		return net->state == NET_STATE_CLOSING ? 0 : -EBADMSG;
	}
	msg_check_done(&net->check.where);
	net->check.where = where;
	net->state = NET_STATE_CHECK;
	r = show_banner(net);
	if (r == 0)
		go_on_with_held(net);
	return r;
}
