/*
 * A login as a whole: both rights that it takes, the SSH rule and the packet filter's. AuthorizeSSH
 * answers by this, and ExplainSSH explains by it. Pure.
 */
#pragma once

#include "agent/ssh/policy.h"

struct ssh_login {
	bool accepted;
	bool needs_check;   /* accepted, once a person has been asked */
	const char *reason; /* if refused: one word, for programs; a literal */
	char *message;	    /* if refused: for the person; the caller's; NULL: no memory */
	struct ssh_decision decision; /* empty if it did not come to that */
};

/*
 * From address to local_address, as this user. map NULL: there is none yet.
 * can_check: there is a coordinator, which may carry out a check; without one it is refused.
 */
void ssh_login_judge(const struct netmap *map, const struct ip_addr *address,
		     const struct ip_addr *local_address, const char *ssh_user, bool can_check,
		     uint64_t now_usec, struct ssh_login *ret_login);
void ssh_login_done(struct ssh_login *login);
