/*
 * One session channel: its requests, and the bytes between the client and the program that the
 * user process started.
 */
#pragma once

#include <libssh/libssh.h>
#include <poll.h>
#include <stdbool.h>

#include "sshgw/net/net.h"

/* Descriptors that one session can have in a poll set: input, output, error. */
#define SESSION_MAX_POLL 3u

/*
 * Take over an opened channel. Owned by net->sessions. Return: 0, -ENOMEM, -EMFILE (the limit).
 */
int net_session_new(struct net *net, ssh_channel channel);
/* Frees everything; leaves net->sessions. The channel is closed. */
void net_session_free(struct net_session *s);

struct net_session *net_session_by_channel(struct net *net, ssh_channel channel);
struct net_session *net_session_by_id(struct net *net, uint32_t id);

/*
 * A channel request from libssh's queue. Return: true when the session keeps the message to answer
 * it later, false when it was answered and the caller frees it.
 */
bool net_session_request(struct net_session *s, ssh_message message);

/* The client reads no more of the program's output. May be called from within libssh. */
void net_session_not_read(struct net_session *s);

/* The monitor's answers. Descriptors are taken from msg. */
void net_session_started(struct net_session *s, struct msg_started *started, struct chan_msg *msg);
void net_session_start_failed(struct net_session *s, const char *reason);
void net_session_exited(struct net_session *s, const struct msg_exited *exited);
/*
 * To all sessions that wait for a listener (for the client's agent or display): it is there, or
 * not, and why. Return: whether any did.
 */
bool net_session_listening(struct net *net, uint32_t listener, const char *failure);
/* For the monitor: how many bytes it moved, if there was a program. It moves no more. */
void net_session_say_end(struct net_session *s);
/* Show a line to the person. */
void net_session_notice(struct net_session *s, const char *text);

/* Add what the session waits for to a poll set with room for SESSION_MAX_POLL. */
size_t net_session_poll(struct net_session *s, struct pollfd *fds);
/*
 * Move bytes as far as window and pipes allow. Return: false when the session is over and was
 * freed.
 */
bool net_session_pump(struct net_session *s);
/* When the session wants to be pumped without any event: CLOCK_MONOTONIC usec, UINT64_MAX. */
uint64_t net_session_deadline(const struct net_session *s);
/* Its program has been started. */
bool net_session_is_running(const struct net_session *s);
