#include "sshgw/monitor/origin.h"

#include <errno.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/log.h"
#include "sshgw/monitor/monitor.h"

#define SSH_PORT 22

static int refuse_connection(struct monitor *m, const char *why)
{
	char peer[IP_ENDPOINT_STRLEN], local[IP_ENDPOINT_STRLEN];

	story_why(m, why);
	log_notice("Closed a connection from %s to %s: %s", ip_endpoint_to_string(&m->peer, peer),
		   ip_endpoint_to_string(&m->local, local), why);
	return -EPERM;
}

/*
 * The agent cannot say who this is. RFC 4253, section 4.2, lets a server send other lines before
 * its version: as sshd does when it turns somebody away. OpenSSH's client shows them with -v.
 */
static int no_answer(struct monitor *m, int r)
{
	static const char line[] =
		"Peergate: the agent of this host does not answer, or has no map; "
		"try again\r\n";

	if (send(m->config.connection_fd, line, sizeof(line) - 1, MSG_NOSIGNAL) < 0)
		log_debug_errno(-errno, "The client cannot be told");
	if (r == AGENT_NO_MAP)
		return refuse_connection(m, "the agent has no map yet");
	story_why(m, "the agent does not answer");
	return log_error_errno(r, "The agent at %s does not answer, closed the connection",
			       m->config.agent_socket);
}

/*
 * Whoever did not come through TPROXY, from a peer, to a mesh address of this host, gets nothing:
 * not by way of loopback, not from this host itself.
 */
int origin_check(struct monitor *m)
{
	uint64_t deadline = clock_usec(CLOCK_MONOTONIC) + AGENT_ANSWER_USEC;
	int r;

	if (m->local.port != SSH_PORT || ip_addr_is_special(&m->local.addr))
		return refuse_connection(m, "it did not come in through the mesh");
	if (ip_addr_equal(&m->peer.addr, &m->local.addr))
		return refuse_connection(m, "it comes from this host itself");
	r = agent_link_who_is(m->agent, &m->local.addr, deadline);
	if (r < 0 || r == AGENT_NO_MAP)
		return no_answer(m, r);
	if (r != AGENT_OWN_ADDRESS)
		return refuse_connection(m, "its destination is no mesh address of this host");
	r = agent_link_who_is(m->agent, &m->peer.addr, deadline);
	if (r < 0 || r == AGENT_NO_MAP)
		return no_answer(m, r);
	if (r == 0)
		return 0;
	m->story.misbehaved = true;
	return refuse_connection(m, "its source is no peer's address");
}
