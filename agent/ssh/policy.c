#include "agent/ssh/policy.h"

#include <string.h>

#include "common/text.h"

#define USER_MAX 256

bool ssh_user_is_valid(const char *name)
{
	size_t len = strlen(name);

	if (len < 1 || len > USER_MAX || strchr("-+ \t", name[0]) || strchr(" \t", name[len - 1]))
		return false;
	return !strpbrk(name, "/:") && text_is_utf8(name) && !text_has_control(name);
}

/*
 * The account that the rule gives: an exact name before "*". NULL: none, or "" which says that
 * this user may not.
 */
static const char *find_local_user(const struct ssh_rule *rule, const char *ssh_user)
{
	const char *local = NULL;

	for (size_t i = 0; i < rule->n_users; i++) {
		if (strcmp(rule->users[i].ssh_user, ssh_user) == 0) {
			local = rule->users[i].local_user;
			break;
		}
		if (strcmp(rule->users[i].ssh_user, "*") == 0)
			local = rule->users[i].local_user;
	}
	return local && local[0] ? local : NULL;
}

/*
 * Names that could mean uid 0 whatever the accounts say. The monitor looks the account up and
 * checks its uid too; this keeps the plain cases from getting that far.
 */
static bool means_root(const char *name)
{
	return strcmp(name, "root") == 0 || name[strspn(name, "0")] == '\0';
}

static void reject(struct ssh_decision *d, enum ssh_reject_reason reason)
{
	d->verdict = SSH_VERDICT_REJECT;
	d->reason = reason;
	d->local_user[0] = '\0';
	d->nonroot = false;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void grant(const struct netmap *map, const char *ssh_user, const char *local,
		  struct ssh_decision *d)
{
	d->nonroot = strcmp(local, "=") == 0;
	if (d->nonroot)
		local = ssh_user;
	if (d->nonroot && means_root(local))
		return reject(d, SSH_REJECT_USER);
	if (!ssh_user_is_valid(local))
		return reject(d, SSH_REJECT_BAD_USER);
	if (d->rule->needs_recorder)
		return reject(d, SSH_REJECT_RECORDER);
	d->verdict = d->rule->action == SSH_ACTION_CHECK ? SSH_VERDICT_CHECK : SSH_VERDICT_ACCEPT;
	d->reason = SSH_REJECT_NONE;
	snprintf(d->local_user, sizeof(d->local_user), "%s", local);
	d->valid_until =
		min_u64(d->rule->rule_expires, min_u64(d->peer->key_expiry, map->self.key_expiry));
}

enum ssh_rule_fit ssh_rule_fit(const struct ssh_rule *rule, const struct ip_addr *peer_addr,
			       const char *ssh_user, uint64_t now_usec)
{
	if (rule->rule_expires <= now_usec)
		return SSH_RULE_EXPIRED;
	if (!ssh_rule_names(rule, peer_addr))
		return SSH_RULE_OTHER_PEER;
	/* A rule that refuses does so for every user. */
	if (rule->action != SSH_ACTION_REJECT && !find_local_user(rule, ssh_user))
		return SSH_RULE_OTHER_USER;
	return SSH_RULE_DECIDES;
}

const char *ssh_rule_fit_to_string(enum ssh_rule_fit fit)
{
	switch (fit) {
	case SSH_RULE_DECIDES:
		return "decides";
	case SSH_RULE_EXPIRED:
		return "expired";
	case SSH_RULE_OTHER_PEER:
		return "other-peer";
	case SSH_RULE_OTHER_USER:
		return "other-user";
	}
	return "unknown";
}

static void apply_rule(const struct netmap *map, size_t index, const char *ssh_user,
		       struct ssh_decision *d)
{
	d->rule = &map->ssh_rules[index];
	d->rule_index = index;
	if (d->rule->action == SSH_ACTION_REJECT)
		reject(d, SSH_REJECT_BY_RULE);
	else
		grant(map, ssh_user, find_local_user(d->rule, ssh_user), d);
}

static void walk_rules(const struct netmap *map, const struct ip_addr *addr, const char *ssh_user,
		       uint64_t now_usec, struct ssh_decision *d)
{
	reject(d, SSH_REJECT_NO_RULE);
	for (size_t i = 0; i < map->n_ssh_rules; i++)
		switch (ssh_rule_fit(&map->ssh_rules[i], addr, ssh_user, now_usec)) {
		case SSH_RULE_DECIDES:
			apply_rule(map, i, ssh_user, d);
			return;
		case SSH_RULE_OTHER_USER:
			reject(d, SSH_REJECT_USER);
			break;
		case SSH_RULE_EXPIRED:
		case SSH_RULE_OTHER_PEER:
			break;
		}
}

void ssh_policy_decide(const struct netmap *map, const struct ip_addr *peer_addr,
		       const char *ssh_user, uint64_t now_usec, struct ssh_decision *ret_decision)
{
	struct ssh_decision d = { .valid_until = UINT64_MAX };

	d.peer = netmap_peer_by_address(map, peer_addr);
	if (!d.peer)
		reject(&d, SSH_REJECT_NOT_A_PEER);
	else if (netmap_node_expired(d.peer, now_usec))
		reject(&d, SSH_REJECT_KEY_EXPIRED);
	else if (netmap_node_expired(&map->self, now_usec))
		reject(&d, SSH_REJECT_HOST_EXPIRED);
	else if (!map->self.ssh)
		reject(&d, SSH_REJECT_SSH_OFF);
	else if (!ssh_user_is_valid(ssh_user))
		reject(&d, SSH_REJECT_BAD_USER);
	else
		walk_rules(map, peer_addr, ssh_user, now_usec, &d);
	*ret_decision = d;
}

const char *ssh_reject_reason_to_string(enum ssh_reject_reason reason)
{
	switch (reason) {
	case SSH_REJECT_NONE:
		return "none";
	case SSH_REJECT_NOT_A_PEER:
		return "not-a-peer";
	case SSH_REJECT_KEY_EXPIRED:
		return "key-expired";
	case SSH_REJECT_SSH_OFF:
		return "ssh-off";
	case SSH_REJECT_NO_RULE:
		return "no-rule";
	case SSH_REJECT_USER:
		return "user";
	case SSH_REJECT_BY_RULE:
		return "by-rule";
	case SSH_REJECT_CHECK:
		return "check";
	case SSH_REJECT_RECORDER:
		return "recorder";
	case SSH_REJECT_BAD_USER:
		return "bad-user";
	case SSH_REJECT_HOST_EXPIRED:
		return "host-expired";
	}
	return "unknown";
}
