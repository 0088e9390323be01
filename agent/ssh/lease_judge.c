#include "agent/ssh/lease_judge.h"

#include <string.h>

#include "agent/ssh/reach.h"
#include "common/text.h"

static int not_kept(struct lease_judgement *j, enum lease_end end, char *message)
{
	j->end = end;
	j->message = message;
	return LEASE_REVOKED;
}

const char lease_text_time_is_over[] = "the time that the policy allows is over";

static bool str_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static int judge_node(const struct lease_terms *terms, const struct netmap *map,
		      struct lease_judgement *j)
{
	const struct netmap_node *peer;
	char addr[IP_ADDR_STRLEN];

	if (!map)
		return not_kept(j, LEASE_END_NO_MAP, text_printf("this host has no network map"));

	ip_addr_to_string(&terms->address, addr);
	peer = netmap_peer_by_address(map, &terms->address);
	if (!peer)
		return not_kept(j, LEASE_END_NODE_GONE,
				text_printf("%s was removed from the network", addr));
	if (strcmp(peer->id, terms->node_id) != 0)
		return not_kept(j, LEASE_END_ADDRESS_MOVED,
				text_printf("%s now belongs to another device", addr));
	return 0;
}

/* The rule still lets this peer in as this user: does it give all that was granted? */
static int judge_rights(const struct lease_terms *terms, const struct ssh_decision *d,
			struct lease_judgement *j)
{
	const struct ssh_forwarding *had = &terms->forwarding, *has = &d->rule->forwarding;

	/*
	 * "Not uid 0" cannot be checked from here. It was not asked for when the login was
	 * granted, so nobody did check.
	 */
	if (strcmp(d->local_user, terms->local_user) != 0 || (d->nonroot && !terms->nonroot))
		return not_kept(j, LEASE_END_LOCAL_USER,
				text_printf("the policy leads \"%s\" to another account now",
					    terms->ssh_user));
	if ((had->agent && !has->agent) || (had->local && !has->local) ||
	    (had->remote && !has->remote))
		return not_kept(j, LEASE_END_FORWARDING,
				text_printf("the policy allows less forwarding now"));
	if (!str_equal(terms->force_command, d->rule->force_command))
		return not_kept(j, LEASE_END_FORCE_COMMAND,
				text_printf("the policy forces another command now"));
	return 0;
}

/*
 * The gateway's flow is not among the connections that kernel_revoke() destroys: it is the end of
 * the lease that ends the session.
 */
static int judge_reach(const struct lease_terms *terms, const struct netmap *map,
		       struct lease_judgement *j)
{
	char addr[IP_ADDR_STRLEN];

	if (terms->local_address.family == AF_UNSPEC
		    ? ssh_reach_has_any(map->ssh_reach, &terms->address)
		    : ssh_reach_has(map->ssh_reach, &terms->address, &terms->local_address))
		return 0;
	return not_kept(j, LEASE_END_UNREACHABLE,
			text_printf("the packet filter does not let %s reach SSH here any more",
				    ip_addr_to_string(&terms->address, addr)));
}

static enum lease_end end_for(enum ssh_reject_reason reason)
{
	if (reason == SSH_REJECT_SSH_OFF)
		return LEASE_END_SSH_OFF;
	if (reason == SSH_REJECT_KEY_EXPIRED || reason == SSH_REJECT_HOST_EXPIRED)
		return LEASE_END_KEY_EXPIRED;
	return LEASE_END_POLICY;
}

int lease_judge(const struct lease_terms *terms, const struct netmap *map, uint64_t now_usec,
		struct lease_judgement *j)
{
	struct ssh_decision d;
	int r;

	r = judge_node(terms, map, j);
	if (r != 0)
		return r;

	/* "accept" that became "check" keeps, as what a check let in: who is in has been let in. */
	ssh_policy_decide(map, &terms->address, terms->ssh_user, now_usec, &d);
	if (d.verdict == SSH_VERDICT_REJECT)
		return not_kept(j, end_for(d.reason),
				ssh_decision_explain(map, &d, terms->ssh_user));
	if (d.valid_until <= now_usec)
		return not_kept(j, LEASE_END_EXPIRED, text_printf("%s", lease_text_time_is_over));

	r = judge_rights(terms, &d, j);
	if (r == 0)
		r = judge_reach(terms, map, j);
	if (r == 0)
		j->valid_until = d.valid_until;
	return r;
}
