/*
 * The programs of a connection in the journal: a record when one begins and one when it ends. How
 * it ended the user process says, how many bytes went to and fro the net process does, and either
 * may come first: this waits for both.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sshgw/monitor/record_limit.h"
#include "sshgw/msg.h"

struct monitor;
struct channel;

struct session_entry {
	uint32_t id; /* of the channel */
	enum start_kind kind;
	char line[16]; /* its terminal; "" */
	uint64_t begun_usec;
	bool exited, hung_up, counted;
	struct msg_exited exit;
	uint64_t ended_usec; /* of the program, or of its channel, whichever was first */
	struct msg_session_end bytes;
};

struct session_log {
	struct session_entry *list;
	size_t n;
	struct record_limit records;
};

void session_log_init(struct monitor *m);
void session_log_done(struct session_log *log);

/* It is being started. */
void session_log_starting(struct monitor *m, const struct channel *channel);
/*
 * There was none to start. what: after the account's name; error: 0 or negative errno.
 */
void session_log_refused(struct monitor *m, int level, int error, const char *what);
/* It was, and did not start after all. */
void session_log_not_started(struct monitor *m, const struct channel *channel, const char *reason);
/* It runs; its line is known. */
void session_log_started(struct monitor *m, const struct channel *channel);
void session_log_hung_up(struct monitor *m, uint32_t id);
void session_log_exited(struct monitor *m, const struct msg_exited *exited);
/* NET_SESSION_END. */
int session_log_counted(struct monitor *m, struct chan_msg *msg);
/* The connection is over: whatever is not known by now, nobody will know. */
void session_log_end(struct monitor *m);
