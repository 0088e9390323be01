/*
 * The monitor's connection to the agent: who is the peer, may it log in, and does the lease still
 * hold. Survives the agent's absence: it reconnects, and asks again or resumes. An agent that does
 * not say a word for too long is as good as gone, though its socket be open.
 */
#pragma once

#include "common/cleanup.h"
#include "common/ip.h"
#include "common/loop.h"
#include "sshgw/monitor/lease.h"

struct agent_link;

struct agent_link_events {
	/*
	 * Before that answer: a person is asked, who may take check_timeout_usec. With other words
	 * it may come again.
	 */
	void (*check)(void *userdata, const struct lease_check *check);
	/* The one answer to agent_link_authorize(); lease is the callee's to take. */
	void (*accepted)(void *userdata, struct lease *lease);
	void (*rejected)(void *userdata, const char *reason, const char *message);
	/* After accepted: the right ends then, also if that is no news; the right is gone (last
	 * call). */
	void (*retimed)(void *userdata, uint64_t valid_until);
	void (*revoked)(void *userdata, const char *reason, const char *message);
	/* After accepted: of the peer, also if that is no news; NULL: none is known. */
	void (*handshake)(void *userdata, const struct lease_handshake *handshake);
};

struct agent_link_config {
	const char *socket_path;
	uint64_t max_absence_usec;
	uint64_t check_timeout_usec;
	struct ip_endpoint peer;
	struct ip_addr local;
	const char *connection; /* our name for it, in the journal */
};

/* Connects when first needed. config's strings and events are borrowed. Return: 0, negative errno.
 */
int agent_link_new(struct loop *loop, const struct agent_link_config *config,
		   const struct agent_link_events *events, void *userdata,
		   struct agent_link **ret_link);
struct agent_link *agent_link_free(struct agent_link *link);
DEFINE_CLEANUP(struct agent_link *, agent_link_free);

enum {
	AGENT_UNKNOWN_ADDRESS = 1, /* nobody's */
	AGENT_OWN_ADDRESS,	   /* this host's */
	AGENT_NO_MAP,		   /* it cannot tell yet */
};
/*
 * Whose address is it? Waits for the answer, and for an agent that is just being restarted, until
 * deadline (CLOCK_MONOTONIC usec). Return: 0: a peer's; the above; negative errno (-EPERM: it is
 * not the agent who serves the socket).
 */
int agent_link_who_is(struct agent_link *link, const struct ip_addr *addr, uint64_t deadline);

/*
 * Ask for the login. The answer comes as an event, within AGENT_ANSWER_USEC: if the agent goes away
 * meanwhile, the one that comes back is asked, also while a person is. Return: 0, negative errno.
 */
#define AGENT_ANSWER_USEC (10 * 1000000ull)
int agent_link_authorize(struct agent_link *link, const char *ssh_user);
