/*
 * The agent's relation to the coordinator as a state machine: what has happened goes in, what is to
 * be done comes out. Pure; link.c does what it says.
 *
 * There are two tracks. One makes this host a member, or renews its key (join); the other keeps the
 * stream of maps open (stream). They go side by side, because a member whose key is being renewed
 * has to hear of revocations all the while.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum link_join {
	LINK_JOIN_IDLE,	      /* nothing to do: member, or nobody wants to be */
	LINK_JOIN_CONTACTING, /* the coordinator's key is being asked for */
	LINK_JOIN_ENROLLING,  /* a request to be enrolled, or for a new key, is out */
	LINK_JOIN_ROTATING,   /* a new key for one that is good still is being asked for */
	LINK_JOIN_PENDING,    /* somebody has to approve; a request that waits for it is out */
	LINK_JOIN_PAUSED,     /* what failed is tried again after a pause */
	LINK_JOIN_REFUSED,    /* the coordinator said no: somebody has to do something */
};

enum link_stream_state {
	LINK_STREAM_OFF,
	LINK_STREAM_OPENING,
	LINK_STREAM_OPEN, /* and known to be the coordinator's */
	LINK_STREAM_PAUSED,
};

struct link_machine {
	bool member;		     /* enrolled */
	bool wanted;		     /* up */
	bool deleted;		     /* was a member, until the coordinator deleted the node */
	bool key_expired;	     /* as the newest map says */
	bool whole;		     /* the next stream has to begin with a whole map */
	enum link_join join, paused; /* paused: what is tried again */
	unsigned join_failures;
	enum link_stream_state stream;
	unsigned stream_failures;
};

enum link_event {
	/* of the operator */
	LINK_UP,     /* be in the mesh; enrol, unless a member */
	LINK_DOWN,   /* leave it, stay a member */
	LINK_LOGIN,  /* enrol, or renew a key that has expired */
	LINK_ROTATE, /* renew a key that is good still */
	LINK_LOGGED_OUT,
	/* of requests to join */
	LINK_CONTACTED,	  /* the coordinator's key is known */
	LINK_ENROLLED,	  /* a member, with the key that was offered */
	LINK_PENDING,	  /* approval is needed */
	LINK_LAPSED,	  /* approval did not come in time */
	LINK_KEY_EXPIRED, /* too late for rotating */
	LINK_REFUSED,
	LINK_JOIN_FAILED, /* it may pass */
	LINK_JOIN_TIMER,
	/* of the stream */
	LINK_STREAM_HELLO,
	LINK_STREAM_NEWS, /* a line of it was what it should be */
	LINK_STREAM_ENDED,
	LINK_STREAM_TIMER,
	LINK_DELETED, /* by the coordinator, which signed it */
	LINK_N_EVENTS,
};

struct link_input {
	enum link_event event;
	bool have_key;		   /* LINK_UP, LINK_LOGIN: the coordinator's */
	bool key_expired;	   /* LINK_STREAM_NEWS: as the map in force says */
	bool whole;		   /* LINK_STREAM_ENDED: what came does not fit the map in force */
	bool slow;		   /* failed in a way that being quick about it makes no better */
	uint64_t retry_after_usec; /* of failures; 0: the server did not say */
	uint64_t random;	   /* 64 random bits, for pauses */
};

/* What is to be done, in this order. */
enum {
	LINK_CANCEL_JOIN = 1 << 0,  /* end the request and the pause of this track */
	LINK_CLOSE_STREAM = 1 << 1, /* likewise */
	LINK_FORGET = 1 << 2,	    /* the enrolment, and the map */
	LINK_LEAVE = 1 << 3,	    /* put the map out of force */
	LINK_CONTACT = 1 << 4,
	LINK_ENROL = 1 << 5,
	LINK_ASK_ROTATE = 1 << 6,
	LINK_WAIT = 1 << 7,
	LINK_PAUSE_JOIN = 1 << 8, /* for pause_usec, then LINK_JOIN_TIMER */
	LINK_OPEN_STREAM = 1 << 9,
	LINK_PAUSE_STREAM = 1 << 10, /* likewise, LINK_STREAM_TIMER */
};

struct link_output {
	unsigned actions;
	uint64_t pause_usec;
};

/* At the start of the agent, with what it remembers. */
void link_machine_init(struct link_machine *machine, bool member, bool deleted);
/*
 * One step. An event that makes no sense in the present state (an answer to a request that was
 * given up) does nothing.
 */
void link_machine_step(struct link_machine *machine, const struct link_input *input,
		       struct link_output *ret_output);

/* One word for both tracks: "connected", "pending", "key-expired", ... */
const char *link_machine_state(const struct link_machine *machine);
/* "idle", "pending", ... */
const char *link_join_to_string(enum link_join join);
