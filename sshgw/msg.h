/*
 * What the gateway's processes say to one another: message types with their payloads; those of
 * forwarding are in sshgw/msg_forward.h. PRIVSEP.md has the picture; sshgw/monitor/dispatch.c says
 * which request is legal when.
 *
 * Four channels have the monitor at one end: net, leader, user, keys; a fifth goes from the
 * listener to the keys process. Each decoder refuses what is longer, shorter or other than
 * described here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/chan.h"
#include "common/cleanup.h"

#define MSG_MAX_USER	  256u	       /* bytes of a user name asked for */
#define MSG_MAX_TEXT	  4096u	       /* notices, banners, reasons */
#define MSG_MAX_COMMAND	  (128u << 10) /* bytes; the kernel's limit for one argument */
#define MSG_MAX_ENV	  64u	       /* variables of one session */
#define MSG_MAX_ENV_NAME  256u
#define MSG_MAX_ENV_VALUE 4096u
#define MSG_MAX_TERM	  64u
#define MSG_MAX_MODES	  1024u /* encoded terminal modes, RFC 4254 section 8 */
#define MSG_MAX_HASH	  64u
#define MSG_MAX_KEYS	  3u
#define MSG_MAX_BLOB	  4096u
#define MSG_MAX_PROOFS	  32u /* of host keys, for one connection */
#define MSG_MAX_URL	  512u
#define MSG_MAX_CODE	  32u

enum net_msg {
	/* monitor -> net */
	NET_INIT = 0x100,   /* struct msg_net_init */
	NET_SIGNED,	    /* signature blob: answers NET_SIGN */
	NET_AUTH_RESULT,    /* struct msg_auth_result: answers NET_AUTHORIZE */
	NET_STARTED,	    /* struct msg_started + fds: answers NET_START */
	NET_START_FAILED,   /* u32 channel, string reason: answers NET_START */
	NET_EXITED,	    /* struct msg_exited */
	NET_END,	    /* string notice: tell the sessions, then close the connection */
	NET_CHECK,	    /* struct msg_check: before NET_AUTH_RESULT, perhaps more than once */
	NET_CONNECTED,	    /* u32 id + fd: answers NET_CONNECT */
	NET_CONNECT_FAILED, /* struct msg_connect_failed: answers NET_CONNECT */
	NET_LISTENING,	    /* struct msg_listening: answers NET_LISTEN */
	NET_LISTEN_FAILED,  /* u32 id, string reason: answers NET_LISTEN */
	NET_INCOMING,	    /* struct msg_incoming + fd */
	NET_OPENED,	    /* empty: the session is open; answers NET_LOGGED_IN */

	/* net -> monitor */
	NET_READY = 0x180, /* empty: sandboxed, libssh set up; no byte was read yet */
	NET_SIGN,	   /* u32 key index, u32 digest (enum ssh_digest_e), bytes hash */
	NET_AUTHORIZE,	   /* string user */
	NET_START,	   /* struct msg_start */
	NET_HANGUP,	   /* u32 channel: the client closed it */
	NET_LOG,	   /* u32 syslog level, string text */
	NET_SIGNAL,	   /* struct msg_signal: the client's, for the program of a channel */
	NET_HELD,	   /* empty: the client waits for the check */
	NET_CONNECT,	   /* struct msg_connect */
	NET_LISTEN,	   /* struct msg_listen */
	NET_UNLISTEN,	   /* u32 id of a NET_LISTEN that was answered by NET_LISTENING */
	NET_FORWARD_END,   /* struct msg_forward_end: its descriptor is closed, or net ends */
	NET_ACTIVE,	   /* empty: bytes flow; as often as msg_auth_result asks for */
	NET_PROVE,	   /* struct msg_prove; answered by NET_SIGNED */
	NET_SESSION_END,   /* struct msg_session_end: no more bytes flow; of each NET_STARTED */
	NET_LOGGED_IN,	   /* empty: the client is done with authentication; answers a yes */
};

enum leader_msg {
	/* monitor -> leader */
	LEADER_ACCOUNT = 0x200, /* struct msg_account: check the account (PAM account stack) */
	LEADER_OPEN,		/* struct msg_open + fd (the user process's end of its channel) */
	LEADER_LOGIN,		/* string line ("pts/3"): utmp, wtmp, lastlog */
	LEADER_LOGOUT,		/* string line */
	LEADER_SOCKET,		/* struct msg_socket: to be removed at the end, as the user */
	LEADER_SOCKET_GONE,	/* u32 id: that is done already */
	LEADER_CLOSE,		/* empty: end the user process, close the PAM session, exit */

	/* leader -> monitor */
	LEADER_ACCOUNT_RESULT = 0x280, /* u8 enum account_verdict, string text for the person */
	LEADER_OPENED, /* u8 ok, string text (what PAM says, as motd; the last login) */
};

enum account_verdict {
	VERDICT_REFUSED = 0, /* this account */
	VERDICT_ALLOWED = 1,
	VERDICT_CLOSED = 2,    /* nobody is let in at present: nologin(5) */
	VERDICT_UNDECIDED = 3, /* this host cannot tell now */
	VERDICT_LAST = VERDICT_UNDECIDED,
};

enum user_msg {
	/* monitor -> user process */
	USER_START = 0x300, /* struct msg_start */
	USER_HANGUP,	    /* u32 channel: HUP to its process group, close its terminal */
	USER_SIGNAL,	    /* struct msg_signal: to its process group */
	USER_CONNECT,	    /* struct msg_connect */
	USER_LISTEN,	    /* struct msg_listen; the address is the one to bind */
	USER_UNLISTEN,	    /* u32 id */
	USER_NEXT,	    /* empty: answers USER_INCOMING: one more may be sent */

	/* user process -> monitor */
	USER_STARTED =
		0x380,	   /* u32 channel, u8 n_fds (1: terminal; 3: stdin stdout stderr) + fds */
	USER_START_FAILED, /* u32 channel, string reason */
	USER_EXITED,	   /* struct msg_exited */
	USER_CONNECTED,	   /* as the NET_ ones of these names */
	USER_CONNECT_FAILED,
	USER_LISTENING,
	USER_LISTEN_FAILED,
	USER_SOCKET,   /* struct msg_socket: before USER_LISTENING, where there is a path */
	USER_INCOMING, /* one, then USER_NEXT is awaited */
};

enum keys_msg {
	/* listener -> keys process */
	KEYS_SERVE = 0x400, /* empty + fd (the keys process's end of a monitor's channel) */

	/* monitor -> keys process */
	KEYS_SIGN,  /* as NET_SIGN */
	KEYS_PROVE, /* the same, with the session's id as hash: prove a key to a client */

	/* keys process -> monitor */
	KEYS_PUBLIC = 0x480, /* struct msg_host_keys, first of all */
	KEYS_SIGNED,	     /* signature blob: answers both; empty: refused */
};

struct msg_blob {
	uint8_t *data;
	size_t len;
};

struct msg_host_keys {
	struct msg_blob keys[MSG_MAX_KEYS]; /* public, SSH wire format */
	size_t n;
};
int msg_host_keys_put(struct chan_writer *w, const struct msg_host_keys *msg);
int msg_host_keys_get(const struct chan_msg *in, struct msg_host_keys *ret_msg);
void msg_host_keys_done(struct msg_host_keys *msg);

struct msg_net_init {
	struct msg_host_keys host_keys;
	uint32_t max_sessions; /* concurrent session channels */
	uint32_t max_env;
	uint32_t max_forwards; /* forwarded connections at a time */
	uint32_t max_listens;  /* listeners for remote forwarding at a time */
	uint32_t login_grace_sec;
	uint64_t rekey_bytes; /* 0: what the cipher allows */
	uint32_t rekey_sec;   /* 0: no limit */
};
int msg_net_init_put(struct chan_writer *w, const struct msg_net_init *msg);
int msg_net_init_get(const struct chan_msg *in, struct msg_net_init *ret_msg);
void msg_net_init_done(struct msg_net_init *msg);

struct msg_sign {
	uint32_t key, digest;
	uint8_t hash[MSG_MAX_HASH];
	size_t hash_len;
};
int msg_sign_put(struct chan_writer *w, const struct msg_sign *msg);
int msg_sign_get(const struct chan_msg *in, struct msg_sign *ret_msg);

/* The client wants to see that the host has this key (hostkeys-prove-00@openssh.com). */
struct msg_prove {
	uint32_t key, digest; /* as of msg_sign */
};
int msg_prove_put(struct chan_writer *w, const struct msg_prove *msg);
int msg_prove_get(const struct chan_msg *in, struct msg_prove *ret_msg);

enum auth_verdict {
	AUTH_REFUSED = 0,
	AUTH_ACCEPTED = 1,
};
struct msg_auth_result {
	enum auth_verdict verdict;
	char *text; /* banner: why not, or the rule's message; may be empty */
	/* Once it is accepted, say NET_ACTIVE where bytes flow, so often at most; 0: never. */
	uint32_t active_msec;
};
int msg_auth_result_put(struct chan_writer *w, const struct msg_auth_result *msg);
int msg_auth_result_get(const struct chan_msg *in, struct msg_auth_result *ret_msg);
void msg_auth_result_done(struct msg_auth_result *msg);

/* A person is asked whether it is them. */
struct msg_check {
	char *text; /* what for */
	char *url, *code;
};
int msg_check_put(struct chan_writer *w, const struct msg_check *msg);
int msg_check_get(const struct chan_msg *in, struct msg_check *ret_msg);
void msg_check_done(struct msg_check *msg);

enum start_kind {
	START_SHELL = 1,
	START_EXEC = 2,
	START_SFTP = 3, /* the subsystem; which program that is, the monitor says, and whether it is
			 * not rather START_EXEC */
	START_LAST = START_SFTP,
};
/* "shell", "exec", "sftp". */
const char *start_kind_to_string(enum start_kind kind);
struct msg_env {
	char *name, *value;
};
struct msg_pty {
	char *term;
	uint32_t columns, rows, xpixel, ypixel;
	struct msg_blob modes;
};
struct msg_start {
	uint32_t channel;
	enum start_kind kind;
	char *command; /* exec; sftp, from the monitor on: the server's path; else empty */
	bool has_pty;
	struct msg_pty pty;
	/*
	 * Listeners (NET_LISTEN, asked for before) whose variables the program is to have:
	 * SSH_AUTH_SOCK, DISPLAY. 0: none.
	 */
	uint32_t agent_listener, x11_listener;
	struct msg_env env[MSG_MAX_ENV];
	size_t n_env;
};
int msg_start_put(struct chan_writer *w, const struct msg_start *msg);
int msg_start_get(const struct chan_msg *in, struct msg_start *ret_msg);
void msg_start_done(struct msg_start *msg);

struct msg_started {
	uint32_t channel;
	uint8_t n_fds; /* that come with it: 1 terminal, or 3 stdin stdout stderr */
	char *text;    /* to show first on a terminal: motd, last login */
};
int msg_started_put(struct chan_writer *w, const struct msg_started *msg);
int msg_started_get(const struct chan_msg *in, struct msg_started *ret_msg);
void msg_started_done(struct msg_started *msg);

struct msg_exited {
	uint32_t channel;
	bool by_signal;
	uint32_t value; /* exit status 0..255, or signal number */
	bool core_dumped;
};
int msg_exited_put(struct chan_writer *w, const struct msg_exited *msg);
int msg_exited_get(const struct chan_msg *in, struct msg_exited *ret_msg);

struct msg_session_end {
	uint32_t channel;
	uint64_t to_client, from_client; /* bytes of the program's */
};
int msg_session_end_put(struct chan_writer *w, const struct msg_session_end *msg);
int msg_session_end_get(const struct chan_msg *in, struct msg_session_end *ret_msg);

struct msg_signal {
	uint32_t channel;
	uint32_t number; /* one that has a name in SSH: sshgw/signals.h */
};
int msg_signal_put(struct chan_writer *w, const struct msg_signal *msg);
int msg_signal_get(const struct chan_msg *in, struct msg_signal *ret_msg);

struct msg_account {
	char *user;	   /* account name */
	uint32_t uid, gid; /* that the monitor found and approved */
	char *remote_host; /* PAM_RHOST: the peer's address */
	char *connection;  /* for the journal: its name, */
	char *person;	   /* and who it is, or the tag; "": nobody knows */
};
int msg_account_put(struct chan_writer *w, const struct msg_account *msg);
int msg_account_get(const struct chan_msg *in, struct msg_account *ret_msg);
void msg_account_done(struct msg_account *msg);

struct msg_open {
	char *ssh_client;     /* $SSH_CLIENT: "ADDR PORT LOCALPORT" */
	char *ssh_connection; /* $SSH_CONNECTION: "ADDR PORT LOCALADDR LOCALPORT" */
};
int msg_open_put(struct chan_writer *w, const struct msg_open *msg);
int msg_open_get(const struct chan_msg *in, struct msg_open *ret_msg);
void msg_open_done(struct msg_open *msg);

/* Messages that are a channel number and a text, or one of the two. */
int msg_channel_text_get(const struct chan_msg *in, uint32_t *ret_channel, char **ret_text);
int msg_channel_get(const struct chan_msg *in, uint32_t *ret_channel);
int msg_text_get(const struct chan_msg *in, size_t max, char **ret_text);
