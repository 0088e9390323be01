/* What the agent knows; peers that have been quiet are sent something first, to see them answer. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/ctl/doctor/doctor.h"
#include "common/cli/value.h"
#include "common/clock.h"
#include "common/varlink.h"

#define MAX_POKED    16
#define DISCARD_PORT 9 /* RFC 863: nobody minds */
#define FRESH_USEC   (150 * USEC_PER_SEC)
/* WireGuard asks again after 5 s (REKEY_TIMEOUT): one question, its answer, and some. */
#define PATIENCE_USEC (4 * USEC_PER_SEC)
/* What the agent says of peers is up to a second old. */
#define LOOK_AGAIN_MS 1100

/* What goes wrong later is told by ctl_call(); here only whether anybody is there matters. */
static int reach(struct ctl *ctl)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;

	return varlink_client_connect(ctl->socket, PATIENCE_USEC, &client);
}

static bool is_quiet(const json_t *peer, uint64_t now_usec)
{
	const json_t *node = json_object_get(peer, "node");

	return json_object_get(peer, "endpoint") &&
	       !json_is_true(json_object_get(node, "keyExpired")) &&
	       !doctor_peer_is_offline(peer) &&
	       value_number(peer, "lastHandshake") + FRESH_USEC < now_usec;
}

/* An empty datagram: WireGuard makes a handshake for it, whatever the peer does with it then. */
static void poke(const json_t *peer)
{
	const json_t *addresses = json_object_get(json_object_get(peer, "node"), "addresses");
	const char *text = json_string_value(json_array_get(addresses, 0));
	struct ip_endpoint to = { .port = DISCARD_PORT };
	struct sockaddr_storage sa;
	_cleanup_close_ int fd = -1;
	socklen_t len;

	if (!text || ip_addr_parse(text, &to.addr) < 0)
		return;
	fd = socket(to.addr.family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	len = ip_endpoint_to_sockaddr(&to, &sa);
	(void)sendto(fd, "", 0, 0, (struct sockaddr *)&sa, len);
}

static const char *name_of(const json_t *peer)
{
	return value_text(json_object_get(peer, "node"), "nodeName");
}

/* Poke the first of those that are quiet. */
static void poke_quiet(const json_t *reply, json_t *asked)
{
	const json_t *peers = json_object_get(reply, "peers");
	uint64_t now = clock_usec(CLOCK_REALTIME);

	for (size_t i = 0; i < json_array_size(peers) && json_object_size(asked) < MAX_POKED; i++) {
		const json_t *peer = json_array_get(peers, i);

		if (is_quiet(peer, now) &&
		    json_object_set_new(asked, name_of(peer), json_true()) == 0)
			poke(peer);
	}
}

/* One of those that were asked has not answered. */
static bool is_any_quiet(const json_t *reply, const json_t *asked)
{
	const json_t *peers = json_object_get(reply, "peers");
	uint64_t now = clock_usec(CLOCK_REALTIME);

	for (size_t i = 0; i < json_array_size(peers); i++) {
		const json_t *peer = json_array_get(peers, i);

		if (json_object_get(asked, name_of(peer)) && is_quiet(peer, now))
			return true;
	}
	return false;
}

static void ask_peers(struct ctl *ctl, struct doctor_facts *facts)
{
	uint64_t until = clock_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;

	if (ctl_call_parts(ctl, "GetPeers", &facts->peers) != CLI_OK)
		return;
	facts->asked = json_object();
	poke_quiet(facts->peers, facts->asked);
	while (is_any_quiet(facts->peers, facts->asked) && clock_usec(CLOCK_MONOTONIC) < until) {
		json_t *again = NULL;

		(void)poll(NULL, 0, LOOK_AGAIN_MS);
		if (ctl_call_parts(ctl, "GetPeers", &again) != CLI_OK)
			return;
		json_decref(facts->peers);
		facts->peers = again;
	}
}

void doctor_gather_agent(struct ctl *ctl, struct doctor_facts *facts)
{
	facts->agent_error = reach(ctl);
	if (facts->agent_error < 0)
		return;
	if (ctl_call(ctl, "Status", NULL, NULL, &facts->status) != CLI_OK) {
		facts->agent_error = -ETIME;
		return;
	}
	/* Without a map there is nothing else to ask for. */
	if (!json_object_get(facts->status, "generation"))
		return;
	(void)ctl_call_parts(ctl, "GetFilter", &facts->filter);
	(void)ctl_call_parts(ctl, "GetKnownHosts", &facts->known_hosts);
	ask_peers(ctl, facts);
}
