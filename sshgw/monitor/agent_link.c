#include "sshgw/monitor/agent_link.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/log.h"
#include "common/text.h"
#include "common/varlink.h"
#include "peergate-config.h"

#define CALL_TIMEOUT_USEC (5 * 1000000ull)
#define RETRY_USEC	  (200 * 1000ull)
#define INTERFACE	  "io.peergate.Agent"

enum link_state {
	LINK_IDLE,     /* connected; nothing asked */
	LINK_ASKED,    /* AuthorizeSSH is under way */
	LINK_HELD,     /* the lease holds; "keep" or "revoked" may come */
	LINK_ABSENT,   /* the agent is away; tried again every RETRY_USEC */
	LINK_RESUMING, /* ResumeSSH is under way */
	LINK_OVER,     /* rejected or revoked */
};

struct agent_link {
	sd_event *event;
	sd_event_source *io, *retry;
	struct varlink_client *client;
	struct agent_link_config config;
	const struct agent_link_events *events;
	void *userdata;
	enum link_state state;
	char *ssh_user;
	json_t *resume;	       /* parameters of ResumeSSH, once a lease is held */
	uint64_t absent_since; /* CLOCK_MONOTONIC usec */
};

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata);
static int on_retry(sd_event_source *source, uint64_t usec, void *userdata);

/* ---- connecting ---- */

/* Whoever serves the socket must be the agent: a squatter in its directory lets nobody in. */
static int check_server(const struct varlink_client *client)
{
	const struct passwd *pw;
	struct ucred creds;
	int r = varlink_client_server_creds(client, &creds);

	if (r < 0)
		return r;
	if (creds.uid == 0)
		return 0;
	pw = getpwnam(PEERGATE_AGENT_USER);
	return pw && pw->pw_uid == creds.uid ? 0 : -EPERM;
}

static int link_connect(struct agent_link *link)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
	int r;

	r = varlink_client_connect(link->config.socket_path, &client);
	if (r == 0)
		r = check_server(client);
	if (r == 0)
		r = sd_event_add_io(link->event, &link->io, varlink_client_fd(client), EPOLLIN,
				    on_readable, link);
	if (r < 0)
		return r;
	link->client = take_ptr(client);
	return 0;
}

static void link_disconnect(struct agent_link *link)
{
	link->io = sd_event_source_disable_unref(link->io);
	link->client = varlink_client_free(link->client);
}

int agent_link_new(sd_event *event, const struct agent_link_config *config,
		   const struct agent_link_events *events, void *userdata,
		   struct agent_link **ret_link)
{
	_cleanup_(agent_link_freep) struct agent_link *link = calloc(1, sizeof(*link));
	int r;

	if (!link)
		return -ENOMEM;
	link->event = event;
	link->config = *config;
	link->events = events;
	link->userdata = userdata;
	r = link_connect(link);
	if (r == 0)
		r = sd_event_add_time(event, &link->retry, CLOCK_MONOTONIC, 0, 1000, on_retry,
				      link);
	if (r == 0)
		r = sd_event_source_set_enabled(link->retry, SD_EVENT_OFF);
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
	sd_event_source_disable_unref(link->retry);
	json_decref(link->resume);
	free(link->ssh_user);
	free(link);
	return NULL;
}

/* ---- calls ---- */

int agent_link_who_is(struct agent_link *link, const struct ip_addr *addr)
{
	char text[IP_ADDR_STRLEN];
	struct varlink_reply reply = { 0 };
	int r;

	r = varlink_client_call(link->client, INTERFACE ".WhoIs",
				json_pack("{s:s}", "address", ip_addr_to_string(addr, text)),
				CALL_TIMEOUT_USEC, &reply);
	if (r < 0)
		return r;
	if (!reply.error)
		r = 0;
	else if (strcmp(reply.error, INTERFACE ".NotAPeer") == 0)
		r = json_is_true(json_object_get(reply.parameters, "self")) ? AGENT_OWN_ADDRESS
									    : AGENT_UNKNOWN_ADDRESS;
	else
		r = strcmp(reply.error, INTERFACE ".NotReady") == 0 ? -EAGAIN : -EPROTO;
	varlink_reply_done(&reply);
	return r;
}

int agent_link_authorize(struct agent_link *link, const char *ssh_user)
{
	char peer[IP_ADDR_STRLEN], local[IP_ADDR_STRLEN];
	int r;

	link->ssh_user = strdup(ssh_user);
	if (!link->ssh_user)
		return -ENOMEM;
	r = varlink_client_send(link->client, INTERFACE ".AuthorizeSSH",
				json_pack("{s:s, s:i, s:s, s:s, s:s}", "address",
					  ip_addr_to_string(&link->config.peer.addr, peer), "port",
					  (int)link->config.peer.port, "localAddress",
					  ip_addr_to_string(&link->config.local, local), "sshUser",
					  ssh_user, "connection", link->config.connection),
				true, CALL_TIMEOUT_USEC);
	if (r == 0)
		link->state = LINK_ASKED;
	return r;
}

static json_t *resume_parameters(const struct agent_link *link, const struct lease *lease)
{
	char peer[IP_ADDR_STRLEN], local[IP_ADDR_STRLEN];

	return json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:{s:{s:b, s:b, s:b}, s:s*}}",
		"leaseId", lease->id, "nodeId", lease->node_id, "nodeKey", lease->node_key,
		"address", ip_addr_to_string(&link->config.peer.addr, peer), "localAddress",
		ip_addr_to_string(&link->config.local, local), "sshUser", link->ssh_user,
		"localUser", lease->local_user, "nonroot", (int)lease->nonroot, "connection",
		link->config.connection, "options", "forwarding", "agent",
		(int)lease->forward_agent, "local", (int)lease->forward_local, "remote",
		(int)lease->forward_remote, "forceCommand", lease->force_command);
}

/* ---- absence ---- */

static void schedule_retry(struct agent_link *link, uint64_t delay_usec)
{
	uint64_t now;

	sd_event_now(link->event, CLOCK_MONOTONIC, &now);
	sd_event_source_set_time(link->retry, now + delay_usec);
	sd_event_source_set_enabled(link->retry, SD_EVENT_ONESHOT);
}

static void enter_absent(struct agent_link *link)
{
	link_disconnect(link);
	if (link->state == LINK_HELD) {
		sd_event_now(link->event, CLOCK_MONOTONIC, &link->absent_since);
		log_notice("The agent went away; the session goes on under its lease");
	}
	link->state = LINK_ABSENT;
	schedule_retry(link, RETRY_USEC);
}

static void link_over(struct agent_link *link, const char *reason, const char *message)
{
	enum link_state before = link->state;

	link->state = LINK_OVER;
	link_disconnect(link);
	sd_event_source_set_enabled(link->retry, SD_EVENT_OFF);
	if (before == LINK_ASKED)
		link->events->rejected(link->userdata, reason, message);
	else
		link->events->revoked(link->userdata, reason, message);
}

/* The connection failed; what that means depends on what was under way. */
static void link_lost(struct agent_link *link)
{
	switch (link->state) {
	case LINK_ASKED:
		link_over(link, "agent-lost", "the agent of this host went away; try again");
		break;
	case LINK_HELD:
	case LINK_RESUMING:
		enter_absent(link);
		break;
	case LINK_IDLE:
	case LINK_ABSENT:
	case LINK_OVER:
		link_disconnect(link);
		break;
	}
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct agent_link *link = userdata;
	uint64_t now;

	if (link->state == LINK_RESUMING)
		enter_absent(link); /* no answer in time */
	if (link->state != LINK_ABSENT)
		return 0;
	sd_event_now(link->event, CLOCK_MONOTONIC, &now);
	if (now - link->absent_since >= link->config.max_absence_usec) {
		link_over(link, "agent-absent",
			  "the agent of this host has been away for too long");
		return 0;
	}
	if (link_connect(link) < 0) {
		schedule_retry(link, RETRY_USEC);
		return 0;
	}
	link->state = LINK_RESUMING;
	schedule_retry(link, CALL_TIMEOUT_USEC);
	if (varlink_client_send(link->client, INTERFACE ".ResumeSSH", json_incref(link->resume),
				true, CALL_TIMEOUT_USEC) < 0)
		enter_absent(link);
	return 0;
}

/* ---- answers ---- */

static void on_accept(struct agent_link *link, struct lease *lease)
{
	link->resume = resume_parameters(link, lease);
	if (!link->resume) {
		link_over(link, "memory", "this host is out of memory; try again");
		return;
	}
	link->state = LINK_HELD;
	link->events->accepted(link->userdata, lease);
}

static void on_keep(struct agent_link *link, uint64_t valid_until)
{
	if (link->state == LINK_RESUMING)
		log_info("The agent is back and keeps the lease");
	sd_event_source_set_enabled(link->retry, SD_EVENT_OFF);
	link->state = LINK_HELD;
	link->events->retimed(link->userdata, valid_until);
}

static void on_answer(struct agent_link *link, struct lease_answer *answer)
{
	switch (answer->state) {
	case LEASE_ACCEPT:
		if (link->state == LINK_ASKED) {
			on_accept(link, &answer->lease);
			return;
		}
		break;
	case LEASE_KEEP:
		if (link->state == LINK_HELD || link->state == LINK_RESUMING) {
			on_keep(link, answer->lease.valid_until);
			return;
		}
		break;
	case LEASE_REJECT:
		if (link->state == LINK_ASKED) {
			link_over(link, answer->reason, answer->message);
			return;
		}
		break;
	case LEASE_REVOKED:
		if (link->state != LINK_ASKED) {
			link_over(link, answer->reason, answer->message);
			return;
		}
		break;
	}
	log_warning("The agent sent an answer that fits no question");
	link_lost(link);
}

static void on_reply(struct agent_link *link, const struct varlink_reply *reply)
{
	struct lease_answer answer = { 0 };
	_cleanup_free_ char *text = NULL;

	if (reply->error) {
		/* NotReady: it has no map yet. Anything else is answered the same way: ask again.
		 */
		log_debug("The agent answered %s", reply->error);
		if (link->state == LINK_ASKED)
			link_over(link, "agent-error",
				  "the agent of this host cannot decide now (its map is missing "
				  "or not valid); try again");
		else
			link_lost(link);
		return;
	}
	if (lease_answer_read(reply->parameters, &answer, &text) < 0) {
		log_warning("The agent's answer cannot be read: %s", text ? text : "no memory");
		link_lost(link);
		return;
	}
	on_answer(link, &answer);
	lease_answer_done(&answer);
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct agent_link *link = userdata;

	while (link->client) {
		struct varlink_reply reply = { 0 };
		int r = varlink_client_receive(link->client, 0, &reply);

		if (r == -EAGAIN)
			return 0;
		if (r < 0) {
			link_lost(link);
			return 0;
		}
		on_reply(link, &reply);
		varlink_reply_done(&reply);
	}
	return 0;
}
