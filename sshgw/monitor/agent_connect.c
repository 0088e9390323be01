#include "sshgw/monitor/agent_connect.h"

#include <errno.h>
#include <pwd.h>

#include "peergate-config.h"

uid_t agent_account(void)
{
	const struct passwd *pw = getpwnam(PEERGATE_AGENT_USER);

	return pw ? pw->pw_uid : 0;
}

/* Whoever serves the socket must be the agent: a squatter in its directory lets nobody in. */
static int check_server(const struct varlink_client *client, uid_t account)
{
	struct ucred creds;
	int r = varlink_client_server_creds(client, &creds);

	if (r < 0)
		return r;
	return creds.uid == 0 || creds.uid == account ? 0 : -EPERM;
}

int agent_connect(const char *path, uid_t account, struct varlink_client **ret_client)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
	int r;

	/* Without waiting: whoever calls has other work, and comes back. */
	r = varlink_client_connect(path, 0, &client);
	if (r == 0)
		r = check_server(client, account);
	if (r == 0)
		*ret_client = take_ptr(client);
	return r;
}
