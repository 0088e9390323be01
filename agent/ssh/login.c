#include "agent/ssh/login.h"

#include <string.h>

#include "agent/ssh/reach.h"

static void refuse(struct ssh_login *login, const char *reason, const char *message)
{
	login->reason = reason;
	login->message = strdup(message);
}

static void judge_rules(const struct netmap *map, const struct ip_addr *address,
			const struct ip_addr *local_address, const char *ssh_user, bool can_check,
			uint64_t now_usec, struct ssh_login *login)
{
	struct ssh_decision *d = &login->decision;

	ssh_policy_decide(map, address, ssh_user, now_usec, d);
	if (d->verdict == SSH_VERDICT_CHECK && !can_check) {
		d->verdict = SSH_VERDICT_REJECT;
		d->reason = SSH_REJECT_CHECK;
	}
	if (d->verdict == SSH_VERDICT_REJECT) {
		login->reason = ssh_reject_reason_to_string(d->reason);
		login->message = ssh_decision_explain(map, d, ssh_user);
		return;
	}
	/* Packets that the filter drops do not get this far: nobody may rely on that alone. */
	if (!ssh_reach_has(map->ssh_reach, address, local_address))
		refuse(login, "unreachable",
		       "an SSH rule lets you in, but no packet filter rule lets your device reach "
		       "SSH on this host");
	else if (d->verdict == SSH_VERDICT_CHECK)
		login->needs_check = true;
	else
		login->accepted = true;
}

void ssh_login_judge(const struct netmap *map, const struct ip_addr *address,
		     const struct ip_addr *local_address, const char *ssh_user, bool can_check,
		     uint64_t now_usec, struct ssh_login *ret_login)
{
	*ret_login = (struct ssh_login){ 0 };
	if (!map)
		refuse(ret_login, "no-map", "this host has no network map yet; try again later");
	else if (!netmap_is_own_address(map, local_address))
		refuse(ret_login, "local-address",
		       "SSH by the mesh is served on mesh addresses only");
	else if (netmap_is_own_address(map, address))
		refuse(ret_login, "self", "this host does not log in to itself by the mesh");
	else
		judge_rules(map, address, local_address, ssh_user, can_check, now_usec, ret_login);
}

void ssh_login_done(struct ssh_login *login)
{
	free(login->message);
	*login = (struct ssh_login){ 0 };
}
