/*
 * An agent that says what the test tells it to: a process with a real varlink server, at the socket
 * path that the monitor under test is given.
 */
#pragma once

#include <sys/types.h>

/* Addresses that it knows: its own, and a peer's. Others are nobody's. */
#define AGENT_SELF  "100.64.0.1"
#define AGENT_SELF6 "fd00::1"
#define AGENT_PEER  "100.64.0.2"
#define AGENT_PEER6 "fd00::2"

struct fake_agent {
	pid_t pid;
	int control; /* SOCK_SEQPACKET: below */
};

/*
 * Serve as uid. Calls of AuthorizeSSH and ResumeSSH are held, and told to the test:
 * "AuthorizeSSH {parameters}". The test answers the held call: "reply {...}", "notify {...}",
 * "error NAME". Ends when control is closed. Returns when it listens.
 */
int fake_agent_start(const char *path, uid_t uid, struct fake_agent *ret_agent);
/* Kill it, as a crash would; does nothing when it is not there. */
void fake_agent_stop(struct fake_agent *agent);
