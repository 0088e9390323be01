/*
 * The monitor on a stage: the real code in a process of its own, a connection from a mesh address,
 * an agent that says what it is told to, and puppets for the net process and the leader. The test
 * itself plays the other side of all three channels.
 *
 * Everything happens in namespaces of the test: network (addresses on lo), mount (accounts, no host
 * keys, cgroup v2), and a control group of its own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/chan.h"
#include "sshgw/monitor/monitor.h"
#include "sshgw/msg.h"
#include "tests/privsep/fake_agent.h"
#include "tests/privsep/puppet.h"

#define STAGE_TIMEOUT_USEC 20000000ull
#define STAGE_UID	   4242u /* of the account "alice" */
#define STAGE_OTHER_UID	   4243u /* of "bob" */
#define STAGE_AGENT_UID	   4244u /* of the agent's own account */

/* Group fixtures. The world is made once. */
int stage_world_make(void **state);
int stage_world_unmake(void **state);
/* False, with a message: this machine does not let us. */
bool stage_world_is_possible(void);

/* After a case: what one that failed left behind must not become the failure of others. */
int stage_sweep(void **state);
#define ON_STAGE(f) cmocka_unit_test_teardown(f, stage_sweep)

struct puppet {
	struct puppet_hello hello;
	int control; /* -1: none, or gone */
	int channel; /* to the monitor; the only copy on this side */
};

struct stage_options {
	const char *local, *peer; /* NULL: AGENT_SELF, AGENT_PEER */
	uint16_t port;		  /* 0: 22 */
	const char *ceiling;	  /* content of sshgw.conf; NULL: all is allowed */
	bool no_agent;
	bool resets; /* the client, before the monitor begins */
	uid_t agent_uid;
};

struct stage {
	struct fake_agent agent;
	pid_t monitor, keys;
	int client; /* the peer's end of the connection */
	int status; /* the listener's end of the status pipe */
	int log;
	struct puppet net, leader;
	int user; /* channel of the user process, which the test plays itself */
};

/* The monitor runs. With expect_net: its net process has arrived, and NET_INIT is read. */
void stage_begin(struct stage *s, const struct stage_options *options, bool expect_net);

/* ---- ways through a login; each begins where the one before ends ---- */

void stage_ready(struct stage *s);     /* MON_KEX */
void stage_authorize(struct stage *s); /* MON_ASKING, as "alice" */
void stage_check(struct stage *s);     /* MON_CHECK, from MON_ASKING: not on the way of others */
/* The lease that the agent gives. local_user NULL: "alice". more: further members, or NULL. */
void stage_agent_accepts(struct stage *s, const char *local_user, const char *more);
void stage_account(struct stage *s); /* MON_ACCOUNT: the leader was asked */
void stage_agreed(struct stage *s);  /* MON_AGREED: NET_AUTH_RESULT has come */
void stage_opening(struct stage *s); /* MON_OPENING: LEADER_OPEN has come, with the user channel */
void stage_open(struct stage *s);    /* MON_OPEN: NET_OPENED has come */
/* The leader's word alone, with what PAM had to say. */
void stage_leader_opens(struct stage *s, const char *text);
void stage_reach(struct stage *s, enum mon_state state); /* from the beginning, all of these */
/* more: of the agent's yes; options and more may be NULL. */
void stage_reach_with(struct stage *s, const struct stage_options *options, const char *more,
		      enum mon_state state);
/* Up to MON_OPEN under this ceiling (NULL: the usual), by a lease with further members (or NULL).
 */
void stage_log_in(struct stage *s, const char *ceiling, const char *more);
/* The connection is gone, and all that it needed; log as for stage_end_with_leader(). */
void stage_log_out(struct stage *s, const char *log);

/* ---- messages ---- */

/* Send, and fail the test if the monitor is not there to take it. Frees the writer's payload. */
void stage_send(int channel, uint32_t type, struct chan_writer *w, const int *fds, size_t n_fds);
/* The next message, which must be of this type. */
struct chan_msg stage_expect(int channel, uint32_t type);
/* The same, of which only the arrival matters. */
void stage_skip(int channel, uint32_t type);
/* Nothing comes for this long. */
void stage_expect_silence(int channel, uint64_t usec);
/* NET_START of a command on pipes; up to USER_START. */
void stage_start_channel(struct stage *s, uint32_t channel);
/* NET_START of anything. Return: what reaches the user process; the caller's. */
struct msg_start stage_start(struct stage *s, const struct msg_start *start);
/* From there on: USER_STARTED with three pipes, up to NET_STARTED. */
void stage_run_channel(struct stage *s, uint32_t channel);
/* Three pipes: the ends that the monitor gets, and those that the program keeps. */
void stage_pipes(int fds[3], int kept[3]);
void stage_close(int *fds, size_t n);

char *stage_agent_path(void); /* the caller's */
void stage_tell_agent(struct stage *s, const char *order);
/* What the agent was called with: "METHOD {...}"; the caller's. */
char *stage_hear_agent(struct stage *s);
void stage_tell_puppet(struct puppet *puppet, char order);
/* So that it finds several things at once. It has stopped, or is running, on return. */
void stage_stop_monitor(const struct stage *s);
void stage_continue_monitor(const struct stage *s);
/* Wait for the leader to be asked to close, and let it exit. */
void stage_leader_closes(struct stage *s);
/* Descriptors that the monitor has open. */
unsigned stage_monitor_fds(const struct stage *s);
/* Its processes, those that have ended but nobody has asked for included. */
unsigned stage_monitor_children(const struct stage *s);

/*
 * The end: the monitor exits by itself, cleanly, with all its descriptors closed and no memory
 * lost; no process of the connection is left; the client's connection is closed. log, if not
 * NULL, must occur in what was logged.
 */
void stage_end(struct stage *s, const char *log);
/* Likewise; log must not occur. */
void stage_end_without(struct stage *s, const char *log);
/* Likewise; log must occur, and without must not. */
void stage_end_with_and_without(struct stage *s, const char *log, const char *without);
/* Likewise, of a monitor that did not even start a net process. */
void stage_end_refused(struct stage *s, const char *log);
/* Likewise, of a monitor that was killed; what it logged is of no interest. */
void stage_end_killed(struct stage *s);
/* Likewise, once the leader, if there is one, was told to close and did so. */
void stage_end_with_leader(struct stage *s, const char *log);
