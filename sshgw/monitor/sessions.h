/* Programs on session channels: between the net process, the user process and the leader. */
#pragma once

#include "sshgw/monitor/monitor.h"

/* Before anything is asked for. */
void sessions_init(struct monitor *m);
/* NET_START, NET_SIGNAL, NET_HANGUP. */
int sessions_start(struct monitor *m, struct chan_msg *msg);
int sessions_signal(struct monitor *m, struct chan_msg *msg);
int sessions_hangup(struct monitor *m, struct chan_msg *msg);
/* USER_STARTED, USER_START_FAILED, USER_EXITED. */
int sessions_started(struct monitor *m, struct chan_msg *msg);
int sessions_start_failed(struct monitor *m, struct chan_msg *msg);
int sessions_exited(struct monitor *m, struct chan_msg *msg);
/* The PAM session is open: start what waited for it. */
void sessions_release(struct monitor *m);
