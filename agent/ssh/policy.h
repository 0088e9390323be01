/* May this address log in as that user? Decided from the map alone: pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/netmap/netmap.h"

enum ssh_verdict {
	SSH_VERDICT_REJECT,
	SSH_VERDICT_ACCEPT,
	SSH_VERDICT_CHECK, /* accept, once a person has shown that they are there */
};

enum ssh_reject_reason {
	SSH_REJECT_NONE,       /* not rejected */
	SSH_REJECT_NOT_A_PEER, /* the address is no peer's own */
	SSH_REJECT_KEY_EXPIRED,
	SSH_REJECT_SSH_OFF,	 /* self.ssh is false */
	SSH_REJECT_NO_RULE,	 /* no rule names this peer */
	SSH_REJECT_USER,	 /* rules name the peer, but not for this user */
	SSH_REJECT_BY_RULE,	 /* a rule says reject, or an action that we do not know */
	SSH_REJECT_CHECK,	 /* check is needed, and nobody can carry it out: login.h */
	SSH_REJECT_RECORDER,	 /* recording is demanded, and cannot be done */
	SSH_REJECT_BAD_USER,	 /* the name asked for is no user name */
	SSH_REJECT_HOST_EXPIRED, /* this host's own key has expired */
};

struct ssh_decision {
	enum ssh_verdict verdict;
	enum ssh_reject_reason reason;
	const struct netmap_node *peer; /* borrowed from the map; NULL: not a peer */
	const struct ssh_rule *rule;	/* that decided; borrowed; may be NULL */
	size_t rule_index;
	char local_user[257]; /* account name; with nonroot it must not be uid 0 */
	bool nonroot;
	uint64_t valid_until; /* earliest of rule_expires and key expiry; UINT64_MAX: no end */
};

/*
 * 1..256 bytes of UTF-8, no leading '-' or '+' (options, NIS), no control characters, no '/' or
 * ':', no blank at either end.
 */
bool ssh_user_is_valid(const char *name);

/* What a rule has to do with a login. */
enum ssh_rule_fit {
	SSH_RULE_DECIDES, /* if none before it does */
	SSH_RULE_EXPIRED,
	SSH_RULE_OTHER_PEER, /* it does not name the peer */
	SSH_RULE_OTHER_USER, /* it does, but not for this user */
};
enum ssh_rule_fit ssh_rule_fit(const struct ssh_rule *rule, const struct ip_addr *peer_addr,
			       const char *ssh_user, uint64_t now_usec);
const char *ssh_rule_fit_to_string(enum ssh_rule_fit fit);

/*
 * First matching rule wins; expired rules are skipped; rules that refuse do so for every user.
 * ssh_user is checked here.
 */
void ssh_policy_decide(const struct netmap *map, const struct ip_addr *peer_addr,
		       const char *ssh_user, uint64_t now_usec, struct ssh_decision *ret_decision);

/* One line for the person at the client, naming user and host; the caller frees. NULL: no memory.
 */
char *ssh_decision_explain(const struct netmap *map, const struct ssh_decision *decision,
			   const char *ssh_user);
const char *ssh_reject_reason_to_string(enum ssh_reject_reason reason);
