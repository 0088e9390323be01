#include "sshgw/monitor/agent_connect.h"

#include <errno.h>
#include <pwd.h>

#include "peergate-config.h"

/* Whoever serves the socket must be the agent: a squatter in its directory lets nobody in. */
static int check_server(const struct varlink_client *client)
{
	const struct passwd *pw;
	struct ucred creds;
	int r = varlink_client_server_creds(client, &creds);

	if (r < 0)
		return r;
	if (creds.uid == 0)
		return 0;
	pw = getpwnam(PEERGATE_AGENT_USER);
	return pw && pw->pw_uid == creds.uid ? 0 : -EPERM;
}

int agent_connect(const char *path, struct varlink_client **ret_client)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
	int r;

	r = varlink_client_connect(path, &client);
	if (r == 0)
		r = check_server(client);
	if (r == 0)
		*ret_client = take_ptr(client);
	return r;
}
