#include "sshgw/monitor/agent_link.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "common/varlink.h"
#include "sshgw/monitor/agent_connect.h"
#include "sshgw/monitor/agent_params.h"

#define CALL_TIMEOUT_USEC  (5 * USEC_PER_SEC)
#define RETRY_FIRST_USEC   (USEC_PER_SEC / 5)
#define RETRY_LONGEST_USEC USEC_PER_SEC
#define INTERFACE	   "io.peergate.Agent"

/* agent/PROTOCOL.md, signs of life. What it promises is believed within these bounds. */
#define SILENT_INTERVALS       3
#define INTERVAL_SHORTEST_USEC USEC_PER_SEC
#define INTERVAL_LONGEST_USEC  (3600 * USEC_PER_SEC)

enum link_state {
	LINK_IDLE,     /* nothing asked that an event would answer */
	LINK_ASKING,   /* AuthorizeSSH is under way, or to be sent again */
	LINK_CHECK,    /* it is, and a person is asked */
	LINK_HELD,     /* the lease holds; "keep" or "revoked" may come */
	LINK_ABSENT,   /* the agent is away; tried again and again */
	LINK_RESUMING, /* ResumeSSH is under way */
	LINK_OVER,     /* rejected or revoked */
};

/* Times are of CLOCK_MONOTONIC: while this host is suspended, so is the agent, and not away. */
struct agent_link {
	struct loop *loop;
	struct loop_source *io, *timer;
	struct varlink_client *client; /* NULL: not connected */
	struct agent_link_config config;
	uid_t account; /* the agent's */
	const struct agent_link_events *events;
	void *userdata;
	enum link_state state;
	char *ssh_user;
	json_t *resume;		 /* parameters of ResumeSSH, once a lease is held */
	uint64_t give_up_usec;	 /* asking, check, absent, resuming: that is the end */
	uint64_t check_end_usec; /* the person's time; 0: nobody was asked */
	uint64_t retry_usec;	 /* the next pause between two attempts */
	unsigned spread;	 /* of pauses, percent: not all monitors at once */
	uint64_t heard_usec;	 /* the last word */
	uint64_t interval_usec;	 /* it says one at least this often; 0: it promised nothing */
};

static void on_readable(struct loop_source *source, int fd, uint32_t revents, void *userdata);
static void on_timer(struct loop_source *source, uint64_t usec, void *userdata);

/* ---- connecting ---- */

static int link_connect(struct agent_link *link)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
	int r;

	r = agent_connect(link->config.socket_path, link->account, &client);
	if (r == 0)
		r = loop_add_io(link->loop, varlink_client_fd(client), EPOLLIN, on_readable, link,
				&link->io);
	if (r < 0)
		return r;
	link->client = take_ptr(client);
	return 0;
}

static void link_disconnect(struct agent_link *link)
{
	link->io = loop_source_free(link->io);
	link->client = varlink_client_free(link->client);
}

int agent_link_new(struct loop *loop, const struct agent_link_config *config,
		   const struct agent_link_events *events, void *userdata,
		   struct agent_link **ret_link)
{
	_cleanup_(agent_link_freep) struct agent_link *link = calloc(1, sizeof(*link));
	uint8_t chance = 0;
	int r;

	if (!link)
		return -ENOMEM;
	/* Without chance all monitors knock at the same time: a pity, no more. */
	if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) < 0)
		log_debug_errno(-errno, "No random number");
	link->loop = loop;
	link->config = *config;
	link->account = agent_account();
	link->events = events;
	link->userdata = userdata;
	link->spread = 75 + chance % 50;
	link->retry_usec = RETRY_FIRST_USEC;
	r = loop_add_time(loop, CLOCK_MONOTONIC, on_timer, link, &link->timer);
	if (r < 0)
		return r;
	*ret_link = take_ptr(link);
	return 0;
}

struct agent_link *agent_link_free(struct agent_link *link)
{
	if (!link)
		return NULL;
	link_disconnect(link);
	loop_source_free(link->timer);
	json_decref(link->resume);
	free(link->ssh_user);
	free(link);
	return NULL;
}

static void arm(struct agent_link *link, uint64_t when)
{
	loop_time_set(link->timer, when);
	loop_time_enable(link->timer, LOOP_ONESHOT);
}

/* Until the end, or the next attempt if that is sooner. */
static void arm_retry(struct agent_link *link)
{
	uint64_t when = clock_usec(CLOCK_MONOTONIC) + link->retry_usec * link->spread / 100;

	arm(link, when < link->give_up_usec ? when : link->give_up_usec);
	link->retry_usec *= 2;
	if (link->retry_usec > RETRY_LONGEST_USEC)
		link->retry_usec = RETRY_LONGEST_USEC;
}

/* ---- WhoIs ---- */

static int ask_who(struct agent_link *link, const struct ip_addr *addr, uint64_t timeout_usec)
{
	char text[IP_ADDR_STRLEN];
	struct varlink_reply reply = { 0 };
	int r = link->client ? 0 : link_connect(link);

	if (r == 0)
		r = varlink_client_call(
			link->client, INTERFACE ".WhoIs",
			json_pack("{s:s}", "address", ip_addr_to_string(addr, text)), timeout_usec,
			&reply);
	if (r < 0)
		return r;
	if (!reply.error)
		r = 0;
	else if (strcmp(reply.error, INTERFACE ".NotAPeer") == 0)
		r = json_is_true(json_object_get(reply.parameters, "self")) ? AGENT_OWN_ADDRESS
									    : AGENT_UNKNOWN_ADDRESS;
	else
		r = strcmp(reply.error, INTERFACE ".NotReady") == 0 ? AGENT_NO_MAP : -EPROTO;
	varlink_reply_done(&reply);
	return r;
}

int agent_link_who_is(struct agent_link *link, const struct ip_addr *addr, uint64_t deadline)
{
	for (;;) {
		uint64_t now = clock_usec(CLOCK_MONOTONIC);
		int r = ask_who(link, addr, deadline > now ? deadline - now : 1);

		if (r >= 0)
			return r;
		/* Nothing that came later could be trusted to answer what was asked. */
		link_disconnect(link);
		if (r == -EPERM || r == -EPROTO ||
		    clock_usec(CLOCK_MONOTONIC) + RETRY_FIRST_USEC >= deadline)
			return r;
		usleep(RETRY_FIRST_USEC);
	}
}

/* ---- the end ---- */

static bool is_asking(const struct agent_link *link)
{
	return link->state == LINK_ASKING || link->state == LINK_CHECK;
}

static void link_over(struct agent_link *link, const char *reason, const char *message)
{
	bool asking = is_asking(link);

	link->state = LINK_OVER;
	link_disconnect(link);
	loop_time_enable(link->timer, LOOP_OFF);
	if (asking)
		link->events->rejected(link->userdata, reason, message);
	else
		link->events->revoked(link->userdata, reason, message);
}

/* ---- AuthorizeSSH ---- */

/* The agent that is there is asked: whatever another one was about to say went with it. */
static void ask(struct agent_link *link)
{
	int r = link->client ? 0 : link_connect(link);

	if (r == 0)
		r = varlink_client_send(link->client, INTERFACE ".AuthorizeSSH",
					agent_authorize_params(&link->config, link->ssh_user), true,
					CALL_TIMEOUT_USEC);
	if (r == 0) {
		arm(link, link->give_up_usec);
		return;
	}
	log_debug_errno(r, "The agent cannot be asked now");
	link_disconnect(link);
	arm_retry(link);
}

/* Within the time of an answer; a person who was asked has no more than his own. */
static void enter_asking(struct agent_link *link)
{
	link->state = LINK_ASKING;
	link->give_up_usec = clock_usec(CLOCK_MONOTONIC) + AGENT_ANSWER_USEC;
	if (link->check_end_usec > 0 && link->check_end_usec < link->give_up_usec)
		link->give_up_usec = link->check_end_usec;
}

int agent_link_authorize(struct agent_link *link, const char *ssh_user)
{
	link->ssh_user = strdup(ssh_user);
	if (!link->ssh_user)
		return -ENOMEM;
	enter_asking(link);
	ask(link);
	return 0;
}

/* ---- absence ---- */

/* since: when it was last known to be there. */
static void enter_absent(struct agent_link *link, uint64_t since)
{
	link_disconnect(link);
	if (link->state == LINK_HELD) {
		link->give_up_usec = since + link->config.max_absence_usec;
		link->retry_usec = RETRY_FIRST_USEC;
	}
	link->state = LINK_ABSENT;
	arm_retry(link);
}

/* The connection failed; what that means depends on what was under way. */
static void link_lost(struct agent_link *link)
{
	switch (link->state) {
	case LINK_ASKING:
	case LINK_CHECK:
		log_notice("The agent went away while it was asked; asking the next one");
		link_disconnect(link);
		if (link->state == LINK_CHECK) {
			link->retry_usec = RETRY_FIRST_USEC;
			enter_asking(link);
		}
		arm_retry(link);
		break;
	case LINK_HELD:
		log_notice("The agent went away; the session goes on under its lease");
		enter_absent(link, clock_usec(CLOCK_MONOTONIC));
		break;
	case LINK_RESUMING:
		enter_absent(link, 0);
		break;
	case LINK_IDLE:
	case LINK_ABSENT:
	case LINK_OVER:
		link_disconnect(link);
		break;
	}
}

static void resume(struct agent_link *link)
{
	uint64_t overdue = clock_usec(CLOCK_MONOTONIC) + CALL_TIMEOUT_USEC;

	if (link_connect(link) < 0) {
		arm_retry(link);
		return;
	}
	link->state = LINK_RESUMING;
	arm(link, overdue < link->give_up_usec ? overdue : link->give_up_usec);
	if (varlink_client_send(link->client, INTERFACE ".ResumeSSH", json_incref(link->resume),
				true, CALL_TIMEOUT_USEC) < 0)
		enter_absent(link, 0);
}

static uint64_t silence_limit(const struct agent_link *link)
{
	return link->interval_usec ? link->heard_usec + SILENT_INTERVALS * link->interval_usec
				   : UINT64_MAX;
}

static void receive(struct agent_link *link);

/* Its words may be waiting, if it is us who were held up. */
static void on_silence(struct agent_link *link)
{
	receive(link);
	if (link->state != LINK_HELD || clock_usec(CLOCK_MONOTONIC) < silence_limit(link))
		return;
	log_notice("The agent has said nothing for %llu s, it hangs; the session goes on under its "
		   "lease",
		   (unsigned long long)(SILENT_INTERVALS * link->interval_usec / USEC_PER_SEC));
	enter_absent(link, link->heard_usec);
}

static void on_timer(struct loop_source *source, uint64_t usec, void *userdata)
{
	struct agent_link *link = userdata;
	bool over = clock_usec(CLOCK_MONOTONIC) >= link->give_up_usec;

	switch (link->state) {
	case LINK_ASKING:
		if (over)
			link_over(link, "agent-lost",
				  "the agent of this host does not answer; try again");
		else
			ask(link);
		break;
	case LINK_CHECK:
		link_over(link, "check-timeout", "nobody confirmed the login in time; try again");
		break;
	case LINK_HELD:
		on_silence(link);
		break;
	case LINK_ABSENT:
	case LINK_RESUMING:
		if (over)
			link_over(link, "agent-absent",
				  "the agent of this host has been away for too long");
		else if (link->state == LINK_RESUMING)
			enter_absent(link, 0);
		else
			resume(link);
		break;
	case LINK_IDLE:
	case LINK_OVER:
		break;
	}
}

/* ---- answers ---- */

static void enter_held(struct agent_link *link, const struct lease_answer *answer)
{
	uint64_t interval = answer->keep_interval_usec;

	if (interval > INTERVAL_LONGEST_USEC)
		interval = INTERVAL_LONGEST_USEC;
	if (interval > 0 && interval < INTERVAL_SHORTEST_USEC)
		interval = INTERVAL_SHORTEST_USEC;
	link->interval_usec = interval;
	link->state = LINK_HELD;
	if (interval > 0)
		arm(link, silence_limit(link));
	else
		loop_time_enable(link->timer, LOOP_OFF);
}

static void on_accept(struct agent_link *link, struct lease_answer *answer)
{
	link->resume = agent_resume_params(&link->config, link->ssh_user, &answer->lease);
	if (!link->resume) {
		link_over(link, "memory", "this host is out of memory; try again");
		return;
	}
	enter_held(link, answer);
	link->events->accepted(link->userdata, &answer->lease);
}

/* Signs of life it gives only for leases; that the socket closes shows if it goes. */
static void on_check(struct agent_link *link, const struct lease_answer *answer)
{
	if (link->check_end_usec == 0)
		link->check_end_usec =
			clock_usec(CLOCK_MONOTONIC) + link->config.check_timeout_usec;
	link->state = LINK_CHECK;
	link->give_up_usec = link->check_end_usec;
	arm(link, link->give_up_usec);
	link->events->check(link->userdata, &answer->check);
}

static void on_keep(struct agent_link *link, const struct lease_answer *answer)
{
	if (link->state == LINK_RESUMING)
		log_info("The agent is back and keeps the lease");
	enter_held(link, answer);
	link->events->retimed(link->userdata, answer->lease.valid_until);
	link->events->handshake(link->userdata,
				answer->handshake.read_usec > 0 ? &answer->handshake : NULL);
}

/* Return: whether the answer fits the state. */
static bool on_answer(struct agent_link *link, struct lease_answer *answer)
{
	bool asking = is_asking(link);

	switch (answer->state) {
	case LEASE_CHECK:
		if (asking)
			on_check(link, answer);
		return asking;
	case LEASE_ACCEPT:
		if (asking)
			on_accept(link, answer);
		return asking;
	case LEASE_KEEP:
		if (!asking)
			on_keep(link, answer);
		return !asking;
	case LEASE_REJECT:
		if (asking)
			link_over(link, answer->reason, answer->message);
		return asking;
	case LEASE_REVOKED:
		if (!asking)
			link_over(link, answer->reason, answer->message);
		return !asking;
	}
	return false;
}

/* What is not understood lets nobody in, and is no end either: the agent is asked to say it anew.
 */
static void on_nonsense(struct agent_link *link, const char *text)
{
	log_warning("The agent's answer makes no sense here: %s", text);
	if (is_asking(link))
		link_over(link, "agent-error",
			  "the agent of this host gave an answer that is not understood; try "
			  "again");
	else
		link_lost(link);
}

static void on_error(struct agent_link *link, const char *error)
{
	/* NotReady: it has no map yet. Anything else is answered the same way: ask again. */
	log_debug("The agent answered %s", error);
	if (is_asking(link))
		link_over(link, "agent-error",
			  "the agent of this host cannot decide now (its map is missing or not "
			  "valid); try again");
	else
		link_lost(link);
}

static void on_reply(struct agent_link *link, const struct varlink_reply *reply)
{
	struct lease_answer answer = { 0 };
	_cleanup_free_ char *text = NULL;

	link->heard_usec = clock_usec(CLOCK_MONOTONIC);
	if (reply->error)
		on_error(link, reply->error);
	else if (lease_answer_read(reply->parameters, &answer, &text) < 0)
		on_nonsense(link, text ? text : "no memory");
	else if (!on_answer(link, &answer))
		on_nonsense(link, "it fits no question");
	lease_answer_done(&answer);
}

static void receive(struct agent_link *link)
{
	while (link->client) {
		struct varlink_reply reply = { 0 };
		int r = varlink_client_receive(link->client, 0, &reply);

		if (r == -EAGAIN)
			return;
		if (r < 0) {
			link_lost(link);
			return;
		}
		on_reply(link, &reply);
		varlink_reply_done(&reply);
	}
}

static void on_readable(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
	receive(userdata);
}
