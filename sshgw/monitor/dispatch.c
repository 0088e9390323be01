#include "sshgw/monitor/dispatch.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "common/log.h"
#include "common/text.h"
#include "sshgw/monitor/check.h"
#include "sshgw/monitor/forwarding.h"
#include "sshgw/monitor/idle.h"
#include "sshgw/monitor/incoming.h"
#include "sshgw/monitor/login.h"
#include "sshgw/monitor/sessions.h"
#include "sshgw/monitor/signing.h"

#define IN(state)   (1u << (state))
#define LOGGED_IN   (IN(MON_OPENING) | IN(MON_OPEN))
#define AFTER_ASKED (IN(MON_CHECK) | IN(MON_ACCOUNT) | IN(MON_AGREED))
#define AFTER_START (IN(MON_KEX) | IN(MON_ASKING) | AFTER_ASKED | LOGGED_IN)
#define ANY_STATE   (~0u)

/*
 * What goes on for weeks on one connection, or comes from the client one to one: whether somebody
 * breaks the protocol, no number says. Where it matters how often, there is a budget in time.
 */
#define UNLIMITED     0u
#define MAX_LOG_LINES 64u

struct mon_handler {
	uint32_t type;
	enum mon_peer_index from;
	unsigned legal_in;
	unsigned max_uses; /* UNLIMITED: there is none */
	unsigned max_fds;
	int (*fn)(struct monitor *m, struct chan_msg *msg);
};

/* ---- small handlers ---- */

static int on_ready(struct monitor *m, struct chan_msg *msg)
{
	if (msg->len > 0)
		return -EPROTO;
	m->story.met_client = true;
	mon_enter(m, MON_KEX, "the network process is sandboxed");
	return 0;
}

static int on_log(struct monitor *m, struct chan_msg *msg)
{
	struct chan_reader r = chan_msg_reader(msg);
	uint32_t level = chan_get_u32(&r);
	_cleanup_free_ char *text = chan_get_string(&r, MSG_MAX_TEXT);

	if (chan_reader_end(&r) < 0 || level > LOG_DEBUG)
		return -EPROTO;
	/* A process gone wild fills no journal. */
	if (m->n_logged >= MAX_LOG_LINES)
		return 0;
	m->n_logged++;
	/* Its word for how grave something is counts only so far. */
	log_with(level < LOG_WARNING ? LOG_WARNING : (int)level, 0, NULL, 0, "net: %s", text);
	return 0;
}

/* ---- the table ---- */

static const struct mon_handler handlers[] = {
	/* request, from, legal in, uses, fds, handler */
	{ NET_READY, MON_NET, IN(MON_START), 1, 0, on_ready },
	{ NET_SIGN, MON_NET, AFTER_START, UNLIMITED, 0, signing_asked },
	{ NET_AUTHORIZE, MON_NET, IN(MON_KEX), 1, 0, login_ask },
	{ NET_HELD, MON_NET, AFTER_ASKED, 1, 0, check_held },
	{ NET_LOGGED_IN, MON_NET, IN(MON_AGREED), 1, 0, login_client_in },
	{ NET_START, MON_NET, LOGGED_IN, UNLIMITED, 0, sessions_start },
	{ NET_HANGUP, MON_NET, LOGGED_IN, UNLIMITED, 0, sessions_hangup },
	{ NET_SIGNAL, MON_NET, IN(MON_OPEN), UNLIMITED, 0, sessions_signal },
	{ NET_CONNECT, MON_NET, LOGGED_IN, UNLIMITED, 0, forwarding_connect },
	{ NET_LISTEN, MON_NET, LOGGED_IN, UNLIMITED, 0, forwarding_listen },
	{ NET_UNLISTEN, MON_NET, IN(MON_OPEN), UNLIMITED, 0, forwarding_unlisten },
	{ NET_FORWARD_END, MON_NET, IN(MON_OPEN) | IN(MON_ENDING), UNLIMITED, 0, forwarding_end },
	{ NET_ACTIVE, MON_NET, LOGGED_IN, UNLIMITED, 0, idle_not },
	{ NET_PROVE, MON_NET, LOGGED_IN, MSG_MAX_PROOFS, 0, signing_proof_asked },
	{ NET_SESSION_END, MON_NET, IN(MON_OPEN) | IN(MON_ENDING), UNLIMITED, 0,
	  session_log_counted },
	{ NET_LOG, MON_NET, ANY_STATE, UNLIMITED, 0, on_log },
	{ LEADER_ACCOUNT_RESULT, MON_LEADER, IN(MON_ACCOUNT), 1, 0, login_account_result },
	{ LEADER_OPENED, MON_LEADER, IN(MON_OPENING), 1, 0, login_opened },
	{ KEYS_SIGNED, MON_KEYS, AFTER_START, UNLIMITED, 0, signing_answered },
	{ USER_STARTED, MON_USER, IN(MON_OPEN), UNLIMITED, 3, sessions_started },
	{ USER_START_FAILED, MON_USER, IN(MON_OPEN), UNLIMITED, 0, sessions_start_failed },
	{ USER_EXITED, MON_USER, IN(MON_OPEN), UNLIMITED, 0, sessions_exited },
	{ USER_CONNECTED, MON_USER, IN(MON_OPEN), UNLIMITED, 1, forwarding_connected },
	{ USER_CONNECT_FAILED, MON_USER, IN(MON_OPEN), UNLIMITED, 0, forwarding_connect_failed },
	{ USER_LISTENING, MON_USER, IN(MON_OPEN), UNLIMITED, 0, forwarding_listening },
	{ USER_LISTEN_FAILED, MON_USER, IN(MON_OPEN), UNLIMITED, 0, forwarding_listen_failed },
	{ USER_SOCKET, MON_USER, IN(MON_OPEN) | IN(MON_ENDING), UNLIMITED, 0, forwarding_socket },
	{ USER_INCOMING, MON_USER, IN(MON_OPEN), UNLIMITED, 1, incoming_came },
};
_Static_assert(ARRAY_SIZE(handlers) <= MON_MAX_HANDLERS, "room for the counters");

static int find_handler(enum mon_peer_index from, uint32_t type)
{
	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++)
		if (handlers[i].type == type && handlers[i].from == from)
			return (int)i;
	return -1;
}

/* Before the login, a client gets one signature. */
static bool too_early_to_sign(const struct monitor *m, const struct mon_handler *h, unsigned uses)
{
	return h->type == NET_SIGN && uses > 0 && m->state < MON_OPENING;
}

static bool is_used_up(const struct mon_handler *h, unsigned uses)
{
	return h->max_uses != UNLIMITED && uses >= h->max_uses;
}

int dispatch(struct monitor *m, enum mon_peer_index from, struct chan_msg *msg)
{
	const char *who = m->peers[from].name;
	int i = find_handler(from, msg->type);
	const struct mon_handler *h = i < 0 ? NULL : &handlers[i];

	/* It crossed our decision to end the connection. */
	if (h && msg->n_fds <= h->max_fds && m->state >= MON_ENDING &&
	    !(h->legal_in & IN(m->state))) {
		if (h->type == LEADER_OPENED)
			mon_end_opened(m);
		return 0;
	}
	if (!h || !(h->legal_in & IN(m->state)) || is_used_up(h, m->uses[i]) ||
	    msg->n_fds > h->max_fds || too_early_to_sign(m, h, m->uses[i])) {
		log_with(LOG_ERR, 0, LOG_FIELDS({ "STATE", mon_state_to_string(m->state) }),
			 "The %s process sent message 0x%x, which is not allowed in state %s", who,
			 msg->type, mon_state_to_string(m->state));
		return -EPROTO;
	}
	if (m->uses[i] < UINT_MAX)
		m->uses[i]++;
	i = h->fn(m, msg);
	if (i < 0)
		log_with(LOG_ERR, i, NULL, 0, "Message 0x%x of the %s process was refused",
			 msg->type, who);
	return i;
}
