/*
 * The bytes of one channel: from the client to the program of a session, or to the socket of a
 * forwarded connection, and back. Back-pressure in both directions: output is read only when the
 * client's window and the connection take it, input is left where the window counts it until the
 * program takes it.
 */
#pragma once

#include <libssh/libssh.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sshgw/net/windows.h"

/* From a descriptor of the program to the client. */
struct pump_out {
	int fd; /* -1: ended */
	bool is_stderr;
	bool borrowed; /* a terminal or a socket, which is written to as well: somebody else
			  closes it */
	bool stopped;  /* nobody reads it */
	const struct pollfd *polled; /* of this turn of the loop; NULL: not asked about */
	uint8_t *rest;		     /* what was read, but not taken by libssh (in a rekey) */
	size_t start, len;	     /* of rest: what is still to be sent */
	uint64_t bytes;		     /* that were read */
};

/* Bytes that came from clients and programs of this process so far. */
uint64_t pump_moved(void);

void pump_out_init(struct pump_out *p, bool is_stderr);
/* Closes the descriptor and forgets what was not sent. */
void pump_out_done(struct pump_out *p);
/*
 * Nobody reads it any more: the program gets SIGPIPE. still_written: the descriptor stays, for what
 * goes the other way (a terminal, a socket), and the other side waits.
 */
void pump_out_stop(struct pump_out *p, bool still_written);
/* Nothing is left to come. */
bool pump_out_is_over(const struct pump_out *p);
/* Whether it waits for the program's output: not while something else has to go first. */
bool pump_out_wants_data(const struct pump_out *p, const struct net *net, ssh_channel channel);
/*
 * One piece, so that other sessions and the monitor have their turn. Return: 0, -ENOMEM: bytes were
 * lost, and the client must not take the others for the whole.
 */
int pump_out_move(struct pump_out *p, const struct net *net, ssh_channel channel);

/* From the client to a descriptor of the program. */
struct pump_in {
	int fd;	       /* -1: not known yet, or closed */
	bool borrowed; /* a terminal or a socket: somebody else closes it */
	bool closed;   /* what comes is thrown away, so that the client's window moves */
	bool waiting;  /* libssh holds bytes that the program did not take */
	struct net_window *window; /* of the channel; NULL: none yet */
	uint8_t *buf;		   /* bytes taken from libssh: allocated while there are any */
	size_t start, len;
	uint64_t bytes; /* that were written */
};

void pump_in_init(struct pump_in *p);
/* The client has sent what nobody takes. Return: len. */
size_t pump_in_skip(struct pump_in *p, size_t len);
/* No more input: the program sees the end of it, what is left is forgotten. */
void pump_in_close(struct pump_in *p);
/*
 * For libssh's data callback, which gets everything that libssh holds: write as much as the program
 * takes. Return: bytes taken; the others stay with libssh, and the client's window counts them for
 * as long as they do.
 */
size_t pump_in_take(struct pump_in *p, const void *data, size_t len);
bool pump_in_wants_room(const struct pump_in *p);
/* The client has said that there is no more, and all was passed on. */
bool pump_in_is_over(const struct pump_in *p, ssh_channel channel);
/* What had to wait. Return: 0; -EPIPE and others: the program has closed its end. */
int pump_in_move(struct pump_in *p, ssh_channel channel);

/* Both ways are done with: say so to the client. */
void pump_close_channel(ssh_channel channel);
/* Forget a channel, of our number, whatever the client still does about it. */
void pump_free_channel(const struct net *net, ssh_channel channel, uint32_t local);
/* A descriptor that was handed in, and is to be pumped. */
void pump_set_nonblocking(int fd);
