#include "common/login_check.h"

#include <string.h>

#include "peergate-config.h"

enum {
	OWN_ACCOUNT = 1,
};
/*
 * The accounts that run Peergate itself are nobody's login, under any name. Their own names are
 * enough, whatever the account database makes of them; another account may have the same uid.
 * Return: 0, OWN_ACCOUNT, negative errno when that cannot be told.
 */
static int find_own(const struct account *account)
{
	static const char *const names[] = { PEERGATE_SSHGW_USER, PEERGATE_AGENT_USER,
					     PEERGATE_COORD_USER };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(account->name, names[i]) == 0)
			return OWN_ACCOUNT;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_(account_freep) struct account *own = NULL;
		int r = account_get(names[i], &own);

		if (r < 0)
			return r;
		if (own && own->uid == account->uid)
			return OWN_ACCOUNT;
	}
	return 0;
}

static int refuse(struct login_refusal *ret_refusal, const char *reason, const char *text,
		  int error)
{
	*ret_refusal = (struct login_refusal){ .reason = reason, .text = text, .error = error };
	return LOGIN_REFUSED;
}

int login_check(const struct login_grant *grant, const struct ceiling *ceiling,
		struct account **ret_account, struct login_refusal *ret_refusal)
{
	const char *text;
	int r;

	r = account_get(grant->account, ret_account);
	if (r == ACCOUNT_UNKNOWN)
		return refuse(ret_refusal, "account", "there is no such account on this host", 0);
	if (r < 0)
		return refuse(ret_refusal, "account",
			      "the account cannot be looked up now; try again", r);
	r = find_own(*ret_account);
	if (r == OWN_ACCOUNT)
		return refuse(ret_refusal, "account", "this account belongs to Peergate itself", 0);
	if (r < 0)
		return refuse(ret_refusal, "account",
			      "whether the account is one of Peergate's own cannot be looked up "
			      "now; try again",
			      r);
	if (grant->nonroot && (*ret_account)->uid == 0)
		return refuse(ret_refusal, "nonroot",
			      "the SSH rule is for other users than root, and this account is root",
			      0);
	text = ceiling_refuses(ceiling, (*ret_account)->name, (*ret_account)->uid);
	return text ? refuse(ret_refusal, "ceiling", text, 0) : 0;
}
