/*
 * Leases: the right of one SSH connection to exist, from the answer "accept" to the end of the
 * connection. Judged again whenever the map changes or something expires. No I/O, no clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/netmap/netmap.h"
#include "agent/ssh/policy.h"
#include "common/cleanup.h"

#define LEASE_ID_LEN	 32 /* hexadecimal digits */
#define LEASE_MAX_LEASES 65536u
#define LEASE_N_SLICES	 8u

struct lease_table;
struct lease;

/* What a connection is, and what it was granted: plain data, strings borrowed by the callee. */
struct lease_terms {
	const char *node_id;
	struct ip_addr address; /* of the peer */
	/* Own address that the connection came to; AF_UNSPEC: not known, any of them may be it. */
	struct ip_addr local_address;
	const char *ssh_user;	/* asked for */
	const char *local_user; /* granted */
	bool nonroot;		/* granted only if the account is not uid 0 */
	struct ssh_forwarding forwarding;
	const char *force_command; /* NULL: none */
	const char *connection;	   /* the gateway's name for it, for people; may be NULL */
	uint64_t since_usec;	   /* when it was granted, since 1970; 0: not known */
	/* For display only. */
	const char *node_name, *user; /* whose device it is; may be NULL */
	pid_t monitor;		      /* the process that holds the lease */
};

enum lease_end {
	LEASE_END_NO_MAP,	 /* the map was taken back */
	LEASE_END_NODE_GONE,	 /* the address is no peer's any more */
	LEASE_END_ADDRESS_MOVED, /* the address belongs to another node */
	LEASE_END_KEY_EXPIRED,	 /* the peer's node key, or this host's */
	LEASE_END_SSH_OFF,	 /* switched off on this host */
	LEASE_END_POLICY,	 /* no rule lets this peer in as this user, or one refuses */
	LEASE_END_EXPIRED,	 /* the rule's own end */
	LEASE_END_LOCAL_USER,	 /* the rules lead to another account */
	LEASE_END_FORWARDING,	 /* a kind of forwarding was taken away */
	LEASE_END_FORCE_COMMAND, /* another command is forced */
	LEASE_END_UNREACHABLE,	 /* the packet filter keeps the peer from tcp/22 */
	LEASE_END_REPLACED,	 /* resumed on another connection to the agent */
	LEASE_END_OPERATOR,	 /* somebody with the right to do so ended it by hand */
};
const char *lease_end_to_string(enum lease_end end);

/*
 * What happens to a lease is told to its owner. In either function the lease may be freed, and no
 * other one of the table.
 */
struct lease_events {
	/* The right is gone. message: one line for people. The lease is out of the table already.
	 */
	void (*revoked)(struct lease *lease, enum lease_end end, const char *message,
			void *userdata);
	/* The right goes on, but to another time. */
	void (*retimed)(struct lease *lease, uint64_t valid_until, void *userdata);
	/* Its turn in lease_table_visit(). */
	void (*visited)(struct lease *lease, void *userdata);
};

/* What happens to any lease of a table, for those who look on: nothing may be changed from here. */
struct lease_observer {
	void (*began)(const struct lease *lease, bool resumed, void *userdata);
	/* Before the owner learns of it. */
	void (*revoked)(const struct lease *lease, enum lease_end end, const char *message,
			void *userdata);
	/* By its owner: the connection is over. */
	void (*ended)(const struct lease *lease, void *userdata);
};

int lease_table_new(size_t max_leases, struct lease_table **ret_table);
/* Leases that are left become orphans: their owners free them as always. */
struct lease_table *lease_table_free(struct lease_table *table);
DEFINE_CLEANUP(struct lease_table *, lease_table_free);

/*
 * Enter a lease that has just been decided, under a fresh random id.
 * Return: 0, -ENOSPC (the table is full), -ENOMEM, or negative errno of getrandom(2).
 */
int lease_grant(struct lease_table *table, const struct lease_terms *terms, uint64_t valid_until,
		const struct lease_events *events, void *userdata, struct lease **ret_lease);

enum {
	LEASE_REVOKED = 1, /* the map does not give this right any more */
};
/*
 * Enter a lease again that an earlier agent, or connection to the agent, had granted. A live lease
 * of that id is revoked as LEASE_END_REPLACED.
 * Return: 0; LEASE_REVOKED, with *ret_end and *ret_message (the caller's; NULL when out of memory);
 * -EINVAL (id is no lease id), -ENOSPC, -ENOMEM.
 */
int lease_resume(struct lease_table *table, const char *id, const struct lease_terms *terms,
		 const struct netmap *map, uint64_t now_usec, const struct lease_events *events,
		 void *userdata, struct lease **ret_lease, enum lease_end *ret_end,
		 char **ret_message);

/* Ends the lease without a word to its owner, who calls this. */
struct lease *lease_free(struct lease *lease);
DEFINE_CLEANUP(struct lease *, lease_free);

const char *lease_id(const struct lease *lease);
/* The terms as kept; strings live as long as the lease. */
const struct lease_terms *lease_terms_get(const struct lease *lease);
uint64_t lease_valid_until(const struct lease *lease);
size_t lease_table_count(const struct lease_table *table);
/* Any order, the same as long as no lease comes or goes. after NULL: the first. NULL: no more. */
const struct lease *lease_table_next(const struct lease_table *table, const struct lease *after);
/* NULL: no lease has this id. Borrowed. */
const struct lease *lease_table_find(struct lease_table *table, const char *id);
/* The one observer; NULL: none. */
void lease_table_observe(struct lease_table *table, const struct lease_observer *observer,
			 void *userdata);
/* Revoke one lease. Return: 0, -ENOENT (no lease has this id). */
int lease_table_end(struct lease_table *table, const char *id, enum lease_end end,
		    const char *message);

/* Judge every lease by this map (NULL: none) at this time; owners are told at once. */
void lease_table_recheck(struct lease_table *table, const struct netmap *map, uint64_t now_usec);
/*
 * Visit the leases of one of LEASE_N_SLICES slices, which are about as large as one another:
 * visiting one slice after the other spreads what is to be done for each lease now and then.
 */
void lease_table_visit(struct lease_table *table, unsigned slice);
/* When lease_table_recheck() is due without a new map (usec since 1970); UINT64_MAX: never. */
uint64_t lease_table_next_expiry(const struct lease_table *table);
/* fn is called when the next expiry may have become another: time for a timer to be set. */
void lease_table_on_expiry_change(struct lease_table *table, void (*fn)(void *userdata),
				  void *userdata);
