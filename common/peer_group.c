#include "common/peer_group.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "common/cleanup.h"

#define MAX_GROUPS 65536u /* NGROUPS_MAX */

bool peer_in_group(int fd, gid_t gid)
{
	_cleanup_free_ gid_t *groups = NULL;
	socklen_t len = MAX_GROUPS * sizeof(*groups);

	groups = malloc(len);
	if (!groups || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof(*groups); i++)
		if (groups[i] == gid)
			return true;
	return false;
}
