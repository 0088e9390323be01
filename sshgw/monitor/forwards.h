/* Forwarded connections and listeners of one connection, as the monitor knows them. No I/O. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ceiling.h"
#include "sshgw/msg_forward.h"

enum mon_forward_state {
	MON_FORWARD_WAITING, /* for the PAM session to be open */
	MON_FORWARD_ASKED,   /* the user process was told */
	MON_FORWARD_UP,	     /* its descriptor went to the net process; of a listener: it listens */
};

/* A connection. */
struct mon_forward {
	uint32_t id;
	bool incoming; /* to one of the listeners; the number is the user process's */
	enum mon_forward_state state;
	enum forward_kind kind;	    /* of the listener, if it is an incoming one */
	struct msg_connect request; /* unless it is an incoming one */
	char *name;		    /* for people: "db.example:5432", of who connected */
	uint64_t begun_usec;	    /* CLOCK_MONOTONIC */
};

struct mon_listener {
	uint32_t id;
	enum mon_forward_state state;
	struct msg_listen request;
	char *name;    /* for people, where it is bound: "localhost:8080" */
	char *asked;   /* where it was asked for: "*:0" */
	bool has_path; /* that the leader knows of */
};

/* The numbers of the last listeners of a kind, in turn; 0: nothing there. */
struct listener_ring {
	uint32_t ids[CEILING_MAX_LISTENS];
	size_t next;
};

struct forwards {
	struct mon_forward *list;
	size_t n;
	struct mon_listener *listeners;
	size_t n_listeners;
	uint32_t last_of_net, last_of_user; /* numbers are never used again */
	/*
	 * The last listeners that were cancelled. As many as there may be at a time are
	 * enough: one that was cancelled before so many others was so before one of these was asked
	 * for, and whatever the user process had to say of it came before that one was up.
	 */
	struct listener_ring cancelled;
	/* Those for one connection, which has come: the net process may not have read of it. */
	struct listener_ring used_up;
};

void forwards_done(struct forwards *forwards);

/* The numbers of each side only grow. Return: 0, -EEXIST. */
int forwards_take_net_id(struct forwards *forwards, uint32_t id);
int forwards_take_user_id(struct forwards *forwards, uint32_t id);

/*
 * Return: the new one, of which nothing but its number is set and which lasts until the next one is
 * added or removed; NULL when out of memory.
 */
struct mon_forward *forwards_add(struct forwards *forwards, uint32_t id, bool incoming);
struct mon_listener *forwards_add_listener(struct forwards *forwards, uint32_t id);
struct mon_forward *forwards_find(struct forwards *forwards, uint32_t id, bool incoming);
struct mon_listener *forwards_find_listener(struct forwards *forwards, uint32_t id);
/* Pointers to others are no longer valid afterwards. */
void forwards_remove(struct forwards *forwards, struct mon_forward *forward);
void forwards_remove_listener(struct forwards *forwards, struct mon_listener *listener);

/* The same, of one that listened: a connection that came to it may still be under way. */
void forwards_cancel_listener(struct forwards *forwards, struct mon_listener *listener);
bool forwards_is_cancelled(const struct forwards *forwards, uint32_t id);
/* Nothing can be under way any more. */
void forwards_forget_cancelled(struct forwards *forwards);
/* Remove one for a single connection: the net process may end it all the same, once. */
void forwards_use_up_listener(struct forwards *forwards, struct mon_listener *listener);
/* Return: whether it was used up, and not ended since. */
bool forwards_end_used_up(struct forwards *forwards, uint32_t id);

/*
 * Where a client's tcp listener is bound, by sshd's rules (sshd_config(5), GatewayPorts): an
 * address, "" for all, "localhost" for the loopback in both families. Borrowed from the arguments.
 */
const char *forwards_bind_address(enum gateway_ports policy, const char *asked);
