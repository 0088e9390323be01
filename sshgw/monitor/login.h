/* The way of a login through the monitor: asked, decided, opened. */
#pragma once

#include "sshgw/monitor/monitor.h"

/* NET_AUTHORIZE. */
int login_ask(struct monitor *m, struct chan_msg *msg);
/* LEADER_ACCOUNT_RESULT. */
int login_account_result(struct monitor *m, struct chan_msg *msg);
/* NET_LOGGED_IN: the session is opened for it. */
int login_client_in(struct monitor *m, struct chan_msg *msg);
/* LEADER_OPENED. */
int login_opened(struct monitor *m, struct chan_msg *msg);
/* Tell the client why not; it leaves then, or is made to. */
void login_refuse(struct monitor *m, const char *reason, const char *message);
/* The lease's own end has come. */
void login_run_out(struct monitor *m);
/* The leader is gone before the session was open: the client is told so, by what it waits for. */
void login_leader_lost(struct monitor *m);
/* What the agent says. */
extern const struct agent_link_events login_agent_events;
