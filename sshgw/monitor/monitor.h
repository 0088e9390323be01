/*
 * The monitor of one connection: root, outside the login's control group, parses no SSH. Holds the
 * lease and the ceiling, and of the host keys the public halves; starts and ends everything.
 * sshgw/PRIVSEP.md has the picture.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/account.h"
#include "common/ceiling.h"
#include "common/chan.h"
#include "common/ip.h"
#include "common/loop.h"
#include "sshgw/monitor/absence.h"
#include "sshgw/monitor/agent_link.h"
#include "sshgw/monitor/budget.h"
#include "sshgw/monitor/channels.h"
#include "sshgw/monitor/ending.h"
#include "sshgw/monitor/forwards.h"
#include "sshgw/monitor/guard.h"
#include "sshgw/monitor/record_limit.h"
#include "sshgw/monitor/session_log.h"
#include "sshgw/monitor/story.h"
#include "sshgw/msg.h"
#include "sshgw/steps.h"

enum mon_state {
	MON_START,   /* the net process sandboxes itself */
	MON_KEX,     /* key exchange; no user name yet */
	MON_ASKING,  /* the agent decides */
	MON_CHECK,   /* a person is asked, through the agent */
	MON_ACCOUNT, /* PAM's account stack decides */
	MON_AGREED,  /* it may come in, and is not done with its method yet */
	MON_OPENING, /* logged in; the PAM session is being opened */
	MON_OPEN,    /* programs may run */
	MON_ENDING,  /* everything is being taken down */
	MON_LEFT,    /* the connection is gone; what it left running still holds the lease */
};
const char *mon_state_to_string(enum mon_state state);

/* A process at the other end of a channel. */
struct mon_peer {
	const char *name; /* "net", "leader", "user", "keys" */
	int fd;		  /* our end of the channel; -1: none */
	struct loop_source *io, *exit;
	pid_t pid; /* net and leader: our children */
	int pidfd;
};

/* Indices into struct monitor's peers, and bits in the handler table. */
enum mon_peer_index {
	MON_NET,
	MON_LEADER,
	MON_USER,
	MON_KEYS,
	MON_N_PEERS,
};

/* Room for one counter for each entry of the handler table. */
#define MON_MAX_HANDLERS 32u

struct monitor_config {
	int connection_fd; /* the accepted socket, until the connection is over */
	int status_fd;	   /* to the listener: mon_tell_listener(); -1: none */
	int net_exe_fd, session_exe_fd;
	int keys_fd; /* channel to the keys process */
	const char *agent_socket;
	const char *ceiling_path;
};

struct monitor {
	struct loop *loop;
	struct monitor_config config;
	enum mon_state state;
	char name[16]; /* of the connection, in the journal */
	struct ip_endpoint peer, local;
	struct ceiling ceiling;
	struct msg_host_keys host_keys; /* public halves */
	struct agent_link *agent;
	struct absence absence; /* the peer's */
	struct mon_peer peers[MON_N_PEERS];
	unsigned told;			 /* bytes, to the listener */
	unsigned n_logged;		 /* lines of the net process */
	unsigned uses[MON_MAX_HANDLERS]; /* how often each request was made */

	struct {
		struct budget budget;
		bool is_wanted; /* the net process waits for one */
		bool is_asked;	/* the keys process was asked for it */
		uint32_t type;	/* KEYS_SIGN, KEYS_PROVE */
		struct msg_sign request;
		/* The first hash that was signed: it names the session from then on. */
		uint8_t session_id[MSG_MAX_HASH];
		size_t session_id_len; /* 0: none yet */
		struct loop_source *timer;
	} signing;
	struct budget signals; /* that the client sends to its programs */

	struct {
		bool held;	     /* the client waits for it: other limits count */
		uint64_t begun_usec; /* CLOCK_MONOTONIC; 0: there was none */
		struct loop_source *no_room;
	} check;

	char *ssh_user;	    /* asked for */
	struct lease lease; /* from the agent, once accepted */
	struct account *account;
	char *own_scope; /* control group that we made for the leader */
	char *scope;	 /* where the login lives, once open */
	struct channels channels;
	struct {
		struct forwards table;
		/* A connection that came in, while there are as many as there may be. */
		struct {
			struct msg_incoming msg;
			int fd; /* -1: none */
		} held;
		bool owes_next; /* USER_NEXT: nothing may come in until then */
		struct budget incoming;
		struct loop_source *next;
		struct record_limit records; /* in the journal */
	} forwarding;
	struct session_log session_log;
	char *login_text; /* motd, last login: for the first terminal */
	struct story story;

	struct loop_source *grace, *expiry, *duration, *idle, *kill, *left, *term, *shutdown,
		*children;
	int raised;	    /* by how much our priority is above that of those we start */
	bool killed;	    /* MON_END_KILLED: nothing may go on */
	bool kill_again;    /* some of that was slow to die */
	bool net_killed;    /* by the end's timer */
	struct guard guard; /* in MON_LEFT */
	int scope_fd;	    /* watched for the end of what was left running; -1: not */
};

/*
 * Serve one connection to its end. config's descriptors become the monitor's.
 * Return: for the listener; a failure was logged.
 */
enum mon_exit monitor_run(const struct monitor_config *config);

/* ---- for the handlers (dispatch.c, login.c) ---- */

void mon_enter(struct monitor *m, enum mon_state state, const char *why);
/*
 * Send to a peer. One that does not read, or is gone, ends the connection: as one that broke its
 * word, or as any that ends.
 */
void mon_send(struct monitor *m, enum mon_peer_index peer, uint32_t type, struct chan_writer *w,
	      const int *fds, size_t n_fds);
/* Hand a channel of ours to the event loop. */
int mon_attach(struct monitor *m, enum mon_peer_index peer, int fd);
/* The connection has come this far. */
void mon_tell_listener(struct monitor *m, enum mon_step step);
int mon_watch_exit(struct monitor *m, enum mon_peer_index peer, pid_t pid, int pidfd);
/* What a peer that has ended said before. */
void mon_drain(struct monitor *m, enum mon_peer_index peer);
void mon_detach(struct monitor *m, enum mon_peer_index peer);
