/* The sentences that people at the other end of a login read. */
#include "agent/ssh/policy.h"

#include "common/text.h"

#define SHOWN_USER_MAX 64 /* bytes of a name that somebody typed */

static char *explain_reject(const char *host, const struct ssh_decision *d, const char *user)
{
	const char *who = d->peer ? netmap_node_owner(d->peer) : "";
	const char *device = d->peer ? d->peer->name : "";

	switch (d->reason) {
	case SSH_REJECT_NONE:
		break;
	case SSH_REJECT_NOT_A_PEER:
		return text_printf("%s does not know your address; connect from a device of the "
				   "mesh, by its own mesh address",
				   host);
	case SSH_REJECT_KEY_EXPIRED:
		return text_printf("the key of your device %s has expired; log the device in to "
				   "the mesh again",
				   device);
	case SSH_REJECT_HOST_EXPIRED:
		return text_printf("the key of %s itself has expired; ask who runs this host to "
				   "log it in to the mesh again",
				   host);
	case SSH_REJECT_SSH_OFF:
		return text_printf("SSH through the mesh is switched off for %s; ask who runs this "
				   "host to switch it on",
				   host);
	case SSH_REJECT_NO_RULE:
		return text_printf("no SSH rule lets %s (%s) log in to %s; ask who runs the policy "
				   "for one",
				   who, device, host);
	case SSH_REJECT_USER:
		return text_printf("the SSH rules do not let %s (%s) log in to %s as user \"%s\"; "
				   "try another user, or ask who runs the policy",
				   who, device, host, user);
	case SSH_REJECT_BY_RULE:
		return text_printf("an SSH rule with the action \"%s\" refuses %s (%s) on %s; ask "
				   "who runs the policy",
				   d->rule ? d->rule->action_text : "reject", who, device, host);
	case SSH_REJECT_CHECK:
		return text_printf("logging in to %s as user \"%s\" needs a check of your "
				   "presence, which takes a coordinator, and this host has none; "
				   "who runs the policy may make it \"accept\" in %s",
				   host, user,
				   d->rule && d->rule->origin ? d->rule->origin : "the SSH rule");
	case SSH_REJECT_RECORDER:
		return text_printf("logging in to %s as user \"%s\" has to be recorded, which %s "
				   "cannot do; ask who runs the policy",
				   host, user, host);
	case SSH_REJECT_BAD_USER:
		return text_printf("\"%s\" is no user name that %s accepts; try the name of an "
				   "account there",
				   user, host);
	}
	return text_printf("%s refuses the login", host);
}

char *ssh_decision_explain(const struct netmap *map, const struct ssh_decision *decision,
			   const char *ssh_user)
{
	_cleanup_free_ char *user = text_sanitize(ssh_user, SHOWN_USER_MAX);

	if (!user)
		return NULL;
	switch (decision->verdict) {
	case SSH_VERDICT_REJECT:
		break;
	case SSH_VERDICT_ACCEPT:
		return text_printf("%s (%s) may log in to %s as user \"%s\"",
				   netmap_node_owner(decision->peer), decision->peer->name,
				   map->self.name, decision->local_user);
	case SSH_VERDICT_CHECK:
		return text_printf("%s (%s) may log in to %s as user \"%s\" after a check",
				   netmap_node_owner(decision->peer), decision->peer->name,
				   map->self.name, decision->local_user);
	}
	return explain_reject(map->self.name, decision, user);
}
