/*
 * What listens on this host for the client, and the global requests that ask for it. Those are
 * answered in the order in which they came: one that waits for the monitor holds up all behind it.
 */
#pragma once

#include <libssh/libssh.h>
#include <stdint.h>

#include "sshgw/msg_forward.h"
#include "sshgw/net/net.h"

struct net_listener {
	uint32_t id;
	enum forward_kind kind;
	char *address; /* tcp, unix: as the client said it, which is what it knows it by */
	uint32_t port; /* tcp: that is bound */
	bool is_ready;
	bool single; /* for one connection: the monitor knows it no more when that has come */
};

/* Leaves net->listeners. */
void net_listener_free(struct net *net, struct net_listener *l);

struct net_listener *net_listener_by_id(struct net *net, uint32_t id);
/* The one for the client's ssh-agent, which all sessions share. NULL: there is none. */
struct net_listener *net_listener_of_agent(struct net *net);
/*
 * Ask the monitor for one; request->id is set. An answer for an agent or a display goes to
 * net_session_listening(). Return: 0, -EINVAL (it cannot be one), -ENOMEM, -EIO and others.
 */
int net_listener_new(struct net *net, struct msg_listen *request);

/*
 * Have one closed. Nothing is done about one that the monitor has not answered yet, or that has
 * ended by itself. Return: 0, -EIO and others.
 */
int net_listener_end(struct net *net, uint32_t id);

/* Takes the message, as sshgw/net/rewrite.h puts it. */
void net_global_request(struct net *net, ssh_message message);

/* The monitor's messages. Return: 0, -EBADMSG. */
int net_listening(struct net *net, const struct chan_msg *msg);
int net_listen_failed(struct net *net, const struct chan_msg *msg);
