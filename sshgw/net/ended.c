#include "sshgw/net/ended.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/clock.h"

/* Errors of the network. libssh names a version line that is none a socket error too, of any
 * number. */
static bool is_loss(const char *text)
{
	static const int losses[] = { ECONNRESET, ETIMEDOUT, EPIPE, EHOSTUNREACH, ENETUNREACH };

	for (size_t i = 0; i < ARRAY_SIZE(losses); i++)
		if (strcmp(text, strerror(losses[i])) == 0)
			return true;
	return false;
}

static bool is_late(const struct net *net)
{
	return net->state != NET_STATE_CLOSING && clock_usec(CLOCK_MONOTONIC) >= net->deadline;
}

enum net_exit net_why_ended(const struct net *net, int r)
{
	static const char disconnect[] = "Received SSH_MSG_DISCONNECT", socket[] = "Socket error: ";
	const char *text;

	if (r < 0 && r != -ECONNRESET)
		return NET_EXIT_FAILED;
	if (net->is_given_up)
		return NET_EXIT_GAVE_UP;
	if (!(ssh_get_status(net->ssh) & (SSH_CLOSED | SSH_CLOSED_ERROR)) &&
	    ssh_get_fd(net->ssh) == SSH_INVALID_SOCKET)
		return NET_EXIT_LOST;
	if (!(ssh_get_status(net->ssh) & SSH_CLOSED_ERROR))
		return is_late(net) ? NET_EXIT_LATE : NET_EXIT_CLOSED;
	text = ssh_get_error(net->ssh);
	if (strncmp(text, disconnect, strlen(disconnect)) == 0)
		return NET_EXIT_CLOSED;
	if (strncmp(text, socket, strlen(socket)) != 0)
		return NET_EXIT_BROKEN;
	text += strlen(socket);
	/* The second is an end after the key exchange: receive.c. */
	if (strcmp(text, "disconnected") == 0 || strcmp(text, strerror(0)) == 0)
		return NET_EXIT_CLOSED;
	return is_loss(text) ? NET_EXIT_LOST : NET_EXIT_BROKEN;
}
