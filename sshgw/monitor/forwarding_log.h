/* The journal's records of forwarding: one when it begins or is refused, one when it ends. */
#pragma once

#include "sshgw/monitor/monitor.h"

void forwarding_log_init(struct monitor *m);

/* With the reason, for people: the policy's or the ceiling's. */
void forwarding_log_refused(struct monitor *m, const char *way, const char *name,
			    const char *reason);
/* It was allowed, and did not work. */
void forwarding_log_failed(struct monitor *m, const char *way, const char *name,
			   const char *reason);
void forwarding_log_listening(struct monitor *m, const struct mon_listener *listener);
void forwarding_log_begun(struct monitor *m, const struct mon_forward *forward);
/* end: what the net process says of it; NULL: the connection ended with it. */
void forwarding_log_ended(struct monitor *m, const struct mon_forward *forward,
			  const struct msg_forward_end *end);
/* The connection is over, and with it what is still open. */
void forwarding_log_end(struct monitor *m);

/* ---- names for people; those that are made are the caller's, NULL when out of memory ---- */

/* "db.example:5432", "[::1]:22"; "*:80" of no host. */
char *forward_name_port(const char *host, uint32_t port);
char *forward_name_connect(const struct msg_connect *msg);
char *forward_name_listen(const struct msg_listen *msg);
/* "local", "remote", "agent", "x11": as people call it. */
const char *forward_way(enum forward_kind kind, bool incoming);
